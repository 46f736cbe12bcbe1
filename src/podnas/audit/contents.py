"""What two runs made of the same training weeks, compared number by number.

Of an artifact of any format counts what is dated before the weeks that an audit harms and what has no date: a basis, a
scaler, weights, losses, chosen configurations. What is dated later was made from harmed weeks, and may differ. A
forecast is dated by the last week that it may see, and what holds the truth beside it by the last week of that.
Formats are told by a file's ending and their layout is not known here, so that artifacts of new rules are compared too.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from podnas import artifacts

Contents = dict[str, Any]  # what has a name in a file, to its value
TRUTH = {"target", "truth"}  # what came to pass, by the names that files have for it


def differences(before: Path, after: Path, cut: date) -> list[str] | None:
    """Names of what differs between two files; None where all of both is dated later, and nothing can be compared.

    Raises ArtifactError where one cannot be read.
    """
    first, second = (contents(path, cut) for path in (before, after))
    if not first and not second:
        return None
    names = [*first, *(name for name in second if name not in first)]
    return [name for name in names if name not in first or name not in second or not _same(first[name], second[name])]


def contents(path: Path, cut: date) -> Contents:
    """All that counts in a file, by name; times that a computation took do not."""
    match path.suffix:
        case ".nc":
            found = _dataset(path, np.datetime64(cut))
        case ".parquet":
            table = artifacts.read_table(path).astype(object)
            found = {str(name): held.where(held.notna(), None).tolist() for name, held in table.items()}
        case ".json":
            found = dict(_leaves(artifacts.read_json(path)))
        case ".jsonl":  # in the order in which trials ended, which nothing depends on
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            found = {"lines": sorted(json.dumps(_timeless(dict(_leaves(line))), sort_keys=True) for line in lines)}
        case ".keras":
            found = _network(path)
        case ".npz":
            with np.load(path, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
        case _:
            found = {"bytes": path.read_bytes()}
    return _timeless(found)


def _timeless(found: Mapping[str, Any]) -> Contents:
    return {
        name: value for name, value in found.items() if "seconds" not in name and name.rpartition(".")[2] != "ended"
    }


def _dataset(path: Path, cut: np.datetime64) -> Contents:
    with xr.open_dataset(path, engine="netcdf4") as opened:
        dataset = opened.load()
    kept = {}
    if "time" in dataset.dims:
        kept["time"] = dataset.time.values <= cut
    if "init_time" in dataset.dims:
        judged = "valid_time" in dataset.variables and not TRUTH.isdisjoint(dataset.variables)
        last = dataset.valid_time.max("lead") if judged else dataset.init_time
        kept["init_time"] = last.values <= cut
    if kept and not any(rows.any() for rows in kept.values()):
        return {}
    past = dataset.isel(kept)
    return {str(name): held.values for name, held in past.variables.items()} | {
        f"attribute {name}": value for name, value in past.attrs.items()
    }


def _network(path: Path) -> Contents:
    with zipfile.ZipFile(path) as archive:
        config = _leaves(json.loads(archive.read("config.json")), "config")
        # Keras numbers objects by their place in memory
        found: Contents = {name: value for name, value in config if not name.endswith(".shared_object_id")}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:

            def keep(name: str, held: Any) -> None:
                if isinstance(held, h5py.Dataset):
                    found[name] = held[()]

            weights.visititems(keep)
    return found


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{place}]")
    else:
        yield name, value


def _same(one: Any, other: Any) -> bool:
    first, second = np.asarray(one), np.asarray(other)
    if first.dtype.kind == "f" and second.dtype.kind == "f":
        return bool(np.array_equal(first, second, equal_nan=True))
    return bool(np.array_equal(first, second))
