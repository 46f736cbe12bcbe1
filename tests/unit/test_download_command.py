"""The command `podnas download`: what it lists, fetches, resumes and refuses."""

from __future__ import annotations

import shlex
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from podnas.__main__ import app
from podnas.data import download
from tests.publisher import serving

RANGE = "--first 2020-02-28 --last 2020-03-01"
DAYS = ("20200228", "20200229", "20200301")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("PODNAS_OFFLINE", raising=False)


@pytest.fixture
def server(tmp_path):
    xr.Dataset({"sst": ("x", np.arange(500.0))}).to_netcdf(tmp_path / "day.nc")
    with serving() as running:
        body = (tmp_path / "day.nc").read_bytes()
        running.files = {f"/{day[:6]}/oisst-avhrr-v02r01.{day}.nc": body for day in DAYS}
        yield running


def podnas(line: str, code: int = 0):
    result = CliRunner().invoke(app, shlex.split(f"download {line}"), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def daily(server, rest: str = "", code: int = 0):
    mirror = f"--mirror '{server.address}/{{month}}/{{name}}' --no-publisher"
    return podnas(f"oisst_daily {RANGE} --folder out {mirror} {rest}", code)


def test_a_range_of_days_is_listed_downloaded_and_then_kept(server):
    listed = daily(server, "--list").stdout
    assert "3 files needed, 0 in out" in listed
    assert f"{server.address}/202003/oisst-avhrr-v02r01.20200301.nc" in listed
    assert server.asked == []
    assert (
        "3 files in out, from oisst-avhrr-v02r01.20200228.nc to oisst-avhrr-v02r01.20200301.nc" in daily(server).stdout
    )
    assert sorted(path.name for path in Path("out").glob("*.nc")) == [f"oisst-avhrr-v02r01.{day}.nc" for day in DAYS]
    daily(server, "--verify")
    assert len(server.asked) == 3
    assert "3 files needed, 3 in out" in daily(server, "--list").stdout


def test_what_is_missing_is_told_in_one_line_and_comes_by_the_same_command(server, monkeypatch):
    whole = dict(server.files)
    server.files = {path: body for path, body in whole.items() if "0229" not in path}
    result = daily(server, code=1)
    assert "podnas: 1 of 3 files could not be downloaded, 2 are here" in result.stderr
    assert "Traceback" not in result.output
    assert "oisst-avhrr-v02r01.20200229.nc" in daily(server, "--offline", code=1).stderr
    monkeypatch.setenv("PODNAS_OFFLINE", "1")
    assert "offline" in daily(server, code=1).stderr
    monkeypatch.delenv("PODNAS_OFFLINE")
    server.files = whole
    daily(server)
    daily(server, "--offline")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("oisst_daily --first 1980-01-01 --last 1982-01-01 --folder out", "the archive begins on 1981-09-01"),
        ("daymet --first 2000-01-01 --last 2000-12-31 --folder out --variable sst", "no variable 'sst'"),
        (f"oisst_daily {RANGE} --folder out --no-publisher", "neither a mirror nor the publisher"),
        (f"oisst_daily {RANGE} --folder out --mirror http://a/b", "has no {name} in it"),
        (f"oisst_yearly {RANGE} --folder day.nc --list --mirror s3://b", "has no {name} in it"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(line, message):
    result = podnas(line, code=1)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_that_is_a_file_is_refused(server):
    Path("out").touch()
    assert "out cannot be a folder" in daily(server, code=1).stderr


def test_years_are_listed_for_the_other_archives(tmp_path):
    yearly = podnas("oisst_yearly --first 2019-05-01 --last 2020-03-01 --folder out --list").stdout
    assert [line.rsplit("/")[-1] for line in yearly.splitlines()[1:]] == [
        "sst.day.mean.2019.nc",
        "sst.day.mean.2020.nc",
    ]
    daymet = podnas("daymet --variable prcp --first 2001-01-01 --last 2001-01-02 --folder out --list").stdout
    assert daymet.splitlines()[1].endswith("daymet_v4_daily_na_prcp_2001.nc")


def test_a_login_that_is_missing_is_told_where_another_address_helps(server, tmp_path, monkeypatch, caplog):
    name = "daymet_v4_daily_na_tmax_2001.nc"
    server.files[f"/{name}"] = next(iter(server.files.values()))
    items = download.needed("daymet", date(2001, 1, 1), date(2001, 1, 2), "tmax", (f"{server.address}/{{name}}",))
    assert download.run(items, tmp_path / "out") == [tmp_path / "out" / name]
    assert "1 addresses are left out, since they need a login: register at" in caplog.text
