"""Whether a file that has come is whole, and the one that was published."""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podnas.artifacts import ArtifactError
from podnas.data import columns, files
from podnas.data.part import Part
from podnas.data.published import Form, Item

READ: dict[Form, str] = {
    "netCDF": "netCDF, every compressed value",
    "text": "text, every number",
    "table": "its bytes alone",
}
ONE_AT_A_TIME = threading.Lock()  # the netCDF library is not thread-safe


class Damaged(Exception):
    """The whole file came, and it is not what was published."""


@dataclass(frozen=True)
class Received:
    """What is known of a file that came whole: how that was checked, and its validators."""

    verified: tuple[str, ...]
    sha256: str
    etag: str | None
    last_modified: str | None


def verified(item: Item, part: Part) -> Received:
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
        check(part.path, item.form, values=not stated)
    except ArtifactError as error:
        raise Damaged(f"it sent no whole {item.form} file ({error})") from error
    done.append(item.form if stated else READ[item.form])
    return Received(tuple(done), found["sha256"], part.known.get("etag"), part.known.get("last_modified"))


def digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def check(path: Path, form: Form, values: bool = True) -> None:
    """Refuse a file that is not whole; of netCDF, with `values`, read all compressed ones, which carry a check sum.

    ArtifactError names the file. Memory: one chunk of a netCDF file, all of a text. A table is not read.
    """
    if form == "text":
        columns.read(path)
    elif form == "netCDF":
        _check_netcdf(path, values)


def _check_netcdf(path: Path, values: bool) -> None:
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
