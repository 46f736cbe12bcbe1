"""Memory and run time that a job asks for: by its work, by what it took before, and more after each failure.

The first attempt asks for what the same job took in an earlier run (Snakemake's benchmark file: peak memory, seconds)
with headroom, or else for the estimate: the section `resources` of the experiment covers the default experiment, and
more work asks for more. Later attempts ask for a multiple of the larger of both, up to the bounds of the cluster.
"""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from podnas import artifacts
from podnas.cluster import deadline
from podnas.cluster.layout import Search
from podnas.cluster.limits import Limits
from podnas.config import ExperimentConfig
from podnas.runs import Runs

HEADROOM_MEMORY = 1.3
HEADROOM_TIME = 2.0
START_MB = 300  # of Snakemake itself and of the scheduler's step, beside a job
START_MINUTES = 2
LEAST_MB = 500
MOST_TIMES = 4  # what the first attempt asked for

# core-seconds of training on a window for one epoch: .4 to .7e-4 measured with the kernels, doubled
WINDOW_SECONDS = 1.2e-4
RETRAIN_WINDOW_SECONDS = 2.4e-4  # checkpoints and networks are written, and a member may be alone at the end
COARSE_MB_PER_SECOND = 8.0  # of compressed archive files, on one core; 20 measured
WEEK_DAYS = 7

TRAINING = (
    "manual_networks",
    "search",
    "retrain",
    "retrain_share",
    "transfer",
    "leakage",
    "judged_search",
    "judged_ablation",
    "outlook_search",
    "outlook_forecast",
    "candidates",
    "comparators",
    "classify",
    "ensemble",
)
# minutes of work in memory that forecasts of all candidates take
MIXTURES = ("selection", "mixture", "probabilistic_score")
FIELD = (
    "archive",
    "coarse",
    "daymet_basis",
    "daymet_twin",
    "download",
    "field",
    "field_forecast",
    "pod",
    "regional",
    "released",
    "score",
    "spread_maps",
)
YEARLY = ("coarse", "daymet_twin", "download")
# they go on where their time limit stopped them, so that they may ask for less than they need
RESUMED = (
    "search",
    "retrain",
    "retrain_share",
    "transfer",
    "leakage",
    "judged_search",
    "judged_ablation",
    "tabular_search",
    "outlook_search",
    "outlook_forecast",
    "candidates",
    "comparators",
    "download",
)
ON_GPUS = ("search", "retrain", "retrain_share")  # where the site has some


@dataclass(frozen=True)
class Request:
    """Memory and run time of a job, and the work that they are for (in whatever unit its rule counts)."""

    memory_mb: float
    minutes: float
    work: int = 1


class Requests:
    """What the jobs of one experiment ask for."""

    def __init__(
        self,
        experiment: ExperimentConfig,
        results: Path,
        limits: Limits,
        files: Sequence[str | Path] = (),
        shares: int = 1,
    ) -> None:
        """`files`: those of the archive; sizes of those that are there count as work. `shares`: jobs of an ensemble."""
        self.experiment, self.results, self.limits, self.shares = experiment, results, limits, shares
        self.runs = Runs(experiment)
        self._windows: dict[str | None, int] = {}
        self.archive_mb = sum(path.stat().st_size for path in map(Path, files) if path.is_file()) / 1e6

    def estimate(self, rule: str, protocol: str | None = None, cores: int = 1) -> Request:
        """What a job of this rule should take, by its work alone."""
        given = self.experiment.resources
        if rule in TRAINING:
            work = self._training(rule, protocol)
            seconds = work * (WINDOW_SECONDS if rule == "search" else RETRAIN_WINDOW_SECONDS) / cores
            least = self._least_minutes(rule, protocol)
            wider = given.network_mem_mb + 100 * max(0, cores - given.search_threads)
            return Request(wider, max(least, START_MINUTES + seconds / 60), work)
        if rule in FIELD:
            part = self.archive_mb / (self._years() if rule in YEARLY else 1)
            minutes = START_MINUTES + part / COARSE_MB_PER_SECOND / 60
            memory = max(given.field_mem_mb, self._out_of_core_mb() if rule == "pod" else 0)
            return Request(memory, max(given.minutes, minutes), max(1, round(part)))
        if rule == "tabular_search":
            return Request(given.small_mem_mb, given.search_minutes)
        if rule in MIXTURES:
            return Request(given.network_mem_mb, given.minutes)
        return Request(given.small_mem_mb, given.small_minutes)

    def of(self, rule: str, protocol: str | None = None, attempt: int = 1, cores: int = 1) -> Request:
        """What attempt number `attempt` (from 1) asks for.

        Raises ValueError where already the first asks for more than a job may have.
        """
        self._check_cores(rule, cores)
        if rule == "retrain_share":  # an array asks for what its first job does
            each = [self._of(rule, run.path, attempt, cores) for run in self.runs.by_path.values() if run.year is None]
            return Request(max(one.memory_mb for one in each), max(one.minutes for one in each))
        return self._of(rule, protocol, attempt, cores)

    def _of(self, rule: str, protocol: str | None, attempt: int, cores: int) -> Request:
        estimate, measured = self.estimate(rule, protocol, cores), self.measured(rule, protocol, cores)
        return self._bounded(rule, estimate, measured, attempt)

    def of_search(self, layout: Search, protocol: str, attempt: int = 1) -> dict[str, int]:
        """What a search asks for, as resources of its job: memory as its layout has it (MB) and `runtime` (minutes).

        A benchmark file knows nothing of ranks on other nodes, so several of them ask for the estimate.
        """
        ranks, together = layout.ranks if layout.by_scheduler else 1, layout.on_a_node(self._limits("search").cores)
        self._check_cores("search", layout.cores * together)
        estimate = self.estimate("search", protocol, layout.cores * ranks)
        if layout.by_scheduler:
            estimate = replace(estimate, memory_mb=self.estimate("search", protocol, layout.cores).memory_mb + START_MB)
        measured = None if layout.ranks > 1 else self.measured("search", protocol, layout.cores)
        attempt = 1 if self._was_stopped(protocol) else attempt
        asked = self._bounded("search", estimate, measured, attempt, together)
        return {**layout.memory(int(asked.memory_mb), together), "runtime": int(asked.minutes)}

    def _bounded(
        self, rule: str, estimate: Request, measured: Request | None, attempt: int, together: int = 1
    ) -> Request:
        """The request of an attempt; its memory is that of one of so many ranks that share a node."""
        first = measured or estimate
        self._check(rule, replace(first, memory_mb=first.memory_mb * together))
        if attempt > 1 and measured is not None:
            first = Request(max(measured.memory_mb, estimate.memory_mb), max(measured.minutes, estimate.minutes))
        times, most = min(attempt, MOST_TIMES), self._limits(rule)
        memory, minutes = math.ceil(first.memory_mb * times), math.ceil(first.minutes * times)
        bound = memory if most.memory_mb is None else most.memory_mb // together
        return Request(min(memory, bound), min(minutes, most.minutes or minutes), estimate.work)

    def _was_stopped(self, protocol: str) -> bool:
        """Whether the last job of a search ended because its time was over: another one needs no more than it had."""
        return bool(deadline.records(self.results / "search" / protocol / "trials"))

    def measured(self, rule: str, protocol: str | None = None, cores: int = 1) -> Request | None:
        """What the same job took in earlier runs, with headroom and for today's work; None where none was measured.

        Jobs of an array ask for the same, so the largest of them counts.
        """
        work = self.estimate(rule, protocol, cores).work
        rows = [row for file in self._benchmarks(rule, protocol) for row in _rows(file)]
        taken = [_scaled(row, work) for row in rows]
        if not taken:
            return None
        return Request(
            max(LEAST_MB, START_MB + HEADROOM_MEMORY * max(one.memory_mb for one in taken)),
            START_MINUTES + HEADROOM_TIME * max(one.minutes for one in taken),
            work,
        )

    def _benchmarks(self, rule: str, protocol: str | None) -> Iterable[Path]:
        folder, name = self.results / "benchmarks", rule if protocol is None else f"{rule}_{protocol}"
        return sorted([*folder.glob(f"{name}.tsv"), *folder.glob(f"{name}.*.tsv")])

    def _limits(self, rule: str) -> Limits:
        """Bounds of a job of this rule, which may have GPUs."""
        return self.limits.with_gpus or self.limits if rule in ON_GPUS else self.limits

    def _check_cores(self, rule: str, cores: int) -> None:
        most, given = self._limits(rule).cores, self.experiment.resources
        if most is not None and cores > most:
            key = "coarse_threads" if rule in FIELD else "search_threads"
            more = ", or searches in the site file" if rule == "search" else ""
            raise ValueError(
                f"rule {rule} asks for {cores} cores on a node, but a job may have {most}; lower resources.{key} "
                f"({getattr(given, key)}){more}"
            )

    def _check(self, rule: str, first: Request) -> None:
        most, given = self._limits(rule), self.experiment.resources
        if most.memory_mb is not None and first.memory_mb > most.memory_mb:
            key = "network_mem_mb" if rule in TRAINING else "field_mem_mb" if rule in FIELD else "small_mem_mb"
            raise ValueError(
                f"rule {rule} asks for {math.ceil(first.memory_mb)} MB, but a job may have {most.memory_mb} MB on a "
                f"node of its partition; lower resources.{key} ({getattr(given, key)}), choose a partition with larger "
                "nodes in the site file, or raise its most_memory_mb"
            )
        if most.minutes is not None and first.minutes > most.minutes and rule not in RESUMED:
            raise ValueError(
                f"rule {rule} asks for {math.ceil(first.minutes)} minutes, but a job may run for {most.minutes}; lower "
                "resources.minutes, choose a partition with a longer limit in the site file, or raise its most_minutes"
            )

    def _training(self, rule: str, protocol: str | None) -> int:
        """Windows times epochs, of all networks of a job."""
        given = self.runs.config(protocol) if protocol in self.runs.by_path else self.experiment
        windows = self.windows(protocol)
        if rule == "search":
            steps = given.search.two_step
            share = 1.0 if steps is None else steps.fraction + steps.top
            return max(1, round(windows * given.search.epochs * given.search.trials * share))
        if rule == "manual_networks":
            return windows * given.baselines.lstm_epochs * len(given.baselines.lstm_units)
        if rule == "transfer":
            return windows * given.transfer.epochs * given.transfer.architectures * given.transfer.seeds * 3
        if rule == "leakage" and (asked := given.leakage) is not None:
            # eight variants, in updates each as many as the one with the most windows
            return 8 * asked.architectures * asked.epochs * (windows + asked.weeks)
        if rule == "judged_search" and (judged := given.judged) is not None:
            return windows * given.search.epochs * given.search.trials * judged.searches * len(judged.algorithms)
        if rule == "judged_ablation" and given.judged is not None and (taken := given.judged.ablation) is not None:
            epochs = sum(ensemble.epochs for *_, ensemble in given.ingredients().values())
            return windows * epochs * taken.members * len(taken.blocks)
        if rule == "classify":
            return 1  # a network takes a limited time, which the least run time covers
        if rule == "outlook_search":
            return windows * given.search.epochs * given.search.trials
        if rule == "outlook_forecast" and (outlook := given.outlook) is not None:
            return windows * outlook.epochs * outlook.architectures * given.windows.validation_blocks
        if rule in ("candidates", "comparators") and (probable := given.uncertainty) is not None:
            points = probable.candidates if rule == "candidates" else probable.initialisations
            return windows * probable.epochs * points * given.windows.validation_blocks
        members = math.ceil(given.ensemble.members / self.shares) if rule == "retrain_share" else given.ensemble.members
        return windows * given.ensemble.epochs * members if rule != "ensemble" else 1

    def _least_minutes(self, rule: str, protocol: str | None) -> int:
        """Least run time of a job that has networks; one refit of a rolling protocol is the work of minutes."""
        given = self.experiment.resources
        if rule == "ensemble":
            return given.small_minutes
        refit = protocol in self.runs.by_path and self.runs.by_path[protocol].year is not None
        return given.search_minutes if rule in RESUMED and not refit else given.minutes

    def _years(self) -> int:
        given = self.experiment.protocols
        return max(one.test_last for one in given).year - min(one.train_first for one in given).year + 1

    def windows(self, protocol: str | None) -> int:
        """Training windows of a run, an origin or a protocol, or of the longest where none is named."""
        if protocol not in self._windows:
            self._windows[protocol] = self._count_windows(protocol)
        return self._windows[protocol]

    def _count_windows(self, protocol: str | None) -> int:
        paths = [path for path in self.runs.by_path if protocol is None or f"{path}/".startswith(f"{protocol}/")]
        weeks = max((last - first).days // WEEK_DAYS + 1 for first, last in map(self.runs.training_period, paths))
        return max(1, weeks - self.experiment.windows.inputs - self.experiment.windows.outputs + 1)

    def _out_of_core_mb(self) -> float:
        """What the rule `pod` holds: its part of the field, and the Gram matrix of all weeks in float64."""
        weeks = max((one.test_last - one.train_first).days // WEEK_DAYS for one in self.experiment.protocols)
        return START_MB + 1000 * HEADROOM_MEMORY * self.experiment.pod.memory_gb + weeks**2 * 8 / 1e6


def _rows(file: Path) -> list[Request]:
    """Peak memory, minutes and work in a benchmark file of Snakemake; work is 0 where it was not recorded."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
        return [Request(float(row["max_rss"]), float(row["s"]) / 60, _work(row)) for row in rows if _whole(row)]
    except (KeyError, ValueError, OSError) as error:
        raise artifacts.ArtifactError(
            f"{file} is no benchmark file of Snakemake ({error}); remove it, and estimates take its place"
        ) from error


def _whole(row: dict[str, str]) -> bool:
    return row["max_rss"] not in ("NA", "-")  # a job too short to be measured


def _work(row: dict[str, str]) -> int:
    resources = row.get("resources")
    return int(ast.literal_eval(resources).get("work", 0)) if resources else 0


def _scaled(taken: Request, work: int) -> Request:
    """Time grows with the work; memory does not: a network's data are the same, however many are trained."""
    return replace(taken, minutes=taken.minutes * (work / taken.work if taken.work else 1.0))
