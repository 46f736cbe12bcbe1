"""Archives of Bayesian optimisers: functions of what was told, shared or not, told at once or one by one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ConfigSpace import (
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Float,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    GreaterThanCondition,
    Integer,
)

from podnas.config import BayesConfig, SearchConfig
from podnas.search import build
from podnas.search.archive import RENEWED, Archive
from podnas.search.encoding import Encoding
from podnas.search.protocol import Outcome, Trial

CONFIG = BayesConfig(trees=20, candidates=60, initial=3)


@pytest.fixture(autouse=True, params=[10, RENEWED])
def renewed(request, monkeypatch):
    """Few outcomes after which forests grow on, too."""
    monkeypatch.setattr("podnas.search.archive.RENEWED", request.param)


def space() -> ConfigurationSpace:
    made = ConfigurationSpace()
    made.add([Float("x", (-1.0, 1.0)), Float("y", (-1.0, 1.0)), CategoricalHyperparameter("c", ["a", "b", "c"])])
    return made


def outcomes(count: int) -> list[Outcome]:
    encoding, random = Encoding(space()), np.random.default_rng(0)
    points = [encoding.sample(random) for _ in range(count)]
    trials = [Trial(number, point) for number, point in enumerate(points)]
    return [Outcome(trial, trial.point["x"] ** 2 + (trial.point["c"] != "a")) for trial in trials]


def archive(told: list[list[Outcome]], seed: int = 0) -> Archive:
    made = Archive(Encoding(space()), CONFIG, seed)
    for some in told:
        made.tell(some)
    return made


def suggestion(of: Archive, seed: int = 5) -> np.ndarray:
    return of.suggest(1.0, np.random.default_rng(seed), ())


def test_one_by_one_or_at_once_asked_in_between_or_not_is_the_same():
    told = outcomes(80)
    at_once = archive([told])
    one_by_one = archive([])
    for outcome in told:
        one_by_one.tell([outcome])
        suggestion(one_by_one)
    assert (suggestion(at_once) == suggestion(one_by_one)).all()


def test_told_twice_counts_once():
    told = outcomes(40)
    assert (suggestion(archive([told])) == suggestion(archive([told, told[:10], told]))).all()


def test_restored_from_json_it_suggests_the_same():
    one = archive([[*outcomes(50), Outcome(Trial(99, {"x": 0.0, "y": 0.0, "c": "a"}), None, "broken")]])
    other = archive([])
    other.restore(json.loads(json.dumps(one.state())))
    assert (suggestion(one) == suggestion(other)).all()


def test_neither_told_nor_running_points_are_suggested_again():
    made = ConfigurationSpace()
    made.add(CategoricalHyperparameter("c", ["a", "b", "c"]))
    small = Archive(Encoding(made), CONFIG, 0)
    small.tell([Outcome(Trial(0, {"c": "a"}), 1.0)])
    running = Encoding(made).vectors([{"c": "b"}])[0].tobytes()
    assert Encoding(made).points(small.suggest(1.0, np.random.default_rng(0), {running})[None]) == [{"c": "c"}]


def test_splits_are_renewed_with_each_of_the_first_outcomes_and_seldom_later(monkeypatch):
    def told(count: int, refit: float = 0.2) -> Archive:
        made = Archive(Encoding(space()), CONFIG, 0, refit=refit)
        for one in outcomes(count):
            made.tell([one])
            suggestion(made)
        return made

    monkeypatch.setattr("podnas.search.archive.RENEWED", 40)
    assert (suggestion(told(40)) == suggestion(told(40, refit=0.0))).all()
    assert [told(count).fitted for count in (40, 47, 48, 57, 58)] == [40, 40, 48, 48, 58]


def test_later_outcomes_that_are_better_than_all_are_told_apart():
    made = archive([outcomes(40)])
    made._forest()
    best = made.losses[:40].min()
    line = made._scaled(np.array([best - 0.2, best - 0.1, best, best + 0.1]))
    assert (np.diff(line) > 0).all()
    # the unit of the loss does not matter
    scaled = archive([[Outcome(one.trial, 1e6 * one.loss - 3) for one in outcomes(40)]])
    scaled._forest()
    other = scaled._scaled(1e6 * np.array([best - 0.2, best - 0.1, best, best + 0.1]) - 3)
    np.testing.assert_allclose(line, other, rtol=1e-5)


@pytest.mark.parametrize("known", [[1.0] * 12 + [3.0], [1.0, None, None, None], [1.0 + 1e-6 * k for k in range(40)]])
def test_better_outcomes_are_told_apart_whatever_is_known(known):
    trials = [one.trial for one in outcomes(len(known))]
    made = archive([[Outcome(trial, loss) for trial, loss in zip(trials, known, strict=True)]])
    made._forest()
    of_best, *better = made._scaled(np.array([1.0, 0.9, 0.5, -100.0]))
    if known[1] is not None:
        assert of_best > better[0] > better[1] > better[2] > -40
    assert max(better) < of_best


def test_a_forest_keeps_its_size_however_many_outcomes_there_are():
    made = [Archive(Encoding(space()), CONFIG, 0, largest=30) for _ in range(2)]
    told = outcomes(400)
    made[0].tell(told[:60])
    made[1].tell(told)
    assert made[0]._forest().nodes.shape == made[1]._forest().nodes.shape
    assert made[1].fitted > 395


def test_failed_trials_are_kept_away_from():
    told = outcomes(60)
    broken = [Outcome(one.trial, None, "broken") if one.trial.point["c"] == "a" else one for one in told]
    made = archive([broken])
    suggested = [Encoding(space()).points(suggestion(made, seed)[None])[0]["c"] for seed in range(10)]
    assert suggested.count("a") <= 2


def test_lies_keep_suggestions_apart():
    made = archive([outcomes(40)])
    first = made.suggest(0.0, np.random.default_rng(5), ())
    lied = made.suggest(0.0, np.random.default_rng(5), (), lies=np.array([first] * 50))
    assert made._forest().predict(first[None])[0] <= made._forest().predict(lied[None])[0] + 1e-6
    assert (first != lied).any()


def test_the_unit_of_the_loss_does_not_matter():
    told = outcomes(50)
    scaled = [Outcome(one.trial, 1e6 * one.loss - 3) for one in told]
    assert (suggestion(archive([told])) == suggestion(archive([scaled]))).all()


@pytest.mark.parametrize("algorithm", ["adbo"])
def test_ranks_that_share_an_archive_suggest_what_separate_ones_do(algorithm):
    def run(shared: bool) -> list[dict]:
        config = SearchConfig(algorithm=algorithm, trials=64, bayes=CONFIG)
        common = Archive(Encoding(space()), config.bayes, config.seed) if shared else None
        ranks = [build.build(space(), config, rank, 4, archive=common) for rank in range(4)]
        points = []
        for step in range(40):
            (trial,) = ranks[step % 4].ask(1)
            points.append(trial.point)
            for search in ranks:
                search.tell([Outcome(trial, trial.point["x"] ** 2)])
        return points

    assert run(shared=True) == run(shared=False)


def run_agebo(made: ConfigurationSpace, evolved: list[str], trials: int = 80) -> list[Outcome]:
    config = SearchConfig(algorithm="agebo", trials=trials, population=5, sample=2, bayes=CONFIG)
    search, told = build.build(made, config, evolved=evolved), []
    while asked := search.ask(1):
        told.append(Outcome(asked[0], float(len(told))))
        search.tell(told[-1:])
    return told


def test_agebo_draws_what_the_others_bring_in():
    made = ConfigurationSpace()
    p, c = Integer("p", (0, 10)), CategoricalHyperparameter("c", ["a", "b"])
    made.add([p, c, CategoricalHyperparameter("r", ["u", "v"])])
    made.add(GreaterThanCondition(c, p, 5))
    for outcome in run_agebo(made, ["c", "r"]):
        Configuration(made, values=dict(outcome.trial.point))


def test_agebo_goes_on_where_nothing_evolved_can_change():
    made = ConfigurationSpace()
    made.add([Float("x", (0.0, 1.0)), CategoricalHyperparameter("k", ["a"])])
    assert len(run_agebo(made, ["k"])) == 80


def test_agebo_never_asks_for_a_forbidden_point():
    made = ConfigurationSpace()
    p, q = (CategoricalHyperparameter(name, ["a", "b"]) for name in "pq")
    made.add([p, q, Float("x", (0.0, 1.0))])
    made.add(ForbiddenAndConjunction(ForbiddenEqualsClause(p, "b"), ForbiddenEqualsClause(q, "b")))
    for outcome in run_agebo(made, ["p"]):
        Configuration(made, values=dict(outcome.trial.point))


def test_agebo_children_are_mutants_even_where_all_points_are_known():
    made = ConfigurationSpace()
    made.add([CategoricalHyperparameter(name, ["a", "b", "c"]) for name in "pq"])
    told = run_agebo(made, ["p"])
    for outcome in told:
        if outcome.trial.parent is not None:
            assert outcome.trial.point["p"] != told[outcome.trial.parent].trial.point["p"]
