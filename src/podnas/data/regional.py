"""The area mean of a region's cells as a series of one mode."""

from __future__ import annotations

import numpy as np
import xarray as xr

from podnas.config import RegionConfig
from podnas.data import grid, variables


def series(field: xr.Dataset, region: RegionConfig) -> xr.Dataset:
    """Weekly area means (time, mode) in the field's units, over the cells that have values in every week.

    Cells count whose centre lies in the box. Raises ValueError where none is left.
    """
    variable = variables.of(field)
    here = grid.inside(*grid.places(field), region.lat, region.lon)
    values, area = field[variable.name].values[:, here], field.cell_area.values[here]
    whole = np.isfinite(values).all(axis=0)
    if not whole.any():
        raise ValueError(
            f"verify.regions, {region.name}: none of the {here.sum()} cells of the box {region.lat}, {region.lon} has "
            "values in every week; choose another box"
        )
    mean = values[:, whole].astype(np.float64) @ (area[whole] / area[whole].sum())
    return xr.Dataset(
        {
            "coefficient": (("time", "mode"), mean[:, None], {"units": variable.units}),
            "segment": ("time", field.segment.values),
        },
        {"time": field.time.values, "mode": [1]},
        {"data_kind": field.attrs["data_kind"], "title": f"area mean of {region.label}"},
    )
