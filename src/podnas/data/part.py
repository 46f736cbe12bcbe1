"""What has come of a file from one address, and whether it may be gone on with.

The part stands hidden beside the file to be, with a note of its validator (ETag or Last-Modified): a part of another
version is never continued (RFC 9110, If-Range).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from podnas import artifacts
from podnas.artifacts import ArtifactError
from podnas.data.published import Checksum

if TYPE_CHECKING:
    import requests


class Interrupted(Exception):
    """It may come if asked again, after `wait_s` where the server names a time."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


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
