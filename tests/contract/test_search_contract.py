"""What every search has to keep, whatever its algorithm: one suite, inherited by all."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pytest
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, Float

from podnas.config import SearchConfig
from podnas.networks.space import architecture_space
from podnas.search import build
from podnas.search.protocol import Outcome, Search, Trial

TRIALS = 40


@pytest.fixture(autouse=True)
def grown_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forests that grow on after few outcomes, as they do in long searches."""
    monkeypatch.setattr("podnas.search.archive.RENEWED", 10)


def mixed_space() -> ConfigurationSpace:
    space = ConfigurationSpace()
    space.add([Float(f"x{i}", (-5.0, 5.0)) for i in range(3)])
    space.add([CategoricalHyperparameter(f"c{i}", ["a", "b", "c"]) for i in range(5)])
    return space


def loss(point: Any) -> float:
    """A sphere and a count of wrong letters: minimum 0 at x = 0, all "a"."""
    floats = sum(float(point[f"x{i}"]) ** 2 for i in range(3))
    return floats + 2 * sum(point[f"c{i}"] != "a" for i in range(5))


def run(search: Search, limit: int = 10_000) -> list[Outcome]:
    outcomes: list[Outcome] = []
    while len(outcomes) < limit and (trials := search.ask(1)):
        outcomes.append(Outcome(trials[0], loss(trials[0].point)))
        search.tell(outcomes[-1:])
    return outcomes


class Contract:
    """The suite; a subclass names the algorithm's configuration."""

    config: ClassVar[dict[str, Any]]

    def make(self, seed: int = 0, **changes: Any) -> Search:
        settings = {"trials": TRIALS, "population": 8, "sample": 3, "seed": seed, **self.config, **changes}
        return build.build(mixed_space(), SearchConfig.model_validate(settings))

    def test_same_seed_same_trials(self):
        assert run(self.make(3)) == run(self.make(3))

    def test_other_seed_other_trials(self):
        assert run(self.make(3)) != run(self.make(4))

    def test_it_makes_the_trials_it_was_given_and_ends(self):
        outcomes = run(self.make())
        assert len(outcomes) == self.expected_trials()
        assert self.make().ask(0) == []
        numbers = [outcome.trial.number for outcome in outcomes]
        assert numbers == list(range(len(numbers)))

    def expected_trials(self) -> int:
        return TRIALS

    @pytest.mark.parametrize("after", [0, 1, 7, 20, 39, 41])
    def test_restored_state_continues_identically(self, after):
        whole = run(self.make(5))
        first = self.make(5)
        run(first, limit=after)
        state = json.loads(json.dumps(first.state()))
        second = self.make(5)
        second.restore(state)
        assert run(second) == whole[after:]

    def test_every_point_lies_in_its_space(self):
        space = mixed_space()
        for outcome in run(self.make()):
            configuration = dict(space.get_default_configuration()) | dict(outcome.trial.point)
            for name, value in configuration.items():
                assert space[name].legal_value(value)

    def test_failed_tells_are_taken_and_end_nothing(self):
        search = self.make()
        told = 0
        while trials := search.ask(1):
            failed = trials[0].number % 3 == 0
            search.tell([Outcome(trials[0], None if failed else loss(trials[0].point), "broken" if failed else None)])
            told += 1
        assert told >= TRIALS

    def test_all_trials_failing_ends_the_search(self):
        search = self.make()
        told = 0
        while trials := search.ask(1):
            search.tell([Outcome(trials[0], None, "broken")])
            told += 1
        assert told == TRIALS

    def test_out_of_order_tells_are_taken(self):
        search, waiting, done = self.make(), [], 0
        random = np.random.default_rng(0)
        while True:
            waiting += search.ask(4)
            if not waiting:
                break
            trial = waiting.pop(int(random.integers(len(waiting))))
            search.tell([Outcome(trial, loss(trial.point))])
            done += 1
        assert done == self.expected_trials()

    def elsewhere(self) -> tuple[list[Trial], list[Outcome]]:
        """What another rank or a killed run has begun, and how it ends."""
        trials = self.make(9).ask(5)
        assert len(trials) == 5
        return trials, [Outcome(trial, loss(trial.point)) for trial in trials]

    def test_what_has_begun_elsewhere_counts_and_is_not_proposed_again(self):
        trials, outcomes = self.elsewhere()
        search = self.make()
        search.begun(trials)
        ours = run(search)
        assert not {trial.number for trial in trials} & {outcome.trial.number for outcome in ours}
        assert len(ours) == TRIALS - 5
        search.tell(outcomes)
        assert len(ours) + 5 + len(run(search)) == self.expected_trials()

    def test_after_its_outcome_it_is_the_same_whether_a_trial_was_known_to_have_begun(self):
        trials, outcomes = self.elsewhere()
        known, unknown = self.make(5), self.make(5)
        known.begun(trials)
        known.tell(outcomes)
        unknown.tell(outcomes)
        assert run(known) == run(unknown)

    def test_restored_state_knows_what_has_begun_elsewhere(self):
        trials, outcomes = self.elsewhere()
        first, second = self.make(5), self.make(5)
        first.begun(trials)
        run(first, limit=10)
        second.restore(json.loads(json.dumps(first.state())))
        for search in (first, second):
            run(search, limit=10)
            search.tell(outcomes)
        assert run(first) == run(second)

    def test_points_are_plain_json(self):
        for outcome in run(self.make(), limit=12):
            assert json.loads(json.dumps(dict(outcome.trial.point))) == dict(outcome.trial.point)


class TestRandom(Contract):
    config: ClassVar = {"algorithm": "random"}


class TestEvolution(Contract):
    config: ClassVar = {"algorithm": "evolution"}

    def test_beats_random_in_the_median_of_30_seeds(self):
        def best(algorithm: str, seed: int) -> float:
            return min(o.loss for o in run(self.make(seed, trials=150, algorithm=algorithm)))

        ours, chance = ([best(algorithm, seed) for seed in range(30)] for algorithm in ("evolution", "random"))
        assert np.median(ours) < np.median(chance)

    def test_a_child_differs_from_its_parent_in_exactly_one_value(self):
        outcomes = run(self.make())
        children = [outcome.trial for outcome in outcomes if outcome.trial.parent is not None]
        assert len(children) == TRIALS - 8
        for child in children:
            parent = outcomes[child.parent].trial.point
            assert sum(parent[name] != child.point[name] for name in parent) == 1

    def test_the_oldest_die_first(self):
        search = self.make()
        run(search, limit=25)
        assert [member[0] for member in search.state()["population"]] == list(range(17, 25))


class TestBayes(Contract):
    config: ClassVar = {"algorithm": "bo", "bayes": {"trees": 20, "candidates": 100}}

    def test_beats_random_in_the_median_of_30_seeds(self):
        def best(algorithm: str, seed: int) -> float:
            return min(o.loss for o in run(self.make(seed, trials=60, algorithm=algorithm)))

        ours, chance = (
            [best(algorithm, seed) for seed in range(30)] for algorithm in (self.config["algorithm"], "random")
        )
        assert np.median(ours) < np.median(chance)

    def test_what_is_under_way_is_not_suggested_again(self):
        search = build.build(architecture_space(), SearchConfig(trials=40, **self.config))
        outcomes = [Outcome(trial, float(trial.number)) for trial in search.ask(12)]
        search.tell(outcomes)
        points = [json.dumps(dict(trial.point), sort_keys=True) for trial in search.ask(28)]
        told = {json.dumps(dict(outcome.trial.point), sort_keys=True) for outcome in outcomes}
        assert len(set(points)) == len(points)
        assert not told & set(points)


class TestBayesWithLies(TestBayes):
    config: ClassVar = {"algorithm": "bo", "bayes": {"trees": 20, "candidates": 100, "multipoint": "liar"}}


class TestDecentralised(TestBayes):
    config: ClassVar = {"algorithm": "adbo", "bayes": {"trees": 20, "candidates": 100}}


class TestAgedEvolutionWithBayes(TestBayes):
    config: ClassVar = {"algorithm": "agebo", "bayes": {"trees": 20, "candidates": 100}}


class TestASHA(Contract):
    config: ClassVar = {"algorithm": "asha", "halving": {"least": 0.25, "reduction": 2}}


class TestHyperband(Contract):
    config: ClassVar = {"algorithm": "hyperband", "halving": {"least": 0.25, "reduction": 2, "sampler": "bo"}}


class TwoStepContract(Contract):
    def expected_trials(self) -> int:
        return TRIALS + 8

    def test_the_second_step_repeats_the_best_on_all_windows(self):
        outcomes = run(self.make())
        first, second = outcomes[:TRIALS], outcomes[TRIALS:]
        assert {o.trial.share for o in first} == {0.5}
        assert {o.trial.share for o in second} == {1.0}
        ranked = sorted(first, key=lambda o: o.loss)
        points = [o.trial.point for o in second]
        assert points[0] == ranked[0].trial.point
        assert all(outcomes[o.trial.parent].trial.point == o.trial.point for o in second)
        assert len({json.dumps(dict(point), sort_keys=True) for point in points}) == len(points)

    def test_the_second_step_waits_for_the_first(self):
        search = self.make()
        asked = search.ask(TRIALS + 5)
        assert len(asked) == TRIALS
        assert search.ask(1) == []
        search.tell([Outcome(trial, loss(trial.point)) for trial in asked])
        assert search.ask(1)[0].share == 1.0


class TestTwoStepRandom(TwoStepContract):
    config: ClassVar = {"algorithm": "random", "two_step": {"fraction": 0.5, "top": 0.2}}


class TestTwoStepEvolution(TwoStepContract):
    config: ClassVar = {"algorithm": "evolution", "two_step": {"fraction": 0.5, "top": 0.2}}


def test_architectures_are_searched_by_the_same_suite_of_algorithms():
    search = build.build(architecture_space(), SearchConfig(trials=30, population=10, sample=3))
    while trials := search.ask(1):
        assert isinstance(trials[0], Trial)
        search.tell([Outcome(trials[0], float(sum(v == "identity" for v in trials[0].point.values())))])
    population = search.state()["population"]
    # fewer Identity nodes is better here, and evolution finds it
    assert min(member[2] for member in population) == 0.0


class TestTwoStepBayes(TwoStepContract):
    config: ClassVar = {**TestBayes.config, "two_step": {"fraction": 0.5, "top": 0.2}}


class TestTwoStepDecentralised(TwoStepContract):
    config: ClassVar = {**TestDecentralised.config, "two_step": {"fraction": 0.5, "top": 0.2}}


class TestTwoStepAgedEvolutionWithBayes(TwoStepContract):
    config: ClassVar = {**TestAgedEvolutionWithBayes.config, "two_step": {"fraction": 0.5, "top": 0.2}}
