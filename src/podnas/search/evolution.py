"""Aged (regularised) evolution: Real et al. 2019, asynchronous as in Maulik et al. 2020."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podnas.search.encoding import Encoding
from podnas.search.numbers import Numbers
from podnas.search.points import stream
from podnas.search.protocol import Outcome, Trial

Member = tuple[int, dict[str, Any], float]  # trial number, point, loss


class Population:
    """The last members that finished, first in, first out; a failed trial never enters."""

    def __init__(self, size: int, sample_size: int) -> None:
        self.members: deque[Member] = deque(maxlen=size)
        self.size = size
        self.sample_size = sample_size

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Let finished trials in; the oldest die."""
        for outcome in outcomes:
            if outcome.loss is not None:
                self.members.append((outcome.trial.number, dict(outcome.trial.point), outcome.loss))

    def parent(self, random: np.random.Generator) -> Member | None:
        """The best of a sample drawn without replacement; None until the population is full."""
        if len(self.members) < self.size:
            return None
        drawn = random.choice(self.size, size=self.sample_size, replace=False).tolist()
        return min((self.members[index] for index in drawn), key=lambda member: member[2])

    def state(self) -> list[Any]:
        """Members from the oldest to the youngest, as JSON."""
        return [list(member) for member in self.members]

    def restore(self, members: Sequence[Any]) -> None:
        """The members that `state` gave."""
        self.members.clear()
        self.members.extend((number, dict(point), loss) for number, point, loss in members)


class AgedEvolution:
    """Random points until the population is full; then children of the best of a sample.

    A child is a copy of its parent with exactly one value changed.
    """

    def __init__(self, encoding: Encoding, numbers: Numbers, seed: int, population: int, sample_size: int) -> None:
        self.encoding = encoding
        self.numbers = numbers
        self.seed = seed
        self.population = Population(population, sample_size)

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` new trials; never has to wait."""
        return [self._propose(number) for number in self.numbers.take(count)]

    def begun(self, trials: Sequence[Trial]) -> None:
        """Count trials that are under way elsewhere."""
        for trial in trials:
            self.numbers.note(trial.number)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Take finished trials into the population."""
        self.begun([outcome.trial for outcome in outcomes])
        self.population.take(outcomes)

    def state(self) -> dict[str, Any]:
        """Numbers of the trials so far, and the population from oldest to youngest."""
        return {"numbers": self.numbers.state(), "population": self.population.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.numbers.restore(state["numbers"])
        self.population.restore(state["population"])

    def _propose(self, number: int) -> Trial:
        random = stream(self.seed, number)
        parent = self.population.parent(random)
        if parent is None:
            return Trial(number, self.encoding.sample(random))
        return Trial(number, self.encoding.mutate(parent[1], random), parent=parent[0])
