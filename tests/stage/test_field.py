"""Stage: the adaptors of rules `archive`, `download` and `field` on a temporary folder."""

import importlib.util
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from podnas import artifacts
from podnas.config import FieldConfig, JoinConfig, SourceConfig
from podnas.data import archive, download
from podnas.data.transfer import Policy

ROOT = Path(__file__).parents[2]
JOIN = JoinConfig(before=date(1989, 12, 28), after=date(1989, 12, 31))


def adaptor(name):
    spec = importlib.util.spec_from_file_location(f"adaptor_{name}", ROOT / "workflow" / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
