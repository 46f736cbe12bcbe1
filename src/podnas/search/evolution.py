"""Aged (regularised) evolution: Real et al. 2019, asynchronous as in Maulik et al. 2020."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace

from podnas.search.points import mutate, sample, stream
from podnas.search.protocol import Outcome, Trial

Member = tuple[int, dict[str, Any], float]  # trial number, point, loss


class AgedEvolution:
    """Random points until the population is full; then children of the best of a sample, the oldest member dying.

    A child is a copy of its parent with exactly one value changed. A failed trial never enters the population.
    """

    def __init__(self, space: ConfigurationSpace, trials: int, seed: int, population: int, sample_size: int) -> None:
        self.space = space
        self.trials = trials
        self.seed = seed
        self.sample_size = sample_size
        self.population: deque[Member] = deque(maxlen=population)
        self.asked = 0

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` new trials; never has to wait."""
        numbers = range(self.asked, min(self.asked + count, self.trials))
        self.asked += len(numbers)
        return [self._propose(number) for number in numbers]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Take finished trials into the population, first in, first out."""
        for outcome in outcomes:
            if outcome.loss is not None:
                self.population.append((outcome.trial.number, dict(outcome.trial.point), outcome.loss))

    def state(self) -> dict[str, Any]:
        """Number of trials asked for, and the population from oldest to youngest."""
        return {"asked": self.asked, "population": [list(member) for member in self.population]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.asked = state["asked"]
        self.population.clear()
        self.population.extend((number, dict(point), loss) for number, point, loss in state["population"])

    def _propose(self, number: int) -> Trial:
        random = stream(self.seed, number)
        if len(self.population) < (self.population.maxlen or 0):
            return Trial(number, sample(self.space, random))
        drawn = random.choice(len(self.population), size=self.sample_size, replace=False)
        parent, point, _ = min((self.population[i] for i in drawn), key=lambda member: member[2])
        return Trial(number, mutate(self.space, point, random), parent=parent)
