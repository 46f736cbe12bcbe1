"""Forecasts with dropout left on: Monte Carlo dropout (Gal and Ghahramani 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from podnas.networks import build, candidates, corrections, heads, space
from podnas.networks.candidates import FORECASTS, PARAMETERS, Plan, Result
from podnas.networks.recipe import Recipe
from podnas.windows import Array, Inputs, Training, channels, fold


def forecasts(
    plan: Sequence[Plan], results: Sequence[Result], data: Training, later: Inputs, passes: int, seed: int
) -> dict[str, Array]:
    """Gaussian forecasts of a candidate's networks, one a block, by so many passes with dropout, each a member.

    As `candidates.stacked` has them. The share of dropout is that of the network's training; input noise is left out.
    """
    keras.utils.set_random_seed(seed)
    of_pass, made = [], []
    networks = [_network(one, result, data) for one, result in zip(plan, results, strict=True)]
    for number in range(passes):
        of_pass += [{**one, "candidate": number} for one in plan]
        made += [_pass(network, one, data, later) for network, one in zip(networks, plan, strict=True)]
    return candidates.stacked(of_pass, made)


def _network(one: Plan, result: Result, data: Training) -> keras.Model:
    recipe, (steps, modes) = Recipe.of(one["recipe"]), data.targets.shape[1:]
    outputs = modes * heads.columns(recipe.settings)
    point = space.architecture(one["point"])
    layers = space.graph(point, modes + 4 * recipe.windows.harmonics, outputs, dropout=True)
    network = build.model(layers, steps, recipe.settings.dropout)
    build.put(network, layers, result[PARAMETERS])
    return network


def _pass(network: keras.Model, one: Plan, data: Training, later: Inputs) -> Result:
    recipe = Recipe.of(one["recipe"])
    correction = corrections.of_block(data, recipe, one["block"])

    def outputs(seen: Inputs) -> Array:
        return np.asarray(network(channels(seen, recipe.windows), training=True))

    held = fold(data, recipe.windows, one["block"]).validate.inputs
    pairs = [corrections.as_gaussian(outputs, inputs, recipe, correction) for inputs in (held, later)]
    return dict(zip(FORECASTS, (*pairs[0], *pairs[1]), strict=True))
