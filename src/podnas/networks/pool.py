"""Networks for a mixture: each architecture trained without each block of the training period in turn.

Of the same architecture the networks of all blocks forecast other weeks together; each of its own block. The last epoch
is kept, so that these held-out forecasts owe their block nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from podnas import windows
from podnas.config import WindowsConfig
from podnas.networks import corrections, exact, heads, planned, population, space
from podnas.networks.corrections import Correction
from podnas.networks.engines import Engine
from podnas.networks.planned import Plan, Report
from podnas.networks.population import Job, Member, State
from podnas.networks.recipe import Recipe, network_seed
from podnas.windows import Array, Inputs, Training


@dataclass(frozen=True)
class Candidate:
    """Gaussian forecasts of one architecture, standardised."""

    name: str
    held: heads.Pair  # of the windows of all blocks, one after the other, each (n, leads, modes)
    made: list[heads.Pair]  # of other windows, by the network of each block


def plans(points: Sequence[Mapping[str, Any]], recipe: Recipe, seed: int, identity: Mapping[str, Any]) -> list[Plan]:
    """All networks, architecture by architecture; points: rows with trial (its number) and point."""
    blocks = recipe.windows.validation_blocks
    return [
        {
            "trial": row["trial"],
            "block": block,
            "point": dict(row["point"]),
            "seed": network_seed(seed, number * blocks + block),
            "recipe": replace(recipe, settings=space.settings(row["point"], recipe.settings)).record(),
            **identity,
        }
        for number, row in enumerate(points)
        for block in range(blocks)
    ]


def candidates(
    plan: Sequence[Plan], whole: Training, inputs: Inputs, folder: Path, engine: Engine, workers: int, report: Report
) -> list[Candidate]:
    """Train all networks and let them forecast; those that a killed run has finished are kept in `folder`.

    Raises ArithmeticError where a training diverges.
    """

    @cache
    def held(block: int) -> tuple[windows.Fold, Correction | None]:
        return (
            windows.fold(whole, Recipe.of(plan[0]["recipe"]).windows, block),
            corrections.of_block(whole, Recipe.of(plan[0]["recipe"]), block),
        )

    @cache
    def job(number: int) -> Job:
        one, recipe = plan[number], Recipe.of(plan[number]["recipe"])
        fold, correction = held(one["block"])
        seen = fold if correction is None else windows.Fold(*map(correction.remove, (fold.fit, fold.validate)))
        member = Member(space.architecture(one["point"]), one["seed"], recipe.settings)
        return population.job(member, population.arrays(seen, recipe), recipe)

    def path(one: Plan) -> Path:
        return folder / f"trial_{one['trial']:03d}_block_{one['block']}.npz"

    numbers = {path(one): number for number, one in enumerate(plan)}
    states = planned.train(plan, lambda one: job(numbers[path(one)]), path, engine, workers, report)
    found = []
    for trial in dict.fromkeys(one["trial"] for one in plan):
        mine = [number for number, one in enumerate(plan) if one["trial"] == trial]
        parts, made = [], []
        for number in mine:
            fold, correction = held(plan[number]["block"])
            window = Recipe.of(plan[number]["recipe"]).windows
            own, others = (
                forecast(job(number), states[number], data, window, correction)
                for data in (fold.validate.inputs, inputs)
            )
            parts.append(own)
            made.append(others)
        means, sigmas = zip(*parts, strict=True)
        found.append(Candidate(f"network {trial}", (np.concatenate(means), np.concatenate(sigmas)), made))
    return found


def forecast(
    job: Job, state: State, inputs: Inputs, window: WindowsConfig, correction: Correction | None
) -> heads.Pair:
    """Standardised means and sigmas (n, leads, modes) by a network that a job has trained to a state."""
    seen = inputs if correction is None else correction.anomalies(inputs)
    trained = replace(job, state=replace(state, parameters=state.chosen()))
    output: Array = exact.forecast(trained, np.ascontiguousarray(windows.channels(seen, window)))
    mean, sigma = heads.gaussian(output, job.member.settings)
    return (mean, sigma) if correction is None else (correction.add(mean, inputs), sigma * correction.scale)
