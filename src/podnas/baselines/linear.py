"""Linear regressions of all leads on all lags, and means of forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge

from podnas.baselines.forecaster import Forecaster
from podnas.config import WindowsConfig
from podnas.windows import Array, Inputs, Training, folds, harmonics

PENALTIES = tuple(10.0**power for power in np.arange(-1, 5, 0.5))


def lags(inputs: Inputs, count: int = 0) -> Array:
    """Regression features (n, steps x modes + 2 count): all input weeks, and the season of the last one."""
    flat = inputs.values.reshape(len(inputs), -1)
    return np.concatenate([flat, harmonics(inputs.centres[:, -1], count)], axis=1)


class LeastSquares:
    """Ordinary least squares from all lags and modes to all leads and modes."""

    def fit(self, training: Training) -> Self:
        """Learn from the training windows."""
        self.shape = training.targets.shape[1:]
        self.regression = LinearRegression().fit(lags(training.inputs), _flat(training))
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        forecast: Array = self.regression.predict(lags(inputs))
        return forecast.reshape(-1, *self.shape)


class SeasonalRidge:
    """Ridge regression on lags and annual harmonics; the penalty is chosen by blocked cross-validation."""

    def __init__(self, count: int, windows: WindowsConfig) -> None:
        self.count = count
        self.windows = windows

    def fit(self, training: Training) -> Self:
        """Choose the penalty inside the training period, then fit on all of it."""
        self.shape = training.targets.shape[1:]
        errors = np.zeros(len(PENALTIES))
        for held in folds(training, self.windows):
            errors += [self._error(held.fit, held.validate, penalty) for penalty in PENALTIES]
        self.penalty = PENALTIES[int(np.argmin(errors))]
        self.regression = self._ridge(training, self.penalty)
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        forecast: Array = self.regression.predict(lags(inputs, self.count))
        return forecast.reshape(-1, *self.shape)

    def _ridge(self, training: Training, penalty: float) -> Ridge:
        return Ridge(penalty).fit(lags(training.inputs, self.count), _flat(training))

    def _error(self, fit: Training, validate: Training, penalty: float) -> float:
        residual = self._ridge(fit, penalty).predict(lags(validate.inputs, self.count)) - _flat(validate)
        return float((residual**2).sum())


class Mean:
    """The equal mean of several methods' forecasts."""

    def __init__(self, methods: Sequence[Forecaster]) -> None:
        self.methods = methods

    def fit(self, training: Training) -> Self:
        """Fit each method."""
        for method in self.methods:
            method.fit(training)
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        forecast: Array = np.mean([method.predict(inputs) for method in self.methods], axis=0)
        return forecast


def _flat(training: Training) -> Array:
    return training.targets.reshape(len(training.inputs), -1)
