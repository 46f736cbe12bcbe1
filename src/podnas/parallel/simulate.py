"""A search on thousands of virtual workers: the same algorithm objects against a virtual clock.

Two organisations. A *manager* has the only Search; workers ask it for each trial, and it serves one after another. In a
*decentralised* run every worker (rank) has a Search of its own and asks that, so a suggestion blocks nobody else;
outcomes reach all ranks after a message delay. What a suggestion costs is not timed here but given as a curve (`Cost`),
so that a run depends on its seed alone.

Utilisation is that of Egele et al. (2022, arXiv 2207.00479): evaluation time of all workers over the time they had.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from podnas.search.protocol import Outcome, Search, Trial

Organisation = Literal["manager", "decentralised"]
Objective = Callable[[Trial], float | None]  # the loss; None or not finite: the trial failed
Durations = Callable[[Trial, np.random.Generator], float]  # seconds of a full training of the trial's point

# kinds of events; at equal times the lower ones come first: what has ended is known to whoever asks then, and those
# that have waited are served before the others
_DIES, _ENDS, _HEARD, _SERVES, _WANTS = range(5)
COLUMNS = {
    "worker": "number of the worker",
    "number": "of the trial",
    "budget": "share of the epochs",
    "share": "share of the training windows",
    "spent": "full trainings that it costs",
    "waited": "the worker begins to wait for the search (s)",
    "asked": "the search begins to think (s)",
    "suggested": "the search has thought (s)",
    "began": "the evaluation begins (s)",
    "ended": "it ends, or would have ended after the run (s)",
    "loss": "NaN: none",
    "finished": "ended within the run, with a loss or failed",
    "failed": "gave no loss",
    "lost": "its worker died",
}
_FULL = 1 - 1e-9  # of a training, from which on a loss is a final one


class Times(Protocol):
    """A distribution of times."""

    def draw(self, random: np.random.Generator) -> float:
        """Seconds."""
        ...


@dataclass(frozen=True)
class Normal:
    """Normal times, drawn again where they are below `least_s`."""

    mean_s: float
    deviation_s: float
    least_s: float = 1.0

    def draw(self, random: np.random.Generator) -> float:
        """Seconds."""
        while (seconds := random.normal(self.mean_s, self.deviation_s)) < self.least_s:
            pass
        return float(seconds)

    def __call__(self, trial: Trial, random: np.random.Generator) -> float:
        """Seconds of a training, whichever trial it is."""
        return self.draw(random)


@dataclass(frozen=True)
class LogNormal:
    """Log-normal times of this mean and standard deviation, drawn again where they are below `least_s`."""

    mean_s: float
    deviation_s: float
    least_s: float = 1.0
    _sigma: float = field(init=False, repr=False)
    _mu: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        variance = math.log1p((self.deviation_s / self.mean_s) ** 2)
        object.__setattr__(self, "_sigma", math.sqrt(variance))
        object.__setattr__(self, "_mu", math.log(self.mean_s) - variance / 2)

    def draw(self, random: np.random.Generator) -> float:
        """Seconds."""
        while (seconds := random.lognormal(self._mu, self._sigma)) < self.least_s:
            pass
        return float(seconds)

    def __call__(self, trial: Trial, random: np.random.Generator) -> float:
        """Seconds of a training, whichever trial it is."""
        return self.draw(random)


@dataclass(frozen=True)
class Cost:
    """Seconds that a suggestion takes, by the number of outcomes known.

    Straight lines between the measured points on logarithmic axes, continued at both ends; `first_s` where no outcome
    is known yet (a random point).
    """

    observations: tuple[float, ...]
    seconds: tuple[float, ...]
    first_s: float = 0.0

    def __post_init__(self) -> None:
        if len(self.observations) != len(self.seconds) or not self.seconds:
            raise ValueError(
                f"a cost has {len(self.observations)} numbers of observations and {len(self.seconds)} times; give one "
                "time for each number, and at least one"
            )
        if min(self.observations) <= 0 or min(self.seconds) <= 0 or any(np.diff(self.observations) <= 0):
            raise ValueError(
                f"a cost is measured at {self.observations} observations as {self.seconds} s; numbers must be above 0 "
                "and rise, times must be above 0"
            )

    def __call__(self, observations: int) -> float:
        """Seconds of the next suggestion."""
        if observations == 0:
            return self.first_s
        if len(self.seconds) == 1:
            return self.seconds[0]
        left = min(max(bisect_right(self.observations, observations) - 1, 0), len(self.seconds) - 2)
        (n0, n1), (s0, s1) = self.observations[left : left + 2], self.seconds[left : left + 2]
        slope = math.log(s1 / s0) / math.log(n1 / n0)
        return s0 * math.exp(slope * math.log(observations / n0))


def free(observations: int) -> float:
    """Suggestions that take no time."""
    return 0.0


@dataclass(frozen=True)
class Delays:
    """Seconds that pass besides suggestions and evaluations."""

    start_up_s: float = 0.0  # before the first suggestion
    dispatch_s: float = 0.0  # between a suggestion and the start of its evaluation
    message: Times | None = None  # between the end of an evaluation and its being known; None: at once


@dataclass(frozen=True)
class Faults:
    """What goes wrong. By default, nothing."""

    failing: float = 0.0  # share of trials that fail, after a part of their time
    straggling: float = 0.0  # share of trials that take `slower` times as long
    slower: float = 5.0
    lifetime_s: float = math.inf  # mean (exponential) until a worker disappears for good, its trial lost with it

    def __post_init__(self) -> None:
        for name in ("failing", "straggling"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"faults.{name} is {getattr(self, name)}; it is a share of trials: 0 to 1")
        if self.slower < 1 or self.lifetime_s <= 0:
            raise ValueError(f"faults: slower is {self.slower} (at least 1), lifetime_s {self.lifetime_s} (above 0)")


@dataclass(frozen=True)
class Run:
    """What happened: a row a trial in the order of the suggestions, with the columns `COLUMNS`."""

    workers: int
    seconds: float  # the run lasted so long (t_max)
    events: pd.DataFrame

    @property
    def utilisation(self) -> float:
        """(sum of run times of finished + sum of (t_max - start) of those running) / (t_max x workers)."""
        counted = self.events[~self.events["lost"]]
        ran = np.minimum(counted["ended"], self.seconds) - np.minimum(counted["began"], self.seconds)
        return float(ran.sum() / (self.seconds * self.workers)) if self.seconds else 0.0

    @property
    def evaluations(self) -> int:
        """Trials that finished, failed ones included."""
        return int(self.events["finished"].sum())

    @property
    def best(self) -> float | None:
        """The lowest loss of a full training; None where none has finished."""
        losses = self._full()["loss"]
        return float(losses.min()) if len(losses) else None

    def trajectory(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds at which the best loss of full trainings fell, and to what."""
        done = self._full().sort_values("ended", kind="stable")
        best = np.minimum.accumulate(done["loss"].to_numpy(dtype=float))
        fell = np.flatnonzero(np.diff(best, prepend=np.inf) < 0)
        return done["ended"].to_numpy(dtype=float)[fell], best[fell]

    def _full(self) -> pd.DataFrame:
        whole = self.events["budget"] * self.events["share"] >= _FULL
        return self.events[self.events["finished"] & whole & self.events["loss"].notna()]


@dataclass(frozen=True)
class Limits:
    """When a run is over, beside the end of the search itself."""

    horizon_s: float = math.inf  # what still runs then is cut off
    evaluations: float = math.inf  # no trial begins once so many have; those under way finish
    budget: float = math.inf  # nor once trials worth so many full trainings have begun


def simulate(
    searches: Search | Sequence[Search],
    objective: Objective,
    durations: Durations,
    workers: int,
    organisation: Organisation = "manager",
    *,
    horizon_s: float = math.inf,
    evaluations: float = math.inf,
    budget: float = math.inf,
    cost: Callable[[int], float] = free,
    delays: Delays | None = None,
    faults: Faults | None = None,
    share: bool = False,
    seed: int = 0,
) -> Run:
    """Run a search on virtual workers until its own end or the first limit that is met.

    searches: the manager's; or for a decentralised run one for each worker, or one that stands for all of them.
    objective: called once for each trial that ends. durations: seconds of a full training; a trial takes its
    budget x share of them, one that continues its parent only the difference to that.
    horizon_s, evaluations, budget: see `Limits`. cost: seconds of a suggestion by the number of outcomes known.
    share: the ranks' searches have one archive in common, so an outcome is told to the first of them only.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; a simulation needs at least 1")
    objects = list(searches) if isinstance(searches, Sequence) else [searches]
    limits = Limits(horizon_s, evaluations, budget)
    setting = _Setting(objective, durations, workers, limits, cost, delays or Delays(), faults or Faults(), seed)
    if organisation == "manager":
        return _Managed(objects, setting).run()
    return _Decentralised(objects, setting, share).run()


@dataclass(frozen=True)
class _Setting:
    objective: Objective
    durations: Durations
    workers: int
    limits: Limits
    cost: Callable[[int], float]
    delays: Delays
    faults: Faults
    seed: int


class _Simulation(ABC):
    """Clock, workers and trials. Who is asked, and when outcomes are known to whom, is the organisation's."""

    def __init__(self, searches: list[Search], setting: _Setting) -> None:
        self.searches = searches
        self.setting = setting
        self.random = np.random.default_rng(setting.seed)
        self.events: list[tuple[float, int, int, int]] = []  # time, kind, sequence, worker (or row: heard)
        self.pushed = 0
        self.columns = {name: array("d") for name in COLUMNS}
        self.rows = 0
        self.trials: dict[int, Trial] = {}  # under way, by row
        self.running: list[int | None] = [None] * setting.workers  # row under way
        self.alive = [True] * setting.workers
        self.levels: dict[int, float] = {}  # budget of trials that may be gone on with, by number
        self.spent = 0.0
        self.results: dict[int, Outcome] = {}  # by row, until heard
        self.last = 0.0  # end of the last evaluation
        self.handlers = {
            _DIES: self._die,
            _ENDS: self._end,
            _HEARD: self._hear,
            _WANTS: self._want,
            _SERVES: self._serve,
        }

    def run(self) -> Run:
        for worker in range(self.setting.workers):
            self._push(self.setting.delays.start_up_s, _WANTS, worker)
            if math.isfinite(self.setting.faults.lifetime_s):
                self._push(self.random.exponential(self.setting.faults.lifetime_s), _DIES, worker)
        while self.events:
            time, kind, _, subject = heappop(self.events)
            if time > self.setting.limits.horizon_s:
                break
            self.handlers[kind](time, subject)
        return self._result()

    def _push(self, time: float, kind: int, subject: int) -> None:
        self.pushed += 1
        heappush(self.events, (time, kind, self.pushed, subject))

    @abstractmethod
    def _want(self, time: float, worker: int) -> None:
        """A worker has nothing to do."""

    @abstractmethod
    def _serve(self, time: float, _: int) -> None:
        """The search may be asked, if somebody waits for it."""

    @abstractmethod
    def _learn(self, time: float, outcome: Outcome) -> None:
        """An outcome is known."""

    def _open(self) -> bool:
        """Whether trials may still begin."""
        limits = self.setting.limits
        return self.rows < limits.evaluations and self.spent < limits.budget - 1e-9

    def _begin(self, trial: Trial, worker: int, waited: float, asked: float, suggested: float) -> None:
        setting, faults = self.setting, self.setting.faults
        before = self.levels.get(trial.parent, 0.0) if trial.continues and trial.parent is not None else 0.0
        full = max(trial.budget - before, 0.0) * trial.share
        seconds = setting.durations(trial, self.random) * full
        if faults.straggling and self.random.random() < faults.straggling:
            seconds *= faults.slower
        failed = bool(faults.failing) and bool(self.random.random() < faults.failing)
        if failed:
            seconds *= self.random.random()
        began = suggested + setting.delays.dispatch_s
        if trial.budget < 1:
            self.levels[trial.number] = trial.budget
        self.spent += full
        self.running[worker] = self.rows
        self.trials[self.rows] = trial
        self.rows += 1
        values = (
            worker, trial.number, trial.budget, trial.share, full, waited, asked, suggested, began, began + seconds,
            math.nan, False, failed, False,
        )  # fmt: skip
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)
        self._push(began + seconds, _ENDS, worker)

    def _end(self, time: float, worker: int) -> None:
        row = self.running[worker]
        if row is None:
            return  # the worker died
        self.running[worker] = None
        self.results[row] = self._outcome(row, time)
        message = self.setting.delays.message
        self._push(time + (message.draw(self.random) if message else 0.0), _HEARD, row)
        self._push(time, _WANTS, worker)

    def _outcome(self, row: int, time: float) -> Outcome:
        columns, trial = self.columns, self.trials.pop(row)
        loss = None if columns["failed"][row] else self.setting.objective(trial)
        if loss is not None and not math.isfinite(loss):
            loss = None
        columns["finished"][row], columns["failed"][row] = True, loss is None
        columns["loss"][row] = math.nan if loss is None else loss
        self.last = time
        error = "the evaluation failed" if loss is None else None
        return Outcome(trial, loss, error, seconds=time - columns["began"][row], ended=time)

    def _hear(self, time: float, row: int) -> None:
        self._learn(time, self.results.pop(row))

    def _die(self, time: float, worker: int) -> None:
        self.alive[worker] = False
        row = self.running[worker]
        if row is not None:
            self.columns["ended"][row], self.columns["lost"][row] = time, True
            self.running[worker] = None
            del self.trials[row]

    def _result(self) -> Run:
        horizon = self.setting.limits.horizon_s
        columns = {name: np.array(values) for name, values in self.columns.items()}
        whole = {name: columns[name].astype(np.int64) for name in ("worker", "number")}
        truth = {name: columns[name].astype(bool) for name in ("finished", "failed", "lost")}
        table = pd.DataFrame({**columns, **whole, **truth})
        return Run(self.setting.workers, horizon if math.isfinite(horizon) else self.last, table)


class _Managed(_Simulation):
    """One search, that serves waiting workers one after another, first come, first served."""

    def __init__(self, searches: list[Search], setting: _Setting) -> None:
        if len(searches) != 1:
            raise ValueError(f"a manager has one search, not {len(searches)}; or set organisation to decentralised")
        super().__init__(searches, setting)
        self.queue: deque[tuple[int, float]] = deque()  # worker, waiting since
        self.news: list[Outcome] = []
        self.known = 0
        self.busy_until = 0.0
        self.stuck = False  # the search waits for outcomes

    def _want(self, time: float, worker: int) -> None:
        self.queue.append((worker, time))
        if len(self.queue) == 1 and not self.stuck:
            self._push(max(time, self.busy_until), _SERVES, 0)

    def _learn(self, time: float, outcome: Outcome) -> None:
        self.news.append(outcome)
        if self.stuck:
            self.stuck = False
            self._push(max(time, self.busy_until), _SERVES, 0)

    def _serve(self, time: float, _: int) -> None:
        while self.queue and not self.alive[self.queue[0][0]]:
            self.queue.popleft()
        if not self.queue or not self._open():
            return
        if self.news:
            self.searches[0].tell(self.news)
            self.known += len(self.news)
            self.news = []
        trials = self.searches[0].ask(1)
        if not trials:
            self.stuck = True
            return
        worker, waited = self.queue.popleft()
        self.busy_until = time + self.setting.cost(self.known)
        self._begin(trials[0], worker, waited, time, self.busy_until)
        if self.queue:
            self._push(self.busy_until, _SERVES, 0)


class _Decentralised(_Simulation):
    """Every worker asks a search of its own, which only blocks that worker.

    ASSUME: all ranks, the one that made it included, learn an outcome at the same moment after the message delay. So
    there is one ordered log for all, of which each rank knows the same first part when it asks.
    """

    def __init__(self, searches: list[Search], setting: _Setting, share: bool) -> None:
        if len(searches) not in (1, setting.workers):
            raise ValueError(
                f"{len(searches)} searches for {setting.workers} workers; give one for each, or one that stands for all"
            )
        super().__init__(searches, setting)
        self.together = share or len(searches) == 1
        self.log: list[Outcome] = []
        self.told = [0] * len(searches)
        self.waiting: deque[tuple[int, float]] = deque()  # workers whose search waits for outcomes, since when

    def _want(self, time: float, worker: int) -> None:
        if self.alive[worker] and self._open() and not self._ask(time, worker, time):
            self.waiting.append((worker, time))

    def _learn(self, time: float, outcome: Outcome) -> None:
        self.log.append(outcome)
        if self.waiting:
            self._push(time, _SERVES, 0)

    def _serve(self, time: float, _: int) -> None:
        # those that share what they know would all get the same answer
        for _ in range(len(self.waiting)):
            worker, waited = self.waiting.popleft()
            if not self.alive[worker] or not self._open() or self._ask(time, worker, waited):
                continue
            if self.together:
                self.waiting.appendleft((worker, waited))
                return
            self.waiting.append((worker, waited))

    def _ask(self, time: float, worker: int, waited: float) -> bool:
        listener = 0 if self.together else worker
        if self.told[listener] < len(self.log):
            self.searches[listener].tell(self.log[self.told[listener] :])
            self.told[listener] = len(self.log)
        trials = self.searches[worker if len(self.searches) > 1 else 0].ask(1)
        if trials:
            self._begin(trials[0], worker, waited, time, time + self.setting.cost(len(self.log)))
        return bool(trials)
