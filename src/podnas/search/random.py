"""Random search: every trial drawn independently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace

from podnas.search.points import sample, stream
from podnas.search.protocol import Outcome, Trial


class RandomSearch:
    """Draws `trials` points; outcomes change nothing."""

    def __init__(self, space: ConfigurationSpace, trials: int, seed: int) -> None:
        self.space = space
        self.trials = trials
        self.seed = seed
        self.asked = 0

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` new trials."""
        numbers = range(self.asked, min(self.asked + count, self.trials))
        self.asked += len(numbers)
        return [Trial(number, sample(self.space, stream(self.seed, number))) for number in numbers]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing is learnt."""

    def state(self) -> dict[str, Any]:
        """Number of trials asked for."""
        return {"asked": self.asked}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.asked = state["asked"]
