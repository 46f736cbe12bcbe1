"""Reader and field: what is taken, and every kind of bad file refused by name."""

import os
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from podnas import artifacts
from podnas.artifacts import ArtifactError
from podnas.config import FieldConfig, JoinConfig, SourceConfig
from podnas.data import bands, field, files, grid, reading

LAT, LON = np.array([1.5, 0.5, -0.5, -1.5]), np.arange(0.5, 6)
OCEAN = np.ones((4, 6), bool)
OCEAN[0, 0] = OCEAN[2, 3] = False
SOURCE = SourceConfig(kind="path", files=("*.nc",))
JOIN = JoinConfig(before=date(1989, 12, 28), after=date(1989, 12, 31))


def archive_file(path, first, count=3, step=7, lat=LAT, lon=LON, ocean=None, name="sst", units="degC", attrs=None):
    """Write a small archive file, int16 x 0.01 as PSL packs it; the values are 10 + week number + 0.1 x column."""
    days = np.datetime64(first, "ns") + np.arange(count) * np.timedelta64(step, "D")
    number = (days - np.datetime64("1981-10-29")) / np.timedelta64(7, "D")
    values = 10 + number[:, None, None] % 10 + 0.1 * np.arange(len(lon)) + np.zeros((count, len(lat), len(lon)))
    if ocean is not None:
        values = np.where(ocean, values, np.nan)
    data = xr.Dataset(
        {name: (("time", "lat", "lon"), values, {"units": units})}, {"time": days, "lat": lat, "lon": lon}, attrs or {}
    )
    packed = {name: {"dtype": "i2", "scale_factor": 0.01, "add_offset": 0.0, "_FillValue": 32767}}
    data.to_netcdf(path, encoding={**packed, "time": {"units": "days since 1800-1-1 00:00:00", "dtype": "f8"}})
    return path


def mask_file(path, ocean=OCEAN, lat=LAT, lon=LON):
    xr.Dataset(
        {"mask": (("time", "lat", "lon"), ocean[None].astype("i2"))}, {"time": [66410.0], "lat": lat, "lon": lon}
    ).to_netcdf(path, format="NETCDF3_CLASSIC")
    return path


@pytest.fixture
def weekly_files(tmp_path):
    return [archive_file(tmp_path / "early.nc", "1989-12-14"), archive_file(tmp_path / "late.nc", "1989-12-31")]


def build(paths, mask=None, joins=(), **config):
    return field.build(paths, mask, SOURCE.model_copy(update={"joins": tuple(joins)}), FieldConfig(**config))


def test_two_weekly_files_are_masked_and_joined_by_name(tmp_path, weekly_files):
    made = build(weekly_files[::-1], mask_file(tmp_path / "lsmask.nc"), [JOIN])
    assert made["sst"].dtype == np.float32
    assert made["sst"].dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(np.isfinite(made["sst"].values), np.broadcast_to(OCEAN, (6, 4, 6)))
    np.testing.assert_array_equal(made["segment"], [0, 0, 0, 1, 1, 1])
    with xr.open_dataset(weekly_files[0]) as written:
        np.testing.assert_allclose(made["sst"][1].values[OCEAN], written["sst"][1].values[OCEAN], atol=1e-5)


def test_the_field_is_cf_and_survives_the_disk(tmp_path, weekly_files):
    path = tmp_path / "field.nc"
    artifacts.write_field(path, build(weekly_files, mask_file(tmp_path / "lsmask.nc"), [JOIN]))
    made = artifacts.read_field(path)
    sst = made["sst"]
    assert (sst.attrs["units"], sst.attrs["standard_name"]) == ("degree_Celsius", "sea_surface_temperature")
    assert (sst.attrs["cell_methods"], sst.attrs["cell_measures"]) == ("time: mean area: mean", "area: cell_area")
    assert made["time"].attrs["bounds"] == "time_bounds"
    np.testing.assert_array_equal(made["time_bounds"][:, 0], made["time"])
    np.testing.assert_array_equal(np.diff(made["time_bounds"].values, axis=1), np.timedelta64(7, "D"))
    assert (made["cell_area"].attrs["units"], made["segment"].dtype) == ("m2", np.int32)
    assert made.attrs["data_kind"] == "real"
    np.testing.assert_allclose(made["cell_area"], grid.cell_area(LAT, LON))


def test_the_kind_of_data_is_what_the_files_say(tmp_path):
    twin = archive_file(tmp_path / "a.nc", "2000-01-02", attrs={"data_kind": "twin"})
    assert build([twin]).attrs["data_kind"] == "twin"
    with pytest.raises(ValueError, match=r"a\.nc is a synthetic twin and the other files are real"):
        build([twin, archive_file(tmp_path / "b.nc", "2000-01-23")])


def test_first_and_last_choose_weeks_by_their_start(weekly_files):
    made = build(weekly_files, first=date(1989, 12, 21), last=date(1989, 12, 28))
    assert made["time"].values.astype("datetime64[D]").astype(str).tolist() == ["1989-12-21", "1989-12-28"]
    with pytest.raises(ValueError, match=r"no snapshot lies between .* the files span 1989-12-14 to 1990-01-14"):
        build(weekly_files, first=date(2001, 1, 1))


def test_box_and_coarsening(tmp_path):
    path = archive_file(tmp_path / "a.nc", "2000-01-02", ocean=OCEAN)
    made = build([path], lat=(-2, 2), lon=(0, 4), coarsen=2, least_valid_share=0.8)
    np.testing.assert_allclose(made["lat"], [1, -1])
    np.testing.assert_allclose(made["lon"], [1, 3])
    # one cell of four is land in the north-west and in the south-east: a share of three quarters is not enough
    np.testing.assert_array_equal(np.isfinite(made["sst"][0]), [[False, True], [True, False]])
    assert np.isfinite(build([path], lon=(0, 4), coarsen=2, least_valid_share=0.7)["sst"]).all()


def test_a_box_across_greenwich_reads_the_right_cells(tmp_path):
    lon = np.arange(0.5, 360)
    path = archive_file(tmp_path / "a.nc", "2000-01-02", lon=lon)
    made, whole = build([path], lon=(-3, 3)), build([path])
    np.testing.assert_allclose(made["lon"], np.arange(-2.5, 3))
    np.testing.assert_array_equal(made["sst"], whole["sst"].values[:, :, [357, 358, 359, 0, 1, 2]])


def test_daily_files_become_weekly_means(tmp_path):
    paths = [
        archive_file(tmp_path / "d1.nc", "2000-01-01T12:00", count=9, step=1, ocean=OCEAN),
        archive_file(tmp_path / "d2.nc", "2000-01-10T12:00", count=8, step=1, ocean=OCEAN),
    ]
    made = build(paths)
    assert made["time"].values.astype("datetime64[D]").astype(str).tolist() == ["2000-01-02", "2000-01-09"]
    with xr.open_dataset(paths[0]) as days:
        expected = days["sst"][1:8].mean("time").values
    np.testing.assert_allclose(made["sst"][0], expected, atol=1e-4)
    np.testing.assert_array_equal(np.isfinite(made["sst"][0]), OCEAN)


def test_days_missing_between_files_are_refused(tmp_path):
    paths = [
        archive_file(tmp_path / "d1.nc", "2000-01-02", count=10, step=1),
        archive_file(tmp_path / "d2.nc", "2000-01-14", count=10, step=1),
    ]
    with pytest.raises(ValueError, match=r"2000-01-09 has 5"):
        build(paths)
    paths[1] = archive_file(tmp_path / "d2.nc", "2000-01-23", count=10, step=1)
    with pytest.raises(ValueError, match="7 days are missing between the week of 2000-01-09"):
        build(paths, least_days=3)


def test_cut_files_are_named(tmp_path, weekly_files):
    path = weekly_files[1]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArtifactError, match=r"late\.nc is truncated or damaged.*get the file again"):
        build(weekly_files, joins=[JOIN])


@pytest.mark.parametrize("share", [0.002, 0.1, 0.5, 0.99])
def test_a_cut_classic_file_is_refused_where_the_library_would_read_zeros(tmp_path, weekly_files, share):
    mask = mask_file(tmp_path / "lsmask.nc", np.ones((40, 60), bool), np.arange(40.0), np.arange(60.0))
    files.check(mask)
    mask.write_bytes(mask.read_bytes()[: int(mask.stat().st_size * share)])
    with pytest.raises(ArtifactError, match=r"lsmask\.nc is (truncated|no netCDF)"):
        build(weekly_files, mask, [JOIN])


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("records", [5, None], ids=["fixed", "records"])
@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_the_last_bytes_of_a_classic_file_count(tmp_path, kind, records, names):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=kind) as data:
        data.title = "odd length"
        data.createDimension("time", records)
        data.createDimension("x", 3)
        for name, size, dims in (("a", "i2", ("time", "x")), ("b", "f8", ("time",)), ("c", "i1", ("x",))):
            if name in names:
                data.createVariable(name, size, dims).units = "degC"
                data[name][:] = np.ones((5, 3)[: len(dims)] if name != "c" else 3)
    files.check(path)
    # up to three bytes of padding may follow the last value
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ArtifactError, match=r"truncated or damaged .*bytes, but its header says"):
        files.check(path)


def test_damage_inside_a_file_is_named(tmp_path):
    path = tmp_path / "a.nc"
    noise = np.random.default_rng(0).normal(15, 1, (40, 40, 60)).astype("f4")
    days = np.datetime64("2000-01-02", "ns") + np.arange(40) * np.timedelta64(7, "D")
    data = xr.Dataset(
        {"sst": (("time", "lat", "lon"), noise, {"units": "degC"})},
        {"time": days, "lat": np.arange(40.0), "lon": np.arange(60.0)},
    )
    data.to_netcdf(path, encoding={"sst": {"zlib": True}})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.nc is truncated or damaged"):
        build([path])


def test_a_page_in_place_of_a_file_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "page.nc").write_text("<html>not found</html>")
    with pytest.raises(ArtifactError, match=r"page\.nc is no netCDF file"):
        build([tmp_path / "page.nc"])
    with pytest.raises(ArtifactError, match=r"none\.nc cannot be opened"):
        build([tmp_path / "none.nc"])


def test_a_missing_mask_is_named_with_the_reason(tmp_path, weekly_files):
    with pytest.raises(ValueError, match=r"lsmask\.nc is missing; PSL's weekly files are filled over land"):
        build(weekly_files, tmp_path / "lsmask.nc", [JOIN])


def test_files_filled_over_land_need_a_mask(tmp_path):
    path = archive_file(tmp_path / "sst.wkmean.1990-present.nc", "2000-01-02")
    with pytest.raises(ValueError, match=r"filled over land.*set source\.mask"):
        build([path])


def test_a_mask_of_another_grid_or_without_mask_is_refused(tmp_path, weekly_files):
    other = mask_file(tmp_path / "other.nc", np.ones((4, 5), bool), LAT, LON[:5])
    with pytest.raises(
        ValueError, match=r"mask .*other\.nc is not on the grid of .*early\.nc: 5 .* longitudes against 6"
    ):
        build(weekly_files, other, [JOIN])
    with pytest.raises(ValueError, match=r"late\.nc has no variable mask"):
        build(weekly_files[:1], weekly_files[1])


@pytest.mark.parametrize(
    ("units", "remedy"),
    [("K", r"units 'K'.*subtract 273\.15"), ("degree_Fahrenheit", "convert the file"), ("", "units ''")],
)
def test_wrong_units_name_file_units_and_remedy(tmp_path, units, remedy):
    path = archive_file(tmp_path / "hot.nc", "2000-01-02", units=units)
    with pytest.raises(ValueError, match=rf"hot\.nc: sst has {'.*' if 'units' not in remedy else ''}{remedy}"):
        build([path])


def test_kelvin_under_a_celsius_label_is_refused(tmp_path):
    days = np.datetime64("2000-01-02", "ns") + np.arange(3) * np.timedelta64(7, "D")
    hot = xr.DataArray(np.full((3, 4, 6), 284.5, "f4"), {"time": days, "lat": LAT, "lon": LON}, ("time", "lat", "lon"))
    path = tmp_path / "a.nc"
    hot.rename("sst").assign_attrs(units="degC").to_netcdf(path)
    with pytest.raises(ValueError, match=r"a\.nc holds 284\.5, which is Kelvin"):
        build([path])


@pytest.mark.parametrize("config", [{}, {"coarsen": 2}, {"cell_size": 1.5}])
@pytest.mark.parametrize("values", [[np.inf], [-np.inf], [np.inf, -np.inf]])
def test_infinite_values_are_called_so(tmp_path, values, config):
    days = np.datetime64("2000-01-02", "ns") + np.arange(3) * np.timedelta64(7, "D")
    warm = np.full((3, 4, 6), 12.5, "f4")
    warm[1, 2, : len(values)] = values
    held = xr.DataArray(warm, {"time": days, "lat": LAT, "lon": LON}, ("time", "lat", "lon"))
    held.rename("sst").assign_attrs(units="degC").to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match=r"a\.nc holds infinite values \(inf\).*_FillValue"):
        build([tmp_path / "a.nc"], **config)


def test_an_unknown_variable_is_refused_with_those_known(tmp_path):
    path = archive_file(tmp_path / "a.nc", "2000-01-02", name="icec")
    with pytest.raises(ValueError, match=r"variable 'icec' is none that podnas knows: sst, tmax, tmin, prcp,"):
        field.build([path], None, SOURCE.model_copy(update={"variable": "icec"}), FieldConfig())


def test_the_file_off_the_grid_is_named_with_the_difference(tmp_path, weekly_files):
    odd = archive_file(tmp_path / "odd.nc", "1980-01-03", lon=LON[:4])
    with pytest.raises(
        ValueError, match=r"odd\.nc is not on the grid of .*early\.nc: 4 .*longitudes against 6.*\[odd\.nc\]"
    ):
        build([*weekly_files, odd], joins=[JOIN])
    shifted = archive_file(tmp_path / "shifted.nc", "1995-01-03", lat=LAT + 0.25)
    with pytest.raises(ValueError, match=r"shifted\.nc is not on the grid.*4 \(1\.75 to -1\.25\) latitudes"):
        build([*weekly_files, shifted], joins=[JOIN])


def test_a_file_of_another_variable_is_named(tmp_path, weekly_files):
    ice = archive_file(tmp_path / "icec.nc", "1990-01-21", name="icec", units="%")
    with pytest.raises(ValueError, match=r"icec\.nc has no variable sst \(it holds icec, lat, lon, time\)"):
        build([*weekly_files, ice], joins=[JOIN])


def test_overlapping_files_are_both_named(tmp_path, weekly_files):
    again = archive_file(tmp_path / "again.nc", "1990-01-07")
    with pytest.raises(ValueError, match=r"again\.nc begins on 1990-01-07, but .*late\.nc goes on to 1990-01-14"):
        build([*weekly_files, again], joins=[JOIN])


def test_a_step_that_is_no_named_join_is_refused_before_reading(weekly_files, monkeypatch):
    monkeypatch.setattr(reading, "read", lambda *_: pytest.fail("the values were read"))
    with pytest.raises(ValueError, match=r"1989-12-31 overlaps the week of 1989-12-28"):
        build(weekly_files)


def test_missing_weeks_are_refused(tmp_path, weekly_files):
    late = archive_file(tmp_path / "later.nc", "1990-02-04")
    with pytest.raises(ValueError, match="14 days are missing between the week of 1990-01-14 and that of 1990-02-04"):
        build([*weekly_files, late], joins=[JOIN])


def test_all_land_is_refused(tmp_path, weekly_files):
    mask = mask_file(tmp_path / "lsmask.nc")
    with pytest.raises(ValueError, match="holds no cell of the grid"):
        build(weekly_files, mask, [JOIN], lat=(30, 40))
    land = mask_file(tmp_path / "land.nc", np.zeros((4, 6), bool))
    with pytest.raises(ValueError, match="selection is all land"):
        build(weekly_files, land, [JOIN])


def rewrite(path, change):
    with xr.open_dataset(path) as data:
        held = data.load()
    change(held["sst"].values)
    held.to_netcdf(path)
    return path


def test_an_empty_week_and_cells_that_come_and_go_are_refused(tmp_path):
    path = archive_file(tmp_path / "a.nc", "2000-01-02")
    rewrite(path, lambda sst: sst[1].fill(np.nan))
    with pytest.raises(ValueError, match=r"1 week\(s\) have no value at all: 2000-01-09"):
        build([path])
    path = archive_file(tmp_path / "b.nc", "2000-01-02")
    rewrite(path, lambda sst: sst[2, 0, :2].fill(np.nan))
    with pytest.raises(ValueError, match=r"2 cell\(s\) have values in some weeks only .*2000-01-16"):
        build([path])


def test_a_level_of_one_is_dropped_and_long_names_are_understood(tmp_path):
    path = archive_file(tmp_path / "a.nc", "2000-01-02")
    with xr.open_dataset(path) as data:
        single = data.load().expand_dims(zlev=[0.0]).transpose("time", "zlev", "lat", "lon")
    single.rename(lat="latitude", lon="longitude").to_netcdf(tmp_path / "b.nc")
    np.testing.assert_array_equal(build([tmp_path / "b.nc"])["sst"], build([path])["sst"])


def test_blocks_do_not_change_the_field(weekly_files, monkeypatch):
    whole = build(weekly_files, joins=[JOIN])
    monkeypatch.setattr(bands, "VALUES", 30)
    xr.testing.assert_identical(build(weekly_files, joins=[JOIN]), whole)


def indian_ocean():
    folder = Path(os.environ.get("PODNAS_DATA", Path(__file__).parents[3] / "shared" / "data"))
    return sorted(folder.glob("oisst_v2_daily_yearly_indian_ocean/subset.sst.day.mean.*.v2.nc"))


real = pytest.mark.skipif(not indian_ocean(), reason="real data not found: set PODNAS_DATA")


@real
def test_the_indian_ocean_has_413_cells_and_the_weeks_of_the_experiment():
    made = build([path for path in indian_ocean() if "2017" not in path.name], least_days=5)
    assert int(np.isfinite(made["sst"][0]).sum()) == 413
    weeks = made["time"].values.astype("datetime64[D]")
    assert (str(weeks[0]), str(weeks[-1])) == ("1981-08-30", "2016-12-25")
    assert (weeks <= np.datetime64("2004-12-31")).sum() == 1218
    assert (weeks > np.datetime64("2004-12-31")).sum() == 626
    assert made.attrs["data_kind"] == "real"


@real
def test_the_indian_ocean_file_of_2017_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"2017\.v2\.nc is not on the grid of .*1981\.v2\.nc: 12 .*longitudes against 20"
    ):
        build(indian_ocean(), least_days=5)
