"""What training a population of different architectures costs: ours, PyTorch and Keras in the same run.

    make bench-population

The same random architectures of the SC20 space learn from the same windows by our kernels (a thread a core), by
PyTorch's `nn.LSTM` (eager) and, some of them, by Keras; both peers have a warm single-thread process a core, each with
one architecture at a time. They take turns, chunk by chunk, between measurements of the rate of a large matrix product,
so that whatever else the machine does hits all of them. In the second draw no node has more than 32 units. What the
keys of the JSON mean stands in its `definitions`. Takes about 8 minutes on two cores.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import re
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace
from peers import (
    STACKED_EPOCHS,
    TORCH,
    Done,
    Processes,
    Task,
    keras,
    keras_process,
    pytorch,
    pytorch_outputs,
    pytorch_process,
    stacked,
    stacked_process,
    torch_version,
)
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from podnas import artifacts, provenance
from podnas.config import TrainingConfig
from podnas.networks import engines, kernels, parameters, program
from podnas.networks.lanes import Lanes
from podnas.networks.population import Arrays, Member
from podnas.networks.recipe import network_seed
from podnas.networks.space import IDENTITY, NODES, Point, architecture_space, graph, parameter_count, skips
from podnas.networks.vectors import LANES
from podnas.search import points
from podnas.windows import Array

WINDOWS, HELD, STEPS, CHANNELS, MODES = 384, 64, 8, 5, 5
SETTINGS = TrainingConfig(batch_size=64)
SMALL = (IDENTITY, "16", "32")  # nodes of the second draw
DRAW_SEED, SMALL_SEED, MEMORY_SEED = 0, 1, 2
CHUNK = 16  # architectures that ours trains before PyTorch has its turn
PRODUCT, PRODUCT_SECONDS = 1024, 0.4  # rows and columns of the matrices whose product gives the machine's rate
GROWTH_EPOCHS, MEMORY_EPOCHS, MEMORY_AFTER = 5, 1, 50
SHARED_BY = 1000  # architectures that one compilation is divided among
CONSOLE = Console(log_path=False)
SAME = 1e-4  # largest difference of outputs, relative to the largest output, of a like-for-like comparison

DEFINITIONS = {
    "core_seconds_per_architecture": "mean wall seconds of the one-thread worker that trains an architecture, from "
    "its initial weights to its validation forecast, compilation apart; a worker on every core; median of the repeats",
    "ratio_pytorch_warm": "core-seconds of PyTorch / (ours + compile_seconds x architectures / 1000), a process on "
    "every core; median of the repeats",
    "ratio_keras": "the same for Keras (build, compile, fit, predict, without XLA), over settings.keras architectures "
    "of the draw, spread over its range of sizes",
    "_small": "the second draw: nodes Identity, 16 or 32 units",
    "matmul_gflops": "float32 product of two 1024 x 1024 matrices (NumPy), of one core while each core has a "
    "single-thread process that does the same; median over the repeat",
    "useful_gflop_per_architecture": "2 x multiply-adds of the matrix products that training needs: useful_flop()",
    "useful_share_of_matmul_rate": "useful FLOP / core-seconds / matmul rate of the same repeat; median of the repeats",
    "wall_seconds_times_cores": "of ours: from the first architecture of a chunk to its last, idle cores included",
    "compile_seconds": "first training minus the second in a new process with an empty cache folder, one core",
    "start_up_seconds": "from the launch of a process to the end of its first training, minus the second training",
    "memory_growth_mb_2000": "resident memory of one process after settings.memory different architectures "
    f"({MEMORY_EPOCHS} epoch each) minus that after the first {MEMORY_AFTER}",
    "growth": f"populations of 1, 2, 4 ... architectures, {GROWTH_EPOCHS} epochs each; all figures per architecture",
    "stacked": "members padded to one shape in one XLA program; on a CPU it has one core to itself; "
    f"core_seconds_per_architecture is that of {STACKED_EPOCHS} epochs times settings.epochs / {STACKED_EPOCHS}",
    "pytorch_output_difference": "largest |ours - PyTorch's| of outputs with the same weights / largest |output|",
}


@dataclass(frozen=True)
class Draw:
    """Measurements of one draw of architectures; by repeat, then by architecture."""

    points: Sequence[Point]
    epochs: int
    ours: list[list[Done]] = field(default_factory=list)
    pytorch: list[list[Done]] = field(default_factory=list)
    rates: list[list[float]] = field(default_factory=list)  # FLOP/s of a core, several a repeat
    walls: list[float] = field(default_factory=list)  # of ours, a repeat
    one_core: list[Done] = field(default_factory=list)  # ours with a single worker
    keras: dict[int, Done] = field(default_factory=dict)  # by number of the architecture


# what is trained


def windows() -> Arrays:
    """Random windows, as many as in a search: time does not depend on the numbers in them."""
    random = np.random.default_rng(0)
    fit, held = (
        [scale * random.standard_normal((count, STEPS, last)) for last, scale in ((CHANNELS, 1), (MODES, 0.3))]
        for count in (WINDOWS, HELD)
    )
    return Arrays(*(array.astype(np.float32) for array in (*fit, *held)))


def small_space() -> ConfigurationSpace:
    """The space with nodes of at most 32 units."""
    space = ConfigurationSpace(name="small")
    space.add([CategoricalHyperparameter(f"node_{node}", SMALL) for node in range(1, NODES + 1)])
    space.add([CategoricalHyperparameter(f"skip_{node}_{anchor}", [0, 1]) for node, anchor in skips()])
    return space


def drawn(space: ConfigurationSpace, seed: int, count: int) -> list[Point]:
    """The first `count` points of a random search."""
    return [points.sample(space, points.stream(seed, number)) for number in range(count)]


def different(space: ConfigurationSpace, seed: int) -> Iterator[Point]:
    """Points of a random search without repetition."""
    seen = set()
    for number in itertools.count():
        point = points.sample(space, points.stream(seed, number))
        if (key := tuple(sorted(point.items()))) not in seen:
            seen.add(key)
            yield point


def tasks(chosen: Iterable[Point], arrays: Arrays, epochs: int) -> Iterator[Task]:
    """A task for each point, with the seed that a search would give it."""
    for number, point in enumerate(chosen):
        yield Task(Member(point, network_seed(0, number), SETTINGS), arrays, epochs)


def spread_sizes(chosen: Sequence[Point], count: int) -> list[int]:
    """Numbers of `count` points, evenly over the ranks of their numbers of parameters."""
    order = np.argsort([parameter_count(point, CHANNELS, MODES) for point in chosen], kind="stable")
    count = min(count, len(order))
    return [int(order[int((rank + 0.5) / count * len(order))]) for rank in range(count)]


def useful_flop(point: Point, epochs: int) -> int:
    """Floating-point operations of the matrix products that training the architecture needs.

    A product of (m, k) and (k, n) has m k n multiply-adds of 2 operations. With B windows in all batches together, T
    steps, and a layer of i inputs and u units (its weights (i, 4 u) for an LSTM with its four gates, (i, u) for Dense):
      P = 2 B T i (4) u        of the input: forward, gradient of the weights, gradient of the input; the last only
                               where parameters lie before the layer, as nobody needs the gradient of the data;
      R = 2 B (T - 1) u 4 u    of an LSTM's state: forward, gradient of the weights, gradient of the state before; the
                               state before the first step is zero.
    Layers sum to 3 P (or 2 P) + 3 R. Not counted: gates, biases, merges, loss, Adam, the validation forecast, padding.
    """
    seen = epochs * (WINDOWS - WINDOWS % SETTINGS.batch_size)
    total = 0
    width: dict[str, int] = {}
    trained: dict[str, bool] = {}  # whether parameters lie before or in a layer
    for layer in graph(point, CHANNELS, MODES):
        width[layer.name] = layer.units
        before = any(trained[name] for name in layer.inputs)
        gates = {"lstm": 4, "output": 4, "project": 1}.get(layer.kind, 0)
        trained[layer.name] = before or gates > 0
        if gates:
            total += (3 if before else 2) * 2 * seen * STEPS * width[layer.inputs[0]] * gates * layer.units
        if gates == 4:
            total += 3 * 2 * seen * (STEPS - 1) * layer.units * gates * layer.units
    return total


# ours


def ours(lanes: Lanes, todo: Iterable[Task]) -> Iterator[tuple[int, Done]]:
    """Number and cost of each task as it is finished; twice as many are under way as there are workers."""
    prepared: dict[int, float] = {}
    for number, task in enumerate(todo):
        if len(prepared) >= 2 * lanes.workers:
            yield _finished(lanes, prepared)
        started = time.perf_counter()
        job = task.job()
        prepared[number] = time.perf_counter() - started
        lanes.submit(number, job)
    while prepared:
        yield _finished(lanes, prepared)


def _finished(lanes: Lanes, prepared: dict[int, float]) -> tuple[int, Done]:
    finished = lanes.finished()
    if finished.state.error is not None:
        raise RuntimeError(f"architecture {finished.key} failed: {finished.state.error}; nothing can be compared")
    return finished.key, Done(prepared.pop(finished.key) + finished.seconds, finished.state.losses[-1])


def all_of_ours(lanes: Lanes, todo: Iterable[Task]) -> list[Done]:
    """Costs in the order of the tasks."""
    return [done for _, done in sorted(ours(lanes, todo), key=lambda pair: pair[0])]


def outputs(task: Task, values: Array) -> Array:
    """Our forecast of the held windows with these parameters."""
    made = program.build(task.layers(), STEPS, SETTINGS.batch_size)
    result = np.empty((HELD, STEPS, MODES), np.float32)
    work = np.empty(made.workspace, np.float32)
    kernels.predict(made.table, made.pack(values), work, task.arrays.held_inputs, SETTINGS.batch_size, result)
    return result


def growth(lanes: Lanes, arrays: Arrays, largest: int) -> list[dict[str, float]]:
    """Cost of populations of 1, 2, 4, … architectures, each the first of the draw."""
    chosen = drawn(architecture_space(), DRAW_SEED, largest)
    rows = []
    for size in (2**power for power in range(largest.bit_length())):
        started = time.perf_counter()
        done = all_of_ours(lanes, tasks(chosen[:size], arrays, GROWTH_EPOCHS))
        wall = time.perf_counter() - started
        seconds = sum(one.seconds for one in done)
        rows.append(
            {
                "population": size,
                "core_seconds": seconds / size,
                "wall_seconds_times_cores": wall * lanes.workers / size,
                "gflops_per_core": sum(useful_flop(point, GROWTH_EPOCHS) for point in chosen[:size]) / seconds / 1e9,
            }
        )
    return rows


def peak_mb() -> float:
    """Largest resident memory that this process has had (MB)."""
    # getrusage would count the process that launched it, too
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def product_rate() -> float:
    """FLOP/s of a large matrix product."""
    a, b = np.random.default_rng(0).standard_normal((2, PRODUCT, PRODUCT)).astype(np.float32)
    result = a @ b
    count, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < PRODUCT_SECONDS:
        np.matmul(a, b, out=result)
        count += 1
    return count * 2 * PRODUCT**3 / seconds


# our rate, compilation and memory


def compilation(arrays: Arrays) -> dict[str, float]:
    """Seconds of a process that finds no compiled kernels, and of the next one, which finds them on disk."""
    task = next(tasks(drawn(small_space(), SMALL_SEED, 1), arrays, 1))
    found = []
    with _empty_cache("NUMBA_CACHE_DIR"):
        for _ in range(2):
            with Processes(1) as process:
                found += process.each(first_trainings, task, time.perf_counter())
    return {
        "compile_seconds": found[0][0],
        "start_up_seconds_empty_cache": found[0][1],
        "start_up_seconds_warm_cache": found[1][1],
    }


def first_trainings(task: Task, launched: float) -> tuple[float, float]:
    """Seconds of a process's first training minus those of its second: of the call alone, and since the launch."""
    first, second = (engines.advance(engines.named("kernels"), [task.job()])[1] for _ in range(2))
    # the clock is the system's: parent and child read the same
    return first - second, time.perf_counter() - launched - 2 * second


@contextmanager
def _empty_cache(variable: str) -> Iterator[None]:
    """New processes find an empty folder where this environment variable says that compiled code lies."""
    kept = os.environ.get(variable)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[variable] = folder
        try:
            yield
        finally:
            os.environ.pop(variable)
            if kept is not None:
                os.environ[variable] = kept


def memory(arrays: Arrays, count: int, workers: int) -> dict[str, float]:
    """Resident memory (MB) of a process that trains `count` different architectures."""
    process = psutil.Process()
    chosen = itertools.islice(different(architecture_space(), MEMORY_SEED), count)
    with Lanes(engines.named("kernels"), workers) as lanes:
        for number, _ in enumerate(ours(lanes, tasks(chosen, arrays, MEMORY_EPOCHS)), start=1):
            if number <= MEMORY_AFTER:
                early = process.memory_info().rss
        late = process.memory_info().rss
    return {"architectures": count, "after_50_mb": early / 1e6, "at_the_end_mb": late / 1e6, "peak_mb": peak_mb()}


# the comparison


@dataclass(frozen=True)
class Bench:
    """All that trains: our lanes on all cores and on one, the processes of the peers."""

    arrays: Arrays
    lanes: Lanes
    one_lane: Lanes
    pytorch: Processes  # without PyTorch they only multiply matrices
    keras: Processes
    torch: bool
    keras_architectures: int

    def peers(self) -> dict[str, Processes]:
        """Those that take part."""
        taking_part = {"pytorch": self.torch, "keras": self.keras_architectures > 0}
        return {name: getattr(self, name) for name, whether in taking_part.items() if whether}

    def warm_up(self) -> None:
        """A training by each, so that nothing is imported or compiled for the first time later on."""
        task = next(tasks(drawn(small_space(), SMALL_SEED, 1), self.arrays, 1))
        for lanes in (self.lanes, self.one_lane):
            all_of_ours(lanes, [task] * lanes.workers)
        self.pytorch.each(product_rate)
        if self.torch:
            self.pytorch.each(pytorch, task)
        if self.keras_architectures:
            self.keras.each(keras, task)

    def output_difference(self, todo: Iterable[Task]) -> float:
        """Largest difference of PyTorch's outputs from ours with the same weights, relative to the largest output."""
        worst = 0.0
        for task in todo:
            values = parameters.initial(task.layers(), task.member.seed)
            noise = 0.1 * np.random.default_rng(task.member.seed).standard_normal(values.size)
            values = (values + noise).astype(np.float32)  # a bias of zero would hide that it is in the wrong place
            own, theirs = outputs(task, values), self.pytorch.pool.submit(pytorch_outputs, task, values).result()
            worst = max(worst, float(np.abs(theirs - own).max() / np.abs(own).max()))
        if not worst < SAME:
            raise RuntimeError(
                f"outputs of PyTorch and ours differ by {worst:.1e}, above {SAME}: not the same networks"
            )
        return worst

    def measure(self, todo: Sequence[Task], repeats: int, by_keras: int) -> Draw:
        """Train a draw of architectures by all, in turns; `by_keras` of them by Keras, too, once."""
        draw = Draw([task.member.point for task in todo], todo[0].epochs)
        chunks = [todo[start : start + CHUNK] for start in range(0, len(todo), CHUNK)]
        sample = spread_sizes(draw.points, by_keras)
        # neighbours in size together, so that no core waits for long
        groups = [sample[start : start + self.keras.count] for start in range(0, len(sample), self.keras.count)]
        for repeat in range(repeats):
            for values in (draw.ours, draw.pytorch, draw.rates):
                values.append([])
            draw.walls.append(0.0)
            for number, chunk in enumerate(chunks):
                draw.rates[-1] += self.pytorch.each(product_rate)
                self._take_turns(draw, chunk, ours_first=number % 2 == 0)
                if repeat == 0:
                    draw.one_core.extend(all_of_ours(self.one_lane, chunk))
                    for group in groups[number :: len(chunks)]:
                        done = self.keras.map(keras, [todo[chosen] for chosen in group])
                        draw.keras.update(zip(group, done, strict=True))
        return draw

    def _take_turns(self, draw: Draw, chunk: Sequence[Task], ours_first: bool) -> None:
        for turn in (ours_first, not ours_first):
            started = time.perf_counter()
            if turn:
                draw.ours[-1].extend(all_of_ours(self.lanes, chunk))
                draw.walls[-1] += time.perf_counter() - started
            elif self.torch:
                draw.pytorch[-1].extend(self.pytorch.map(pytorch, chunk))


@contextmanager
def ready(arrays: Arrays, workers: int, torch: bool, keras_architectures: int) -> Iterator[Bench]:
    """Begin, and end, all that trains."""
    engine = engines.named("kernels")
    with (
        Lanes(engine, workers) as lanes,
        Lanes(engine, 1) as one_lane,
        Processes(workers, pytorch_process if torch else None) as torch_processes,
        Processes(workers, keras_process) as keras_processes,
    ):
        yield Bench(arrays, lanes, one_lane, torch_processes, keras_processes, torch, keras_architectures)


def summary(draw: Draw, compile_seconds: float, workers: int) -> dict[str, list[float]]:
    """Figures of one draw, each with its repeats."""
    flop = np.array([useful_flop(point, draw.epochs) for point in draw.points], dtype=float)
    own, rates = _seconds(draw.ours), np.array([statistics.median(rates) for rates in draw.rates])
    share = compile_seconds / SHARED_BY  # of an architecture in the compilation
    found: dict[str, Any] = {
        "core_seconds_per_architecture": own.mean(axis=1),
        "wall_seconds_times_cores": np.array(draw.walls) * workers / len(flop),
        "core_seconds_per_architecture_one_worker": _seconds([draw.one_core]).mean(axis=1),
        "useful_gflop_per_architecture": [flop.mean() / 1e9],
        "gflops_per_core": flop.sum() / own.sum(axis=1) / 1e9,
        "matmul_gflops": rates / 1e9,
        "useful_share_of_matmul_rate": flop.sum() / own.sum(axis=1) / rates,
        "mean_loss": [_loss(draw.ours[0])],
    }
    if draw.pytorch[0]:
        peer = _seconds(draw.pytorch)
        each = np.median(peer, axis=0) / (np.median(own, axis=0) + share)
        found |= {
            "ratio_pytorch_warm": peer.mean(axis=1) / (own.mean(axis=1) + share),
            "ratio_pytorch_warm_least": [each.min()],
            "ratio_pytorch_warm_most": [each.max()],
            "pytorch_core_seconds_per_architecture": peer.mean(axis=1),
            "pytorch_useful_share_of_matmul_rate": flop.sum() / peer.sum(axis=1) / rates,
            "pytorch_mean_loss": [_loss(draw.pytorch[0])],
        }
    if numbers := list(draw.keras):
        peer = _seconds([list(draw.keras.values())])
        found |= {
            "ratio_keras": peer.mean() / (own[:, numbers].mean(axis=1) + share),
            "keras_core_seconds_per_architecture": peer.mean(axis=1),
            "keras_sample_core_seconds_per_architecture": own[:, numbers].mean(axis=1),
            "keras_mean_loss": [_loss(list(draw.keras.values()))],
            "keras_sample_mean_loss": [_loss([draw.ours[0][number] for number in numbers])],
        }
    return {name: [float(value) for value in values] for name, values in found.items()}


def _seconds(done: Sequence[Sequence[Done]]) -> Array:
    return np.array([[one.seconds for one in repeat] for repeat in done])


def _loss(done: Sequence[Done]) -> float:
    return float(np.mean([one.loss for one in done]))


def compare(bench: Bench, architectures: int, epochs: int, repeats: int, compile_seconds: float) -> dict[str, Any]:
    """Figures of both draws: medians, and the repeats of what was measured more than once."""
    found: dict[str, Any] = {"repeats": {}}
    for suffix, space, seed in (("", architecture_space(), DRAW_SEED), ("_small", small_space(), SMALL_SEED)):
        CONSOLE.log(f"{architectures} architectures{suffix.replace('_', ', ')}: {epochs} epochs, {repeats} times")
        todo = list(tasks(drawn(space, seed, architectures), bench.arrays, epochs))
        if bench.torch:
            found[f"pytorch_output_difference{suffix}"] = bench.output_difference(todo)
        draw = bench.measure(todo, repeats, 0 if suffix else bench.keras_architectures)
        for name, values in summary(draw, compile_seconds, bench.lanes.workers).items():
            found[name + suffix] = statistics.median(values)
            if len(values) > 1:
                found["repeats"][name + suffix] = values
    return found


def stacked_figures(arrays: Arrays, count: int, epochs: int) -> dict[str, Any] | None:
    """`stacked` for the first architectures of the draw; none where the engine cannot run."""
    if not count or importlib.util.find_spec("jax") is None:
        return None
    CONSOLE.log(f"the stacked engine: {count} architectures, {epochs} epochs")
    todo = list(tasks(drawn(architecture_space(), DRAW_SEED, count), arrays, epochs))
    with _empty_cache("JAX_COMPILATION_CACHE_DIR"), Processes(1, stacked_process) as process:
        (found,) = process.each(stacked, todo)
    return dict(found)


def origin(torch: str | None) -> dict[str, Any]:
    """Command, date, commit, versions and machine, but neither its name nor a path in it."""
    here = {key: value for key, value in provenance.machine().items() if key != "host"}
    processor = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/population.py", *sys.argv[1:]]),
        **here,
        "packages": {**here["packages"], **provenance.versions("llvmlite"), "torch": torch},
        "processor": processor[1] if processor else None,
        "register_bits": 32 * LANES,
    }


# what is printed and written


def show(record: dict[str, Any]) -> None:
    """Print the figures: both draws side by side, growth, the rest."""
    table = Table(title="per architecture: median (range of the repeats)")
    table.add_column(overflow="fold")
    for head in ("the space", "nodes of at most 32"):
        table.add_column(head, justify="right", no_wrap=True)
    rest = {name: value for name, value in record.items() if isinstance(value, float)}
    for name in [name for name in rest if f"{name}_small" in rest]:
        table.add_row(name, *(_cell(record, key) for key in (name, f"{name}_small")))
        del rest[name], rest[f"{name}_small"]
    CONSOLE.print(table, _growth_table(record["growth"]))
    for name, value in (*rest.items(), *((name, record[name]) for name in ("memory", "peak_mb", "stacked"))):
        CONSOLE.print(f"{name}: {_cell(record, name) if name in rest else value}")


def _cell(record: dict[str, Any], name: str) -> str:
    repeats = record["repeats"].get(name)
    return f"{record[name]:.3g}" + (f" ({min(repeats):.3g}–{max(repeats):.3g})" if repeats else "")


def _growth_table(rows: Sequence[dict[str, float]]) -> Table:
    table = Table(title=f"as the population grows, {GROWTH_EPOCHS} epochs: per architecture")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.3g}" for value in row.values()))
    return table


def rounded(value: Any) -> Any:
    """Numbers of a JSON value to five digits; more are noise."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main(
    architectures: Annotated[int, typer.Option(min=1, help="architectures of each draw")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="epochs of a training")] = 20,
    repeats: Annotated[int, typer.Option(min=1, help="times that ours and PyTorch train a draw")] = 3,
    torch: Annotated[bool, typer.Option(help="compare with PyTorch")] = True,
    keras_count: Annotated[int, typer.Option("--keras", min=0, help="architectures that Keras trains")] = 8,
    stacked_count: Annotated[int, typer.Option("--stacked", min=0, help="members of the stacked engine")] = 16,
    largest: Annotated[int, typer.Option(min=1, help="largest population of the growth table")] = 256,
    memory_count: Annotated[int, typer.Option("--memory", min=1, help="architectures of the memory test")] = 2000,
    out: Annotated[Path, typer.Option(help="JSON to write")] = Path("results/bench/population.json"),
) -> None:
    """Train the same random architectures by our kernels, PyTorch and Keras; print and write what each costs."""
    if torch and not (TORCH / "torch").is_dir():
        raise typer.BadParameter(f"PyTorch is not in {TORCH}: run make bench-population, or leave it out: --no-torch")
    arrays, workers = windows(), len(os.sched_getaffinity(0))
    threadpool_limits(1)
    CONSOLE.log("kernels, compiled in a new process")
    found: dict[str, Any] = {**compilation(arrays)}
    found["stacked"] = stacked_figures(arrays, stacked_count, epochs)
    with ready(arrays, workers, torch, keras_count) as bench:
        bench.warm_up()
        found |= compare(bench, architectures, epochs, repeats, found["compile_seconds"])
        CONSOLE.log(f"populations of 1 to {largest}, {GROWTH_EPOCHS} epochs")
        found["growth"] = growth(bench.lanes, arrays, largest)
        found["peak_mb"] = {name: max(peer.each(peak_mb)) for name, peer in bench.peers().items()}
        version = bench.pytorch.each(torch_version)[0] if torch else None
    CONSOLE.log(f"memory: {memory_count} different architectures, {MEMORY_EPOCHS} epoch")
    with Processes(1) as process:
        (found["memory"],) = process.each(memory, arrays, memory_count, workers)
    found["memory_growth_mb_2000"] = found["memory"]["at_the_end_mb"] - found["memory"]["after_50_mb"]
    found["peak_mb"]["ours"] = found["memory"].pop("peak_mb")
    settings = {
        "architectures": architectures, "epochs": epochs, "repeats": repeats, "keras": keras_count,
        "memory": memory_count, "workers": workers,
    }  # fmt: skip
    record = rounded({**origin(version), "settings": settings, **found, "definitions": DEFINITIONS})
    artifacts.write_json(out, record)
    CONSOLE.log(f"done: {out}")
    show(record)


if __name__ == "__main__":
    typer.run(main)
