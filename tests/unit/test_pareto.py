"""Several objectives: the Pareto set and its area by hand, and a search that spreads along it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podnas.search.encoding import Encoding
from podnas.search.evolution import AgedEvolution
from podnas.search.halving import ASHA
from podnas.search.numbers import Numbers
from podnas.search.pareto import Directions, front
from podnas.search.protocol import Outcome, Search
from podnas.search.random import RandomSearch
from podnas.search.two_step import TwoStep
from tests.contract import test_search_contract as contract
from tests.contract.test_search_contract import Contract, loss, mixed_space

ENCODING = Encoding(mixed_space())


def parameters(point: Any) -> float:
    """Smaller with larger x0: against the loss, which is least at x0 = 0."""
    return float(np.exp(5 - point["x0"]))


def measured(trial, value, error=None) -> Outcome:
    return Outcome(trial, value, error, measures={"parameters": parameters(trial.point)})


def directions(seed: int = 0, trials: int = contract.TRIALS, rank: int = 0, ranks: int = 1, **changes) -> Directions:
    def sampler(numbers: Numbers) -> Search:
        return AgedEvolution(ENCODING, numbers, seed, 8, 3)

    return Directions(sampler, Numbers(trials, rank, ranks), "parameters", **changes)


class TestDirections(Contract):
    config: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def with_measures(self, monkeypatch):
        monkeypatch.setattr(contract, "Outcome", measured)

    def make(self, seed: int = 0, **changes: Any) -> Search:
        return directions(seed)


def test_front_by_hand():
    # (1, 4), (2, 2) and (4, 1) are best; (3, 2) is behind (2, 2), (4, 4) behind all, and nothing is known of the last
    rows = np.array([[1, 4], [3, 2], [2, 2], [4, 4], [4, 1], [0, np.nan]], dtype=float)
    assert front(rows).tolist() == [True, False, True, False, True, False]


def test_equal_rows_stand_on_the_front_together():
    assert front(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]])).tolist() == [True, True, False]
    assert front(np.empty((0, 2))).tolist() == []


def test_front_of_three_objectives():
    rows = np.array([[1, 1, 3], [1, 3, 1], [3, 1, 1], [3, 3, 3], [1, 1, 4]], dtype=float)
    assert front(rows).tolist() == [True, True, True, False, False]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_every_row_is_on_the_front_or_dominated_by_it(rows):
    values = np.array(rows, dtype=float)
    best = values[front(values)]
    for row in values:
        dominated = ((best <= row).all(axis=1) & (best < row).any(axis=1)).any()
        assert dominated != (best == row).all(axis=1).any()


def test_losses_are_told_once_there_are_bounds_and_never_change():
    search = directions(initial=4)
    trials = search.ask(6)
    told: list[list[Outcome]] = [[] for _ in search.inners]
    for inner, kept in zip(search.inners, told, strict=True):
        inner.tell = kept.extend
    for trial in trials[:3]:
        search.tell([measured(trial, float(trial.number))])
    assert told[0] == []
    search.tell([measured(trials[3], 3.0)])
    assert [o.trial.number for o in told[0]] == [0, 1, 2, 3]
    # direction 0 sees the loss alone: losses 0 1 2 3, least 0, upper quartile 2.25, and the sum counts 1/20 more
    assert [o.loss for o in told[0]] == pytest.approx([1.05 * k / 2.25 for k in range(4)])
    search.tell([measured(trials[4], 9.0)])
    assert told[0][-1].loss == pytest.approx(1.05 * 9 / 2.25)


@pytest.mark.parametrize("measures", [{}, {"parameters": 0.0}, {"parameters": float("inf")}])
def test_a_trial_that_was_not_measured_counts_as_failed(measures):
    search = directions(initial=3)
    trials = search.ask(5)
    told: list[Outcome] = []
    search.inners[0].tell = told.extend
    search.tell([Outcome(trials[0], 0.5, measures=measures)])
    search.tell([measured(trial, float(trial.number)) for trial in trials[1:3]])
    assert told == []
    search.tell([measured(trials[3], 3.0), Outcome(trials[4], 0.1, measures=measures)])
    assert [(o.trial.number, o.loss is None) for o in told] == [
        (0, True),
        (1, False),
        (2, False),
        (3, False),
        (4, True),
    ]
    assert "parameters" in told[0].error
    assert search.ask(1)


def test_a_measure_that_no_trial_has_is_named():
    search = directions(initial=3)
    trials = search.ask(4)
    search.tell([Outcome(trials[0], None, "broken"), *(Outcome(trial, 0.5) for trial in trials[1:3])])
    with pytest.raises(
        ValueError, match=r"trial 3 has the measures \{\}, and none of the first 3 .* above 0; a search"
    ):
        search.tell([Outcome(trials[3], 0.5)])


def test_all_directions_know_of_all_trials():
    searches = [directions(rank=rank, ranks=2) for rank in range(2)]
    numbers = []
    while any(asked := [search.ask(1) for search in searches]):
        for search, other, trials in zip(searches, searches[::-1], asked, strict=True):
            other.begun(trials)
            search.tell([measured(t, loss(t.point)) for t in trials])
            other.tell([measured(t, loss(t.point)) for t in trials])
            numbers += [t.number for t in trials]
    assert sorted(numbers) == list(range(contract.TRIALS))
    assert all(inner.numbers.left() == 0 for search in searches for inner in search.inners)


def hypervolume(objectives, reference):
    """Area that (n, 2) objectives dominate below a reference point; rows that are not below it count nothing."""
    values = objectives[(objectives < np.asarray(reference)).all(axis=1)]
    ordered = values[np.argsort(values[:, 0])]
    heights = np.minimum.accumulate(np.concatenate([[reference[1]], ordered[:, 1]]))
    return float(((reference[0] - ordered[:, 0]) * (heights[:-1] - heights[1:])).sum())


def test_it_covers_more_of_the_front_than_random_search():
    def area(search: Search) -> float:
        outcomes = []
        while trials := search.ask(1):
            outcomes += [measured(trials[0], loss(trials[0].point))]
            search.tell(outcomes[-1:])
        values = np.array([[o.loss, np.log(o.measures["parameters"])] for o in outcomes])
        return hypervolume(values, (80.0, 10.0))

    ours = [area(directions(seed, 200)) for seed in range(10)]
    chance = [area(RandomSearch(ENCODING, Numbers(200), seed)) for seed in range(10)]
    assert np.median(ours) > np.median(chance)


def test_state_with_held_outcomes_is_json():
    search = directions(initial=4)
    search.tell([measured(trial, 1.0) for trial in search.ask(2)])
    other = directions(initial=4)
    other.restore(json.loads(json.dumps(search.state())))
    assert other.held == search.held
    assert other.ask(3) == search.ask(3)


def test_each_direction_may_be_a_ladder_and_both_steps_may_go_around_them():
    def ladder(numbers: Numbers) -> Search:
        return ASHA(lambda lent: RandomSearch(ENCODING, lent, 0), numbers, 2, 1 / 4)

    numbers = Numbers(60)
    search = TwoStep(Directions(ladder, numbers, "parameters"), numbers, 0.5, 6)
    trials = []
    while asked := search.ask(2):
        trials += asked
        search.tell([measured(trial, loss(trial.point) - trial.budget) for trial in asked])
    assert [trial.number for trial in trials] == list(range(66))
    assert {trial.budget for trial in trials if trial.share < 1} == {0.25, 0.5, 1.0}
    parents = [trial.parent for trial in trials if trial.continues]
    assert len(set(parents)) == len(parents) > 10
