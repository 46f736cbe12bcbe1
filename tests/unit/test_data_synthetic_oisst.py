"""Synthetic daily OISST files: the published layout, plainly labelled, the table's weeks inside."""

import dataclasses
import os
import zlib
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from podnas.data import synthetic_oisst, twin

TABLE = Path(__file__).parents[2] / "resources" / "sst_twin.nc"
SEED = 3
DATES = np.array(["1981-09-01", "2003-06-15", "2021-10-25"], "datetime64[D]")
# attributes whose text says who observed what and when; a synthetic file has its own
ABOUT = {
    "title", "references", "source", "id", "summary", "history", "date_modified", "date_created", "processing_level",
    "institution", "creator_url", "creator_email", "platform", "instrument", "metadata_link", "comment", "sensor",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("oisst")
    synthetic_oisst.write_days(TABLE, made, DATES, SEED, preliminary=np.datetime64("2021-10-20"))
    return made


@pytest.fixture(scope="module")
def model():
    return synthetic_oisst.sea(TABLE, SEED)


def layout(path):
    """Everything of a file but its values and its global attributes; order of variables included."""
    with netCDF4.Dataset(path) as data:
        return {
            "model": (data.data_model, data.disk_format),
            "dimensions": [(name, len(dim), dim.isunlimited()) for name, dim in data.dimensions.items()],
            "variables": [
                (
                    name,
                    held.dtype,
                    held.dimensions,
                    held.chunking(),
                    held.filters(),
                    held.get_fill_value(),
                    held.endian(),
                )
                for name, held in data.variables.items()
            ],
            "attributes": {
                name: {key: (held.getncattr(key), type(held.getncattr(key))) for key in held.ncattrs()}
                for name, held in data.variables.items()
            },
        }


def real_files():
    folder = os.environ.get("PODNAS_DATA")
    found = sorted(Path(folder).glob("oisst_v2.1_daily/*.nc")) if folder else []
    if not found:
        pytest.skip("real daily files not found: set PODNAS_DATA")
    return found[0], found[-1]


@pytest.mark.parametrize("which", [0, -1], ids=["1981", "2021"])
def test_files_are_laid_out_as_the_real_ones(tmp_path, which):
    real = real_files()[which]
    date = np.array([f"{real.name[-11:-7]}-{real.name[-7:-5]}-{real.name[-5:-3]}"], "datetime64[D]")
    synthetic_oisst.write_days(TABLE, tmp_path, date, SEED)
    made = tmp_path / real.name
    assert layout(made) == layout(real)
    with netCDF4.Dataset(made) as ours, netCDF4.Dataset(real) as theirs:
        assert set(ours.ncattrs()) == {*theirs.ncattrs(), "data_kind"}
        for key in set(theirs.ncattrs()) - ABOUT:
            assert ours.getncattr(key) == theirs.getncattr(key), key
        for name in ("time", "zlev", "lat", "lon"):
            np.testing.assert_array_equal(ours[name][:], theirs[name][:])
    assert made.stat().st_size == pytest.approx(real.stat().st_size, rel=0.1)


def test_values_compress_as_the_real_ones_do(model):
    """Reading costs what it costs there: deflated bytes of sst, the share of sea, the roughness."""
    real = real_files()[1]
    with netCDF4.Dataset(real) as data:
        data["sst"].set_auto_maskandscale(False)
        theirs = data["sst"][0, 0]
    ours = synthetic_oisst.day(model, np.datetime64("2021-10-25")).sst
    assert deflated(ours) == pytest.approx(deflated(theirs), rel=0.1)
    assert (ours != -999).mean() == pytest.approx((theirs != -999).mean(), abs=0.02)
    assert roughness(ours) == pytest.approx(roughness(theirs), rel=0.3)


def deflated(packed):
    return len(zlib.compress(packed.view("u1").reshape(-1, 2).T.tobytes(), 4))


def roughness(packed):
    """Standard deviation of steps between neighbouring cells of the sea, in hundredths of a degree."""
    sea = packed != -999
    return np.diff(packed.astype("i4"), axis=1)[sea[:, 1:] & sea[:, :-1]].std()


def test_every_file_says_that_it_is_synthetic(folder):
    for path in folder.iterdir():
        with netCDF4.Dataset(path) as data:
            assert data.data_kind == "twin"
            assert data.title.startswith("Synthetic")
            assert "podnas" in data.title


def test_preliminary_files_have_the_archives_name_and_title(folder):
    assert {path.name for path in folder.iterdir()} == {
        "oisst-avhrr-v02r01.19810901.nc",
        "oisst-avhrr-v02r01.20030615.nc",
        "oisst-avhrr-v02r01.20211025_preliminary.nc",
    }
    with netCDF4.Dataset(folder / "oisst-avhrr-v02r01.20211025_preliminary.nc") as data:
        assert data.title.endswith("Version 2.1 - Preliminary")
    with netCDF4.Dataset(folder / "oisst-avhrr-v02r01.20030615.nc") as data:
        assert data.title.endswith("Version 2.1 - Final")
        assert (data.time_coverage_start, data.time_coverage_end) == ("2003-06-15T00:00:00Z", "2003-06-15T23:59:59Z")


def test_a_days_file_depends_on_seed_and_date_alone(folder, tmp_path):
    synthetic_oisst.write_days(TABLE, tmp_path, DATES[1:2], SEED, workers=2)
    name = "oisst-avhrr-v02r01.20030615.nc"
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    other = synthetic_oisst.day(synthetic_oisst.sea(TABLE, SEED + 1), DATES[1])
    with netCDF4.Dataset(folder / name) as data:
        data["sst"].set_auto_maskandscale(False)
        assert (data["sst"][0, 0] != other.sst).mean() > 0.3


def test_weekly_means_of_days_are_the_weeks_of_the_table(model):
    """Without eddies, far from coasts and ice, the mean of seven days, coarsened, is the table's week.

    What interpolation in space and time takes off are second differences: small against the field's 11 degrees.
    """
    calm = dataclasses.replace(model, eddies=np.zeros_like(model.eddies))
    weekly = twin.read_table(TABLE)
    number = 800
    first = weekly.start[number]
    days = [synthetic_oisst.day(calm, first + np.timedelta64(k, "D")).sst for k in range(7)]
    mean = np.mean(days, axis=0)[::-1].reshape(180, 4, 360, 4).mean(axis=(1, 3)) / 100
    sea = (days[0] != -999)[::-1].reshape(180, 4, 360, 4).all(axis=(1, 3)) & weekly.ocean & (mean > 0)
    table = np.full(weekly.ocean.shape, np.nan)
    table[weekly.ocean] = weekly.mean + weekly.coefficients[number] @ weekly.modes
    error = (mean - table)[sea]
    assert abs(error.mean()) < 0.02
    assert error.std() < 0.15
    assert np.abs(error).max() < 2


def test_dates_beyond_the_table_take_the_season_of_its_nearest_year(model):
    """1.5 years after the last week (centre 2018-06-27.5): two years earlier, to a day."""
    ours = synthetic_oisst._coefficients(model, float(np.datetime64("2019-12-20").astype("i8")) + 0.5)
    inside = synthetic_oisst._coefficients(model, float(np.datetime64("2017-12-20").astype("i8")) + 0.5)
    np.testing.assert_allclose(ours, inside, atol=0.15 * np.abs(model.coefficients).max(axis=0).max())
    assert np.corrcoef(ours, inside)[0, 1] > 0.99


def test_packed_values_hold_together(model):
    """sst is never below freezing, ice lies in cold water only, all but ice have values on the same cells."""
    values = synthetic_oisst.day(model, np.datetime64("2010-02-01"))
    assert values.sst[model.ocean].min() == -180
    for name in ("sst", "anom", "err"):
        np.testing.assert_array_equal(getattr(values, name) != -999, model.ocean)
    frozen = values.ice != -999
    assert 50_000 < frozen.sum() < 200_000
    assert values.sst[frozen].max() < 0
    assert values.ice[frozen].min() >= 15
    assert values.ice[frozen].max() <= 100


@pytest.fixture
def small_grid(monkeypatch):
    """Years of 20 x 40 cells whose value is the number of the day in hundredths; the first two rows are land."""
    monkeypatch.setattr(synthetic_oisst, "LAT", synthetic_oisst.LAT[::36])
    monkeypatch.setattr(synthetic_oisst, "LON", synthetic_oisst.LON[::36])
    monkeypatch.setattr(synthetic_oisst, "sea", lambda table, seed: None)
    monkeypatch.setattr(synthetic_oisst, "day", constant_day)


def constant_day(model, date):
    packed = np.full((20, 40), int((date - date.astype("datetime64[Y]")) / np.timedelta64(1, "D")), "i2")
    packed[:2] = -999
    return synthetic_oisst.Day(packed, packed, packed, packed)


@pytest.mark.usefixtures("small_grid")
@pytest.mark.parametrize(("product", "name"), [("v2", "sst.day.mean.1984.v2.nc"), ("v2.1", "sst.day.mean.1984.nc")])
def test_yearly_files_hold_the_days_of_the_year(tmp_path, product, name):
    synthetic_oisst.write_years(TABLE, tmp_path, [1984], SEED, product=product)
    with netCDF4.Dataset(tmp_path / name) as data:
        sst, time = data["sst"], data["time"]
        assert data.data_model == "NETCDF4_CLASSIC"
        assert [(dim.name, len(dim)) for dim in data.dimensions.values()] == [("lat", 20), ("lon", 40), ("time", 366)]
        assert (sst.dtype, sst.chunking(), sst.filters()["complevel"]) == (np.float32, [1, 20, 40], 2)
        assert data.title.startswith("Synthetic")
        assert data.data_kind == "twin"
        assert ("Version 2.1" in data.title) == (product == "v2.1")
        days = netCDF4.num2date(time[:], time.units)
        assert (str(days[0])[:10], str(days[-1])[:10]) == ("1984-01-01", "1984-12-31")
        np.testing.assert_allclose(sst[:, 10, 20].filled(np.nan), 0.01 * np.arange(366), atol=1e-6)
        assert sst[0].mask[:2].all()
        np.testing.assert_allclose(sst.actual_range, [0, 3.65], atol=1e-6)


@pytest.mark.usefixtures("small_grid")
def test_yearly_files_have_the_attributes_of_the_real_ones(tmp_path):
    folder = os.environ.get("PODNAS_DATA")
    real = Path(folder or "") / "oisst_v2_daily_yearly_indian_ocean" / "subset.sst.day.mean.1982.v2.nc"
    if not folder or not real.is_file():
        pytest.skip("real yearly files not found: set PODNAS_DATA")
    synthetic_oisst.write_years(TABLE, tmp_path, [1982], SEED)
    with netCDF4.Dataset(tmp_path / "sst.day.mean.1982.v2.nc") as ours, netCDF4.Dataset(real) as theirs:
        assert list(ours.variables) == list(theirs.variables)
        for name, held in theirs.variables.items():
            assert ours[name].dtype == held.dtype
            assert set(ours[name].ncattrs()) == set(held.ncattrs()), name
            for key in set(held.ncattrs()) - {"actual_range", "dataset"}:
                np.testing.assert_array_equal(ours[name].getncattr(key), held.getncattr(key))
        assert ours["sst"].filters() == theirs["sst"].filters()


def test_another_product_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"product is 'v3'; PSL has yearly files of v2 and v2\.1"):
        synthetic_oisst.write_years(TABLE, tmp_path, [1990], SEED, product="v3")
