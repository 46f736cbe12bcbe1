"""POD against a field whose decomposition is known, and its invariants."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from podnas.config import PodConfig
from podnas.reduction import pod


def field(values: np.ndarray, area: np.ndarray | None = None) -> xr.Dataset:
    weeks, rows, columns = values.shape
    time = pd.date_range("2000-01-02", periods=weeks, freq="7D")
    bounds = np.stack([time, time + pd.Timedelta(days=7)], axis=1)
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values.astype(np.float32)),
            "cell_area": (("lat", "lon"), np.ones((rows, columns)) if area is None else area),
            "segment": ("time", np.zeros(weeks, dtype=np.int32)),
        },
        {
            "time": time,
            "lat": np.arange(rows, dtype=float),
            "lon": np.arange(columns, dtype=float),
            "time_bounds": (("time", "bounds"), bounds),
        },
        {"data_kind": "twin", "title": "made up"},
    )


def config(**changes: object) -> PodConfig:
    return PodConfig.model_validate({"modes": 2, "weights": "none", "train_last": "2030-01-01", **changes})


def random_field(weeks: int, seed: int, area: np.ndarray | None = None) -> xr.Dataset:
    values = np.random.default_rng(seed).normal(size=(weeks, 3, 4)) + 15
    values[:, 0, 0] = np.nan
    return field(values, area)


def test_rank_two_field_by_hand():
    # X = a(t) p + b(t) q with p, q orthonormal over two of four cells each and a, b uncorrelated with mean 0:
    # the modes are p and q, the variances mean(a^2) = 4 and mean(b^2) = 1, the shares .8 and .2
    a, b = np.array([2.0, -2.0, 2.0, -2.0]), np.array([1.0, 1.0, -1.0, -1.0])
    p, q = np.array([[0.6, 0.8], [0, 0]]), np.array([[0, 0], [0.8, 0.6]])
    basis = pod.fit(field(20 + a[:, None, None] * p + b[:, None, None] * q), config())
    np.testing.assert_allclose(basis.variance, [4, 1], rtol=1e-5)
    np.testing.assert_allclose(basis.spectrum[:2], [0.8, 0.2], rtol=1e-5)
    np.testing.assert_allclose(basis.modes[0], p, atol=1e-5)
    np.testing.assert_allclose(basis.modes[1], q, atol=1e-5)
    np.testing.assert_allclose(basis["mean"], 20, rtol=1e-6)


@settings(deadline=None)
@given(weeks=st.integers(4, 30), seed=st.integers(0, 1000), weights=st.sampled_from(["area", "none"]))
def test_modes_are_orthonormal_and_coefficients_uncorrelated(weeks, seed, weights):
    area = np.random.default_rng(seed).uniform(0.5, 2, size=(3, 4))
    weekly = random_field(weeks, seed, area)
    basis = pod.fit(weekly, config(weights=weights, modes=3))
    ocean = np.isfinite(basis["mean"].values)
    modes, weight = basis.modes.values[:, ocean], basis.weight.values[ocean]
    np.testing.assert_allclose((modes * weight) @ modes.T, np.eye(3), atol=1e-6)
    coefficients = pod.project(weekly, basis).coefficient.values
    np.testing.assert_allclose(coefficients.T @ coefficients / weeks, np.diag(basis.variance), atol=1e-5)


@settings(deadline=None)
@given(modes=st.integers(1, 8), seed=st.integers(0, 1000))
def test_reconstruction_error_is_the_discarded_energy(modes, seed):
    area = np.random.default_rng(seed).uniform(0.5, 2, size=(3, 4))
    weekly = random_field(12, seed, area)
    basis = pod.fit(weekly, config(weights="area", modes=modes))
    projected = pod.project(weekly, basis)
    error = pod.reconstruct(projected.coefficient.values, basis) - weekly.sst.values
    ocean = np.isfinite(basis["mean"].values)
    weight = basis.weight.values[ocean]
    squared = (error[:, ocean] ** 2) @ weight
    total = basis.variance.values.sum() / basis.spectrum.values[:modes].sum()
    discarded = total * basis.spectrum.values[modes:].sum()
    np.testing.assert_allclose(squared.mean(), discarded, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(projected.truncation_rmse, np.sqrt(squared / weight.sum()), rtol=1e-3, atol=1e-4)


def test_sign_rule_makes_modes_reproducible():
    weekly = random_field(10, 3)
    flipped = weekly.assign(sst=(2 * weekly.sst.mean("time") - weekly.sst).transpose(*weekly.sst.dims))
    np.testing.assert_allclose(pod.fit(weekly, config()).modes, pod.fit(flipped, config()).modes, atol=1e-4)


def test_number_of_modes_by_captured_variance():
    basis = pod.fit(random_field(20, 1), config(modes=None, captured_variance=0.6))
    captured = np.cumsum(basis.spectrum.values)
    assert captured[basis.sizes["mode"] - 1] >= 0.6
    assert captured[basis.sizes["mode"] - 2] < 0.6


def test_only_training_weeks_are_seen():
    weekly = random_field(20, 1)
    poisoned = weekly.copy(deep=True)
    poisoned.sst.values[12:] = 99
    early = config(train_last=str(weekly.time.values[11])[:10])
    xr.testing.assert_identical(pod.fit(weekly, early), pod.fit(poisoned, early))


def test_more_modes_than_snapshots_are_refused():
    with pytest.raises(ValueError, match=r"pod.modes is 9, but 6 training snapshots .* set pod.modes <= 5"):
        pod.fit(random_field(6, 0), config(modes=9))


def test_one_snapshot_is_refused():
    with pytest.raises(ValueError, match="at least 2 training snapshots; 1 week"):
        pod.fit(random_field(6, 0), config(train_last="2000-01-03"))


def test_a_mask_that_changes_in_time_is_refused():
    weekly = random_field(6, 0)
    weekly.sst.values[2, 1, 1] = np.nan
    with pytest.raises(ValueError, match="1 cells have data in some weeks and none in others"):
        pod.fit(weekly, config())


def test_a_field_that_never_changes_is_refused():
    with pytest.raises(ValueError, match="never changes"):
        pod.fit(field(np.full((5, 2, 2), 12.0)), config())


def test_projection_on_another_grid_is_refused():
    basis = pod.fit(random_field(6, 0), config())
    with pytest.raises(ValueError, match="is not the basis's grid"):
        pod.project(random_field(6, 0).isel(lon=slice(0, 3)), basis)
