"""The simulator: numbers derived by hand, conservation of time, faults, and equal searches giving equal runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace, Float

from podnas.config import SearchConfig
from podnas.parallel.simulate import Cost, Delays, Faults, LogNormal, Normal, Run, simulate
from podnas.search.archive import Archive
from podnas.search.build import build
from podnas.search.encoding import Encoding
from podnas.search.protocol import Outcome, Search, Trial


@dataclass
class Counting:
    """Gives trials `first`, first + step, …; remembers what it was told. At most `ahead` asked but not told."""

    first: int = 0
    step: int = 1
    ahead: float = math.inf
    asked: int = 0
    told: list[Outcome] = field(default_factory=list)

    def ask(self, count: int) -> list[Trial]:
        assert count == 1
        if self.asked - len(self.told) >= self.ahead:
            return []
        self.asked += 1
        return [Trial(self.first + self.step * (self.asked - 1), {})]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        self.told.extend(outcomes)


class Listed(Counting):
    """Gives the listed trials."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        super().__init__()
        self.trials = list(trials)

    def ask(self, count: int) -> list[Trial]:
        return [self.trials.pop(0)] if self.trials else []


@dataclass(frozen=True)
class Always:
    """A message delay without chance."""

    seconds: float

    def draw(self, random: np.random.Generator) -> float:
        return self.seconds


def number(trial: Trial) -> float:
    return float(trial.number)


def ten_seconds(trial: Trial, random: np.random.Generator) -> float:
    return 10.0


def columns(run: Run, *names: str) -> list[tuple[float, ...]]:
    return list(run.events[list(names)].itertuples(index=False, name=None))


class TestClock:
    def test_a_manager_serves_one_after_another(self):
        # 2 workers, 10 s a trial, 1 s a suggestion, 25 s. Worker 0: asked 0, began 1, ended 11; asked 11, began 12,
        # ended 22; asked 22, began 23. Worker 1: asked 1, began 2, ended 12; asked 12, began 13, ended 23; asked 23,
        # began 24. Evaluation within 25 s: 10 + 10 + 2 and 10 + 10 + 1 of 50 worker-seconds.
        run = simulate(Counting(), number, ten_seconds, 2, horizon_s=25, cost=lambda known: 1.0)
        assert columns(run, "worker", "number", "waited", "asked", "suggested", "began", "ended", "finished") == [
            (0, 0, 0, 0, 1, 1, 11, True),
            (1, 1, 0, 1, 2, 2, 12, True),
            (0, 2, 11, 11, 12, 12, 22, True),
            (1, 3, 12, 12, 13, 13, 23, True),
            (0, 4, 22, 22, 23, 23, 33, False),
            (1, 5, 23, 23, 24, 24, 34, False),
        ]
        assert run.utilisation == pytest.approx(43 / 50)
        assert (run.evaluations, run.best) == (4, 0.0)

    def test_a_slow_manager_keeps_workers_waiting(self):
        # a suggestion takes as long as an evaluation: in the long run one worker is busy, however many there are
        run = simulate(Counting(), number, ten_seconds, 5, horizon_s=1000, cost=lambda known: 10.0)
        assert run.utilisation == pytest.approx(99 * 10 / (5 * 1000))

    def test_ranks_that_ask_themselves_do_not_wait_for_each_other(self):
        # every rank by itself: 1 s of suggestion, 10 s of evaluation, 22 s: twice
        searches = [Counting(rank, 3) for rank in range(3)]
        run = simulate(searches, number, ten_seconds, 3, "decentralised", horizon_s=22, cost=lambda known: 1.0)
        assert run.utilisation == pytest.approx(20 / 22)
        assert sorted(run.events["number"][run.events["finished"]]) == [0, 1, 2, 3, 4, 5]
        assert (run.events["waited"] == run.events["asked"]).all()

    def test_start_up_and_dispatch(self):
        delays = Delays(start_up_s=5, dispatch_s=2)
        for organisation in ("manager", "decentralised"):
            run = simulate(Counting(), number, ten_seconds, 1, organisation, horizon_s=30, delays=delays)
            assert columns(run, "asked", "began", "ended") == [(5, 7, 17), (17, 19, 29), (29, 31, 41)]
            assert run.utilisation == pytest.approx(20 / 30)

    def test_an_outcome_is_known_after_its_message(self):
        # ended at 10, 20, 30, …; 12 s later known: the ask at 30 knows the outcome of 10, that at 40 those of 10 and 20
        searches = [Counting()]
        known = []
        simulate(
            searches, number, ten_seconds, 1, "decentralised", evaluations=5, delays=Delays(message=Always(12)),
            cost=lambda count: known.append(count) or 0.0,
        )  # fmt: skip
        assert known == [0, 0, 0, 1, 2]

    def test_all_ranks_are_told_the_same_in_the_same_order(self):
        searches = [Counting(rank, 4) for rank in range(4)]
        simulate(
            searches, number, Normal(60, 20), 4, "decentralised", evaluations=100,
            delays=Delays(message=LogNormal(20, 20, 0.0)),
        )  # fmt: skip
        logs = [[outcome.trial.number for outcome in search.told] for search in searches]
        longest = max(logs, key=len)
        assert len(longest) > 80
        assert all(log == longest[: len(log)] for log in logs)

    @pytest.mark.parametrize("organisation", ["manager", "decentralised"])
    def test_a_search_that_waits_for_outcomes_is_asked_again(self, organisation):
        # three trials may be under way: four of seven workers wait, and are served in their turn
        run = simulate(Counting(ahead=3), number, ten_seconds, 7, organisation, evaluations=21)
        assert run.evaluations == 21
        assert run.seconds == 70
        assert run.utilisation == pytest.approx(3 / 7)
        assert run.events["worker"].value_counts().tolist() == [3] * 7

    def test_ranks_of_their_own_that_wait_for_outcomes_are_all_asked_again(self):
        # the second and third may only ask when they were told more than they have asked: at 10 s, with the first
        searches = [Counting(0, 3), Counting(1, 3, ahead=0), Counting(2, 3, ahead=0)]
        run = simulate(searches, number, ten_seconds, 3, "decentralised", evaluations=4)
        assert columns(run, "worker", "waited", "began") == [(0, 0, 0), (1, 0, 10), (2, 0, 10), (0, 10, 10)]

    def test_equal_seeds_equal_runs(self):
        first, second, other = (
            simulate(Counting(), number, Normal(60, 20), 9, horizon_s=900, seed=seed).events for seed in (1, 1, 2)
        )
        assert first.equals(second)
        assert not first.equals(other)


class TestLimits:
    def test_evaluations_that_have_begun_finish(self):
        run = simulate(Counting(), number, ten_seconds, 4, evaluations=6)
        assert (run.evaluations, run.seconds) == (6, 20)

    def test_budget_counts_full_trainings(self):
        trials = [Trial(n, {}, budget=0.25) for n in range(100)]
        run = simulate(Listed(trials), number, ten_seconds, 4, budget=5)
        assert run.evaluations == 20
        assert run.events["spent"].sum() == 5

    def test_the_search_ends(self):
        run = simulate(Listed([Trial(0, {}), Trial(1, {})]), number, ten_seconds, 4)
        assert (run.evaluations, run.seconds) == (2, 10)

    def test_a_continued_trial_costs_the_difference(self):
        trials = [
            Trial(0, {}, budget=0.25),
            Trial(1, {}, budget=1.0, parent=0, continues=True),
            Trial(2, {}, budget=1.0, share=0.5, parent=0),
        ]
        run = simulate(Listed(trials), number, ten_seconds, 1)
        assert columns(run, "spent", "began", "ended") == [(0.25, 0, 2.5), (0.75, 2.5, 10), (0.5, 10, 15)]
        # trials on a part of the epochs or of the windows are not compared with full ones
        assert run.best == 1.0


class TestFaults:
    def test_what_fails_is_told_and_used_up_its_time(self):
        search = Counting()
        run = simulate(search, number, ten_seconds, 3, evaluations=300, faults=Faults(failing=0.3))
        failed = run.events[run.events["failed"]]
        assert 60 < len(failed) < 120
        assert failed["finished"].all()
        assert failed["loss"].isna().all()
        assert ((failed["ended"] - failed["began"]) < 10).all()
        told = [outcome for outcome in search.told if outcome.loss is None]
        assert told
        assert all(outcome.error for outcome in told)

    @pytest.mark.parametrize("bad", [None, math.nan, math.inf])
    def test_an_objective_without_a_number_is_a_failure(self, bad):
        run = simulate(Counting(), lambda trial: bad, ten_seconds, 2, evaluations=4)
        assert run.events["failed"].all()
        assert run.best is None

    def test_stragglers_take_longer(self):
        run = simulate(Counting(), number, ten_seconds, 3, evaluations=300, faults=Faults(straggling=0.2, slower=4))
        took = (run.events["ended"] - run.events["began"]).round(6)
        assert set(took) == {10, 40}
        assert 30 < (took == 40).sum() < 90

    @pytest.mark.parametrize("organisation", ["manager", "decentralised"])
    def test_the_others_go_on_where_workers_die(self, organisation):
        run = simulate(
            Counting(), number, Normal(60, 20), 20, organisation, horizon_s=2000, faults=Faults(lifetime_s=1000), seed=3
        )
        lost = run.events[run.events["lost"]]
        assert 10 <= len(lost) < 20
        assert lost["worker"].is_unique
        assert not lost["finished"].any()
        for worker, died in zip(lost["worker"], lost["ended"], strict=True):
            assert (run.events["began"][run.events["worker"] == worker] <= died).all()
        last = run.events[run.events["finished"]]["ended"].max()
        assert last > lost["ended"].max() - 200
        # a worker is busy until it dies, but what it loses does not count
        assert run.utilisation < (run.events["ended"].clip(upper=2000) - run.events["began"]).sum() / (20 * 2000)

    def test_faults_out_of_range_are_refused(self):
        with pytest.raises(ValueError, match=r"failing is 1.5"):
            Faults(failing=1.5)
        with pytest.raises(ValueError, match=r"slower is 0.5"):
            Faults(slower=0.5)


class TestCost:
    def test_logarithmic_between_and_beyond_what_was_measured(self):
        # 1 ms at 100, 10 ms at 10,000: half a power of ten for each of the number's
        cost = Cost((100, 10_000), (1e-3, 1e-2), first_s=0.5)
        assert cost(0) == 0.5
        expected = [1e-3, 1e-3 * math.sqrt(10), 1e-2, 1e-2 * math.sqrt(10), 1e-3 / math.sqrt(10)]
        assert [cost(n) for n in (100, 1000, 10_000, 100_000, 10)] == pytest.approx(expected)
        assert Cost((5,), (2.0,))(77) == 2.0

    def test_curves_that_are_none_are_refused(self):
        with pytest.raises(ValueError, match="2 numbers of observations and 1 times"):
            Cost((1, 2), (1.0,))
        with pytest.raises(ValueError, match="rise"):
            Cost((2, 1), (1.0, 1.0))

    def test_distributions(self):
        random = np.random.default_rng(0)
        normal = [Normal(2, 2).draw(random) for _ in range(2000)]
        assert min(normal) >= 1
        skewed = [LogNormal(470, 200).draw(random) for _ in range(20_000)]
        assert np.mean(skewed) == pytest.approx(470, rel=0.02)
        assert np.std(skewed) == pytest.approx(200, rel=0.05)


class TestResult:
    def test_trajectory_is_the_best_by_the_clock(self):
        losses = [5.0, 7.0, 3.0, 3.0, 1.0]
        run = simulate(Counting(), lambda trial: losses[trial.number], ten_seconds, 1, evaluations=5)
        seconds, best = run.trajectory()
        assert (seconds.tolist(), best.tolist()) == ([10, 30, 50], [5, 3, 1])

    def test_time_is_conserved(self):
        run = simulate(
            Counting(), number, Normal(60, 20), 30, horizon_s=1000, cost=lambda known: 1.5, delays=Delays(3, 1)
        )
        for _, own in run.events.groupby("worker"):
            times = own[["waited", "asked", "suggested", "began", "ended"]].to_numpy()
            assert (np.diff(times, axis=1) >= 0).all()
            assert times[0, 0] == 3  # nothing before the start-up
            assert (times[1:, 0] == times[:-1, 4]).all()  # a worker waits from the end of its last trial

    def test_numbers_of_searches_and_workers_are_checked(self):
        with pytest.raises(ValueError, match="workers is 0"):
            simulate(Counting(), number, ten_seconds, 0)
        with pytest.raises(ValueError, match="a manager has one search, not 2"):
            simulate([Counting(), Counting()], number, ten_seconds, 2)
        with pytest.raises(ValueError, match="2 searches for 3 workers"):
            simulate([Counting(), Counting()], number, ten_seconds, 3, "decentralised")


def searches(algorithm: str, ranks: int = 1, share: bool = False) -> list[Search]:
    space = ConfigurationSpace()
    space.add([Float(f"x{i}", (-5.0, 5.0)) for i in range(3)])
    settings = {"trials": 10**6, "population": 20, "sample": 5, "bayes": {"trees": 10, "candidates": 100}}
    config = SearchConfig.model_validate({"algorithm": algorithm, **settings})
    archive = Archive(Encoding(space), config.bayes, config.seed) if share else None
    return [build(space, config, rank, ranks, archive=archive) for rank in range(ranks)]


def sphere(trial: Trial) -> float:
    return sum(float(value) ** 2 for value in trial.point.values())


@pytest.mark.parametrize("ranks", [1, 8, 64])
def test_ranks_that_share_an_archive_do_what_they_would_do_with_their_own(ranks, monkeypatch):
    monkeypatch.setattr("podnas.search.archive.RENEWED", 10)  # so that forests grow on
    runs = [
        simulate(
            searches("adbo", ranks, share), sphere, Normal(60, 20), ranks, "decentralised", horizon_s=360, share=share,
            cost=Cost((10, 1000), (0.1, 2.0)), delays=Delays(message=LogNormal(5, 5, 0)), faults=Faults(failing=0.1),
        )
        for share in (False, True)
    ]  # fmt: skip
    assert runs[0].evaluations > 4 * ranks
    assert runs[0].events.equals(runs[1].events)
    if ranks > 1:
        alone = simulate(searches("adbo", 1), sphere, Normal(60, 20), 1, "decentralised", horizon_s=360)
        assert runs[0].best < alone.best


@pytest.mark.parametrize("organisation", ["manager", "decentralised"])
def test_evolution_beats_random_in_the_same_virtual_time(organisation):
    best = {
        algorithm: [
            simulate(searches(algorithm)[0], sphere, Normal(60, 20), 16, organisation, horizon_s=1800, seed=seed).best
            for seed in range(3)
        ]
        for algorithm in ("random", "evolution")
    }
    assert np.median(best["evolution"]) < np.median(best["random"])
