"""What choosing an ensemble costs: 10 of 1,000 members, greedily and by learned weights.

    .venv/bin/python benchmarks/ensembles.py [--members 1000] [--windows 412] [--repeats 3]

Made-up members forecast validation windows of 8 leads and 5 modes: 412 windows are all those of SC20's training period,
82 a fifth of them, as a search's validation block has. One thread. Core-seconds are the processor's, the least of the
repeats, since a wall clock says little on a busy machine; loops have been compiled before, once for a version of this
package. Memory is what arrays take at most beyond the forecasts themselves, traced once more in a run that is not
timed (the blocks that compiled loops work on, 4 MB, not counted). Written to results/bench/ensembles.json.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from threadpoolctl import threadpool_limits

from podnas import artifacts, provenance
from podnas.ensemble import criteria, greedy, learned
from podnas.ensemble.members import Events, Gaussians

LEADS, MODES, TAKEN = 8, 5, 10

Work = dict[str, Callable[[], greedy.Selection | learned.Learned]]


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
    spent = []
    for _ in range(repeats):
        before = time.process_time()
        made = work()
        spent.append(time.process_time() - before)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "core_seconds": round(min(spent), 3),
        "peak_mb": round(peak / 1e6),
        "members": len(made.members),
        "loss": round(made.loss, 5),
    }


def selections(members: int, windows: int) -> Work:
    """All that is timed, by name."""
    regression, occurrence = gaussians(members, windows), events(members, windows)
    return {
        "greedy, NLL": lambda: greedy.greedy(criteria.likelihood(regression), TAKEN),
        "greedy, CRPS": lambda: greedy.greedy(criteria.Crps(regression), TAKEN),
        "bagged (20), NLL": lambda: greedy.bagged(criteria.likelihood(regression), TAKEN),
        "greedy, cross-entropy": lambda: greedy.greedy(criteria.cross_entropy(occurrence), TAKEN),
        "greedy, Brier": lambda: greedy.greedy(criteria.Brier(occurrence), TAKEN),
        "learned, NLL": lambda: learned.likelihood(regression, TAKEN),
        "learned, CRPS": lambda: learned.crps(regression, TAKEN),
        "learned, cross-entropy": lambda: learned.cross_entropy(occurrence, TAKEN),
    }


def main(
    members: Annotated[int, typer.Option(min=TAKEN, help="candidates")] = 1000,
    windows: Annotated[int, typer.Option(min=2, help="validation windows")] = 412,
    repeats: Annotated[int, typer.Option(min=1, help="least time of so many")] = 3,
    out: Annotated[Path, typer.Option(help="JSON to write")] = Path("results/bench/ensembles.json"),
) -> None:
    """Time all selections, print a line of each, and write them."""
    forecasts = 2 * 8 * members * windows * LEADS * MODES / 1e6
    print(f"{members} members, {windows} windows of {LEADS * MODES}; forecasts in float64: {forecasts:.0f} MB")
    found = {}
    with threadpool_limits(1):
        for one in selections(TAKEN, 20).values():
            one()  # compiles
        for name, one in selections(members, windows).items():
            found[name] = measured(one, repeats)
            print(json.dumps({"selection": name, **found[name]}), flush=True)
    made = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/ensembles.py", *sys.argv[1:]]),
        **{key: value for key, value in provenance.machine().items() if key != "host"},
    }
    settings = {"members": members, "windows": windows, "values": LEADS * MODES, "taken": TAKEN, "repeats": repeats}
    artifacts.write_json(out, {**made, "settings": settings, "forecasts_mb": round(forecasts), "selections": found})


if __name__ == "__main__":
    typer.run(main)
