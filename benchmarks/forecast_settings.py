"""What forecasts the blocks of the training period best: baselines, networks by their settings, and both together.

    .venv/bin/python benchmarks/forecast_settings.py results/sst/windows/short/train.nc [part of a name …]

Each block is held out in turn, with a gap of two windows, and forecast by what was fitted on the rest; all blocks are
scored together. No test week is read. Networks are random architectures of the space, after each of several numbers of
epochs; none of them is chosen by the block that it is scored on. `with linear` is the mean of the ensemble and of the
mean of three linear methods.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from podnas import artifacts, windows
from podnas.baselines import held_out, methods
from podnas.config import BASELINES, BaselinesConfig, TrainingConfig, WindowsConfig
from podnas.ensemble import stack
from podnas.networks import corrections, exact, population
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.retrain import job
from podnas.networks.space import Point, architecture_space
from podnas.search import points
from podnas.windows import Array, Training

LINEAR = ("damped_persistence", "linear_inverse_model", "anomaly_regression")
CORRECTED = "mean_damped_inverse"  # the linear forecast of the corrections
TREES = ("random_forest", "xgboost")  # they take longer than all others, and are far from the best
ARCHITECTURES = 2
CONFIG = WindowsConfig()
STRONG = {"dropout": 0.3, "input_noise": 0.3, "weight_decay": 0.1}
NOISY = {"dropout": 0.5, "input_noise": 1.0, "weight_decay": 1.0}
# name: what is corrected, numbers of epochs, settings of training (and the harmonics that networks are given)
NETWORKS: dict[str, tuple[str | None, tuple[int, ...], dict[str, Any]]] = {
    "pure": (None, (40, 100), {}),
    "pure, 3 harmonics": (None, (40, 100), {"harmonics": 3}),
    "pure, 3 harmonics, dropout": (None, (100, 200), {"harmonics": 3, "dropout": 0.2}),
    "pure, 3 harmonics, strong": (None, (100, 200), {"harmonics": 3, **STRONG}),
    "anomaly": ("climatology", (10, 20, 40), {}),
    "anomaly, strong": ("climatology", (20, 40, 80), {**STRONG, "learning_rate": 0.001}),
    "correction": (CORRECTED, (5, 10, 20), {"learning_rate": 0.001}),
    "anomaly, long": ("climatology", (80, 160), {"dropout": 0.1, "input_noise": 0.1, "output_scale": 3}),
    "correction, strong": (CORRECTED, (10, 20, 40), {**STRONG, "learning_rate": 0.001}),
    "correction, noisy": (CORRECTED, (10, 20, 40), {**NOISY, "learning_rate": 0.001}),
    "anomaly, noisy": ("climatology", (40, 80), {**NOISY, "weight_decay": 0.1}),
    "correction, noisier": (CORRECTED, (40, 80), {**NOISY, "input_noise": 2.0, "learning_rate": 0.001}),
    "correction, noisy, slow": (CORRECTED, (10, 20, 40), {**NOISY, "learning_rate": 0.0003}),
}


def main(path: Path, *wanted: str) -> None:
    dataset = artifacts.read_windows(path, artifacts.TRAINING)
    data = windows.training(dataset)
    names = [name for name in BASELINES if name not in TREES]
    made = held_out.forecasts(data, names, BaselinesConfig(), CONFIG)
    known = {name: values for name, values in made.forecasts.items() if name != "climatology"}
    held = stack.HeldOut(known, made.forecasts["climatology"], made.truth, made.block, windows.scaler(dataset).scale)
    print(
        "| forecast | r2_mean | skill_clim | single r2_mean | with linear | core-seconds |\n|:--|--:|--:|--:|--:|--:|"
    )
    linear = np.mean([known[name] for name in LINEAR], axis=0)
    for name, values in {**known, f"mean of {', '.join(LINEAR)}": linear}.items():
        print(f"| {name} | {numbers(values, held)} | | | |", flush=True)
    print(
        f"| {CORRECTED}, each fitted without one more block, mean | {numbers(of_fewer(data), held)} | | | |", flush=True
    )
    for names in (LINEAR, tuple(known)):
        chosen, record = stack.choose(replace(held, forecasts={name: known[name] for name in names}))
        best, made = record["chosen"], chosen.choice
        text = f"stack of {len(names)}: the best {made.methods}, sharing {made.sharing}, penalty {made.penalty:g}"
        print(f"| {text} | {best['r2_mean']:.4f} | {best['skill_clim']:.3f} | | | |", flush=True)
    for name, given in NETWORKS.items():
        if not wanted or any(part in name for part in wanted):
            row(name, *given, data, held, linear)


def of_fewer(data: Training) -> Array:
    """What is corrected, as it would be if test weeks were forecast by each member's own: fitted without its block."""
    inner = CONFIG.model_copy(update={"validation_blocks": CONFIG.validation_blocks - 1})
    made = []
    for held in windows.folds(data, CONFIG):
        fits = [
            methods.build(CORRECTED, BaselinesConfig(), CONFIG).fit(part.fit) for part in windows.folds(held.fit, inner)
        ]
        made.append(np.mean([one.predict(held.validate.inputs) for one in fits], axis=0))
    return np.concatenate(made)


def row(
    name: str,
    corrects: str | None,
    epochs: tuple[int, ...],
    settings: Mapping[str, Any],
    data: Training,
    held: stack.HeldOut,
    linear: Array,
) -> None:
    training = {name: value for name, value in settings.items() if name != "harmonics"}
    config = CONFIG.model_copy(update={"harmonics": settings.get("harmonics", CONFIG.harmonics)})
    recipe = Recipe(TrainingConfig(corrects=corrects, **training), config, max(epochs), keep_best=False)
    started = time.process_time()
    forecasts = networks(data, recipe, epochs)
    seconds = time.process_time() - started
    for count, values in forecasts.items():
        mean = values.mean(axis=0)
        single = np.mean([stack.score(one, held)["r2_mean"] for one in values])
        both = stack.score((mean + linear) / 2, held)["r2_mean"]
        text = f"{numbers(mean, held)} | {single:.4f} | {both:.4f} | {seconds:.0f}"
        print(f"| {name}, {count} epochs | {text} |", flush=True)


def networks(data: Training, recipe: Recipe, epochs: tuple[int, ...]) -> dict[int, Array]:
    """Forecasts (architecture, n, leads, modes) of all blocks after so many epochs, each by networks without it."""
    space = architecture_space()
    made: dict[int, list[list[Array]]] = {count: [[] for _ in range(ARCHITECTURES)] for count in epochs}
    for block in range(CONFIG.validation_blocks):
        correction = corrections.of_block(data, recipe, block)
        arrays = population.arrays(corrections.fold(data, recipe, block), recipe)
        inputs = windows.fold(data, CONFIG, block).validate.inputs
        for number in range(ARCHITECTURES):
            point: Point = points.sample(space, points.stream(0, number))
            training = job(point, network_seed(5, number * CONFIG.validation_blocks + block), arrays, recipe)
            for count in epochs:
                (state,) = exact.advance([replace(training, epochs=count)])
                training = replace(training, state=state)
                output = exact.forecast(training, arrays.held_inputs).astype(float) * recipe.settings.output_scale
                made[count][number].append(output if correction is None else correction.add(output, inputs))
    return {count: np.stack([np.concatenate(blocks) for blocks in by_number]) for count, by_number in made.items()}


def numbers(forecast: Array, held: stack.HeldOut) -> str:
    found = stack.score(forecast, held)
    return f"{found['r2_mean']:.4f} | {found['skill_clim']:.3f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
