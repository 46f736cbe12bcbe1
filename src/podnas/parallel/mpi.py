"""Ranks that tell each other by MPI messages; the only module that imports mpi4py.

Messages are sent without waiting (Isend) and fetched when they have come (Iprobe). At most WINDOW of them are under way
to a rank; what is told meanwhile is sent together when there is room, in messages small enough to leave at once and
whole: a longer one is fetched from its sender piece by piece, and where that has died or ended meanwhile, it is lost,
comes damaged or is waited for without end. To a rank that is silent nothing is sent: a dead one never takes a message,
and one to another host may bring a launcher down.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import deque
from collections.abc import Collection, Sequence
from itertools import accumulate, islice, takewhile
from typing import Any

import mpi4py

from podnas.parallel.exchange import BEATS, SILENT_S, Gone, Heard, Hearing, Idle, Message
from podnas.search import log

# the end of this process is no time for a call that waits for all ranks: one of them may be dead
mpi4py.rc.finalize = False
mpi4py.rc.thread_level = "funneled"  # networks train in threads of their own
# MPICH pads a rank's UCX address to 4 kB with what is in its memory. Where that is no zeros, SLURM's PMI cannot read
# the lines (over 1024 bytes), and all ranks wait for ever in MPI_Init. libfabric's addresses take one line of 66 bytes.
if "SLURM_STEP_ID" in os.environ:
    os.environ.setdefault("MPIR_CVAR_CH4_NETMOD", "ofi")

from mpi4py import MPI  # noqa: E402

TAG = 1
WINDOW = 4  # messages under way to a rank
# bytes of a message, where a record alone is not longer. UCX and libfabric send at once up to 8 kB or more
MOST = 4096
FAREWELL_S = 5.0  # for the last messages to leave, and for the end of MPI
POLL_S = 0.02


class MpiExchange:
    """All ranks of MPI's world."""

    def __init__(self, silent_s: float = SILENT_S) -> None:
        self.world = MPI.COMM_WORLD
        self.world.Set_errhandler(MPI.ERRORS_RETURN)
        self.rank: int = self.world.Get_rank()
        self.ranks: int = self.world.Get_size()
        self.hearing = Hearing(self.rank, self.ranks, silent_s)
        self.beat_s = silent_s / BEATS
        self.told: list[bytes] = []  # all that was ever sent
        self.left = False  # after the last message, no sign of life: at the end of MPI none may be under way
        self.outward = {other: _Outward() for other in self.hearing.last}

    def send(self, messages: Sequence[Message]) -> None:
        """Tell all that are heard of; the others, if ever they are again."""
        self.told += map(_encode, messages)
        self.left |= any(isinstance(message, Gone) for message in messages)
        self._push()

    def receive(self) -> list[Heard]:
        """What has arrived."""
        heard = []
        while self.outward and (arrived := self._next()) is not None:
            source, data = arrived
            self.hearing.note(source)
            for message in map(_decode, data.splitlines()):
                self.hearing.note(source, message)
                heard.append((source, message))
        self._push()
        return heard

    def _next(self) -> tuple[int, bytes] | None:
        """A message that has arrived and the rank that sent it; None where there is none, or none can be fetched."""
        status = MPI.Status()
        try:
            if not self.world.Iprobe(MPI.ANY_SOURCE, TAG, status):
                return None
            source, data = status.Get_source(), bytearray(status.Get_count(MPI.BYTE))
            self.world.Recv([data, MPI.BYTE], source, TAG)
        except MPI.Exception:  # of a rank that has died; it becomes silent
            return None
        return source, bytes(data)

    def silent(self) -> Collection[int]:
        """Ranks from which nothing came for too long, or that cannot be reached."""
        lost = {other for other, outward in self.outward.items() if outward.broken}
        return (self.hearing.silent() | lost) - self.hearing.gone

    def lost(self) -> Collection[int]:
        """Those, and ranks that said that they failed."""
        return {*self.silent(), *self.hearing.failed}

    def close(self) -> None:
        """Stay until all others have left or are silent, then end MPI with them.

        The end of MPI waits for all ranks and so, if one is dead, for ever. It is left out where one is silent, and cut
        off by SIGALRM where one dies just then: nothing is left to be written.
        """
        while len(self.hearing.gone | set(self.silent())) < len(self.outward):
            self.receive()
            time.sleep(POLL_S)
        until = time.monotonic() + FAREWELL_S
        while self._unsent() and time.monotonic() < until:
            self._push()
            time.sleep(POLL_S)
        if len(self.hearing.gone) == len(self.outward):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, FAREWELL_S)
            MPI.Finalize()
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _unsent(self) -> bool:
        silent = self.silent()
        return any(
            outward.under_way or outward.next < len(self.told)
            for other, outward in self.outward.items()
            if other not in silent
        )

    def _push(self) -> None:
        silent = self.silent()
        now = time.monotonic()
        for other, outward in self.outward.items():
            if other in silent:
                continue
            try:
                while outward.room() and (outward.next < len(self.told) or self._due(outward, now)):
                    self._send(other, outward, now)
            except MPI.Exception:
                outward.broken = True

    def _due(self, outward: _Outward, now: float) -> bool:
        return not self.left and now - outward.spoken > self.beat_s

    def _send(self, other: int, outward: _Outward, now: float) -> None:
        part = _beginning(self.told, outward.next)
        data = b"\n".join(part)  # empty: a sign of life
        outward.under_way.append((self.world.Isend([data, MPI.BYTE], other, TAG), data))
        outward.next += len(part)
        outward.spoken = now


class _Outward:
    """Messages to one rank; a buffer is kept until MPI is done with it."""

    def __init__(self) -> None:
        self.under_way: deque[tuple[Any, bytes]] = deque()
        self.next = 0  # of what was told, the first that was not sent to it
        self.spoken = -float("inf")
        self.broken = False

    def room(self) -> bool:
        """Whether one more message may be under way; those that have left are dropped."""
        while self.under_way and self.under_way[0][0].Test():
            self.under_way.popleft()
        return len(self.under_way) < WINDOW


def _beginning(records: Sequence[bytes], first: int) -> list[bytes]:
    """Records from the first on that fit into a message, and at least that one where there is any."""
    sizes = accumulate(len(record) + 1 for record in islice(records, first, None))
    fitting = sum(1 for _ in takewhile(MOST.__ge__, sizes))
    return list(records[first : first + max(fitting, 1)])


def _encode(message: Message) -> bytes:
    match message:
        case Idle(known):
            return json.dumps({"idle": known}).encode()
        case Gone(over, failed):
            return json.dumps({"gone": over, "failed": failed}).encode()
        case _:
            return log.encode(message)


def _decode(line: bytes) -> Message:
    record: dict[str, Any] = json.loads(line)
    if "idle" in record:
        return Idle(record["idle"])
    if "gone" in record:
        return Gone(record["gone"], record["failed"])
    return log.decode(record)
