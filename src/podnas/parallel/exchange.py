"""What ranks tell each other, and two ways without MPI: being alone, and the per-rank logs on a shared folder.

A rank sends to all others and never waits for any. What one rank sends arrives in the order it was sent. A rank of
which nothing was heard for `silent_s` counts as lost, and nothing is sent to it unless it is heard of again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from podnas.search import log
from podnas.search.log import Record, Released
from podnas.search.protocol import Outcome, Trial

SILENT_S = 60.0  # a suggestion or a compilation may keep a rank from speaking for some seconds
BEATS = 6  # signs of life within that time
POLL_S = 0.2


@dataclass(frozen=True)
class Idle:
    """A rank that has nothing under way and nothing to propose, knowing so many outcomes."""

    known: int


@dataclass(frozen=True)
class Gone:
    """A rank that leaves; `over`: because there is nothing left to do for anybody; `failed`: with an error."""

    over: bool
    failed: bool = False


# a trial: it is about to be evaluated; released: it is no longer, and its rank leaves
Message = Trial | Outcome | Released | Idle | Gone
Heard = tuple[int, Message]  # the rank that sent it


class Exchange(Protocol):
    """One rank's way to the others."""

    rank: int
    ranks: int

    def send(self, messages: Sequence[Message]) -> None:
        """Tell all others; returns at once."""
        ...

    def receive(self) -> list[Heard]:
        """What has arrived since the last call, and a sign of life to the others where one is due; never waits."""
        ...

    def silent(self) -> Collection[int]:
        """Ranks of which nothing was heard for too long."""
        ...

    def lost(self) -> Collection[int]:
        """Ranks that are silent or have left with an error: they do nothing more."""
        ...

    def close(self) -> None:
        """Wait until all others have left or are silent; nothing is sent or received any more."""
        ...


class Alone:
    """One rank: there is nobody to tell."""

    rank = 0
    ranks = 1

    def send(self, messages: Sequence[Message]) -> None:
        """Nobody hears it."""

    def receive(self) -> list[Heard]:
        """Nothing."""
        return []

    def silent(self) -> Collection[int]:
        """Nobody."""
        return ()

    def lost(self) -> Collection[int]:
        """Nobody."""
        return ()

    def close(self) -> None:
        """Nothing to close."""


class Hearing:
    """When each other rank was heard last, and which have left."""

    def __init__(self, rank: int, ranks: int, silent_s: float) -> None:
        self.silent_s = silent_s
        self.last = {other: time.monotonic() for other in range(ranks) if other != rank}
        self.gone: set[int] = set()
        self.failed: set[int] = set()  # of those, with an error

    def note(self, rank: int, message: Message | None = None) -> None:
        """A sign of life of a rank."""
        self.last[rank] = time.monotonic()
        if isinstance(message, Gone):
            self.gone.add(rank)
            self.failed |= {rank} if message.failed else set()

    def silent(self) -> set[int]:
        """Ranks that have not left, and of which nothing was heard for too long."""
        before = time.monotonic() - self.silent_s
        return {rank for rank, last in self.last.items() if last < before and rank not in self.gone}


class FolderExchange:
    """Ranks read each other's trial logs, each from where it stopped reading, every `poll_s` seconds.

    Trials and outcomes are in the log already when they are sent, so all that is written is a small file with the rest,
    rewritten as a sign of life. Nothing of a rank that dies can harm another. A poll looks at two files of each rank; a
    shared file system that keeps what it knows of a file for some seconds (NFS) delays news by as much.

    `run` tells ranks of one run from what an earlier one has left; `ends` are the bytes of each log that are known.
    """

    def __init__(
        self,
        folder: Path,
        rank: int,
        ranks: int,
        run: str,
        ends: dict[Path, int],
        silent_s: float = SILENT_S,
        poll_s: float = POLL_S,
    ) -> None:
        self.folder, self.rank, self.ranks, self.run = folder, rank, ranks, run
        self.hearing = Hearing(rank, ranks, silent_s)
        self.ends = dict(ends)
        self.poll_s, self.beat_s = poll_s, silent_s / BEATS
        self.polled = -float("inf")
        self.sign: dict[str, Any] = {"run": run, "beat": 0, "idle": None, "gone": None, "failed": False}
        self.seen: dict[int, dict[str, Any]] = {}
        self.beats: dict[int, int] = {}
        self._beat()

    def send(self, messages: Sequence[Message]) -> None:
        """Write what stands in no log."""
        before = self.sign["idle"], self.sign["gone"]
        for message in messages:
            match message:
                case Idle(known):
                    self.sign["idle"] = known
                case Gone(over, failed):
                    self.sign |= {"gone": over, "failed": failed}
                case _:
                    self.sign["idle"] = None
        if (self.sign["idle"], self.sign["gone"]) != before:
            self._beat()

    def receive(self) -> list[Heard]:
        """New lines and signs of all others, at most once in `poll_s`."""
        now = time.monotonic()
        if now - self.polled < self.poll_s:
            return []
        self.polled = now
        if now - self.written > self.beat_s:
            self._beat()
        present = [other for other in self.hearing.last if other not in self.hearing.gone]
        return [(other, message) for other in present for message in self._heard(other)]

    def silent(self) -> Collection[int]:
        """Ranks whose file has not changed for too long."""
        return self.hearing.silent()

    def lost(self) -> Collection[int]:
        """Those, and ranks that say that they failed."""
        return self.hearing.silent() | self.hearing.failed

    def close(self) -> None:
        """Stay until all others have left or are silent."""
        while len(self.hearing.gone | self.hearing.silent()) < len(self.hearing.last):
            self.receive()
            time.sleep(self.poll_s)

    def _beat(self) -> None:
        self.written = time.monotonic()
        own = log.rank_path(self.folder, self.rank)
        self.sign |= {"beat": self.sign["beat"] + 1, "logged": own.stat().st_size if own.exists() else 0}
        file = self._sign_path(self.rank)
        new = file.with_suffix(".new")
        try:
            new.write_text(json.dumps(self.sign), encoding="utf-8")
            new.replace(file)
        except OSError as error:
            raise ValueError(f"{file} cannot be written ({error.strerror}); free space or make it writable") from error

    def _sign_path(self, rank: int) -> Path:
        return self.folder / f"rank-{rank:04d}.alive"

    def _heard(self, other: int) -> list[Message]:
        sign = self._read_sign(other)
        messages: list[Message] = [*self._read_log(other)]
        if sign is None or sign == self.seen.get(other):
            return messages
        if sign["beat"] != self.beats.get(other):
            self.beats[other] = sign["beat"]
            self.hearing.note(other)
        read = self.ends[log.rank_path(self.folder, other)]
        if read < sign["logged"]:  # a file system in between: the sign is heard when the log has come
            return messages
        self.seen[other] = sign
        if sign["idle"] is not None and read == sign["logged"]:
            messages.append(Idle(sign["idle"]))
        if sign["gone"] is not None:
            messages.append(Gone(sign["gone"], sign["failed"]))
            self.hearing.note(other, messages[-1])
        return messages

    def _read_sign(self, other: int) -> dict[str, Any] | None:
        """What another says of itself in this run."""
        try:
            sign: dict[str, Any] = json.loads(self._sign_path(other).read_bytes())
        except (OSError, ValueError):  # not there yet, or not whole
            return None
        return sign if sign["run"] == self.run else None

    def _read_log(self, other: int) -> list[Record]:
        file = log.rank_path(self.folder, other)
        records, self.ends[file] = log.read_from(file, self.ends.get(file, 0))
        return records
