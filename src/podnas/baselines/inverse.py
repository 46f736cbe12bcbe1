"""Linear inverse model (Penland & Sardeshmukh 1995, eq. 3–5): one propagator, applied once a week of lead."""

from __future__ import annotations

from typing import Self

import numpy as np

from podnas.baselines.climatology import Climatology
from podnas.windows import Array, Inputs, Training


class LinearInverseModel:
    """Anomalies from the training climatology, advanced by the least-squares one-week propagator."""

    def __init__(self, climatology: Climatology) -> None:
        self.climatology = climatology

    def fit(self, training: Training) -> Self:
        """Estimate the propagator G (modes, modes) from consecutive training weeks: a(t + 1) = G a(t)."""
        self.climatology.fit(training)
        self.leads = training.targets.shape[1]
        anomaly = training.series - self.climatology.at(training.series_centres)
        consecutive = training.segment[1:] == training.segment[:-1]
        before, after = anomaly[:-1][consecutive], anomaly[1:][consecutive]
        self.propagator = np.linalg.lstsq(before, after, rcond=None)[0].T
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        anomaly = inputs.values[:, -1] - self.climatology.at(inputs.centres[:, -1])
        advanced = []
        for _ in range(self.leads):
            anomaly = anomaly @ self.propagator.T
            advanced.append(anomaly)
        forecast: Array = self.climatology.predict(inputs) + np.stack(advanced, axis=1)
        return forecast
