"""The variance that the modes leave out, by season, against whole residual fields."""

from __future__ import annotations

import numpy as np
import pytest

from podnas.reduction import pod, truncation
from tests.unit.test_pod import config, random_field

WEEKS = 120


def made() -> tuple:
    weekly = random_field(WEEKS, 0)
    basis = pod.fit(weekly, config(modes=2))
    return weekly, basis, pod.project(weekly, basis)


def box(basis) -> np.ndarray:
    """Mean over four cells, one of which has no values."""
    inside = np.zeros((3, 4), bool)
    inside[:2, :2] = np.isfinite(basis["mean"].values)[:2, :2]
    return inside / inside.sum()


def test_seasons_are_by_the_month():
    months = np.array([f"2001-{month:02d}-15" for month in range(1, 13)], dtype="datetime64[ns]")
    assert truncation.season(months).tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0]


@pytest.mark.parametrize("last", ["2030-01-01", "2001-06-30"])
@pytest.mark.parametrize("memory_gb", [0.5, 1e-6])
def test_variances_are_those_of_the_residual_fields(last, memory_gb):
    weekly, basis, coefficients = made()
    found = truncation.fit(weekly, basis, coefficients, last, {"box": box(basis)}, memory_gb)
    until = weekly.sel(time=slice(None, last))
    whole = pod.reconstruct(coefficients.coefficient.values[: len(until.time)], basis)
    residual = until.sst.values - whole
    seasons = truncation.season(until.time.values + np.timedelta64(84, "h"))
    for number in range(4):
        mine = residual[seasons == number]
        np.testing.assert_allclose(found.variance[number], (mine**2).mean(axis=0), rtol=1e-4)
        of_mean = np.nansum(mine * box(basis), axis=(1, 2))
        np.testing.assert_allclose(found.region_variance[number, 0], (of_mean**2).mean(), rtol=1e-4)
    assert found.weeks.values.sum() == len(until.time)
    assert np.isnan(found.variance.values[:, 0, 0]).all()


def test_a_region_mean_is_not_the_mean_of_the_cells_variances():
    # residuals of neighbours cancel or add up: their covariance counts
    weekly, basis, coefficients = made()
    found = truncation.fit(weekly, basis, coefficients, "2030-01-01", {"box": box(basis)})
    mean_of_cells = np.nansum(found.variance.values * box(basis), axis=(1, 2))
    assert (found.region_variance.values[:, 0] < 0.7 * mean_of_cells).all()


def test_another_field_is_refused():
    weekly, basis, coefficients = made()
    with pytest.raises(ValueError, match="which are not the first of the 119 weeks of the coefficients"):
        truncation.fit(weekly, basis, coefficients.isel(time=slice(1, None)), "2030-01-01")


def test_half_a_year_is_refused():
    weekly, basis, coefficients = made()
    with pytest.raises(ValueError, match=r"'SON': 0\}.*lengthen the training period to a year"):
        truncation.fit(weekly, basis, coefficients, "2000-06-30")
