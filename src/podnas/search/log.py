"""The trial log: JSON lines, one writer a file, flushed to disk after every record, so that a kill loses none.

The first line says which search the trials belong to; a log of another search is refused, never mixed. Then come
outcomes, trials each time that they were begun ({"begun": …}), and those that were under way when the search was
interrupted or ended with an error ({"released": number}): that time does not count against them. A last line that a
kill or a full disk left half-written is cut off by the file's own writer; others that read the file skip that line.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pandas as pd

from podnas.search.protocol import Outcome, Trial

Check = Callable[[Path, Mapping[str, Any]], None]  # of a log and its first line

VERSION = 2
LOGS = "rank-*.jsonl"
# after which a trial that was begun and never finished counts as failed: it may be what kills its process
TRIES = 3
GIVEN_UP = "its process was killed each time"
WRITER_S = 20.0  # that another writer of the same log, killed perhaps, is given to end


@dataclass(frozen=True)
class Released:
    """A trial that was under way when its process ended by itself: it was not what ended it."""

    number: int


Record = Trial | Outcome | Released


def path(folder: Path, identity: Mapping[str, Any], rank: int) -> Path:
    """Where one rank of a search logs: each identity has a folder of its own, so no change mixes or loses trials."""
    text = json.dumps(identity, sort_keys=True)
    return rank_path(folder / hashlib.sha256(text.encode()).hexdigest()[:12], rank)


def rank_path(folder: Path, rank: int) -> Path:
    """The log of one rank in the folder of a search."""
    return folder / f"rank-{rank:04d}.jsonl"


def encode(record: Record) -> bytes:
    """A record as one line of JSON, without its end; measures that are no numbers are left out."""
    if isinstance(record, Trial):
        return _line({"begun": _trial(record)})
    if isinstance(record, Released):
        return _line({"released": record.number})
    measures = {name: value for name, value in record.measures.items() if math.isfinite(value)}
    return _line(
        {
            "trial": _trial(record.trial),
            "loss": record.loss,
            "error": record.error,
            "seconds": record.seconds,
            "measures": measures,
            "ended": record.ended,
        }
    )


def decode(record: Mapping[str, Any]) -> Record:
    """What a line of a log after the first says."""
    if "begun" in record:
        return _decode_trial(record["begun"])
    if "released" in record:
        return Released(record["released"])
    return Outcome(**{**record, "trial": _decode_trial(record["trial"])})


def _decode_trial(record: Mapping[str, Any]) -> Trial:
    # names and categories are the same few in hundreds of thousands of trials
    point = {sys.intern(name): sys.intern(at) if isinstance(at, str) else at for name, at in record["point"].items()}
    return Trial(**{**record, "point": point})


def _trial(trial: Trial) -> dict[str, Any]:
    return {**vars(trial), "point": dict(trial.point)}


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode()


@dataclass(frozen=True)
class Kept:
    """What the logs of earlier runs hold."""

    outcomes: list[Outcome] = field(default_factory=list)  # in the order they ended, each number once
    running: list[Trial] = field(default_factory=list)  # begun and not finished, by number
    ends: dict[Path, int] = field(default_factory=dict)  # bytes that were read of each log
    tries: dict[int, int] = field(default_factory=dict)  # how often each of those running was begun and not released

    def evaluated(self) -> int:
        """Number of outcomes without those of trials that were given up: what runs have brought forth."""
        return sum(not (outcome.error or "").endswith(GIVEN_UP) for outcome in self.outcomes)

    def last_try(self, trial: Trial) -> bool:
        """Whether a trial is to be evaluated by itself: what is beside one that kills must not fail with it."""
        return self.tries.get(trial.number) == TRIES - 1

    def given_up(self, trial: Trial) -> Outcome | None:
        """The failure of a trial that was begun TRIES times and never finished; None: it may be evaluated."""
        tries = self.tries.get(trial.number, 0)
        if tries < TRIES:
            return None
        return Outcome(trial, None, f"begun {tries} times and never finished: {GIVEN_UP}", ended=time.time())


class TrialLog:
    """Append-only record of one rank's trials; as long as it lives, no other process may write to the same file."""

    def __init__(self, path: Path, identity: Mapping[str, Any], writer_s: float = WRITER_S) -> None:
        self.path = path
        self.header = {"podnas_trial_log": VERSION, **identity}
        self.size: int | None = None  # bytes up to the end of the last whole line
        self.under_way: set[int] = set()  # begun here and not finished
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = _lock(path, writer_s)

    def read(self) -> list[Outcome]:
        """Finished trials in the order they finished; a new or empty log is begun, a half-written end cut off."""
        return [record for record in self._read() if isinstance(record, Outcome)]

    def read_kept(self) -> Kept:
        """The same with what was under way, for a search that has no other log than this."""
        return _kept(self._read(), {})

    def _read(self) -> list[Record]:
        records, self.size = read_from(self.path, 0, self._check)
        if not self.size:
            self._append([_line(self.header)])
        self._cut()
        return records

    def read_all(self) -> Kept:
        """What the logs of all ranks hold, this one's among them; the first to end counts where a number stands twice.

        Another rank may be writing to its own at the same time: a line that is not whole yet is left to it.
        """
        self.read()
        return merge(self.path.parent, self._check)

    def begin(self, trials: Sequence[Trial]) -> None:
        """Write trials that are about to be evaluated, so that the next run knows what this one had under way."""
        self.under_way |= {trial.number for trial in trials}
        self._append([encode(trial) for trial in trials])

    def append(self, outcome: Outcome) -> None:
        """Write one finished trial and wait until it is on the disk."""
        self._append([encode(outcome)])
        self.under_way.discard(outcome.trial.number)

    @contextmanager
    def releasing(self) -> Iterator[None]:
        """Where a search is interrupted (Ctrl-C) or ends with an error of its own, release what is under way."""
        try:
            yield
        except (KeyboardInterrupt, ValueError):
            with suppress(ValueError):  # the first error says more than that this cannot be written either
                self._release()
            raise

    def _release(self) -> None:
        """A line that was whole when the interruption came counts, whether or not it is known to be on the disk."""
        if not self.size:  # nothing was begun: not even the first line could be written
            return
        written, self.size = read_from(self.path, self.size)
        finished = {record.trial.number for record in written if isinstance(record, Outcome)}
        self._append([encode(Released(number)) for number in sorted(self.under_way - finished)])

    def _append(self, lines: Sequence[bytes]) -> None:
        if self.size is None:
            self.read()
        data = b"".join(line + b"\n" for line in lines)
        try:
            self._cut()
            self._write(data)
        except OSError as error:
            with suppress(OSError):
                self._cut()
            raise ValueError(
                f"the trial log {self.path} cannot be written ({error.strerror}); free space or make it writable and "
                "start again: every trial before this one is kept"
            ) from error
        self.size = (self.size or 0) + len(data)

    def _write(self, data: bytes) -> None:
        log = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            while data:  # a disk that is nearly full takes a part only
                data = data[os.write(log, data) :]
            os.fsync(log)
        finally:
            os.close(log)

    def _cut(self) -> None:
        """Remove what a kill or a full disk left of a line that is not whole."""
        if self.size is not None and self.path.exists() and self.path.stat().st_size > self.size:
            os.truncate(self.path, self.size)

    def _check(self, file: Path, header: Mapping[str, Any]) -> None:
        differing = [key for key in {*header, *self.header} if header.get(key) != self.header.get(key)]
        if differing:
            raise ValueError(
                f"{file} belongs to another search (different: {', '.join(sorted(differing))}); "
                "move it away to begin anew, or restore the configuration to go on"
            )


def _lock(file: Path, wait_s: float) -> IO[str] | None:
    """Hold a file beside the log until this process ends; None where the file system has no locks."""
    stream = file.with_suffix(".lock").open("w")
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            if time.monotonic() > until:
                raise ValueError(f"another process writes to {file}; wait for its end, or end it") from None
            time.sleep(0.1)
        except OSError:
            return None
        else:
            return stream


def merge(folder: Path, check: Check | None = None) -> Kept:
    """What the logs of all ranks in a folder hold; `check` is given each file and its first line."""
    records: list[Record] = []
    ends = {}
    for file in sorted(folder.glob(LOGS)):
        more, ends[file] = read_from(file, 0, check)
        records += more
    return _kept(records, ends)


def _kept(records: Sequence[Record], ends: dict[Path, int]) -> Kept:
    outcomes, running = _sorted(records)
    tries = Counter(record.number for record in records if isinstance(record, Trial))
    tries.subtract(record.number for record in records if isinstance(record, Released))
    return Kept(outcomes, running, ends, {trial.number: tries[trial.number] for trial in running})


def read_file(file: Path) -> list[Record]:
    """All whole records of one log; none where there is no such file."""
    return read_from(file, 0)[0]


def read_from(file: Path, start: int, check: Check | None = None) -> tuple[list[Record], int]:
    """Whole records after the first `start` bytes of a log that another may be writing, and where they end."""
    records: list[Record] = []
    end = start
    try:
        if file.stat().st_size <= start:
            return [], start
        with file.open("rb") as stream:
            stream.seek(start)
            for line in itertools.takewhile(lambda line: line.endswith(b"\n"), stream):
                record = _parse(file, end, line)
                if end > 0:
                    records.append(decode(record))
                elif check is not None:
                    check(file, record)
                end += len(line)
    except FileNotFoundError:
        return [], start
    return records, end


def _parse(file: Path, start: int, line: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError as error:
        number = file.read_bytes()[:start].count(b"\n") + 1
        raise ValueError(f"{file}, line {number} is damaged ({error}); remove that line and rerun") from error
    return record


def _sorted(records: Iterable[Record]) -> tuple[list[Outcome], list[Trial]]:
    begun: dict[int, Trial] = {}
    finished: list[Outcome] = []
    for record in records:
        if isinstance(record, Trial):
            begun.setdefault(record.number, record)
        elif isinstance(record, Outcome):
            finished.append(record)
    outcomes: dict[int, Outcome] = {}
    for outcome in sorted(finished, key=lambda outcome: outcome.ended):
        outcomes.setdefault(outcome.trial.number, outcome)
    running = [begun[number] for number in sorted(begun.keys() - outcomes.keys())]
    return list(outcomes.values()), running


def table(outcomes: Sequence[Outcome], two_steps: object = None) -> pd.DataFrame:
    """Trials as a table, a row each; NaN where one has no loss or lacks a measure.

    With `two_steps` (anything true), those on a part of the windows belong to step 1 and the rest to step 2. After the
    trial's own columns comes one for each measure.
    """
    trials = [outcome.trial for outcome in outcomes]
    measures = sorted({name for outcome in outcomes for name in outcome.measures})
    return pd.DataFrame(
        {
            "number": [trial.number for trial in trials],
            "step": [1 if not two_steps or trial.share < 1 else 2 for trial in trials],
            "parent": [-1 if trial.parent is None else trial.parent for trial in trials],
            "continues": [trial.continues for trial in trials],
            "budget": [trial.budget for trial in trials],
            "share": [trial.share for trial in trials],
            "point": [json.dumps(dict(trial.point)) for trial in trials],
            "loss": _numbers([outcome.loss for outcome in outcomes]),
            "error": pd.array([outcome.error for outcome in outcomes], dtype="string"),
            "seconds": [outcome.seconds for outcome in outcomes],
            "ended": [outcome.ended for outcome in outcomes],
            **{name: _numbers([outcome.measures.get(name) for outcome in outcomes]) for name in measures},
        }
    )


def _numbers(values: Sequence[float | None]) -> pd.Series:
    """Numbers, NaN for None; whole ones stay whole where none is missing."""
    if None in values:
        return pd.Series([math.nan if value is None else value for value in values], dtype=float)
    return pd.Series(values, dtype=float if not values else None)
