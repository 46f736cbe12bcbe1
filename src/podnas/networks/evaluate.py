"""The evaluator of a search: trials in, their validation losses out, through the population trainer."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Self

from podnas.networks import population
from podnas.networks.engines import Engine
from podnas.networks.lanes import Lanes
from podnas.networks.population import Arrays, Member
from podnas.networks.recipe import Recipe, network_seed
from podnas.search.protocol import Outcome, Trial
from podnas.windows import Fold


class PopulationEvaluator:
    """Trains one network a trial on a fold; the loss is 1 - validation r2_mean at the last epoch.

    Trial `number` starts from weights of a seed of its own; its budget is the share of the windows, the latest ones.
    """

    def __init__(self, data: Fold, recipe: Recipe, seed: int, engine: Engine, workers: int) -> None:
        self.data = data
        self.recipe = recipe
        self.seed = seed
        self.lanes = Lanes(engine, workers)
        self.refused: deque[Outcome] = deque()
        self.arrays: dict[float, Arrays] = {}

    def submit(self, trial: Trial) -> None:
        """Begin a trial."""
        member = Member(trial.point, network_seed(self.seed, trial.number), self.recipe.settings)
        try:
            job = population.job(member, self._arrays(trial.budget), self.recipe)
        except MemoryError as error:
            self.refused.append(Outcome(trial, None, f"MemoryError: {error}"))
            return
        self.lanes.submit(trial, job)

    def finished(self) -> Outcome:
        """The outcome of the next trial that is done."""
        if self.refused:
            return self.refused.popleft()
        done = self.lanes.finished()
        if done.state.error is not None:
            return Outcome(done.key, None, done.state.error, done.seconds)
        return Outcome(done.key, 1 - done.state.validation_r2(), None, done.seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.lanes.__exit__(*details)

    def _arrays(self, budget: float) -> Arrays:
        if budget not in self.arrays:
            part = replace(self.data, fit=self.data.fit.latest(budget))
            self.arrays[budget] = population.arrays(part, self.recipe)
        return self.arrays[budget]
