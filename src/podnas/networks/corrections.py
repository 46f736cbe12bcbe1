"""Networks that correct a simple forecast: they see anomalies and give what the simple forecast is wrong by.

A network learns what a simple forecast, fitted on the weeks that the network fits on, is wrong by there, and is judged
on a held-out block by adding to that same forecast. For test weeks it adds to one fitted on all training weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from podnas import windows
from podnas.baselines import methods
from podnas.baselines.climatology import Climatology
from podnas.baselines.forecaster import Forecaster
from podnas.config import BaselinesConfig
from podnas.networks import heads
from podnas.networks.recipe import Recipe
from podnas.windows import Array, Fold, Inputs, Training

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Correction:
    """A climatology, a simple forecast, and the standard deviation of each mode's anomalies (modes,)."""

    climatology: Climatology
    simple: Forecaster
    scale: Array

    def remove(self, data: Training) -> Training:
        """Weeks and inputs as anomalies, targets as errors of the simple forecast, in standard deviations."""
        return replace(
            data,
            series=(data.series - self.climatology.at(data.series_centres)) / self.scale,
            inputs=self.anomalies(data.inputs),
            targets=(data.targets - self.simple.predict(data.inputs)) / self.scale,
        )

    def anomalies(self, inputs: Inputs) -> Inputs:
        """Inputs of the networks."""
        return replace(inputs, values=(inputs.values - self.climatology.at(inputs.centres)) / self.scale)

    def add(self, output: Array, inputs: Inputs) -> Array:
        """A network's output (n, leads, modes) as a forecast in standardised coefficients."""
        forecast: Array = self.simple.predict(inputs) + output * self.scale
        return forecast


def fit(data: Training, recipe: Recipe) -> Correction | None:
    """What networks of this recipe correct, from the weeks fitted on; None where they forecast the coefficients."""
    settings = recipe.settings
    if settings.corrects is None:
        return None
    config = BaselinesConfig(climatology_harmonics=settings.climatology_harmonics)
    climatology = Climatology(settings.climatology_harmonics).fit(data)
    simple = methods.build(settings.corrects, config, recipe.windows).fit(data)
    spread = (data.series - climatology.at(data.series_centres)).std(axis=0)
    return Correction(climatology, simple, np.where(spread > 0, spread, 1.0))  # a mode may be its climatology


def of_block(whole: Training, recipe: Recipe, block: int) -> Correction | None:
    """What a network corrects that holds this block out."""
    return fit(windows.fold(whole, recipe.windows, block).fit, recipe)


def of_all(whole: Training, recipe: Recipe, apart: Correction | None) -> Correction | None:
    """The same for weeks after the training period: from all of its weeks, as baselines are, in the network's units."""
    found = fit(whole, recipe)
    return found and apart and replace(found, scale=apart.scale)


def fold(whole: Training, recipe: Recipe, block: int) -> Fold:
    """The fold of a network that holds this block out, as the network is to see it."""
    held = windows.fold(whole, recipe.windows, block)
    correction = fit(held.fit, recipe)
    return held if correction is None else Fold(correction.remove(held.fit), correction.remove(held.validate))


def gaussian(network: keras.Model, inputs: Inputs, recipe: Recipe, correction: Correction | None) -> heads.Pair:
    """Standardised means and sigmas of n windows by a network with a Gaussian head, each (n, leads, modes)."""
    from podnas.networks import build  # with Keras, which is slow to import and no search needs

    return as_gaussian(lambda seen: build.outputs(network, seen, recipe.windows), inputs, recipe, correction)


def as_gaussian(
    outputs: Callable[[Inputs], Array], inputs: Inputs, recipe: Recipe, correction: Correction | None
) -> heads.Pair:
    """The same of anything that has a Gaussian head's outputs (n, leads, 2 modes) for what it is to see."""
    seen = inputs if correction is None else correction.anomalies(inputs)
    mean, sigma = heads.gaussian(outputs(seen), recipe.settings)
    return (mean, sigma) if correction is None else (correction.add(mean, inputs), sigma * correction.scale)


def predict(network: keras.Model, inputs: Inputs, recipe: Recipe, correction: Correction | None) -> Array:
    """Standardised forecasts of n windows: (n, leads, modes)."""
    return predict_each(network, [(inputs, correction)], recipe)[0]


def predict_each(
    network: keras.Model, parts: Sequence[tuple[Inputs, Correction | None]], recipe: Recipe
) -> list[Array]:
    """The same of several parts, each with what it corrects, in one pass: steps of Keras cost more than windows."""
    from podnas.networks import build

    seen = [inputs if correction is None else correction.anomalies(inputs) for inputs, correction in parts]
    output = build.predict(network, windows.together(seen), recipe.windows, recipe.settings.output_scale)
    outputs = np.split(output, np.cumsum([len(inputs) for inputs in seen[:-1]]))
    return [
        made if correction is None else correction.add(made, inputs)
        for made, (inputs, correction) in zip(outputs, parts, strict=True)
    ]
