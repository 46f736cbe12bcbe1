"""Paired differences between forecasts and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from podnas import scores
from podnas.verify import paired


@pytest.fixture
def example() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(1)
    truth = np.cumsum(random.normal(size=(130, 3, 2)), axis=0) / 5
    climatology = np.zeros_like(truth)
    ours, theirs = (truth + random.normal(size=truth.shape) * spread for spread in (0.5, 1.0))
    return ours, theirs, truth, climatology


def test_each_resample_is_made_of_whole_blocks_on_a_circle():
    drawn = paired.counts(10, 5, resamples=500)
    assert (drawn.sum(axis=1) == 10).all()
    # two blocks of 5: every date stands 0, 1 or 2 times, and those counted once or more fill arcs of 5 dates or longer
    assert set(np.unique(drawn)) == {0, 1, 2}
    assert len({tuple(row) for row in drawn}) > 20
    covered = np.concatenate([drawn > 0] * 2, axis=1)
    for row in covered:
        runs = "".join("x" if one else " " for one in row).split()
        assert max(len(run) for run in runs) >= 5


def test_all_dates_drawn_once_give_the_scores_themselves(example):
    ours, _, truth, climatology = example
    found = paired.scores(ours, truth, climatology, np.ones((1, len(truth))))
    assert found["r2_mean"][0] == pytest.approx(scores.r2(ours, truth).mean())
    assert found["skill_clim"][0] == pytest.approx(scores.skill_clim(ours, truth, climatology).mean())
    assert found["skill_lead_1"][0] == pytest.approx(scores.skill_clim(ours, truth, climatology)[0].mean())


def test_a_resample_is_scored_as_the_dates_that_it_repeats(example):
    ours, _, truth, climatology = example
    drawn = paired.counts(len(truth), 26, resamples=3)
    found = paired.scores(ours, truth, climatology, drawn)
    for resample, row in enumerate(drawn):
        dates = np.repeat(np.arange(len(truth)), row)
        assert found["r2_mean"][resample] == pytest.approx(scores.r2(ours[dates], truth[dates]).mean())


def test_a_better_forecast_is_better_and_a_forecast_ties_with_itself(example):
    ours, theirs, truth, climatology = example
    better = paired.difference(ours, theirs, truth, climatology, 26)
    assert {paired.verdict(one) for one in better.values()} == {"better"}
    worse = paired.difference(theirs, ours, truth, climatology, 26)
    assert {paired.verdict(one) for one in worse.values()} == {"worse"}
    assert {paired.verdict(one) for one in paired.difference(ours, ours, truth, climatology).values()} == {"tie"}


def test_blocks_longer_than_the_record_are_refused():
    with pytest.raises(ValueError, match="blocks of 52 weeks do not fit into 51 initial dates"):
        paired.counts(51, 52)


def test_what_rounding_makes_is_a_tie():
    assert paired.verdict({"low": 4e-9, "high": 2e-7}) == "tie"
    assert paired.verdict({"low": -2e-7, "high": -4e-9}) == "tie"
    assert paired.verdict({"low": 2e-6, "high": 1e-3}) == "better"
    assert paired.verdict({"low": -1e-3, "high": -2e-6}) == "worse"
