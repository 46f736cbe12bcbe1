"""The record beside each file: where it came from, its size and SHA-256, how that was checked."""

from __future__ import annotations

import logging
import os
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
    try:
        return checked(item, output, verify)
    except ArtifactError as error:
        LOG.warning("%s; it is downloaded again", error)
        return None


def checked(item: Item, output: Path, verify: bool) -> dict[str, Any]:
    """The record of a file that is here, made where there is none; `verify`: also read the file and compare SHA-256.

    ArtifactError where the file fits neither its record nor what is published, or has no record and is not whole.
    """
    record = _fitting(item, output)
    if record is None:
        return _found(item, output)
    if verify and whole.digest(output, "sha256") != record["sha256"]:
        raise ArtifactError(f"{output} has another SHA-256 than when it came")
    return record


def check_start(item: Item, output: Path) -> None:
    """As `checked`, by what costs little: the size, and where there is no record the header."""
    if _fitting(item, output) is None:
        _check_published(item, output)
        whole.check(output, item.form, values=False)


def _fitting(item: Item, output: Path) -> dict[str, Any] | None:
    """The record of a file of its size; None where there is no record."""
    record = _read(output)
    if record is None:
        return None
    size = output.stat().st_size
    if size != record["bytes"] or (item.size or size) != size:
        published = f", and {item.size} are published" if item.size else ""
        raise ArtifactError(f"{output} has {size} bytes, but {record['bytes']} came{published}")
    return record


def _check_published(item: Item, output: Path) -> None:
    size = output.stat().st_size
    if (item.size or size) != size:
        raise ArtifactError(f"{output} is not the file that is published ({size} bytes, not {item.size})")


def _found(item: Item, output: Path) -> dict[str, Any]:
    """A record for a file without one, such as one that was copied here, if it is whole."""
    _check_published(item, output)
    whole.check(output, item.form)
    checksum = item.checksum
    if checksum is not None and whole.digest(output, checksum.algorithm) != checksum.value:
        raise ArtifactError(f"{output} is not the file that is published (another {checksum.algorithm})")
    verified = (whole.READ[item.form], *([checksum.algorithm] if checksum else []))
    received = Received(verified, whole.digest(output, "sha256"), None, None)
    if os.access(output.parent, os.W_OK):
        return write(output, "found here", received)
    return _record(output, "found here", received)  # a folder that is read only: it is checked each time


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
    record = _record(output, origin, received)
    artifacts.write_json(_path(output), record)
    return record


def _record(output: Path, origin: str, received: Received) -> dict[str, Any]:
    return {
        "file": output.name,
        "origin": origin,
        "sha256": received.sha256,
        "bytes": output.stat().st_size,
        "verified": list(received.verified),
        "etag": received.etag,
        "last_modified": received.last_modified,
        "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
    }


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
