"""Members under way at once on the workers of one engine; the finished come back one by one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any, Self, overload

from podnas.networks import engines
from podnas.networks.engines import Engine
from podnas.networks.population import Job, State

ATTEMPTS = 2  # a worker may be killed for no fault of its member


@dataclass(frozen=True)
class Finished:
    """A job and its key, its member's new state, and the seconds of a worker that it took."""

    key: Any
    job: Job
    state: State
    seconds: float


@dataclass(frozen=True)
class _Entry:
    key: Any
    job: Job
    attempt: int = 1


def finished(engine: Engine, workers: int, keys: Iterable[Any], begin: Callable[[Any], Job]) -> Iterator[Finished]:
    """Jobs as they are done, each begun when there is room: those under way hold their weights and their moments."""
    waiting, under_way, room = deque(keys), 0, max(2 * workers, engine.together)
    with Lanes(engine, workers) as lanes:
        while waiting or under_way:
            while waiting and under_way < room:
                lanes.submit(waiting[0], begin(waiting.popleft()))
                under_way += 1
            yield lanes.finished()
            under_way -= 1


class Lanes:
    """Jobs go in by `submit` and come out of `finished` as workers are done with them."""

    def __init__(self, engine: Engine, workers: int) -> None:
        self.engine = engine
        self.workers = workers
        self.waiting: deque[_Entry] = deque()
        self.running: dict[Future[tuple[list[State], float]], list[_Entry]] = {}
        self.done: deque[Finished] = deque()
        self.pool = engine.pool(workers)
        self.begun = 0  # jobs of this pool

    def submit(self, key: Any, job: Job) -> None:
        """Take a job; an engine that trains members together waits for more of them, until `finished` is called."""
        self.waiting.append(_Entry(key, job))
        if self.engine.together == 1:
            self._dispatch()

    @overload
    def finished(self) -> Finished: ...

    @overload
    def finished(self, timeout_s: float | None) -> Finished | None: ...

    def finished(self, timeout_s: float | None = None) -> Finished | None:
        """The next job that is finished; waits for it, so long at most, and gives None where none is then.

        Raises LookupError where none was submitted.
        """
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.done:
            self._dispatch()
            if not self.running:
                raise LookupError("no job is under way")
            left = None if ends is None else max(0.0, ends - time.monotonic())
            ended = wait(self.running, left, FIRST_COMPLETED).done
            if not ended and left is not None:
                return None
            for future in ended:
                self._collect(future, self.running.pop(future))
        return self.done.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def _dispatch(self) -> None:
        while self._room():
            count = min(self.engine.together, len(self.waiting))
            entries = [self.waiting.popleft() for _ in range(count)]
            self.running[self._begin([entry.job for entry in entries])] = entries

    def _room(self) -> bool:
        """Whether the next of those waiting may begin."""
        if not self.waiting:
            return False
        under_way = [entry for entries in self.running.values() for entry in entries]
        # what may have killed its worker is tried again with no other beside it
        alone = any(entry.attempt > 1 for entry in [self.waiting[0], *under_way])
        if alone or self.engine.together > 1 or self.begun >= self.engine.jobs_per_pool(self.workers):
            return not under_way
        return len(under_way) < self.workers

    def _begin(self, jobs: list[Job]) -> Future[tuple[list[State], float]]:
        if self.begun >= self.engine.jobs_per_pool(self.workers):
            self._renew()
        self.begun += 1
        try:
            return self.pool.submit(engines.advance, self.engine, jobs)
        except BrokenProcessPool:  # a worker was killed: the others of its pool end, too
            self._renew()
            return self.pool.submit(engines.advance, self.engine, jobs)

    def _renew(self) -> None:
        self.pool.shutdown()
        self.pool, self.begun = self.engine.pool(self.workers), 0

    def _collect(self, future: Future[tuple[list[State], float]], entries: list[_Entry]) -> None:
        try:
            states, seconds = future.result()
        except BrokenProcessPool:
            for entry in entries:
                self._again(entry)
            return
        except Exception as error:  # a member may fail in any way; the others go on
            text = f"{type(error).__name__}: {error}"
            states, seconds = [replace(entry.job.state, error=text) for entry in entries], 0.0
        for entry, state in zip(entries, states, strict=True):
            share = seconds / len(entries)
            state = replace(state, seconds=entry.job.state.seconds + share)
            self.done.append(Finished(entry.key, entry.job, state, share))

    def _again(self, entry: _Entry) -> None:
        if entry.attempt < ATTEMPTS:
            self.waiting.appendleft(replace(entry, attempt=entry.attempt + 1))
            return
        text = f"the worker process was killed {ATTEMPTS} times (out of memory?)"
        self.done.append(Finished(entry.key, entry.job, replace(entry.job.state, error=text), 0.0))
