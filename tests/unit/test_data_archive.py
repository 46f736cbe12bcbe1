"""Finding archive files, and putting those that are missing where they are looked for."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from podnas.config import SourceConfig
from podnas.data import archive
from tests.publisher import serving

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


@pytest.fixture
def server(tmp_path):
    xr.Dataset({"sst": ("time", np.arange(2000.0), {"units": "degC"})}).to_netcdf(tmp_path / "good.nc")
    with serving() as running:
        running.files["/good.nc"] = (tmp_path / "good.nc").read_bytes()
        yield running


def test_a_year_is_put_into_the_address(server, tmp_path):
    server.files["/1999.nc"] = server.files["/good.nc"]
    asked = source("box/a.*.nc", download=server.address + "/{year}.nc?var=sst&north=1", download_years=(1999, 1999))
    archive.fetch_year(asked, 1999, tmp_path / "new" / "a.1999.nc")
    assert (tmp_path / "new" / "a.1999.nc").read_bytes() == server.files["/good.nc"]


def test_psl_takes_files_at_hand_and_downloads_the_rest(server, places):
    server.files[f"/{archive.MASK_FILE}"] = server.files["/good.nc"]
    (places / "good.nc").rename(places / "data" / archive.WEEKLY_FILES[0])
    outputs = [places / "out" / name for name in (archive.WEEKLY_FILES[0], archive.MASK_FILE)]
    archive.provide_psl(outputs, server.address)
    origins = [json.loads(Path(f"{output}.source.json").read_text())["origin"] for output in outputs]
    assert origins == [str(places / "data" / archive.WEEKLY_FILES[0]), f"{server.address}/{archive.MASK_FILE}"]
    assert all(output.is_file() for output in outputs)


def test_psl_refuses_a_twin_under_its_names(places):
    name = archive.MASK_FILE
    xr.Dataset(attrs={"data_kind": "twin"}).to_netcdf(places / "data" / name)
    with pytest.raises(ValueError, match="synthetic twin"):
        archive.provide_psl([places / "out" / name])
