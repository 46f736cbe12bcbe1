"""Downloads from a local server that cuts, truncates, refuses, lies and redirects."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from podnas.artifacts import ArtifactError
from podnas.data import download, part, transfer, whole
from podnas.data.earthdata import Login
from podnas.data.published import Checksum, Item
from podnas.data.transfer import Policy
from tests import publisher as faults
from tests.publisher import Publisher

QUICK = Policy(attempts=3, timeout_s=10, pause_s=0.01)
PATH = "/a.nc"


@pytest.fixture(scope="module")
def body(tmp_path_factory) -> bytes:
    """A netCDF-4 file of some 160 kB, compressed as archives are."""
    return netcdf(tmp_path_factory.mktemp("body") / "a.nc", seed=0)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> bytes:
    return netcdf(tmp_path_factory.mktemp("other") / "a.nc", seed=1)


def netcdf(path: Path, seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(0, 3000, (4, 120, 180)).astype("int16")
    encoding = {"sst": {"zlib": True, "shuffle": True, "chunksizes": (1, 120, 180)}}
    xr.Dataset({"sst": (("time", "lat", "lon"), values)}).to_netcdf(path, encoding=encoding)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    monkeypatch.delenv("PODNAS_OFFLINE", raising=False)


@pytest.fixture
def server(body):
    with faults.serving() as running:
        running.files[PATH] = body
        yield running


@pytest.fixture
def mirror(body):
    with faults.serving() as running:
        running.files[PATH] = body
        yield running


def item(*servers: Publisher, **more) -> Item:
    return Item("a.nc", tuple(f"{one.address}{PATH}" for one in servers), **more)


def get(folder: Path, *items: Item, policy: Policy = QUICK, **more) -> list[Path]:
    return download.run(items, folder, policy, **more)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def record(folder: Path, name: str = "a.nc") -> dict:
    return json.loads((folder / f"{name}.source.json").read_text())


def ranges(server: Publisher) -> list[str | None]:
    return [request.headers.get("Range") for request in server.of(PATH)]


def test_what_comes_is_whole_recorded_and_not_asked_for_again(server, body, tmp_path):
    assert get(tmp_path, item(server)) == [tmp_path / "a.nc"]
    assert (tmp_path / "a.nc").read_bytes() == body
    assert names(tmp_path) == ["a.nc", "a.nc.source.json"]
    found = record(tmp_path)
    assert (found["bytes"], found["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert found["verified"] == ["size", "netCDF, every compressed value"]
    get(tmp_path, item(server))
    assert len(server.asked) == 1


@pytest.mark.parametrize("etag", ["strong", "weak", None])
def test_a_cut_transfer_goes_on_where_it_was_cut(server, body, tmp_path, etag):
    server.etag = etag
    server.faults[PATH] = [faults.cut(50_000), faults.cut(1_000), faults.cut(7)]
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert ranges(server) == [None, "bytes=50000-", "bytes=51000-", "bytes=51007-"]
    expected = server.validators(body)["ETag" if etag == "strong" else "Last-Modified"]
    assert server.asked[1].headers["If-Range"] == expected


def test_cuts_that_each_bring_something_are_not_counted(server, body, tmp_path):
    server.faults[PATH] = [faults.cut(10_000) for _ in range(8)]
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert len(server.asked) == 9 > QUICK.attempts


def test_what_an_earlier_process_got_is_gone_on_with(server, body, tmp_path):
    server.faults[PATH] = [faults.cut(50_000), *[faults.hang_up] * 3]
    with pytest.raises(ArtifactError, match="no answer, or cut off"):
        get(tmp_path, item(server))
    assert not (tmp_path / "a.nc").exists()
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert ranges(server)[-1] == "bytes=50000-"
    assert names(tmp_path) == ["a.nc", "a.nc.source.json"]


def test_a_part_that_was_whole_when_the_process_died_is_not_asked_for_again(server, body, tmp_path):
    server.faults[PATH] = [faults.cut(50_000), *[faults.hang_up] * 3]
    with pytest.raises(ArtifactError):
        get(tmp_path, item(server))
    (part,) = tmp_path.glob(".a.nc.*.part")
    part.write_bytes(body)
    asked = len(server.asked)
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert len(server.asked) == asked


def test_a_file_that_changed_between_two_parts_is_taken_from_its_beginning(server, other, tmp_path):
    server.faults[PATH] = [faults.cut(50_000), *[faults.hang_up] * 3]
    with pytest.raises(ArtifactError):
        get(tmp_path, item(server))
    server.files[PATH] = other
    get(tmp_path, item(server))
    assert ranges(server)[-1] == "bytes=50000-"
    assert (tmp_path / "a.nc").read_bytes() == other


def test_a_part_longer_than_the_file_has_become_is_thrown_away(server, body, tmp_path):
    server.faults[PATH] = [faults.cut(50_000), faults.status(416)]
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert ranges(server) == [None, "bytes=50000-", None]


@pytest.mark.parametrize("wrong", ["bytes 0-9/10", "bytes 40000-49999/50000", "nonsense"])
def test_another_piece_than_asked_for_is_not_appended(server, body, tmp_path, wrong):
    def piece(handler, whole):
        handler.begin(206, {"Content-Range": wrong, "Content-Length": "10"})
        handler.wfile.write(whole[:10])

    server.faults[PATH] = [faults.cut(50_000), piece]
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body


def test_a_server_that_ignores_ranges_gives_the_whole_again(server, body, tmp_path):
    server.faults[PATH] = [faults.cut(50_000, ranges=False), faults.whole_only]
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert ranges(server) == [None, "bytes=50000-"]


def test_a_server_that_ignores_ranges_and_always_cuts_is_given_up(server, tmp_path):
    server.always[PATH] = faults.cut(50_000, ranges=False)
    with pytest.raises(ArtifactError, match="cut off"):
        get(tmp_path, item(server))
    assert len(server.asked) == QUICK.attempts


def test_without_a_validator_nothing_is_pieced_together(server, body, tmp_path):
    server.etag = "none"
    server.faults[PATH] = [faults.cut(50_000)]
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert ranges(server) == [None, None]
    server.always[PATH] = faults.cut(50_000)
    with pytest.raises(ArtifactError):
        get(tmp_path / "second", item(server))
    assert names(tmp_path / "second") == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, body, tmp_path, code):
    server.faults[PATH] = [faults.status(code), faults.status(code)]
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert len(server.asked) == 3


class Clock:
    """Time that passes only where somebody waits; in the place of an event that nobody sets."""

    def __init__(self):
        self.now, self.waits = 100.0, []

    def monotonic(self):
        return self.now

    def wait(self, seconds):
        self.waits += [seconds] if seconds else []
        self.now += seconds

    def is_set(self):
        return False


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(transfer, "time", made)
    return made


@pytest.fixture
def client(clock):
    with closing(transfer.Client(replace(QUICK, pause_s=1, longest_pause_s=60), Login())) as made:
        made.stop = clock
        yield made


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_is_left_alone_for_as_long_as_it_asks(server, client, clock, tmp_path, code):
    server.faults[PATH] = [faults.status(code, Retry_After="30")]
    client.fetch(item(server), f"{server.address}{PATH}", tmp_path / "a.nc")
    assert clock.waits == [30]


def test_a_server_that_asks_one_connection_to_wait_is_left_alone_by_all(server, mirror, client, clock, tmp_path):
    server.faults[PATH] = [faults.status(429, Retry_After="30")]
    client.policy = replace(client.policy, attempts=1)
    with pytest.raises(transfer.Interrupted):
        client.fetch(item(server), f"{server.address}{PATH}", tmp_path / "a.nc")
    client.fetch(item(mirror), f"{mirror.address}{PATH}", tmp_path / "b.nc")
    assert clock.waits == []
    client.fetch(item(server), f"{server.address}{PATH}", tmp_path / "c.nc")
    assert clock.waits == [30]


def test_pauses_grow_and_differ(server, client, clock, tmp_path):
    client.policy = replace(client.policy, attempts=9)
    server.always[PATH] = faults.hang_up
    with pytest.raises(transfer.Interrupted):
        client.fetch(item(server), f"{server.address}{PATH}", tmp_path / "a.nc")
    longest = [1, 2, 4, 8, 16, 32, 60, 60]
    assert all(most / 2 <= wait <= most for most, wait in zip(longest, clock.waits, strict=True))
    assert len({wait / most for most, wait in zip(longest, clock.waits, strict=True)}) == len(longest)


def test_a_server_that_asks_to_come_back_much_later_is_left_for_its_mirror(server, mirror, body, tmp_path):
    server.always[PATH] = faults.status(503, Retry_After="86400")
    get(tmp_path, item(server, mirror))
    assert len(server.asked) == 1
    assert record(tmp_path)["origin"] == f"{mirror.address}{PATH}"
    with pytest.raises(ArtifactError, match=r"it asks to come back in 86400 s: rerun then"):
        get(tmp_path / "second", item(server))


def test_retry_after_may_be_a_date(server, tmp_path):
    server.faults[PATH] = [faults.status(503, Retry_After="Wed, 01 Nov 2023 08:00:00 GMT")]  # past: at once
    get(tmp_path, item(server))
    assert len(server.asked) == 2


def test_a_page_with_status_200_is_no_file(server, tmp_path):
    page = faults.answer(b"<!DOCTYPE html><html><body>service is down", Content_Type="text/html")
    server.faults[PATH] = [page]
    get(tmp_path, item(server))
    server.always[PATH] = page
    with pytest.raises(ArtifactError, match=r"no netCDF file but text/html that starts with b'<!DOCTYPE html>"):
        get(tmp_path / "second", item(server))
    assert names(tmp_path / "second") == []


@pytest.mark.parametrize("most", [100_000, 4])
def test_a_file_whose_end_is_missing_though_the_server_says_that_it_is_whole(server, body, tmp_path, most):
    server.always[PATH] = faults.answer(body[:most])
    with pytest.raises(ArtifactError, match=r"no( whole)? netCDF file"):
        get(tmp_path, item(server))
    assert names(tmp_path) == []


def test_a_file_without_a_length_that_ends_early_is_refused_and_whole_it_is_taken(server, body, tmp_path):
    server.faults[PATH] = [faults.without_length(100_000), faults.without_length()]
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert record(tmp_path)["verified"] == ["netCDF, every compressed value"]


def test_a_flipped_bit_is_found_without_a_published_checksum(server, body, tmp_path):
    damaged = bytearray(body)
    damaged[len(body) // 2] ^= 1
    server.files[PATH] = bytes(damaged)
    with pytest.raises(ArtifactError, match="no whole netCDF file"):
        get(tmp_path, item(server))
    assert len(server.asked) == transfer.DAMAGED_AT_MOST
    assert names(tmp_path) == []


def test_a_published_checksum_is_compared(server, body, tmp_path):
    good = Checksum("sha256", hashlib.sha256(body).hexdigest())
    get(tmp_path, item(server, checksum=good, size=len(body)))
    assert record(tmp_path)["verified"] == ["size", "sha256", "netCDF"]
    wrong = Checksum("sha256", "0" * 64)
    with pytest.raises(ArtifactError, match=f"its sha256 is {good.value}, but {'0' * 64} is published"):
        get(tmp_path / "second", item(server, checksum=wrong))
    with pytest.raises(ArtifactError, match=f"it sent {len(body)} bytes, but 5 are published"):
        get(tmp_path / "second", item(server, size=5))
    assert names(tmp_path / "second") == []


def test_the_checksum_of_a_response_is_compared(server, body, tmp_path):
    md5 = hashlib.md5(body)
    server.headers = {"Content-MD5": base64.b64encode(md5.digest()).decode()}
    get(tmp_path / "good", item(server))
    assert record(tmp_path / "good")["verified"] == ["size", "md5", "netCDF"]
    server.headers = {"Content-MD5": base64.b64encode(bytes(16)).decode()}
    with pytest.raises(ArtifactError, match=f"its md5 is {md5.hexdigest()}, but {'0' * 32} is published"):
        get(tmp_path / "wrong", item(server))
    assert names(tmp_path / "wrong") == []


@pytest.mark.parametrize(
    ("tag", "message"), [("0" * 32, "is published"), ("0" * 32 + "-7", None), ("good", None), ("not a digest", None)]
)
def test_the_tag_of_an_s3_object_is_its_md5_unless_it_came_in_parts(server, body, tmp_path, tag, message):
    tag = hashlib.md5(body).hexdigest() if tag == "good" else tag
    s3 = {"ETag": f'"{tag}"', "Content-Length": str(len(body)), "Server": "AmazonS3"}

    def bucket(handler, whole):
        handler.send_response_only(200)
        for name, value in s3.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(whole)

    server.always[PATH] = bucket
    if message is None:
        get(tmp_path, item(server))
        assert ("md5" in record(tmp_path)["verified"]) == (tag == hashlib.md5(body).hexdigest())
    else:
        with pytest.raises(ArtifactError, match=message):
            get(tmp_path, item(server))


def test_a_damaged_copy_is_taken_from_the_mirror(server, mirror, body, tmp_path):
    server.files[PATH] = body[:-100] + bytes(100)
    get(tmp_path, item(server, mirror, checksum=Checksum("sha256", hashlib.sha256(body).hexdigest())))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert record(tmp_path)["origin"] == f"{mirror.address}{PATH}"
    assert names(tmp_path) == ["a.nc", "a.nc.source.json"]


def test_mirrors_are_asked_in_order_and_keep_parts_of_their_own(server, mirror, body, tmp_path):
    server.faults[PATH] = [faults.cut(50_000), *[faults.hang_up] * 3]
    mirror.faults[PATH] = [faults.cut(20_000), *[faults.hang_up] * 3]
    with pytest.raises(ArtifactError) as caught:
        get(tmp_path, item(server, mirror))
    assert server.address in str(caught.value)
    assert mirror.address in str(caught.value)
    assert sorted(part.stat().st_size for part in tmp_path.glob("*.part")) == [20_000, 50_000]
    server.always[PATH] = faults.status(503)
    get(tmp_path, item(server, mirror))
    assert ranges(mirror)[-1] == "bytes=20000-"
    assert (tmp_path / "a.nc").read_bytes() == body
    assert names(tmp_path) == ["a.nc", "a.nc.source.json"]


@pytest.mark.parametrize("code", [400, 403, 404])
def test_a_refusal_is_not_asked_again(server, tmp_path, code):
    server.always[PATH] = faults.status(code)
    with pytest.raises(ArtifactError, match=f"it answers {code}"):
        get(tmp_path, item(server))
    assert len(server.asked) == 1


def test_one_missing_file_does_not_keep_the_others_from_coming(server, body, tmp_path):
    items = [Item(f"{number}.nc", (f"{server.address}/{number}.nc",)) for number in range(8)]
    server.files |= {f"/{number}.nc": body for number in range(8) if number != 3}
    with pytest.raises(ArtifactError, match=r"1 of 8 files could not .*, 7 are here: .*/3\.nc: it answers 404"):
        get(tmp_path, *items)
    assert len(list(tmp_path.glob("*.nc"))) == 7
    server.files["/3.nc"] = body
    asked = len(server.asked)
    assert get(tmp_path, *items) == [tmp_path / f"{number}.nc" for number in range(8)]
    assert len(server.asked) == asked + 1


def test_a_dead_server_is_not_asked_for_every_file(server, tmp_path):
    items = [Item(f"{number}.nc", (f"{server.address}/{number}.nc",)) for number in range(200)]
    with pytest.raises(ArtifactError, match="given up after 10 failures in a row"):
        get(tmp_path, *items)
    assert len(server.asked) < 40


@pytest.mark.parametrize("connections", [1, 3])
def test_no_more_connections_than_allowed(server, body, tmp_path, connections):
    def slow(handler, whole):
        time.sleep(0.05)
        faults.serve(handler, whole)

    server.files |= {f"/{number}.nc": body for number in range(9)}
    server.always = {f"/{number}.nc": slow for number in range(9)}
    items = [Item(f"{number}.nc", (f"{server.address}/{number}.nc",)) for number in range(9)]
    get(tmp_path, *items, policy=replace(QUICK, connections=connections))
    assert server.most_at_once == connections


def test_nothing_is_begun_that_the_disk_cannot_hold(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**12, 0, 5 * 10**9))
    with pytest.raises(ArtifactError, match=r"has 5\.0 GB free, but 1 files need about 6\.0 GB; free disk space"):
        get(tmp_path, item(server, bytes_about=6 * 10**9))
    assert server.asked == []
    get(tmp_path, item(server, bytes_about=4 * 10**9))
    get(tmp_path, item(server, bytes_about=6 * 10**9))  # it is here already


def test_a_file_larger_than_the_disk_is_refused_before_it_is_written(server, body, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**6, 0, 1000))
    with pytest.raises(ArtifactError, match="the next file needs"):
        get(tmp_path, item(server))
    assert not (tmp_path / "a.nc").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_up_ends_all_at_once_and_says_so(server, body, tmp_path, monkeypatch):
    @contextmanager
    def full(_):
        with Path("/dev/full").open("ab", buffering=0) as stream:
            yield stream

    monkeypatch.setattr(part.Part, "opened", full)
    items = [Item(f"{number}.nc", (f"{server.address}{PATH}",)) for number in range(40)]
    with pytest.raises(ArtifactError, match=r"cannot be written \(No space left on device\); free disk space, rerun"):
        get(tmp_path, *items)
    assert len(server.asked) <= 2 * QUICK.connections


def test_a_file_that_changed_since_is_downloaded_again(server, body, tmp_path, caplog):
    get(tmp_path, item(server))
    (tmp_path / "a.nc").write_bytes(body[:100])
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert "has 100 bytes" in caplog.text
    flipped = bytes([*body[:-1], body[-1] ^ 1])
    (tmp_path / "a.nc").write_bytes(flipped)
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == flipped  # same size: seen only where it is read
    get(tmp_path, item(server), verify=True)
    assert (tmp_path / "a.nc").read_bytes() == body


def test_a_file_that_was_copied_here_is_checked_and_taken(server, body, tmp_path):
    (tmp_path / "a.nc").write_bytes(body)
    get(tmp_path, item(server))
    assert server.asked == []
    assert record(tmp_path)["origin"] == "found here"
    second = tmp_path / "second"
    second.mkdir()
    (second / "a.nc").write_bytes(body[: len(body) // 2])
    get(second, item(server))
    assert (second / "a.nc").read_bytes() == body


def test_offline_nothing_is_asked(server, body, tmp_path, monkeypatch):
    with pytest.raises(ArtifactError, match=r"offline.* 1 of 1 files are not in .*a\.nc \(http://127"):
        get(tmp_path, item(server), no_network=True)
    (tmp_path / "a.nc").write_bytes(body)
    assert get(tmp_path, item(server), no_network=True) == [tmp_path / "a.nc"]
    monkeypatch.setenv("PODNAS_OFFLINE", "1")
    assert get(tmp_path, item(server)) == [tmp_path / "a.nc"]
    with pytest.raises(ArtifactError, match="PODNAS_OFFLINE is set"):
        download.fetch(f"{server.address}{PATH}", tmp_path / "b.nc", "b.nc")
    assert server.asked == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), r"a\.nc has \d+ bytes, but \d+ came"),
        (lambda path: path.with_name("a.nc.source.json").unlink() or path.write_text("<html>"), "is no netCDF file"),
    ],
    ids=["cut after it came", "a page without a record"],
)
def test_offline_and_listed_what_is_here_must_fit(server, tmp_path, damage, message):
    get(tmp_path, item(server))
    damage(tmp_path / "a.nc")
    with pytest.raises(ArtifactError, match=rf"1 of 1 files are there, but do not fit: .*{message}.*get them on"):
        get(tmp_path, item(server), no_network=True)
    listed = download.summary([item(server)], tmp_path)
    assert listed.startswith("1 files needed, 0 in ")
    assert re.search(rf"{PATH} \(.*{message}", listed)
    assert len(server.asked) == 1
    assert (tmp_path / "a.nc").is_file()


def test_offline_a_copied_file_without_a_record_is_read_to_its_end(server, body, tmp_path):
    flipped = bytearray(body)
    flipped[len(body) // 2] ^= 1
    (tmp_path / "a.nc").write_bytes(flipped)
    with pytest.raises(ArtifactError, match=r"do not fit: .*a\.nc is truncated or damaged"):
        get(tmp_path, item(server), no_network=True)
    (tmp_path / "a.nc").write_bytes(body)
    assert get(tmp_path, item(server), no_network=True) == [tmp_path / "a.nc"]
    assert record(tmp_path)["origin"] == "found here"


def test_offline_the_sha256_is_compared_where_asked_for(server, body, tmp_path):
    get(tmp_path, item(server))
    (tmp_path / "a.nc").write_bytes(body[:-1] + b"!")
    get(tmp_path, item(server), no_network=True)
    with pytest.raises(ArtifactError, match="another SHA-256 than when it came"):
        get(tmp_path, item(server), no_network=True, verify=True)


def test_offline_a_published_size_is_compared(server, tmp_path):
    get(tmp_path, item(server))
    with pytest.raises(ArtifactError, match=r"and 7 are published"):
        get(tmp_path, item(server, size=7), no_network=True)


def preliminary(server: Publisher) -> Item:
    return replace(item(server), stand_in=Item("a_preliminary.nc", (f"{server.address}/a_preliminary.nc",)))


def test_a_preliminary_file_gives_way_to_the_final_one(server, body, other, tmp_path):
    server.files = {"/a_preliminary.nc": other}
    assert get(tmp_path, preliminary(server)) == [tmp_path / "a_preliminary.nc"]
    assert get(tmp_path, preliminary(server)) == [tmp_path / "a_preliminary.nc"]
    assert len(server.of("/a_preliminary.nc")) == 1
    assert len(server.of(PATH)) == 2
    assert get(tmp_path, preliminary(server), no_network=True) == [tmp_path / "a_preliminary.nc"]
    server.files[PATH] = body
    assert get(tmp_path, preliminary(server)) == [tmp_path / "a.nc"]
    assert names(tmp_path) == ["a.nc", "a.nc.source.json"]


def test_a_broken_server_is_no_reason_to_take_the_preliminary_file(server, other, tmp_path):
    server.files = {"/a_preliminary.nc": other}
    server.always[PATH] = faults.status(503)
    with pytest.raises(ArtifactError, match="503"):
        get(tmp_path, preliminary(server))
    assert names(tmp_path) == []


def test_a_growing_file_is_taken_again_only_when_it_has_changed(server, body, other, tmp_path):
    growing = item(server, growing=True)
    get(tmp_path, growing)
    get(tmp_path, growing)
    assert len(server.asked) == 2
    assert server.asked[1].headers["If-None-Match"] == server.validators(body)["ETag"]
    server.files[PATH] = other
    get(tmp_path, growing)
    assert (tmp_path / "a.nc").read_bytes() == other


def test_a_failed_renewal_leaves_the_older_file(server, body, tmp_path):
    get(tmp_path, item(server, growing=True))
    server.always[PATH] = faults.status(503)
    with pytest.raises(ArtifactError, match="503"):
        get(tmp_path, item(server, growing=True))
    assert (tmp_path / "a.nc").read_bytes() == body


def fetch(server: Publisher, output: Path) -> None:
    download.fetch(f"{server.address}{PATH}", output, "box/a.nc", QUICK)


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_one_file_of_any_netcdf_kind_is_fetched(server, tmp_path, kind):
    xr.Dataset({"sst": (("time", "lat"), np.arange(2000.0).reshape(20, 100))}).to_netcdf(tmp_path / "made", format=kind)
    server.files[PATH] = (tmp_path / "made").read_bytes()
    fetch(server, tmp_path / "out" / "a.nc")
    assert (tmp_path / "out" / "a.nc").read_bytes() == server.files[PATH]
    assert record(tmp_path / "out")["origin"] == f"{server.address}{PATH}"
    server.always[PATH] = faults.without_length(len(server.files[PATH]) * 2 // 3)
    with pytest.raises(ArtifactError, match=r"no whole netCDF file .*truncated"):
        fetch(server, tmp_path / "out" / "b.nc")


def test_fetched_again_it_is_replaced_and_on_failure_left_as_it_was(server, body, other, tmp_path):
    fetch(server, tmp_path / "a.nc")
    server.files[PATH] = other
    fetch(server, tmp_path / "a.nc")
    assert (tmp_path / "a.nc").read_bytes() == other
    server.always[PATH] = faults.answer(b"<html>")
    with pytest.raises(ArtifactError):
        fetch(server, tmp_path / "a.nc")
    assert (tmp_path / "a.nc").read_bytes() == other


def test_what_cannot_be_fetched_tells_how_to_get_it_by_hand(tmp_path):
    # port 9 of this machine: nobody listens
    with pytest.raises(ArtifactError, match=r"no answer.*store it as \$PODNAS_DATA/box/a\.nc and set PODNAS_DATA"):
        download.fetch("http://127.0.0.1:9/a.nc", tmp_path / "new" / "a.nc", "box/a.nc", QUICK)
    assert names(tmp_path / "new") == []


def test_two_processes_do_not_write_one_file(server, tmp_path):
    with transfer._alone(tmp_path / "a.nc"), pytest.raises(ArtifactError, match="another process is downloading"):
        get(tmp_path, item(server))
    get(tmp_path, item(server))


KILLED = """
import sys
from pathlib import Path
from podnas.data import download
from podnas.data.published import Item
download.run([Item("a.nc", (sys.argv[1],))], Path(sys.argv[2]))
"""


def test_a_lock_whose_file_another_process_has_removed_is_none(tmp_path, monkeypatch):
    """Between opening the lock file and locking it, its holder ends and removes it, and a third process begins."""
    output, gate, real = tmp_path / "a.nc", tmp_path / ".a.nc.lock", fcntl.flock
    third = []

    def flock(stream, operation):
        if not third:
            gate.unlink()
            third.append(gate.open("w"))
            real(third[0], fcntl.LOCK_EX)
        real(stream, operation)

    monkeypatch.setattr(transfer.fcntl, "flock", flock)
    with pytest.raises(ArtifactError, match="another process is downloading"), transfer._alone(output):
        pass
    gate.unlink()
    third[0].close()
    with transfer._alone(output):
        assert gate.exists()
    assert not gate.exists()


def test_three_hundred_files_are_three_hundred_requests(server, tmp_path):
    """As a year of daily files: each is asked for once, on no more connections than allowed, and never again."""
    body = small(tmp_path / "small.nc")
    names = [f"day{number:03}.nc" for number in range(300)]
    server.files = {f"/{name}": body for name in names}
    items = [Item(name, (f"{server.address}/{name}",)) for name in names]
    paths = get(tmp_path / "out", *items, policy=replace(QUICK, connections=4))
    assert [path.name for path in paths] == names
    assert sorted(request.path for request in server.asked) == sorted(server.files)
    assert 1 < server.most_at_once <= 4
    assert get(tmp_path / "out", *items) == get(tmp_path / "out", *items, no_network=True) == paths
    assert len(server.asked) == 300


def small(path: Path) -> bytes:
    xr.Dataset({"sst": ("x", np.arange(10.0))}).to_netcdf(path)
    return path.read_bytes()


def test_a_killed_download_goes_on_where_it_was(server, body, tmp_path):
    def hang(handler, whole):
        faults.serve(handler, whole, most=120_000)
        handler.wfile.flush()
        time.sleep(60)

    server.faults[PATH] = [hang]
    command = [sys.executable, "-c", KILLED, f"{server.address}{PATH}", str(tmp_path)]
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while sum(part.stat().st_size for part in tmp_path.glob(".a.nc.*.part")) < 8192:  # what Python holds back
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    get(tmp_path, item(server))
    assert (tmp_path / "a.nc").read_bytes() == body
    assert int(ranges(server)[-1].removeprefix("bytes=").rstrip("-")) >= 8192


def test_memory_is_one_chunk_when_values_are_read(tmp_path, monkeypatch):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as data:
        data.createDimension("time", 6)
        data.createDimension("x", 50)
        made = data.createVariable("tmax", "f4", ("time", "x"), zlib=True, chunksizes=(1, 20))
        made[:] = 1
    seen = []

    class Watched:
        def __init__(self, variable):
            self.variable = variable

        def __getattr__(self, name):
            return getattr(self.variable, name)

        def __getitem__(self, key):
            seen.append(self.variable[key].size)

    with netCDF4.Dataset(tmp_path / "a.nc") as data:
        whole._read_chunks(Watched(data["tmax"]))
    assert max(seen) == 20
    assert sum(seen) == 300
