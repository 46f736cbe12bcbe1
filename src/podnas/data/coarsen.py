"""Area-weighted coarsening by a whole number of cells, in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from podnas.data import grid

ROUNDING = 1e-9


def block_mean(field: xr.DataArray, factor: int, least_valid_share: float) -> xr.DataArray:
    """Area mean over blocks of factor x factor cells; NaN is missing.

    field: (..., lat, lon) with lat, lon in degrees on a regular grid. A coarse cell has a value, the mean of its valid
    part, where at least `least_valid_share` of its area is valid. With no gaps the area mean is conserved.
    ValueError where the grid is no multiple of the factor.
    """
    if factor == 1:
        return field
    _check_divides(field, factor)
    area = grid.cell_area(field["lat"].values, field["lon"].values).values
    valid = np.isfinite(field.values)
    valid_area = _sum_blocks(np.where(valid, area, 0.0), factor)
    total = _sum_blocks(np.where(valid, field.values, 0.0) * area, factor)
    enough = valid_area >= max(least_valid_share - ROUNDING, ROUNDING) * _sum_blocks(area, factor)
    mean = np.divide(total, valid_area, out=np.full(total.shape, np.nan), where=enough)
    coords = {name: field.coords[name] for name in field.dims if name not in ("lat", "lon")}
    coords |= {name: field[name].values.astype("f8").reshape(-1, factor).mean(axis=1) for name in ("lat", "lon")}
    return xr.DataArray(mean.astype(field.dtype), coords, field.dims, field.name, field.attrs)


def _check_divides(field: xr.DataArray, factor: int) -> None:
    rows, columns = field.sizes["lat"], field.sizes["lon"]
    if rows % factor or columns % factor:
        raise ValueError(
            f"field.coarsen is {factor}, but the selected grid has {rows} x {columns} cells, no multiple of it; "
            "choose a divisor of both or change field.lat and field.lon"
        )


def _sum_blocks(values: NDArray[Any], factor: int) -> NDArray[np.float64]:
    *leading, rows, columns = values.shape
    blocks = values.reshape(*leading, rows // factor, factor, columns // factor, factor)
    summed: NDArray[np.float64] = blocks.sum(axis=(-3, -1), dtype="f8")
    return summed
