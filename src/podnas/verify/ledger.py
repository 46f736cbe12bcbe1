"""The ledger: every reading of test targets leaves a line, so that nobody has to remember how often we looked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podnas.artifacts import ArtifactError
from podnas.windows import Array


def append(path: Path, entries: Sequence[Mapping[str, Any]], valid_time: Array | None = None) -> None:
    """Add lines: each names protocol, method, configuration (a hash of the forecast) and its test scores.

    valid_time: the weeks that were read, whose first and last are added; they tell protocols with weeks in common.
    """
    weeks = {}
    if valid_time is not None:
        first, last = (str(one.astype("datetime64[D]")) for one in (valid_time.min(), valid_time.max()))
        weeks = {"test_first": first, "test_last": last}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps({**entry, **weeks}) + "\n" for entry in entries)
        stream.flush()
        os.fsync(stream.fileno())


def count(path: Path, protocol: str) -> tuple[int, int]:
    """Looks at test weeks of a protocol, also by protocols that share some, and different forecasts scored on them.

    Raises ArtifactError where nothing of the protocol was ever scored, so that a lost ledger is no clean one.
    """
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    mine = [entry for entry in lines if entry["protocol"] == protocol]
    if not mine:
        raise ArtifactError(f"{path} has no line of protocol {protocol}, whose scores exist; score it again")
    shared = [entry for entry in lines if entry in mine or any(_overlap(entry, one) for one in mine)]
    looks = {(entry["time"], entry["protocol"]) for entry in shared}
    return len(looks), len({(entry["protocol"], entry["method"], entry["configuration"]) for entry in shared})


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both read some weeks in common; lines of tables and of older versions have no weeks."""
    if "test_first" not in one or "test_first" not in other:
        return False
    return bool(one["test_first"] <= other["test_last"] and other["test_first"] <= one["test_last"])


def check_once(path: Path, protocol: str, configuration: str) -> None:
    """Raise ValueError where another forecast than this has been scored on a protocol whose weeks are scored once."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for entry in map(json.loads, lines):
        if entry["protocol"] == protocol and entry["configuration"] != configuration:
            raise ValueError(
                f"the weeks of {protocol} were scored on {entry['time']} by forecast {entry['configuration']} "
                f"({path}), and are scored once; this forecast is {configuration}: keep to the first"
            )
