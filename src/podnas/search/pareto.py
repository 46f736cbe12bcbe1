"""Several objectives at once: the Pareto set, and a search of it from several directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from podnas.search.numbers import Numbers
from podnas.search.protocol import Outcome, Search, Trial

Array = np.ndarray[Any, np.dtype[Any]]
AUGMENTATION = 0.05  # share of the sum in the scalarisation (Knowles 2006)
SPREAD = 0.75  # quantile that is 1 after normalisation: the worst first trials say nothing of the scale


def front(objectives: Array) -> Array:
    """Rows of (n, m) objectives, all to be lowered, that no other row dominates: a mask (n,); NaN is never in it.

    A row dominates another that it is nowhere above and somewhere below; equal rows do not dominate each other.
    """
    values = np.asarray(objectives, dtype=float)
    kept: Array = ~np.isnan(values).any(axis=1)
    for place in np.flatnonzero(kept):
        if kept[place]:
            kept &= ~((values[place] <= values).all(axis=1) & (values[place] < values).any(axis=1))
    return kept


def trade_offs(trials: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Trials of the last step, trained in full, that no other surpasses in both loss and measure, smallest first.

    trials: the table that the search room writes, with a column of the measure. Raises ValueError where it has none.
    """
    if measure not in trials:
        raise ValueError(f"the trials have no column {measure}; run the search with search.second_objective: {measure}")
    last = trials[(trials["step"] == trials["step"].max()) & (trials["budget"] == trials["budget"].max())]
    best: pd.DataFrame = last[front(last[["loss", measure]].to_numpy(float))]
    return best.sort_values([measure, "loss", "number"]).drop_duplicates([measure, "loss"]).reset_index(drop=True)


class Directions:
    """Loss and the logarithm of a measure lowered together: D searches, each of its own weighted sum of the two.

    Search d = 0 … D - 1 minimises the augmented Chebyshev scalarisation max(w·f) + .05 Σ w·f with w = (1 - d/D, d/D)
    (Knowles 2006, ParEGO); the smallest network alone is no aim. Trials are asked of the searches in turn, and every
    outcome is told to all of them. f is normalised by the first `initial` outcomes (their least value is 0, their upper
    quartile 1) and these are told once they are all in, so that no loss that was told ever changes. A trial that
    finished without a measure above 0 counts as failed.
    """

    def __init__(
        self,
        sampler: Callable[[Numbers], Search],
        numbers: Numbers,
        measure: str,
        directions: int = 4,
        initial: int = 10,
    ) -> None:
        self.measure = measure
        self.initial = initial
        self.inners = [sampler(numbers.copy()) for _ in range(directions)]
        self.known: set[int] = set()
        self.asked = numbers.rank  # ranks begin with different directions
        self.held: list[Outcome] = []
        self.bounds: list[list[float]] | None = None  # least value and range of each objective

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` trials, from one search after another; all of them know of each."""
        trials: list[Trial] = []
        for _ in range(count):
            chosen = self.inners[self.asked % len(self.inners)]
            asked = chosen.ask(1)
            self.asked += len(asked)
            self._note(asked, [inner for inner in self.inners if inner is not chosen])
            trials += asked
        return trials

    def begun(self, trials: Sequence[Trial]) -> None:
        """Trials under way elsewhere."""
        self._note([trial for trial in trials if trial.number not in self.known], self.inners)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes with the measure, or failed. Raises ValueError where none of the first `initial` was measured."""
        self.begun([outcome.trial for outcome in outcomes])
        self.held += outcomes
        if self.bounds is None:
            finished = [outcome for outcome in self.held if outcome.loss is not None]
            measured = [outcome for outcome in finished if self._measured(outcome)]
            self._check(finished[: self.initial])
            if len(measured) < self.initial:
                return
            values = [self._objectives(outcome) for outcome in measured]
            low, high = np.min(values, axis=0), np.quantile(values, SPREAD, axis=0)
            self.bounds = [low.tolist(), np.where(high > low, high - low, 1.0).tolist()]
        for outcome in self.held:
            self._tell(outcome)
        self.held = []

    def state(self) -> dict[str, Any]:
        """States of the searches, the bounds, and the outcomes held back until there are bounds."""
        return {
            "inners": [inner.state() for inner in self.inners],
            "known": sorted(self.known),
            "asked": self.asked,
            "held": [asdict(outcome) for outcome in self.held],
            "bounds": self.bounds,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        for inner, part in zip(self.inners, state["inners"], strict=True):
            inner.restore(part)
        self.known, self.asked, self.bounds = set(state["known"]), state["asked"], state["bounds"]
        self.held = [Outcome(**{**record, "trial": Trial(**record["trial"])}) for record in state["held"]]

    def _note(self, trials: Sequence[Trial], inners: Sequence[Search]) -> None:
        self.known.update(trial.number for trial in trials)
        for inner in inners:
            inner.begun(trials)

    def _tell(self, outcome: Outcome) -> None:
        if outcome.loss is not None and not self._measured(outcome):
            outcome = replace(outcome, loss=None, error=f"{self.measure} is missing or not above 0")
        for direction, inner in enumerate(self.inners):
            weight = direction / len(self.inners)
            loss = None if outcome.loss is None else self._scalar(self._objectives(outcome), weight)
            inner.tell([replace(outcome, loss=loss)])

    def _scalar(self, objectives: Array, weight: float) -> float:
        assert self.bounds is not None
        low, spread = np.asarray(self.bounds)
        weighted = np.array([1 - weight, weight]) * (objectives - low) / spread
        return float(weighted.max() + AUGMENTATION * weighted.sum())

    def _measured(self, outcome: Outcome) -> bool:
        return 0 < outcome.measures.get(self.measure, math.nan) < math.inf

    def _check(self, first: Sequence[Outcome]) -> None:
        """One trial without the measure may be chance; where all of the first lack it, nobody measures it."""
        if len(first) == self.initial and not any(self._measured(outcome) for outcome in first):
            raise ValueError(
                f"trial {first[-1].trial.number} has the measures {dict(first[-1].measures)}, and none of the first "
                f"{self.initial} that finished has {self.measure} above 0; a search that lowers {self.measure}, too, "
                "needs it: let the objective return it, or leave search.second_objective out"
            )

    def _objectives(self, outcome: Outcome) -> Array:
        return np.array([outcome.loss, math.log(outcome.measures[self.measure])])
