"""The networks of a transfer study: architectures found on other data, searched here, and random, trained alike.

Each group is trained `seeds` times. Network `member` of time `replicate` has the same seed (of weights and batches) and
the same validation block held out in every group, so differences between groups are paired. Architectures take turns:
in another replicate another one stands in a member's place, so that none is tied to a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import xarray as xr

from podnas import artifacts, windows
from podnas.baselines import methods
from podnas.config import BASELINES, BaselinesConfig, TransferConfig
from podnas.networks import corrections, space
from podnas.networks import planned as planned_networks
from podnas.networks.corrections import Correction
from podnas.networks.engines import Engine
from podnas.networks.planned import Plan, Report
from podnas.networks.population import Arrays, Job, State
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.retrain import held_out, job, model
from podnas.networks.space import Point
from podnas.search import points
from podnas.windows import Array, Fold, Inputs, Training

GROUPS = ("transferred", "searched", "random")
# trees would take longer on the folds than all networks, and are far from the best
VALIDATED = tuple(name for name in BASELINES if name not in ("random_forest", "xgboost"))
RELEASE_EVERY = 25  # networks after which Keras forgets those it has built


def groups(transferred: Path, searched: Path, config: TransferConfig) -> dict[str, list[Point]]:
    """Architectures of each group, the best of a catalogue first."""
    drawn = space.architecture_space()
    return {
        "transferred": _catalogued(transferred, config.architectures),
        "searched": _catalogued(searched, config.architectures),
        "random": [points.sample(drawn, points.stream(config.seed, n)) for n in range(config.architectures)],
    }


def _catalogued(path: Path, count: int) -> list[Point]:
    """The first different architectures of a catalogue; settings of training that were searched are left there."""
    found: list[Point] = []
    for member in artifacts.read_json(path)["members"]:
        architecture = space.architecture(member["point"])
        found += [architecture] if architecture not in found else []
    if len(found) < count:
        raise ValueError(
            f"{path} has {len(found)} different architectures, transfer.architectures is {count}; lower it, or raise "
            "ensemble.members of the experiment that made it"
        )
    return found[:count]


def plans(
    chosen: Mapping[str, Sequence[Point]], config: TransferConfig, recipe: Recipe, identity: Mapping[str, Any]
) -> list[Plan]:
    """All that decides what each network becomes, group by group."""
    count = config.architectures
    return [
        {
            "group": group,
            "replicate": replicate,
            "member": member,
            "architecture": (member + replicate) % count,
            "point": dict(architectures[(member + replicate) % count]),
            "seed": network_seed(config.seed, replicate * count + member),
            "held_out_block": member % recipe.windows.validation_blocks,
            "recipe": recipe.record(),
            **identity,
        }
        for group, architectures in chosen.items()
        for replicate in range(config.seeds)
        for member in range(count)
    ]


def train(
    planned: Sequence[Plan], data: Training, recipe: Recipe, folder: Path, engine: Engine, workers: int, report: Report
) -> list[State]:
    """Train all networks; those that an earlier, killed run finished for the same plan are kept.

    Raises ArithmeticError when a training diverges.
    """

    @cache
    def arrays(block: int) -> Arrays:
        return held_out(data, recipe, block)

    def begin(plan: Plan) -> Job:
        return job(plan["point"], plan["seed"], arrays(plan["held_out_block"]), recipe)

    return planned_networks.train(planned, begin, partial(_path, folder), engine, workers, report)


def _path(folder: Path, plan: Plan) -> Path:
    return folder / f"{plan['group']}_{plan['replicate']:03d}_{plan['member']:02d}.npz"


def forecasts(
    planned: Sequence[Plan], states: Sequence[State], data: Training, test: Inputs, recipe: Recipe
) -> tuple[Array, Array]:
    """Standardised forecasts: of the test windows (group, replicate, member, n, leads, modes), and of the windows of
    all held-out blocks, one after the other, each by the member that held it out (group, replicate, m, leads, modes).

    Where several members hold a block out, their mean forecasts it.
    """
    blocks = recipe.windows.validation_blocks
    held = [windows.fold(data, recipe.windows, block) for block in range(blocks)]
    fitted = [corrections.fit(fold.fit, recipe) for fold in held]
    of_test, of_block = [], []
    for number, (plan, state) in enumerate(zip(planned, states, strict=True)):
        if number % RELEASE_EVERY == 0:
            keras.backend.clear_session()
        block = plan["held_out_block"]
        network = model(plan["point"], state, data, recipe)
        of_test.append(_predict(network, test, recipe, fitted[block]))
        of_block.append(_predict(network, held[block].validate.inputs, recipe, fitted[block]))
    count = 1 + max(plan["member"] for plan in planned)
    of_replicate = [
        np.concatenate([np.mean(of_block[first + block : first + count : blocks], axis=0) for block in range(blocks)])
        for first in range(0, len(planned), count)
    ]
    replicates = 1 + max(plan["replicate"] for plan in planned)
    tested, validated = np.stack(of_test), np.stack(of_replicate)
    return (
        tested.reshape(-1, replicates, count, *tested.shape[1:]),
        validated.reshape(-1, replicates, *validated.shape[1:]),
    )


def _predict(network: keras.Model, inputs: Inputs, recipe: Recipe, correction: Correction | None) -> Array:
    return corrections.predict(network, inputs, recipe, correction)


def baselines(data: Training, recipe: Recipe, config: BaselinesConfig) -> tuple[dict[str, Array], list[Fold]]:
    """Standardised forecasts of the held-out blocks by baselines that were fitted on the other weeks, and the folds."""
    held = list(windows.folds(data, recipe.windows))
    return {
        name: np.concatenate(
            [methods.build(name, config, recipe.windows).fit(one.fit).predict(one.validate.inputs) for one in held]
        )
        for name in VALIDATED
    }, held


def test_dataset(made: Array, dataset: xr.Dataset, standard: windows.Scaler) -> xr.Dataset:
    """Test forecasts in the units of the coefficients; dataset: the test inputs."""
    dims = ("group", "replicate", "member", "init_time", "lead", "mode")
    values = standard.backward(made).astype(np.float32)
    coords = {"group": list(GROUPS), "replicate": np.arange(made.shape[1]), "member": np.arange(made.shape[2])}
    named = xr.Dataset({"forecast": (dims, values, dataset.input.attrs)}, dataset.valid_time.coords)
    return named.assign_coords({**coords, "mode": dataset.mode}).assign_attrs(dataset.attrs)


def validation_dataset(
    made: Array, simple: Mapping[str, Array], held: Sequence[Fold], dataset: xr.Dataset, standard: windows.Scaler
) -> xr.Dataset:
    """Forecasts of the held-out blocks and their truth, in the units of the coefficients; dataset: training windows."""
    window = ("init_time", "lead", "mode")
    truth = np.concatenate([one.validate.targets for one in held])
    return xr.Dataset(
        {
            "forecast": (("group", "replicate", *window), standard.backward(made)),
            "baseline": (("method", *window), standard.backward(np.stack(list(simple.values())))),
            "truth": (window, standard.backward(truth)),
        },
        {
            "group": list(GROUPS),
            "replicate": np.arange(made.shape[1]),
            "method": list(simple),
            "init_time": np.concatenate([one.validate.inputs.init_time for one in held]),
            "lead": dataset.lead,
            "mode": dataset.mode,
        },
        dict(dataset.attrs),
    )
