"""Our scores are those of scoringrules, scipy and scikit-learn on the same forecasts."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from scipy.stats import rankdata
from sklearn.metrics import log_loss, roc_auc_score

from podnas.verify import occurrence, spread
from tests.unit.test_spread import drawn, mixture

MADE = mixture(3, members=4, shape=(25, 2, 3))
TRUTH = drawn(MADE)
MEMBERS = MADE.mean, MADE.sigma, np.broadcast_to(MADE.weights[:, None, None, None], MADE.mean.shape)


def last(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(values, 0, -1)


def test_crps_of_a_mixture():
    expected = scoringrules.crps_mixnorm(TRUTH, *(last(one) for one in MEMBERS), backend="numpy")
    np.testing.assert_allclose(MADE.crps(TRUTH), expected, rtol=1e-10)


def test_likelihood_of_a_mixture():
    expected = scoringrules.logs_mixnorm(TRUTH, *(last(one) for one in MEMBERS), backend="numpy")
    np.testing.assert_allclose(spread.nll(MADE, TRUTH), expected, rtol=1e-10)


def test_energy_of_the_same_draws():
    correlation = np.broadcast_to(np.eye(3), (2, 3, 3))
    samples = np.moveaxis(MADE.draws(spread.DRAWS, correlation, 5), 0, -2)
    expected = scoringrules.es_ensemble(TRUTH, samples, estimator="fair", backend="numpy")
    np.testing.assert_allclose(spread.energy(MADE, correlation, TRUTH, 5), expected, rtol=1e-10)


def test_ranks_of_the_same_draws():
    samples = MADE.draws(9, np.broadcast_to(np.eye(3), (2, 3, 3)), 5)
    rank = rankdata(np.concatenate([TRUTH[None], samples]), axis=0)[0].astype(int) - 1
    expected = np.bincount(rank.ravel(), minlength=10) / rank.size
    np.testing.assert_allclose(spread.rank_histogram(samples, TRUTH).mean(axis=0), expected)


def test_probabilities_of_an_event():
    random = np.random.default_rng(0)
    probability = random.uniform(size=200).round(2)  # with ties
    outcome = (random.uniform(size=200) < probability).astype(int)
    np.testing.assert_allclose(
        occurrence.brier(probability, outcome), scoringrules.brier_score(outcome, probability, backend="numpy")
    )
    once = np.ones((1, 200), int)
    assert occurrence.auc(probability, outcome, once)[0] == pytest.approx(roc_auc_score(outcome, probability))
    inside = np.clip(probability, 0.01, 0.99)
    assert occurrence.entropy(inside, outcome).mean() == pytest.approx(log_loss(outcome, inside))
