"""DayMet's released daily coefficients as weekly ones, and the maps that go with them in a twin's field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from podnas import artifacts
from podnas.config import FieldConfig, JoinConfig
from podnas.data import synthetic_daymet, variables, weekly

Floats = NDArray[np.floating[Any]]


def coefficients(
    daily: Floats, years: Sequence[int], modes: int, config: FieldConfig, joins: Sequence[JoinConfig], title: str
) -> xr.Dataset:
    """Weekly means (time, mode) of the leading daily coefficients (year, 365, mode), on the calendar of the field.

    Raises ValueError where more modes are asked for than there are.
    """
    if modes > daily.shape[2]:
        raise ValueError(f"pod.modes is {modes}, but DayMet's coefficients are {daily.shape[2]}; ask for no more")
    days = np.concatenate([synthetic_daymet.days_of(year) for year in years])
    values = daily.reshape(-1, daily.shape[2])[:, :modes]
    kept = np.ones(len(days), bool)
    for end, outside in ((config.first, np.less), (config.last, np.greater)):
        if end is not None:
            kept &= ~outside(days, np.datetime64(end, "D"))
    days, values = days[kept], values[kept]
    starts, places = weekly.weeks(days, config)
    means = np.stack([values[held].mean(axis=0) for held in places])
    return xr.Dataset(
        {
            "coefficient": (("time", "mode"), means, {"units": "degree_Celsius"}),
            "segment": ("time", weekly.segments(starts, joins, config.weeks == "of_year")),
        },
        {
            "time": starts.astype("datetime64[ns]"),
            "time_bounds": (("time", "bounds"), weekly.bounds(starts, weekly.ends(starts, days, places))),
            "mode": np.arange(1, modes + 1),
        },
        {"variable": "tmax", "data_kind": "twin", "title": title},
    )


def basis(field: xr.Dataset, known: xr.Dataset, train_last: date) -> xr.Dataset:
    """Mean and modes of known coefficients in a field: least squares of its training weeks on theirs, cell by cell.

    The modes belong to a larger domain than the field covers, so they are not orthonormal over its cells. The spectrum
    is that of the known modes alone, as shares of their sum. Raises ValueError where the field lacks a training week.
    """
    name, grid = artifacts.field_name(field), artifacts.grid_dims(field)
    training = known.sel(time=slice(None, str(train_last)))
    missing = np.setdiff1d(training.time.values, field.time.values)
    if missing.size:
        raise ValueError(
            f"the field lacks {missing.size} of the {training.sizes['time']} training weeks of the coefficients "
            f"(first: {missing[0].astype('datetime64[D]')}); take the same source.years, "
            "field.first and field.last for both"
        )
    weekly_values = field[name].sel(time=training.time).values
    valid = np.isfinite(weekly_values[0])
    values = training.coefficient.values
    terms = np.column_stack([np.ones(len(values)), values])
    fitted = np.linalg.lstsq(terms, weekly_values[:, valid].astype("f8"), rcond=None)[0]
    maps = np.full((len(fitted), *valid.shape), np.nan)
    maps[:, valid] = fitted
    variance = values.var(axis=0)
    units = variables.variable(name)
    time = training.time.values.astype("datetime64[D]")
    return xr.Dataset(
        {
            "mean": (grid, maps[0], {"units": units.units}),
            "modes": (("mode", *grid), maps[1:], {"units": "1"}),
            "weight": (grid, np.where(valid, 1.0, np.nan), {"units": "1"}),
            "cell_area": field.cell_area.load(),
            "variance": ("mode", variance, {"units": units.squared_units}),
            "spectrum": ("rank", variance / variance.sum(), {"units": "1", "long_name": "share of the leading modes"}),
        },
        {"mode": known.mode, "rank": np.arange(1, len(variance) + 1), **artifacts.grid_coords(field)},
        {
            "variable": name,
            "data_kind": field.attrs["data_kind"],
            "title": known.attrs["title"],
            "weights": "none",
            "train_first": str(time[0]),
            "train_last": str(time[-1]),
            "snapshots": len(time),
        },
    )
