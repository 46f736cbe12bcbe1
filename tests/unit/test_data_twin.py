"""The twin: PSL's header, and a POD of its files that gives the released coefficients back."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from podnas.artifacts import ArtifactError
from podnas.data import twin
from podnas.data.archive import MASK_FILE, WEEKLY_FILES

TABLE = Path(__file__).parents[2] / "resources" / "sst_twin.nc"
CAPTURED = 0.92
SEED = 1981


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("twin")
    twin.write_archive(TABLE, made, SEED, CAPTURED)
    return made


@pytest.fixture(scope="module")
def ocean(folder):
    with xr.open_dataset(folder / MASK_FILE, decode_times=False) as data:
        return data["mask"].values[0] == 1


@pytest.fixture(scope="module")
def snapshots(folder, ocean):
    """Ocean cells of all 1,914 weeks, as written and read back."""
    parts = []
    for name in WEEKLY_FILES:
        with xr.open_dataset(folder / name) as data:
            parts.append(data["sst"].values.astype("f4")[:, ocean])
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def pod(snapshots):
    """Unweighted POD by the method of snapshots: shares of variance of the training weeks, coefficients of all."""
    anomalies = snapshots - snapshots[:427].mean(axis=0)
    gram = anomalies[:427].astype("f8") @ anomalies[:427].T
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    modes = anomalies[:427].T @ (vectors[:, :5] / np.sqrt(values[:5]))
    return values / values.sum(), anomalies @ modes


@pytest.mark.parametrize("weeks", [slice(0, 427), slice(427, None), slice(None)], ids=["training", "test", "all"])
def test_pod_of_the_files_gives_the_released_coefficients(pod, weeks):
    released = twin.read_table(TABLE).coefficients[weeks]
    found = pod[1][weeks]
    match = [abs(np.corrcoef(found[:, k], released[:, k])[0, 1]) for k in range(5)]
    assert min(match[:4]) >= 0.999
    assert match[4] >= 0.99


def test_five_modes_hold_the_stated_share_of_the_training_variance(pod):
    assert pod[0][:5].sum() == pytest.approx(CAPTURED, abs=0.002)


def test_residual_is_orthogonal_to_the_modes_in_every_week_and_correlated_in_space_and_time():
    table = twin.read_table(TABLE)
    noise = twin.residual(table, SEED, CAPTURED)
    leak = np.abs(noise @ table.modes.T).max() / np.linalg.norm(noise, axis=1).max()
    assert leak < 1e-4
    lag = [np.corrcoef(noise[:-1, cell], noise[1:, cell])[0, 1] for cell in (5000, 20000, 40000)]
    assert 0.6 < min(lag) < max(lag) < 0.9
    # cells follow each other along a row of the grid, so most neighbours in the list are neighbours on the sphere
    assert np.corrcoef(noise[:, 20000], noise[:, 20001])[0, 1] > 0.8
    assert abs(np.corrcoef(noise[:, 5000], noise[:, 40000])[0, 1]) < 0.3


def test_the_seed_decides_the_residual():
    table = twin.read_table(TABLE)
    first = twin._smooth_noise(np.random.default_rng(1), table.ocean)
    np.testing.assert_array_equal(first, twin._smooth_noise(np.random.default_rng(1), table.ocean))
    assert np.abs(first - twin._smooth_noise(np.random.default_rng(2), table.ocean)).max() > 0.1


@pytest.mark.parametrize(
    ("name", "weeks", "first", "last"),
    [(WEEKLY_FILES[0], 427, "1981-10-29", "1989-12-28"), (WEEKLY_FILES[1], 1487, "1989-12-31", "2018-06-24")],
)
def test_weekly_files_have_the_header_and_packing_of_psl(folder, name, weeks, first, last):
    with netCDF4.Dataset(folder / name) as data:
        assert {key: len(size) for key, size in data.dimensions.items()} == {
            "lat": 180,
            "lon": 360,
            "time": weeks,
            "nbnds": 2,
        }
        sst, time = data["sst"], data["time"]
        assert sst.dimensions == ("time", "lat", "lon")
        assert (sst.dtype, sst.units, sst.missing_value) == (np.int16, "degC", 32767)
        assert (sst.scale_factor, sst.add_offset) == (np.float32(0.01), 0)
        assert (data["lat"][0], data["lat"][-1], data["lon"][0], data["lon"][-1]) == (89.5, -89.5, 0.5, 359.5)
        assert (time.dtype, time.units, time.delta_t) == (
            np.float64,
            "days since 1800-1-1 00:00:00",
            "0000-00-07 00:00:00",
        )
        np.testing.assert_array_equal(np.diff(data["time_bnds"][:], axis=1), 7)
        np.testing.assert_array_equal(data["time_bnds"][:, 0], time[:])
    with xr.open_dataset(folder / name) as data:
        days = data["time"].values.astype("datetime64[D]").astype(str)
        assert (days[0], days[-1]) == (first, last)


def test_the_files_say_plainly_that_they_are_synthetic(folder):
    for name in (*WEEKLY_FILES, MASK_FILE):
        with netCDF4.Dataset(folder / name) as data:
            assert data.data_kind == "twin"
            assert "Synthetic" in data.title
            assert "podnas" in data.title


def test_mask_is_the_real_one_in_its_own_format(folder, ocean):
    assert ocean.sum() == 44_219
    with netCDF4.Dataset(folder / MASK_FILE) as data:
        assert data.data_model == "NETCDF3_CLASSIC"
        assert (data["mask"].dtype, data["mask"].shape) == (np.int16, (1, 180, 360))


def test_land_is_filled_from_the_ocean_around_it(folder, ocean):
    with xr.open_dataset(folder / WEEKLY_FILES[0]) as data:
        week = data["sst"].isel(time=3).values
    assert np.isfinite(week).all()
    assert week[ocean].min() - 0.01 <= week[~ocean].min()
    assert week[~ocean].max() <= week[ocean].max() + 0.01


def test_land_filler_interpolates_a_constant_exactly():
    lat, lon = np.array([1.0, 0.0, -1.0]), np.arange(5.0)
    ocean = np.ones((3, 5), bool)
    ocean[1, 2] = False
    fill = twin.land_filler(lat, lon, ocean)
    assert fill.shape == (1, 14)
    assert fill.nnz == 4
    np.testing.assert_allclose(fill @ np.full(14, 7.0), 7.0)


def test_a_missing_table_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ArtifactError, match=r"no_table\.nc cannot be read .*git checkout"):
        twin.read_table(tmp_path / "no_table.nc")
