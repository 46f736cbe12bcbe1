"""Finding, making and downloading archive files; the servers here are local ones."""

import json
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from podnas.artifacts import ArtifactError
from podnas.config import SourceConfig
from podnas.data import archive
from podnas.provenance import file_hash

REGION = "http://localhost/{year}"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty working directory and an empty data folder that the environment names."""
    for name in ("work", "data"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PODNAS_DATA", str(tmp_path / "data"))
    return tmp_path


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def source(*files, **more):
    return SourceConfig(kind="path", files=files, **more)


@pytest.mark.parametrize("kind", ["twin", "psl"])
def test_twin_and_psl_have_the_same_three_files(kind):
    plan = archive.plan(SourceConfig(kind=kind), "results/sst/archive")
    assert plan.files == tuple(f"results/sst/archive/sst.wkmean.{part}.nc" for part in ("1981-1989", "1990-present"))
    assert (plan.mask, plan.template) == ("results/sst/archive/lsmask.nc", None)


def test_a_pattern_is_looked_up_in_the_working_directory_then_in_the_data_folder(places):
    touch(places / "data/box/a.1.nc", places / "data/box/a.2.nc")
    found = archive.plan(source("box/a.*.nc"), "out").files
    assert found == tuple(str(places / f"data/box/a.{k}.nc") for k in (1, 2))
    touch(places / "work/box/a.3.nc")
    assert archive.plan(source("box/a.*.nc"), "out").files == ("box/a.3.nc",)
    assert archive.plan(source(str(places / "data/box/a.1.nc")), "out").files == found[:1]


def test_excluded_names_are_left_out_and_two_patterns_give_a_file_once(places):
    touch(places / "data/a.1.nc", places / "data/a.2.nc", places / "data/mask.nc")
    plan = archive.plan(source("a.*.nc", "a.1.nc", exclude=["a.2.nc"], mask="mask.nc"), "out")
    assert plan.files == (str(places / "data/a.1.nc"),)
    assert plan.mask == str(places / "data/mask.nc")


@pytest.mark.parametrize("pattern", ["box/a.*.nc", "a.nc"])
def test_nothing_found_names_pattern_places_publisher_and_remedy(places, pattern):
    with pytest.raises(ValueError, match="no file matches") as caught:
        archive.plan(source(pattern, download="https://example.org/page"), "out")
    for part in (pattern, str(places / "work"), str(places / "data"), "https://example.org/page", "set PODNAS_DATA"):
        assert part in str(caught.value)


def test_nothing_found_says_when_the_data_folder_is_not_set(places, monkeypatch):
    monkeypatch.delenv("PODNAS_DATA")
    with pytest.raises(ValueError, match=r"\$PODNAS_DATA \(not set\)"):
        archive.plan(source("a.nc"), "out")


def test_years_that_are_not_at_hand_are_to_be_downloaded(places):
    touch(places / "data/box/a.2001.nc", places / "data/box/a.2003.nc")
    asked = source("box/a.*.nc", exclude=["a.2003.nc"], download=REGION, download_years=(2000, 2003))
    plan = archive.plan(asked, "out")
    assert plan.files == (str(places / "data/box/a.2001.nc"), "out/a.2000.nc", "out/a.2002.nc")
    assert plan.template == "out/a.{year}.nc"


def test_nothing_is_downloaded_when_all_years_are_at_hand(places):
    touch(places / "data/a.2000.nc")
    plan = archive.plan(source("a.*.nc", download=REGION, download_years=(2000, 2000)), "out")
    assert plan == archive.Plan((str(places / "data/a.2000.nc"),), None, None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"download": REGION}, "go together"),
        ({"download": "http://localhost/page", "download_years": (2000, 2001)}, "go together"),
        ({"download": REGION, "download_years": (2001, 2000)}, "first year first"),
        ({"download": REGION, "download_years": (2000, 2001), "files": ("a.nc",)}, r"one \*"),
        ({"download": REGION, "download_years": (2000, 2001), "files": ("*/a.nc",)}, r"one \*"),
    ],
)
def test_a_download_that_cannot_be_meant_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        SourceConfig.model_validate({"kind": "path", "files": ("a.*.nc",), **values})


class Server(BaseHTTPRequestHandler):
    """Serves files of a folder, and faults by name."""

    def __init__(self, folder, *args):
        self.folder = folder
        super().__init__(*args)

    def do_GET(self):
        name = self.path.strip("/").split("?")[0]
        if name == "page.nc":
            return self.answer(b"<html><body>service is down</body></html>")
        if name == "cut.nc":
            whole = (self.folder / "good.nc").read_bytes()
            return self.answer(whole[: len(whole) // 2], length=len(whole))
        if name.startswith("short"):  # cut, but the server claims that this is all
            whole = (self.folder / name.removeprefix("short_")).read_bytes()
            return self.answer(whole[: len(whole) * 2 // 3])
        file = self.folder / name
        return self.answer(file.read_bytes()) if file.is_file() else self.send_error(404)

    def answer(self, body, length=None):
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    data = xr.Dataset({"sst": (("time", "lat"), np.arange(2000.0).reshape(20, 100), {"units": "degC"})})
    data.to_netcdf(folder / "good.nc")
    data.to_netcdf(folder / "classic.nc", format="NETCDF3_CLASSIC")
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, folder))
    Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}", folder
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("name", ["good.nc", "classic.nc"])
def test_a_download_is_whole_and_its_checksum_recorded(server, tmp_path, name):
    address, folder = server
    output = tmp_path / "new" / name
    archive.fetch(f"{address}/{name}", output, name)
    assert output.read_bytes() == (folder / name).read_bytes()
    record = json.loads(output.with_name(f"{name}.source.json").read_text())
    assert (record["sha256"], record["bytes"]) == (file_hash(folder / name), output.stat().st_size)
    assert record["origin"] == f"{address}/{name}"
    assert sorted(path.name for path in output.parent.iterdir()) == [name, f"{name}.source.json"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("page.nc", r"sent no whole netCDF file .*is no netCDF file \(it starts with b'<html>"),
        ("cut.nc", "no answer, or cut off|cannot be downloaded"),
        ("short_good.nc", "sent no whole netCDF file .*truncated"),
        ("short_classic.nc", "sent no whole netCDF file .*truncated"),
        ("absent.nc", "cannot be downloaded .*404"),
    ],
)
def test_a_server_that_fails_leaves_nothing_behind(server, tmp_path, name, message):
    output = tmp_path / "new" / "a.nc"
    with pytest.raises(ArtifactError, match=message) as caught:
        archive.fetch(f"{server[0]}/{name}", output, "box/a.nc")
    assert "$PODNAS_DATA/box/a.nc" in str(caught.value)
    assert list(output.parent.iterdir()) == []


def test_a_failed_download_leaves_an_older_file_as_it_was(server, tmp_path):
    output = tmp_path / "a.nc"
    archive.fetch(f"{server[0]}/good.nc", output, "a.nc")
    before = output.read_bytes()
    with pytest.raises(ArtifactError):
        archive.fetch(f"{server[0]}/page.nc", output, "a.nc")
    assert output.read_bytes() == before


def test_no_network_says_how_to_get_the_file(tmp_path):
    # port 9 of this machine: nobody listens
    with pytest.raises(ArtifactError, match=r"no answer.*store it as \$PODNAS_DATA/a\.nc and set PODNAS_DATA"):
        archive.fetch("http://127.0.0.1:9/a.nc", tmp_path / "a.nc", "a.nc")


def test_a_year_is_put_into_the_address(server, tmp_path):
    address, folder = server
    (folder / "good.nc").rename(folder / "1999.nc")
    asked = source("box/a.*.nc", download=address + "/{year}.nc?var=sst&north=1", download_years=(1999, 1999))
    archive.fetch_year(asked, 1999, tmp_path / "a.1999.nc")
    assert (tmp_path / "a.1999.nc").read_bytes() == (folder / "1999.nc").read_bytes()


def test_psl_takes_files_at_hand_and_downloads_the_rest(server, places):
    address, folder = server
    (folder / "good.nc").rename(folder / archive.MASK_FILE)
    (folder / "classic.nc").rename(places / "data" / archive.WEEKLY_FILES[0])
    outputs = [places / "out" / name for name in (archive.WEEKLY_FILES[0], archive.MASK_FILE)]
    archive.provide_psl(outputs, address)
    origins = [json.loads(Path(f"{output}.source.json").read_text())["origin"] for output in outputs]
    assert origins == [str(places / "data" / archive.WEEKLY_FILES[0]), f"{address}/{archive.MASK_FILE}"]
    assert all(output.is_file() for output in outputs)


def test_psl_refuses_a_twin_under_its_names(places):
    name = archive.MASK_FILE
    xr.Dataset(attrs={"data_kind": "twin"}).to_netcdf(places / "data" / name)
    with pytest.raises(ValueError, match="synthetic twin"):
        archive.provide_psl([places / "out" / name])
