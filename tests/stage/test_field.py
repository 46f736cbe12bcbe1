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
from podnas.config import FieldConfig, JoinConfig, SourceConfig
from podnas.data import archive, download, reading, synthetic_oisst
from podnas.data.transfer import Policy
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
