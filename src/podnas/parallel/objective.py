"""Trials of a user's own objective, a Python function or a command, in processes of their own.

A function is imported once in each worker process. A worker whose trial takes too long is killed with all that it had
started, one that dies costs its trial only, and both are replaced.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from multiprocessing import connection
from pathlib import Path
from typing import Any, Self

import numpy as np

from podnas import provenance
from podnas.parallel import launch, worker
from podnas.search.protocol import Outcome, Trial

LOG = logging.getLogger("podnas")

Target = str | Sequence[str]

READ_BYTES = 65_536
GRACE_S = 1.0  # between the end of a process's socket and its own
LOAD_S = 60.0  # that loading a target may take where trials have a shorter limit


class ObjectiveError(ValueError):
    """An objective that cannot be evaluated at all, whatever the trial."""

    exit_status = launch.HOPELESS


class ProcessEvaluator:
    """Evaluates trials in `workers` processes, each at most `limit_s` seconds long (None: without limit).

    Loading the target does not count; it may take as long as a trial, or LOAD_S where that is more.

    A target that is a string names a function, package.module:function or path/to/file.py:function. It is called as
    f(point, budget=…, share=…, seed=…, number=…, checkpoint=…) with those keywords that it takes, and returns a loss or
    a mapping of a loss and other measures. A target that is a list of words is a command: it reads the same as one JSON
    object from its standard input and prints the result on its last line.

    The seed is the trial's own, drawn from `seed` and its number. `checkpoint` is a folder in `checkpoints` (None: not
    offered), the same for a trial and those that continue its training. Where no process could load the target, or it
    is a function that does not take one of the keywords `needed` (worker.VARIED), ObjectiveError is raised, since no
    trial could be evaluated; after that, one that cannot costs its trial only.
    """

    def __init__(
        self,
        target: Target,
        workers: int,
        limit_s: float | None = None,
        seed: int = 0,
        checkpoints: Path | None = None,
        needed: Sequence[str] = (),
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}; at least one process has to evaluate")
        self.target = target if isinstance(target, str) else list(target)
        check(self.target)
        self.limit_s = limit_s
        self.seed = seed
        self.checkpoints = checkpoints
        self.needed = list(needed)
        self.workers: list[_Worker | None] = [None] * workers
        self.loaded = False  # whether a process has ever loaded the target
        self.waiting: deque[Trial] = deque()
        self.done: deque[Outcome] = deque()

    def load(self, timeout_s: float | None = None) -> bool:
        """Whether a process has loaded the target; waits `timeout_s` seconds for the first (None: without limit)."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.loaded:
            left = None if deadline is None else deadline - time.monotonic()
            first = self.workers[0] = self.workers[0] or _Worker(self.target, self.needed)
            self._wait([first], left)
            if left is not None and left <= 0:
                break
        return self.loaded

    def submit(self, trial: Trial) -> None:
        """Begin a trial, or let it wait for a free worker."""
        self.waiting.append(trial)
        self._dispatch()

    def finished(self, timeout_s: float | None = None) -> Outcome | None:
        """The outcome of the next trial that is done; None if none is within `timeout_s` seconds (None: waits).

        Raises LookupError where no trial is under way.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.done:
            busy = [one for one in self.workers if one is not None and one.trial is not None]
            if not busy:
                raise LookupError("no trial is under way")
            left = None if deadline is None else deadline - time.monotonic()
            self._wait(busy, left)
            if not self.done and left is not None and left <= 0:
                return None
        return self.done.popleft()

    def close(self) -> None:
        """End all workers; trials under way are lost."""
        for one in self.workers:
            if one is not None:
                one.end()
        self.workers = [None] * len(self.workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _dispatch(self) -> None:
        for place, one in enumerate(self.workers):
            if not self.waiting:
                return
            if one is not None and one.trial is not None:
                continue
            if one is None or one.ended():
                if one is not None:
                    one.end()
                one = self.workers[place] = _Worker(self.target, self.needed)
            trial = self.waiting.popleft()
            one.begin(trial, self._offer(trial))

    def _offer(self, trial: Trial) -> dict[str, Any]:
        """What a trial offers to the objective, as JSON."""
        offer: dict[str, Any] = {
            "point": dict(trial.point),
            "number": trial.number,
            "budget": trial.budget,
            "share": trial.share,
            "seed": int(np.random.SeedSequence([self.seed, trial.number]).generate_state(1)[0]),
        }
        if self.checkpoints is not None:
            offer |= {"checkpoints": str(self.checkpoints.absolute())}
            offer |= {"continues": trial.parent} if trial.continues else {}
        return offer

    def _wait(self, busy: list[_Worker], left: float | None) -> None:
        """Until a worker has something to say, has ended or is over its limit, at most `left` seconds."""
        times = [left, *(one.left(self.limit_s) for one in busy)]
        least = min((max(0.0, one) for one in times if one is not None), default=None)
        ready = set(connection.wait([handle for one in busy for handle in one.handles()], least))
        for one in busy:
            if not ready.isdisjoint(one.handles()):
                self._hear(one)
            elif (over := one.left(self.limit_s)) is not None and over <= 0:
                self._lose(one, one.overdue(self.limit_s))
        self._dispatch()

    def _hear(self, one: _Worker) -> None:
        records = one.read()
        if records is None:
            self._lose(one, None)
            return
        for record in records:
            if record.get("ready"):
                one.started = time.monotonic()
                self.loaded = True
            elif one.started is None:
                self._lose(one, record["error"])
            else:
                self._finish(one, record)

    def _lose(self, one: _Worker, error: str | None) -> None:
        """End a worker, and its trial with an error (None: how the process ended)."""
        error = f"its process ended: {one.end()}" if error is None else error
        one.end()
        self.workers[self.workers.index(one)] = None
        if one.started is not None:
            self._finish(one, {"error": error, "seconds": time.monotonic() - one.started})
        elif self.loaded:
            self._finish(one, {"error": f"the objective could not be loaded again ({error})", "seconds": 0.0})
        else:
            self.close()
            raise ObjectiveError(f"the objective {self.target} cannot be loaded ({error}); mend it and start again")

    def _finish(self, one: _Worker, record: Mapping[str, Any]) -> None:
        trial, one.trial = one.trial, None
        assert trial is not None  # idle workers are not waited for
        if "traceback" in record:
            LOG.info("trial %d failed\n%s", trial.number, record["traceback"])
        self.done.append(
            Outcome(
                trial,
                record.get("loss"),
                record.get("error"),
                seconds=record["seconds"],
                measures=record.get("measures", {}),
                ended=time.time(),
            )
        )


class _Worker:
    """One process, the socket to it and the trial that it evaluates."""

    def __init__(self, target: str | list[str], needed: list[str]) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", worker.__name__, str(theirs.fileno()), json.dumps(target), json.dumps(needed)],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # it is ended together with what it starts
                env=_environment(),
            )
        self.life = os.pidfd_open(self.process.pid)  # readable once the process has ended
        self.unread = b""
        self.begun = time.monotonic()
        self.trial: Trial | None = None
        self.started: float | None = None  # of the trial; None until the target is loaded

    def begin(self, trial: Trial, offer: Mapping[str, Any]) -> None:
        """Send a trial; that the worker has just died is found out where its answer is waited for."""
        self.trial = trial
        if self.started is not None:
            self.started = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.channel.sendall((json.dumps(offer) + "\n").encode())

    def handles(self) -> list[int]:
        """What becomes readable when it answers or ends."""
        return [self.channel.fileno(), self.life]

    def left(self, limit_s: float | None) -> float | None:
        """Seconds that its trial, or before it the loading of the target, may still take; None: any."""
        if limit_s is None:
            return None
        until = self.begun + max(limit_s, LOAD_S) if self.started is None else self.started + limit_s
        return until - time.monotonic()

    def overdue(self, limit_s: float | None) -> str:
        """What to say of one that is over its limit."""
        if self.started is None:
            spent = time.monotonic() - self.begun
            return f"it was not ready after {spent:.0f} s; a longer limit for trials gives it more"
        return f"took longer than the limit of {limit_s:g} s for a trial, and was ended"

    def read(self) -> list[dict[str, Any]] | None:
        """Its answers so far, whole ones only; None where it ended or closed the socket."""
        try:
            received = self.channel.recv(READ_BYTES)
        except ConnectionResetError:
            received = b""
        if not received:
            connection.wait([self.life], GRACE_S)  # it ends a moment after its socket
            return None
        *lines, self.unread = (self.unread + received).split(b"\n")
        return [json.loads(line) for line in lines]

    def ended(self) -> bool:
        """Whether the process is gone."""
        return bool(connection.wait([self.life], 0))

    def end(self) -> str:
        """Kill the process and all that it started, wait for it, and say how it ended."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.channel.close()
            os.close(self.life)
        return worker.ending(self.process.returncode)


def check(target: Target) -> None:
    """Raise ObjectiveError where a target is neither a function's name nor a command that exists."""
    if isinstance(target, str):
        place, _, name = target.rpartition(":")
        if not place or not name.isidentifier():
            raise ObjectiveError(f"{target!r} names no function; write package.module:function or file.py:function")
        if place.endswith(".py") and not Path(place).is_file():
            raise ObjectiveError(f"the objective {target} does not exist: {place} is no file in {Path.cwd()}")
    elif not target or shutil.which(target[0]) is None:
        raise ObjectiveError(f"the command {shlex.join(target)!r} cannot be run: no such program; check its first word")


def sources(target: Target) -> dict[str, str]:
    """SHA-256 of what a target names: the file of the function, or every word of a command that is a file."""
    if isinstance(target, str):
        place = target.rpartition(":")[0]
        files = {place: Path(place) if place.endswith(".py") else _module_file(place)}
    else:
        files = {word: Path(word) for word in target}
    return {name: provenance.file_hash(file) for name, file in files.items() if file is not None and file.is_file()}


def _module_file(name: str) -> Path | None:
    """Where a module stands, without importing it or its package."""
    places: Sequence[str] | None = [str(Path.cwd()), *sys.path]
    file = None
    for depth in range(1, name.count(".") + 2):
        found = PathFinder.find_spec(".".join(name.split(".")[:depth]), places)
        if found is None:
            return None
        file, places = found.origin, found.submodule_search_locations
    return Path(file) if file else None


def _environment() -> dict[str, str]:
    """This process's environment without its place among the ranks, which is not the worker's."""
    places = {launch.RUN, launch.DEADLINE, *(name for pair in launch.PLACES for name in pair)}
    return {
        key: value for key, value in os.environ.items() if key not in places and not key.startswith(("PMI_", "PMIX_"))
    }
