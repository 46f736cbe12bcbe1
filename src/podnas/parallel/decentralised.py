"""Ranks that search together without a manager: each has a search of its own, and is told what all of them found.

A rank asks its own search, evaluates, logs, tells the others and goes on; it waits for nobody. Only where its search
has nothing to propose (between two steps, or at the end) does it listen until something comes. A rank that dies takes
the trials that it had under way with it: the others count them as failed, without logging that, so that the next run
evaluates them. One that was begun TRIES times and never finished has failed for good: it may be what kills the ranks.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from podnas.parallel.exchange import Exchange, Gone, Idle, Message
from podnas.search import log
from podnas.search.driver import Evaluator, Report, Stop, checked, never
from podnas.search.log import Kept, TrialLog
from podnas.search.numbers import Numbers
from podnas.search.protocol import Outcome, Search, Trial

LOG = logging.getLogger("podnas")
LISTEN_S = 0.05  # between two looks at what the others say
LOST = "its rank was lost"


@dataclass(frozen=True)
class Ended:
    """What one rank knows at its end."""

    outcomes: list[Outcome]  # of all ranks and runs, in the order they were heard of; no lost ones
    made: list[int]  # numbers of those that finished in this run, here or elsewhere
    over: bool  # whether the search had nothing left to propose, here


def run(
    search: Search,
    evaluator: Evaluator,
    trial_log: TrialLog,
    exchange: Exchange,
    kept: Kept,
    report: Report,
    lanes: int = 1,
    stop: Stop = never,
    lost: set[int] | None = None,
) -> Ended:
    """Run one rank's part of a search to its end; `kept` is what `trial_log.read_all` gave.

    Outcomes of earlier runs are told in the order they ended; trials that were under way are evaluated again by the
    rank that their number belongs to, the last of TRIES times with no other beside them, and are failed after it. Once
    `stop` says so, no trial is begun and those under way are waited for.
    The others learn of the end, however it comes; closing the exchange is left to the caller. In `lost`, which the
    search may share, stand the ranks that have left or are silent.
    """
    rank = _Rank(search, evaluator, trial_log, exchange, report, stop, set() if lost is None else lost)
    over = done = False
    try:
        with trial_log.releasing():
            rank.resume(kept)
            over = rank.work(lanes)
        done = True
    finally:
        exchange.send([Gone(over, failed=not done)])
    outcomes = list(rank.outcomes.values())
    return Ended(outcomes, [number for number in rank.outcomes if number not in rank.kept], over)


def complete(search: Search, kept: Kept) -> bool:
    """Whether a new search that is told what the logs hold has nothing left to do, nor anything to do again."""
    if kept.running:
        return False
    search.tell(kept.outcomes)
    return not search.ask(1)


class _Rank:
    def __init__(
        self,
        search: Search,
        evaluator: Evaluator,
        trial_log: TrialLog,
        exchange: Exchange,
        report: Report,
        stop: Stop,
        lost: set[int],
    ) -> None:
        self.search, self.evaluator, self.log, self.exchange = search, evaluator, trial_log, exchange
        self.report, self.stop, self.lost = report, stop, lost
        self.outcomes: dict[int, Outcome] = {}  # that really ended, here or elsewhere
        self.kept: set[int] = set()
        self.told: set[int] = set()  # and those that were lost
        self.begun: dict[int, tuple[int, Trial]] = {}  # under way elsewhere, and on which rank
        self.again: deque[Trial] = deque()  # under way in an earlier run, and this rank's
        self.suspects: deque[Trial] = deque()  # those to be tried for the last time, each by itself
        self.under_way: set[int] = set()
        self.present = set(range(exchange.ranks)) - {exchange.rank}
        self.idle: dict[int, int] = {}  # outcomes that a rank with nothing to do knows
        self.announced: int | None = None
        self.news = True  # since the search was asked last
        self.others_over = False  # whether another says that nothing is left

    def resume(self, kept: Kept) -> None:
        """Tell the search what earlier runs found and had under way."""
        for outcome in kept.outcomes:
            self.outcomes[outcome.trial.number] = outcome
            self.report(outcome, True)
        self.kept |= self.outcomes.keys()
        self.told |= self.kept
        self.search.tell(kept.outcomes)
        self.search.begun(kept.running)
        numbers = Numbers(0, self.exchange.rank, self.exchange.ranks)
        for trial in kept.running:
            if not numbers.owns(trial.number):
                self.begun[trial.number] = (trial.number % self.exchange.ranks, trial)
            elif (failed := kept.given_up(trial)) is not None:
                self._record(failed)
            else:
                (self.suspects if kept.last_try(trial) else self.again).append(trial)

    def work(self, lanes: int) -> bool:
        """Evaluate until there is nothing left to do, and return whether there is none for anybody."""
        while True:
            self._listen()
            self._begin(lanes - len(self.under_way))
            if self.under_way:
                self._take()
            elif self.stop():
                return False
            elif self._over(lanes):
                return True
            elif not self.under_way:
                self._wait()

    def _listen(self) -> None:
        heard = self.exchange.receive()
        for rank, message in heard:
            self._note_state(rank, message)
        trials = {
            message.number: (rank, message)
            for rank, message in heard
            if isinstance(message, Trial) and message.number not in self.told and message.number not in self.begun
        }
        if trials:
            self.begun |= trials
            self.search.begun([trial for _, trial in trials.values()])
            self.news = True
        self._tell([message for _, message in heard if isinstance(message, Outcome)])
        for rank, message in heard:
            if isinstance(message, Gone):
                self._lose(rank, "has left")
        for rank in sorted(set(self.exchange.silent()) & self.present):
            self._lose(rank, "is silent and counts as lost")

    def _note_state(self, rank: int, message: Message) -> None:
        self.idle.pop(rank, None)
        if isinstance(message, Gone):
            self.others_over |= message.over
            return
        self.present.add(rank)  # if it counted as lost, it does no longer
        self.lost.discard(rank)
        if isinstance(message, Idle):
            self.idle[rank] = message.known

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        """Take outcomes that ended elsewhere, and tell the search those that it does not know."""
        new: dict[int, Outcome] = {}
        for outcome in outcomes:
            number = outcome.trial.number
            if number not in self.outcomes:
                new[number] = outcome
        for number, outcome in new.items():
            self.outcomes[number] = outcome
            self.begun.pop(number, None)
            self.report(outcome, False)
        self._tell_search([outcome for number, outcome in new.items() if number not in self.told])

    def _tell_search(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            self.told |= {outcome.trial.number for outcome in outcomes}
            self.search.tell(outcomes)
            self.news = True

    def _lose(self, rank: int, why: str) -> None:
        """Go on without a rank: what it has logged counts, what it had under way is lost."""
        if rank not in self.present:
            return
        self.present.remove(rank)
        self.lost.add(rank)
        self.news = True  # the search may go on with what it had paused
        self.idle.pop(rank, None)
        records = log.read_file(log.rank_path(self.log.path.parent, rank))
        self._tell([record for record in records if isinstance(record, Outcome)])
        logged = {record.number: record for record in records if isinstance(record, Trial)}
        held = {number: trial for number, (_, trial) in self.begun.items()}
        lost = [trial for number, trial in (held | logged).items() if self._was_with(rank, number)]
        if lost:
            LOG.warning("rank %d %s, and with it trials %s", rank, why, [trial.number for trial in lost])
        for trial in lost:
            self.begun.pop(trial.number, None)
        self._tell_search([Outcome(trial, None, LOST) for trial in lost])

    def _was_with(self, rank: int, number: int) -> bool:
        """Whether an unfinished trial of a lost rank's log, or one known to be under way, was under way there."""
        if number in self.told or number in self.under_way:
            return False
        if any(trial.number == number for trial in (*self.again, *self.suspects)):
            return False
        return number not in self.begun or self.begun[number][0] == rank

    def _begin(self, count: int) -> None:
        if count <= 0 or self.stop():
            return
        trials = self._next(count)
        if not trials:
            return
        numbers = {trial.number for trial in trials}
        self.under_way |= numbers
        if not self._load():
            self.under_way -= numbers
            return
        self.log.begin(trials)
        self.exchange.send(trials)
        self.announced = None
        for trial in trials:
            self.evaluator.submit(trial)

    def _load(self) -> bool:
        """Before the first trial is begun; the others are listened to, and given signs of life, meanwhile.

        False where no trial may be begun any more by the time that they could be evaluated.
        """
        while not self.evaluator.load(LISTEN_S):
            self._listen()
            if self.stop():
                return False
        return True

    def _next(self, count: int) -> list[Trial]:
        if self.suspects:  # what was under way beside one that kills its rank must not fail with it
            return [] if self.under_way else [self.suspects[0]]
        trials = [self.again.popleft() for _ in range(min(count, len(self.again)))]
        if len(trials) < count and self.news:
            self.news = False
            trials += self.search.ask(count - len(trials))
        return trials

    def _take(self) -> None:
        """Wait for an outcome, as long as nobody else may have something to say."""
        outcome = self.evaluator.finished(LISTEN_S if self.present else None)
        if outcome is None:
            return
        self.under_way.remove(outcome.trial.number)
        if self.suspects and self.suspects[0].number == outcome.trial.number:
            self.suspects.popleft()
        self._record(checked(outcome))

    def _record(self, outcome: Outcome) -> None:
        """Log an outcome of this rank, and tell it the others and the search."""
        if not outcome.ended:
            outcome = replace(outcome, ended=time.time())
        self.log.append(outcome)
        self.exchange.send([outcome])
        self._tell([outcome])

    def _over(self, lanes: int) -> bool:
        """Whether nobody has anything to do any more.

        Where all know as much and have nothing to do, the first of them looks whether a lost rank has left something,
        and if not says so to the others.
        """
        if self.others_over:
            return True
        if not self._agreed() or min(self.present, default=self.exchange.ranks) < self.exchange.rank:
            return False
        self.news = True
        self._begin(lanes)
        return not self.under_way

    def _agreed(self) -> bool:
        return all(self.idle.get(rank) == len(self.outcomes) for rank in self.present)

    def _wait(self) -> None:
        if self.announced != len(self.outcomes):
            self.announced = len(self.outcomes)
            self.exchange.send([Idle(self.announced)])
        time.sleep(LISTEN_S)
