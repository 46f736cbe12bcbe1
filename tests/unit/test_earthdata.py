"""Earthdata: credentials go to the login server and its archives and to nobody else; the catalogue's checksums."""

from __future__ import annotations

import base64
import hashlib
import json
import logging

import pytest
import xarray as xr

from podnas.artifacts import ArtifactError
from podnas.data import download, earthdata
from podnas.data.earthdata import Login
from podnas.data.published import Checksum, Item
from podnas.data.transfer import Policy
from tests import publisher as faults
from tests.publisher import Handler

QUICK = Policy(attempts=2, timeout_s=10, pause_s=0.01)
PATH = "/protected/a.nc"
NAME, PASSWORD, TOKEN = "somebody", "pass-4711-word", "token-0815-secret"
BASIC = "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def body(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("body") / "a.nc"
    xr.Dataset({"tmax": ("x", list(range(1000)))}).to_netcdf(path)
    return path.read_bytes()


@pytest.fixture
def servers(body):
    """Login server, archive and storage, as Earthdata has them: archive → login → archive with a cookie → storage."""
    with faults.serving() as login, faults.serving() as archive, faults.serving() as storage:
        storage.files["/signed/a.nc"] = body
        # cookies know no ports, so the archive is called by another name than the login server
        archive.address = archive.address.replace("127.0.0.1", "localhost")

        def authorise(handler: Handler, _: bytes | None) -> None:
            if handler.headers.get("Authorization") == BASIC:
                faults.redirect(f"{archive.address}/redirect?code=abc")(handler, None)
            elif "Authorization" in handler.headers:
                faults.status(401)(handler, None)
            else:
                faults.answer(b"<html>log in", Content_Type="text/html")(handler, None)

        def protected(handler: Handler, _: bytes | None) -> None:
            known = "session=1" in handler.headers.get("Cookie", "")
            if known or handler.headers.get("Authorization") == f"Bearer {TOKEN}":
                faults.redirect(f"{storage.address}/signed/a.nc?signature=s3cr3t")(handler, None)
            else:
                faults.redirect(f"{login.address}/oauth/authorize?app=1")(handler, None)

        login.always["/oauth/authorize"] = authorise
        archive.always[PATH] = protected
        archive.always["/redirect"] = faults.redirect(PATH, Set_Cookie="session=1; Path=/")
        yield login, archive, storage


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)


def write_netrc(tmp_path, text):
    (tmp_path / "netrc").write_text(text)
    (tmp_path / "netrc").chmod(0o600)


def get(servers, folder, *mirrors):
    login, archive, _ = servers
    item = Item("a.nc", (f"{archive.address}{PATH}", *mirrors))
    return download.run([item], folder, QUICK, Login(login.address, frozenset({archive.address})))


def credentials(server):
    return {request.headers.get("Authorization") for request in server.asked}


def test_a_password_goes_to_the_login_server_only(servers, body, tmp_path, monkeypatch, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    login, archive, storage = servers
    write_netrc(tmp_path, f"machine 127.0.0.1 login {NAME} password {PASSWORD}\n")
    get(servers, tmp_path / "out")
    assert (tmp_path / "out" / "a.nc").read_bytes() == body
    assert credentials(login) == {BASIC}
    assert credentials(archive) == credentials(storage) == {None}
    told = caplog.text + "".join(capsys.readouterr())
    told += "".join(path.read_text() for path in (tmp_path / "out").glob("*.json"))
    assert archive.address in told
    for secret in (PASSWORD, BASIC.split()[1]):
        assert secret not in told
    assert "s3cr3t" not in (tmp_path / "out" / "a.nc.source.json").read_text()


def test_a_token_goes_to_the_archive_only(servers, body, tmp_path, monkeypatch, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    login, archive, storage = servers
    monkeypatch.setenv("EARTHDATA_TOKEN", f" {TOKEN}\n")
    get(servers, tmp_path / "out")
    assert (tmp_path / "out" / "a.nc").read_bytes() == body
    assert credentials(archive) == {f"Bearer {TOKEN}"}
    assert credentials(storage) == {None}
    assert login.asked == []
    told = caplog.text + "".join(capsys.readouterr())
    assert TOKEN not in told + (tmp_path / "out" / "a.nc.source.json").read_text()


def test_a_redirected_resume_carries_no_credentials_either(servers, body, tmp_path, monkeypatch):
    _, archive, storage = servers
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    storage.faults["/signed/a.nc"] = [faults.cut(5_000)]
    get(servers, tmp_path / "out")
    assert (tmp_path / "out" / "a.nc").read_bytes() == body
    assert [request.headers.get("Range") for request in storage.asked] == [None, "bytes=5000-"]
    assert credentials(storage) == {None}
    assert len(archive.asked) == 2


def test_a_default_entry_of_netrc_is_given_to_nobody(servers, tmp_path):
    write_netrc(tmp_path, f"default login {NAME} password {PASSWORD}\n")
    with pytest.raises(ArtifactError, match="it needs a login: register at"):
        get(servers, tmp_path / "out")
    assert [server.asked for server in servers] == [[], [], []]


def test_without_credentials_the_open_mirror_is_asked_and_else_the_remedy_told(servers, body, tmp_path):
    _, archive, storage = servers
    get(servers, tmp_path / "out", f"{storage.address}/signed/a.nc")
    assert (tmp_path / "out" / "a.nc").read_bytes() == body
    assert archive.asked == []
    with pytest.raises(ArtifactError, match=r"machine urs\.earthdata\.nasa\.gov login NAME .* EARTHDATA_TOKEN"):
        get(servers, tmp_path / "second")


@pytest.mark.parametrize("way", ["password", "token"])
def test_refused_credentials_are_told_and_not_tried_for_each_file(servers, tmp_path, monkeypatch, way):
    login, archive, _ = servers
    if way == "password":
        write_netrc(tmp_path, f"machine 127.0.0.1 login {NAME} password other-{PASSWORD}\n")
    else:
        monkeypatch.setenv("EARTHDATA_TOKEN", "expired")
    items = [Item(f"{number}.nc", (f"{archive.address}{PATH}",)) for number in range(5)]
    policy = Policy(connections=1, attempts=2, pause_s=0.01)
    with pytest.raises(ArtifactError, match=r"refused your(s| login)") as caught:
        download.run(items, tmp_path / "out", policy, Login(login.address, frozenset({archive.address})))
    assert PASSWORD not in str(caught.value)
    assert len(archive.asked) == 1


def test_a_page_of_the_archive_in_the_place_of_the_file_is_a_refused_login(servers, tmp_path, monkeypatch):
    _, archive, _ = servers
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    archive.always[PATH] = faults.answer(b"<html>approve the application", Content_Type="text/html")
    with pytest.raises(ArtifactError, match=r"it refused your login \(200\)"):
        get(servers, tmp_path / "out")


def test_a_broken_netrc_names_the_line_and_no_password(servers, tmp_path):
    write_netrc(tmp_path, f"machine 127.0.0.1 login {NAME} passwort {PASSWORD}\n")
    with pytest.raises(ArtifactError, match=r"netrc cannot be read \(line 1\)") as caught:
        get(servers, tmp_path / "out")
    assert PASSWORD not in str(caught.value)
    assert caught.value.__suppress_context__


def granule(name, **file):
    data = {"ArchiveAndDistributionInformation": [file]}
    return {"umm": {"GranuleUR": f"Daymet_Daily_V4R1.{name}", "DataGranule": data}}


def test_sizes_and_checksums_come_from_the_catalogue(body, tmp_path, monkeypatch):
    digest = hashlib.sha256(body).hexdigest()
    with faults.serving() as server:
        answer = {
            "items": [
                granule("a.nc", SizeInBytes=len(body), Checksum={"Value": digest.upper(), "Algorithm": "SHA-256"}),
                granule("b.nc", SizeInBytes=7),
                granule("c.nc", SizeInBytes=7, Checksum={"Value": "12", "Algorithm": "Adler-32"}),
            ]
        }
        monkeypatch.setattr(earthdata, "CATALOGUE", f"{server.address}/granules")
        server.always["/granules"] = faults.answer(json.dumps(answer).encode())
        items = [Item(f"{name}.nc", (f"{server.address}/{name}.nc",)) for name in "abcd"]
        found = download.with_checksums(items, "daymet", "tmax", QUICK)
    assert [item.size for item in found] == [len(body), 7, 7, None]
    assert [item.checksum for item in found] == [Checksum("sha256", digest), None, None, None]


@pytest.mark.parametrize("answer", [b'{"errors": ["down"]}', b"<html>", b'{"items": [{"umm": {}}]}'])
def test_a_catalogue_that_fails_is_warned_of(answer, monkeypatch, caplog):
    with faults.serving() as server:
        monkeypatch.setattr(earthdata, "CATALOGUE", f"{server.address}/granules")
        server.always["/granules"] = faults.answer(answer)
        items = [Item("a.nc", (f"{server.address}/a.nc",))]
        assert download.with_checksums(items, "daymet", "tmax", QUICK) == items
    assert "sizes and checksums are not compared" in caplog.text
