"""What the modes leave out of a field: the variance of its residual by season, in cells and in region means.

The residual is the field less its basis's mean and the modes that are kept. Its variance is about zero, since a
forecast by modes says nothing of it, so that a residual which the season repeats counts. A region mean's variance comes
from the residual's own region means week by week: with the covariances between cells, not as a mean over cells.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from podnas import artifacts
from podnas.data import variables
from podnas.reduction.snapshots import GB, Array, Field, Tile, of

SEASONS = ("DJF", "MAM", "JJA", "SON")
HALF_WEEK = np.timedelta64(84, "h")


def season(centres: Array) -> Array:
    """Number of the season in SEASONS of dates (…): by the month of the middle of the week."""
    month = centres.astype("datetime64[M]").astype(int) % 12
    number: Array = (month + 1) % 12 // 3
    return number


def fit(
    field: Field,
    basis: xr.Dataset,
    coefficients: xr.Dataset,
    last: str,
    regions: Mapping[str, Array] | None = None,
    memory_gb: float = 0.5,
) -> xr.Dataset:
    """Variance of the residual of the weeks up to the day `last`, which ends training.

    field: as for `pod.fit`, weeks as those of the coefficients (time, mode). regions: weight of each cell (row, column)
    in the mean of a region, summing to 1, 0 or NaN off it. Gives `variance` (season, row, column), `region_variance`
    (season, region), both in the field's units squared, and `weeks` (season). Raises ValueError where weeks differ or a
    season has none.
    """
    fields = [field] if isinstance(field, xr.Dataset) else list(field)
    values = of(fields).until(last)
    _check_weeks(values.times, coefficients)
    of_week = season(values.times + HALF_WEEK)
    weeks = np.bincount(of_week, minlength=len(SEASONS))
    if not weeks.all():
        raise ValueError(
            f"the {values.count} weeks up to {last} have {dict(zip(SEASONS, weeks.tolist(), strict=True))} in the "
            "seasons; lengthen the training period to a year"
        )
    regions = dict(regions or {})
    weights = np.nan_to_num(np.array([regions[name] for name in regions]).reshape(len(regions), *values.grid))
    squares, means = np.zeros((len(SEASONS), *values.grid)), np.zeros((values.count, len(regions)))
    for times, tile in values.boxes(int(memory_gb * GB / (values.cell_bytes + 16))):
        residual = _residual(
            values.read(tile, times.start, times.stop), basis, tile, coefficients.coefficient.values[times]
        )
        for number in range(len(SEASONS)):
            squares[(number, *tile)] += (residual[of_week[times] == number] ** 2).sum(axis=0)
        means[times] += np.tensordot(np.nan_to_num(residual), weights[:, tile[0], tile[1]], axes=((1, 2), (1, 2)))
    of_means = np.stack([(means[of_week == number] ** 2).mean(axis=0) for number in range(len(SEASONS))])
    return _dataset(basis, squares / weeks[:, None, None], of_means, weeks, list(regions))


def _check_weeks(times: Array, coefficients: xr.Dataset) -> None:
    same = coefficients.time.values[: len(times)]
    if len(same) != len(times) or (same != times).any():
        raise ValueError(
            f"the field has {len(times)} training weeks from {times[0].astype('datetime64[D]')} on, which are not the "
            f"first of the {coefficients.sizes['time']} weeks of the coefficients; project this field on the basis"
        )


def _residual(raw: Array, basis: xr.Dataset, tile: Tile, coefficients: Array) -> Array:
    """Values (time, row, column) of a tile less the mean and the modes; NaN off the mask."""
    modes = basis.modes.values[:, tile[0], tile[1]]
    residual: Array = raw - basis["mean"].values[tile] - np.tensordot(coefficients, modes, axes=1)
    return residual


def _dataset(basis: xr.Dataset, cells: Array, of_means: Array, weeks: Array, regions: list[str]) -> xr.Dataset:
    grid, units = artifacts.grid_dims(basis), {"units": variables.of(basis).squared_units}
    return xr.Dataset(
        {
            "variance": (("season", *grid), cells, {**units, "long_name": "mean square of what the modes leave out"}),
            "region_variance": (("season", "region"), of_means, {**units, "long_name": "the same of region means"}),
            "weeks": ("season", weeks, {"long_name": "training weeks"}),
        },
        {"season": list(SEASONS), "region": regions, **artifacts.grid_coords(basis)},
        {"variable": variables.of(basis).name, "data_kind": basis.attrs["data_kind"], "modes": basis.sizes["mode"]},
    )
