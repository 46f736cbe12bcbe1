"""The driver: ask, submit, log, tell; after a kill, what the log holds is not made again.

A trial that was begun TRIES times and never finished has failed for good, its last time with no other beside it.

A fixed number of trials (lanes) is under way. Trials are told in the order of their numbers, and one is asked for after
each, so that what a search proposes depends on the lanes but not on which worker was faster, nor on how many there are.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from podnas.search.log import TrialLog
from podnas.search.protocol import Outcome, Search, Trial

Report = Callable[[Outcome, bool], None]  # an outcome, and whether an earlier run made it
Stop = Callable[[], bool]  # whether no more trials are to be begun


class Evaluator(Protocol):
    """Trials go in and come out as outcomes, in any order; what fails is an outcome with an error."""

    def load(self, timeout_s: float | None = None) -> bool:
        """Make ready for the first trial; False where that takes longer. Raises ValueError where it cannot be done."""
        ...

    def submit(self, trial: Trial) -> None:
        """Begin a trial."""
        ...

    def finished(self, timeout_s: float | None = None) -> Outcome | None:
        """The outcome of the next trial that is done; waits for it, and gives None where the time is over before.

        Raises LookupError where none is under way.
        """
        ...


def never() -> bool:
    """A search without limit."""
    return False


def run(
    search: Search, evaluator: Evaluator, log: TrialLog, report: Report, lanes: int = 1, stop: Stop = never
) -> list[Outcome]:
    """Run a search to its end and return all its outcomes in the order of their numbers.

    Once `stop` says so, no more are begun: what the log holds is taken, those under way are waited for and returned
    with the others.
    """
    with log.releasing():
        return _Run(search, evaluator, log, report, stop).outcomes(lanes)


def checked(outcome: Outcome) -> Outcome:
    """The outcome; a failed one where its loss is no finite number."""
    if outcome.loss is None or math.isfinite(outcome.loss):
        return outcome
    return replace(outcome, loss=None, error=f"the loss is {outcome.loss}: training diverged")


class _Run:
    def __init__(self, search: Search, evaluator: Evaluator, log: TrialLog, report: Report, stop: Stop) -> None:
        self.search, self.evaluator, self.log, self.report, self.stop = search, evaluator, log, report, stop
        self.earlier = log.read_kept()
        self.kept = {outcome.trial.number: outcome for outcome in self.earlier.outcomes}
        self.interrupted = {trial.number: trial for trial in self.earlier.running}
        self.left = set(self.kept)  # not asked for yet
        self.under_way: deque[Trial] = deque()  # asked for and not yet told
        self.waiting: deque[Trial] = deque()  # of these, not yet submitted
        self.submitted: dict[int, Trial] = {}  # and not yet finished
        self.refused: set[int] = set()  # asked for when no more were to be begun
        self.over = False
        self.done: dict[int, Outcome] = {}

    def outcomes(self, lanes: int) -> list[Outcome]:
        told = []
        self._ask(lanes)
        while self.under_way:
            trial = self.under_way.popleft()
            if trial.number in self.refused:
                self.over = True  # without its outcome, the search would ask for others than those in the log
                continue
            while trial.number not in self.done:
                self._take()
            outcome = self.done.pop(trial.number)
            self.search.tell([outcome])
            told.append(outcome)
            self._ask(lanes - len(self.under_way))
        return told

    def _ask(self, count: int) -> None:
        stopped = self.stop()
        if self.over or (stopped and not self.left):
            return
        for trial in self.search.ask(count):
            self.under_way.append(trial)
            if trial.number in self.kept:
                self.left.discard(trial.number)
                self.done[trial.number] = self._kept(trial)
                self.report(self.done[trial.number], True)
            elif stopped:
                self.refused.add(trial.number)
            else:
                self._check(trial, self.interrupted.get(trial.number, trial))
                self.waiting.append(trial)
        self._begin()

    def _begin(self) -> None:
        """Submit what waits, as far as it may begin now."""
        trials: list[Trial] = []
        while self.waiting and self._free(self.waiting[0], trials):
            trial = self.waiting.popleft()
            failed = self.earlier.given_up(trial)
            if failed is None:
                trials.append(trial)
            else:
                self._record(failed)
        if trials:
            self.evaluator.load()
            self.log.begin(trials)
        for trial in trials:
            self.submitted[trial.number] = trial
            self.evaluator.submit(trial)

    def _free(self, trial: Trial, beside: Sequence[Trial]) -> bool:
        """Whether a trial may begin: beside others only where it is no one's last try."""
        others = [*self.submitted.values(), *beside]
        return not others or not any(map(self.earlier.last_try, [trial, *others]))

    def _kept(self, trial: Trial) -> Outcome:
        outcome = self.kept[trial.number]
        self._check(trial, outcome.trial)
        return outcome

    def _check(self, trial: Trial, logged: Trial) -> None:
        if trial != logged:
            raise ValueError(
                f"{self.log.path}: trial {trial.number} is not what this search asks for at its place; the log was "
                "edited or written by other code; move it away to begin anew"
            )

    def _take(self) -> None:
        outcome = self.evaluator.finished()
        if outcome is None:
            return
        del self.submitted[outcome.trial.number]
        self._record(checked(outcome))
        self._begin()

    def _record(self, outcome: Outcome) -> None:
        self.log.append(outcome)
        self.done[outcome.trial.number] = outcome
        self.report(outcome, False)
