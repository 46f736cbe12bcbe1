"""What a suggestion costs and how good searches are at an equal budget: ours beside Optuna, DeepHyper and NePS.

    make bench-search

*Suggestion cost*: consecutive ask and tell, refits included, of 18 mixed parameters, at 2,000 and 10,000 observations,
one at a time and 16 at a time, each case in a process of its own with one thread, one process after another. Optuna
keeps its study in a journal file. Slow cases are stopped after a minute: `suggestion_n` says how many were measured.

*Quality*: the best loss after 200 evaluations on 8 workers of a virtual clock, on which suggestions cost nothing and
evaluations what the problem says; a process a core. Ours and the peers are driven by the same simulator; `adbo` is 8
ranks that each have an optimiser. Methods that train in part (on the SC20 table, which has learning curves) have equal
epochs, 200 full trainings in all, and only full trainings count. 30 seeds, 5 of methods that take longer than 0.2 s.

The forest's policy for many outcomes (splits renewed at intervals, trees of a sample) stands beside a forest that is
grown on everything after each outcome: `bo_after_5000` and `bo_exact_after_5000` go on from 5,000 outcomes. At 200
evaluations both are the same.

Results are kept under results/bench-cache/ by code, settings and versions, so that a run that was stopped goes on. The
record keeps what it has of methods and functions that are not named; `origins` says what measured each method.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import itertools
import json
import math
import os
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, NamedTuple

# before NumPy is imported, here and in the processes that this one starts
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np  # noqa: E402
import typer  # noqa: E402
from ConfigSpace import ConfigurationSpace  # noqa: E402
from problems import BENCHMARK, DEVELOPMENT, Problem, problem, suggestion_loss, suggestion_space  # noqa: E402
from record import merge  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from scipy import stats  # noqa: E402
from search_peers import PEERS, DeepHyper, NePS, Optuna, folders  # noqa: E402

from podnas import artifacts, provenance  # noqa: E402
from podnas.config import SearchConfig  # noqa: E402
from podnas.parallel.simulate import simulate  # noqa: E402
from podnas.search.archive import REFIT, Archive  # noqa: E402
from podnas.search.build import build  # noqa: E402
from podnas.search.encoding import Encoding  # noqa: E402
from podnas.search.forest import LARGEST  # noqa: E402
from podnas.search.protocol import Outcome, Search, Trial  # noqa: E402
from podnas.search.random import RandomSearch  # noqa: E402

OBSERVATIONS, BATCHES = (2_000, 10_000), (1, 16)
FEWER = {"neps": (100,)}  # observations at which one is measured, too, that comes to no suggestion at OBSERVATIONS
SUGGESTIONS, CASE_SECONDS = 200, 60.0
LOADING_SECONDS, FIRST_SECONDS = 300.0, 240.0  # most that are waited for observations to be told, for the first call
EVALUATIONS, WORKERS = 200, 8
KNOWN, AFTERWARDS = 5_000, 64  # outcomes that a search goes on from, and evaluations that it then makes
SEEDS, SLOW_SEEDS, SLOW_SECONDS = 30, 5, 0.2
REDUCTION, LEAST_EPOCHS = 4, 2  # of all methods that train in part
LEVEL = 0.05
FOREIGN = 10**9  # number of the first outcome that a search is told without having asked for it
TARGETS = {"bo": {2_000: 10.0, 10_000: 20.0}, "evolution": {2_000: 0.2, 10_000: 0.2}}  # ms
CACHE = Path("results/bench-cache/search.jsonl")
SOURCES = Path(__file__).parent
CONSOLE = Console(log_path=False)

DEFINITIONS = {
    "suggestion_ms": "mean of ask + tell, a suggestion; by method, observations, suggestions at a time; the first call "
    "after the observations are told is left out; null: none was finished in time, or it failed",
    "suggestion_p99_ms": "99th percentile over the calls, each divided by its suggestions",
    "suggestion_n": f"suggestions measured: {SUGGESTIONS} or more, fewer where {CASE_SECONDS:.0f} s were over",
    "quality": f"lowest loss of a full training among {EVALUATIONS} evaluations, over the seeds; of ..._after_5000: "
    f"among {AFTERWARDS} that follow {KNOWN:,} outcomes of aged evolution",
    "failures": "searches of peers that raised, by method; they do not count",
    "origins": "what measured a method's suggestions, and its losses of a function; at the top: the latest run",
    "tests": "one-sided Mann-Whitney; worse: the loss of ours is larger; ahead: smaller; p_..._holm: corrected over "
    "the functions of a pair of methods",
}


# methods


@dataclass(frozen=True)
class Method:
    """A search: how it is made, and what decides its results besides the problem and the seed."""

    make: Callable[..., list[Search]]  # of a space, trials, a seed, epochs of a full training, the evolved variables
    library: str = "podnas"
    settings: Mapping[str, Any] = field(default_factory=dict)
    ranks: int = 1
    partial: bool = False  # trains in part
    known: int = 0  # outcomes of an evolution that it goes on from
    functions: tuple[str, ...] = ()  # it is compared on; empty: on all

    @property
    def evaluations(self) -> int:
        """Full trainings, or as many epochs."""
        return AFTERWARDS if self.known else EVALUATIONS

    def key(self) -> dict[str, Any]:
        """Results of another key are not this method's."""
        if self.library == "podnas":
            # of the algorithm, and of random search: it samples for those that train in part
            kinds = (type(self.make(suggestion_space(), 1, 0, 30, None)[0]), RandomSearch)
            code = [provenance.code_hash(Path(sys.modules[kind.__module__].__file__ or "")) for kind in kinds]
            return {"code": code, "settings": dict(self.settings), "ranks": self.ranks}
        code = provenance.code_hash(SOURCES / "search_peers.py")
        return {"code": code, "version": version(self.library), "settings": dict(self.settings)}


class Policy(NamedTuple):
    """Of an archive: the growth after which splits are renewed, and what a tree is grown on at most."""

    refit: float = REFIT
    largest: int = LARGEST


DEFAULT, EXACT = Policy(), Policy(refit=0.0, largest=10**9)


def version(library: str) -> str:
    """Version of a peer."""
    folders()
    return importlib.metadata.version(library)


def ours(algorithm: str, ranks: int = 1, partial: bool = False, policy: Policy = DEFAULT, **more: Any) -> Method:
    """One of our algorithms with its defaults and this policy of its forest."""

    def make(
        space: ConfigurationSpace, trials: int, seed: int, epochs: int, evolved: Sequence[str] | None
    ) -> list[Search]:
        halving = {"halving": {"reduction": REDUCTION, "least": LEAST_EPOCHS / epochs}} if partial else {}
        config = SearchConfig.model_validate(
            {"algorithm": algorithm, "trials": trials, "seed": seed, "ranks": ranks, **halving}
        )
        # outcomes reach all ranks at the same moment here, so they may share what they make of them
        archive = Archive(Encoding(space), config.bayes, seed, *policy) if algorithm in ("bo", "adbo") else None
        return [build(space, config, rank, ranks, evolved, archive) for rank in range(ranks)]

    return Method(make, settings={} if policy == DEFAULT else policy._asdict(), ranks=ranks, partial=partial, **more)


def peer(adapter: Callable[..., Any], library: str, **settings: Any) -> Method:
    """A peer with these settings."""

    def make(space: ConfigurationSpace, trials: int, seed: int, epochs: int, _: Any) -> list[Search]:
        return [adapter(space, trials, seed, **settings)]

    return Method(make, library, settings)


def pruned(pruner: str, **settings: Any) -> Method:
    """Random search of Optuna whose trials a pruner stops."""

    def make(space: ConfigurationSpace, trials: int, seed: int, epochs: int, _: Any) -> list[Search]:
        steps = [LEAST_EPOCHS * REDUCTION**rung / epochs for rung in range(10)]
        steps = [step for step in steps if step < 1]
        bounds = {"max_resource": epochs} if pruner == "HyperbandPruner" else {}

        def rule(pruners: Any) -> Any:
            made = getattr(pruners, pruner)
            return made(min_resource=LEAST_EPOCHS, reduction_factor=REDUCTION, **bounds)

        return [Optuna(space, trials, seed, "RandomSampler", rule, [*steps, 1.0], epochs=epochs)]

    return Method(make, "optuna", {"pruner": pruner}, partial=True)


def bracketed(algorithm: str) -> Method:
    """NePS's halving, whose epochs go from 1 to those of a full training by the same reduction."""

    def make(space: ConfigurationSpace, trials: int, seed: int, epochs: int, _: Any) -> list[Search]:
        return [NePS(space, trials, seed, algorithm, epochs, eta=REDUCTION)]

    return Method(make, "neural-pipeline-search", {"algorithm": algorithm}, partial=True)


SAMPLING = {"surrogate_model": "RF", "acq_optimizer": "sampling", "multi_point_strategy": "qUCBd"}
SMALL_POPULATION = {"kind": "RegularizedEvolution", "population_size": 10, "sample_size": 3}  # our defaults
METHODS: dict[str, Method] = {
    "random": ours("random"),
    "evolution": ours("evolution"),
    "bo": ours("bo"),
    "adbo": ours("adbo", ranks=WORKERS),
    "agebo": ours("agebo"),
    "asha": ours("asha", partial=True),
    "hyperband": ours("hyperband", partial=True),
    "optuna_random": peer(Optuna, "optuna", sampler="RandomSampler"),
    "optuna_tpe": peer(Optuna, "optuna"),
    "optuna_asha": pruned("SuccessiveHalvingPruner"),
    "optuna_hyperband": pruned("HyperbandPruner"),
    "deephyper_evolution": peer(DeepHyper, "deephyper", kind="RegularizedEvolution"),
    "deephyper_evolution_10": peer(DeepHyper, "deephyper", **SMALL_POPULATION),
    "deephyper_cbo": peer(DeepHyper, "deephyper", **SAMPLING),
    "neps_asha": bracketed("asha"),
    "neps_hyperband": bracketed("async_hb"),
    "bo_after_5000": ours("bo", known=KNOWN, functions=("ackley5", "mixed")),
    "bo_exact_after_5000": ours("bo", policy=EXACT, known=KNOWN, functions=("ackley5", "mixed")),
    # the slow ones last
    "deephyper_cbo_default": peer(DeepHyper, "deephyper"),
    "neps": peer(NePS, "neural-pipeline-search"),
}
TIMED = (
    "random", "evolution", "bo", "adbo", "agebo", "asha", "hyperband", "optuna_random", "optuna_tpe",
    "deephyper_evolution", "deephyper_cbo", "deephyper_cbo_default", "neps",
)  # fmt: skip
# AgEBO has left DeepHyper: beside it stand the two that it joins
PAIRS = (
    ("random", "optuna_random"),
    ("evolution", "deephyper_evolution"),
    ("evolution", "deephyper_evolution_10"),
    ("bo_after_5000", "bo_exact_after_5000"),
    ("bo", "deephyper_cbo"),
    ("bo", "deephyper_cbo_default"),
    ("bo", "neps"),
    ("adbo", "optuna_tpe"),
    ("adbo", "deephyper_cbo"),
    ("agebo", "deephyper_evolution"),
    ("agebo", "deephyper_cbo"),
    ("asha", "neps_asha"),
    ("asha", "optuna_asha"),
    ("hyperband", "neps_hyperband"),
    ("hyperband", "optuna_hyperband"),
)


# what a suggestion costs


# tables, and what of a case they hold
COSTS = {"suggestion_ms": "mean", "suggestion_p99_ms": "p99", "suggestion_n": "n"}
NONE: dict[str, Any] = {"mean": None, "p99": None, "n": 0}  # of a case


@dataclass(frozen=True)
class Case:
    """A method at a number of observations, asked for so many suggestions at a time."""

    method: str
    observations: int
    batch: int


def filled(method: str, observations: int) -> Search:
    """A search of one rank that knows so many outcomes of random points."""
    space, most = suggestion_space(), 10 * observations + 100_000
    if method.startswith("optuna"):
        sampler = METHODS[method].settings.get("sampler", "TPESampler")
        search = Optuna(space, most, 0, sampler, journal=True)
    else:
        (search, *_) = METHODS[method].make(space, most, 0, 30, None)
    encoding, random = Encoding(space), np.random.default_rng(1)
    if METHODS[method].library != "podnas":
        points = [encoding.sample(random) for _ in range(observations)]
        search.observe(points, [suggestion_loss(point) for point in points])
    elif METHODS[method].partial:
        # what it is told must stand on its rungs
        while observations > 0:
            trials = search.ask(min(16, observations))
            search.tell([outcome(trial) for trial in trials])
            observations -= len(trials)
    else:
        points = [encoding.sample(random) for _ in range(observations)]
        search.tell([outcome(Trial(number, point)) for number, point in enumerate(points)])
    return search


def outcome(trial: Trial) -> Outcome:
    """A loss that longer training lowers."""
    return Outcome(trial, suggestion_loss(trial.point) + 1 - trial.budget, seconds=60.0)


def calls(search: Search, batch: int) -> Iterator[tuple[int, float]]:
    """Suggestions and seconds of one ask + tell after another."""
    while True:
        started = time.perf_counter()
        trials = search.ask(batch)
        asked = time.perf_counter() - started
        outcomes = [outcome(trial) for trial in trials]
        started = time.perf_counter()
        search.tell(outcomes)
        yield len(trials), asked + time.perf_counter() - started


def suggestions(case: Case) -> int:
    """How many are measured: of ours as many as lie between two refits, where these are more than SUGGESTIONS."""
    between = math.ceil(REFIT * case.observations) if METHODS[case.method].library == "podnas" else 0
    return max(SUGGESTIONS, between)


def measure_here(case: Case, results: Connection) -> None:
    """Send the cost of each call; for a process of its own."""
    search = filled(case.method, case.observations)
    results.send(None)
    wanted = suggestions(case) + case.batch
    for count, seconds in calls(search, case.batch):
        results.send((count, seconds))
        wanted -= count
        if wanted <= 0:
            return


def measure(case: Case, seconds: float = CASE_SECONDS) -> dict[str, Any]:
    """Mean and 99th percentile in ms, and the number of suggestions that were measured in time."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure_here, args=(case, sender), daemon=True)
    process.start()
    sender.close()
    found: list[tuple[int, float]] = []
    try:
        if receiver.poll(LOADING_SECONDS):
            receiver.recv()
            end = time.monotonic() + seconds
            while receiver.poll(max(0.0, end - time.monotonic()) if found else FIRST_SECONDS):
                found.append(receiver.recv())
    except EOFError:  # it is done, or has failed
        process.join()
        if process.exitcode:
            if METHODS[case.method].library == "podnas":
                raise RuntimeError(f"{case} failed; its error stands above") from None
            CONSOLE.log(f"{case} failed; its error stands above")
            return NONE
    finally:
        process.kill()
        process.join()
    found = found[1:] or found  # the first may fit a model to all that was told
    each = [1000 * taken / count for count, taken in found]
    suggested = sum(count for count, _ in found)
    if not found:
        return NONE
    return {
        "mean": 1000 * sum(taken for _, taken in found) / suggested,
        "p99": float(np.percentile(each, 99)),
        "n": suggested,
    }


# how good a search is


@dataclass(frozen=True)
class Task:
    """One search of one problem."""

    method: str
    problem: str
    seed: int


def searched(task: Task) -> dict[str, Any]:
    """The best loss, and what it took; a peer's search may fail, ours may not."""
    try:
        return best_of(task)
    except Exception as error:
        if METHODS[task.method].library == "podnas":
            raise
        return {"best": None, "error": f"{type(error).__name__}: {error}"[:500], "suggestion_s": 0.0}


def best_of(task: Task) -> dict[str, Any]:
    """The best loss, and what it took."""
    chosen, method = problem(task.problem), METHODS[task.method]
    count = method.evaluations
    trials = count * 100 if method.partial else method.known + count
    searches = method.make(chosen.space, trials, task.seed, chosen.epochs, chosen.evolved)
    if method.known:
        for search in searches:
            search.tell(evolved(chosen, method.known, task.seed))
    started = time.perf_counter()
    run = simulate(
        searches,
        lambda trial: chosen.objective(trial.point, trial.budget),
        lambda trial, random: chosen.run_seconds(trial.point, 1.0, random),
        WORKERS,
        "decentralised" if method.ranks > 1 else "manager",
        evaluations=np.inf if method.partial else count,
        budget=count,
        seed=task.seed,
    )
    taken = time.perf_counter() - started
    return {"best": run.best, "evaluations": run.evaluations, "suggestion_s": taken / max(1, run.evaluations)}


def evolved(chosen: Problem, count: int, seed: int) -> list[Outcome]:
    """What aged evolution finds in so many trials."""
    config = SearchConfig.model_validate({"algorithm": "evolution", "trials": count, "seed": seed, "population": 100})
    search, outcomes = build(chosen.space, config), []
    for _ in range(count):
        (trial,) = search.ask(1)
        outcomes.append(Outcome(trial, chosen.loss(trial.point)))
        search.tell(outcomes[-1:])
    return [replace(one, trial=Trial(FOREIGN + one.trial.number, one.trial.point)) for one in outcomes]


def wanted(methods: Sequence[str], functions: Sequence[str], seeds: Iterable[int]) -> Iterator[Task]:
    """Tasks method by method: a process imports a library once; those that train in part need learning curves."""
    for method in methods:
        for seed in seeds:
            for function in functions:
                own = METHODS[method]
                if function in (own.functions or functions) and (not own.partial or problem(function).epochs > 1):
                    yield Task(method, function, seed)


class Cache:
    """Results as JSON lines, each with the key of what it was made with."""

    def __init__(self, path: Path, methods: Iterable[str]) -> None:
        self.path = path
        self.keys = {method: fingerprint(METHODS[method].key()) for method in methods}
        self.known: dict[tuple[Any, ...], dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            record = json.loads(line)
            self.known[tuple(record["of"])] = record["result"]

    def get(self, of: Case | Task) -> dict[str, Any] | None:
        """What is known of it."""
        return self.known.get(self._of(of))

    def put(self, of: Case | Task, result: dict[str, Any]) -> None:
        """Keep it."""
        self.known[self._of(of)] = result
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"of": self._of(of), "result": result}) + "\n")

    def _of(self, of: Case | Task) -> tuple[Any, ...]:
        if isinstance(of, Case):
            return ("cost", self.keys[of.method], of.method, of.observations, of.batch)
        return ("quality", self.keys[of.method], common_key(), of.method, of.problem, of.seed)


@functools.cache
def common_key() -> str:
    """Of what all searches depend on: problems and the simulator."""
    simulator = Path(sys.modules[simulate.__module__].__file__ or "")
    return fingerprint(
        {
            "problems": provenance.code_hash(SOURCES / "problems.py"),
            "simulator": provenance.code_hash(simulator),
            "evaluations": EVALUATIONS,
            "workers": WORKERS,
            "halving": [REDUCTION, LEAST_EPOCHS],
        }
    )


def fingerprint(key: Mapping[str, Any]) -> str:
    """A short hash."""
    return hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:12]


def counts(method: str) -> tuple[int, ...]:
    """Observations at which it is measured."""
    return (*FEWER.get(method, ()), *OBSERVATIONS)


def run_costs(cache: Cache, methods: Sequence[str]) -> None:
    """Measure the cases that are not known yet, one after another; after one that gives none, no larger ones."""
    for method in methods:
        result: dict[str, Any] = {"n": 1}
        for observations in counts(method):
            for batch in BATCHES:
                case = Case(method, observations, batch)
                if cache.get(case) is None:
                    cache.put(case, measure(case) if result["n"] else NONE)
                result = cache.get(case) or NONE
                shown = f"{result['mean']:.2f} ms (n = {result['n']})" if result["n"] else "none in time"
                CONSOLE.log(f"{method}, {observations:,} observations, {batch} at a time: {shown}")


def run_quality(cache: Cache, methods: Sequence[str], functions: Sequence[str], seeds: int, end: float) -> None:
    """Search what is not known yet: a few seeds of all, then the rest of those that are not slow; none after `end`."""
    first = min(SLOW_SEEDS, seeds)
    quick = [method for method in methods if method not in ("deephyper_cbo_default", "neps")]
    slow = [method for method in methods if method not in quick]
    run_tasks(cache, wanted(quick, functions, range(first)), end)
    rest = [
        task for task in wanted(quick, functions, range(first, seeds)) if not is_slow(cache, task.method, task.problem)
    ]
    run_tasks(cache, rest, end)
    run_tasks(cache, wanted(slow, functions, range(first)), end)


def is_slow(cache: Cache, method: str, function: str) -> bool:
    """Whether a suggestion of a peer took longer than 0.2 s in its first searches. Ours are never spared."""
    known = [cache.get(Task(method, function, seed)) for seed in range(SLOW_SEEDS)]
    taken = [result["suggestion_s"] for result in known if result]
    return METHODS[method].library != "podnas" and bool(taken) and float(np.median(taken)) > SLOW_SECONDS


def run_tasks(cache: Cache, tasks: Iterable[Task], end: float) -> None:
    """A process a core."""
    todo = [task for task in tasks if cache.get(task) is None]
    total, started = len(todo), time.monotonic()
    workers = len(os.sched_getaffinity(0))
    todo.reverse()
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        running: dict[Any, Task] = {}
        while running or (todo and time.monotonic() < end):
            while todo and len(running) < workers and time.monotonic() < end:
                task = todo.pop()
                running[pool.submit(searched, task)] = task
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(done)
                cache.put(task, done.result())
                count = total - len(todo) - len(running)
                if count % 50 == 0 or count == total:
                    CONSOLE.log(f"quality {count}/{total}, {time.monotonic() - started:.0f} s: {task.method}")


# what came out


def quality(cache: Cache, methods: Sequence[str], functions: Sequence[str], seeds: int) -> dict[str, Any]:
    """Best losses by function and method, and statistics of them."""
    losses: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for task in wanted(methods, functions, range(seeds)):
        result = cache.get(task)
        if result is not None and result["best"] is not None:
            losses[task.problem][task.method].append(result["best"])
    return {function: {name: summary(values) for name, values in by.items()} for function, by in losses.items()}


def failures(cache: Cache, methods: Sequence[str], functions: Sequence[str], seeds: int) -> list[dict[str, Any]]:
    """Searches of peers that raised."""
    found = ((task, cache.get(task) or {}) for task in wanted(methods, functions, range(seeds)))
    return [{**asdict(task), "error": result["error"]} for task, result in found if "error" in result]


def summary(losses: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles and all."""
    q25, median, q75 = np.percentile(losses, [25, 50, 75])
    return {"median": float(median), "q25": float(q25), "q75": float(q75), "seeds": len(losses), "losses": list(losses)}


def tests(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each of our methods against its peers, on each function that both have searched with at least 5 seeds."""
    rows = []
    for mine, theirs in PAIRS:
        of_pair = []
        for function, by in found.items():
            a, b = (by.get(name, {}).get("losses", []) for name in (mine, theirs))
            if min(len(a), len(b)) >= SLOW_SEEDS:
                row = {"ours": mine, "peer": theirs, "function": function, "n": [len(a), len(b)]}
                for name, side in (("worse", "greater"), ("ahead", "less")):
                    row[f"p_{name}"] = float(stats.mannwhitneyu(a, b, alternative=side).pvalue)
                of_pair.append(row)
        for name in ("worse", "ahead"):
            corrected = holm([row[f"p_{name}"] for row in of_pair])
            for row, p in zip(of_pair, corrected, strict=True):
                row |= {f"p_{name}_holm": p, name: p < LEVEL}
        rows += of_pair
    return rows


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected after Holm (1979): the k-th smallest of m times m - k + 1, never below the one before."""
    corrected, before = [0.0] * len(p), 0.0
    for rank, place in enumerate(np.argsort(p, kind="stable")):
        before = max(before, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = before
    return corrected


def costs(cache: Cache, methods: Sequence[str]) -> dict[str, Any]:
    """The three tables of suggestion costs."""
    tables: dict[str, Any] = {}
    for title, name in COSTS.items():
        tables[title] = {
            method: {
                str(count): {str(batch): (cache.get(Case(method, count, batch)) or {}).get(name) for batch in BATCHES}
                for count in counts(method)
            }
            for method in methods
        }
    return tables


def show(record: Mapping[str, Any]) -> None:
    """Tables of it all."""
    if "suggestion_ms" in record:
        show_costs(record)
    if not record.get("quality"):
        return
    functions = list(record["quality"])
    methods = [name for name in METHODS if any(name in by for by in record["quality"].values())]
    table = Table(*["best loss: median [quartiles]", *functions], title=f"{EVALUATIONS} evaluations, {WORKERS} workers")
    for method in methods:
        cells = (record["quality"][function].get(method) for function in functions)
        table.add_row(
            method, *("" if c is None else f"{c['median']:.3g} [{c['q25']:.3g}–{c['q75']:.3g}]" for c in cells)
        )
    CONSOLE.print(table)
    for failure in itertools.chain.from_iterable(record["failures"].values()):
        CONSOLE.print("failed: {method} on {problem}, seed {seed}: {error}".format(**failure))
    table = Table("ours", "peer", "functions", "worse (Holm, 5 %)", "ahead (Holm, 5 %)")
    for mine, theirs in PAIRS:
        rows = [row for row in record["tests"] if (row["ours"], row["peer"]) == (mine, theirs)]
        if rows:
            lists = (", ".join(row["function"] for row in rows if row[name]) or "–" for name in ("worse", "ahead"))
            table.add_row(mine, theirs, str(len(rows)), *lists)
    CONSOLE.print(table)


def show_costs(record: Mapping[str, Any]) -> None:
    """Milliseconds of a suggestion."""
    columns = [(count, batch) for count in OBSERVATIONS for batch in BATCHES]
    heads = [f"{count:,}, {batch} at a time" for count, batch in columns]
    table = Table("ms a suggestion (99th percentile)", *heads, "target at 2,000 / 10,000")
    for method, means in record["suggestion_ms"].items():
        cells = []
        for count, batch in columns:
            mean, high = means[str(count)][str(batch)], record["suggestion_p99_ms"][method][str(count)][str(batch)]
            cells.append("–" if mean is None else f"{mean:.3g} ({high:.3g})")
        target = " / ".join(f"≤ {value:g}" for value in TARGETS.get(method, {}).values())
        table.add_row(method, *cells, target)
    CONSOLE.print(table)
    for method, numbers in FEWER.items():
        for count in numbers if method in record["suggestion_ms"] else ():
            mean = record["suggestion_ms"][method][str(count)]["1"]
            CONSOLE.print(f"{method} at {count:,} observations: {'–' if mean is None else f'{mean:.3g} ms'}")


def main(
    method: Annotated[list[str] | None, typer.Option(help="only these methods")] = None,
    function: Annotated[list[str] | None, typer.Option(help="only these problems")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="searches of a method and a problem")] = SEEDS,
    cost: Annotated[bool, typer.Option(help="measure what a suggestion costs")] = True,
    quality_too: Annotated[bool, typer.Option("--quality/--no-quality", help="compare best losses")] = True,
    minutes: Annotated[float, typer.Option(help="begin no search of the comparison after so long")] = 110.0,
    cache: Annotated[Path, typer.Option(help="what earlier runs have found")] = CACHE,
    out: Annotated[Path, typer.Option(help="JSON to write")] = Path("results/bench/search.json"),
) -> None:
    """Measure ours and the peers; print and write what came out."""
    methods, functions = method or list(METHODS), function or list(BENCHMARK)
    for name, known in [*((m, METHODS) for m in methods), *((f, (*BENCHMARK, *DEVELOPMENT)) for f in functions)]:
        if name not in known:
            raise typer.BadParameter(f"{name} is none of {', '.join(known)}")
    if not PEERS.is_dir() and any(METHODS[name].library != "podnas" for name in methods):
        raise typer.BadParameter(f"the peers are not in {PEERS}: run make bench-search, or name methods: --method bo")
    found, timed = Cache(cache, methods), [name for name in methods if name in TIMED]
    here = origin()
    made: dict[str, Any] = {"origins": {}}
    if cost:
        run_costs(found, timed)
        made |= costs(found, timed)
        made["origins"]["suggestion"] = dict.fromkeys(timed, here)
    if quality_too:
        run_quality(found, methods, functions, seeds, time.monotonic() + 60 * minutes)
        made["quality"] = quality(found, methods, functions, seeds)
        made["minima"] = {name: problem(name).minimum for name in functions}
        made["failures"] = {name: failed for name in methods if (failed := failures(found, [name], functions, seeds))}
        made["origins"]["quality"] = {name: dict.fromkeys(by, here) for name, by in made["quality"].items()}
    libraries = {METHODS[name].library for name in methods} - {"podnas"}
    made["settings"] = {"seeds": seeds, "evaluations": EVALUATIONS, "workers": WORKERS, "observations": OBSERVATIONS}
    made["peers"] = {name: version(name) for name in sorted(libraries)}
    made["methods"] = {name: dict(METHODS[name].settings) for name in methods}
    record = merge(earlier(out), here | made)
    record |= {"tests": tests(record.get("quality", {})), "definitions": DEFINITIONS}
    artifacts.write_json(out, record)
    CONSOLE.log(f"done: {out}")
    show(record)


def origin() -> dict[str, Any]:
    """Time, command, commit, versions and machine of this run."""
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.argv]),
        **{key: value for key, value in provenance.machine().items() if key != "host"},
    }


def earlier(out: Path) -> dict[str, Any]:
    """The record as it is, without methods that there are no more."""
    if not out.exists():
        return {}
    record = artifacts.read_json(out)
    by_method = [record[name] for name in ("methods", "failures", *COSTS) if name in record]
    by_method += [*record.get("quality", {}).values()]
    origins = record.get("origins", {})
    by_method += [origins.get("suggestion", {}), *origins.get("quality", {}).values()]
    for table in by_method:
        for name in table.keys() - METHODS:
            del table[name]
    return record


if __name__ == "__main__":
    typer.run(main)
