"""What every forecast method offers."""

from __future__ import annotations

from typing import Protocol, Self

from podnas.windows import Array, Inputs, Training


class Forecaster(Protocol):
    """A method that learns from training windows only, in standardised coefficients."""

    def fit(self, training: Training) -> Self:
        """Learn from the training weeks and windows; returns itself."""
        ...

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        ...
