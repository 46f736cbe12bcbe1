"""What an audit does to the weeks after a training period: shift, permute and poison them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr

from podnas import artifacts
from podnas.windows import Array

HALF_YEAR_WEEKS = 26
POISON = 1e6  # no field has such a value in any unit of ours
SEED = 0

Harm = Callable[[Array], Array]


def shift(values: Array) -> Array:
    """Weeks (n, …) moved by half a year, so that winter comes in summer, and by 3 units."""
    return np.roll(values, HALF_YEAR_WEEKS, axis=0) + 3


def permute(values: Array) -> Array:
    """Weeks in another order."""
    return np.random.default_rng(SEED).permutation(values)


def poison(values: Array) -> Array:
    """One value that is far from all others."""
    return np.full_like(values, POISON)


HARMS: dict[str, Harm] = {"shift": shift, "permute": permute, "poison": poison}


def harmed(dataset: xr.Dataset, name: str, train_last: date, harm: Harm) -> xr.Dataset:
    """A field or coefficients whose weeks after `train_last` are harmed; gaps (land, clouds) stay as they are."""
    changed = dataset.copy(deep=True)
    later = dataset.time.values > np.datetime64(train_last)
    values = dataset[name].values[later]
    after = harm(values)
    changed[name].values[later] = np.where(np.isfinite(values) & np.isfinite(after), after, values)
    return changed


def field(source: Path, target: Path, train_last: date, harm: Harm) -> None:
    """Read a field, harm it, write it."""
    weekly = artifacts.read_field(source)
    artifacts.write_field(target, harmed(weekly, artifacts.field_name(weekly), train_last, harm))


def coefficients(path: Path, train_last: date, harm: Harm) -> None:
    """Harm coefficients where they stand."""
    artifacts.write_coefficients(path, harmed(artifacts.read_coefficients(path), "coefficient", train_last, harm))
