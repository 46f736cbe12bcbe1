"""Two-step search (Yu et al. 2023): any search on a part of the training windows, then its best again on all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from podnas.search.protocol import Outcome, Search, Trial


class TwoStep:
    """Step 1 runs `inner` at budget `fraction`; when all its trials are told, step 2 repeats the best `top`.

    Cost relative to one step is about fraction + top / trials, where a trial's cost is linear in its windows.
    """

    def __init__(self, inner: Search, trials: int, fraction: float, top: int) -> None:
        self.inner = inner
        self.trials = trials
        self.fraction = fraction
        self.top = top
        self.told: list[tuple[int, dict[str, Any], float | None]] = []
        self.second_asked = 0

    def ask(self, count: int) -> list[Trial]:
        """Trials of step 1; when all are told, of step 2; between the two, none."""
        first = [replace(trial, budget=self.fraction) for trial in self.inner.ask(count)]
        if first or len(self.told) < self.trials:
            return first
        chosen = self._best()[self.second_asked : self.second_asked + count]
        numbers = range(self.trials + self.second_asked, self.trials + self.second_asked + len(chosen))
        self.second_asked += len(chosen)
        return [Trial(number, point, parent=parent) for number, (parent, point, _) in zip(numbers, chosen, strict=True)]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes of step 1 go on to the inner search; those of step 2 change nothing."""
        first = [outcome for outcome in outcomes if outcome.trial.number < self.trials]
        self.told += [(outcome.trial.number, dict(outcome.trial.point), outcome.loss) for outcome in first]
        self.inner.tell(first)

    def state(self) -> dict[str, Any]:
        """State of both steps."""
        return {
            "inner": self.inner.state(),
            "told": [list(entry) for entry in self.told],
            "second_asked": self.second_asked,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.inner.restore(state["inner"])
        self.told = [(number, dict(point), loss) for number, point, loss in state["told"]]
        self.second_asked = state["second_asked"]

    def _best(self) -> list[tuple[int, dict[str, Any], float]]:
        """The best different points by loss, best first."""
        finished = [(number, point, loss) for number, point, loss in self.told if loss is not None]
        ranked = sorted(finished, key=lambda entry: (entry[2], entry[0]))
        different = {tuple(sorted(entry[1].items())): entry for entry in reversed(ranked)}
        unique = sorted(different.values(), key=lambda entry: (entry[2], entry[0]))
        return unique[: self.top]
