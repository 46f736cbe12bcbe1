"""The best architectures trained for longer, each with another validation block held out; resumable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from podnas import artifacts
from podnas.networks import store
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.space import Point, parameter_count
from podnas.networks.train import Trained, milliseconds_per_forecast, train
from podnas.windows import Training, fold

Report = Callable[[Mapping[str, Any]], None]


def retrain(
    points: Sequence[Mapping[str, Any]],
    data: Training,
    recipe: Recipe,
    seed: int,
    folder: Path,
    identity: Mapping[str, Any],
    report: Report,
) -> list[dict[str, Any]]:
    """Train member k on all but validation block k (modulo the blocks) and save it; returns the catalogue.

    A member that an earlier, killed run finished for the same point, seed, recipe and `identity` (hashes of data and
    code, versions of libraries) is kept as it is.
    `points` are rows with trial (its number) and point.
    """
    catalogue = []
    for number, row in enumerate(points):
        block = number % recipe.windows.validation_blocks
        plan = {
            "file": f"member_{number:02d}.keras",
            "trial": row["trial"],
            "point": dict(row["point"]),
            "seed": network_seed(seed, number),
            "held_out_block": block,
            "recipe": recipe.record(),
            **identity,
        }
        record = _finished(folder, plan) or _train_one(plan, data, recipe, folder)
        catalogue.append(record)
        report(record)
    return catalogue


def _finished(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any] | None:
    record_path = _record_path(folder, plan)
    if not (record_path.exists() and (folder / plan["file"]).exists()):
        return None
    record: dict[str, Any] = artifacts.read_json(record_path)
    return record if all(record.get(key) == value for key, value in plan.items()) else None


def _train_one(plan: Mapping[str, Any], data: Training, recipe: Recipe, folder: Path) -> dict[str, Any]:
    held = fold(data, recipe.windows, plan["held_out_block"])
    trained = train(plan["point"], held, recipe, plan["seed"])
    store.save(folder / plan["file"], trained.model)
    record = {**plan, **measures(plan["point"], trained, data, recipe)}
    # written after the network: where the record stands, the member is whole
    artifacts.write_json(_record_path(folder, plan), record)
    return record


def measures(point: Point, trained: Trained, data: Training, recipe: Recipe) -> dict[str, Any]:
    """What a catalogue says of a trained network: size, validation, time to train and to forecast."""
    modes = data.targets.shape[2]
    return {
        "parameters": parameter_count(point, modes + 4 * recipe.windows.harmonics, modes),
        "validation_r2": trained.validation_r2,
        "best_epoch": trained.best_epoch,
        "training_seconds": round(trained.seconds, 2),
        "milliseconds_per_forecast": round(milliseconds_per_forecast(trained.model, data.inputs, recipe.windows), 4),
    }


def _record_path(folder: Path, plan: Mapping[str, Any]) -> Path:
    return (folder / str(plan["file"])).with_suffix(".json")
