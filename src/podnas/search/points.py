"""Points of a ConfigSpace as plain JSON objects: drawing one, changing one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace


def stream(seed: int, number: int) -> np.random.Generator:
    """Random numbers of trial `number` of a search: they depend on nothing else, so a search can be continued."""
    return np.random.default_rng(np.random.SeedSequence([seed, number]))


def sample(space: ConfigurationSpace, random: np.random.Generator) -> dict[str, Any]:
    """A point drawn from the space's priors."""
    space.seed(int(random.integers(2**31)))
    return plain(space.sample_configuration())


def mutate(space: ConfigurationSpace, point: Mapping[str, object], random: np.random.Generator) -> dict[str, Any]:
    """The point with exactly one active value changed to a different one."""
    # a constant has nothing to change to
    names = sorted(name for name in point if space[name].size > 1)
    if not names:
        raise ValueError(f"no value of {dict(point)} can change: every dimension of the space is constant")
    chosen = space[names[int(random.integers(len(names)))]]
    value = point[chosen.name]
    while value == point[chosen.name]:
        value = chosen.sample_value(seed=np.random.RandomState(int(random.integers(2**31))))
    return plain(Configuration(space, values={**point, chosen.name: value}))


def plain(configuration: Configuration) -> dict[str, Any]:
    """Values as Python's own str, int, float and bool."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in configuration.items()}
