"""Ranks that search together: they agree on what was found, who is lost harms nobody, a killed search loses nothing."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace, Float

from podnas.parallel import decentralised
from podnas.parallel.exchange import Alone, FolderExchange, Gone, Heard, Idle, Message
from podnas.search import log
from podnas.search.encoding import Encoding
from podnas.search.evolution import AgedEvolution
from podnas.search.log import Kept, TrialLog
from podnas.search.numbers import Numbers
from podnas.search.protocol import Outcome, Trial
from podnas.search.random import RandomSearch
from podnas.search.two_step import TwoStep

SPACE = ConfigurationSpace(space=[Float("x", (0, 1)), Float("y", (0, 1))])
IDENTITY = {"search": "a"}
TRIALS = 40


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """A killed process loses nothing that it wrote; waiting for the disk takes most of the time of these tests."""
    monkeypatch.setattr(log.os, "fsync", lambda _: None)


def loss(trial: Trial) -> float:
    return trial.point["x"] ** 2 + trial.point["y"]


def evolution(rank: int = 0, ranks: int = 1) -> AgedEvolution:
    return AgedEvolution(Encoding(SPACE), Numbers(TRIALS, rank, ranks), 0, 5, 2)


def two_step(rank: int = 0, ranks: int = 1) -> TwoStep:
    numbers = Numbers(12, rank, ranks)
    return TwoStep(RandomSearch(Encoding(SPACE), numbers, 0), numbers, 0.5, 4)


class Immediate:
    """Evaluates one of the trials under way, drawn at random, when asked for an outcome."""

    def __init__(self, seed: int, die_at: int | None = None, takes_s: float = 0.0) -> None:
        self.takes_s = takes_s
        self.random = np.random.default_rng(seed)
        self.waiting: list[Trial] = []
        self.made: list[int] = []
        self.die_at = die_at

    def load(self, timeout_s: float | None = None) -> bool:
        return True

    def submit(self, trial: Trial) -> None:
        self.waiting.append(trial)

    def finished(self, timeout_s: float | None = None) -> Outcome:
        if len(self.made) == self.die_at:
            raise KeyboardInterrupt
        time.sleep(self.takes_s)
        trial = self.waiting.pop(int(self.random.integers(len(self.waiting))))
        self.made.append(trial.number)
        return Outcome(trial, loss(trial), seconds=1.0)


def quiet(outcome: Outcome, kept: bool) -> None:
    """Report nothing."""


def alone(folder: Path, evaluator: Immediate, search=None, lanes: int = 3, stop=lambda: False):
    trial_log = TrialLog(log.rank_path(folder, 0), IDENTITY)
    kept = trial_log.read_all()
    search = search or evolution()
    return decentralised.run(search, evaluator, trial_log, Alone(), kept, quiet, lanes, stop), kept


def together(folder: Path, ranks: int, make=evolution, run: str = "1", evaluators=None) -> list[decentralised.Ended]:
    """All ranks as threads of this process, telling each other through the folder."""
    logs = [TrialLog(log.rank_path(folder, rank), IDENTITY) for rank in range(ranks)]
    kept = [trial_log.read_all() for trial_log in logs]

    def one(rank: int) -> decentralised.Ended:
        exchange = FolderExchange(folder, rank, ranks, run, kept[rank].ends, silent_s=30, poll_s=0.01)
        evaluator = evaluators[rank] if evaluators else Immediate(rank)
        return decentralised.run(make(rank, ranks), evaluator, logs[rank], exchange, kept[rank], quiet, 2)

    with ThreadPoolExecutor(ranks) as threads:
        return list(threads.map(one, range(ranks)))


def numbers(outcomes: Sequence[Outcome]) -> list[int]:
    return [outcome.trial.number for outcome in outcomes]


def logged(folder: Path) -> Counter[int]:
    records = [record for file in folder.glob(log.LOGS) for record in log.read_file(file)]
    return Counter(record.trial.number for record in records if isinstance(record, Outcome))


def test_one_rank_makes_all_trials_once(tmp_path):
    ended, _ = alone(tmp_path, Immediate(0))
    assert sorted(numbers(ended.outcomes)) == list(range(TRIALS))
    assert ended.over
    assert ended.made == numbers(ended.outcomes)


def test_all_ranks_know_all_outcomes_and_each_logs_its_own(tmp_path):
    # trials take longer than news does, as everywhere but in tests
    ended = together(tmp_path, 4, evaluators=[Immediate(rank, takes_s=0.1) for rank in range(4)])
    known = [{outcome.trial.number: outcome.loss for outcome in one.outcomes} for one in ended]
    assert known[0] == known[1] == known[2] == known[3]
    assert logged(tmp_path) == dict.fromkeys(known[0], 1)
    # ranks that begin the last ones at the same time do not know it
    assert TRIALS <= len(known[0]) < TRIALS + 4 * 2
    for rank in range(4):
        records = log.read_file(log.rank_path(tmp_path, rank))
        assert {record.number % 4 for record in records if isinstance(record, Trial)} <= {rank}


def test_a_second_step_waits_for_the_first_of_all_ranks_and_repeats_no_trial_twice(tmp_path):
    ended = together(tmp_path, 3, two_step, evaluators=[Immediate(rank, takes_s=0.1) for rank in range(3)])
    table = log.table(ended[0].outcomes, two_steps=True)
    first, second = table[table.step == 1], table[table.step == 2]
    best = set(first.sort_values(["loss", "number"]).number[:4])
    assert set(second.parent) == best
    assert second.parent.is_unique
    assert first.ended.max() <= second.ended.min()


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (4, 2)])
def test_a_search_is_continued_by_another_number_of_ranks(tmp_path, before, after):
    dying = [Immediate(rank, die_at=4) for rank in range(before)]
    with pytest.raises(KeyboardInterrupt):
        together(tmp_path, before, evaluators=dying)
    kept = log.merge(tmp_path)
    assert kept.running
    evaluators = [Immediate(rank) for rank in range(after)]
    ended = together(tmp_path, after, run="2", evaluators=evaluators)
    made = sorted(number for evaluator in evaluators for number in evaluator.made)
    assert not {*made} & {*numbers(kept.outcomes)}
    # what was under way is made again, as the same trial
    again = {outcome.trial.number: outcome.trial for outcome in ended[0].outcomes}
    assert all(again[trial.number] == trial for trial in kept.running)
    assert set(logged(tmp_path).values()) == {1}
    assert len(logged(tmp_path)) >= TRIALS


def test_fifty_kills_lose_no_trial_and_make_none_twice(tmp_path):
    random = np.random.default_rng(1)
    for kill in range(50):
        folder = tmp_path / str(kill)
        made: list[int] = []
        over = False
        while not over:
            search, evaluator = evolution(), Immediate(kill, die_at=int(random.integers(1, 40)))
            try:
                over = alone(folder, evaluator, search)[0].over
            except KeyboardInterrupt:
                assert evaluator.made
            made += evaluator.made
        assert sorted(made) == list(range(TRIALS))
        assert logged(folder) == dict.fromkeys(made, 1)
        # the population that was rebuilt, perhaps more than once, is that of an undisturbed search
        undisturbed = evolution()
        undisturbed.tell(log.merge(folder).outcomes)
        assert search.state()["population"] == undisturbed.state()["population"]


def test_a_limit_ends_the_search_cleanly(tmp_path):
    evaluator = Immediate(0)
    ended, _ = alone(tmp_path, evaluator, lanes=3, stop=lambda: len(evaluator.made) >= 10)
    assert not ended.over
    assert len(ended.outcomes) == 12  # those under way were waited for
    assert not log.merge(tmp_path).running
    ended, _ = alone(tmp_path, Immediate(1))
    assert ended.over
    assert sorted(numbers(ended.outcomes)) == list(range(TRIALS))


class Killed(BaseException):
    """The process is gone, and writes nothing more."""


class Deadly(Immediate):
    """A process that one of the trials kills as soon as it is begun."""

    def submit(self, trial: Trial) -> None:
        super().submit(trial)
        if trial.number == 4:
            raise Killed


def test_a_trial_that_kills_its_process_fails_after_three_tries_and_no_other_with_it(tmp_path):
    for tries in range(1, log.TRIES + 1):
        with pytest.raises(Killed):
            alone(tmp_path, Deadly(0))
        assert log.merge(tmp_path).tries[4] == tries
    ended, _ = alone(tmp_path, Deadly(0))
    assert ended.over
    (failed,) = (outcome for outcome in log.merge(tmp_path).outcomes if outcome.loss is None)
    assert failed.trial.number == 4
    assert "begun 3 times and never finished" in failed.error
    assert logged(tmp_path) == dict.fromkeys(range(TRIALS), 1)


def test_a_run_that_ends_in_good_order_counts_against_none_of_its_trials(tmp_path):
    for _ in range(log.TRIES + 1):
        with pytest.raises(KeyboardInterrupt):
            alone(tmp_path, Immediate(0, die_at=0))
        kept = log.merge(tmp_path)
        assert numbers_of(kept.running) == [0, 1, 2]
        assert set(kept.tries.values()) == {0}
    ended, _ = alone(tmp_path, Immediate(0))
    assert all(outcome.loss is not None for outcome in ended.outcomes)


def test_nothing_is_begun_before_trials_can_be_evaluated(tmp_path):
    class Slow(Immediate):
        asked = 0

        def load(self, timeout_s: float | None = None) -> bool:
            self.asked += 1
            assert not log.merge(tmp_path).running
            if self.asked == 3:
                raise ValueError("no such module")
            return False

    with pytest.raises(ValueError, match="no such module"):
        alone(tmp_path, Slow(0))
    assert not log.merge(tmp_path).running


def test_no_trial_is_begun_where_the_time_is_over_before_it_can_be(tmp_path):
    class Slow(Immediate):
        asked = 0

        def load(self, timeout_s: float | None = None) -> bool:
            self.asked += 1
            assert self.asked <= 3
            return False

    slow = Slow(0)
    ended, _ = alone(tmp_path, slow, stop=lambda: slow.asked == 3)
    assert not ended.over
    assert not log.merge(tmp_path).running


def numbers_of(trials: Sequence[Trial]) -> list[int]:
    return [trial.number for trial in trials]


def test_the_other_ranks_learn_that_a_trial_was_given_up(tmp_path):
    trial_log = TrialLog(log.rank_path(tmp_path, 0), IDENTITY)
    (trial,) = evolution(0, 2).ask(1)
    for _ in range(log.TRIES):
        trial_log.begin([trial])
    other = Scripted([])
    beside(tmp_path, other, evolution)
    (told,) = (message for message in other.sent if isinstance(message, Outcome) and message.trial == trial)
    assert told.loss is None


def test_a_search_is_complete_when_nothing_is_left_or_under_way(tmp_path):
    alone(tmp_path, Immediate(0), stop=lambda: True)
    assert not decentralised.complete(evolution(), log.merge(tmp_path))
    alone(tmp_path, Immediate(0))
    kept = log.merge(tmp_path)
    assert decentralised.complete(evolution(), kept)
    assert not decentralised.complete(evolution(), replace(kept, running=[Trial(99, {})]))


class Scripted:
    """Another rank, of which is heard what the test says, a list a call; then it is silent."""

    rank, ranks = 0, 2

    def __init__(self, *heard: Sequence[Message]) -> None:
        self.heard = list(heard)
        self.sent: list[Message] = []

    def send(self, messages: Sequence[Message]) -> None:
        self.sent += messages

    def receive(self) -> list[Heard]:
        return [(1, message) for message in self.heard.pop(0)] if self.heard else []

    def silent(self) -> set[int]:
        return set() if self.heard else {1}

    def close(self) -> None:
        pass


def beside(folder: Path, other: Scripted, make=two_step, kept: Kept | None = None) -> decentralised.Ended:
    trial_log = TrialLog(log.rank_path(folder, 0), IDENTITY)
    given = kept or trial_log.read_all()
    return decentralised.run(make(0, 2), Immediate(0), trial_log, other, given, quiet, 1)


def test_the_trial_of_a_lost_rank_does_not_keep_the_second_step_waiting(tmp_path):
    (theirs,) = two_step(1, 2).ask(1)
    ended = beside(tmp_path, Scripted([theirs], []))
    steps = [1 if outcome.trial.share < 1 else 2 for outcome in ended.outcomes]
    assert (steps.count(1), steps.count(2)) == (11, 4)
    # it is lost here, and stays to be made by the next run
    assert theirs.number not in numbers(ended.outcomes)
    assert theirs.number not in logged(tmp_path)


def test_the_search_learns_who_is_lost_and_who_is_back(tmp_path):
    lost: set[int] = set()
    seen = []

    class Asked(AgedEvolution):
        def ask(self, count: int) -> list[Trial]:
            seen.append(set(lost))
            return super().ask(count)

    class Back(Scripted):
        calls = 0

        def silent(self) -> set[int]:
            self.calls += 1
            return {1} if self.calls in (2, 3) or not self.heard else set()

    (theirs,) = evolution(1, 2).ask(1)
    trial_log = TrialLog(log.rank_path(tmp_path, 0), IDENTITY)
    search = Asked(Encoding(SPACE), Numbers(TRIALS, 0, 2), 0, 5, 2)
    other = Back([], [], [], [theirs], [], [])
    decentralised.run(search, Immediate(0), trial_log, other, trial_log.read_all(), quiet, 1, lost=lost)
    kinds = [key for key, _ in itertools.groupby(seen)]
    assert kinds == [set(), {1}, set(), {1}]


def test_what_a_lost_rank_has_logged_counts(tmp_path):
    first, second = two_step(1, 2).ask(2)
    theirs = TrialLog(log.rank_path(tmp_path, 1), IDENTITY)
    kept = TrialLog(log.rank_path(tmp_path, 0), IDENTITY).read_all()
    theirs.begin([first, second])
    theirs.append(Outcome(first, 0.25, ended=5.0))
    ended = beside(tmp_path, Scripted([first], []), kept=kept)
    assert {outcome.trial.number: outcome.loss for outcome in ended.outcomes}[first.number] == 0.25
    assert second.number not in numbers(ended.outcomes)


def test_an_outcome_that_comes_twice_or_after_its_rank_was_lost_counts_once(tmp_path):
    search = evolution(1, 2)
    first, second = search.ask(2)
    told: list[int] = []

    class Noting(AgedEvolution):
        def tell(self, outcomes: Sequence[Outcome]) -> None:
            told.extend(numbers(outcomes))
            super().tell(outcomes)

    def noting(rank: int, ranks: int) -> AgedEvolution:
        return Noting(Encoding(SPACE), Numbers(TRIALS, rank, ranks), 0, 5, 2)

    class Back(Scripted):
        calls = 0

        def silent(self) -> set[int]:
            self.calls += 1
            return {1} if self.calls == 2 or not self.heard else set()

    one, two = (Outcome(trial, 0.5, ended=1.0) for trial in (first, second))
    ended = beside(tmp_path, Back([first, second, one, one], [], [one], [two], []), noting)
    assert Counter(told) == dict.fromkeys(told, 1)
    assert {first.number, second.number} <= set(told)
    assert numbers(ended.outcomes).count(second.number) == 1


def test_a_failed_evaluator_tells_the_others_that_its_rank_leaves(tmp_path):
    other = Scripted([], [])
    trial_log = TrialLog(log.rank_path(tmp_path, 0), IDENTITY)
    with pytest.raises(KeyboardInterrupt):
        decentralised.run(evolution(0, 2), Immediate(0, die_at=0), trial_log, other, trial_log.read_all(), quiet)
    assert other.sent[-1] == Gone(over=False, failed=True)


def folder_exchange(folder: Path, rank: int, run: str = "1", silent_s: float = 30.0) -> FolderExchange:
    return FolderExchange(folder, rank, 2, run, {}, silent_s, poll_s=0.0)


def test_a_line_that_is_not_whole_is_heard_when_it_is(tmp_path):
    trial = evolution().ask(1)[0]
    writer = TrialLog(log.rank_path(tmp_path, 1), IDENTITY)
    writer.begin([trial])
    exchange = folder_exchange(tmp_path, 0)
    assert exchange.receive() == [(1, trial)]
    line = log.encode(Outcome(trial, 1.0)) + b"\n"
    with writer.path.open("ab", buffering=0) as stream:
        stream.write(line[:30])
        assert exchange.receive() == []
        stream.write(line[30:])
    assert exchange.receive() == [(1, Outcome(trial, 1.0))]
    assert exchange.receive() == []


def test_what_another_says_of_itself_is_heard_once_and_after_its_trials(tmp_path):
    trial = evolution().ask(1)[0]
    mine, theirs = folder_exchange(tmp_path, 0), folder_exchange(tmp_path, 1)
    writer = TrialLog(log.rank_path(tmp_path, 1), IDENTITY)
    writer.append(Outcome(trial, 1.0))
    theirs.send([Outcome(trial, 1.0)])
    theirs.send([Idle(1)])
    assert mine.receive() == [(1, Outcome(trial, 1.0)), (1, Idle(1))]
    assert mine.receive() == []
    theirs.send([Gone(True)])
    assert mine.receive() == [(1, Idle(1)), (1, Gone(True))]
    assert mine.silent() == mine.lost() == set()
    mine.close()  # waits for nobody


def test_a_rank_that_leaves_with_an_error_is_lost(tmp_path):
    mine, theirs = folder_exchange(tmp_path, 0), folder_exchange(tmp_path, 1)
    theirs.send([Gone(False, failed=True)])
    assert mine.receive() == [(1, Gone(False, failed=True))]
    assert mine.silent() == set()
    assert mine.lost() == {1}


def test_signs_of_an_earlier_run_mean_nothing(tmp_path):
    folder_exchange(tmp_path, 1, run="0").send([Gone(True)])
    assert folder_exchange(tmp_path, 0).receive() == []


def test_a_rank_that_never_speaks_is_silent(tmp_path):
    folder_exchange(tmp_path, 1, run="0")
    exchange = folder_exchange(tmp_path, 0, silent_s=0.0)
    exchange.receive()
    assert exchange.silent() == {1}
    # and is not, once it does
    folder_exchange(tmp_path, 1)
    exchange = folder_exchange(tmp_path, 0)
    exchange.receive()
    assert exchange.silent() == set()


def test_ranks_in_threads_do_not_wait_for_a_slow_one(tmp_path):
    """One rank evaluates its first trial until the others have made all that they can."""
    made = threading.Semaphore(0)

    class Slow(Immediate):
        def finished(self, timeout_s: float | None = None) -> Outcome | None:
            if not self.made and not made.acquire(timeout=timeout_s):
                return None
            return super().finished(timeout_s)

    class Fast(Immediate):
        def finished(self, timeout_s: float | None = None) -> Outcome:
            outcome = super().finished(timeout_s)
            if len(self.made) == 30:
                made.release()
            return outcome

    ended = together(tmp_path, 2, evaluators=[Slow(0), Fast(1)])
    owners = Counter(outcome.trial.number % 2 for outcome in ended[0].outcomes)
    assert owners[1] >= 30
    assert sorted(numbers(ended[0].outcomes)) == sorted(numbers(ended[1].outcomes))
