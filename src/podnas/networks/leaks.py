"""The leakage laboratory: the same networks under a clean protocol and under SC20's as it was released.

Three things leak in the released code of Maulik et al. (2020); each can be there or not, which makes eight variants:

- `weeks`: the first 700 test weeks join the training weeks in one series, so that training windows also cross the join
  (and the last window is left out, as the released loop does: 1,111 windows);
- `scaler`: mean and standard deviation are those of training and leaked weeks, not only of the weeks fitted on;
- `split`: overlapping windows are shuffled before they are split into those fitted on and those validated by (900 to
  211), where the clean protocol holds out the last block with a gap of two windows.

Everything here but the forecasts' inputs is made to see test weeks on purpose. Truth is added by another rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import keras
import numpy as np
import xarray as xr

from podnas import windows
from podnas.baselines import methods
from podnas.config import BaselinesConfig, LeakageConfig, ProtocolConfig, WindowsConfig
from podnas.networks import build, planned, population, space
from podnas.networks.engines import Engine
from podnas.networks.planned import Plan, Report
from podnas.networks.population import Arrays, Job, State
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.retrain import job, model
from podnas.search import points
from podnas.windows import Array, Fold, Scaler, Training

LEAKS = ("weeks", "scaler", "split")
VARIANTS = tuple(some for count in range(len(LEAKS) + 1) for some in combinations(LEAKS, count))
BASELINES = ("climatology", "damped_persistence")  # what skill is against, and what one number a lead and mode gives
RELEASE_EVERY = 25  # networks after which Keras forgets those it has built


def name(leaks: Sequence[str]) -> str:
    """What a variant is called: its leaks."""
    return "+".join(leaks) or "clean"


@dataclass(frozen=True)
class Variant:
    """What networks learn from with some of the leaks."""

    leaks: tuple[str, ...]
    fold: Fold  # scaled
    scaler: Scaler

    @classmethod
    def of(
        cls,
        leaks: tuple[str, ...],
        series: xr.Dataset,
        protocol: ProtocolConfig,
        window: WindowsConfig,
        config: LeakageConfig,
    ) -> Variant:
        """Cut, split and scale; series: coefficients of all weeks. Raises ValueError where a side has no window."""
        clean = windows.split(series, protocol, window)[0]
        leaky = _with_test_weeks(series, protocol, window, config.weeks)
        cut = leaky if "weeks" in leaks else clean
        whole = windows.training(cut)
        if "weeks" in leaks:
            whole = whole.take(np.arange(len(whole.inputs) - 1))
        fold = _shuffled(whole, config) if "split" in leaks else windows.fold(whole, window, block=-1)
        cut_by = windows.scaler(cut)
        fitted = cut_by.backward(fold.fit.seen())
        scaler = windows.scaler(leaky) if "scaler" in leaks else Scaler(fitted.mean(axis=0), fitted.std(axis=0))
        again = Scaler((scaler.offset - cut_by.offset) / cut_by.scale, scaler.scale / cut_by.scale)
        return cls(leaks, Fold(fold.fit.scaled(again), fold.validate.scaled(again)), scaler)

    def updates(self, recipe: Recipe) -> int:
        """Steps of the optimiser in an epoch."""
        windows_fitted = len(self.fold.fit.inputs)
        return windows_fitted // min(recipe.settings.batch_size, windows_fitted)

    def describe(self, recipe: Recipe) -> dict[str, Any]:
        """Its name, epochs, and numbers of windows fitted on and validated by."""
        return {
            "variant": name(self.leaks),
            "leaks": list(self.leaks),
            "epochs": recipe.epochs,
            "fitted_windows": len(self.fold.fit.inputs),
            "validation_windows": len(self.fold.validate.inputs),
        }


def _with_test_weeks(series: xr.Dataset, protocol: ProtocolConfig, window: WindowsConfig, weeks: int) -> xr.Dataset:
    """Training windows from the training weeks and the first test weeks, as one series without a join."""
    first = int(np.flatnonzero(series.time.values == np.datetime64(protocol.test_first))[0])
    last = series.time.values[first + weeks - 1].astype("datetime64[D]").item()
    longer = protocol.model_copy(update={"train_last": last})
    joined = series.assign(segment=("time", np.zeros(series.sizes["time"], dtype=np.int32)))
    return windows.split(joined, longer, window)[0]


def _shuffled(whole: Training, config: LeakageConfig) -> Fold:
    rows = np.random.default_rng(config.seed).permutation(len(whole.inputs))
    fitted = round(config.fitted_share * len(rows))
    return Fold(whole.take(rows[:fitted]), whole.take(rows[fitted:]))


def recipes(variants: Sequence[Variant], recipe: Recipe, config: LeakageConfig) -> list[Recipe]:
    """How the networks of each variant are trained: for as many epochs, or for as many steps of the optimiser."""
    if config.budget == "epochs":
        return [recipe for _ in variants]
    most = recipe.epochs * max(variant.updates(recipe) for variant in variants)
    return [replace(recipe, epochs=math.ceil(most / variant.updates(recipe))) for variant in variants]


def plans(
    variants: Sequence[Variant], trained: Sequence[Recipe], config: LeakageConfig, identity: Mapping[str, Any]
) -> list[Plan]:
    """All that decides what each network becomes, variant by variant: the same points and seeds in each."""
    drawn = space.architecture_space()
    chosen = [points.sample(drawn, points.stream(config.seed, number)) for number in range(config.architectures)]
    return [
        {
            "variant": name(variant.leaks),
            "network": number,
            "point": point,
            "seed": network_seed(config.seed, number),
            "recipe": own.record(),
            "data": [windows.content_hash(part) for part in (variant.fold.fit, variant.fold.validate)],
            **identity,
        }
        for variant, own in zip(variants, trained, strict=True)
        for number, point in enumerate(chosen)
    ]


def arrays(variants: Sequence[Variant], recipe: Recipe) -> dict[str, Arrays]:
    """Windows as networks see them, by the name of the variant."""
    return {name(variant.leaks): population.arrays(variant.fold, recipe) for variant in variants}


def train(
    plan: Sequence[Plan],
    seen: Mapping[str, Arrays],
    folder: Path,
    engine: Engine,
    workers: int,
    report: Report,
) -> list[State]:
    """Train all networks; see `planned.train`."""
    return planned.train(plan, partial(_begin, seen), partial(_path, folder), engine, workers, report)


def _begin(seen: Mapping[str, Arrays], plan: Plan) -> Job:
    return job(plan["point"], plan["seed"], seen[plan["variant"]], Recipe.of(plan["recipe"]))


def _path(folder: Path, plan: Plan) -> Path:
    return folder / f"{plan['variant']}_{plan['network']:02d}.npz"


def forecasts(
    plan: Sequence[Plan], states: Sequence[State], variants: Sequence[Variant], test: xr.Dataset, recipe: Recipe
) -> Array:
    """Forecasts of the test windows (variant, network, n, leads, modes) in the units of the coefficients."""
    of_name = {name(variant.leaks): variant for variant in variants}
    made = []
    for number, (one, state) in enumerate(zip(plan, states, strict=True)):
        if number % RELEASE_EVERY == 0:
            keras.backend.clear_session()
        variant = of_name[one["variant"]]
        network = model(one["point"], state, variant.fold.fit, recipe)
        inputs = windows.inputs(test, variant.scaler)
        output = build.predict(network, inputs, recipe.windows, recipe.settings.output_scale)
        made.append(variant.scaler.backward(output))
    stacked = np.stack(made)
    return stacked.reshape(len(variants), -1, *stacked.shape[1:])


def dataset(made: Array, training: xr.Dataset, test: xr.Dataset, window: WindowsConfig) -> xr.Dataset:
    """The forecasts, those of baselines fitted cleanly, and the clean scaler; training and test: clean windows."""
    data, standard = windows.training(training), windows.scaler(training)
    inputs, config = windows.inputs(test, standard), BaselinesConfig()
    simple = [standard.backward(methods.build(one, config, window).fit(data).predict(inputs)) for one in BASELINES]
    each = ("init_time", "lead", "mode")
    return xr.Dataset(
        {
            "forecast": (("variant", "network", *each), made.astype(np.float32), test.input.attrs),
            "baseline": (("method", *each), np.stack(simple), test.input.attrs),
            "offset": ("mode", standard.offset),
            "scale": ("mode", standard.scale),
        },
        {**test.valid_time.coords, "mode": test.mode},
        dict(test.attrs),
    ).assign_coords(variant=[name(one) for one in VARIANTS], network=np.arange(made.shape[1]), method=list(BASELINES))
