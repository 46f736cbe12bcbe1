"""Cases and methods of benchmarks/scaling.py, and what a suggestion of each method costs."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from problems import problem
from rich.console import Console

from podnas import artifacts
from podnas.config import SearchConfig
from podnas.parallel.simulate import Cost, LogNormal, Normal, Organisation
from podnas.search.archive import Archive
from podnas.search.build import build
from podnas.search.encoding import Encoding
from podnas.search.protocol import Outcome, Search, Trial

CONSOLE = Console(log_path=False)
SEED = 0
ENDLESS = 10**12  # trials: the clock ends a search
FOREIGN = 10**9  # number of the first outcome that a measured search is told without having asked for it
COUNTS = (100, 1_000, 10_000, 100_000, 300_000)  # observations at which a manager's suggestion is measured
WINDOW = 200  # suggestions whose mean is taken
UNDER_WAY = 256  # trials that are not finished meanwhile
REPEATS = 2  # lives of a rank that are measured, of few workers
PUBLISHED_SECONDS = 1.2  # of a centralised suggestion

OURS = ("random", "evolution", "bo", "adbo", "agebo", "asha", "hyperband")
BO_PUBLISHED = "bo_published"  # our bo, at the published cost
FORESTS = ("bo", "agebo", BO_PUBLISHED)  # served by a manager, each suggestion some milliseconds of computing
LADDERS = ("asha", "hyperband")  # trials are pieces of trainings
# Optuna's workers share a journal and NePS's a folder: each worker asks itself
PEERS: dict[str, Organisation] = {"optuna_tpe": "decentralised", "deephyper_cbo": "manager", "neps": "decentralised"}

Costs = dict[str, dict[int, Cost]]  # by method, then by workers; under 0 where they do not matter


@dataclass(frozen=True)
class Case:
    """A problem, how long its evaluations take, and for how long how many workers search."""

    name: str
    problem: str
    durations: Normal | LogNormal
    horizon_s: float
    workers: tuple[int, ...]
    really: int  # most workers with which adbo really runs; beyond, utilisation only

    def objective(self, trial: Trial) -> float:
        """The loss, of a training that was stopped early a higher one."""
        loss = problem(self.problem).loss(trial.point)
        # ASSUME: there are no learning curves, see scaling_report.ASSUMPTIONS
        if trial.budget < 1:
            loss *= 1 + (1 - trial.budget) * crc32(repr(sorted(trial.point.items())).encode()) / 2**32
        return loss


# ASSUME: run times and loss of candle, see scaling_report.ASSUMPTIONS
CASES = {
    case.name: case
    for case in (
        Case(
            "candle", "fcnet_protein_structure", LogNormal(470, 200), 7200.0, (40, 160, 640, 1920, 5120, 10_240), 1920
        ),
        Case("ackley5", "ackley5", Normal(60, 20), 1800.0, (128, 256, 512, 1024, 2048, 4096, 10_240), 10_240),
    )
}


def searches(method: str, case: Case, ranks: int = 1) -> list[Search]:
    """The search of a manager, or of each rank with one archive for all."""
    # the sizes of SC20's and AutoDEUQ's evolution
    config = SearchConfig.model_validate(
        {"algorithm": method, "trials": ENDLESS, "seed": SEED, "population": 100, "sample": 10}
    )
    given = problem(case.problem)
    archive = Archive(Encoding(given.space), config.bayes, SEED) if method == "adbo" else None
    return [build(given.space, config, rank, ranks, given.evolved, archive) for rank in range(ranks)]


def organisation(method: str) -> Organisation:
    """Who asks the search."""
    return "decentralised" if method == "adbo" else PEERS.get(method, "manager")


def foreign(case: Case, count: int) -> list[Outcome]:
    """Outcomes of random points."""
    trials = searches("random", case)[0].ask(count)
    return [
        Outcome(replace(trial, number=FOREIGN + trial.number), problem(case.problem).loss(trial.point))
        for trial in trials
    ]


def cost_of_manager(method: str, case: Case, told: Sequence[Outcome]) -> Cost:
    """Mean of WINDOW suggestions, each with an outcome told, by the number of outcomes known."""
    search = searches(method, case)[0]
    started = time.perf_counter()
    under_way = deque(trial for _ in range(UNDER_WAY) for trial in search.ask(1))
    first = (time.perf_counter() - started) / UNDER_WAY
    _round(search, case, under_way)  # compiles
    known, seconds = 1, []
    for count in COUNTS:
        if method in FORESTS:
            search.tell(told[known:count])
        else:
            for _ in range(known, count):
                _round(search, case, under_way)
        seconds.append(float(np.mean([_round(search, case, under_way) for _ in range(WINDOW)])))
        known = count + WINDOW
    return Cost(COUNTS, tuple(seconds), first)


def _round(search: Search, case: Case, under_way: deque[Trial]) -> float:
    """Seconds of a tell of the trial that has been under way for longest, and of an ask."""
    trial = under_way.popleft()
    outcome = Outcome(trial, case.objective(trial))
    started = time.perf_counter()
    search.tell([outcome])
    asked = search.ask(1)
    seconds = time.perf_counter() - started
    under_way.extend(asked)
    return seconds


def cost_of_rank(case: Case, workers: int, told: Sequence[Outcome]) -> Cost:
    """What suggestions cost a rank of ADBO in its life: between two, as many outcomes arrive as there are workers."""
    list(itertools.islice(_life(case, workers, told), 3))  # compiles
    lives = [list(_life(case, workers, told)) for _ in range(REPEATS if workers <= 1000 else 1)]
    first, *seconds = np.mean(lives, axis=0).tolist()
    return Cost(tuple(workers * place for place in range(1, len(seconds) + 1)), tuple(seconds), first)


def _life(case: Case, workers: int, told: Sequence[Outcome]) -> Iterator[float]:
    search = searches("adbo", case, ranks=1)[0]
    for start in range(-workers, lifelong(case, workers), workers):
        news = told[max(start, 0) : start + workers]
        started = time.perf_counter()
        if news:
            search.tell(news)
        search.ask(1)
        yield time.perf_counter() - started


def lifelong(case: Case, workers: int) -> int:
    """About as many outcomes as the workers make."""
    return workers * int(np.ceil(case.horizon_s / case.durations.mean_s))


def costs_of_peers(file: Path) -> dict[str, Cost]:
    """Of the methods that benchmarks/search.py has measured."""
    if not file.exists():
        CONSOLE.log(f"{file} is missing: peers are left out; make bench-search measures them")
        return {}
    found = artifacts.read_json(file)["suggestion_ms"]
    curves = {
        name: [(int(count), 1e-3 * row["1"]) for count, row in found.get(name, {}).items() if row["1"] is not None]
        for name in PEERS
    }
    for name in [name for name, curve in curves.items() if len(curve) < 2]:
        CONSOLE.log(f"{name} is left out: {file} has its cost at fewer than two numbers of observations")
    return {name: Cost(*map(tuple, zip(*curve, strict=True))) for name, curve in curves.items() if len(curve) > 1}


def measured(case: Case, methods: Sequence[str], workers: Sequence[int]) -> Costs:
    """Costs of our methods."""
    most = max([COUNTS[-1], *(lifelong(case, count) for count in workers)])
    told = foreign(case, most + UNDER_WAY)
    costs: Costs = {}
    for method in methods:
        if method == "adbo":
            costs[method] = {count: cost_of_rank(case, count, told) for count in workers}
        else:
            costs[method] = {0: cost_of_manager(method, case, told)}
        CONSOLE.log(f"{case.name}: a suggestion of {method} measured: {_brief(costs[method])}")
    return costs


def _brief(costs: dict[int, Cost]) -> str:
    return "; ".join(
        (f"{workers:,} workers " if workers else "")
        + f"{1e3 * cost.seconds[0]:.2g} ms at {cost.observations[0]:,} to {1e3 * cost.seconds[-1]:.2g} ms at "
        f"{cost.observations[-1]:,}"
        for workers, cost in costs.items()
    )
