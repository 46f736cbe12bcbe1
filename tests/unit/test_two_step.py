"""Two-step search: what is repeated, by which rank, and when; around any search."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from podnas.config import SearchConfig
from podnas.search import build, steps
from podnas.search.encoding import Encoding
from podnas.search.evolution import AgedEvolution
from podnas.search.halving import ASHA
from podnas.search.numbers import Numbers
from podnas.search.protocol import Outcome, Search, Trial
from podnas.search.random import RandomSearch
from podnas.search.two_step import TwoStep
from tests.contract import test_search_contract as contract
from tests.contract.test_search_contract import TwoStepContract, loss, mixed_space

ENCODING = Encoding(mixed_space())
TRIALS, TOP = contract.TRIALS, 8


def two_step(rank: int = 0, ranks: int = 1, algorithm: str = "random", seed: int = 0, trials: int = TRIALS) -> TwoStep:
    numbers = Numbers(trials, rank, ranks)
    inner: Search = RandomSearch(ENCODING, numbers, seed)
    if algorithm == "evolution":
        inner = AgedEvolution(ENCODING, numbers, seed, 8, 3)
    if algorithm == "asha":
        inner = ASHA(lambda lent: RandomSearch(ENCODING, lent, seed), numbers, 2, 1 / 4)
    return TwoStep(inner, numbers, 0.5, TOP)


class TestAroundEvolution(TwoStepContract):
    config: ClassVar[dict[str, Any]] = {}

    def make(self, seed: int = 0, **changes: Any) -> Search:
        return two_step(algorithm="evolution", seed=seed)


class TestAroundHalving(contract.Contract):
    def make(self, seed: int = 0, **changes: Any) -> Search:
        return two_step(algorithm="asha", seed=seed)

    def expected_trials(self) -> int:
        return TRIALS + TOP


def tell(searches: list[TwoStep], trials: list[Trial], failing: tuple[int, ...] = ()) -> list[Outcome]:
    outcomes = [
        Outcome(t, None, "broken") if t.number in failing else Outcome(t, loss(t.point) - t.budget) for t in trials
    ]
    for search in searches:
        search.tell(outcomes)
    return outcomes


def test_around_halving_the_best_of_the_largest_budget_are_repeated():
    search = two_step(algorithm="asha")
    first: list[Outcome] = []
    while (trials := search.ask(1)) and trials[0].share < 1:
        first += tell([search], trials)
    second = [*trials, *search.ask(TOP)]
    assert len(second) == TOP
    assert {(t.budget, t.share, t.continues) for t in second} == {(1.0, 1.0, False)}
    ranked = sorted(first, key=lambda o: (-o.trial.budget, o.loss))
    points = list(dict.fromkeys(json.dumps(o.trial.point) for o in ranked))
    assert [json.dumps(t.point) for t in second] == points[:TOP]
    # more are repeated than were trained in full
    assert 0 < sum(o.trial.budget == 1 for o in first) < TOP


def test_failed_trials_are_waited_for_and_not_repeated():
    search = two_step()
    trials = search.ask(TRIALS)
    tell([search], trials[:-1], failing=tuple(range(TRIALS - 5)))
    assert search.ask(1) == []
    tell([search], trials[-1:])
    second = search.ask(TOP)
    assert sorted(t.parent for t in second) == list(range(TRIALS - 5, TRIALS))
    assert search.ask(1) == []


def test_a_trial_under_way_elsewhere_is_waited_for():
    search = two_step()
    search.begun([Trial(1, ENCODING.sample(np.random.default_rng(0)), share=0.5)])
    trials = search.ask(TRIALS)
    assert len(trials) == TRIALS - 1
    assert 1 not in {t.number for t in trials}
    tell([search], trials)
    assert search.ask(1) == []
    search.tell([Outcome(Trial(1, trials[0].point, share=0.5), None, "its rank is gone")])
    assert len(search.ask(TOP)) == TOP


def test_news_of_a_trial_that_comes_after_its_outcome_is_ignored():
    search = two_step()
    trials = search.ask(TRIALS)
    tell([search], trials)
    search.begun(trials)
    assert len(search.ask(TOP)) == TOP


@pytest.mark.parametrize("algorithm", ["random", "evolution", "asha"])
@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_ranks_share_both_steps(algorithm, ranks):
    searches = [two_step(rank, ranks, algorithm) for rank in range(ranks)]
    outcomes: list[Outcome] = []
    idle = turn = 0
    while idle < ranks:
        search = searches[turn % ranks]
        turn += 1
        trials = search.ask(1)
        idle = 0 if trials else idle + 1
        for other in searches:
            if other is not search:
                other.begun(trials)
        outcomes += tell(searches, trials)
    first = [o.trial for o in outcomes if o.trial.share < 1]
    second = [o.trial for o in outcomes if o.trial.share == 1]
    assert len({o.trial.number for o in outcomes}) == len(outcomes)
    assert (len(first), len(second)) == (TRIALS, TOP)
    assert len({t.parent for t in second}) == TOP


def test_each_rank_repeats_the_best_of_its_own_trials():
    searches = [two_step(rank, 3) for rank in range(3)]
    tell(searches, [trial for search in searches for trial in search.ask(14)])
    best = [entry[0] for entry in sorted(searches[0].finished, key=lambda entry: entry[3])[:TOP]]
    for rank, search in enumerate(searches):
        asked = search.ask(TOP)
        assert [t.parent for t in asked] == [number for number in best if number % 3 == rank]
        assert all(t.number % 3 == rank for t in asked)


def test_ranks_that_know_different_trials_repeat_none_twice():
    searches = [two_step(rank, 2) for rank in range(2)]
    trials = [trial for search in searches for trial in search.ask(TRIALS // 2)]
    best = min(trials, key=lambda trial: loss(trial.point))
    tell(searches, [trial for trial in trials if trial is not best])
    tell(searches[:1], [best])
    # rank 1 believes that the best one has failed: all places of the others shift by one
    searches[1].tell([Outcome(best, None, "its rank was lost")])
    parents = [trial.parent for search in searches for trial in search.ask(TOP)]
    assert len(set(parents)) == len(parents) >= TOP


def finish(search: Search) -> list[Outcome]:
    """Run a search to its end, with losses that fall with the budget and a measure."""
    outcomes: list[Outcome] = []
    while trials := search.ask(1):
        measures = {"parameters": 10 + float(trials[0].point["x0"])}
        outcomes.append(Outcome(trials[0], loss(trials[0].point) - trials[0].budget, measures=measures))
        search.tell(outcomes[-1:])
    return outcomes


@pytest.mark.parametrize("objective", [None, "parameters"])
@pytest.mark.parametrize("algorithm", ["random", "evolution", "adbo", "asha", "hyperband"])
def test_a_search_that_ended_may_be_extended(algorithm, objective):
    def extended(trials: int) -> Search:
        settings = {"algorithm": algorithm, "trials": trials, "population": 8, "sample": 3, "seed": 1}
        settings |= {"bayes": {"trees": 5, "candidates": 20}, "halving": {"least": 0.25, "reduction": 2}}
        settings |= {"two_step": {"fraction": 0.5, "top": 0.1}, "second_objective": objective}
        return build.build(mixed_space(), SearchConfig.model_validate(settings))

    before = finish(extended(20))
    assert len(before) == 22
    search = extended(40)
    search.tell(before)
    after = finish(search)
    assert [o.trial.number for o in after[:20]] == list(range(22, 42))
    assert {o.trial.share for o in after[:20]} == {0.5}
    second = [o.trial for o in [*before, *after] if o.trial.share == 1]
    assert {t.share for t in (o.trial for o in after[20:])} <= {1.0}
    points = [json.dumps(dict(t.point), sort_keys=True) for t in second]
    assert len(set(points)) == len(points)
    first = sorted((o for o in [*before, *after] if o.trial.share < 1), key=lambda o: (-o.trial.budget, o.loss))
    best = list(dict.fromkeys(json.dumps(dict(o.trial.point), sort_keys=True) for o in first))[:4]
    assert set(best) <= set(points)
    assert set(points[2:]) <= set(best)
    again = extended(40)
    again.restore(json.loads(json.dumps(search.state())))
    assert again.ask(1) == []


def test_a_repeated_point_that_is_promoted_later_is_not_repeated_again():
    search = two_step(algorithm="asha", trials=TRIALS)
    paused = search.ask(1)[0]
    promoted = Trial(2, paused.point, 0.5, 0.5, parent=paused.number, continues=True)
    search.tell([Outcome(paused, 0.1), Outcome(Trial(1, paused.point, parent=paused.number), 0.1)])
    search.tell([Outcome(promoted, -9.0)])
    after = [o.trial for o in finish(search)]
    assert all(trial.point != paused.point for trial in after if trial.share == 1)


def test_outcomes_of_step_2_do_not_have_the_best_chosen_anew(monkeypatch):
    search = two_step()
    tell([search], search.ask(TRIALS))
    chosen, best = [], search._best
    monkeypatch.setattr(search, "_best", lambda: chosen.append(1) or best())
    assert len(finish(search)) == TOP
    assert len(chosen) == 1


def test_a_resumed_second_step_repeats_nothing_again():
    searches = [two_step(rank, 3) for rank in range(3)]
    first = [trial for search in searches for trial in search.ask(14)]
    told = tell(searches, first)
    begun = [search.ask(2) for search in searches]
    finished, running = begun[0] + begun[1], begun[2]
    assert finished
    assert running
    told += tell(searches, finished)
    resumed = [two_step(rank, 2) for rank in range(2)]
    for search in resumed:
        search.tell(told)
        search.begun(running)
    rest = [trial for search in resumed for trial in search.ask(TOP)]
    parents = [t.parent for t in [*finished, *running, *rest]]
    assert len(rest) == TOP - len(finished) - len(running)
    assert sorted(parents) == sorted(entry[0] for entry in sorted(resumed[0].finished, key=lambda e: e[3])[:TOP])
    assert not {t.number for t in rest} & {o.trial.number for o in told}


def test_what_a_lost_rank_has_left_is_taken_by_another():
    searches = [two_step(rank, 2) for rank in range(2)]
    tell(searches, [trial for search in searches for trial in search.ask(TRIALS // 2)])
    alive = searches[0]
    ours = alive.ask(TOP)
    assert 0 < len(ours) < TOP
    assert all(t.parent % 2 == 0 for t in ours)
    # rank 1 says nothing any more; while something is under way, its entries are left to it
    assert alive.ask(TOP) == []
    assert alive.ask(TOP) == []
    tell([alive], ours)
    assert alive.ask(TOP) == []
    rest = alive.ask(TOP)
    assert Counter(t.parent for t in [*ours, *rest]).most_common(1)[0][1] == 1
    assert len(rest) == TOP - len(ours)


# what a two-step search has shown


def trials(first: list[float], second: dict[int, float], share: float = 0.5, **columns: Any) -> pd.DataFrame:
    """A table of trials: step-1 losses, and step-2 losses by the number of the trial that is repeated."""
    again = list(second)
    count = len(first) + len(again)
    return pd.DataFrame(
        {
            "number": range(count),
            "step": [1] * len(first) + [2] * len(again),
            "parent": [-1] * len(first) + again,
            "continues": False,
            "budget": 1.0,
            "share": [share] * len(first) + [1.0] * len(again),
            "point": [json.dumps({"x": k}) for k in (*range(len(first)), *again)],
            "loss": [*first, *second.values()],
            "seconds": [2.0] * len(first) + [4.0] * len(again),
            "parameters": [1000 * (k + 1) for k in (*range(len(first)), *again)],
            **columns,
        }
    )


def test_pairs_join_the_losses_of_both_steps():
    table = trials([0.5, 0.2, np.nan, 0.3, 0.4], {1: 0.15, 3: np.nan, 4: 0.1})
    assert steps.ranked(table)["number"].tolist() == [1, 3, 4, 0]
    both = steps.pairs(table)
    assert both[["number", "rank", "loss", "second_loss"]].to_numpy().tolist() == [[1, 1, 0.2, 0.15], [4, 3, 0.4, 0.1]]


def test_points_count_at_their_largest_budget():
    table = trials([0.9, 0.5, 0.7, 0.1], {}, budget=[0.25, 1.0, 1.0, 0.25])
    table.loc[1, "point"] = table.loc[0, "point"]
    assert steps.ranked(table)["number"].tolist() == [1, 2, 3]


def test_spearman_by_hand():
    # differences of ranks 1, 1, 0, 1, 1: 1 - 6 · 4 / (5 · 24) = .8; a tie of two has rank 1.5
    one, other = pd.Series([1.0, 2, 3, 4, 5]), pd.Series([20.0, 10, 30, 50, 40])
    assert steps.spearman(one, other) == {"rho": pytest.approx(0.8), "n": 5}
    assert steps.spearman(one[:3], pd.Series([1.0, 1, 2]))["rho"] == pytest.approx(np.sqrt(3) / 2)
    assert steps.spearman(one, one * 0) == {"rho": None, "n": 5}
    assert steps.spearman(one[:2], other[:2]) == {"rho": None, "n": 2}


def test_correlation_over_all_trials_and_within_the_top():
    # the top three in reverse order, the others in order
    losses = [float(k) for k in range(10)]
    table = trials(losses, dict(zip(range(10), [2.0, 1, 0, *losses[3:]], strict=True)))
    found = steps.correlation(table, top=0.3)
    assert found["all"] == {"rho": pytest.approx(1 - 6 * 8 / 990), "n": 10}
    assert found["within_top"] == {"share": 0.3, "rho": pytest.approx(-1), "n": 3}
    assert found["note"] is None


def test_a_correlation_over_selected_trials_says_so():
    found = steps.correlation(trials([0.1, 0.2, 0.3, 0.4], {0: 0.1, 1: 0.3, 2: 0.2}), top=0.75)
    assert found["all"] is None
    assert found["within_top"] == {"share": 0.75, "rho": pytest.approx(0.5), "n": 3}
    assert found["note"].startswith("over the repeated trials only")


def test_the_top_of_a_report_is_all_that_was_repeated():
    # 4 of 8 finished; 3 of these were repeated, of which one failed
    table = trials([0.1, np.nan, 0.2, np.nan, 0.3, np.nan, 0.4, np.nan], {0: 0.1, 2: 0.2, 4: 0.3})
    found = steps.report(table)["spearman"]["within_top"]
    assert (found["n"], found["share"]) == (3, 0.75)
    table = trials([0.1, np.nan, 0.2, np.nan, 0.3, np.nan, 0.4, np.nan], {0: 0.1, 2: np.nan, 4: 0.3})
    assert steps.report(table)["spearman"]["within_top"]["n"] == 2


def halved() -> pd.DataFrame:
    """Four points on a quarter of a training; 0 and 1 go on to a half as trials 4 and 5; all four again in full."""
    table = trials([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], {4: 0.1, 5: 0.2, 2: 0.3, 3: 0.4})
    table["budget"] = [0.25] * 4 + [0.5] * 2 + [1.0] * 4
    table["seconds"] = [1.0] * 6 + [8.0] * 4
    table["point"] = [json.dumps({"x": k}) for k in (0, 1, 2, 3, 0, 1, 0, 1, 2, 3)]
    table.loc[[4, 5], "parent"] = [0, 1]
    table["continues"] = [False] * 4 + [True] * 2 + [False] * 4
    return table


def test_a_continued_trial_costs_what_it_adds():
    found = steps.cost(halved())
    # step 1 trains 4 quarters and twice a quarter more, on half of the windows
    assert found["relative_by_p_plus_q"] == pytest.approx((0.5 * 1.5 + 4) / 1.5)
    # a full training on all windows takes 8 s, on half of them 4 s: 1.5 trainings in one step 12 s
    assert found["one_step_seconds"] == pytest.approx(12)
    assert found["relative"] == pytest.approx((6 + 32) / 12)


def test_guidance_counts_the_budgets_of_step_1():
    (row,) = [
        row for row in steps.guidance({0.5: halved()})["rows"] if row["trials"] == 4 and row["q"] == pytest.approx(0.25)
    ]
    # 1.5 trainings of 4 points, on half of the windows, and one again
    assert row["cost"] == pytest.approx(0.5 * 1.5 + 1)


def test_losses_of_different_budgets_are_correlated_as_step_2_ranks_them():
    found = steps.correlation(halved())
    # the lowest losses are those of the smaller budget, but the larger budget comes first
    assert found["all"] == {"rho": pytest.approx(1), "n": 4}


def test_a_second_loss_stays_with_its_point_when_that_is_trained_for_longer():
    table = halved()
    table.loc[table["parent"].isin([4, 5]), "parent"] = [0, 1]
    assert steps.pairs(table)[["number", "second_loss"]].to_numpy().tolist() == [[4, 0.1], [5, 0.2], [2, 0.3], [3, 0.4]]
    assert steps.complete(table)


def test_cost_beside_one_step():
    # 8 trials of 2 s, 2 of them again in 4 s; all windows take twice as long: 24 s beside 32 s, as p + q = .5 + .25
    found = steps.cost(trials([0.1 * k for k in range(8)], {0: 0.1, 1: 0.2}))
    assert found["trials"] == [8, 2]
    assert found["seconds"] == [16.0, 8.0]
    assert found["one_step_seconds"] == pytest.approx(32.0)
    assert found["relative"] == pytest.approx(0.75)
    assert found["relative_by_p_plus_q"] == pytest.approx(0.75)
    assert steps.cost(trials([0.1], {}))["relative"] is None


def test_top_models_stand_by_step_2():
    table = steps.top_models(trials([0.1, 0.2, 0.3], {0: 0.3, 1: 0.2, 2: 0.1}), count=2)
    assert table[["trial", "loss", "first_loss", "first_rank"]].to_numpy().tolist() == [
        [2, 0.1, 0.3, 3],
        [1, 0.2, 0.2, 2],
    ]
    assert table["parameters"].tolist() == [3000, 2000]
    assert "inference_seconds" not in table


def test_guidance_where_both_steps_rank_alike():
    losses = np.linspace(0.1, 1.0, 64).tolist()
    table = trials(losses, dict(enumerate(losses)), share=0.25)
    found = steps.guidance({0.25: table}, regret=1e-9)
    # to find the very best one every trial has to be tried, and the first of them repeated
    assert found["chosen"] == {
        "p": 0.25, "trials": 64, "q": 1 / 64, "cost": 17.0, "best_loss": pytest.approx(0.1), "best_in_top": 1.0,
        "regret": pytest.approx(0),
    }  # fmt: skip
    assert found["one_step"] == 64
    # the least of N of n numbers in order has the mean place (n + 1) / (N + 1)
    (row,) = [row for row in found["rows"] if row["trials"] == 16 and row["q"] == 1 / 16]
    assert row["best_loss"] == pytest.approx(0.1 + 0.9 / 63 * (65 / 17 - 1), abs=0.005)


def test_guidance_chooses_the_cheaper_share_of_windows():
    random = np.random.default_rng(0)
    losses = random.random(64)
    second = dict(enumerate(losses.tolist()))
    good = trials((losses + 1).tolist(), second, share=0.5)
    # without any relation between the steps, cheap windows do not help
    chance = trials(random.random(64).tolist(), second, share=0.1)
    assert steps.guidance({0.5: good, 0.1: chance}, regret=0.05)["chosen"]["p"] == 0.5
    assert steps.guidance({0.5: good, 0.1: good}, regret=0.05)["chosen"]["p"] == 0.1
    assert steps.guidance({0.5: good}, regret=-1.0)["chosen"] is None
    assert steps.guidance({0.5: good}, regret=-1.0)["one_step"] is None


def test_guidance_from_selected_trials_is_an_upper_bound():
    losses = np.linspace(0.1, 1.0, 32).tolist()
    known = steps.guidance({0.5: trials(losses, dict(enumerate(losses)))})
    partly = steps.guidance({0.5: trials(losses, dict(enumerate(losses[:16])))})
    assert known["note"] is None
    assert "upper bounds" in partly["note"]
    bounds = {(row["trials"], row["q"]): row["regret"] for row in partly["rows"]}
    exact = {(row["trials"], row["q"]): row["regret"] for row in known["rows"]}
    assert bounds
    assert all(bound >= exact[key] - 1e-9 for key, bound in bounds.items())
    json.dumps(partly, allow_nan=False)


def test_a_report_is_json_even_of_a_search_without_success():
    for table in (trials([0.2, 0.1, 0.3], {1: 0.1}), trials([np.nan] * 3, {}), trials([0.1, np.nan], {0: np.nan})):
        found = json.loads(json.dumps(steps.report(table), allow_nan=False))
        assert found["share_of_windows"] == 0.5
        assert "## Top models" in steps.text(found)
    assert found["top_models"] == []


def test_a_report_in_words_says_what_it_is_over():
    table = trials([0.1, 0.2, 0.3, 0.4], {0: 0.1, 1: 0.3, 2: 0.2})
    words = steps.text(steps.report(table))
    assert (
        "All trials: not known; the best 75 % by step 1: 0.50 (3 trials). Note: over the repeated trials only" in words
    )
    assert "4 + 3 trials took 8 + 12 worker-seconds: 1.250 of one step" in words
    assert "The cheapest choice within 0.01 of the least loss: 4 trials on a share p = 0.5" in words
    # trial, loss, first loss, first rank, parameters, seconds
    assert "|       2 |    0.2 |          0.3 |            3 |         3000 |         4 |" in words
