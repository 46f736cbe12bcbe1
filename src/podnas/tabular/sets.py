"""Regression sets with their standard splits, read and checked, and the rows of one split.

A set is a file NAME.npz: X (rows, features), y (rows,) and test (splits, rows), true for the test rows of a split.
Where it comes from: data/uci.py.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podnas.artifacts import ArtifactError
from podnas.windows import Array

KEYS = ("X", "y", "test")
LEAST_ROWS = 4  # training rows of a split, for each block of them
AGAIN = "get the file again, or make it from the published tables"


@dataclass(frozen=True)
class Table:
    """One set, in original units."""

    name: str
    features: Array  # (rows, features)
    target: Array  # (rows,)
    test: Array  # (splits, rows), bool


@dataclass(frozen=True)
class Split:
    """Training rows of a split, and features (no targets) of the rows that are to be scored."""

    features: Array  # (n, features)
    target: Array  # (n,)
    ahead: Array  # (scored rows, features)
    scored: Array  # their places in the table

    def content_hash(self) -> str:
        """Hash of all that a search sees."""
        digest = hashlib.sha256()
        for part in (self.features, self.target, self.ahead):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]


def read(path: Path) -> Table:
    """Read a set; ArtifactError says what is wrong with the file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                raise ArtifactError(f"{path} has no {', '.join(missing)}, only {', '.join(archive.files)}; {AGAIN}")
            features, target, test = (archive[key] for key in KEYS)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{path} is truncated or damaged ({error}); {AGAIN}") from error
    _check_shapes(path, features, target, test)
    table = Table(path.stem, features.astype(np.float64), target.astype(np.float64), test.astype(bool))
    _check_values(path, table)
    return table


def _check_shapes(path: Path, features: Array, target: Array, test: Array) -> None:
    rows = len(features) if features.ndim == 2 else -1
    if features.ndim != 2 or target.shape != (rows,) or test.ndim != 2 or test.shape[1] != rows:
        raise ArtifactError(
            f"{path} has X {features.shape}, y {target.shape} and test {test.shape}; they must be (rows, features), "
            f"(rows,) and (splits, rows): {AGAIN}"
        )
    if not np.isin(test, (0, 1)).all():
        raise ArtifactError(f"{path} has values in test that are neither true nor false; {AGAIN}")


def _check_values(path: Path, table: Table) -> None:
    for key, values in (("X", table.features), ("y", table.target)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise ArtifactError(f"{path} has {bad} values in {key} that are not finite; leave these rows out")
    counts = table.test.sum(axis=1)
    if not len(counts) or counts.min() < 1:
        raise ArtifactError(f"{path} has a split without test rows ({counts.tolist()}); {AGAIN}")


def first_splits(name: str, there: int, most: int | None) -> range:
    """Numbers of the splits that are asked for, of those that are there; ValueError where there are fewer."""
    if most is not None and most > there:
        raise ValueError(f"tabular.splits is {most}, but set {name} has {there} splits; lower it, or set null")
    return range(most or there)


def split(table: Table, number: int, folds: int, *, distinct: bool = False, pseudo: bool = False) -> Split:
    """Rows of split `number`.

    distinct: without duplicates, that is without rows that repeat another in features and target: of training rows the
    first of each stays, of rows to be scored the first of each that no training row repeats. pseudo: a tenth of the
    training rows, or as many as there are test rows, are scored instead, and the test rows are not used at all.
    """
    scored = np.flatnonzero(table.test[number])
    training = np.flatnonzero(~table.test[number])
    if pseudo:
        shuffled = np.random.default_rng([number, len(table.target)]).permutation(training)
        count = min(len(scored), len(training) // 10)
        scored, training = np.sort(shuffled[:count]), np.sort(shuffled[count:])
    if distinct:
        known = np.unique(_rows(table, training), axis=0, return_index=True)[1]
        training = training[np.sort(known)]
        scored = _new(table, training, scored)
    _check_split(table, number, training, scored, folds)
    return Split(table.features[training], table.target[training], table.features[scored], scored)


def _rows(table: Table, places: Array) -> Array:
    return np.column_stack([table.features[places], table.target[places]])


def _new(table: Table, training: Array, scored: Array) -> Array:
    """Rows to be scored, once each, that are not among the training rows."""
    seen = {row.tobytes() for row in _rows(table, training)}
    fresh = []
    for place, row in zip(scored, _rows(table, scored), strict=True):
        if row.tobytes() not in seen:
            seen.add(row.tobytes())
            fresh.append(place)
    return np.array(fresh, dtype=scored.dtype)


def repeated(table: Table) -> int:
    """Rows that repeat an earlier one."""
    return len(table.target) - len(np.unique(_rows(table, np.arange(len(table.target))), axis=0))


def _check_split(table: Table, number: int, training: Array, scored: Array, folds: int) -> None:
    where = f"set {table.name}, split {number}"
    if not len(scored):
        raise ValueError(f"{where}: no row is left to be scored; all repeat training rows")
    if len(training) < LEAST_ROWS * folds:
        raise ValueError(
            f"{where} has {len(training)} training rows, but tabular.folds = {folds} blocks need {LEAST_ROWS * folds} "
            "or more; lower tabular.folds, or take a larger set"
        )
    if np.ptp(table.target[training]) == 0:
        raise ValueError(f"{where}: all training targets are {table.target[training][0]:g}; there is nothing to learn")
