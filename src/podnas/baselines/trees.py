"""Tree ensembles on lags and season, every lead and mode a target of its own."""

from __future__ import annotations

from typing import Self

from sklearn.ensemble import RandomForestRegressor
from sklearn.multioutput import MultiOutputRegressor
from xgboost import XGBRegressor

from podnas.baselines.linear import lags
from podnas.windows import Array, Inputs, Training


class Trees:
    """A scikit-learn regressor for several targets, fed with lags and annual harmonics."""

    def __init__(self, regressor: RandomForestRegressor | MultiOutputRegressor, count: int) -> None:
        self.regressor = regressor
        self.count = count

    def fit(self, training: Training) -> Self:
        """Learn from the training windows."""
        self.shape = training.targets.shape[1:]
        self.regressor.fit(lags(training.inputs, self.count), training.targets.reshape(len(training.inputs), -1))
        return self

    def predict(self, inputs: Inputs) -> Array:
        """Forecast n windows: (n, leads, modes)."""
        forecast: Array = self.regressor.predict(lags(inputs, self.count))
        return forecast.reshape(-1, *self.shape)


def random_forest(trees: int, count: int, seed: int, threads: int) -> Trees:
    """Random forest, third of the features at each split (Breiman 2001, for regression)."""
    return Trees(RandomForestRegressor(trees, max_features=1 / 3, n_jobs=threads, random_state=seed), count)


def xgboost(rounds: int, count: int, seed: int, threads: int) -> Trees:
    """Gradient boosting, one model a target; shallow trees and a small step, for a few hundred windows."""
    one = XGBRegressor(n_estimators=rounds, max_depth=3, learning_rate=0.05, subsample=0.8, n_jobs=1, random_state=seed)
    return Trees(MultiOutputRegressor(one, n_jobs=threads), count)
