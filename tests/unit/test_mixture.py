"""Gaussian mixtures: variance decomposition, quantiles, draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from podnas.ensemble.mixture import Mixture, event_parts, gaussian, mean_absolute

NUMBERS = st.floats(-100, 100, width=64)
SPREADS = st.floats(0.01, 50, width=64)


@st.composite
def mixtures(draw: st.DrawFn) -> Mixture:
    members, places = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    shares = draw(arrays.arrays(float, members, elements=st.floats(0, 1))) + 1e-3
    return Mixture(
        draw(arrays.arrays(float, (members, places), elements=NUMBERS)),
        draw(arrays.arrays(float, (members, places), elements=SPREADS)),
        shares / shares.sum(),
    )


def example() -> Mixture:
    return Mixture(np.array([[0.0], [4.0]]), np.array([[1.0], [2.0]]), np.array([0.25, 0.75]))


def test_parts_by_hand():
    # mean .25 * 0 + .75 * 4 = 3; within .25 * 1 + .75 * 4 = 3.25; between .25 * 3^2 + .75 * 1^2 = 3
    found = example().parts()
    assert example().location == pytest.approx([3.0])
    assert found.aleatoric == pytest.approx([3.25])
    assert found.epistemic == pytest.approx([3.0])
    assert found.total == pytest.approx([6.25])


@settings(deadline=None)
@given(mixtures())
def test_the_parts_are_the_variance_of_the_mixture(mixture):
    # second moment less the squared mean, which owes nothing to the split
    second = np.tensordot(mixture.weights, mixture.sigma**2 + mixture.mean**2, axes=1)
    np.testing.assert_allclose(mixture.parts().total, second - mixture.location**2, rtol=1e-9, atol=1e-8)


@settings(deadline=None)
@given(mixtures(), st.floats(0.1, 10))
def test_a_variance_scaling_multiplies_all_parts_alike(mixture, factor):
    plain, scaled = mixture.parts(), mixture.scaled(factor).parts()
    np.testing.assert_allclose(scaled.aleatoric, factor**2 * plain.aleatoric, rtol=1e-9)
    np.testing.assert_allclose(scaled.epistemic, factor**2 * plain.epistemic, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(scaled.total, factor**2 * plain.total, rtol=1e-9)
    np.testing.assert_allclose(mixture.scaled(factor).location, mixture.location, rtol=1e-9, atol=1e-9)


@settings(deadline=None)
@given(mixtures(), st.floats(0.001, 0.999))
def test_the_distribution_function_at_a_quantile_is_its_level(mixture, level):
    found = mixture.quantiles([level])[0]
    np.testing.assert_allclose(mixture.cdf(found), level, atol=1e-7)


def test_quantiles_of_one_gaussian_are_its_own():
    mean, sigma = np.array([[1.0, -2.0]]), np.array([[0.5, 3.0]])
    found = gaussian(mean, sigma).quantiles([0.05, 0.5, 0.95])
    np.testing.assert_allclose(
        found, stats.norm.ppf(np.array([0.05, 0.5, 0.95])[:, None, None], mean, sigma), atol=1e-8
    )


def test_quantiles_of_two_far_members_are_not_those_of_a_gaussian_with_its_moments():
    # halves at -10 and 10 of sigma 1: the 25 % quantile is the lower member's median
    mixture = Mixture(np.array([[-10.0], [10.0]]), np.ones((2, 1)), np.array([0.5, 0.5]))
    assert mixture.quantiles([0.25])[0] == pytest.approx([-10.0], abs=1e-6)
    assert abs(stats.norm.ppf(0.25) * np.sqrt(mixture.parts().total[0]) - -10) > 3


def test_members_without_weight_do_not_matter():
    both = Mixture(np.array([[0.0], [1e6]]), np.ones((2, 1)), np.array([1.0, 0.0]))
    assert both.quantiles([0.975])[0] == pytest.approx([stats.norm.ppf(0.975)])


def test_draws_have_the_moments_of_the_mixture_and_the_correlation_within_a_member():
    mixture = Mixture(np.array([[[0.0, 0.0]], [[2.0, -2.0]]]), np.ones((2, 1, 2)), np.array([0.5, 0.5]))
    drawn = mixture.draws(200_000, np.array([[[1.0, 0.8], [0.8, 1.0]]]), seed=0)[:, 0]
    # within: .8; between: mean of (-1)(1) over both members = -1
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -1], atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), [[2, -0.2], [-0.2, 2]], atol=0.03)


def test_a_draw_keeps_leads_and_modes_of_a_window_together_and_lets_windows_differ():
    far = np.full((30, 4, 2), 100.0)
    mixture = Mixture(np.stack([-far, far]), np.ones((2, 30, 4, 2)), np.array([0.5, 0.5]))
    drawn = mixture.draws(20, np.broadcast_to(np.eye(2), (4, 2, 2)), seed=0)
    member = np.sign(drawn)
    assert (member == member[:, :, :1, :1]).all()
    assert (np.abs(member[:, :, 0, 0].mean(axis=1)) < 1).all()


def test_mean_absolute_value_of_gaussians():
    # E|X| of a standard Gaussian is sqrt(2 / pi); far from zero it is |mean|
    np.testing.assert_allclose(
        mean_absolute(np.array([0.0, 50.0, -50.0]), np.ones(3)), [np.sqrt(2 / np.pi), 50, 50], rtol=1e-12
    )


@settings(deadline=None)
@given(arrays.arrays(float, (3, 2), elements=st.floats(0, 1)))
def test_the_parts_of_an_event_are_those_of_a_coin_of_the_pooled_probability(probability):
    weights = np.array([0.5, 0.3, 0.2])
    pooled = weights @ probability
    found = event_parts(probability, weights)
    np.testing.assert_allclose(found.total, pooled * (1 - pooled), atol=1e-12)
    assert (found.aleatoric >= 0).all()
    assert (found.epistemic >= 0).all()


@pytest.mark.parametrize(
    ("mean", "sigma", "weights", "message"),
    [
        ([[0.0]], [[0.0]], [1.0], "sigmas that are not positive"),
        ([[np.nan]], [[1.0]], [1.0], "not finite"),
        ([[0.0], [1.0]], [[1.0], [1.0]], [0.5, 0.6], "sum to 1"),
        ([[0.0], [1.0]], [[1.0], [1.0]], [1.5, -0.5], "≥ 0"),
        ([[0.0], [1.0]], [[1.0]], [0.5, 0.5], "do not match"),
    ],
)
def test_what_is_no_mixture_is_refused(mean, sigma, weights, message):
    with pytest.raises(ValueError, match=message):
        Mixture(np.array(mean), np.array(sigma), np.array(weights))
