"""Weights and calibration learned together: gradients against finite differences, and known optima."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit
from sklearn.metrics import log_loss

from podnas.ensemble import calibrate, learned
from podnas.ensemble.members import Events, Gaussians
from podnas.ensemble.mixture import Mixture
from podnas.verify import spread
from tests.unit.test_selection import events, gaussians

LEARNERS = {"likelihood": learned.likelihood, "crps": learned.crps}


def from_mixture(count: int = 20_000) -> Gaussians:
    """Truth of N(-1, .5) in 7 of 10 cases, else of N(2, 1); members are these two, as if half as wide, and a third."""
    random = np.random.default_rng(0)
    first = random.uniform(size=count) < 0.7
    truth = np.where(first, random.normal(-1, 0.5, count), random.normal(2, 1, count))
    means = [np.full(count, place) for place in (-1.0, 2.0, 9.0)]
    return Gaussians(["first", "second", "far"], means, [np.full(count, s) for s in (0.25, 0.5, 1.0)], truth)


@pytest.mark.parametrize("name", ["likelihood", "crps"])
def test_weights_and_scales_of_the_distribution_that_made_the_truth_are_found(name):
    found = LEARNERS[name](from_mixture(), iterations=300)
    np.testing.assert_allclose(found.weights, [0.7, 0.3, 0.0], atol=0.02)
    np.testing.assert_allclose(found.parameters[0, :2], 2.0, rtol=0.05)
    assert found.loss < found.start


def test_weights_of_calibrated_probabilities_are_found():
    # the truth's probability is that of member 0 with alpha 2 and beta -1; member 1 knows nothing
    random = np.random.default_rng(0)
    logit, nothing = random.normal(size=(2, 20_000))
    outcome = (random.uniform(size=logit.size) < expit(2 * logit - 1)).astype(int)
    found = learned.cross_entropy(Events(["knows", "does not"], [logit, nothing], outcome), iterations=300)
    assert found.weights[0] > 0.97
    np.testing.assert_allclose(found.parameters[:, 0], [2, -1], atol=0.1)


@pytest.mark.parametrize("name", ["likelihood", "crps", "cross_entropy"])
def test_gradients_are_those_of_finite_differences(name, monkeypatch):
    seen = {}
    monkeypatch.setattr(learned, "minimize", lambda loss, first, **_: seen.update(loss=loss, first=first) or Stop())
    made = events(4) if name == "cross_entropy" else gaussians(4)
    getattr(learned, name)(made)
    random = np.random.default_rng(1)
    at = seen["first"] + 0.3 * random.normal(size=len(seen["first"]))
    expected = approx_fprime(at, lambda values: seen["loss"](values)[0], 1e-3)
    np.testing.assert_allclose(seen["loss"](at)[1], expected, atol=2e-3 * np.abs(expected).max())


class Stop:
    """What a minimiser that found nothing gives back."""

    fun = np.nan


def test_many_points_and_members_that_are_far_from_all_have_a_finite_loss():
    # more points than are worked on together, and one that no member thinks possible
    random = np.random.default_rng(2)
    truth = random.normal(size=1300)
    truth[700] = 60.0
    means = [truth * (np.abs(truth) < 50) + random.normal(size=truth.size) for _ in range(3)]
    made = Gaussians(["a", "b", "c"], means, [np.ones(truth.size)] * 3, truth)
    found = learned.likelihood(made)
    mixture = Mixture(np.stack(made.means), found.parameters[0][:, None] * np.stack(made.sigmas), found.weights)
    assert found.loss == pytest.approx(spread.nll(mixture, truth).mean(), rel=1e-5)
    outcome = (truth > 0).astype(int)
    sure = [np.where(outcome == 1, 200.0, -200.0), np.where(truth > 0.5, 300.0, -300.0)]
    assert np.isfinite(learned.cross_entropy(Events(["right", "often wrong"], sure, outcome)).loss)


def test_the_loss_of_events_is_that_of_the_pooled_probability():
    made = events(5)
    found = learned.cross_entropy(made)
    alpha, beta = found.parameters[:, :, None]
    pooled = found.weights @ expit(alpha * made.rows() + beta)
    assert found.loss == pytest.approx(log_loss(made.outcome.ravel(), pooled), rel=1e-5)


@pytest.mark.parametrize("name", ["likelihood", "crps"])
def test_the_loss_is_that_of_the_calibrated_mixture(name):
    made = gaussians(5)
    found = LEARNERS[name](made)
    mixture = Mixture(
        np.stack(made.means), found.parameters[0, :, None, None, None] * np.stack(made.sigmas), found.weights
    )
    score = Mixture.crps if name == "crps" else spread.nll
    assert found.loss == pytest.approx(score(mixture, made.truth).mean(), rel=1e-5)
    assert found.loss < found.start


@pytest.mark.parametrize("name", ["likelihood", "crps", "cross_entropy"])
def test_so_many_members_are_left(name):
    made = events(8) if name == "cross_entropy" else gaussians(8)
    found = getattr(learned, name)(made, largest=3)
    assert len(found.members) == 3
    assert found.weights.sum() == pytest.approx(1)
    assert found.loss < found.start


def test_the_crps_is_learned_among_the_best_alone():
    made = gaussians(40)
    found = learned.crps(made, iterations=5)
    assert np.count_nonzero(found.weights) == learned.CANDIDATES
    np.testing.assert_allclose(
        found.parameters[0, found.weights == 0], calibrate.member_factors(made)[found.weights == 0]
    )


def test_one_member_is_refused():
    for learn, made in (
        (learned.likelihood, gaussians(1)),
        (learned.crps, gaussians(1)),
        (learned.cross_entropy, events(1)),
    ):
        with pytest.raises(ValueError, match="the catalogue has 1 member"):
            learn(made)
    with pytest.raises(ValueError, match="an ensemble has at least 2"):
        learned.likelihood(gaussians(4), largest=1)


def test_factor_of_a_member_is_the_root_mean_square_of_its_standardised_errors():
    truth = np.array([[[2.0]], [[-4.0]]])
    # errors 2 and -4 of sigma 2: mean of 1 and 4 is 2.5
    made = Gaussians(["only"], [np.zeros_like(truth)], [np.full_like(truth, 2.0)], truth)
    np.testing.assert_allclose(calibrate.member_factors(made), [np.sqrt(2.5)], rtol=1e-6)


@pytest.mark.parametrize(("sharing", "shape"), [("all", ()), ("modes", (2, 1)), ("none", (2, 3))])
def test_a_scaled_mixture_has_standardised_errors_of_mean_square_one(sharing, shape):
    made = gaussians(3)
    mixture = Mixture(np.stack(made.means), np.stack(made.sigmas), np.array([0.5, 0.3, 0.2]))
    found = calibrate.factor(mixture, made.truth, sharing)
    assert found.shape == shape
    scaled = mixture.scaled(found)
    squares = (made.truth - scaled.location) ** 2 / scaled.parts().total
    axes = calibrate.AXES[sharing]
    np.testing.assert_allclose(squares.mean(axis=axes), 1, rtol=1e-9)


def test_platt_finds_what_made_the_outcomes():
    random = np.random.default_rng(0)
    logit = random.normal(size=50_000)
    outcome = (random.uniform(size=logit.size) < expit(0.5 * logit - 2)).astype(int)
    found = calibrate.platt(logit, outcome)
    assert (found.alpha, found.beta) == (pytest.approx(0.5, abs=0.05), pytest.approx(-2, abs=0.05))


def test_platt_stays_finite_where_classes_are_apart():
    found = calibrate.platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1]))
    assert np.isfinite([found.alpha, found.beta]).all()
    assert found.probability(np.array([-2.0, 2.0])) == pytest.approx([0.25, 0.75], abs=0.1)
