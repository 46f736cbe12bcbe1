"""Trials of a split: networks of a point, one for each block of training rows, judged on the blocks they have not seen.

What a trial forecasts is kept in a file beside the log, so that an ensemble costs no more training.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podnas import artifacts
from podnas.search.protocol import Outcome, Trial
from podnas.tabular import network, space
from podnas.tabular.folds import Folds
from podnas.tabular.sets import Split
from podnas.windows import Array


@dataclass(frozen=True)
class Forecast:
    """What a trial forecasts, in units of the target."""

    mean: Array  # (training rows,), each by the network that was fitted without it
    sigma: Array
    ahead_mean: Array  # (blocks, scored rows): by each of the networks
    ahead_sigma: Array


class Evaluator:
    """The evaluator of one search (`search.driver`): trains when it is asked for the outcome; one trial at a time."""

    def __init__(self, split: Split, folds: Folds, floor: float, seed: int, folder: Path) -> None:
        """floor: least sigma (standard deviations of the target). folder: where forecasts are kept."""
        self.split, self.folds, self.floor, self.seed, self.folder = split, folds, floor, seed, folder
        self.spread = float(split.target.std())
        self.waiting: list[Trial] = []

    def load(self, timeout_s: float | None = None) -> bool:
        """Nothing has to be made ready."""
        return True

    def submit(self, trial: Trial) -> None:
        """Put a trial on the list."""
        self.waiting.append(trial)

    def finished(self, timeout_s: float | None = None) -> Outcome | None:
        """Train the next trial's networks; raises LookupError where none waits."""
        trial = self.waiting.pop(0)
        started = time.perf_counter()
        try:
            made = self.train(trial)
        except ValueError as error:
            return Outcome(trial, None, str(error), time.perf_counter() - started, ended=time.time())
        keep(self.path(trial), made)
        seconds = time.perf_counter() - started
        return Outcome(trial, self.loss(made), None, seconds, {"rmse": self._rmse(made)}, time.time())

    def train(self, trial: Trial) -> Forecast:
        """What the networks of a trial forecast, the same each time. Raises ValueError where training diverges."""
        lanes = self.folds.lanes
        made = network.Network(space.graph(trial.point, lanes.features.shape[-1]), self.floor)
        seed = (self.seed, trial.number)
        parameters = network.train(made, space.settings(trial.point), lanes.features, lanes.target, seed)
        mean, sigma = lanes.forecast(made, parameters, self.split.features)
        ahead = lanes.forecast(made, parameters, self.split.ahead)
        return Forecast(self.folds.held_out(mean), self.folds.held_out(sigma), *ahead)

    def loss(self, made: Forecast) -> float:
        """Mean negative log likelihood of the training rows, each forecast without it; of standardised targets."""
        z = (self.split.target - made.mean) / made.sigma
        return float((np.log(made.sigma / self.spread) + 0.5 * (z**2 + np.log(2 * np.pi))).mean())

    def _rmse(self, made: Forecast) -> float:
        return float(np.sqrt(((self.split.target - made.mean) ** 2).mean()))

    def path(self, trial: Trial) -> Path:
        """Where a trial's forecasts are kept."""
        return self.folder / f"forecast_{trial.number:05d}.npz"

    def forecast(self, trial: Trial) -> Forecast:
        """What a finished trial forecasts, trained again where its file is gone."""
        if not self.path(trial).exists():
            keep(self.path(trial), self.train(trial))
        return Forecast(**artifacts.read_arrays(self.path(trial))[1])


def keep(path: Path, made: Forecast) -> None:
    """Write a trial's forecasts, whole or not at all."""
    artifacts.write_arrays(path, vars(made), {})
