"""A search of networks, from a job to the trials in its logs: in this process, or on MPI ranks that run the same job.

A job is all that a rank needs to know, as one JSON file. With one rank trials are told in the order of their numbers,
so that what is found depends on nothing else; with more, whoever is faster searches on (`parallel/decentralised.py`).
"""

from __future__ import annotations

import logging
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from podnas import artifacts, locks, windows
from podnas.cluster import deadline
from podnas.cluster.deadline import Deadline
from podnas.config import SearchConfig, TrainingConfig, WindowsConfig
from podnas.networks import corrections, engines, population, space
from podnas.networks.engines import Engine
from podnas.networks.evaluate import PopulationEvaluator
from podnas.networks.population import Job as Training
from podnas.networks.population import Member
from podnas.networks.recipe import Recipe, network_seed
from podnas.parallel import decentralised, launch
from podnas.parallel.exchange import SILENT_S
from podnas.search import build, driver, log, points
from podnas.search.log import TrialLog
from podnas.search.protocol import Outcome, Search
from podnas.search.report import Report
from podnas.windows import Fold

LOG = logging.getLogger("podnas")
PROBE = 256  # most members that engines are compared on, where there is a choice
COMMAND = ("-m", "podnas", "search-networks")
# with several ranks, any number of them goes on with the same logs
FREE = frozenset({"ranks", "lanes", "exchange", "time_limit_minutes"})


class Data:
    """The windows that trials train on and are validated on, and how."""

    def __init__(self, train: Path, config: SearchConfig, training: TrainingConfig, window: WindowsConfig) -> None:
        series = windows.training(artifacts.read_windows(train, artifacts.TRAINING))
        self.hash = windows.content_hash(series)
        self.recipe = Recipe(training, window, config.epochs, keep_best=False)
        self.held: Fold = corrections.fold(series, self.recipe, block=-1)
        self.config = config

    def engine(self, workers: int) -> Engine:
        """The engine that is configured or, where there is a choice, the fastest one here."""
        return engines.choose(self.recipe.settings, workers, self._probe)

    def evaluator(self, engine: Engine, workers: int) -> PopulationEvaluator:
        """Trains trials on so many workers."""
        minutes, steps = self.config.trial_limit_minutes, self.config.two_step
        return PopulationEvaluator(
            self.held,
            self.recipe,
            self.config.seed,
            engine,
            workers,
            limit_s=None if minutes is None else 60 * minutes,
            subset="latest" if steps is None else steps.subset,
            scaler="training" if steps is None else steps.scaler,
        )

    def _probe(self) -> list[Training]:
        """As many random architectures as are under way at once, to measure engines on."""
        drawn, arrays = space.architecture_space(), population.arrays(self.held, self.recipe)
        seed, settings = self.config.seed, self.recipe.settings
        return [
            population.job(
                Member(points.sample(drawn, points.stream(seed, number)), network_seed(seed, number), settings),
                arrays,
                self.recipe,
            )
            for number in range(min(PROBE, self.config.lanes))
        ]


class Job(BaseModel):
    """A search of networks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str  # in the lines of progress
    train: Path  # training windows
    logs: Path  # folder of the trial logs of all searches
    identity: dict[str, Any]  # what a log must agree in to be continued
    search: SearchConfig
    training: TrainingConfig
    windows: WindowsConfig
    engine: str
    workers: int  # of one rank
    deadline: float | None = None  # Unix time after which no trial is begun
    end: float | None = None  # Unix time at which the scheduler kills the job, and with it what is under way
    exchange: launch.Kind = "mpi"
    silent_s: float = SILENT_S  # after which a rank counts as lost

    @cached_property
    def folder(self) -> Path:
        """Where the logs of this search stand."""
        return log.path(self.logs, self.identity, 0).parent

    def stopped(self) -> bool:
        """Whether the time for the search is over."""
        return self.deadline is not None and time.time() >= self.deadline

    def stop(self) -> Stop:
        """Whether the time is over, for the search or for the job that it runs in."""
        if self.end is None:
            return Stop(self.stopped, None)
        return Stop(self.stopped, Deadline(self.end, math.ceil(self.search.lanes / self.workers)))

    def log(self, rank: int) -> TrialLog:
        """The log of one rank."""
        return TrialLog(log.rank_path(self.folder, rank), self.identity)

    def algorithm(self, rank: int = 0, ranks: int = 1, lost: AbstractSet[int] = frozenset()) -> Search:
        """The search of one rank."""
        return build.build(space.search_space(self.search), self.search, rank, ranks, space.evolved(), lost=lost)


class Stop:
    """Says when no trial is begun any more; hears of each trial, since those under way must end before the job."""

    def __init__(self, stopped: Callable[[], bool], job: Deadline | None) -> None:
        self.stopped, self.job = stopped, job

    def __call__(self) -> bool:
        return self.stopped() or (self.job is not None and self.job.passed())

    def hearing(self, report: driver.Report) -> driver.Report:
        """The report, which lets this hear of trials."""

        def heard(outcome: Outcome, kept: bool) -> None:
            if self.job is not None:
                self.job.note(outcome.seconds)
            report(outcome, kept)

        return heard


def identity(data: Data, config: SearchConfig, **more: object) -> dict[str, Any]:
    """What makes up a search: its settings and data, and `more`. With several ranks their number does not count."""
    settings = config.model_dump(mode="json")
    free = FREE if config.ranks > 1 else {"time_limit_minutes"}
    kind = {"ranks": "any"} if config.ranks > 1 else {}
    return {
        "search": {name: value for name, value in settings.items() if name not in free} | kind,
        "training": data.recipe.settings.model_dump(mode="json"),
        "windows": data.recipe.windows.model_dump(mode="json"),
        "data": data.hash,
        **more,
    }


def run_in_time(job: Job, data: Data, started: float) -> list[Outcome]:
    """Run a job that began at `started` (Unix time); what earlier jobs of the same search took counts in its limit.

    Raises OutOfTime where the scheduler's time for this job is over before the search is: another goes on with it.
    """
    spent = deadline.spent_before(job.folder)
    if job.search.time_limit_minutes is not None:
        job = job.model_copy(update={"deadline": started + 60 * job.search.time_limit_minutes - spent})
    outcomes = run(job, data)
    if job.end is None or job.stopped() or decentralised.complete(job.algorithm(), log.merge(job.folder)):
        return outcomes
    deadline.leave(job.folder, spent + time.time() - started, len(outcomes))
    raise deadline.OutOfTime(
        f"search {job.name} stopped before its job's time was over, with {len(outcomes)} trials, all of them kept; "
        "submitted again (Snakemake does so by itself), it goes on"
    )


def run(job: Job, data: Data) -> list[Outcome]:
    """Search to the end or to the deadline, on as many ranks as are configured; all finished trials by number."""
    launch.interruptible()
    if job.search.ranks == 1:
        return _alone(job, data)
    job.folder.mkdir(parents=True, exist_ok=True)
    file = job.folder / "job.json"
    artifacts.write_text(file, job.model_dump_json(indent=1))
    launch.mpiexec(
        job.search.ranks,
        [*COMMAND, str(file)],
        finished=lambda: log.merge(job.folder).evaluated(),
        complete=lambda: job.stop()() or decentralised.complete(job.algorithm(), log.merge(job.folder)),
    )
    return sorted(log.merge(job.folder).outcomes, key=lambda outcome: outcome.trial.number)


def run_rank(file: Path) -> None:
    """One rank's part of a job, in the process that a launcher has started for it."""
    launch.guard()
    locks.end_with_snakemake()
    job = Job.model_validate_json(file.read_text(encoding="utf-8"))
    rank, ranks = launch.place()
    _log_to(job.folder / f"rank-{rank:04d}.log")
    LOG.info("rank %d of %d: process %d on %s", rank, ranks, os.getpid(), platform.node())
    data = Data(job.train, job.search, job.training, job.windows)
    trial_log = job.log(rank)
    kept = trial_log.read_all()
    exchange = launch.exchange(job.exchange, job.folder, kept, job.silent_s)
    report = Report(f"search {job.name}", build.trials(job.search), *_shown(job.training), shown=rank == 0)
    lost: set[int] = set()
    search = job.algorithm(rank, ranks, lost)
    stop = job.stop()
    with data.evaluator(engines.named(job.engine), job.workers) as evaluator:
        decentralised.run(
            search, evaluator, trial_log, exchange, kept, stop.hearing(report), job.search.lanes, stop, lost
        )
    report.finish(ranks * job.workers, job.stopped())
    exchange.close()


def _alone(job: Job, data: Data) -> list[Outcome]:
    report = Report(f"search {job.name}", build.trials(job.search), *_shown(job.training))
    stop = job.stop()
    with data.evaluator(engines.named(job.engine), job.workers) as evaluator:
        outcomes = driver.run(job.algorithm(), evaluator, job.log(0), stop.hearing(report), job.search.lanes, stop)
    report.finish(job.workers, job.stopped())
    return outcomes


def _log_to(file: Path) -> None:
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(filename=file, level=logging.INFO, force=True, format=layout)


def _shown(training: TrainingConfig) -> tuple[str, Callable[[float], str]]:
    """The name of what is shown of a loss, and how it is written."""
    if training.head is None:
        return "validation r2_mean", lambda loss: f"{1 - loss:.3f}"
    return "validation NLL", lambda loss: f"{loss:.3f}"


def check_any_finished(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Raise ValueError where there is no trial with a loss."""
    if not outcomes:
        raise ValueError("no trial has finished before search.time_limit_minutes; raise it")
    if all(outcome.loss is None for outcome in outcomes):
        raise ValueError(
            f"all {len(outcomes)} trials failed, the first with: {outcomes[0].error}; "
            f"mend the cause, remove {folder} and start again"
        )
