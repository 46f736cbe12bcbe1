"""What every search algorithm offers. An algorithm does no I/O, no timing, no training: it is asked and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Trial:
    """One evaluation to make."""

    number: int
    point: Mapping[str, object]
    budget: float = 1.0  # share of the training windows
    parent: int | None = None  # trial it was mutated from, or the first-step trial it repeats


@dataclass(frozen=True)
class Outcome:
    """What a trial gave: a loss to be lowered, or None and the error of a trial that failed."""

    trial: Trial
    loss: float | None
    error: str | None = None
    seconds: float = 0.0


class Search(Protocol):
    """An ask/tell search. Equal seeds, equal tells in equal order: equal trials."""

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` new trials; fewer, or none, when the search has to wait for outcomes or is over."""
        ...

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes of trials that were asked for, in the order they finished; failed ones included."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything the search knows, as JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        ...
