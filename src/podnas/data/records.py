"""The record beside each file: where it came from, its size and SHA-256, how that was checked."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podnas import artifacts
from podnas.artifacts import ArtifactError
from podnas.data import whole
from podnas.data.published import Item
from podnas.data.whole import Received

LOG = logging.getLogger(__name__)


def kept(item: Item, output: Path, verify: bool) -> dict[str, Any] | None:
    """The record of a file that is here and fits it; None where it must be downloaded."""
    if not output.is_file():
        return None
    record = _read(output)
    if record is None:
        return _found(item, output)
    size = output.stat().st_size
    if size != record["bytes"] or (item.size or size) != size:
        fault = f"has {size} bytes, but {record['bytes']} came, and {item.size or 'as many'} are published"
    elif verify and whole.digest(output, "sha256") != record["sha256"]:
        fault = "has another SHA-256 than when it came"
    else:
        return record
    LOG.warning("%s %s; it is downloaded again", output, fault)
    return None


def _found(item: Item, output: Path) -> dict[str, Any] | None:
    """A record for a file without one, such as one that was copied here, if it is whole."""
    size = output.stat().st_size
    try:
        whole.check(output)
    except ArtifactError as error:
        LOG.warning("%s; it is downloaded again", error)
        return None
    checksum = item.checksum
    fits = checksum is None or whole.digest(output, checksum.algorithm) == checksum.value
    if not fits or (item.size or size) != size:
        LOG.warning("%s is not the file that is published; it is downloaded again", output)
        return None
    verified = ("netCDF, every compressed value", *([checksum.algorithm] if checksum else []))
    return write(output, "found here", Received(verified, whole.digest(output, "sha256"), None, None))


def _read(output: Path) -> dict[str, Any] | None:
    path = _path(output)
    if not path.is_file():
        return None
    try:
        record = artifacts.read_json(path)
    except ArtifactError:
        return None
    return record if isinstance(record, dict) and {"bytes", "sha256"} <= record.keys() else None


def write(output: Path, origin: str, received: Received) -> dict[str, Any]:
    record = {
        "file": output.name,
        "origin": origin,
        "sha256": received.sha256,
        "bytes": output.stat().st_size,
        "verified": list(received.verified),
        "etag": received.etag,
        "last_modified": received.last_modified,
        "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    artifacts.write_json(_path(output), record)
    return record


def _path(output: Path) -> Path:
    return output.with_name(output.name + ".source.json")


def write_copy(output: Path, local: Path) -> None:
    """Write the record of a file that was copied from `local`."""
    write(output, str(local), Received((), whole.digest(output, "sha256"), None, None))


def remove(output: Path) -> None:
    if output.is_file():
        LOG.info("%s gives way to the final file", output)
    output.unlink(missing_ok=True)
    _path(output).unlink(missing_ok=True)
