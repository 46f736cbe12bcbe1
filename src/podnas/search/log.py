"""The trial log: JSON lines, one writer a file, flushed to disk after every trial, so that a kill loses none.

The first line says which search the trials belong to; a log of another search is refused, never mixed. A last line
that a kill left half-written is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from podnas.search.protocol import Outcome, Trial

VERSION = 1


def path(folder: Path, identity: Mapping[str, Any], rank: int) -> Path:
    """Where one rank of a search logs: each identity has a folder of its own, so no change mixes or loses trials."""
    text = json.dumps(identity, sort_keys=True)
    return folder / hashlib.sha256(text.encode()).hexdigest()[:12] / f"rank-{rank:04d}.jsonl"


class TrialLog:
    """Append-only record of one rank's finished trials."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.header = {"podnas_trial_log": VERSION, **identity}
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> list[Outcome]:
        """Finished trials in the order they were told; a new or empty log is begun."""
        lines = self._whole_lines()
        if not lines:
            self._append(self.header)
            return []
        header, *records = lines
        self._check(header)
        return [_outcome(record) for record in records]

    def append(self, outcome: Outcome) -> None:
        """Write one finished trial and wait until it is on the disk."""
        self._append(asdict(outcome))

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record, allow_nan=False) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise ValueError(
                f"the trial log {self.path} cannot be written ({error.strerror}); free space or make it writable and "
                "start again: every trial before this one is kept"
            ) from error

    def _whole_lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            with self.path.open("r+b") as stream:
                stream.truncate(len(whole))
        return [self._parse(number, line) for number, line in enumerate(whole.splitlines(), start=1)]

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{self.path}, line {number} is damaged ({error}); remove that line and rerun") from error
        return record

    def _check(self, header: Mapping[str, Any]) -> None:
        differing = [key for key in {*header, *self.header} if header.get(key) != self.header.get(key)]
        if differing:
            raise ValueError(
                f"{self.path} belongs to another search (different: {', '.join(sorted(differing))}); "
                "move it away to begin anew, or restore the configuration to go on"
            )


def _outcome(record: Mapping[str, Any]) -> Outcome:
    return Outcome(Trial(**record["trial"]), record["loss"], record["error"], record["seconds"])


def table(outcomes: Sequence[Outcome], first_step: int | None) -> pd.DataFrame:
    """Trials as a table; with a two-step search, `first_step` trials belong to step 1 and the rest to step 2."""
    return pd.DataFrame(
        {
            "number": [outcome.trial.number for outcome in outcomes],
            "step": [1 if first_step is None or outcome.trial.number < first_step else 2 for outcome in outcomes],
            "parent": [-1 if outcome.trial.parent is None else outcome.trial.parent for outcome in outcomes],
            "budget": [outcome.trial.budget for outcome in outcomes],
            "point": [json.dumps(dict(outcome.trial.point)) for outcome in outcomes],
            "loss": pd.array([outcome.loss for outcome in outcomes], dtype="Float64").to_numpy(
                float, na_value=float("nan")
            ),
            "error": pd.array([outcome.error for outcome in outcomes], dtype="string"),
            "seconds": [outcome.seconds for outcome in outcomes],
        }
    )
