"""A generated regression set, as a file of the tabular benchmark, and sets as the text files of their release."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np


def write(folder: Path, name: str = "waves", rows: int = 60, repeats: int = 6, splits: int = 2, **changes) -> Path:
    """y = sin x + noise that grows with x, in units of 10; `repeats` rows stand twice; `changes` replace keys."""
    random = np.random.default_rng(0)
    features = random.uniform(-2, 2, (rows, 3))
    target = 10 * (np.sin(2 * features[:, 0]) + (0.1 + 0.1 * np.abs(features[:, 1])) * random.normal(size=rows))
    if repeats:
        features[-repeats:], target[-repeats:] = features[:repeats], target[:repeats]
    test = np.zeros((splits, rows), bool)
    for row in test:
        row[random.choice(rows, rows // 10, replace=False)] = True
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    arrays = {"X": features, "y": target, "test": test, **changes}
    np.savez(path, **{key: values for key, values in arrays.items() if values is not None})
    return path


def texts(arrays: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """The text files of a set, by name, in the layout of Gal's release, with a column that is neither X nor y."""
    features, test = arrays["X"], arrays["test"]
    width = features.shape[1]
    found = {
        "data.txt": text(np.column_stack([features, arrays["y"], np.ones(len(features))]), "%.17g"),
        "index_features.txt": text(np.arange(width)) + b"\n",
        "index_target.txt": text(np.array([width])),
        "n_splits.txt": text(np.array([len(test)])),
    }
    for number, mask in enumerate(test):
        # in no order, and one of the parts as floats, which the release's own code reads as well
        found[f"index_train_{number}.txt"] = text(np.flatnonzero(~mask)[::-1])
        found[f"index_test_{number}.txt"] = text(np.flatnonzero(mask)[::-1], "%.18e")
    return found


def text(values: np.ndarray, form: str = "%d") -> bytes:
    stream = BytesIO()
    np.savetxt(stream, values, fmt=form)
    return stream.getvalue()
