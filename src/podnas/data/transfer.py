"""One file from one server: resumed where it was cut, asked for again politely, and believed only when it is whole."""

from __future__ import annotations

import errno
import fcntl
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
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from podnas.artifacts import ArtifactError
from podnas.data import columns, earthdata, files, whole
from podnas.data.earthdata import Login
from podnas.data.part import Interrupted, Part
from podnas.data.published import Item
from podnas.data.whole import Damaged, Received

LOG = logging.getLogger(__name__)
Value = TypeVar("Value")

CHUNK_BYTES = 2**20
ABSENT = (404, 410)
LATER = (408, 425, 429)  # and all of 500 and above
DAMAGED_AT_MOST = 2  # whole but damaged files that are taken from one address


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


class Unchanged(Exception):
    """The file is the one that is here already."""


class Stopped(Exception):
    """Another file's failure, or the user, ended all transfers."""


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
                self._store(response, item, part)
        try:
            return whole.verified(item, part)
        except Damaged:
            part.discard()
            raise

    def _store(self, response: requests.Response, item: Item, part: Part) -> None:
        if response.status_code == 304:
            raise Unchanged
        start = part.begin(response)
        _check_space(part.path.parent, (part.known["total"] or 0) - start)
        try:
            with part.opened() as stream:
                for chunk in self._chunks(response):
                    if start == 0:
                        _check_start(chunk, item, response)
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


def _check_start(chunk: bytes, item: Item, response: requests.Response) -> None:
    starts = {"netCDF": files.begins, "text": columns.begins}
    if item.form in starts and not starts[item.form](chunk):
        kind = response.headers.get("Content-Type", "no type")
        raise Interrupted(f"it sent no {item.form} file but {kind} that starts with {chunk[:24]!r}")


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
    with _locked(gate, output):
        try:
            yield
        finally:
            gate.unlink(missing_ok=True)


@contextmanager
def _locked(gate: Path, output: Path) -> Iterator[None]:
    """Hold the lock of the file that stands at `gate` now: one that its last holder has removed locks nobody out."""
    while True:
        with gate.open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArtifactError(f"another process is downloading {output}; wait for it, then rerun") from None
            try:
                same = os.path.samestat(os.fstat(stream.fileno()), gate.stat())
            except FileNotFoundError:
                same = False
            if same:
                yield
                return


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ArtifactError(
            f"{folder} has {free / 1e9:.1f} GB free, but the next file needs {needed / 1e9:.1f} GB; "
            "free disk space, or choose another folder, and rerun: what has come is kept"
        )
