"""Regressions of anomalies on their own past, each mode by itself: AR(n) of all input weeks, and one by season."""

from __future__ import annotations

from typing import Self

import numpy as np

from podnas.baselines.climatology import Climatology
from podnas.config import WindowsConfig
from podnas.windows import Array, Inputs, Training, folds, harmonics

ORDERS = (1, 2)  # annual harmonics that coefficients may vary by
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # share of the mean square of the predictors


class Autoregression:
    """Climatology plus a least-squares regression of each lead on the anomalies of all input weeks."""

    def __init__(self, climatology: Climatology) -> None:
        self.climatology = climatology

    def fit(self, training: Training) -> Self:
        """Learn from the training weeks and windows."""
        self.climatology.fit(training)
        self._regress(self._predictors(training.inputs), training.targets - self.climatology.predict(training.inputs))
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        anomaly = np.einsum("npm,plm->nlm", self._predictors(inputs), self.weights)
        forecast: Array = self.climatology.predict(inputs) + anomaly
        return forecast

    def _regress(self, predictors: Array, targets: Array) -> None:
        modes = range(targets.shape[2])
        solved = [np.linalg.lstsq(predictors[:, :, mode], targets[:, :, mode], rcond=None)[0] for mode in modes]
        self.weights = np.stack(solved, axis=2)  # (predictors, leads, modes)

    def _predictors(self, inputs: Inputs) -> Array:
        anomalies: Array = inputs.values - self.climatology.at(inputs.centres)
        return anomalies


class SeasonalAutoregression(Autoregression):
    """The same with coefficients that vary with the season of the last input week, as annual harmonics.

    Ridge regression draws what varies towards zero, hence the forecast towards the plain autoregression. How strongly,
    and how many harmonics there are, is chosen by blocked cross-validation.
    """

    def __init__(self, climatology: Climatology, windows: WindowsConfig) -> None:
        super().__init__(climatology)
        self.windows = windows

    def fit(self, training: Training) -> Self:
        """Choose penalty and harmonics inside the training period, then fit on all of it."""
        errors = {(order, penalty): 0.0 for order in ORDERS for penalty in PENALTIES}
        for held in folds(training, self.windows):
            for self.order, self.penalty in errors:
                super().fit(held.fit)
                made = self.predict(held.validate.inputs)
                errors[self.order, self.penalty] += float(((made - held.validate.targets) ** 2).sum())
        self.order, self.penalty = min(errors, key=lambda choice: errors[choice])
        return super().fit(training)

    def _regress(self, predictors: Array, targets: Array) -> None:
        lags = predictors.shape[1] // (1 + 2 * self.order)
        solved = []
        for mode in range(targets.shape[2]):
            given = predictors[:, :, mode]
            gram = given.T @ given
            strength = np.where(np.arange(len(gram)) < lags, 0.0, self.penalty * np.diag(gram).mean())
            solved.append(np.linalg.solve(gram + np.diag(strength), given.T @ targets[:, :, mode]))
        self.weights = np.stack(solved, axis=2)

    def _predictors(self, inputs: Inputs) -> Array:
        anomalies = super()._predictors(inputs)
        season = harmonics(inputs.centres[:, -1], self.order)
        return np.concatenate([anomalies, *(anomalies * season[:, [k], None] for k in range(2 * self.order))], axis=1)
