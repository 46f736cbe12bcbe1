"""Candidates for an ensemble: each point trained once for each validation block held out, with a Gaussian head.

A candidate's network k has not seen block k, nor stopped by it, so that its forecasts of that block are honest: those
of all its networks together are out-of-block forecasts of the whole training period. Windows that come later are
forecast by all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from podnas import windows
from podnas.config import WindowsConfig
from podnas.networks import apart, corrections, exact, heads, lanes, population, space
from podnas.networks.engines import Engine
from podnas.networks.lanes import Finished
from podnas.networks.population import Arrays, Job, Member, State
from podnas.networks.recipe import Recipe, network_seed
from podnas.windows import Array, Inputs, Training

Plan = dict[str, Any]  # JSON: all that decides what a network becomes
Result = dict[str, Any]  # how it was trained, its parameters and its forecasts
Report = Callable[[Plan, Mapping[str, Any]], None]

FORECASTS = ("held_mean", "held_sigma", "mean", "sigma")  # standardised: of its block, of the windows that come later
PARAMETERS = "parameters"


def plans(
    points: Sequence[Mapping[str, Any]], recipe: Recipe, seed: int, data: Training, identity: Mapping[str, Any]
) -> list[Plan]:
    """All networks, candidate by candidate, each with its blocks in turn; points: rows with trial and point."""
    blocks, content = recipe.windows.validation_blocks, windows.content_hash(data)
    return [
        {
            "candidate": number,
            "block": block,
            "trial": row["trial"],
            "point": dict(row["point"]),
            "seed": network_seed(seed, number * blocks + block),
            "recipe": _own(recipe, row["point"]).record(),
            "data": content,
            **identity,
        }
        for number, row in enumerate(points)
        for block in range(blocks)
    ]


def _own(recipe: Recipe, point: Mapping[str, Any]) -> Recipe:
    """The recipe with the settings of training that the point holds."""
    return Recipe(space.settings(point, recipe.settings), recipe.windows, recipe.epochs, recipe.keep_best)


def train(
    plan: Sequence[Plan],
    data: Training,
    later: Inputs,
    folder: Path,
    engine: Engine,
    workers: int,
    report: Report,
) -> list[Result]:
    """Train all networks and make their forecasts; what a killed run has finished is kept in `folder`.

    Raises ArithmeticError when a training diverges.
    """

    @cache
    def arrays(block: int, output_scale: float) -> Arrays:
        recipe = next(one for one in map(_recipe, plan) if one.settings.output_scale == output_scale)
        return population.arrays(corrections.fold(data, recipe, block), recipe)

    def begin(number: int) -> Job:
        one, recipe = plan[number], _recipe(plan[number])
        member = Member(space.architecture(one["point"]), one["seed"], recipe.settings)
        return population.job(member, arrays(one["block"], recipe.settings.output_scale), recipe)

    made = {number: found for number, one in enumerate(plan) if (found := _finished(folder, one)) is not None}
    missing = [number for number in range(len(plan)) if number not in made]
    for done in lanes.finished(engine, workers, missing, begin):
        made[done.key] = _keep(folder, plan[done.key], done, data, later)
        report(plan[done.key], made[done.key])
    return [made[number] for number in range(len(plan))]


def _recipe(one: Plan) -> Recipe:
    return Recipe.of(one["recipe"])


def path(folder: Path, one: Plan) -> Path:
    """The file of a network: parameters in Keras's layout and forecasts, with the plan that they belong to."""
    return folder / f"candidate_{one['candidate']:03d}_{one['block']:02d}.npz"


def _finished(folder: Path, one: Plan) -> Result | None:
    if not path(folder, one).exists():
        return None
    record, arrays = apart.kept(path(folder, one))
    return {**record["trained"], **arrays} if record["plan"] == one else None


def _keep(folder: Path, one: Plan, done: Finished, data: Training, later: Inputs) -> Result:
    if done.state.error is not None:
        raise ArithmeticError(f"{path(folder, one).stem}: {done.state.error}")
    recipe = _recipe(one)
    modes = data.targets.shape[2]
    trained = {
        "validation_nll": done.state.validation_nll(),
        "validation_r2": done.state.validation_r2(),
        "parameters_count": space.parameter_count(
            one["point"], modes + 4 * recipe.windows.harmonics, modes * heads.columns(recipe.settings)
        ),
        "seconds": round(done.state.seconds, 2),
    }
    made = _forecasts(done.job, done.state, data, later, recipe, one["block"])
    arrays = {**made, PARAMETERS: done.state.chosen()}
    apart.keep(path(folder, one), {"plan": one, "trained": trained}, arrays)
    return {**trained, **arrays}


def _forecasts(job: Job, state: State, data: Training, later: Inputs, recipe: Recipe, block: int) -> dict[str, Array]:
    correction = corrections.of_block(data, recipe, block)
    held = windows.fold(data, recipe.windows, block).validate.inputs
    trained = replace(job, state=replace(state, parameters=state.chosen()))

    def outputs(seen: Inputs) -> Array:
        return exact.forecast(trained, np.ascontiguousarray(windows.channels(seen, recipe.windows)))

    pairs = [corrections.as_gaussian(outputs, inputs, recipe, correction) for inputs in (held, later)]
    return {name: part.astype(np.float32) for name, part in zip(FORECASTS, (*pairs[0], *pairs[1]), strict=True)}


def held_windows(data: Training, config: WindowsConfig) -> tuple[Array, Array]:
    """Start of the last input week, and number of the block, of all windows that are held out: each (n,)."""
    times = [one.validate.inputs.init_time for one in windows.folds(data, config)]
    block = np.concatenate([np.full(len(some), number) for number, some in enumerate(times)])
    return np.concatenate(times), block


def catalogue(plan: Sequence[Plan], results: Sequence[Result], names: Sequence[str]) -> dict[str, Any]:
    """The networks as JSON: of each candidate its point and what its networks, one a block, are like."""
    listed: list[dict[str, Any]] = [{"name": name, "networks": []} for name in names]
    for one, result in zip(plan, results, strict=True):
        of_candidate = listed[one["candidate"]]
        of_candidate |= {key: one[key] for key in ("trial", "point", "recipe")}
        told = {key: value for key, value in result.items() if not isinstance(value, np.ndarray)}
        of_candidate["networks"].append({"file": path(Path(), one).name, "block": one["block"], **told})
    return {"candidates": listed}


def stacked(plan: Sequence[Plan], results: Sequence[Result]) -> dict[str, Array]:
    """The forecasts of all candidates, FORECASTS: (candidates, n, leads, modes), (candidates, networks, m, …)."""
    count = 1 + max(one["candidate"] for one in plan)
    each: list[list[Result]] = [[] for _ in range(count)]
    for one, result in zip(plan, results, strict=True):
        each[one["candidate"]].append(result)
    held = {name: np.stack([np.concatenate([one[name] for one in own]) for own in each]) for name in FORECASTS[:2]}
    after = {name: np.stack([np.stack([one[name] for one in own]) for own in each]) for name in FORECASTS[2:]}
    return {**held, **after}
