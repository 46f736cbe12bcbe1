"""Probabilities of events from the last anomaly alone (logistic damped persistence), and from season and trend."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.linear_model import LogisticRegression

from podnas.baselines.climatology import Climatology
from podnas.windows import YEAR_DAYS, Array, Inputs, Training, harmonics


class Logistic:
    """Logistic regression of whether an event comes on the last anomaly about the training climatology."""

    def __init__(self, climatology: Climatology) -> None:
        self.climatology = climatology

    def fit(self, training: Training, outcome: Array) -> Self:
        """Learn from windows and their outcomes (n, leads), 0 or 1; ValueError where all of a lead are alike."""
        self.climatology.fit(training)
        rate = outcome.mean(axis=0)
        if ((rate == 0) | (rate == 1)).any():
            lead = int(np.argmax((rate == 0) | (rate == 1))) + 1
            raise ValueError(
                f"all {len(outcome)} training outcomes at lead {lead} are {int(rate[lead - 1])}; no probability can be "
                "fitted to one class: take a longer training period, or another threshold"
            )
        last = self._last(training.inputs)
        # no penalty to speak of: two numbers from a thousand weeks
        self.fitted = [LogisticRegression(C=1e6).fit(last, outcome[:, lead]) for lead in range(outcome.shape[1])]
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Probabilities (n, leads)."""
        last = self._last(inputs)
        return np.stack([one.predict_proba(last)[:, 1] for one in self.fitted], axis=1)

    @property
    def parameters(self) -> int:
        """Numbers fitted, the climatology's left out."""
        return 2 * len(self.fitted)

    def _last(self, inputs: Inputs) -> Array:
        anomaly: Array = inputs.values[:, -1] - self.climatology.at(inputs.centres[:, -1])
        return anomaly


class TrendClimatology:
    """The probability of an event by season and linear trend: logistic regression on the target weeks' dates."""

    def __init__(self, count: int) -> None:
        """count: annual harmonics."""
        self.count = count

    def fit(self, training: Training, outcome: Array) -> Self:
        """Learn from windows' target weeks and their outcomes (n, leads), 0 or 1; ValueError where all are alike."""
        if len(np.unique(outcome)) < 2:
            raise ValueError(
                f"all {outcome.size} training outcomes are {int(outcome.flat[0])}; no probability can be fitted to one "
                "class: take a longer training period, or another threshold"
            )
        self.fitted = LogisticRegression(C=1e6, max_iter=1000)
        self.fitted.fit(self._dates(training.inputs.target_centres), outcome.ravel())
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Probabilities (n, leads)."""
        flat: Array = self.fitted.predict_proba(self._dates(inputs.target_centres))[:, 1]
        return flat.reshape(inputs.target_centres.shape)

    @property
    def parameters(self) -> int:
        """Numbers fitted."""
        return int(self.fitted.coef_.size) + 1

    def _dates(self, centres: Array) -> Array:
        flat = centres.ravel()
        decades = (flat - np.datetime64("2000-01-01")) / np.timedelta64(1, "D") / YEAR_DAYS / 10
        return np.column_stack([harmonics(flat, self.count), decades])
