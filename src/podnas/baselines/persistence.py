"""The last observed week carried forward, whole or as a damped anomaly."""

from __future__ import annotations

from typing import Self

import numpy as np

from podnas.baselines.climatology import Climatology
from podnas.windows import Array, Inputs, Training


class Persistence:
    """Every lead repeats the last input week."""

    def fit(self, training: Training) -> Self:
        """Nothing to learn but the number of leads."""
        self.leads = training.targets.shape[1]
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        return np.repeat(inputs.values[:, -1:], self.leads, axis=1)


class AnomalyPersistence:
    """Climatology plus the last anomaly."""

    def __init__(self, climatology: Climatology) -> None:
        self.climatology = climatology

    def fit(self, training: Training) -> Self:
        """Learn the climatology."""
        self.climatology.fit(training)
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        last = inputs.values[:, -1] - self.climatology.at(inputs.centres[:, -1])
        forecast: Array = self.climatology.predict(inputs) + last[:, None]
        return forecast


class DampedPersistence:
    """Climatology plus the last anomaly times one regression coefficient per lead and mode, fitted on training."""

    def __init__(self, climatology: Climatology) -> None:
        self.climatology = climatology

    def fit(self, training: Training) -> Self:
        """Regress target anomalies on the last input anomaly, through the origin."""
        self.climatology.fit(training)
        last = self._anomaly(training.inputs)
        target = training.targets - self.climatology.predict(training.inputs)
        self.damping = np.einsum("nm,nlm->lm", last, target) / np.einsum("nm,nm->m", last, last)
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        forecast: Array = self.climatology.predict(inputs) + self.damping * self._anomaly(inputs)[:, None]
        return forecast

    def _anomaly(self, inputs: Inputs) -> Array:
        anomaly: Array = inputs.values[:, -1] - self.climatology.at(inputs.centres[:, -1])
        return anomaly
