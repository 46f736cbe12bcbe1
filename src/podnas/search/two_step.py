"""Two-step search (Yu et al. 2023): any search on a part of the training windows, then its best again on all."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from podnas.search.numbers import Numbers
from podnas.search.protocol import Outcome, Search, Trial

Finished = tuple[int, dict[str, Any], float, float]  # trial number, point, budget, loss


class TwoStep:
    """Step 1 runs `inner` on a share `fraction` < 1 of the windows; when all have finished, step 2 repeats the best.

    The best `top` are those of the largest budget, then of the least loss; each point counts once. Cost relative to one
    step is about fraction + top / trials, where a trial's cost is linear in its windows. A search that has ended may be
    extended: with more trials, step 1 goes on, and then those of the best that were not yet repeated are.

    Each of several ranks repeats those of the best whose numbers are its own, so that ranks that do not know quite the
    same never repeat one twice. What has begun anywhere is not repeated again; where nothing is under way any more, a
    rank that is asked a second time takes what the others have left.

    numbers: those that `inner` takes its numbers from, or that it has copies of; step 2's are left out there.
    """

    def __init__(self, inner: Search, numbers: Numbers, fraction: float, top: int) -> None:
        self.inner = inner
        self.fraction = fraction
        self.top = top
        self.first = numbers
        # numbers of step 2 follow on those of step 1, however many these are
        self.numbers = Numbers(sys.maxsize, numbers.rank, numbers.ranks)
        self.running: dict[int, int] = {}  # step of each trial under way anywhere
        self.finished: list[Finished] = []  # trials of step 1 that have a loss
        self.repeated: set[str] = set()  # points: one that was promoted since has a new number
        self.chosen: dict[str, Finished] | None = None
        self.still = False

    def ask(self, count: int) -> list[Trial]:
        """Trials of step 1; when all have finished, of step 2; between the two, none."""
        trials = [replace(trial, share=self.fraction) for trial in self.inner.ask(count)]
        if not trials and 1 not in self.running.values():
            trials = self._second(count)
        for trial in trials:
            self._note(trial)
        return trials

    def begun(self, trials: Sequence[Trial]) -> None:
        """Trials under way elsewhere: step 2 waits for those of step 1, and does not repeat what it repeats already."""
        new = [trial for trial in trials if trial.number not in self.numbers.known]
        for trial in new:
            self._note(trial)
        self.inner.begun([trial for trial in new if _step(trial) == 1])
        self.still = False

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes of step 1 go on to the inner search; those of step 2 do not change what is best."""
        for outcome in outcomes:
            self._note(outcome.trial)
            del self.running[outcome.trial.number]
        first = [outcome for outcome in outcomes if _step(outcome.trial) == 1]
        for trial, loss in [(outcome.trial, outcome.loss) for outcome in first]:
            if loss is not None:
                self.finished.append((trial.number, dict(trial.point), trial.budget, loss))
        self.inner.tell(first)
        if first:
            self.chosen = None
        self.still = False

    def state(self) -> dict[str, Any]:
        """State of both steps."""
        return {
            "inner": self.inner.state(),
            "numbers": self.numbers.state(),
            "running": [list(item) for item in self.running.items()],
            "finished": [list(entry) for entry in self.finished],
            "repeated": sorted(self.repeated),
            "still": self.still,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.inner.restore(state["inner"])
        self.numbers.restore(state["numbers"])
        self.running = dict(state["running"])
        self.finished = [(number, dict(point), budget, loss) for number, point, budget, loss in state["finished"]]
        self.repeated = set(state["repeated"])
        self.chosen, self.still = None, state["still"]

    def _note(self, trial: Trial) -> None:
        self.numbers.note(trial.number)
        self.running[trial.number] = _step(trial)
        if _step(trial) == 2:
            self.first.skip(trial.number)
            self.repeated.add(_key(trial.point))

    def _second(self, count: int) -> list[Trial]:
        chosen = self._left()[:count]
        numbers = self.numbers.take(len(chosen))
        return [
            Trial(number, point, parent=parent) for number, (parent, point, *_) in zip(numbers, chosen, strict=True)
        ]

    def _left(self) -> list[Finished]:
        """Entries of the best that this rank is to repeat."""
        if self.chosen is None:
            self.chosen = self._best()
        left = [entry for key, entry in self.chosen.items() if key not in self.repeated]
        ours = [entry for entry in left if self.numbers.owns(entry[0])]
        if ours or self.running:
            return ours
        others, self.still = left if self.still else [], True
        return others

    def _best(self) -> dict[str, Finished]:
        """The best different points, best first."""
        ranked = sorted(self.finished, key=lambda entry: (-entry[2], entry[3], entry[0]))
        different: dict[str, Finished] = {}
        for entry in ranked:
            if len(different) == self.top:
                break
            different.setdefault(_key(entry[1]), entry)
        return different


def _key(point: Mapping[str, object]) -> str:
    return json.dumps(dict(point), sort_keys=True)


def _step(trial: Trial) -> int:
    """Step 2 alone trains on all windows."""
    return 1 if trial.share < 1 else 2
