"""What each ingredient of the networks brings: the same architectures and seeds in each setting, one thing changed.

Each block is forecast by networks that were neither fitted on it nor stopped by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from podnas.baselines import methods
from podnas.config import (
    AblationConfig,
    BaselinesConfig,
    BlocksConfig,
    EnsembleConfig,
    TrainingConfig,
    WindowsConfig,
)
from podnas.networks import apart, lanes, population, space
from podnas.networks.apart import Apart
from podnas.networks.engines import Engine
from podnas.networks.lanes import Finished
from podnas.networks.population import Arrays, Job
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.retrain import job
from podnas.search import points
from podnas.windows import Array, Training

BASELINES = ("climatology", "damped_persistence")  # what skill is against, and what one number a lead and mode gives
FORECAST = "forecast"

Plan = dict[str, Any]  # JSON: all that decides what a network becomes
Result = dict[str, Any]  # its plan's file, how it was trained, and its forecast of the untouched block
Report = Callable[[Plan, Mapping[str, Any]], None]


def recipes(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Recipe]:
    """How the networks of each setting are trained, from its sections as JSON."""
    made = {}
    for name, sections in settings.items():
        ensemble = EnsembleConfig.model_validate(sections["ensemble"])
        made[name] = Recipe(
            TrainingConfig.model_validate(sections["training"]),
            WindowsConfig.model_validate(sections["windows"]),
            ensemble.epochs,
            keep_best=ensemble.keep == "best",
        )
    return made


def cut(whole: Training, window: WindowsConfig, config: AblationConfig) -> dict[int, Apart]:
    """The windows of each block that is scored, by its number, in time; whole: unscaled."""
    blocks = sorted(config.blocks, key=_scored)
    return {one.untouched: Apart.of(whole, window, one) for one in blocks}


def _scored(blocks: BlocksConfig) -> int:
    return blocks.untouched


def plans(
    settings: Mapping[str, Recipe], data: Mapping[int, Apart], config: AblationConfig, identity: Mapping[str, Any]
) -> list[Plan]:
    """All networks, setting by setting, then block by block: the same points and seeds in each setting."""
    drawn = space.architecture_space()
    chosen = [points.sample(drawn, points.stream(config.seed, number)) for number in range(config.members)]
    return [
        {
            "setting": name,
            "block": block,
            "member": member,
            "point": point,
            "seed": network_seed(config.seed, place * config.members + member),
            "recipe": recipe.record(),
            "data": one.hashes(),
            **identity,
        }
        for name, recipe in settings.items()
        for place, (block, one) in enumerate(data.items())
        for member, point in enumerate(chosen)
    ]


def train(
    plan: Sequence[Plan],
    data: Mapping[int, Apart],
    folder: Path,
    engine: Engine,
    workers: int,
    report: Report,
) -> list[Result]:
    """Train all networks and forecast their untouched blocks; what a killed run has finished is kept.

    Raises ArithmeticError when a training diverges.
    """

    @cache
    def arrays(setting: str, block: int) -> Arrays:
        recipe = next(Recipe.of(one["recipe"]) for one in plan if one["setting"] == setting)
        return population.arrays(data[block].fold, recipe)

    def begin(one: Plan) -> Job:
        return job(one["point"], one["seed"], arrays(one["setting"], one["block"]), Recipe.of(one["recipe"]))

    made = {number: found for number, one in enumerate(plan) if (found := _finished(folder, one)) is not None}
    missing = [number for number in range(len(plan)) if number not in made]
    for done in lanes.finished(engine, workers, missing, lambda number: begin(plan[number])):
        one = plan[done.key]
        made[done.key] = _keep(folder, one, done, data[one["block"]])
        report(one, made[done.key])
    return [made[number] for number in range(len(plan))]


def _path(folder: Path, one: Plan) -> Path:
    return folder / f"{one['setting']}_{one['block']}_{one['member']:02d}.npz"


def _finished(folder: Path, one: Plan) -> Result | None:
    path = _path(folder, one)
    if not path.exists():
        return None
    record, arrays = apart.kept(path)
    return {**record["trained"], FORECAST: arrays[FORECAST]} if record["plan"] == one else None


def _keep(folder: Path, one: Plan, done: Finished, data: Apart) -> Result:
    if done.state.error is not None:
        raise ArithmeticError(f"{_path(folder, one).stem}: {done.state.error}")
    made = apart.forecast(done.job, done.state, data.untouched, Recipe.of(one["recipe"]).windows)
    trained = {
        "validation_r2": done.state.validation_r2(),
        "best_epoch": done.state.best_epoch or done.state.epochs,
        "seconds": round(done.state.seconds, 2),
    }
    apart.keep(_path(folder, one), {"plan": one, "trained": trained}, {FORECAST: made})
    return {**trained, FORECAST: made}


def dataset(
    plan: Sequence[Plan],
    results: Sequence[Result],
    data: Mapping[int, Apart],
    training: xr.Dataset,
    window: WindowsConfig,
) -> xr.Dataset:
    """Forecasts by setting and member of all blocks, those of baselines fitted on the same weeks, and the truth.

    In the units of the coefficients; training: the windows as they were read.
    """
    settings = list(dict.fromkeys(one["setting"] for one in plan))
    members = 1 + max(one["member"] for one in plan)
    by_plan = {
        (one["setting"], one["block"], one["member"]): result[FORECAST]
        for one, result in zip(plan, results, strict=True)
    }

    def joined(setting: str, member: int) -> Array:
        return np.concatenate([one.scaler.backward(by_plan[setting, at, member]) for at, one in data.items()])

    simple = [np.concatenate([_simple(name, one, window) for one in data.values()]) for name in BASELINES]
    truth = np.concatenate([one.scaler.backward(one.untouched.targets) for one in data.values()])
    block = np.concatenate([np.full(len(one.untouched.inputs), at, np.int32) for at, one in data.items()])
    each = ("init_time", "lead", "mode")
    return xr.Dataset(
        {
            "forecast": (
                ("group", "replicate", *each),
                np.array([[joined(setting, member) for member in range(members)] for setting in settings]),
                training.input.attrs,
            ),
            "baseline": (("method", *each), np.stack(simple), training.input.attrs),
            "truth": (each, truth, training.input.attrs),
            "block": ("init_time", block, {"long_name": "block of the training period, from 0"}),
        },
        {
            "group": settings,
            "replicate": np.arange(members),
            "method": list(BASELINES),
            "init_time": np.concatenate([one.untouched.inputs.init_time for one in data.values()]),
            "lead": training.lead,
            "mode": training.mode,
        },
        dict(training.attrs),
    )


def _simple(name: str, data: Apart, window: WindowsConfig) -> Array:
    fitted = methods.build(name, BaselinesConfig(), window).fit(data.fold.fit)
    return data.scaler.backward(fitted.predict(data.untouched.inputs))
