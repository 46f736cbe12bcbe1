"""Asynchronous successive halving (ASHA, Li et al. 2020) and Hyperband of such ladders (Li et al. 2018).

A trial pauses at its rung. It is promoted as a new trial (`continues`): the evaluator takes its training up where it
stopped or, where that is lost, trains anew to the new budget.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import Any

from podnas.search.numbers import Numbers
from podnas.search.protocol import Outcome, Search, Trial

Sampler = Callable[[Numbers], Search]


def rung_budgets(reduction: int, least: float) -> list[float]:
    """Shares of a full training: least, least · reduction, … and, always, exactly 1."""
    budgets: list[float] = []
    while (budget := least * reduction ** len(budgets)) < 1 - 1e-9:
        budgets.append(budget)
    return [*budgets, 1.0]


class Rung:
    """Trials of one budget that finished, and those of them that this rank may promote."""

    def __init__(self) -> None:
        self.finished: list[tuple[float, int]] = []  # (loss, number) of all ranks, best first; failed: infinite
        self.waiting: list[tuple[float, int]] = []  # a heap: this rank's to promote, not yet good enough

    def take(self, loss: float | None, number: int, ours: bool) -> None:
        """A trial that finished, here or elsewhere."""
        insort(self.finished, (math.inf if loss is None else loss, number))
        if ours and loss is not None:
            heappush(self.waiting, (loss, number))

    def share_out(self, ours: Callable[[int], bool]) -> None:
        """Who promotes which of those that finished has changed."""
        self.waiting = [entry for entry in self.finished if ours(entry[1])]
        heapify(self.waiting)

    def best(self, reduction: int, promoted: set[int]) -> int | None:
        """The best trial not yet promoted, if it is in the top ⌊n / reduction⌋ of the n that finished."""
        while self.waiting and self.waiting[0][1] in promoted:
            heappop(self.waiting)
        top = len(self.finished) // reduction
        good = top > 0 and bool(self.waiting) and self.waiting[0] <= self.finished[top - 1]
        return self.waiting[0][1] if good else None


class Ladder:
    """One bracket: rungs from its first budget up to a full training, and what proposes its new points."""

    def __init__(self, sampler: Sampler, numbers: Numbers, budgets: Sequence[float]) -> None:
        self.budgets = list(budgets)
        self.rungs = [Rung() for _ in budgets]
        # the sampler has no numbers of its own: each of its trials gets the one that the ladder takes for it
        self.lent = Numbers(numbers.trials, numbers.rank, numbers.ranks)
        self.sampler = sampler(self.lent)
        self.started = 0

    def new(self, number: int) -> Trial:
        """A new point at the lowest rung."""
        self.started += 1
        self.lent.next = number
        (trial,) = self.sampler.ask(1)
        return replace(trial, budget=self.budgets[0])

    def rung(self, budget: float) -> int:
        """Place of a budget on the ladder."""
        if budget not in self.budgets:
            raise ValueError(
                f"a trial with budget {budget} is none of this search, whose rungs are {self.budgets}; "
                "continue a search with the reduction and the least budget that it was begun with"
            )
        return self.budgets.index(budget)

    def state(self) -> dict[str, Any]:
        """Finished trials of each rung and the state of the sampler."""
        rungs = [[[None if math.isinf(loss) else loss, number] for loss, number in r.finished] for r in self.rungs]
        return {"rungs": rungs, "sampler": self.sampler.state(), "started": self.started}

    def restore(self, state: Mapping[str, Any], ours: Callable[[int], bool]) -> None:
        """Continue exactly from what `state` gave; this rank may promote the trials that are `ours`."""
        for rung, finished in zip(self.rungs, state["rungs"], strict=True):
            rung.finished = [(math.inf if loss is None else loss, number) for loss, number in finished]
            rung.share_out(ours)
        self.sampler.restore(state["sampler"])
        self.started = state["started"]


class Hyperband:
    """Ladders that begin at different budgets; new points are shared out among them as in Hyperband, without waiting.

    Bracket s = s_max … 1 begins at budget η^-s and gets ⌈(s_max + 1) / (s + 1) · η^s⌉ points in turn; s = 0, full
    trainings of random points that are never stopped, is left out (Optuna leaves it out, too). A free worker promotes
    the best trial that is in the top 1/η of its rung, higher rungs first; without one, it begins a new point.

    Each rank promotes trials of its own only, judged among those of all ranks, so none is promoted twice. Those of a
    rank in `lost`, a set that whoever runs the search changes meanwhile, are shared out among the others by their
    numbers; one may be promoted twice only while ranks differ in who is lost. A ladder's sampler is told of every point
    once, its loss at the lowest rung: losses of different budgets do not compare.
    """

    def __init__(
        self, sampler: Sampler, numbers: Numbers, reduction: int, least: float, lost: AbstractSet[int] = frozenset()
    ) -> None:
        budgets = rung_budgets(reduction, least)
        highest = len(budgets) - 1
        brackets = range(highest, min(highest, 1) - 1, -1)  # with the full budget alone, there is s = 0 only
        weights = [math.ceil(len(budgets) / (s + 1) * reduction**s) for s in brackets]
        ladders = [Ladder(sampler, numbers, budgets[highest - s :]) for s in brackets]
        self._begin(numbers, reduction, ladders, weights, lost)

    def _begin(
        self, numbers: Numbers, reduction: int, ladders: list[Ladder], weights: Sequence[int], lost: AbstractSet[int]
    ) -> None:
        self.numbers = numbers
        self.lost = lost
        self.shared_out: AbstractSet[int] = frozenset()  # lost ranks whose trials have been shared out
        self.left: list[int] = list(range(numbers.ranks))  # the other ranks
        self.reduction = reduction
        self.ladders = ladders
        self.weights = weights
        self.place: dict[int, int] = {}  # ladder of each trial that has begun
        self.promoted: set[int] = set()
        self.points: dict[int, Mapping[str, Any]] = {}  # of finished trials of all ranks that may be promoted

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` trials; never has to wait."""
        return [self._next(number) for number in self.numbers.take(count)]

    def begun(self, trials: Sequence[Trial]) -> None:
        """Trials under way elsewhere: their parents are not promoted here."""
        for trial in trials:
            if trial.number not in self.place:
                ladder = self.ladders[self._place(trial)]
                self.numbers.note(trial.number)
                if not trial.continues:
                    ladder.started += 1
                    ladder.sampler.begun([trial])

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Judge finished trials at their rungs; a failed one counts there and is never promoted."""
        for outcome in outcomes:
            trial = outcome.trial
            self.begun([trial])
            ladder = self.ladders[self.place[trial.number]]
            if outcome.loss is not None and trial.number not in self.promoted:
                self.points[trial.number] = trial.point
            ladder.rungs[ladder.rung(trial.budget)].take(outcome.loss, trial.number, self._ours(trial.number))
            if not trial.continues:
                ladder.sampler.tell([outcome])

    def state(self) -> dict[str, Any]:
        """Rungs, samplers, and what was promoted."""
        return {
            "numbers": self.numbers.state(),
            "place": [list(item) for item in self.place.items()],
            "promoted": sorted(self.promoted),
            "points": [[number, dict(point)] for number, point in self.points.items()],
            "ladders": [ladder.state() for ladder in self.ladders],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.numbers.restore(state["numbers"])
        self.place = dict(state["place"])
        self.promoted = set(state["promoted"])
        self.points = {number: dict(point) for number, point in state["points"]}
        for ladder, part in zip(self.ladders, state["ladders"], strict=True):
            ladder.restore(part, self._ours)

    def _next(self, number: int) -> Trial:
        promotion = self._promotion()
        if promotion is not None:
            parent, budget = promotion
            trial = Trial(number, self.points[parent], budget, parent=parent, continues=True)
            self._place(trial)
            return trial
        chosen = min(range(len(self.ladders)), key=lambda place: self.ladders[place].started / self.weights[place])
        self.place[number] = chosen
        return self.ladders[chosen].new(number)

    def _ours(self, number: int) -> bool:
        """Whether a trial is this rank's to promote, if it is good enough."""
        if number not in self.points:
            return False
        if number % self.numbers.ranks not in self.shared_out:
            return self.numbers.owns(number)
        return self.left[number // self.numbers.ranks % len(self.left)] == self.numbers.rank

    def _share_out(self) -> None:
        """Take this rank's part of the trials of lost ranks; give them back where one is heard of again."""
        self.shared_out = frozenset(self.lost) - {self.numbers.rank}
        self.left = [rank for rank in range(self.numbers.ranks) if rank not in self.shared_out]
        for ladder in self.ladders:
            for rung in ladder.rungs:
                rung.share_out(self._ours)

    def _promotion(self) -> tuple[int, float] | None:
        """The trial to promote, and to which budget."""
        if self.lost != self.shared_out:
            self._share_out()
        for ladder in self.ladders:
            for rung, budget in reversed(list(zip(ladder.rungs, ladder.budgets[1:], strict=False))):
                parent = rung.best(self.reduction, self.promoted)
                if parent is not None:
                    return parent, budget
        return None

    def _place(self, trial: Trial) -> int:
        """Note the ladder of a trial, and the parent that it promotes."""
        if trial.continues and trial.parent is not None:
            self.promoted.add(trial.parent)
            self.points.pop(trial.parent, None)
            place = self.place.get(trial.parent, 0)
        else:
            first = [ladder.budgets[0] for ladder in self.ladders]
            place = first.index(trial.budget) if trial.budget in first else 0
        self.place[trial.number] = place
        return place


class ASHA(Hyperband):
    """Asynchronous successive halving: one ladder from budget `least` up to a full training."""

    def __init__(
        self, sampler: Sampler, numbers: Numbers, reduction: int, least: float, lost: AbstractSet[int] = frozenset()
    ) -> None:
        self._begin(numbers, reduction, [Ladder(sampler, numbers, rung_budgets(reduction, least))], [1], lost)
