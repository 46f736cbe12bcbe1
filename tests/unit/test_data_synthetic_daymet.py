"""Synthetic DayMet files: the published grid, calendar and layout, plainly labelled, real coefficients inside."""

import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from podnas.data import synthetic_daymet
from podnas.data.synthetic_daymet import Part

TABLE = Path(__file__).parents[2] / "resources" / "sst_twin.nc"
SEED = 3
PART = Part(rows=(4000, 4320), columns=(3900, 4250), days=3)


@pytest.fixture(scope="module")
def model():
    return synthetic_daymet.land(TABLE, None, SEED)


@pytest.fixture
def cached(monkeypatch, model):
    """Years are written from the model at hand."""
    monkeypatch.setattr(synthetic_daymet, "land", lambda *_: model)


def data_folder():
    folder = os.environ.get("PODNAS_DATA")
    if not folder or not (Path(folder) / "daymet_coefficients.npz").is_file():
        pytest.skip("DayMet's real coefficients not found: set PODNAS_DATA")
    return Path(folder)


def values(model, year, day, variable, part):
    return synthetic_daymet.values(model, year, day, variable, part, synthetic_daymet.coefficients(model, year)[day])


def write(folder, year, **options):
    synthetic_daymet.write_years(TABLE, None, folder, [year], SEED, **options)
    return netCDF4.Dataset(folder / f"daymet_v4_daily_na_{options.get('variable', 'tmax')}_{year}.nc")


@pytest.mark.usefixtures("cached")
def test_the_corner_and_size_of_the_whole_grid(tmp_path):
    """8,075 x 7,814 cells of 1 km; upper left corner (-4,560,750, 4,984,500) m: centres half a cell inside."""
    with write(tmp_path, 2000, part=Part(rows=(0, 2), days=1)) as data:
        assert (data["x"].units, data["y"].units) == ("m", "m")
        assert (data["x"][0], data["x"][-1], len(data["x"])) == (-4_560_250, 3_252_750, 7814)
        assert (data["y"][0], data["y"][1]) == (4_984_000, 4_983_000)
    with write(tmp_path, 2000, part=Part(rows=(8073, 8075), days=1), units="km") as data:
        assert (data["x"].units, data["y"].units) == ("km", "km")
        assert (data["x"][0], data["y"][1]) == (-4560.25, -3090)


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("year", "last"), [(2003, "2003-12-31"), (2004, "2004-12-30")])
def test_every_year_has_365_days_and_leap_years_end_on_30_december(tmp_path, year, last):
    with write(tmp_path, year, part=Part((4000, 4002), (4000, 4003))) as data:
        dates = [str(day)[:16] for day in netCDF4.num2date(data["time"][:], data["time"].units)]
        assert (len(dates), dates[0], dates[-1]) == (365, f"{year}-01-01 12:00", f"{last} 12:00")
        assert ("2004-02-29 12:00" in dates) == (year == 2004)
        np.testing.assert_array_equal(data["yearday"][:], np.arange(1, 366))
        np.testing.assert_array_equal(data["time_bnds"][:], data["time"][:][:, np.newaxis] + [[-0.5, 0.5]])


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("year", "chunk", "shuffle"), [(2019, [1, 320, 350], False), (2020, [3, 300, 300], True)])
def test_layout_of_both_releases(tmp_path, year, chunk, shuffle):
    with write(tmp_path, year, part=PART) as data:
        tmax = data["tmax"]
        assert data.data_model == "NETCDF4_CLASSIC"
        assert (tmax.dtype, tmax.dimensions, tmax.shape) == (np.float32, ("time", "y", "x"), (3, 320, 350))
        assert data.dimensions["time"].isunlimited()
        filters = tmax.filters()
        assert (tmax.chunking()[1:], filters["complevel"], filters["shuffle"]) == (chunk[1:], 4, shuffle)
        assert tmax.chunking()[0] == (10 if year == 2020 else 1)
        assert (tmax._FillValue, tmax.missing_value) == (-9999, -9999)


@pytest.mark.usefixtures("cached")
def test_header_follows_the_published_sample(tmp_path):
    sample = data_folder() / "daymet_v4_header_sample.nc"
    with netCDF4.Dataset(sample) as theirs, write(tmp_path, 1980, part=PART, variable="prcp", units="km") as ours:
        assert ours.data_model == theirs.data_model
        for name in ("x", "y", "time"):
            assert ours[name].dtype == theirs[name].dtype
            for key in set(theirs[name].ncattrs()) - {"_ChunkSizes", "_CoordinateAxisType"}:
                assert ours[name].getncattr(key) == theirs[name].getncattr(key)
        for key in ours["lambert_conformal_conic"].ncattrs():
            stated = theirs["lambert_conformal_conic"].getncattr(key)
            np.testing.assert_array_equal(ours["lambert_conformal_conic"].getncattr(key), stated)
        for key in ("_FillValue", "missing_value", "grid_mapping"):
            assert ours["prcp"].getncattr(key) == theirs["prcp"].getncattr(key)
        assert (ours.Conventions, ours.Version_data) == (theirs.Conventions, theirs.Version_data)


@pytest.mark.usefixtures("cached")
def test_every_file_says_that_it_is_synthetic(tmp_path):
    with write(tmp_path, 2001, part=PART) as data:
        assert data.data_kind == "twin"
        assert data.title.startswith("Synthetic")


@pytest.mark.usefixtures("cached")
def test_a_part_has_the_numbers_of_the_whole(tmp_path, model):
    inner = Part((4100, 4200), (4000, 4101))
    whole = values(model, 2005, 200, "tmax", PART)
    np.testing.assert_array_equal(values(model, 2005, 200, "tmax", inner), whole[100:200, 100:201])
    with write(tmp_path, 2005, part=PART) as data:
        data["tmax"].set_auto_maskandscale(False)
        for day in range(3):
            np.testing.assert_array_equal(data["tmax"][day], values(model, 2005, day, "tmax", PART))


@pytest.mark.usefixtures("cached")
def test_chunks_of_the_newer_layout_hold_the_same_numbers(tmp_path, model):
    """Bands of 300 rows and 10 days, the last of each cut short."""
    part = Part((4000, 4310), (4000, 4010), days=13)
    with write(tmp_path, 2021, part=part) as data:
        data["tmax"].set_auto_maskandscale(False)
        for day in (0, 9, 10, 12):
            np.testing.assert_array_equal(data["tmax"][day], values(model, 2021, day, "tmax", part))


def test_values_have_two_decimals_and_gaps_where_there_is_no_land(model):
    """Florida, between the Gulf of Mexico and the Atlantic."""
    coast = values(model, 2005, 190, "tmax", Part((6000, 6700), (5900, 6500)))
    land = coast != synthetic_daymet.FILL
    assert 0.02 < land.mean() < 0.9
    np.testing.assert_allclose(coast[land], np.round(coast[land], 2), atol=1e-5)
    assert -60 < coast[land].min() < coast[land].max() < 60
    assert (coast[~land] == -9999).all()


@pytest.mark.usefixtures("cached")
def test_positions_are_those_of_the_projection(tmp_path):
    """The cell that holds the origin of the projection: 42.5 N 100 W, centre 250 m east of it and on its row."""
    row, column = 4984, 4560
    with write(tmp_path, 2001, part=Part((row - 1, row + 2), (column - 1, column + 2), days=1)) as data:
        assert (data["x"][1], data["y"][1]) == (-250, 0)
        assert float(data["lat"][1, 1]) == pytest.approx(42.5, abs=1e-4)
        assert float(data["lon"][1, 1]) == pytest.approx(-100.003, abs=2e-3)
        assert data["lat"][0, 1] > data["lat"][1, 1]
        assert data["lon"][1, 2] > data["lon"][1, 1]


def test_modes_are_orthonormal_over_land(model):
    held = model.modes[:, model.land > 0].astype("f8")
    np.testing.assert_allclose(held @ held.T, np.eye(20), atol=1e-5)


def test_real_coefficients_come_back_by_projection():
    """What is generated holds the real coefficients: the 10 km fields, projected on the modes, give them again."""
    folder = data_folder()
    model = synthetic_daymet.land(TABLE, folder, SEED)
    wet = model.land > 0
    assert wet.sum() == 201_928
    with np.load(folder / "daymet_coefficients.npz") as held:
        train, test = held["train"], held["test"]
    np.testing.assert_array_equal(synthetic_daymet.coefficients(model, 2000), train[:365])
    np.testing.assert_array_equal(synthetic_daymet.coefficients(model, 2010), train[-365:])
    np.testing.assert_array_equal(synthetic_daymet.coefficients(model, 2011), test[:365])
    np.testing.assert_array_equal(synthetic_daymet.coefficients(model, 2018), train[:365])
    np.testing.assert_array_equal(synthetic_daymet.coefficients(model, 1999), test[-365:])
    field = np.tensordot(train[100], model.modes, axes=1)
    np.testing.assert_allclose(model.modes[:, wet] @ field[wet], train[100], atol=0.1)


def test_without_real_coefficients_the_year_has_seasons_and_its_seed(model):
    first = synthetic_daymet.coefficients(model, 2004)
    np.testing.assert_array_equal(first, synthetic_daymet.coefficients(model, 2004))
    assert np.abs(first - synthetic_daymet.coefficients(model, 2005)).max() > 100
    assert first[:60, 0].mean() > 3000
    assert first[160:220, 0].mean() < -3000


@pytest.mark.usefixtures("cached")
def test_rain_is_never_negative_and_nights_are_colder(tmp_path):
    with write(tmp_path, 2001, part=PART, variable="prcp") as data:
        assert 0 <= data["prcp"][:].min() < 0.01 < data["prcp"][:].max()
        assert data["prcp"].units == "mm/day"
    with write(tmp_path, 2001, part=PART, variable="tmin") as night, write(tmp_path, 2001, part=PART) as noon:
        np.testing.assert_allclose(noon["tmax"][:] - night["tmin"][:], 11, atol=0.011)


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variable": "snow"}, "variable is 'snow'; synthetic DayMet files hold one of tmax, tmin, prcp"),
        ({"units": "miles"}, "units is 'miles'; x and y of DayMet files are in m or km"),
    ],
)
def test_what_does_not_exist_is_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path, 2001, **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": (5, 5)}, r"rows is \(5, 5\); give two increasing numbers from 0 to 8075"),
        ({"columns": (0, 7815)}, r"columns is \(0, 7815\); give two increasing numbers from 0 to 7814"),
        ({"days": 366}, "days is 366; a DayMet year has 1 to 365"),
    ],
)
def test_a_part_that_lies_outside_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Part(**given)
