"""Scores of probabilities of events: against the libraries, and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from podnas.verify import occurrence, probabilistic

WINDOWS = 300


def example() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    logit = random.normal(size=WINDOWS) * 2 - 1
    outcome = (random.uniform(size=WINDOWS) < expit(logit)).astype(int)
    return expit(logit), outcome, expit(logit + random.normal(size=WINDOWS) * 2), np.full(WINDOWS, 0.3)


def test_scores_are_those_of_the_libraries():
    probability, outcome, reference, climatology = example()
    found = occurrence.summary(probability, outcome, reference, climatology)
    assert found["brier"]["value"] == pytest.approx(brier_score_loss(outcome, probability))
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(outcome, probability))
    assert found["cross_entropy"]["value"] == pytest.approx(log_loss(outcome, probability))
    balance = np.where(outcome == 1, 1 / outcome.sum(), 1 / (1 - outcome).sum())
    expected = log_loss(outcome, probability, sample_weight=balance)
    assert found["balanced_cross_entropy"]["value"] == pytest.approx(expected)
    skill = 1 - brier_score_loss(outcome, probability) / brier_score_loss(outcome, reference)
    assert found["brier_skill_reference"]["value"] == pytest.approx(skill)
    assert found["brier_less_reference"]["verdict"] == "better"
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_area_of_a_resample_is_that_of_the_weeks_it_repeats():
    probability, outcome, _, _ = example()
    drawn = probabilistic.with_record(WINDOWS, 26)[:4]
    found = occurrence.auc(np.round(probability, 1), outcome, drawn)
    for area, row in zip(found, drawn, strict=True):
        weeks = np.repeat(np.arange(WINDOWS), row)
        assert area == pytest.approx(roc_auc_score(outcome[weeks], np.round(probability, 1)[weeks]))


def test_reliability_by_hand():
    found = occurrence.reliability(np.array([0.0, 0.04, 0.96, 1.0]), np.array([0, 1, 1, 1]))
    assert found == [
        {"forecast": pytest.approx(0.02), "observed": 0.5, "count": 2},
        {"forecast": pytest.approx(0.98), "observed": 1.0, "count": 2},
    ]


def test_value_by_hand():
    # one event in four weeks. Perfect forecasts spend C once: value 1. Always certain: protects always, as does the
    # climatology where C / L < 1 / 4: value 0
    outcome = np.array([1, 0, 0, 0])
    assert occurrence.value(outcome.astype(float), outcome, [0.1, 0.5]) == {"0.1": 1, "0.5": 1}
    assert occurrence.value(np.ones(4), outcome, [0.1])["0.1"] == pytest.approx(0)
    # protects twice, once in vain, C / L = .5: spends 1 of 4; without forecasts 1 event is borne: .25; perfect .125
    found = occurrence.value(np.array([0.9, 0.9, 0.1, 0.1]), outcome, [0.5])["0.5"]
    assert found == pytest.approx((0.25 - 0.25) / (0.25 - 0.125))


def test_rare_events_leave_resamples_without_any_out():
    probability, outcome, reference, climatology = example()
    rare = np.where(np.arange(WINDOWS) < 8, outcome, 0)
    rare[0] = 1
    found = occurrence.summary(probability, rare, reference, climatology)
    assert np.isfinite([found["auc"][key] for key in ("value", "low", "high")]).all()


def test_one_class_is_refused():
    probability, outcome, reference, climatology = example()
    with pytest.raises(ValueError, match="all 300 outcomes of the event in the validation set are 0"):
        occurrence.summary(probability, 0 * outcome, reference, climatology)
