"""Regressions of anomalies whose climatology is cross-fitted: that of a window never saw the window's own weeks.

A climatology fitted to few years takes part of their anomalies for season, so that anomalies of the weeks it was fitted
on are too small, and forget too fast. Anomalies of each block of the training period are therefore taken from the
climatology of the other blocks (cross-fitting: Chernozhukov et al. 2018), as those of the weeks to come will be.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from podnas.baselines.climatology import Climatology
from podnas.config import WindowsConfig
from podnas.windows import Array, Inputs, Training, folds

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # share of the mean square of the predictors


class AnomalyRegression:
    """Climatology plus regressions of each lead and mode on recent anomalies.

    First on the mode's own last anomaly and its mean over the input weeks, by least squares; what remains on the same
    of all modes, by ridge regression, with a penalty chosen by blocked cross-validation.
    """

    def __init__(self, count: int, windows: WindowsConfig) -> None:
        self.count = count
        self.windows = windows

    def fit(self, training: Training) -> Self:
        """Learn from the training weeks and windows."""
        errors = np.zeros(len(PENALTIES))
        for held in folds(training, self.windows):
            self._fit_own(held.fit)
            for place, penalty in enumerate(PENALTIES):
                self._fit_others(penalty)
                errors[place] += ((self.predict(held.validate.inputs) - held.validate.targets) ** 2).sum()
        self.penalty = PENALTIES[int(errors.argmin())]
        self._fit_own(training)
        self._fit_others(self.penalty)
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        recent = _recent(inputs.values - self.climatology.at(inputs.centres))
        forecast: Array = self.climatology.predict(inputs) + self._from_own(recent) + self._from_others(recent)
        return forecast

    def _fit_own(self, training: Training) -> None:
        self.climatology = Climatology(self.count).fit(training)
        values, targets = cross_fitted(training, self.count, self.windows.validation_blocks)
        recent = _recent(values)
        modes = range(targets.shape[2])
        solved = [np.linalg.lstsq(recent[:, :, mode], targets[:, :, mode], rcond=None)[0] for mode in modes]
        self.own = np.stack(solved, axis=2)  # (predictors, leads, modes)
        self.recent, self.remainder = recent, targets - self._from_own(recent)

    def _fit_others(self, penalty: float) -> None:
        flat = self.recent.reshape(len(self.recent), -1)
        gram = flat.T @ flat
        penalised = gram + penalty * np.diag(gram).mean() * np.eye(len(gram))
        self.others = np.linalg.solve(penalised, flat.T @ self.remainder.reshape(len(flat), -1))

    def _from_own(self, recent: Array) -> Array:
        made: Array = np.einsum("npm,plm->nlm", recent, self.own)
        return made

    def _from_others(self, recent: Array) -> Array:
        made: Array = recent.reshape(len(recent), -1) @ self.others
        return made.reshape(-1, *self.own.shape[1:])


def cross_fitted(training: Training, count: int, blocks: int) -> tuple[Array, Array]:
    """Anomalies of inputs and targets of the training windows from climatologies fitted without them.

    The period is cut into blocks; windows that begin in one have the climatology of all weeks but the block's and those
    that its windows reach into.
    """
    weeks = len(training.series)
    places = training.places()
    values, targets = np.empty_like(training.inputs.values), np.empty_like(training.targets)
    for block in range(blocks):
        first, end = block * weeks // blocks, (block + 1) * weeks // blocks
        mine = (places[:, 0] >= first) & (places[:, 0] < end)
        index = np.arange(weeks)
        other = (index < first) | (index >= end + places.shape[1])
        climatology = Climatology(count).fit(training.restrict(other))
        inputs = training.inputs.take(mine)
        values[mine] = inputs.values - climatology.at(inputs.centres)
        targets[mine] = training.targets[mine] - climatology.predict(inputs)
    return values, targets


def _recent(anomalies: Array) -> Array:
    """Predictors (n, 2, modes): the last anomaly, and the mean over the input weeks."""
    return np.stack([anomalies[:, -1], anomalies.mean(axis=1)], axis=1)
