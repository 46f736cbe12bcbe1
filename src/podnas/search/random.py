"""Random search: every trial drawn independently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podnas.search.encoding import Encoding
from podnas.search.numbers import Numbers
from podnas.search.points import stream
from podnas.search.protocol import Outcome, Trial


class RandomSearch:
    """Draws points; outcomes change nothing."""

    def __init__(self, encoding: Encoding, numbers: Numbers, seed: int) -> None:
        self.encoding = encoding
        self.numbers = numbers
        self.seed = seed

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` new trials."""
        numbers = self.numbers.take(count)
        return [Trial(number, self.encoding.sample(stream(self.seed, number))) for number in numbers]

    def begun(self, trials: Sequence[Trial]) -> None:
        """Count trials that are under way elsewhere."""
        for trial in trials:
            self.numbers.note(trial.number)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Count finished trials; nothing is learnt."""
        self.begun([outcome.trial for outcome in outcomes])

    def state(self) -> dict[str, Any]:
        """Numbers of the trials so far."""
        return {"numbers": self.numbers.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.numbers.restore(state["numbers"])
