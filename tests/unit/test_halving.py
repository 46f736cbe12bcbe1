"""Successive halving: who goes on, at which budget, and that no trial goes on twice, on any number of ranks."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.stats

from podnas.config import BayesConfig, SearchConfig
from podnas.search.archive import Archive
from podnas.search.bayes import BayesianOptimisation
from podnas.search.build import build
from podnas.search.encoding import Encoding
from podnas.search.evolution import AgedEvolution
from podnas.search.halving import ASHA, Hyperband, rung_budgets
from podnas.search.numbers import Numbers
from podnas.search.protocol import Outcome, Search, Trial
from podnas.search.random import RandomSearch
from tests.contract import test_search_contract as contract
from tests.contract.test_search_contract import Contract, loss, mixed_space

ENCODING = Encoding(mixed_space())


def sampler(name: str, seed: int):
    def make(numbers: Numbers) -> Search:
        if name == "evolution":
            return AgedEvolution(ENCODING, numbers, seed, 8, 3)
        if name == "bo":
            config = BayesConfig(initial=5, trees=10, candidates=50)
            archive = Archive(ENCODING, config, seed)
            return BayesianOptimisation(ENCODING, numbers, seed, config, archive)
        return RandomSearch(ENCODING, numbers, seed)

    return make


def asha(
    trials: int = 40,
    seed: int = 0,
    rank: int = 0,
    ranks: int = 1,
    name: str = "random",
    kind=ASHA,
    reduction=2,
    lost=frozenset(),
):
    return kind(sampler(name, seed), Numbers(trials, rank, ranks), reduction, 1 / 4, lost)


class Halved(Contract):
    """The contract of all searches; `kind` and `name` say which ladders and which sampler."""

    config: ClassVar[dict[str, Any]] = {}
    kind: ClassVar = ASHA
    name: ClassVar = "random"

    def make(self, seed: int = 0, **changes: Any) -> Search:
        return asha(changes.get("trials", contract.TRIALS), seed, name=self.name, kind=self.kind)


class TestASHA(Halved):
    pass


class TestASHAWithEvolution(Halved):
    name = "evolution"


class TestASHAWithBayes(Halved):
    name = "bo"


class TestHyperband(Halved):
    kind = Hyperband


@pytest.fixture(scope="module")
def curves():
    """Measured learning curves of 2,048 architectures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        return importlib.import_module("problems").sc20()


def best(problem, algorithm: str, seed: int, trainings: float) -> float:
    """Least loss of a full training, once as many epochs were spent as so many of them take."""
    search = build(problem.space, SearchConfig(algorithm=algorithm, seed=seed, trials=10_000))
    budgets: dict[int | None, float] = {}
    losses = []
    while True:
        (trial,) = search.ask(1)
        budgets[trial.number] = trial.budget
        trainings -= trial.budget - (budgets[trial.parent] if trial.continues else 0.0)
        if trainings < 0:
            return min(losses)
        value = problem.objective(trial.point, trial.budget)
        losses += [value] if trial.budget == 1 else []
        search.tell([Outcome(trial, value)])


@pytest.mark.parametrize("algorithm", ["asha", "hyperband"])
def test_it_beats_random_search_at_equal_cost_over_30_seeds(curves, algorithm):
    ours, chance = ([best(curves, name, seed, 20.0) for seed in range(30)] for name in (algorithm, "random"))
    assert np.median(ours) < np.median(chance)
    assert scipy.stats.mannwhitneyu(ours, chance, alternative="less").pvalue < 0.01


def finish(search: Search, trials: list[Trial], losses: list[float | None]) -> None:
    search.tell(
        [Outcome(t, value, None if value is not None else "broken") for t, value in zip(trials, losses, strict=True)]
    )


def test_rungs_end_with_a_full_training():
    assert rung_budgets(4, 1 / 16) == [1 / 16, 1 / 4, 1.0]
    assert rung_budgets(3, 1 / 27)[-1] == 1.0
    assert len(rung_budgets(3, 1 / 27)) == 4
    assert rung_budgets(4, 0.1) == [0.1, 0.4, 1.0]
    assert rung_budgets(2, 1.0) == [1.0]


def test_the_best_half_goes_on_as_soon_as_it_is_known():
    search = asha()
    # four at the lowest rung; nothing is promoted of one trial, the best of two and three, two of four
    first = search.ask(4)
    finish(search, first[:1], [0.5])
    assert not search.ask(1)[0].continues
    finish(search, first[1:2], [0.9])
    (promoted,) = search.ask(1)
    assert promoted == Trial(5, first[0].point, 0.5, 1.0, first[0].number, True)
    finish(search, first[2:3], [0.1])
    # rank 1 of 3 is trial 2, and ⌊3/2⌋ = 1
    assert search.ask(1)[0].parent == 2
    finish(search, first[3:], [0.2])
    assert search.ask(1)[0].parent == 3
    # both of ⌊4/2⌋ = 2 best have gone on, and so did trial 0
    assert not search.ask(1)[0].continues


def test_higher_rungs_come_first():
    search = asha()
    first = search.ask(4)
    finish(search, first, [0.1, 0.2, 0.3, 0.4])
    second = search.ask(2)
    assert [(t.parent, t.budget) for t in second] == [(0, 0.5), (1, 0.5)]
    more = search.ask(2)
    finish(search, [*second, *more], [0.05, 0.06, 0.01, 0.02])
    top = search.ask(2)
    # the best of two at budget 1/2 before the new best at budget 1/4
    assert [(t.parent, t.budget) for t in top] == [(4, 1.0), (6, 0.5)]
    # at a full training there is nowhere to go on to
    finish(search, top[:1], [0.0])
    assert all(t.parent != top[0].number for t in search.ask(20))


def test_failed_trials_count_at_their_rung_and_never_go_on():
    search = asha()
    first = search.ask(4)
    finish(search, first, [None, None, None, 0.7])
    # ⌊4/2⌋ = 2 may go on, and one has a loss
    assert [t.parent for t in search.ask(3) if t.continues] == [3]


def test_it_never_waits():
    for kind in (ASHA, Hyperband):
        search = asha(200, kind=kind)
        assert len(search.ask(150)) == 150
        assert len(search.ask(150)) == 50


def test_a_trial_of_another_ladder_is_refused():
    search = asha()
    with pytest.raises(ValueError, match=r"budget 0\.3 is none of this search.*continue a search with the reduction"):
        search.tell([Outcome(Trial(7, {}, budget=0.3), 0.1)])


def test_the_sampler_learns_from_the_lowest_rung_only():
    search = asha(name="evolution")
    outcomes = []
    while trials := search.ask(1):
        outcomes.append(Outcome(trials[0], loss(trials[0].point) - trials[0].budget))
        search.tell(outcomes[-1:])
    (ladder,) = search.state()["ladders"]
    lowest = [o for o in outcomes if o.trial.budget == 0.25]
    assert [entry[0] for entry in ladder["sampler"]["population"]] == [o.trial.number for o in lowest][-8:]
    children = [o.trial for o in lowest if o.trial.parent is not None]
    assert children
    assert not any(child.continues for child in children)


def test_hyperband_shares_points_out_among_its_brackets():
    # reduction 4 from 1/16: 16 and ⌈3/2 · 4⌉ = 6 points begin at 1/16 and 1/4, none at a full training
    search = Hyperband(sampler("random", 0), Numbers(1000), 4, 1 / 16)
    assert Counter(t.budget for t in search.ask(44)) == {1 / 16: 32, 1 / 4: 12}


def test_hyperband_of_full_trainings_alone_is_its_sampler():
    search = Hyperband(sampler("random", 0), Numbers(1000), 4, 1.0)
    assert {t.budget for t in search.ask(10)} == {1.0}


def test_brackets_judge_their_own_trials_only():
    search = asha(kind=Hyperband)
    trials = search.ask(20)
    # the trials of the second bracket are better than all of the first
    finish(search, trials, [t.number + (0.0 if t.budget == 0.5 else 100.0) for t in trials])
    started = Counter(t.budget for t in trials)
    promoted = Counter(t.budget for t in search.ask(20) if t.continues)
    assert promoted[0.5] == started[0.25] // 2
    assert promoted[1.0] == started[0.5] // 2


class World:
    """Ranks with a trial under way each, in random order; messages arrive at once, or late and in order."""

    def __init__(self, ranks: int, seed: int, kind=ASHA, trials: int = 120, late: bool = False, logged=()) -> None:
        self.random = np.random.default_rng(seed)
        self.lost: list[set[int]] = [set() for _ in range(ranks)]  # as each rank knows it
        self.searches = [asha(trials, 3, rank, ranks, "random", kind, lost=self.lost[rank]) for rank in range(ranks)]
        self.dead: set[int] = set()
        self.mail: list[list[list[Any]]] = [[[] for _ in range(ranks)] for _ in range(ranks)]
        self.late = late
        self.logged: list[Outcome] = []
        self.begun: dict[int, Trial] = {}
        self.running: list[Trial | None] = [None] * ranks
        for search in self.searches:
            search.tell(logged)

    def send(self, rank: int, news: Trial | Outcome) -> None:
        for other in range(len(self.searches)):
            if other != rank:
                self.mail[rank][other].append(news)

    def receive(self, rank: int) -> None:
        for box in self.mail:
            count = int(self.random.integers(len(box[rank]) + 1)) if self.late else len(box[rank])
            for news in box[rank][:count]:
                self.searches[rank].begun([news]) if isinstance(news, Trial) else self.searches[rank].tell([news])
            del box[rank][:count]

    def step(self, rank: int) -> None:
        search = self.searches[rank]
        self.receive(rank)
        trial = self.running[rank]
        if trial is not None:
            outcome = Outcome(trial, None if self.random.random() < 0.1 else loss(trial.point) / trial.budget)
            search.tell([outcome])
            self.logged.append(outcome)
            self.send(rank, outcome)
        asked = search.ask(1)
        self.running[rank] = asked[0] if asked else None
        for new in asked:
            assert new.number not in self.begun
            self.begun[new.number] = new
            self.send(rank, new)

    def run(self, steps: int = 100_000) -> None:
        for _ in range(steps):
            rank = int(self.random.integers(len(self.searches)))
            if rank not in self.dead:
                self.step(rank)
            if not any(self.running) and not any(search.numbers.left() for search in self.searches):
                return

    def die(self, rank: int) -> None:
        """What has arrived of its trials stays, what it had under way counts as failed."""
        self.dead.add(rank)
        trial, self.running[rank] = self.running[rank], None
        for other, search in enumerate(self.searches):
            if other != rank:
                self.receive(other)
                self.lost[other].add(rank)
                search.tell([Outcome(trial, None, "its rank was lost")] if trial else [])
        self.searches[rank] = self.searches[rank - 1]  # knows no more of how many are left


def check(begun: list[Trial], logged: list[Outcome]) -> None:
    """Each trial goes on at most once, to the next budget, with the same point; failed ones never."""
    losses = {o.trial.number: o.loss for o in logged}
    trials = {t.number: t for t in begun}
    parents = [t.parent for t in begun if t.continues]
    assert max(Counter(parents).values()) == 1
    for trial in begun:
        if trial.continues:
            assert losses[trial.parent] is not None
            assert trials[trial.parent].budget * 2 == trial.budget
            assert trials[trial.parent].point == trial.point


@pytest.mark.parametrize("kind", [ASHA, Hyperband])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_ranks_share_the_work_and_none_goes_on_twice(kind, late, ranks):
    world = World(ranks, seed=1, kind=kind, late=late)
    world.run()
    check(list(world.begun.values()), world.logged)
    assert len(world.begun) >= 120
    # each rank may begin one more before it hears that enough have begun
    assert len(world.begun) <= 120 + (ranks * 20 if late else 0)
    for trial in world.begun.values():
        if trial.continues:
            assert trial.parent % ranks == trial.number % ranks
    assert {t.budget for t in world.begun.values()} == {0.25, 0.5, 1.0}


@pytest.mark.parametrize("kind", [ASHA, Hyperband])
def test_the_others_go_on_with_what_a_lost_rank_had_paused(kind):
    orphans = []
    for seed in range(6):
        world = World(3, seed, kind)
        world.run(steps=60)
        world.die(1)
        before = set(world.begun)
        world.run()
        check(list(world.begun.values()), world.logged)
        after = [trial for number, trial in world.begun.items() if number not in before]
        assert {trial.number % 3 for trial in after} == {0, 2}
        orphans += [trial for trial in after if trial.continues and trial.parent % 3 == 1]
    assert orphans


@pytest.mark.parametrize("kind", [ASHA, Hyperband])
def test_what_a_lost_rank_had_paused_is_shared_out_among_the_others(kind):
    lost: set[int] = set()
    searches = [asha(1000, rank=rank, ranks=3, kind=kind, lost=lost) for rank in range(3)]
    trials = [trial for search in searches for trial in search.ask(8)]
    # those of the third rank are the best third, and the best half goes on
    for search in searches:
        search.tell([Outcome(trial, trial.number / 1000 - trial.number % 3) for trial in trials])
    lost.add(2)
    promoted = [[t.parent for t in search.ask(16) if t.continues and t.parent % 3 == 2] for search in searches[:2]]
    assert sorted(promoted[0] + promoted[1]) == [trial.number for trial in trials if trial.number % 3 == 2]
    assert min(map(len, promoted)) >= 3


def test_a_rank_that_is_heard_of_again_has_its_trials_back():
    lost = {1}
    heir, owner = asha(rank=0, ranks=2, lost=lost), asha(rank=1, ranks=2)
    trials = owner.ask(4)
    outcomes = [Outcome(trial, loss(trial.point)) for trial in trials]
    for search in (heir, owner):
        search.tell(outcomes)
    state = json.loads(json.dumps(heir.state()))
    assert [t.parent % 2 for t in heir.ask(2) if t.continues] == [1, 1]
    lost.clear()
    heir.restore(state)
    assert not any(t.continues for t in heir.ask(2))
    assert [t.parent % 2 for t in owner.ask(2) if t.continues] == [1, 1]


@pytest.mark.parametrize("kind", [ASHA, Hyperband])
@pytest.mark.parametrize("seed", range(8))
def test_after_a_kill_another_number_of_ranks_goes_on(kind, seed):
    first = World(3, seed, kind)
    first.run(steps=30 + 10 * seed)
    second = World(2 + seed % 4, seed, kind, logged=first.logged)
    # those that were running are made again by the rank whose number it is
    lost = [trial for trial in first.running if trial is not None]
    for search in second.searches:
        search.begun(lost)
    for trial in lost:
        outcome = Outcome(trial, loss(trial.point) / trial.budget)
        first.logged.append(outcome)
        for search in second.searches:
            search.tell([outcome])
    second.run()
    assert not set(first.begun) & set(second.begun)
    assert len(first.begun) + len(second.begun) == 120
    check([*first.begun.values(), *second.begun.values()], [*first.logged, *second.logged])


def test_the_order_of_tells_changes_nothing_in_the_end():
    def parents(order: list[int]) -> set[int]:
        search = asha(100)
        trials = search.ask(32)
        search.tell([Outcome(trials[k], loss(trials[k].point)) for k in order])
        return {t.parent for t in search.ask(40) if t.continues}

    random = np.random.default_rng(0)
    expected = parents(list(range(32)))
    assert len(expected) == 16
    assert all(parents(random.permutation(32).tolist()) == expected for _ in range(5))


def test_state_is_json_without_infinities():
    search = asha()
    finish(search, search.ask(3), [None, 0.1, 0.2])
    text = json.dumps(search.state(), allow_nan=False)
    other = asha()
    other.restore(json.loads(text))
    assert other.ask(5) == search.ask(5)
