"""Thousands of different architectures on a GPU: how long 10,000 take, and what it costs as the population grows.

    .venv/bin/python benchmarks/population_gpu.py

Random architectures of the SC20 space learn from 384 random windows of 8 weeks and 5 modes, 20 epochs of batches of 64,
in the stacked engine. JAX must see the GPU: it needs the CUDA plugin of its version beside it (pip install
"jax[cuda13]" with the version of requirements.lock). Writes a JSON and, beside it, a figure of the same name. Without a
GPU it runs only a small number (--architectures 8 --largest 16 --epochs 1), to see that it does.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from podnas import artifacts, provenance
from podnas.config import TrainingConfig
from podnas.figures import style
from podnas.networks import engines, population
from podnas.networks.population import Arrays, Job, Member, State
from podnas.networks.recipe import network_seed
from podnas.networks.space import architecture_space
from podnas.search import points

WINDOWS, HELD, STEPS, CHANNELS, MODES = 384, 64, 8, 5, 5
SETTINGS = TrainingConfig(batch_size=64)
SMALLEST = 16
TARGET_ARCHITECTURES, TARGET_SECONDS, TARGET_DEVICE = 10_000, 600, "H200"
MOST_ON_CPU = 512  # architectures; a core needs seconds for each
CONSOLE = Console(log_path=False)

DEFINITIONS = {
    "compile_seconds": "of many: first training of one epoch minus the second, for each size of its populations; "
    "little where an earlier run left the programs in the cache on disk",
    "many": "seconds of the wall clock from points of the space to trained states with their validation R2, initial "
    "weights and transfers included, compilation apart; engine_seconds is the engine's part; best_r2 of noise",
    "growth": "the first architectures as one population: seconds of the engine, initial weights and compilation apart",
}


def windows() -> Arrays:
    """Random windows, as many as in a search: time does not depend on the numbers in them."""
    random = np.random.default_rng(0)
    fit, held = (
        [scale * random.standard_normal((count, STEPS, last)) for last, scale in ((CHANNELS, 1), (MODES, 0.3))]
        for count in (WINDOWS, HELD)
    )
    return Arrays(*(array.astype(np.float32) for array in (*fit, *held)))


def jobs(numbers: Sequence[int], arrays: Arrays, epochs: int) -> list[Job]:
    """The trainings of these architectures of a random search, with the seeds that it would give them."""
    space = architecture_space()
    members = [Member(points.sample(space, points.stream(0, n)), network_seed(0, n), SETTINGS) for n in numbers]
    return [Job(member, population.start(member, arrays), arrays, epochs, keep_best=False) for member in members]


def train(todo: Sequence[Job]) -> tuple[list[State], float]:
    """States and seconds of the stacked engine."""
    states, seconds = engines.advance(engines.named("stacked"), todo)
    if failed := [state.error for state in states if state.error is not None]:
        raise RuntimeError(f"{len(failed)} of {len(states)} members failed, the first: {failed[0]}")
    return states, seconds


def compile_for(todo: Sequence[Job]) -> float:
    """Compile what a population of that size needs; seconds that it took."""
    short = [replace(job, epochs=1) for job in todo]
    first, second = (train(short)[1] for _ in range(2))
    return max(0.0, first - second)


def growth(prepared: Sequence[Job]) -> Iterator[dict[str, float]]:
    """Cost of the first 16, 32, … of the trainings."""
    for size in (2**power for power in range(SMALLEST.bit_length() - 1, len(prepared).bit_length())):
        compile_seconds = compile_for(prepared[:size])
        seconds = train(prepared[:size])[1]
        row = {
            "population": size,
            "seconds": seconds,
            "architectures_per_second": size / seconds,
            "compile_seconds": compile_seconds,
        }
        CONSOLE.log(", ".join(f"{name} {value:.4g}" for name, value in row.items()))
        yield row


def many(chunks: Sequence[range], arrays: Arrays, epochs: int) -> dict[str, float]:
    """Train all these architectures; while the device trains some, the initial weights of the next are drawn."""
    best, in_engine = -np.inf, 0.0
    started = time.perf_counter()
    with ThreadPoolExecutor(1) as device:
        under_way = device.submit(train, jobs(chunks[0], arrays, epochs))
        for chunk, after in zip(chunks, [*chunks[1:], range(0)], strict=True):
            following = jobs(after, arrays, epochs)
            states, seconds = under_way.result()
            under_way = device.submit(train, following)
            in_engine += seconds
            best = max(best, *(state.held_r2 for state in states))
            CONSOLE.log(f"{chunk.stop} of {chunks[-1].stop} after {time.perf_counter() - started:.1f} s")
    seconds = time.perf_counter() - started
    return {
        "architectures": chunks[-1].stop,
        "seconds": seconds,
        "engine_seconds": in_engine,
        "architectures_per_second": chunks[-1].stop / seconds,
        "best_r2": float(best),
    }


def origin() -> dict[str, Any]:
    """Command, date, commit, versions and machine, but neither its name nor a path in it."""
    here = {key: value for key, value in provenance.machine().items() if key != "host"}
    device = jax.devices()[0]
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/population_gpu.py", *sys.argv[1:]]),
        **here,
        "packages": {**here["packages"], **provenance.versions("jax", "jaxlib")},
        "device": {"platform": device.platform, "kind": device.device_kind},
    }


def figure(record: dict[str, Any]) -> Figure:
    """Architectures a second against the size of the population."""
    device, rows = record["device"], record["growth"]
    made = Figure(figsize=(style.WIDTH_INCHES / 2, 2.6), dpi=style.DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(made)
    axes = made.subplots()
    sizes, rates = ([row[key] for row in rows] for key in ("population", "architectures_per_second"))
    axes.plot(sizes, rates, color=style.BLUE, marker="o")
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 1.1 * max(rates))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.grid(visible=True)
    axes.set_xlabel("architectures trained together")
    axes.set_ylabel("architectures / s")
    axes.set_title(f"{record['epochs']} epochs of {WINDOWS} windows, on {device['kind']} ({device['platform']})")
    return made


@style.journal
def save(record: dict[str, Any], path: Path) -> None:
    """Write the figure as PNG, whole or not at all."""
    with artifacts.replacing(path) as temporary:
        figure(record).savefig(temporary, dpi=style.DOTS_PER_INCH, format="png", metadata={"Software": "podnas"})


def verdict(record: dict[str, Any]) -> str:
    """What was measured, on which device, and whether that is the target."""
    device, found = record["device"], record["many"]
    text = (
        f"{found['architectures']} architectures, {record['epochs']} epochs: {found['seconds']:.1f} s, "
        f"{found['architectures_per_second']:.3g} architectures/s, on {device['kind']} ({device['platform']})"
    )
    if device["platform"] == "cpu":
        return f"{text}; no GPU: this says nothing about the target"
    if found["architectures"] < TARGET_ARCHITECTURES or TARGET_DEVICE not in device["kind"]:
        return text
    return f"{text}; target {TARGET_SECONDS} s: {'met' if found['seconds'] < TARGET_SECONDS else 'missed'}"


def main(
    architectures: Annotated[int, typer.Option(min=1, help="architectures to train")] = TARGET_ARCHITECTURES,
    largest: Annotated[int, typer.Option(min=SMALLEST, help="largest population of the figure")] = 4096,
    epochs: Annotated[int, typer.Option(min=1, help="epochs of a training")] = 20,
    out: Annotated[Path, typer.Option(help="JSON to write; the figure goes beside it")] = Path(
        "results/bench/population_gpu.json"
    ),
) -> None:
    """Train random architectures in the stacked engine; print and write what they cost, draw the growth."""
    record = origin()
    device = record["device"]
    CONSOLE.log(f"JAX runs on {device['kind']} ({device['platform']})")
    if device["platform"] == "cpu" and max(architectures, largest) > MOST_ON_CPU:
        raise typer.BadParameter(
            f"JAX sees no GPU, and {max(architectures, largest)} architectures would take a CPU hours; install JAX's "
            f"CUDA plugin, or give --architectures and --largest of at most {MOST_ON_CPU}"
        )
    arrays = windows()
    together = engines.named("stacked").together
    chunks = [range(start, min(start + together, architectures)) for start in range(0, architectures, together)]
    prepared = jobs(range(max(largest, len(chunks[0]))), arrays, epochs)
    record |= {
        "epochs": epochs,
        "compile_seconds": sum(compile_for(prepared[:size]) for size in {len(chunk) for chunk in chunks}),
        "many": many(chunks, arrays, epochs),
        "growth": [],
        "definitions": DEFINITIONS,
    }
    CONSOLE.log(verdict(record))
    for row in growth(prepared[:largest]):
        record["growth"].append(row)
        # row by row: time on a GPU machine may run out
        artifacts.write_json(out, record)
        save(record, out.with_suffix(".png"))
    CONSOLE.log(f"written: {out}, {out.with_suffix('.png')}")


if __name__ == "__main__":
    typer.run(main)
