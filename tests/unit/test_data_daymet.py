"""DayMet's files: calendar, coordinates, projection, ragged edges; a small file laid out like the real ones."""

import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from podnas import artifacts
from podnas.config import FieldConfig, SourceConfig
from podnas.data import daymet, field
from podnas.data.lambert import Lambert

ROWS, COLUMNS = 25, 33
SOURCE = SourceConfig(kind="path", files=("*.nc",), variable="tmax")
CONFIG = FieldConfig(coarsen=10, beyond_edge=True, weeks="of_year")
MAPPING = {
    "grid_mapping_name": "lambert_conformal_conic",
    "longitude_of_central_meridian": -100.0,
    "latitude_of_projection_origin": 42.5,
    "false_easting": 0.0,
    "false_northing": 0.0,
    "standard_parallel": np.array([25.0, 60.0]),
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
}


def daymet_file(folder, year, unit="m", calendar="standard", count=365, name="tmax", units="degrees C", shift=0.0):
    """A year of DayMet V4, all days of a value that tells the day: its number in the year, from 1."""
    path = folder / f"daymet_v4_daily_na_{name}_{year}.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC") as data:
        data.Version_data = "Daymet Data Version 4.0"
        data.createDimension("time", None)
        data.createDimension("y", ROWS)
        data.createDimension("x", COLUMNS)
        metres = {"y": 984000.0 + shift - 1000 * np.arange(ROWS), "x": -1560250.0 + 1000 * np.arange(COLUMNS)}
        for axis, centres in metres.items():
            held = data.createVariable(axis, "f4" if unit == "km" else "f8", (axis,))
            held.units = unit
            held[:] = centres / (1000 if unit == "km" else 1)
        data.createVariable("lambert_conformal_conic", "i2", ()).setncatts(MAPPING)
        time = data.createVariable("time", "f8", ("time",))
        time.units, time.calendar = f"days since {'1950' if calendar == 'standard' else year}-01-01 00:00:00", calendar
        first = (np.datetime64(f"{year}-01-01") - np.datetime64("1950-01-01")).astype(int)
        time[:] = (first if calendar == "standard" else 0) + np.arange(count) + 0.5
        values = data.createVariable(name, "f4", ("time", "y", "x"), fill_value=np.float32(-9999), zlib=True,
                                     chunksizes=(1, 10, 10))  # fmt: skip
        values.missing_value, values.units, values.grid_mapping = np.float32(-9999), units, "lambert_conformal_conic"
        day = np.arange(1, count + 1, dtype="f4")[:, None, None]
        values[:] = np.where(np.arange(COLUMNS) < 5, -9999, day / 10 + np.zeros((1, ROWS, COLUMNS), "f4"))
    return path


def build(paths, config=CONFIG, **more):
    return field.build(paths, None, SOURCE, config, **more)


@pytest.mark.parametrize("unit", ["m", "km"])
@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_a_leap_year_has_its_29_february_and_not_its_31_december(tmp_path, unit, calendar):
    made = build([daymet_file(tmp_path, 2000, unit, calendar), daymet_file(tmp_path, 2001, unit, calendar)])
    starts = made["time"].values.astype("M8[D]").astype(str)
    assert (len(starts), starts[8], starts[9], starts[51], starts[52]) == (
        104, "2000-02-26", "2000-03-04", "2000-12-23", "2001-01-01",
    )  # fmt: skip
    # week k has the days 7 k + 1 .. 7 k + 7 of its year, whose mean is 7 k + 4; the 365th is in none
    expected = np.tile(7 * np.arange(52) + 4, 2) / 10
    np.testing.assert_allclose(made["tmax"].max(["y", "x"]), expected, rtol=1e-6)
    np.testing.assert_array_equal(made["segment"], 0)
    np.testing.assert_allclose(made["y"], [979500, 969500, 959500])
    np.testing.assert_allclose(made["x"], -1555750 + 10000 * np.arange(4))


def test_the_365th_day_may_go_into_the_last_week(tmp_path):
    made = build([daymet_file(tmp_path, 2001)], CONFIG.model_copy(update={"rest_of_year": "in_last_week"}))
    assert float(made["tmax"][51].max()) == pytest.approx((358 + 365) / 2 / 10)
    lengths = np.diff(made["time_bounds"].values, axis=1)[:, 0] / np.timedelta64(1, "D")
    assert lengths.tolist() == [7] * 51 + [8]


def test_the_field_is_cf_and_survives_the_disk(tmp_path):
    made = build([daymet_file(tmp_path, 2001)])
    artifacts.write_field(tmp_path / "field.nc", made)
    back = artifacts.read_field(tmp_path / "field.nc")
    assert (artifacts.field_name(back), artifacts.grid_dims(back)) == ("tmax", ("y", "x"))
    assert back["tmax"].attrs["units"] == "degree_Celsius"
    assert back[back["tmax"].attrs["grid_mapping"]].attrs["grid_mapping_name"] == "lambert_conformal_conic"
    assert (back["lat"].dims, back["cell_area"].dims) == (("y", "x"), ("y", "x"))
    assert (back.attrs["product"], back.attrs["weeks"]) == ("Daymet V4", "52 a year from 1 January")
    # cells of five rows or three columns inside the grid hold half or less: the first has half its columns missing
    np.testing.assert_array_equal(
        np.isfinite(back["tmax"][0]), [[True, True, True, False], [True, True, True, False], [False, True, True, False]]
    )


def test_years_by_themselves_are_the_field_at_once(tmp_path):
    files = [daymet_file(tmp_path, year) for year in (2000, 2001)]
    parts = [build([file], part=field.Part(2000 + k, k == 0, k == 1)) for k, file in enumerate(files)]
    joined = field.join(parts, SOURCE, CONFIG)
    np.testing.assert_array_equal(joined["tmax"], build(files)["tmax"])
    np.testing.assert_array_equal(joined["segment"], 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 366}, r"tmax_2000\.nc has a day 366; a year of DayMet has 365 days, 31 December is left out"),
        ({"count": 400}, r"tmax_2000\.nc holds days of \[2000, 2001\]; DayMet has one file a year"),
        ({"units": "K"}, r"tmax_2000\.nc: tmax has units 'K'.*subtract 273\.15"),
        ({"unit": "feet"}, r"tmax_2000\.nc: y has units 'feet'; podnas reads m and km"),
        ({"shift": 500.0}, r"tmax_2000\.nc is not on the grid of .*: 25 \(984500 to 960500\) y against"),
    ],
)
def test_bad_years_are_named(tmp_path, change, message):
    # two good years first, so that the odd grid is the one named
    files = [daymet_file(tmp_path, year) for year in (2001, 2002)]
    with pytest.raises(ValueError, match=message):
        build([*files, daymet_file(tmp_path, 2000, **change)])


def test_a_file_of_another_year_or_variable_is_refused(tmp_path):
    path = daymet_file(tmp_path, 2001).rename(tmp_path / "daymet_v4_daily_na_tmax_2002.nc")
    with pytest.raises(ValueError, match=r"tmax_2002\.nc holds days of \[2001\]"):
        build([path])
    with pytest.raises(ValueError, match=r"tmin_2001\.nc has no variable tmax"):
        build([daymet_file(tmp_path, 2001, name="tmin")])
    with pytest.raises(ValueError, match=r"has no variable tmax \(it holds .*tmin"):
        build([daymet_file(tmp_path, 2001), tmp_path / "daymet_v4_daily_na_tmin_2001.nc"])


def test_a_missing_year_is_a_gap(tmp_path):
    with pytest.raises(ValueError, match="367 days are missing between the week of 2000-12-23 and that of 2002-01-01"):
        build([daymet_file(tmp_path, year) for year in (2000, 2002)])


def test_running_weeks_of_a_leap_year_lead_to_weeks_of_the_year(tmp_path):
    with pytest.raises(
        ValueError, match=r"the week of 2000-12-31 has 6; 31 December is missing.*field\.weeks: of_year"
    ):
        build([daymet_file(tmp_path, year) for year in (2000, 2001)], CONFIG.model_copy(update={"weeks": "running"}))


@pytest.mark.parametrize(("factor", "axis"), [(25, "y"), (33, "y")])
def test_a_single_row_of_cells_is_refused(tmp_path, factor, axis):
    with pytest.raises(ValueError, match=f"single {axis}, whose cell size is unknown; .*coarsen less"):
        build([daymet_file(tmp_path, 2001)], CONFIG.model_copy(update={"coarsen": factor, "least_valid_share": 0.1}))


def test_a_box_of_degrees_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"field\.lat and field\.lon choose from a regular grid.*unset them"):
        build([daymet_file(tmp_path, 2001)], CONFIG.model_copy(update={"lat": (30.0, 40.0)}))


def test_cells_of_another_size_are_remapped_in_km(tmp_path):
    made = build([daymet_file(tmp_path, 2001)], FieldConfig(cell_size=12.5, weeks="of_year"))
    np.testing.assert_allclose(np.diff(made["x"]), 12500)
    assert made["tmax"].shape == (52, 2, 3)


def test_the_projection_by_a_published_example():
    # Snyder (1987), p. 296: Clarke 1866, parallels 33 and 45, origin 23 N 96 W
    made = Lambert((33.0, 45.0), 23.0, -96.0, 6378206.4, 294.9786982)
    lat, lon = made.geographic(np.array(1564649.5), np.array(1894410.9))
    assert (lat, lon) == pytest.approx((35, -75), abs=1e-6)
    # k = 0.9970171 there: a square kilometre on the map is 1 / k^2 on the ground
    area = made.cell_area(np.array([1564649.5, 1563649.5]), np.array([1894410.9, 1895410.9]))
    assert area[0, 0] == pytest.approx(1e6 / 0.9970171**2, rel=1e-6)


def header_sample():
    folder = Path(os.environ.get("PODNAS_DATA", Path(__file__).parents[3] / "shared" / "data"))
    return folder / "daymet_v4_header_sample.nc"


@pytest.mark.skipif(not header_sample().exists(), reason="real data not found: set PODNAS_DATA")
def test_the_real_header_gives_the_latitudes_and_longitudes_that_it_states():
    with xr.open_dataset(header_sample(), decode_times=False) as data:
        axes = daymet.in_metres(header_sample(), data)
        lat, lon = daymet.projection(header_sample(), data).geographic(
            *np.meshgrid(axes["y"], axes["x"], indexing="ij")
        )
        # stated for the edges of the cells, half a kilometre from the centres
        for found, name in ((lat, "lat"), (lon, "lon")):
            assert found.min() == pytest.approx(data.attrs[f"geospatial_{name}_min"], abs=0.01)
            assert found.max() == pytest.approx(data.attrs[f"geospatial_{name}_max"], abs=0.01)
