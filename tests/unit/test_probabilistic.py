"""Probabilistic forecasts beside one another: intervals, the hardest baseline, verdicts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm

from podnas.ensemble.mixture import Mixture, gaussian
from podnas.verify import probabilistic, spread

WINDOWS, LEADS, MODES = 260, 2, 2


def example() -> tuple[dict[str, Mixture], dict[str, Mixture], np.ndarray]:
    """Truth of variance 1 about a known part; ours knows it, the baselines know half of it or nothing."""
    random = np.random.default_rng(0)
    known = random.normal(size=(WINDOWS, LEADS, MODES))
    truth = known + 0.5 * random.normal(size=known.shape)
    baselines = {
        "climatology": gaussian(np.zeros_like(known), np.full((LEADS, MODES), np.sqrt(1.25))),
        "half": gaussian(known / 2, np.full((LEADS, MODES), np.sqrt(0.5))),
    }
    return {"ours": gaussian(known, np.full((LEADS, MODES), 0.5))}, baselines, truth


def test_numbers_are_means_of_the_scores_of_windows():
    ours, baselines, truth = example()
    found = probabilistic.summary(ours, baselines, truth)
    mine = found["forecasts"]["ours"]
    crps = {name: one.crps(truth) for name, one in (ours | baselines).items()}
    assert mine["crps"]["value"] == pytest.approx(crps["ours"].mean())
    np.testing.assert_allclose(mine["crps_by_lead"]["value"], crps["ours"].mean(axis=(0, 2)))
    assert mine["nll"]["value"] == pytest.approx(spread.nll(ours["ours"], truth).mean())
    skill = 1 - crps["ours"].mean() / crps["climatology"].mean()
    assert mine["crps_skill_climatology"]["value"] == pytest.approx(skill)
    assert found["forecasts"]["climatology"]["crps_skill_climatology"]["value"] == pytest.approx(0)
    assert found["forecasts"]["half"]["nll_gain_best_baseline"]["value"] == pytest.approx(0)
    gain = spread.nll(baselines["climatology"], truth).mean() - mine["nll"]["value"]
    assert mine["nll_gain_climatology"]["value"] == pytest.approx(gain)
    assert sum(mine["pit_histogram"]["value"]) == pytest.approx(1)
    np.testing.assert_allclose(
        np.cumsum(mine["pit_histogram"]["value"])[:-1], mine["quantile_reliability"]["value"], atol=1e-12
    )
    np.testing.assert_allclose(mine["width90_by_lead"]["value"], 2 * 0.5 * norm.ppf(0.95))
    np.testing.assert_allclose(mine["spread_skill_by_lead_and_mode"]["value"], spread.spread_skill(ours["ours"], truth))
    inside = spread.covered(spread.pit(ours["ours"], truth), 0.9)
    np.testing.assert_allclose(mine["coverage90_by_lead"]["value"], inside.mean(axis=(0, 2)))
    assert found["crps_ratio_best_baseline"]["ours"]["value"] == pytest.approx(
        crps["ours"].mean() / crps["half"].mean()
    )


def test_the_headline_is_against_the_baseline_of_least_crps():
    ours, baselines, truth = example()
    found = probabilistic.summary(ours, baselines, truth)
    assert found["best_baseline"] == "half"
    assert found["against"]["ours"]["half"]["verdict"] == "better"
    assert found["against"]["ours"]["half"]["value"] < 0
    assert {one["verdict"] for one in found["sensitivity"]["ours"].values()} == {"better"}
    assert found["crps_ratio_best_baseline"]["ours"]["high"] < 1
    assert found["crps_ratio_best_baseline"]["half"] == {"value": 1, "low": 1, "high": 1}
    assert found["crps_ratio_best_baseline"]["climatology"]["low"] > 1


def test_a_forecast_ties_with_itself_and_loses_to_a_better_one():
    _, baselines, truth = example()
    found = probabilistic.summary({"same": baselines["half"], "worse": baselines["climatology"]}, baselines, truth)
    assert found["against"]["same"]["half"]["verdict"] == "tie"
    assert found["against"]["worse"]["half"]["verdict"] == "worse"


def test_intervals_hold_their_values_and_it_is_json():
    ours, baselines, truth = example()
    found = probabilistic.summary(ours, baselines, truth)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for one in found["forecasts"].values():
        for name in ("crps", "nll", "spread_skill_by_lead", "coverage50_by_lead", "coverage90_by_lead"):
            low, value, high = (np.array(one[name][key]) for key in ("low", "value", "high"))
            assert (low < value).all(), name
            assert (value < high).all(), name
        for histogram in (one["pit_histogram"], one["quantile_reliability"], one["sparsification"]["spread"]):
            low, value, high = (np.array(histogram[key]) for key in ("low", "value", "high"))
            assert (low < value).all()
            assert (value < high).all()


def test_an_interval_covers_the_truth_as_often_as_it_says():
    # CRPS of white noise, of which the mean is known: 95 % of the intervals hold it
    random, held = np.random.default_rng(1), 0
    drawn = probabilistic.with_record(208, 13)
    for _ in range(200):
        values = random.normal(size=208) ** 2
        low, high = (probabilistic.interval(probabilistic.resampled(values, drawn))[key] for key in ("low", "high"))
        held += low <= 1 <= high
    assert 170 <= held <= 199


def test_a_climatology_and_one_shape_are_needed():
    ours, baselines, truth = example()
    with pytest.raises(ValueError, match="give the climatology, too"):
        probabilistic.summary(ours, {"half": baselines["half"]}, truth)
    with pytest.raises(ValueError, match=r"forecast climatology has shape \(260, 2, 2\), but the truth \(259, 2, 2\)"):
        probabilistic.summary(ours, baselines, truth[1:])
