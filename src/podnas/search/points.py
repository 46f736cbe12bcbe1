"""Random numbers of a search's trials, and single points of a space where speed does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from podnas.search.encoding import Encoding


def stream(seed: int, number: int) -> np.random.Generator:
    """Random numbers of trial `number` of a search: they depend on nothing else, so a search can be continued."""
    return np.random.default_rng(np.random.SeedSequence([seed, number]))


def sample(space: ConfigurationSpace, random: np.random.Generator) -> dict[str, Any]:
    """A point drawn from the space's priors."""
    return Encoding(space).sample(random)
