"""What every search algorithm offers. An algorithm does no I/O, no timing, no training: it is asked and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Trial:
    """One evaluation to make. Its number is its own among the trials of all ranks."""

    number: int
    point: Mapping[str, object]
    budget: float = 1.0  # share of a full training (epochs)
    share: float = 1.0  # share of the training windows
    parent: int | None = None  # trial it was mutated from, or that it repeats on more windows or for longer
    continues: bool = False  # whether the parent's training is gone on with


@dataclass(frozen=True)
class Outcome:
    """What a trial gave: a loss to be lowered, or None and the error of a trial that failed."""

    trial: Trial
    loss: float | None
    error: str | None = None
    seconds: float = 0.0  # of a worker
    measures: Mapping[str, float] = field(default_factory=dict)  # parameters, inference_seconds, …
    ended: float = 0.0  # Unix time


class Search(Protocol):
    """An ask/tell search. Equal seeds, equal tells in equal order: equal trials.

    Several ranks may each have a search of their own: they use different numbers, and each is told all outcomes.
    """

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` new trials; fewer, or none, when the search has to wait for outcomes or is over."""
        ...

    def begun(self, trials: Sequence[Trial]) -> None:
        """Trials that are under way without having been asked for here: another rank's, or a killed run's."""
        ...

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes in the order they finished, failed ones included; each once, of whichever rank."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything the search knows, as JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        ...
