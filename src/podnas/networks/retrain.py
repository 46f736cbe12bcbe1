"""The best architectures trained for longer, each with another validation block held out; resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from podnas import artifacts
from podnas.networks import build, checkpoint, corrections, heads, population, space, store
from podnas.networks.engines import Engine
from podnas.networks.lanes import Finished, Lanes
from podnas.networks.population import Arrays, Job, Member, State
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.space import Point, parameter_count
from podnas.windows import Inputs, Training, channels

CHECKPOINT_EPOCHS = 25  # a killed run loses at most so many of each member under way
Report = Callable[[Mapping[str, Any]], None]


def retrain(
    points: Sequence[Mapping[str, Any]],
    data: Training,
    recipe: Recipe,
    seed: int,
    folder: Path,
    identity: Mapping[str, Any],
    report: Report,
    engine: Engine,
    workers: int,
    numbers: Collection[int] | None = None,
) -> list[dict[str, Any]]:
    """Train member k on all but validation block k (modulo the blocks) and save it; returns the catalogue.

    With `numbers`, only members of these numbers.

    A member that an earlier, killed run finished for the same point, seed, recipe and `identity` (hashes of data and
    code, versions of libraries) is kept as it is; one that it had begun goes on from its checkpoint.
    `points` are rows with trial (its number) and point; settings of training that a point holds are laid over the
    recipe's, as the member's record says. Raises ArithmeticError when a member's training diverges.
    """
    wanted = range(len(points)) if numbers is None else numbers
    plans = [_plan(number, row, recipe, seed, identity) for number, row in enumerate(points) if number in wanted]
    records = {plan["file"]: record for plan in plans if (record := _finished(folder, plan))}
    for record in records.values():
        report(record)
    missing = {plan["file"]: plan for plan in plans if plan["file"] not in records}

    @cache
    def arrays(block: int, output_scale: float) -> Arrays:
        settings = recipe.settings.model_copy(update={"output_scale": output_scale})
        return held_out(data, replace(recipe, settings=settings), block)

    with Lanes(engine, workers) as lanes:
        for plan in missing.values():
            settings = space.settings(plan["point"], recipe.settings)
            begun = _begun(plan, arrays(plan["held_out_block"], settings.output_scale), recipe, folder)
            lanes.submit(plan["file"], _next_slice(begun, recipe))
        while len(records) < len(plans):
            done = lanes.finished()
            plan = missing[done.key]
            if done.job.epochs < recipe.epochs and done.state.error is None:
                checkpoint.save(_checkpoint(folder, plan), plan, done.state)
                lanes.submit(done.key, _next_slice(replace(done.job, state=done.state), recipe))
                continue
            records[done.key] = _save(plan, done, data, recipe, folder)
            report(records[done.key])
    return [records[plan["file"]] for plan in plans]


def _begun(plan: Mapping[str, Any], arrays: Arrays, recipe: Recipe, folder: Path) -> Job:
    """A member's training: from its checkpoint where there is one of the same plan."""
    new = job(plan["point"], plan["seed"], arrays, recipe)
    path = _checkpoint(folder, plan)
    if not path.exists():
        return new
    record, state = checkpoint.load(path)
    return replace(new, state=state) if record == plan else new


def _next_slice(whole: Job, recipe: Recipe) -> Job:
    return replace(whole, epochs=min(recipe.epochs, whole.state.epochs + CHECKPOINT_EPOCHS))


def held_out(data: Training, recipe: Recipe, block: int) -> Arrays:
    """The windows as networks see them, one validation block held out."""
    return population.arrays(corrections.fold(data, recipe, block), recipe)


def job(point: Point, seed: int, arrays: Arrays, recipe: Recipe) -> Job:
    """Training of one point from its initial weights; `arrays` are of its output scale."""
    member = Member(space.architecture(point), seed, space.settings(point, recipe.settings))
    return population.job(member, arrays, recipe)


def model(point: Point, state: State, data: Training, recipe: Recipe) -> keras.Model:
    """A trained member as an ordinary Keras model. Raises ArithmeticError where its training failed."""
    if state.error is not None:
        raise ArithmeticError(state.error)
    steps, modes = data.targets.shape[1:]
    outputs = modes * heads.columns(recipe.settings)
    return build.export(point, state.chosen(), steps, modes + 4 * recipe.windows.harmonics, outputs)


def _plan(
    number: int, row: Mapping[str, Any], recipe: Recipe, seed: int, identity: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "file": f"member_{number:02d}.keras",
        "trial": row["trial"],
        "point": dict(row["point"]),
        "seed": network_seed(seed, number),
        "held_out_block": number % recipe.windows.validation_blocks,
        "recipe": replace(recipe, settings=space.settings(row["point"], recipe.settings)).record(),
        **identity,
    }


def _finished(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any] | None:
    record_path = _record_path(folder, plan)
    if not (record_path.exists() and (folder / plan["file"]).exists()):
        return None
    record: dict[str, Any] = artifacts.read_json(record_path)
    return record if all(record.get(key) == value for key, value in plan.items()) else None


def _save(plan: Mapping[str, Any], done: Finished, data: Training, recipe: Recipe, folder: Path) -> dict[str, Any]:
    network = model(plan["point"], done.state, data, recipe)
    store.save(folder / plan["file"], network)
    modes = data.targets.shape[2]
    channels_in, outputs = modes + 4 * recipe.windows.harmonics, modes * heads.columns(recipe.settings)
    judged = {"validation_nll": done.state.validation_nll()} if recipe.settings.head else {}
    record = {
        **plan,
        "parameters": parameter_count(plan["point"], channels_in, outputs),
        "validation_r2": done.state.validation_r2(),
        **judged,
        "best_epoch": done.state.best_epoch or done.state.epochs,
        "training_seconds": round(done.state.seconds, 2),
        "milliseconds_per_forecast": round(milliseconds_per_forecast(network, data.inputs, recipe), 4),
    }
    # written after the network: where the record stands, the member is whole
    artifacts.write_json(_record_path(folder, plan), record)
    _checkpoint(folder, plan).unlink(missing_ok=True)
    return record


def _checkpoint(folder: Path, plan: Mapping[str, Any]) -> Path:
    return (folder / str(plan["file"])).with_suffix(".npz")


def _record_path(folder: Path, plan: Mapping[str, Any]) -> Path:
    return (folder / str(plan["file"])).with_suffix(".json")


def milliseconds_per_forecast(network: keras.Model, inputs: Inputs, recipe: Recipe) -> float:
    """Time of one forecast when all windows are forecast in one call on one core, the second call of a graph."""
    batch = tf.constant(channels(inputs, recipe.windows))
    run = tf.function(lambda x: network(x, training=False))
    run(batch)
    started = time.perf_counter()
    run(batch).numpy()
    return (time.perf_counter() - started) * 1000 / len(inputs)
