"""Candidates for an ensemble: each point trained once for each validation block held out, with a Gaussian head.

A candidate's network k has not seen block k, nor stopped by it, so that its forecasts of that block are honest: those
of all its networks together are out-of-block forecasts of the whole training period. Windows that come later are
forecast by all of them. A candidate of which a network diverged is left out, with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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

LEAST = 2  # candidates, for an ensemble
FORECASTS = ("held_mean", "held_sigma", "mean", "sigma")  # standardised: of its block, of the windows that come later
PARAMETERS, ERROR = "parameters", "error"


@dataclass(frozen=True)
class Trained:
    """The networks of all candidates of which every network was trained, and why the others were left out."""

    plan: Sequence[Plan]
    results: Sequence[Result]
    left_out: Sequence[Mapping[str, Any]]  # candidate, block, trial and reason of each network that diverged

    @property
    def candidates(self) -> list[int]:
        """Numbers of the candidates that are there."""
        return sorted({one["candidate"] for one in self.plan})


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
) -> Trained:
    """Train all networks and make their forecasts; what a killed run has finished is kept in `folder`.

    A candidate of which a network diverges is left out. Raises ArithmeticError when fewer than two are left, and
    RuntimeError when a network fails otherwise.
    """

    @cache
    def arrays(block: int, output_scale: float) -> Arrays:
        recipe = next(one for one in map(_recipe, plan) if one.settings.output_scale == output_scale)
        return population.arrays(corrections.fold(data, recipe, block), recipe)

    def begin(number: int) -> Job:
        one, recipe = plan[number], _recipe(plan[number])
        member = Member(space.architecture(one["point"]), one["seed"], recipe.settings)
        return population.job(member, arrays(one["block"], recipe.settings.output_scale), recipe)

    ahead = _hash(later)
    made = {number: found for number, one in enumerate(plan) if (found := _finished(folder, one, ahead)) is not None}
    missing = [number for number in range(len(plan)) if number not in made]
    for done in lanes.finished(engine, workers, missing, begin):
        made[done.key] = _keep(folder, plan[done.key], done, data, later)
        report(plan[done.key], made[done.key])
    return _whole(plan, [made[number] for number in range(len(plan))])


def _whole(plan: Sequence[Plan], results: Sequence[Result]) -> Trained:
    """The candidates that are whole; raises ArithmeticError for fewer than two."""
    every = list(zip(plan, results, strict=True))
    left_out = [
        {**{key: one[key] for key in ("candidate", "block", "trial")}, "reason": result[ERROR]}
        for one, result in every
        if ERROR in result
    ]
    lost = {one["candidate"] for one in left_out}
    left = [(one, result) for one, result in every if one["candidate"] not in lost]
    found = Trained([one for one, _ in left], [result for _, result in left], left_out)
    if lost and len(found.candidates) < LEAST:
        raise ArithmeticError(
            f"{len(found.candidates)} of {len(found.candidates) + len(lost)} candidates are left, and an ensemble has "
            f"at least {LEAST}; {_line(left_out[0])}. Lower training.learning_rate, or its range in "
            "search.hyperparameters, or set training.clip_norm"
        )
    return found


def _line(one: Mapping[str, Any]) -> str:
    return f"candidate {one['candidate']} (trial {one['trial']}), block {one['block']}: {one['reason']}"


def _recipe(one: Plan) -> Recipe:
    return Recipe.of(one["recipe"])


def path(folder: Path, one: Plan) -> Path:
    """The file of a network: parameters in Keras's layout and forecasts, with the plan that they belong to."""
    return folder / f"{name(one['candidate'])}_{one['block']:02d}.npz"


def _finished(folder: Path, one: Plan, ahead: str) -> Result | None:
    """A network of the same plan that has forecast the same windows."""
    if not path(folder, one).exists():
        return None
    record, arrays = apart.kept(path(folder, one))
    same = record["plan"] == one and record.get("later") == ahead
    return {**record["trained"], **arrays} if same else None


def _hash(inputs: Inputs) -> str:
    values = np.ascontiguousarray(inputs.values).tobytes()
    return hashlib.sha256(values + np.ascontiguousarray(inputs.centres).tobytes()).hexdigest()[:16]


def _keep(folder: Path, one: Plan, done: Finished, data: Training, later: Inputs) -> Result:
    error = done.state.error
    if error is not None and error.startswith(population.DIVERGED):
        return {ERROR: error}
    if error is not None:  # of the machine, not of the network: another run may not have it
        raise RuntimeError(f"{path(folder, one).stem}: {error}; start again, finished networks are kept")
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
    apart.keep(path(folder, one), {"plan": one, "trained": trained, "later": _hash(later)}, arrays)
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


def told(one: Plan, result: Mapping[str, Any]) -> str:
    """A finished network in a line."""
    found = f"left out, {result[ERROR]}" if ERROR in result else f"validation NLL {result['validation_nll']:.3f}"
    return f"{one['candidate']}, block {one['block']}: {found}"


def catalogue(trained: Trained) -> dict[str, Any]:
    """As JSON: of each candidate its point and what its networks, one a block, are like; who is not there."""
    listed: dict[int, dict[str, Any]] = {one: {"name": name(one), "networks": []} for one in trained.candidates}
    for one, result in zip(trained.plan, trained.results, strict=True):
        of_candidate = listed[one["candidate"]]
        of_candidate |= {key: one[key] for key in ("trial", "point", "recipe")}
        about = {key: value for key, value in result.items() if not isinstance(value, np.ndarray)}
        of_candidate["networks"].append({"file": path(Path(), one).name, "block": one["block"], **about})
    return {"candidates": list(listed.values()), "left_out": list(trained.left_out)}


def name(number: int) -> str:
    """Of a candidate, as files and tables have it."""
    return f"candidate_{number:03d}"


def stacked(plan: Sequence[Plan], results: Sequence[Result]) -> dict[str, Array]:
    """The forecasts of all candidates, FORECASTS: (candidates, n, leads, modes), (candidates, networks, m, …)."""
    each: dict[int, list[Result]] = {}
    for one, result in zip(plan, results, strict=True):
        each.setdefault(one["candidate"], []).append(result)
    every = [each[number] for number in sorted(each)]
    held = {key: np.stack([np.concatenate([one[key] for one in own]) for own in every]) for key in FORECASTS[:2]}
    after = {key: np.stack([np.stack([one[key] for one in own]) for own in every]) for key in FORECASTS[2:]}
    return {**held, **after}
