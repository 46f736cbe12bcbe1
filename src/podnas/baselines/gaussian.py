"""Baselines with a spread: a Gaussian about the forecast of any of them, as wide as its errors on held-out blocks.

Each block of the training period is forecast by the method fitted without it, with a gap of two windows; the root mean
square of these errors is sigma of each lead and mode. Of the climatology this is the climatological spread.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from podnas.baselines import held_out, methods
from podnas.config import BaselinesConfig, WindowsConfig
from podnas.windows import Array, Inputs, Training


class Gaussian:
    """A baseline of a name with its spread: a Forecaster that knows its held-out errors and sigma once it is fitted."""

    def __init__(self, name: str, config: BaselinesConfig, window: WindowsConfig) -> None:
        self.name, self.config, self.window = name, config, window
        self.method = methods.build(name, config, window)

    def fit(self, training: Training) -> Self:
        """Learn the forecast from the training windows, its errors (n, leads, modes) from their blocks in turn.

        Raises ValueError where a lead and mode is forecast without error.
        """
        self.method.fit(training)
        self.held = held_out.forecasts(training, [self.name], self.config, self.window)
        self.errors = self.held.truth - self.held.forecasts[self.name]
        self.sigma: Array = np.sqrt((self.errors**2).mean(axis=0))  # (leads, modes)
        if not (self.sigma > 0).all():
            raise ValueError(
                f"baseline {self.name} forecasts held-out blocks without error at some lead and mode; no spread can be "
                "fitted to a mode that never varies: leave the mode out"
            )
        return self

    def held_sigma(self) -> Array:
        """Sigma (n, leads, modes) of the held-out forecasts: of each block by the errors on all others."""
        block = self.held.block
        made: Array = np.empty_like(self.errors)
        for number in np.unique(block):
            made[block == number] = np.sqrt((self.errors[block != number] ** 2).mean(axis=0))
        return made

    def predict(self, inputs: Inputs) -> Array:
        """Mean forecast of n windows: (n, leads, modes)."""
        return self.method.predict(inputs)
