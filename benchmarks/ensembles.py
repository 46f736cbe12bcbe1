"""What choosing an ensemble costs: 10 of 1,000 members, greedily and by learned weights.

    .venv/bin/python benchmarks/ensembles.py [--members 1000] [--windows 412] [--repeats 3]

Made-up members forecast validation windows of 8 leads and 5 modes: 412 windows are all those of SC20's training period,
82 a fifth of them, as a search's validation block has. One thread. Times are the least of the repeats; core-seconds are
the processor's, which say more on a busy machine. Memory is what Python's arrays take beyond the forecasts themselves,
traced once more in a run that is not timed.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer
from threadpoolctl import threadpool_limits

from podnas.ensemble import criteria, greedy, learned
from podnas.ensemble.members import Events, Gaussians

LEADS, MODES, TAKEN = 8, 5, 10


def gaussians(members: int, windows: int) -> Gaussians:
    """Truth, and members that know it but for errors of their own and errors that all share."""
    random = np.random.default_rng(0)
    truth, shared = random.normal(size=(2, windows, LEADS, MODES))
    skill = random.uniform(0.2, 0.6, members)
    means = [truth + 0.3 * shared + size * random.normal(size=truth.shape) for size in skill]
    sigmas = [random.uniform(0.5, 1.5) * np.full(truth.shape, np.hypot(0.3, size)) for size in skill]
    return Gaussians([f"trial {number}" for number in range(members)], means, sigmas, truth)


def events(members: int, windows: int) -> Events:
    """An event by lead of one window in three, and members that know its logit but for errors."""
    random = np.random.default_rng(0)
    logit = random.normal(-1, 2, size=(windows, LEADS))
    outcome = (random.uniform(size=logit.shape) < 1 / (1 + np.exp(-logit))).astype(int)
    logits = [logit + random.uniform(1, 3) * random.normal(size=logit.shape) for _ in range(members)]
    return Events([f"trial {number}" for number in range(members)], logits, outcome)


def measured(work: Callable[[], greedy.Selection | learned.Learned], repeats: int) -> dict[str, float]:
    seconds, spent = [], []
    for _ in range(repeats):
        started, before = time.perf_counter(), time.process_time()
        made = work()
        seconds.append(time.perf_counter() - started)
        spent.append(time.process_time() - before)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "seconds": round(min(seconds), 3),
        "core_seconds": round(min(spent), 3),
        "most_seconds": round(max(seconds), 3),
        "peak_mb": round(peak / 1e6),
        "members": len(made.members),
        "loss": round(made.loss, 5),
    }


def main(
    members: Annotated[int, typer.Option(help="candidates")] = 1000,
    windows: Annotated[int, typer.Option(help="validation windows")] = 412,
    repeats: Annotated[int, typer.Option(help="least time of so many")] = 3,
) -> None:
    regression, occurrence = gaussians(members, windows), events(members, windows)
    points = regression.truth.size
    forecasts = 2 * 8 * members * points / 1e6
    print(f"{members} members, {windows} windows, {points} points; their forecasts in float64: {forecasts:.0f} MB")
    work: dict[str, Callable[[], greedy.Selection | learned.Learned]] = {
        "greedy, NLL": lambda: greedy.greedy(criteria.likelihood(regression), TAKEN),
        "greedy, CRPS": lambda: greedy.greedy(criteria.Crps(regression), TAKEN),
        "bagged (20), NLL": lambda: greedy.bagged(criteria.likelihood(regression), TAKEN),
        "greedy, cross-entropy": lambda: greedy.greedy(criteria.cross_entropy(occurrence), TAKEN),
        "greedy, Brier": lambda: greedy.greedy(criteria.Brier(occurrence), TAKEN),
        "learned, NLL": lambda: learned.likelihood(regression, TAKEN),
        "learned, CRPS": lambda: learned.crps(regression, TAKEN),
        "learned, cross-entropy": lambda: learned.cross_entropy(occurrence, TAKEN),
    }
    with threadpool_limits(1):
        for name, one in work.items():
            print(json.dumps({"selection": name, **measured(one, repeats)}), flush=True)


if __name__ == "__main__":
    typer.run(main)
