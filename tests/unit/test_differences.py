"""Ours against every baseline, with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from podnas.figures import differences as figure
from podnas.verify import differences, paired, scorecard
from tests import figure_inputs

COUNT = 330


@pytest.fixture(scope="module")
def found():
    """Red truth about a climatology of zero; `near` and `ours` err alike, `far` errs more."""
    random = np.random.default_rng(0)
    truth = np.zeros((COUNT, 2, 2))
    for week in range(1, COUNT):
        truth[week] = 0.9 * truth[week - 1] + random.normal(size=(2, 2))
    error = [random.normal(size=truth.shape) for _ in range(3)]
    ours = {"recurrent_ensemble": truth + 0.5 * error[0], "complete_system": truth + 0.2 * error[2]}
    baselines = {
        "climatology": np.zeros_like(truth),
        "persistence": truth + 0.5 * error[1],
        "damped_persistence": truth + 1.5 * error[1],
    }
    return ours, baselines, truth, differences.of_all(ours, baselines, truth)


def test_the_headline_is_against_the_baseline_that_scores_best(found):
    table = found[3]
    assert table["best_baseline"] == "persistence"
    # a record of 330 weeks has no three blocks of 104
    assert table["blocks_weeks"] == [26, 52, 104]
    words = differences.headline(table, "recurrent_ensemble")
    assert words.startswith("`recurrent_ensemble` ties with `persistence`")
    assert "blocks of 52 weeks; of 26 weeks [" in words
    assert differences.headline(table, "complete_system").startswith("`complete_system` is better than `persistence`")


def test_intervals_are_those_of_the_paired_bootstrap(found):
    ours, baselines, truth, table = found
    alone = paired.difference(ours["complete_system"], baselines["damped_persistence"], truth, baselines["climatology"])
    one = table["differences"]["complete_system"]["damped_persistence"]["52"]["skill_clim"]
    assert one == {**alone["skill_clim"], "verdict": "better"}


def test_only_the_best_baseline_has_all_lengths_of_blocks(found):
    by = found[3]["differences"]["complete_system"]
    assert list(by["persistence"]) == ["26", "52", "104"]
    assert list(by["damped_persistence"]) == ["52"]


def test_blocks_fit_a_short_record():
    assert (differences.fitting(52, 90), differences.fitting(26, 90), differences.fitting(52, 2)) == (30, 26, 1)


def test_refits_stand_beside_what_was_fitted_once(found):
    ours, baselines, truth, _ = found
    once = {**ours, **baselines}
    refitted = {**once, "persistence": truth + 0.5 * (baselines["persistence"] - truth)}
    made = differences.of_period(refitted, once, list(ours), truth)
    assert made["weeks"] == COUNT
    assert made["best_baseline"] == "persistence"
    assert made["less_once"]["persistence"]["r2_mean"]["verdict"] == "better"
    assert made["less_once"]["complete_system"]["r2_mean"]["difference"] == 0
    alone = paired.difference(refitted["persistence"], once["persistence"], truth, baselines["climatology"])
    assert made["less_once"]["persistence"]["skill_clim"] == {**alone["skill_clim"], "verdict": "better"}
    rows = made["scores"]
    assert rows["persistence"]["r2_mean"] == pytest.approx(1 - 0.25 * (1 - r2(once["persistence"], truth)))
    page = "\n".join(scorecard._periods({"periods": {"long": made}}))
    assert "on the 330 test windows of protocol long" in page
    assert "`complete_system` is better than `persistence`" in page


def r2(forecast: np.ndarray, truth: np.ndarray) -> float:
    about = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    return float((1 - ((forecast - truth) ** 2).sum(axis=0) / about).mean())


def test_the_scorecard_has_them(found):
    tables = {"short": figure_inputs.scores(figure_inputs.LEAST, ("climatology", "complete_system"))}
    entries = scorecard.rows(tables, {"short": found[3]}, with_reported=False)
    plain, ours = entries
    assert "differences" not in plain
    assert ours["best_baseline"] == "persistence"
    assert set(ours["differences"]) == set(found[1])
    assert "| `persistence`" in scorecard._verdicts(found[3])


def test_a_difference_of_exactly_nothing_can_be_drawn(found):
    _, baselines, truth, _ = found
    same = differences.of_all({"complete_system": baselines["persistence"]}, baselines, truth)
    panel = figure.draw({**same, "stamp": figure_inputs.STAMP}).axes[0]
    low, high = panel.get_xlim()
    ticks = panel.get_xticks()
    assert len(ticks) >= 3
    assert low < min(ticks) < 0 < max(ticks) < high


def test_the_figure_has_a_row_for_each_baseline_the_hardest_first(found):
    made = figure.draw({**found[3], "stamp": figure_inputs.STAMP})
    labels = [text.get_text() for text in made.axes[0].get_yticklabels()]
    assert labels == ["persistence", "climatology", "damped persistence"]
    assert len(made.axes) == 2
