"""Trains every architecture of a part of the SC20 space once: benchmarks/sc20_table.parquet, with learning curves.

    python benchmarks/sc20_table.py

Five nodes, each identity or an LSTM of 16, 48 or 96 units, times one switch (no skip at all, or each merge's nearest
one): 4⁵ · 2 = 2,048 architectures, row by row in that order of digits, the switch last. Each is trained as rule
`search` trains a trial of the default experiment's short protocol (its windows, validation block and recipe), its
weights and batches from a seed of its own. Columns: `r2_01` … `r2_30`, validation r2_mean after each epoch (NaN after
a divergence); `parameters`; `seconds`, processor time of a training: 30 times that of one epoch, measured afterwards in
one thread.

Without skips the place of an identity does not matter, so those 1,024 rows hold 364 different networks: rows of equal
networks differ by their seeds alone. With skips an identity node doubles what is positive and drops the rest.

Takes about 20 minutes on two cores; a run that was stopped goes on. What it was made with stands in the file's
metadata (key `podnas`).
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
import yaml

from podnas import artifacts, provenance, windows
from podnas.config import ExperimentConfig
from podnas.networks import engines, population
from podnas.networks.population import Arrays, Job, Member
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.space import IDENTITY, NODES, Point, parameter_count, skips
from podnas.progress import Progress

TABLE = Path(__file__).with_name("sc20_table.parquet")
CHOICES = (IDENTITY, "16", "48", "96")
SWITCH = ("none", "nearest")
SEED = 0
PROTOCOL = "short"


def digits() -> Iterator[tuple[int, ...]]:
    """Choice of each node, then of the switch, of every row."""
    return itertools.product(*[range(len(CHOICES))] * NODES, range(len(SWITCH)))


def architecture(row: tuple[int, ...]) -> Point:
    """The point of the SC20 space that a row stands for."""
    *nodes, switch = row
    chosen = {f"node_{node}": CHOICES[digit] for node, digit in enumerate(nodes, start=1)}
    # the nearest anchor of merge n is the merge before it
    return {**chosen, **{f"skip_{node}_{anchor}": int(switch and anchor == node - 1) for node, anchor in skips()}}


def curve(job: Job) -> list[float]:
    """Validation r2_mean after each epoch, up to a divergence; two calls of an epoch equal one of two."""
    engine, values = engines.named("kernels"), []
    for epoch in range(1, job.epochs + 1):
        (state,), _ = engines.advance(engine, [replace(job, epochs=epoch)])
        if state.error is not None:
            break
        job = replace(job, state=state)
        values.append(state.held_r2)
    return values


def training_seconds(arrays: Arrays, recipe: Recipe) -> list[float]:
    """Processor seconds of each row's training; those of the clock would depend on what else the machine does."""
    engine = engines.named("kernels")

    def epoch(number: int, row: tuple[int, ...]) -> float:
        one = replace(job(number, row, arrays, recipe), epochs=1)
        started = time.thread_time()
        engines.advance(engine, [one])
        return time.thread_time() - started

    numbered = list(enumerate(digits()))
    epoch(*numbered[-1])  # compiles, and makes room for the largest
    return [recipe.epochs * epoch(number, row) for number, row in numbered]


class Rows:
    """Finished rows as JSON lines under a header. Raises ValueError where they are of another recipe."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if not lines:
            path.write_text(json.dumps(header) + "\n", encoding="utf-8")
        elif json.loads(lines[0]) != header:
            raise ValueError(f"{path} was begun with other data or settings; move it away to begin anew")
        self.known = {row["number"]: row for row in map(json.loads, lines[1:])}

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        self.known[row["number"]] = row


def job(number: int, row: tuple[int, ...], arrays: Arrays, recipe: Recipe) -> Job:
    """The whole training of a row's architecture."""
    member = Member(architecture(row), network_seed(SEED, number), recipe.settings)
    return population.job(member, arrays, recipe)


def train(rows: Rows, arrays: Arrays, recipe: Recipe, workers: int) -> None:
    """Train the architectures that have no row yet."""
    numbered = list(enumerate(digits()))
    progress = Progress("SC20 table", len(numbered))

    def one(number: int, row: tuple[int, ...]) -> dict[str, Any]:
        return {"number": number, "r2": curve(job(number, row, arrays, recipe))}

    with ThreadPoolExecutor(workers) as pool:
        todo = [(number, row) for number, row in numbered if number not in rows.known]
        for _ in range(len(rows.known)):
            progress.step("known", kept=True, shown=False)
        for row in pool.map(lambda pair: one(*pair), todo):
            rows.add(row)
            text = f"row {row['number']}: r2_mean {row['r2'][-1] if row['r2'] else float('nan'):.3f}"
            progress.step(text, kept=False, shown=row["number"] % 64 == 63)


def table(
    rows: Iterable[Mapping[str, Any]], seconds: Sequence[float], epochs: int, channels: int, modes: int
) -> pd.DataFrame:
    """Rows in the order of their numbers."""
    ordered = sorted(rows, key=lambda row: row["number"])
    curves = np.full((len(ordered), epochs), np.nan, np.float32)
    for values, row in zip(curves, ordered, strict=True):
        values[: len(row["r2"])] = row["r2"]
    columns = {f"r2_{epoch + 1:02d}": curves[:, epoch] for epoch in range(epochs)}
    counts = [parameter_count(architecture(row), channels, modes) for row in digits()]
    last = {"parameters": np.array(counts, np.int32), "seconds": np.array(seconds, np.float32)}
    return pd.DataFrame({**columns, **last})


def write(path: Path, data: pd.DataFrame, made: Mapping[str, Any]) -> None:
    """Write Parquet; bytes of equal weight lie together, which floats are compressed best by."""
    arrow = pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata({"podnas": json.dumps(made)})
    floats = [column.name for column in arrow.schema if pa.types.is_floating(column.type)]
    layout: dict[str, Any] = {"use_dictionary": False, "use_byte_stream_split": floats}
    with artifacts.replacing(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd", compression_level=19, **layout)


def main(
    train_windows: Annotated[Path, typer.Option(help="training windows that the default experiment has made")] = Path(
        "results/sst/windows/short/train.nc"
    ),
    rows: Annotated[Path, typer.Option(help="finished rows, to go on from")] = Path("results/bench-cache/sc20.jsonl"),
    out: Annotated[Path, typer.Option(help="where the table goes")] = TABLE,
    workers: Annotated[int, typer.Option(help="cores")] = len(os.sched_getaffinity(0)),
) -> None:
    """Train what is missing, then write the table."""
    config = ExperimentConfig.model_validate(yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8")))
    if not train_windows.exists():
        raise typer.BadParameter(f"{train_windows} does not exist; make it with: snakemake --cores 2 {train_windows}")
    data = windows.training(artifacts.read_windows(train_windows, artifacts.TRAINING))
    recipe = Recipe(config.training, config.windows, config.search.epochs, keep_best=False)
    held = windows.fold(data, config.windows, block=-1)
    header = {"seed": SEED, "protocol": PROTOCOL, **recipe.record(), "data": windows.content_hash(data)}
    known = Rows(rows, header)
    arrays = population.arrays(held, recipe)
    train(known, arrays, recipe, workers)
    seconds = training_seconds(arrays, recipe)
    modes = data.targets.shape[2]
    made = {
        **header,
        "node": CHOICES,
        "switch": SWITCH,
        "engine": "kernels",
        "command": "python benchmarks/sc20_table.py",
        **provenance.machine(),
    }
    write(out, table(known.known.values(), seconds, recipe.epochs, modes + 4 * config.windows.harmonics, modes), made)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    typer.run(main)
