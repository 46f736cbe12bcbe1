"""One file from one server: resumed where it was cut, asked for again politely, and believed only when it is whole.

What has come stands in a hidden part beside the file to be, one for each address, with the validator (ETag or
Last-Modified) under which it may be continued: a part of another version is never continued (RFC 9110, If-Range).
"""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import hashlib
import itertools
import logging
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from podnas import artifacts
from podnas.artifacts import ArtifactError
from podnas.data import earthdata, files
from podnas.data.earthdata import Login
from podnas.data.published import Checksum, Item

LOG = logging.getLogger(__name__)
Value = TypeVar("Value")

CHUNK_BYTES = 2**20
ABSENT = (404, 410)
LATER = (408, 425, 429)  # and all of 500 and above
DAMAGED_AT_MOST = 2  # whole but damaged files that are taken from one address
ONE_AT_A_TIME = threading.Lock()  # the netCDF library is not thread-safe


@dataclass(frozen=True)
class Policy:
    """How hard and how politely servers are asked.

    `connections` at once; `attempts` in a row that bring nothing new before an address is given up; the pause after the
    first of them, doubled each time; the longest pause, also of those that a server asks for (s).
    """

    connections: int = 4
    attempts: int = 6
    timeout_s: float = 60
    pause_s: float = 1
    longest_pause_s: float = 300


class Refused(Exception):
    """An address does not give the file, and will not if asked again."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Interrupted(Exception):
    """It may come if asked again, after `wait_s` where the server names a time."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Damaged(Exception):
    """The whole file came, and it is not what was published."""


class Unchanged(Exception):
    """The file is the one that is here already."""


class Stopped(Exception):
    """Another file's failure, or the user, ended all transfers."""


@dataclass(frozen=True)
class Received:
    """What is known of a file that came whole: how that was checked, and its validators."""

    verified: tuple[str, ...]
    sha256: str
    etag: str | None
    last_modified: str | None


class Part:
    """Bytes of a file that have come from one address."""

    def __init__(self, output: Path, address: str) -> None:
        source = hashlib.sha256(address.encode()).hexdigest()[:8]
        self.path = output.with_name(f".{output.name}.{source}.part")
        self.note = self.path.with_name(self.path.name + ".json")
        self.known: dict[str, Any] = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            known = artifacts.read_json(self.note) if self.path.exists() else {}
        except ArtifactError:
            known = {}
        return known if isinstance(known, dict) else {}

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def whole(self) -> bool:
        """Whether all that the server announced has come, when this process was not there to see the end."""
        return self.known.get("total") is not None and self.size == self.known["total"]

    @property
    def validator(self) -> str | None:
        """A strong ETag, else the date: what proves that the rest belongs to these bytes."""
        etag = self.known.get("etag")
        return etag if etag and not etag.startswith("W/") else self.known.get("last_modified")

    def request(self) -> dict[str, str]:
        """Headers that ask for the rest, or none where only the whole will do."""
        if not self.size or self.validator is None or self.size > (self.known.get("total") or self.size):
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.validator}

    def begin(self, response: requests.Response) -> int:
        """Take note of what is coming; returns how many bytes are here already."""
        headers = response.headers
        if response.status_code == 416:
            self.discard()
            raise Interrupted("it has fewer bytes than have come already (416)")
        if response.status_code == 206:
            start, total = _content_range(headers.get("Content-Range", ""))
            same = headers.get("ETag", self.known.get("etag")) == self.known.get("etag")
            if start != self.size or total != self.known.get("total", total) or not same:
                self.discard()
                raise Interrupted(f"it sent another piece than the one asked for ({headers.get('Content-Range')})")
            self.known["total"] = total
            return start
        encoded = headers.get("Content-Encoding", "identity") != "identity"
        length = headers.get("Content-Length")
        total = int(length) if length and length.isdigit() and not encoded else None
        self.discard()
        self.known = {"etag": headers.get("ETag"), "last_modified": headers.get("Last-Modified"), "total": total}
        checksum = _from_headers(response)
        self.known["checksum"] = None if checksum is None else [checksum.algorithm, checksum.value]
        if self.validator is not None and not encoded:
            artifacts.write_json(self.note, self.known)
        return 0

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """For writing at its end; on disk when left, also by an error."""
        with self.path.open("ab") as stream:
            try:
                yield stream
            finally:
                stream.flush()
                os.fsync(stream.fileno())

    @property
    def checksum(self) -> Checksum | None:
        """What the server said of the bytes."""
        stated = self.known.get("checksum")
        return Checksum(*stated) if stated else None

    def discard(self) -> None:
        """Remove what has come."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.known = {}

    def keep_if_resumable(self) -> None:
        """Called when an address is given up."""
        if not self.request() and not self.whole:
            self.discard()


class Client:
    """Fetches files; used by several threads at once."""

    def __init__(self, policy: Policy, login: Login) -> None:
        self.policy, self.login = policy, login
        self.session = earthdata.Session(login)
        # the server's bytes as they lie there: lengths, ranges and checksums are those of the file
        self.session.headers.update({"Accept-Encoding": "identity", "User-Agent": "podnas"})
        adapter = HTTPAdapter(pool_connections=8, pool_maxsize=policy.connections)
        self.session.mount("http://", adapter)
        self.session.mount("https://", adapter)
        self.stop = threading.Event()
        self.bytes_received = 0
        self._rest_until: dict[str, float] = {}
        self._login_refused = False
        self._lock = threading.Lock()

    def close(self) -> None:
        self.session.close()

    def json(self, address: str) -> Any:
        """A JSON answer; raises Refused or Interrupted."""

        def ask() -> Any:
            with self._response(address, {}) as response:
                try:
                    return response.json()
                except requests.JSONDecodeError as error:
                    raise Interrupted("it sent no JSON") from error

        return self._persist(address, ask, lambda: 0)

    def fetch(self, item: Item, address: str, output: Path, newer_than: Mapping[str, Any] | None = None) -> Received:
        """Put the file at `output`, whole and verified.

        `newer_than`: the record of a file from the same address; Unchanged is raised where it is still the newest.

        Raises Refused, Interrupted or Damaged where this address does not give it, Stopped, and ArtifactError where no
        address can help (a full disk).
        """
        if self.login.needed(address) and (self._login_refused or not self.login.available()):
            raise Refused(f"it needs a login{', and refused yours' if self._login_refused else ''}: {earthdata.REMEDY}")
        part = Part(output, address)
        with _alone(output):
            try:
                received = self._persist(
                    address, lambda: self._attempt(item, address, part, newer_than), lambda: part.size
                )
            except Exception:
                part.keep_if_resumable()
                raise
            part.path.replace(output)
            for other in output.parent.glob(f".{output.name}.*.part*"):
                other.unlink()
        return received

    def _persist(self, address: str, attempt: Callable[[], Value], size: Callable[[], int]) -> Value:
        """Repeat an attempt until it succeeds or brings nothing new any more.

        The retries of urllib3 end where the body begins and count those that brought something; hence this loop.
        """
        most, failed, damaged, pause_s = size(), 0, 0, 0.0
        while True:
            self._rest(address, pause_s)
            try:
                return attempt()
            except Damaged as fault:
                failed, damaged = failed + 1, damaged + 1
                if damaged >= DAMAGED_AT_MOST:
                    raise
                pause_s = self._pause(address, failed, fault)
            except Interrupted as fault:
                failed = 1 if size() > most else failed + 1
                most = max(most, size())
                pause_s = self._pause(address, failed, fault, fault.wait_s)
                if failed >= self.policy.attempts:
                    raise

    def _pause(self, address: str, failed: int, fault: Exception, asked_s: float | None = None) -> float:
        """Seconds to leave the server alone: what it asks for, of all connections, else longer each time."""
        longest_s = self.policy.longest_pause_s
        if asked_s is not None and asked_s > longest_s:
            raise Refused(f"{fault}; it asks to come back in {asked_s:.0f} s: rerun then") from fault
        # up to half of it by chance, so that many clients do not come back at once
        pause_s = min(longest_s, self.policy.pause_s * 2.0 ** (failed - 1)) * random.uniform(0.5, 1)
        if asked_s is not None:
            pause_s = asked_s
            with self._lock:
                self._rest_until[earthdata.origin(address)] = time.monotonic() + asked_s
        LOG.info("%s: %s; again in %.1f s", address, fault, pause_s)
        return pause_s

    def _rest(self, address: str, pause_s: float) -> None:
        until = time.monotonic() + pause_s
        while True:
            with self._lock:
                until = max(until, self._rest_until.get(earthdata.origin(address), 0))
            left = until - time.monotonic()
            if self.stop.wait(max(left, 0)):
                raise Stopped
            if left <= 0:
                return

    def _attempt(self, item: Item, address: str, part: Part, newer_than: Mapping[str, Any] | None) -> Received:
        if not part.whole:
            headers = part.request() or _conditions(newer_than)
            with self._response(address, headers) as response:
                self._store(response, part)
        try:
            return _verified(item, part)
        except Damaged:
            part.discard()
            raise

    def _store(self, response: requests.Response, part: Part) -> None:
        if response.status_code == 304:
            raise Unchanged
        start = part.begin(response)
        _check_space(part.path.parent, (part.known["total"] or 0) - start)
        try:
            with part.opened() as stream:
                for chunk in self._chunks(response):
                    if start == 0:
                        _check_start(chunk, response)
                    start += len(chunk)
                    stream.write(chunk)
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise
            hint = "free disk space" if error.errno == errno.ENOSPC else "make the folder writable"
            raise ArtifactError(f"{part.path} cannot be written ({error.strerror}); {hint}, rerun") from error
        if start == 0:
            raise Interrupted("it sent nothing")

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it comes in; `read1` gives also what came before a cut."""
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            if self.stop.is_set():
                raise Stopped
            with self._lock:
                self.bytes_received += len(chunk)
            yield chunk

    @contextmanager
    def _response(self, address: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        """A successful response (200, 206, 304), or Refused or Interrupted."""
        try:
            with self.session.get(address, headers=headers, stream=True, timeout=self.policy.timeout_s) as response:
                self._check(address, response)
                yield response
        except (requests.TooManyRedirects, requests.exceptions.InvalidURL) as error:
            raise Refused(type(error).__name__) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # the text of the error may hold a signed address that a redirect led to
            raise Interrupted(f"no answer, or cut off ({_cause(error)})") from error

    def _check(self, address: str, response: requests.Response) -> None:
        status = response.status_code
        if status in LATER or status >= 500:
            raise Interrupted(f"it is busy or broken ({status} {response.reason})", _retry_after(response))
        if self.login.needed(address) and self._asks_for_login(response):
            self._login_refused = True
            raise Refused(f"it refused your login ({status}): {earthdata.REMEDY}", status)
        if status not in (200, 206, 304, 416):
            raise Refused(f"it answers {status} {response.reason}", status)

    def _asks_for_login(self, response: requests.Response) -> bool:
        page = response.ok and response.headers.get("Content-Type", "").startswith("text/html")
        return page or response.status_code == 401 or earthdata.origin(response.url) == self.login.server


def _conditions(record: Mapping[str, Any] | None) -> dict[str, str]:
    if record is None:
        return {}
    named = {"If-None-Match": record.get("etag"), "If-Modified-Since": record.get("last_modified")}
    return {name: value for name, value in named.items() if value}


def _content_range(text: str) -> tuple[int, int | None]:
    """First byte and total of `bytes 5-9/10`; −1 where it is none."""
    try:
        unit, rest = text.split(" ", 1)
        span, total = rest.split("/")
        first = int(span.split("-")[0]) if unit == "bytes" else -1
        return first, None if total == "*" else int(total)
    except ValueError:
        return -1, None


def _from_headers(response: requests.Response) -> Checksum | None:
    """The MD5 that a whole response carries: Content-MD5, or the ETag of an S3 object stored in one piece."""
    try:
        if "Content-MD5" in response.headers:
            return Checksum("md5", base64.b64decode(response.headers["Content-MD5"], validate=True).hex())
    except binascii.Error:
        return None
    etag = response.headers.get("ETag", "").strip('"')
    plain = response.headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
    on_s3 = response.headers.get("Server") == "AmazonS3" and plain
    return Checksum("md5", etag) if on_s3 and len(etag) == 32 and set(etag) <= set("0123456789abcdef") else None


def _check_start(chunk: bytes, response: requests.Response) -> None:
    if not (files.HDF5.startswith(chunk[:8]) or files.CLASSIC.startswith(chunk[:3])):
        kind = response.headers.get("Content-Type", "no type")
        raise Interrupted(f"it sent no netCDF file but {kind} that starts with {chunk[:24]!r}")


def _retry_after(response: requests.Response) -> float | None:
    try:
        return urllib3.Retry(retry_after_max=10**9).parse_retry_after(response.headers["Retry-After"])
    except (KeyError, urllib3.exceptions.InvalidHeader):
        return None


def _cause(error: BaseException) -> str:
    """Name of the innermost error."""
    inner = getattr(error, "reason", None), *error.args
    wrapped = next((one for one in inner if isinstance(one, BaseException)), None)
    return type(error).__name__ if wrapped is None else _cause(wrapped)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Keep a second process from the same file."""
    gate = output.with_name(f".{output.name}.lock")
    with gate.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtifactError(f"another process is downloading {output}; wait for it, then rerun") from None
        try:
            yield
        finally:
            gate.unlink(missing_ok=True)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ArtifactError(
            f"{folder} has {free / 1e9:.1f} GB free, but the next file needs {needed / 1e9:.1f} GB; "
            "free disk space, or choose another folder, and rerun: what has come is kept"
        )


def _verified(item: Item, part: Part) -> Received:
    """Compare a whole part with all that is known of the file."""
    size = part.size
    if item.size is not None and size != item.size:
        raise Damaged(f"it sent {size} bytes, but {item.size} are published")
    done = ["size"] if size in (item.size, part.known.get("total")) else []
    found = {"sha256": digest(part.path, "sha256")}
    stated = [checksum for checksum in (item.checksum, part.checksum) if checksum is not None]
    for checksum in stated:
        value = found.get(checksum.algorithm) or digest(part.path, checksum.algorithm)
        if value != checksum.value:
            raise Damaged(f"its {checksum.algorithm} is {value}, but {checksum.value} is published")
        done.append(checksum.algorithm)
    try:
        check_whole(part.path, values=not stated)
    except ArtifactError as error:
        raise Damaged(f"it sent no whole netCDF file ({error})") from error
    done.append("netCDF" if stated else "netCDF, every compressed value")
    return Received(tuple(done), found["sha256"], part.known.get("etag"), part.known.get("last_modified"))


def digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def check_whole(path: Path, values: bool = True) -> None:
    """Refuse a file that is no whole netCDF file; with `values`, read all compressed ones, which carry a check sum.

    ArtifactError names the file. Memory: one chunk of the file.
    """
    import netCDF4

    files.check(path)
    with ONE_AT_A_TIME:
        try:
            with netCDF4.Dataset(path) as data:
                data.set_auto_maskandscale(False)
                for variable in data.variables.values() if values else ():
                    _read_chunks(variable)
        except (OSError, RuntimeError) as error:
            raise ArtifactError(f"{path} {files.DAMAGED} ({error}); {files.AGAIN}") from error


def _read_chunks(variable: Any) -> None:
    sizes = variable.chunking()
    if not isinstance(sizes, list) or not any((variable.filters() or {}).get(name) for name in ("zlib", "fletcher32")):
        return
    starts = (range(0, length, size) for length, size in zip(variable.shape, sizes, strict=True))
    for corner in itertools.product(*starts):
        variable[tuple(slice(start, start + size) for start, size in zip(corner, sizes, strict=True))]
