"""Single daily files: coarsened on workers, year by year, and every fault of one of them refused by name."""

import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from podnas import artifacts
from podnas.artifacts import ArtifactError
from podnas.config import FieldConfig, SourceConfig
from podnas.data import field, grid, products, reading

LAT, LON = -1.75 + 0.5 * np.arange(8), 0.25 + 0.5 * np.arange(12)
LAND = np.zeros((8, 12), bool)
LAND[0:3, 0:3] = LAND[7, 11] = True
SOURCE = SourceConfig(kind="path", files=("*.nc",))
CONFIG = FieldConfig(coarsen=2)


def daily_file(folder, day, values=None, lat=LAT, units="Celsius", version="v02r01", name="sst", ice=None, suffix=""):
    """A file as NCEI's daily ones: int16 x .01, a level of one, dated in name and time; its stored numbers."""
    day = np.datetime64(day, "D")
    number = int(day.astype("i8"))
    if values is None:
        values = np.random.default_rng(number).integers(-180, 3000, (len(lat), len(LON)))
        values[LAND[: len(lat)]] = -999
    path = folder / f"oisst-avhrr-{version}.{str(day).replace('-', '')}{suffix}.nc"
    with netCDF4.Dataset(path, "w") as data:
        data.product_version = f"Version {version}"
        for axis, size in (("time", 1), ("zlev", 1), ("lat", len(lat)), ("lon", len(LON))):
            data.createDimension(axis, size)
        for axis, centres in (("lat", lat), ("lon", LON)):
            data.createVariable(axis, "f4", (axis,))[:] = centres
        time = data.createVariable("time", "f4", ("time",))
        time.units = "days since 1978-01-01 12:00:00"
        time[:] = number - int(np.datetime64("1978-01-01", "D").astype("i8"))
        fields = {name: (values, units)} if ice is None else {name: (values, units), "ice": (ice, "%")}
        for key, (numbers, unit) in fields.items():
            held = data.createVariable(key, "i2", ("time", "zlev", "lat", "lon"), fill_value=-999, zlib=True)
            held.set_auto_maskandscale(False)
            held.scale_factor, held.add_offset, held.units = np.float32(0.01), np.float32(0), unit
            held[0, 0] = numbers
    return path, values


def days(first, count):
    return np.datetime64(first, "D") + np.arange(count)


@pytest.fixture
def fortnight(tmp_path):
    """Two weeks of files from a Sunday on."""
    return [daily_file(tmp_path, day) for day in days("2000-01-02", 14)]


def build(paths, config=CONFIG, source=SOURCE, **more):
    return field.build(paths, None, source, config, **more)


def expected_week(stored, factor=2, share=0.5):
    """Mean over days of area means over blocks, by plain numpy."""
    area = grid.cell_area(LAT, LON).values
    blocks = (len(LAT) // factor, factor, len(LON) // factor, factor)
    means = []
    for numbers in stored:
        valid = np.where(numbers == -999, 0.0, area)
        held, whole = (part.reshape(blocks).sum(axis=(1, 3)) for part in (valid, area))
        total = (valid * numbers).reshape(blocks).sum(axis=(1, 3))
        with np.errstate(invalid="ignore"):
            means.append(np.where(held >= share * whole * (1 - 1e-9), total / held, np.nan))
    return np.mean(means, axis=0) * np.float64(np.float32(0.01))


def test_weeks_are_area_means_of_packed_numbers(fortnight):
    made = build([path for path, _ in fortnight][::-1])
    assert made["time"].values.astype("M8[D]").astype(str).tolist() == ["2000-01-02", "2000-01-09"]
    for week in range(2):
        expected = expected_week([values for _, values in fortnight[7 * week : 7 * week + 7]])
        np.testing.assert_allclose(made["sst"][week], expected.astype("f4"), rtol=2e-7)
    assert (made.attrs["product"], made.attrs["preliminary_files"]) == ("OISST V2.1", 0)


def test_workers_do_not_change_the_field(fortnight):
    paths = [path for path, _ in fortnight]
    with reading.pool(2) as executor:
        xr.testing.assert_identical(build(paths, executor=executor), build(paths))


def test_workers_are_told_to_keep_memory_and_nobody_else_is(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    before = dict(os.environ)
    with reading.pool(1) as executor:
        assert executor.submit(os.getenv, "MALLOC_TRIM_THRESHOLD_").result() == str(2**30)
    assert dict(os.environ) == before


def test_zeros_anywhere_in_a_file_name_it_or_change_nothing(fortnight):
    paths = [path for path, _ in fortnight]
    whole, expected = paths[9].read_bytes(), build(paths)
    refusals = []
    for place in range(0, len(whole), 512):
        paths[9].write_bytes(whole[:place] + bytes(64) + whole[place + 64 :])
        try:
            assert build(paths)["sst"].shape == expected["sst"].shape
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > 3
    assert all(paths[9].name in refusal for refusal in refusals)


def test_an_error_on_a_worker_names_the_file(fortnight):
    paths = [path for path, _ in fortnight]
    paths[9].write_bytes(paths[9].read_bytes()[:3000])
    with ProcessPoolExecutor(1, get_context("spawn")) as executor, pytest.raises(ArtifactError, match=r"20000111\.nc"):
        build(paths, executor=executor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": "Kelvin"}, r"20000105\.nc: sst has units 'Kelvin'.*subtract 273\.15"),
        (
            {"lat": LAT + 0.5},
            r"20000105\.nc is not on the grid of oisst-.*20000102\.nc: 8 \(-1\.25 to 2\.25\) latitudes against",
        ),
        (
            {"lat": LAT[:6]},
            r"20000105\.nc: sst has the shape \(1, 1, 6, 12\).*exclude: \[oisst-avhrr-v02r01\.20000105\.nc\]",
        ),
        ({"name": "anom"}, r"20000105\.nc has no variable sst"),
        ({"values": np.full((8, 12), 28415)}, r"20000105\.nc holds 284\.1, which is Kelvin"),
        ({"values": np.where(LAND, -998, 1500)}, r"20000105\.nc holds -9\.98, but .* a fill value that its attributes"),
    ],
    ids=["units", "shifted", "another shape", "another variable", "Kelvin under Celsius", "undeclared fill"],
)
def test_a_bad_day_is_named(tmp_path, fortnight, change, message):
    daily_file(tmp_path, "2000-01-05", **change)
    with pytest.raises(ValueError, match=message):
        build([path for path, _ in fortnight])


def test_the_first_file_is_checked_as_well(tmp_path, fortnight):
    daily_file(tmp_path, "2000-01-02", units="K")
    with pytest.raises(ValueError, match=r"20000102\.nc: sst has units 'K'"):
        build([path for path, _ in fortnight])


def test_a_file_under_the_name_of_another_day_is_refused(fortnight):
    paths = [path for path, _ in fortnight]
    for place in (4, 0):
        shutil.copyfile(paths[7], paths[place])
        with pytest.raises(ValueError, match=rf"{paths[place].name} is named for .*, but holds 2000-01-09"):
            build(paths)


def test_versions_are_never_joined(tmp_path, fortnight):
    paths = [path for path, _ in fortnight]
    path, _ = daily_file(tmp_path, "2000-01-15", version="avhrr-only-v2")
    with netCDF4.Dataset(path, "a") as data:
        data.product_version, data.title = "2", "Daily-OI-V2, optimum interpolation V2"
    paths[-1] = path
    with pytest.raises(ValueError, match=r"20000115\.nc is of the product OISST V2, but .* of OISST V2\.1.*exclude"):
        build(paths)


def test_an_odd_first_file_is_the_one_that_is_named(tmp_path, fortnight):
    paths = [path for path, _ in fortnight]
    daily_file(tmp_path, "2000-01-02", lat=LAT + 0.5)
    with pytest.raises(ValueError, match=r"20000102\.nc is not on the grid of .*20000109\.nc"):
        build(paths)
    daily_file(tmp_path, "2000-01-02")
    with netCDF4.Dataset(paths[0], "a") as data:
        data.product_version = "Version v02r00, OISST V2"
        data.title = "optimum interpolation V2"
    with pytest.raises(ValueError, match=r"20000102\.nc is of the product OISST V2, but .*20000109\.nc of OISST V2\.1"):
        build(paths)


def test_a_file_of_another_version_is_held_against_another_file(fortnight):
    paths = [path for path, _ in fortnight]
    with netCDF4.Dataset(paths[4], "a") as data:
        data.product_version = "OISST Version 2"
    with pytest.raises(ValueError, match=r"20000106\.nc is of the product OISST V2, but .*20000102\.nc of OISST V2\.1"):
        build(paths)


def test_a_missing_day_and_one_that_comes_twice_are_refused(tmp_path, fortnight):
    paths = [path for path, _ in fortnight]
    with pytest.raises(ValueError, match=r"least_days = 7: the week of 2000-01-02 has 6; add the missing days"):
        build(paths[:3] + paths[4:], part=field.Part(2000, False, False))
    (tmp_path / "again").mkdir()
    twice, _ = daily_file(tmp_path / "again", "2000-01-05")
    with pytest.raises(
        ValueError, match=r"20000105\.nc begins on 2000-01-05, but .* goes on to 2000-01-05: they overlap"
    ):
        build([*paths, twice])


def test_preliminary_files_are_counted_and_give_way_to_final_ones(tmp_path, fortnight):
    paths = [path for path, _ in fortnight]
    wrong = np.full((8, 12), 100)
    early, _ = daily_file(tmp_path, "2000-01-05", wrong, suffix="_preliminary")
    xr.testing.assert_identical(build([*paths, early]), build(paths))
    late, _ = daily_file(tmp_path, "2000-01-15", suffix="_preliminary")
    assert build([*paths[:-1], late]).attrs["preliminary_files"] == 1


@pytest.mark.parametrize("percent", [False, True])
def test_cells_under_ice_are_left_out_in_all_weeks(tmp_path, percent):
    paths = []
    for place, day in enumerate(days("2000-01-02", 14)):
        ice = np.zeros((8, 12), "i2")
        ice[6:, 2:4] = 100 if place < 7 else 0  # all of one coarse cell in the first week
        ice[4, 4] = 40
        paths.append(daily_file(tmp_path, day, ice=ice * (100 if percent else 1))[0])
    kept = build(paths)
    masked = build(paths, source=SOURCE.model_copy(update={"ice": 0.5}))
    lost = np.isfinite(kept["sst"]) & ~np.isfinite(masked["sst"])
    np.testing.assert_array_equal(np.argwhere(lost.values), [[0, 3, 1], [1, 3, 1]])
    assert masked.attrs["ice"] == "missing above a concentration of 0.5"


def test_ice_needs_a_variable_of_it(fortnight):
    with pytest.raises(ValueError, match=r"20000102\.nc has no variable ice; unset source\.ice"):
        build([path for path, _ in fortnight], source=SOURCE.model_copy(update={"ice": 0.5}))


def by_year(files, config, folder):
    """Each year by itself, through the disk, and joined."""
    years = products.years([str(file) for file in files], config)
    paths = []
    for year, held in years.items():
        part = field.Part(year, year == min(years), year == max(years))
        paths.append(folder / f"coarse.{year}.nc")
        artifacts.write_field(paths[-1], build([Path(file) for file in held], config, part=part))
    return [artifacts.open_field(path) for path in paths]


def test_years_joined_are_the_field_at_once(tmp_path):
    # begins on the Friday of a week of 1999 that is not whole, and ends inside a week that starts in 2000
    files = [daily_file(tmp_path, day)[0] for day in days("1999-12-31", 2 + 366 + 2)]
    joined = field.join(by_year(files, CONFIG, tmp_path), SOURCE, CONFIG)
    artifacts.write_field(tmp_path / "field.nc", joined)
    made, whole = artifacts.read_field(tmp_path / "field.nc"), build(files)
    np.testing.assert_array_equal(made["sst"], whole["sst"])
    for name in ("time", "segment", "time_bounds", "cell_area"):
        np.testing.assert_array_equal(made[name], whole[name])
    assert made["sst"].attrs == whole["sst"].attrs
    assert made.attrs["weeks_left_out"] == whole.attrs["weeks_left_out"]
    assert whole.attrs["weeks_left_out"] == "the week of 1999-12-26 (2 days), the week of 2000-12-31 (4 days)"


def test_preliminary_files_of_all_years_are_counted(tmp_path):
    early = {np.datetime64("2000-12-05"), np.datetime64("2001-01-10"), np.datetime64("2001-01-11")}
    span = np.datetime64("2000-12-03") + np.arange(56)
    files = [daily_file(tmp_path, day, suffix="_preliminary" if day in early else "")[0] for day in span]
    joined = field.join(by_year(files, CONFIG, tmp_path), SOURCE, CONFIG)
    assert joined.attrs["preliminary_files"] == build(files).attrs["preliminary_files"] == 3


def test_years_that_do_not_belong_together_are_refused(tmp_path):
    files = [daily_file(tmp_path, day)[0] for day in days("2000-12-03", 56)]
    first, second = by_year(files, CONFIG, tmp_path)
    with pytest.raises(ValueError, match="7 days are missing between the week of 2000-12-24 and that of 2001-01-07"):
        field.join([first.isel(time=slice(-1)), second], SOURCE, CONFIG)
    with pytest.raises(ValueError, match=r"the year 2001 has product OISST V2, but the first year OISST V2\.1"):
        field.join([first, second.assign_attrs(product="OISST V2")], SOURCE, CONFIG)
    with pytest.raises(ValueError, match=r"the year 2001 has another grid than the first: 4 .*latitudes against"):
        field.join([first, second.assign_coords(lat=second.lat + 1)], SOURCE, CONFIG)
    gappy = second.assign(sst=second.sst.where(second.lon < 5))
    with pytest.raises(ValueError, match=r"\d cell\(s\) have values in some years only \(the year 2001 differs"):
        field.join([first, gappy], SOURCE, CONFIG)


def real_days():
    folder = Path(os.environ.get("PODNAS_DATA", Path(__file__).parents[3] / "shared" / "data"))
    return sorted((folder / "oisst_v2.1_daily").glob("oisst-avhrr-v02r01.198109*.nc"))


@pytest.mark.skipif(not real_days(), reason="real data not found: set PODNAS_DATA")
def test_five_real_days_are_coarsened_as_xarray_does_it():
    config = FieldConfig(coarsen=4, least_days=5)
    made = build(real_days(), config)
    assert dict(made.sizes) == {"time": 1, "lat": 180, "lon": 360, "bounds": 2}
    days = xr.open_mfdataset(real_days(), combine="nested", concat_dim="time")["sst"][:, 0]
    weights = np.cos(np.deg2rad(days.lat)) + 0 * days[0].fillna(0)
    # an independent route: cosine for exact areas, which differ by 1e-5 within a degree
    total = (days * weights).coarsen(lat=4, lon=4).sum()
    held = weights.where(days.notnull()).coarsen(lat=4, lon=4).sum()
    expected = (total / held).where(held >= 0.5 * weights.coarsen(lat=4, lon=4).sum()).mean("time", skipna=False)
    valid = np.isfinite(made["sst"][0].values)
    assert (valid == np.isfinite(expected.values)).mean() > 0.999
    np.testing.assert_allclose(made["sst"][0].values[valid], expected.values[valid], atol=2e-4)
