"""Random windows and members for tests of the population trainer."""

from __future__ import annotations

from typing import Any

import numpy as np

from podnas.config import TrainingConfig
from podnas.networks import population
from podnas.networks.population import Arrays, Job, Member
from podnas.networks.space import Point, architecture_space
from podnas.search import points

STEPS, CHANNELS, MODES = 4, 6, 3
ALL_IDENTITY = {f"node_{node}": "identity" for node in range(1, 6)}


def arrays(windows: int = 50, seed: int = 0) -> Arrays:
    """Windows of noise, targets within the reach of the output LSTM."""
    random = np.random.default_rng(seed)

    def draw(count: int, width: int, scale: float) -> population.Array:
        return (scale * random.standard_normal((count, STEPS, width))).astype(np.float32)

    held = 20
    return Arrays(
        draw(windows, CHANNELS, 1), draw(windows, MODES, 0.3), draw(held, CHANNELS, 1), draw(held, MODES, 0.3)
    )


def architecture(number: int) -> Point:
    """A random architecture of the SC20 space."""
    return points.sample(architecture_space(), points.stream(0, number))


def job(point: Point, data: Arrays, seed: int = 0, epochs: int = 2, keep_best: bool = False, **settings: Any) -> Job:
    """The training of a new member."""
    member = Member(point, seed, TrainingConfig(**{"batch_size": 16, **settings}))
    return Job(member, population.start(member, data), data, epochs, keep_best)
