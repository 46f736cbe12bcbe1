"""Stage: the adaptors of rules `archive`, `download` and `field` on a temporary folder."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from podnas import artifacts
from podnas.config import (
    BASELINES,
    BaselinesConfig,
    FieldConfig,
    JoinConfig,
    PodConfig,
    ProtocolConfig,
    SourceConfig,
    WindowsConfig,
)
from podnas.data import archive, download, reading, synthetic_oisst
from podnas.data.transfer import Policy
from tests import daymet_archive
from tests.adaptors import adaptor

ROOT = Path(__file__).parents[2]
JOIN = JoinConfig(before=date(1989, 12, 28), after=date(1989, 12, 31))


@pytest.fixture(scope="module")
def twin_field(tmp_path_factory):
    """The twin's archive, read back as a field of 5-degree cells of the tropics."""
    folder = tmp_path_factory.mktemp("stage")
    source = SourceConfig(joins=(JOIN,))
    plan = archive.plan(source, str(folder))
    outputs = [Path(path) for path in (*plan.files, plan.mask)]
    adaptor("archive").main(ROOT / "resources" / "sst_twin.nc", outputs, source)
    config = FieldConfig(lat=(-30, 30), coarsen=5)
    adaptor("field").main(outputs[:2], outputs[2], folder / "field.nc", source, config)
    return artifacts.read_field(folder / "field.nc")


def test_twin_archive_to_field(twin_field):
    assert dict(twin_field.sizes) == {"time": 1914, "lat": 12, "lon": 72, "bounds": 2}
    assert twin_field.attrs["data_kind"] == "twin"
    np.testing.assert_array_equal(np.unique(twin_field["segment"], return_counts=True)[1], [427, 1487])
    starts = twin_field["time"].values.astype("datetime64[D]").astype(str)
    assert (starts[0], starts[426], starts[427], starts[-1]) == ("1981-10-29", "1989-12-28", "1989-12-31", "2018-06-24")


def test_the_field_shows_ocean_only_and_tropical_temperatures(twin_field):
    valid = np.isfinite(twin_field["sst"].values)
    assert 0.6 < valid[0].mean() < 0.95
    assert (valid == valid[0]).all()
    warm = float(twin_field["sst"].weighted(twin_field["cell_area"]).mean())
    assert 22 < warm < 29


def test_psl_adaptor_takes_files_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("PODNAS_DATA", str(tmp_path))
    outputs = [tmp_path / "out" / name for name in (*archive.WEEKLY_FILES, archive.MASK_FILE)]
    for output in outputs:
        xr.Dataset(attrs={"title": output.name}).to_netcdf(tmp_path / output.name)
    adaptor("archive").main(None, outputs, SourceConfig(kind="psl"))
    assert all(output.read_bytes() == (tmp_path / output.name).read_bytes() for output in outputs)


def test_download_adaptor_without_a_server_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "POLICY", Policy(attempts=2, pause_s=0.01))
    source = SourceConfig(
        kind="path", files=("a.*.nc",), download="http://127.0.0.1:9/{year}", download_years=(1999, 1999)
    )
    with pytest.raises(artifacts.ArtifactError, match=r"127\.0\.0\.1:9/1999: no answer"):
        adaptor("download").main(tmp_path / "out" / "a.1999.nc", 1999, source)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("worth", [0, 10**9])
def test_the_field_at_once_is_read_on_the_workers_where_they_are_worth_it(tmp_path, monkeypatch, caplog, worth):
    monkeypatch.setattr(reading, "WORTH_BYTES", worth)
    asked = []
    read = reading.read
    monkeypatch.setattr(reading, "read", lambda job, weeks, executor: asked.append(executor) or read(job, weeks, None))
    folder = tmp_path / "oisst"
    synthetic_oisst.write_days(
        ROOT / "resources" / "sst_twin.nc", folder, np.datetime64("2016-01-03") + np.arange(7), 1, 1
    )
    caplog.set_level("INFO")
    source, config = SourceConfig(kind="path", files=("*.nc",)), FieldConfig(coarsen=4)
    adaptor("field").main(sorted(folder.glob("*.nc")), None, tmp_path / "field.nc", source, config, 2)
    assert (asked[0] is None) == bool(worth)
    assert ("are read by one process" in caplog.text) == bool(worth)
    assert artifacts.read_field(tmp_path / "field.nc").sizes["time"] == 1


def year_file(folder, year, cells=200):
    """A field of one year by itself: 52 weeks of cells x cells cells, 8 MB in memory."""
    starts = np.datetime64(f"{year}-01-01", "ns") + np.arange(52) * np.timedelta64(7, "D")
    values = np.rint(np.random.default_rng(year).normal(10, 3, (52, cells, cells))).astype("f4")
    axes = {"lat": np.linspace(-40, 40, cells), "lon": np.linspace(0, 80, cells)}
    bounds = np.stack([starts, starts + np.timedelta64(7, "D")], axis=1)
    made = xr.Dataset(
        {"sst": (("time", "lat", "lon"), values, {"units": "degree_Celsius"})},
        {
            "time": starts,
            **axes,
            "time_bounds": (("time", "bounds"), bounds),
            "segment": ("time", np.zeros(52, "i4")),
            "cell_area": (("lat", "lon"), np.ones((cells, cells)), {"units": "m2"}),
        },
        {"data_kind": "twin", "product": "none", "source": f"made; files {year}", "preliminary_files": 0},
    )
    artifacts.write_field(folder / f"coarse.{year}.nc", made)
    return folder / f"coarse.{year}.nc"


JOINED = """
import importlib.util, sys
from pathlib import Path
from podnas.config import FieldConfig, SourceConfig
spec = importlib.util.spec_from_file_location("adaptor", sys.argv[1])
adaptor = importlib.util.module_from_spec(spec)
spec.loader.exec_module(adaptor)
years = [Path(path) for path in sys.argv[3:]]
adaptor.join(years, Path(sys.argv[2]), SourceConfig(), FieldConfig(weeks="of_year"))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak_mb(years, output):
    """Largest resident memory of a process of its own that joins years."""
    script = ROOT / "workflow" / "scripts" / "field.py"
    command = [sys.executable, "-c", JOINED, str(script), str(output), *map(str, years)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1000


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_memory_of_the_join_does_not_grow_with_the_years(tmp_path):
    years = [year_file(tmp_path, year) for year in range(1990, 2006)]
    few, many = (peak_mb(years[:count], tmp_path / f"field{count}.nc") for count in (4, 16))
    assert many < few + 25  # twelve years more, of 8 MB each
    with xr.open_dataset(tmp_path / "field16.nc") as made:
        assert made["sst"].encoding["chunksizes"][0] <= 52
        for number in (0, 15):
            expected = artifacts.read_field(years[number])["sst"].values
            np.testing.assert_array_equal(made["sst"][52 * number : 52 * (number + 1)].values, expected)


def test_the_caches_of_the_library_are_put_back():
    before = netCDF4.get_chunk_cache()
    with artifacts.streaming():
        assert netCDF4.get_chunk_cache()[0] == artifacts.CACHE_BYTES < before[0]
    assert netCDF4.get_chunk_cache() == before


@pytest.fixture(scope="module")
def day_length(tmp_path_factory):
    """A folder with DayMet's files of dayl, the weekly field of three years and its POD."""
    folder = tmp_path_factory.mktemp("dayl")
    daymet_archive.write(folder / "files", (2001, 2002, 2003), "dayl")
    source = SourceConfig(kind="path", files=("files/*_dayl_*.nc",), variable="dayl")
    config = FieldConfig(coarsen=10, weeks="of_year")
    adaptor("field").main(sorted(folder.glob("files/*.nc")), None, folder / "field.nc", source, config)
    pod = PodConfig(modes=2, weights="area", coefficients="projected", train_last="2002-12-24")
    adaptor("pod").main(folder / "field.nc", folder / "basis.nc", folder / "coefficients.nc", pod)
    return folder


def test_day_lengths_are_weekly_means_of_blocks_in_seconds(day_length):
    made = artifacts.read_field(day_length / "field.nc")
    field = made["dayl"]
    assert (field.dims, field.attrs["units"], field.sizes["time"]) == (("time", "y", "x"), "s", 156)
    with netCDF4.Dataset(day_length / "files/daymet_v4_daily_na_dayl_2002.nc") as data:
        daily = data["dayl"][14:21].filled(np.nan)  # the third week of 2002
    blocks = daily.reshape(7, 8, 10, 8, 10)
    week = field.sel(time="2002-01-15").values
    enough = np.isfinite(blocks)[0].mean(axis=(1, 3)) >= 0.5
    np.testing.assert_array_equal(np.isfinite(week), enough)
    assert 0 < enough.sum() < enough.size
    np.testing.assert_allclose(
        week[enough], np.nanmean(blocks.transpose(1, 3, 0, 2, 4)[enough], axis=(1, 2, 3)), rtol=1e-5
    )
    # at 45 degrees the sun of the solstice stands arccos(-tan 23.44) = 115.7 of 180 degrees of half a day above
    hours = field.where(abs(made["lat"] - 45) < 0.1).mean(("y", "x")) / 3600
    assert hours.sel(time="2002-06-18").item() == pytest.approx(24 * 115.7 / 180, abs=0.05)
    assert hours.sel(time="2002-12-17").item() == pytest.approx(24 * (1 - 115.7 / 180), abs=0.05)


def test_day_lengths_which_no_weather_changes_go_to_baselines(day_length):
    """Every year is the same, and one mode is nearly all: nothing divides by what is not there."""
    basis = artifacts.read_basis(day_length / "basis.nc")
    assert basis["variance"].attrs["units"] == "s2"
    spectrum = basis["spectrum"].values
    assert spectrum[0] / spectrum.sum() > 0.999
    coefficients = artifacts.read_coefficients(day_length / "coefficients.nc")["coefficient"]
    assert coefficients.attrs["units"] == "s"
    years = coefficients.values.reshape(3, 52, 2)
    np.testing.assert_allclose(years[2], years[0], atol=1e-4 * np.abs(years[0, :, 0]).max())
    protocol = ProtocolConfig(
        name="weekly",
        train_first="2001-01-01",
        train_last="2002-12-24",
        test_first="2003-01-01",
        test_last="2003-12-24",
    )
    window = WindowsConfig(inputs=4, outputs=4, harmonics=1, validation_blocks=2)
    train, inputs, targets = (day_length / f"{name}.nc" for name in ("train", "test_inputs", "test_targets"))
    adaptor("windows").main(day_length / "coefficients.nc", train, inputs, targets, protocol, window)
    paths = {name: day_length / f"{name}.nc" for name in BASELINES}
    adaptor("baselines").main(train, inputs, paths, BaselinesConfig(trees=2), window, 1)
    truth = artifacts.read_windows(targets, artifacts.TARGETS).target
    for name, path in paths.items():
        prediction = artifacts.read_prediction(path)
        assert np.isfinite(prediction.forecast.values).all(), name
    forecast = artifacts.read_prediction(paths["climatology"])
    leading = forecast.forecast.isel(init_time=forecast.period.values == 1).values[..., 0]
    # a year of days is not quite a cosine
    assert np.abs(leading - truth.values[..., 0]).max() < 0.05 * np.abs(truth.values[..., 0]).max()
