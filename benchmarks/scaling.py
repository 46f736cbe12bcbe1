"""How many workers a search keeps busy, and what it finds with them: 40 to 10,240 virtual workers.

    make bench-scaling

The algorithms themselves run against a virtual clock (podnas.parallel.simulate). What a suggestion costs is measured
first, on the quiet machine, up to 300,000 observations (scaling_costs.py); then the simulations run side by side, a
process a core. `--case`, `--method` and `--workers` make a part again and merge it into the JSON. What its keys mean
stands in its `definitions`, what is assumed in `assumptions` (scaling_report.py). Takes about 40 minutes on two cores.

Published figures: Egele, Guyon, Vishwanath, Balaprakash 2022, arXiv 2207.00479.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from problems import problem
from record import merge
from scaling_costs import (
    BO_PUBLISHED,
    CASES,
    CONSOLE,
    FORESTS,
    LADDERS,
    OURS,
    PEERS,
    PUBLISHED_SECONDS,
    SEED,
    Case,
    Costs,
    costs_of_peers,
    lifelong,
    measured,
    organisation,
    searches,
)
from scaling_report import ASSUMPTIONS, DEFINITIONS, DISPATCH_S, PUBLISHED, explanation, show, targets
from threadpoolctl import threadpool_limits

from podnas import artifacts, provenance
from podnas.figures import scaling as figures
from podnas.figures import style
from podnas.parallel.simulate import Cost, Delays, LogNormal, Organisation, Run, free, simulate
from podnas.search.protocol import Outcome, Trial

MESSAGE = LogNormal(0.05, 0.05, 0.0)  # ASSUME: between ranks, and from a worker to the manager
MOST_OF_PEERS = 1920  # workers
MOST = 1920  # workers up to which slow managers and ladders really run; beyond, utilisation only
STAND_IN = ""
WITHOUT_DELAYS, WITH_DELAYS = "random_without_delays", "adbo_with_delays"  # the sensitivity
METHODS = (*OURS, BO_PUBLISHED, *PEERS)
# core-milliseconds of a trial, to begin the longest simulations first
MILLISECONDS = {
    "bo": 5.0,
    "adbo": 5.0,
    "agebo": 7.0,
    "asha": 1.0,
    "hyperband": 1.0,
    "evolution": 0.1,
    "random": 0.08,
    STAND_IN: 0.03,
}


@dataclass(frozen=True)
class Task:
    """One simulation. `search`: what really runs; STAND_IN where only utilisation is asked for."""

    case: str
    method: str
    workers: int
    search: str
    cost: Cost | None
    delays: Delays
    organisation: Organisation

    @property
    def real(self) -> bool:
        """Whether it is the method's own search."""
        return self.search == {BO_PUBLISHED: "bo", WITHOUT_DELAYS: "random"}.get(self.method, self.method)

    @property
    def weight(self) -> float:
        """About as many core-milliseconds as it takes."""
        pieces = 8 if self.search == STAND_IN and self.method in LADDERS else 1
        return lifelong(CASES[self.case], self.workers) * pieces * MILLISECONDS[self.search]


class Standing:
    """Stands for a search where only time matters: trials without points, of these budgets in turn."""

    def __init__(self, budgets: Sequence[float]) -> None:
        self.budgets = budgets
        self.asked = 0

    def ask(self, count: int) -> list[Trial]:
        """Always `count` trials."""
        numbers = range(self.asked, self.asked + count)
        self.asked += count
        return [Trial(number, {}, self.budgets[number % len(self.budgets)]) for number in numbers]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing is learnt."""


def pieces(method: str, case: Case) -> list[float]:
    """Parts of a full training that trials of a ladder are, as they follow one another once it is under way."""
    run = simulate(searches(method, case)[0], case.objective, case.durations, 64, evaluations=6000, seed=SEED)
    return list(map(float, run.events["spent"][2000:]))


def simulation(task: Task) -> Run:
    """Run a task."""
    case = CASES[task.case]
    ranks = task.workers if task.search == "adbo" else 1
    objects: Any = Standing(pieces(task.method, case) if task.method in LADDERS else [1.0])
    objective = _none
    if task.search != STAND_IN:
        objects, objective = searches(task.search, case, ranks), case.objective
    return simulate(
        objects, objective, case.durations, task.workers, task.organisation, horizon_s=case.horizon_s,
        cost=task.cost or free, delays=task.delays, share=ranks > 1, seed=SEED,
    )  # fmt: skip


def _none(trial: Trial) -> float:
    return 0.0


def figures_of(task: Task) -> dict[str, Any]:
    """What the JSON keeps of a run."""
    threadpool_limits(1)
    started = time.process_time()
    run, delays = simulation(task), task.delays
    mean = float((run.events["ended"] - run.events["began"]).mean())
    bound = (1 - delays.start_up_s / run.seconds) * mean / (mean + delays.dispatch_s)
    return {
        "utilisation": run.utilisation,
        "evaluations": run.evaluations,
        "best": run.best if task.real else None,
        "bound": bound,
        "core_seconds": time.process_time() - started,
    }


def tasks(case: Case, methods: Sequence[str], workers: Sequence[int], costs: Costs, delays: Delays) -> Iterator[Task]:
    """Simulations of a case for these methods."""
    for method, count in itertools.product(methods, workers):
        if method in PEERS and count > MOST_OF_PEERS:
            continue
        cost = costs[method].get(count) or costs[method][0]
        really = {"adbo": case.really, **dict.fromkeys((*FORESTS, *LADDERS), min(MOST, case.really))}
        search = "bo" if method == BO_PUBLISHED else method
        if method in PEERS or count > really.get(method, count):
            search = STAND_IN
        yield Task(case.name, method, count, search, cost, _own(method, delays), organisation(method))


def _own(method: str, delays: Delays) -> Delays:
    """A rank that asks itself has neither the manager's start-up nor its dispatch."""
    return Delays(message=MESSAGE) if organisation(method) == "decentralised" else delays


def sensitivity(case: Case, workers: Sequence[int], costs: Costs, delays: Delays) -> Iterator[Task]:
    """What the delays make out: random without them, and ADBO with them."""
    for count in workers:
        without = Delays(message=MESSAGE)
        yield Task(case.name, WITHOUT_DELAYS, count, "random", None, without, "decentralised")
        if count in costs.get("adbo", {}):
            yield Task(case.name, WITH_DELAYS, count, STAND_IN, costs["adbo"][count], delays, "decentralised")


def calibrated(cost: Cost) -> Delays:
    """The start-up with which simulated random search has its published utilisation at 1,920 workers of `candle`."""
    case, workers = CASES["candle"], 1920
    wanted = PUBLISHED["candle"]["random"][workers]["utilisation"]
    low, high = 0.0, 0.1 * case.horizon_s
    found = [
        simulation(Task(case.name, "random", workers, STAND_IN, cost, delays_of(start_up), "manager")).utilisation
        for start_up in (low, high)
    ]
    # the loss is proportional to the start-up
    start_up = low + (high - low) * (found[0] - wanted) / (found[0] - found[1])
    CONSOLE.log(f"start-up {start_up:.0f} s and dispatch {DISPATCH_S:g} s bring random to {wanted} at {workers:,}")
    return delays_of(start_up)


def delays_of(start_up_s: float) -> Delays:
    """A manager's delays."""
    return Delays(start_up_s, DISPATCH_S, MESSAGE)


def timelines(costs: Costs, delays: Delays) -> dict[str, Any]:
    """What the first workers of `candle` did, centralised and decentralised: seconds of waited, asked, …, ended."""
    case, workers = CASES["candle"], 1920
    found = {}
    for method in (BO_PUBLISHED, "bo", "adbo"):
        cost = costs.get(method, {}).get(workers) or costs.get(method, {}).get(0)
        if cost is None:
            continue
        task = Task(case.name, method, workers, STAND_IN, cost, _own(method, delays), organisation(method))
        events = simulation(task).events
        found[method] = {
            "workers": workers,
            "seconds": case.horizon_s,
            "rows": [
                rows[["waited", "asked", "suggested", "began", "ended"]].round(2).to_numpy().tolist()
                for _, rows in events[events["worker"] % (workers // figures.SHOWN) == 0].groupby("worker")
            ],
        }
    return found


def simulated(todo: Sequence[Task], processes: int) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Tasks and what they gave, the heaviest begun first."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn) as pool:
        jobs = {pool.submit(figures_of, task): task for task in sorted(todo, key=lambda one: -one.weight)}
        for number, job in enumerate(as_completed(jobs), start=1):
            task, found = jobs[job], job.result()
            best = "" if found["best"] is None else f", best {found['best']:.4g}"
            CONSOLE.log(
                f"{number} of {len(jobs)}: {task.case}, {task.method}, {task.workers:,} workers: utilisation "
                f"{found['utilisation']:.3f}, {found['evaluations']:,} evaluations{best} "
                f"({found['core_seconds']:.0f} core-seconds)"
            )
            yield task, found


def origin() -> dict[str, Any]:
    """Command, date, commit, versions and machine, but neither its name nor a path in it."""
    here = {key: value for key, value in provenance.machine().items() if key != "host"}
    processor = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/scaling.py", *sys.argv[1:]]),
        **here,
        "processor": processor[1] if processor else None,
    }


def rounded(value: Any) -> Any:
    """Numbers of a JSON value to five digits, keys as words."""
    if isinstance(value, dict):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def draw(record: dict[str, Any], folder: Path) -> None:
    """Draw the figures of what there is."""
    style.save(figures.utilisation(record), folder / "scaling_utilisation.png")
    style.save(figures.best(record), folder / "scaling_best.png")
    if record["timelines"]:
        style.save(figures.timeline(record), folder / "worker_timeline.png")


def present(name: str) -> bool:
    """Whether the table of a case is at hand; where not, a line says why."""
    try:
        problem(CASES[name].problem)
    except (ValueError, OSError) as error:
        CONSOLE.log(f"{name} is left out: {error}")
        return False
    return True


def all_costs(
    names: Sequence[str], methods: Sequence[str], counts: Mapping[str, Sequence[int]], search: Path
) -> dict[str, Costs]:
    """Costs of a suggestion by case."""
    peers = {name: cost for name, cost in costs_of_peers(search).items() if name in methods}
    costs = {}
    for name in names:
        costs[name] = measured(CASES[name], [one for one in methods if one in OURS], counts[name])
        if name == "candle" and BO_PUBLISHED in methods:
            costs[name][BO_PUBLISHED] = {0: Cost((1,), (PUBLISHED_SECONDS,))}
        costs[name] |= {one: {0: cost} for one, cost in peers.items()}
    return costs


def all_delays(record: Mapping[str, Any], costs: Mapping[str, Costs]) -> Delays:
    """The manager's delays: those of the record, or calibrated."""
    if "delays" in record:
        return delays_of(record["delays"]["start_up_s"])
    own = costs.get("candle", {}).get("random") or measured(CASES["candle"], ["random"], ())["random"]
    return calibrated(own[0])


def run(
    costs: Mapping[str, Costs], counts: Mapping[str, Sequence[int]], delays: Delays, processes: int
) -> dict[str, Any]:
    """Run all simulations: what the JSON keeps of them."""
    todo: list[Task] = []
    for name, own in costs.items():
        todo += tasks(CASES[name], list(own), counts[name], own, delays)
        todo += sensitivity(CASES[name], counts[name], own, delays)
    made: dict[str, Any] = {name: {} for name in costs} | {"sensitivity": {name: {} for name in costs}}
    for task, found in simulated(todo, processes):
        rows = made["sensitivity"] if task.method in (WITHOUT_DELAYS, WITH_DELAYS) else made
        rows[task.case].setdefault(task.method, {})[task.workers] = found
    made["timelines"] = timelines(costs["candle"], delays) if "candle" in costs else {}
    return made


def ordered(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Methods in the order of all tables, numbers of workers rising."""
    order = [*METHODS, *(name for name in rows if name not in METHODS)]
    return {name: dict(sorted(rows[name].items(), key=lambda pair: int(pair[0]))) for name in order if name in rows}


def main(
    case: Annotated[list[str] | None, typer.Option(help=f"cases: {', '.join(CASES)} (default: all)")] = None,
    method: Annotated[list[str] | None, typer.Option(help=f"methods: {', '.join(METHODS)} (default: all)")] = None,
    workers: Annotated[list[int] | None, typer.Option(help="numbers of workers (default: each case's)")] = None,
    processes: Annotated[int, typer.Option(min=1, help="simulations at a time")] = len(os.sched_getaffinity(0)),
    search: Annotated[Path, typer.Option(help="where the peers' costs stand")] = Path("results/bench/search.json"),
    out: Annotated[Path, typer.Option(help="JSON to write, or to merge a part into")] = Path(
        "results/bench/scaling.json"
    ),
    plots: Annotated[Path, typer.Option(help="folder of the figures")] = Path("docs"),
) -> None:
    """Measure what suggestions cost, simulate searches on many workers, print, write and draw what was found."""
    for given, known in ((case, tuple(CASES)), (method, METHODS)):
        if unknown := [name for name in given or () if name not in known]:
            raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(known)}")
    threadpool_limits(1)
    part = bool(case or method or workers)
    record: dict[str, Any] = artifacts.read_json(out) if part and out.exists() else {}
    if "delays" not in record and not present("candle"):
        raise typer.BadParameter("delays are calibrated with case candle; set PODNAS_DATA to the folder of its table")
    names = [name for name in case or CASES if present(name)]
    counts = {name: tuple(workers or CASES[name].workers) for name in names}
    costs = all_costs(names, method or METHODS, counts, search)
    delays = all_delays(record, costs)
    made = run(costs, counts, delays, processes)
    made["lowest"] = {name: problem(CASES[name].problem).minimum for name in names}
    made["costs"] = {name: _plain(own) for name, own in costs.items()}
    made["delays"] = {"start_up_s": delays.start_up_s, "dispatch_s": delays.dispatch_s}
    here = origin()
    made["origins"] = {name: dict.fromkeys(own, here) for name, own in costs.items()}
    record = merge(record, rounded({**here, **made, "published": PUBLISHED}))
    for rows in (record, record["sensitivity"]):
        rows |= {name: ordered(rows[name]) for name in CASES if name in rows}
    record |= {"targets": targets(record), "explanation": explanation(record)}
    artifacts.write_json(out, record | {"assumptions": ASSUMPTIONS, "definitions": DEFINITIONS})
    draw(record, plots)
    CONSOLE.log(f"done: {out}, figures in {plots}")
    show(record)


def _plain(costs: Costs) -> dict[str, Any]:
    return {method: {workers: asdict(cost) for workers, cost in own.items()} for method, own in costs.items()}


if __name__ == "__main__":
    typer.run(main)
