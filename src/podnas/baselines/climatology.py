"""The seasonal cycle of the training weeks as a forecast, with or without a linear trend."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.linear_model import LinearRegression

from podnas.windows import YEAR_DAYS, Array, Inputs, Training, harmonics


class Climatology:
    """Least-squares fit of annual harmonics (and, if `trend`, of time) to each mode's training weeks."""

    def __init__(self, count: int, trend: bool = False) -> None:
        self.count = count
        self.trend = trend
        self.regression = LinearRegression()

    def fit(self, training: Training) -> Self:
        """Learn from the training weeks."""
        self.regression.fit(self._features(training.series_centres), training.series)
        return self

    def at(self, centres: Array) -> Array:
        """Climatology at dates (…): (…, modes)."""
        flat: Array = self.regression.predict(self._features(centres.ravel()))
        return flat.reshape(*centres.shape, -1)

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        return self.at(inputs.target_centres)

    def _features(self, centres: Array) -> Array:
        season = harmonics(centres, self.count)
        if not self.trend:
            return season
        years = (centres - np.datetime64("2000-01-01")) / np.timedelta64(1, "D") / YEAR_DAYS
        return np.column_stack([season, years])
