"""Stage: the adaptor of rule `pod`, from a field on disk to a basis and coefficients on disk."""

from pathlib import Path

import numpy as np
import pytest

from podnas import artifacts
from podnas.config import PodConfig
from podnas.reduction import pod
from tests.adaptors import adaptor
from tests.unit.test_pod_out_of_core import field

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("precision", "share"), [("float64", 1e-10), ("float32", 1e-6)])
def test_field_to_basis_and_coefficients(tmp_path, precision, share):
    artifacts.write_field(tmp_path / "field.nc", field())
    config = PodConfig(modes=4, train_last="2001-09-01", precision=precision)
    adaptor("pod").main(tmp_path / "field.nc", tmp_path / "basis.nc", tmp_path / "coefficients.nc", config)
    basis = artifacts.read_basis(tmp_path / "basis.nc")
    coefficients = artifacts.read_coefficients(tmp_path / "coefficients.nc")
    weekly = artifacts.read_field(tmp_path / "field.nc")
    assert coefficients.sizes == {"time": 120, "mode": 4, "bounds": 2}
    assert basis.attrs["snapshots"] == 87
    trained = coefficients.coefficient.values[:87]
    np.testing.assert_allclose(trained.T @ trained / 87, np.diag(basis.variance), atol=share * basis.variance.values[0])
    np.testing.assert_array_equal(coefficients.time_bounds, weekly.time_bounds)
    found = pod.reconstruct(coefficients.coefficient.values, basis) - weekly.sst.values
    weight = np.where(np.isfinite(found[0]), basis.weight.values, 0)
    rmse = np.sqrt((np.nan_to_num(found) ** 2 * weight).sum(axis=(1, 2)) / weight.sum())
    np.testing.assert_allclose(coefficients.truncation_rmse, rmse, rtol=1e-4)
