"""The ledger: every reading of test targets leaves a line, so that nobody has to remember how often we looked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def append(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add lines: each names protocol, method, configuration (a hash of the forecast) and its test scores."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(entry) + "\n" for entry in entries)
        stream.flush()
        os.fsync(stream.fileno())


def count(path: Path, protocol: str) -> tuple[int, int]:
    """Looks at the test targets of a protocol, and different forecasts ever scored on them."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    mine = [entry for entry in lines if entry["protocol"] == protocol]
    looks = {entry["time"] for entry in mine}
    return len(looks), len({(entry["method"], entry["configuration"]) for entry in mine})


def check_once(path: Path, protocol: str, configuration: str) -> None:
    """Raise ValueError where another forecast than this has been scored on a protocol whose weeks are scored once."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for entry in map(json.loads, lines):
        if entry["protocol"] == protocol and entry["configuration"] != configuration:
            raise ValueError(
                f"the weeks of {protocol} were scored on {entry['time']} by forecast {entry['configuration']} "
                f"({path}), and are scored once; this forecast is {configuration}: keep to the first"
            )
