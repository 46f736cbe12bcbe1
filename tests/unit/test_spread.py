"""Scores of Gaussian mixtures: by hand, against numerical integration and against samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from podnas.ensemble.mixture import Mixture, gaussian
from podnas.verify import spread


def mixture(seed: int = 0, members: int = 3, shape: tuple[int, ...] = (40, 2, 3)) -> Mixture:
    random = np.random.default_rng(seed)
    return Mixture(
        random.normal(size=(members, *shape)),
        random.uniform(0.3, 2, size=(members, *shape)),
        random.dirichlet(np.ones(members)),
    )


def calibrated(count: int = 4000) -> tuple[Mixture, np.ndarray]:
    """A mixture, and truth drawn from it."""
    made = mixture(1, shape=(count, 2, 1))
    return made, drawn(made)


def drawn(made: Mixture) -> np.ndarray:
    """Truth from a mixture, each place from a member of its own."""
    random = np.random.default_rng(9)
    member = random.choice(len(made.weights), size=made.mean.shape[1:], p=made.weights)
    mean, sigma = (np.take_along_axis(one, member[None], axis=0)[0] for one in (made.mean, made.sigma))
    return random.normal(mean, sigma)


def test_crps_is_the_integral_of_its_definition():
    made = mixture(shape=(3, 1, 1))
    truth = np.array([-1.5, 0.2, 3.0]).reshape(3, 1, 1)
    found = made.crps(truth)

    def squares(value: float, row: int) -> float:
        below = made.weights @ norm.cdf(value, made.mean[:, row, 0, 0], made.sigma[:, row, 0, 0])
        return (below - (value >= truth[row, 0, 0])) ** 2

    for row in range(3):
        place = truth[row, 0, 0]
        expected = quad(squares, -30, place, args=(row,))[0] + quad(squares, place, 30, args=(row,))[0]
        assert found[row, 0, 0] == pytest.approx(expected, rel=1e-6)


def test_likelihood_is_that_of_the_members_densities():
    made, truth = mixture(), np.random.default_rng(0).normal(size=(40, 2, 3))
    density = np.tensordot(made.weights, norm.pdf(truth, made.mean, made.sigma), axes=1)
    np.testing.assert_allclose(spread.nll(made, truth), -np.log(density))


def test_scores_of_one_gaussian_by_hand():
    # CRPS of a standard Gaussian at its mean: (sqrt 2 - 1) / sqrt pi; its negative log density log(2 pi) / 2
    one = gaussian(np.zeros((1, 1, 1)), np.ones((1, 1)))
    truth = np.zeros((1, 1, 1))
    assert one.crps(truth).item() == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi))
    assert spread.nll(one, truth).item() == pytest.approx(np.log(2 * np.pi) / 2)


def test_the_energy_score_of_one_mode_is_its_crps():
    made = mixture(shape=(300, 2, 1))
    truth = drawn(made)
    found = spread.energy(made, np.ones((2, 1, 1)), truth)
    np.testing.assert_allclose(found.mean(axis=0), made.crps(truth).mean(axis=(0, 2)), rtol=0.03)


def test_the_energy_score_rewards_the_right_correlation():
    random = np.random.default_rng(0)
    truth = random.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=(400, 1))
    one = gaussian(np.zeros_like(truth), np.ones((1, 2)))
    right, wrong = np.array([[[1, 0.9], [0.9, 1]]]), np.array([[[1, -0.9], [-0.9, 1]]])
    assert spread.energy(one, right, truth).mean() < spread.energy(one, wrong, truth).mean() - 0.02


def test_truth_from_the_mixture_is_found_calibrated():
    made, truth = calibrated()
    transform = spread.pit(made, truth)
    np.testing.assert_allclose(spread.pit_histogram(transform).mean(axis=0), 0.1, atol=0.015)
    for level in (0.5, 0.9):
        assert spread.covered(transform, level).mean() == pytest.approx(level, abs=0.02)
    levels = [0.1, 0.5, 0.9]
    np.testing.assert_allclose(spread.quantile_reliability(transform, levels).mean(axis=0), levels, atol=0.02)
    np.testing.assert_allclose(spread.spread_skill(made, truth), 1, atol=0.05)


def test_half_the_spread_shows_in_each_measure():
    made, truth = calibrated()
    sure = made.scaled(0.5)
    transform = spread.pit(sure, truth)
    np.testing.assert_allclose(spread.spread_skill(sure, truth), 0.5, atol=0.03)
    assert spread.covered(transform, 0.9).mean() < 0.7
    histogram = spread.pit_histogram(transform).mean(axis=0)
    assert min(histogram[0], histogram[-1]) > 2 * histogram[4]
    assert sure.crps(truth).mean() > made.crps(truth).mean()


def test_the_interval_holds_what_the_transform_says_it_holds():
    made, truth = calibrated(200)
    low, high = made.quantiles([0.05, 0.95])
    inside = (truth >= low) & (truth <= high)
    np.testing.assert_array_equal(spread.covered(spread.pit(made, truth), 0.9), inside)
    np.testing.assert_allclose(spread.width(made, 0.9), high - low)


def test_widths_of_a_gaussian():
    one = gaussian(np.zeros((5, 1, 1)), np.full((1, 1), 2.0))
    np.testing.assert_allclose(spread.width(one, 0.9), 4 * norm.ppf(0.95))
    np.testing.assert_allclose(spread.width(one, 0.5), 4 * norm.ppf(0.75))


def test_ranks_by_hand_and_of_draws():
    samples = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(spread.rank_histogram(samples, np.array([0.0, 1.5, 9.0])), np.eye(3))
    random = np.random.default_rng(0)
    found = spread.rank_histogram(random.normal(size=(9, 20_000)), random.normal(size=20_000))
    np.testing.assert_allclose(found.mean(axis=0), 0.1, atol=0.01)


def test_histograms_of_windows_by_hand():
    # two windows of two values
    transform = np.array([[0.0, 0.05], [0.95, 1.0]])
    found = spread.pit_histogram(transform, bins=2)
    np.testing.assert_allclose(found, np.eye(2))
    np.testing.assert_allclose(spread.quantile_reliability(transform, [0.02, 0.5, 1.0]), [[0.5, 1, 1], [0, 0, 1]])


def test_seeds_of_a_rank_histogram_agree_within_binomial_noise():
    # members far apart, so that the noise is that of picks of members
    made = Mixture(
        np.stack([np.full((400, 1, 1), -2.0), np.full((400, 1, 1), 2.0)]), np.ones((2, 400, 1, 1)), np.array([0.5, 0.5])
    )
    truth = drawn(made)
    shares = np.array(
        [spread.rank_histogram(made.draws(9, np.ones((1, 1, 1)), seed), truth, seed).mean(axis=0) for seed in range(40)]
    )
    # what one seed's share of 400 windows varies by, if windows have picks of their own
    assert (shares.std(axis=0) < 1.5 * np.sqrt(0.1 * 0.9 / 400)).all()
    np.testing.assert_allclose(shares.mean(axis=0), 0.1, atol=0.02)


def test_equal_values_share_their_ranks():
    found = spread.rank_histogram(np.zeros((3, 40_000)), np.zeros(40_000))
    np.testing.assert_allclose(found.mean(axis=0), 0.25, atol=0.01)


def test_sparsification_by_hand():
    # errors 4, 3, 2, 1; a spread that orders them, and one that orders them the wrong way
    error, shares, once = np.array([4.0, 3.0, 2.0, 1.0]), [0, 0.25, 0.5, 0.75], np.ones((1, 4), int)
    right = spread.sparsification(error, error, shares, once)
    expected = np.sqrt([30 / 4, 14 / 3, 5 / 2, 1])
    np.testing.assert_allclose(right["spread"][0], expected)
    np.testing.assert_allclose(right["oracle"][0], expected)
    np.testing.assert_allclose(right["random"][0], np.sqrt(30 / 4))
    wrong = spread.sparsification(error, -error, shares, once)
    np.testing.assert_allclose(wrong["spread"][0], np.sqrt([30 / 4, 29 / 3, 25 / 2, 16]))
    # a resample that has the last window four times
    np.testing.assert_allclose(spread.sparsification(error, error, shares, np.array([[0, 0, 0, 4]]))["spread"][0], 1)


def test_scores_come_near_those_of_samples():
    # E|X - y| - E|X - X'| / 2, from halves of the draws
    made = mixture(shape=(50, 1, 1))
    truth = drawn(made)
    samples = made.draws(8000, np.ones((1, 1, 1)), seed=0)
    apart = np.abs(samples[:4000] - samples[4000:]).mean(axis=0)
    found = np.abs(samples - truth).mean(axis=0) - apart / 2
    np.testing.assert_allclose(found.mean(), made.crps(truth).mean(), rtol=0.02)
