"""The basis and coefficients of resources/sst_twin.nc (SC20's own coefficients) in the formats of this room."""

from __future__ import annotations

import numpy as np
import xarray as xr


def basis(table: xr.Dataset, field: xr.Dataset) -> xr.Dataset:
    """The table's mean and modes (estimates) as a basis; its variances are those of the 427 training weeks.

    The spectrum is that of the leading modes alone, as shares of their sum: the table knows no others.
    """
    first_join = int((field.segment.values == 0).sum())
    variance = table.coefficients.values[:first_join].var(axis=0)
    ones = table.ocean.where(table.ocean == 1).astype(np.float64).drop_attrs()
    time = table.time.values.astype("datetime64[D]")
    return xr.Dataset(
        {
            "mean": table["mean"].astype(np.float64),
            "modes": table.modes.astype(np.float64),
            "weight": ones.assign_attrs(units="1"),
            "cell_area": field.cell_area,
            "variance": ("mode", variance, {"units": "degree_Celsius2"}),
            "spectrum": ("rank", variance / variance.sum(), {"units": "1", "long_name": "share of the leading modes"}),
        },
        {"mode": table.mode, "rank": np.arange(1, len(variance) + 1), "lat": field.lat, "lon": field.lon},
        {
            "variable": "sst",
            "data_kind": "twin",
            "title": table.attrs["title"],
            "weights": "none",
            "train_first": str(time[0]),
            "train_last": str(time[first_join - 1]),
            "snapshots": first_join,
        },
    )


def coefficients(table: xr.Dataset, field: xr.Dataset) -> xr.Dataset:
    """The released coefficients (time, mode) with the field's week bounds and joins.

    Raises ValueError where the field lacks a week of the table.
    """
    missing = np.setdiff1d(table.time.values, field.time.values)
    if missing.size:
        raise ValueError(
            f"the field lacks {missing.size} of the {table.sizes['time']} weeks of the released coefficients (first: "
            f"{missing[0].astype('datetime64[D]')}); leave field.first and field.last open, or set "
            "pod.coefficients: projected"
        )
    weeks = field.sel(time=table.time)
    return xr.Dataset(
        {"coefficient": table.coefficients, "segment": weeks.segment},
        {"time": weeks.time, "time_bounds": weeks.time_bounds, "mode": table.mode},
        {"variable": "sst", "data_kind": "twin", "title": table.attrs["title"]},
    )
