"""Networks trained by a plan of a study, each once: a killed study keeps those that it has finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from podnas.networks import checkpoint
from podnas.networks.engines import Engine
from podnas.networks.lanes import Lanes
from podnas.networks.population import Job, State

Plan = dict[str, Any]  # JSON: all that decides what a network becomes
Report = Callable[[Plan, State], None]


def train(
    planned: Sequence[Plan],
    begin: Callable[[Plan], Job],
    path: Callable[[Plan], Path],
    engine: Engine,
    workers: int,
    report: Report,
) -> list[State]:
    """Train all networks; those that an earlier, killed run finished for the same plan are kept at their `path`.

    Raises ArithmeticError when a training diverges.
    """
    states: dict[int, State] = {}
    with Lanes(engine, workers) as lanes:
        for number, plan in enumerate(planned):
            kept = _finished(path(plan), plan)
            if kept is None:
                lanes.submit(number, begin(plan))
            else:
                states[number] = kept
        while len(states) < len(planned):
            done = lanes.finished()
            plan = planned[done.key]
            if done.state.error is not None:
                raise ArithmeticError(
                    f"{path(plan).stem}: {done.state.error}; a study compares all of its networks: lower "
                    "training.learning_rate or set training.clip_norm"
                )
            checkpoint.save(path(plan), plan, done.state)
            states[done.key] = done.state
            report(plan, done.state)
    return [states[number] for number in range(len(planned))]


def _finished(path: Path, plan: Plan) -> State | None:
    if not path.exists():
        return None
    record, state = checkpoint.load(path)
    return state if record == plan else None
