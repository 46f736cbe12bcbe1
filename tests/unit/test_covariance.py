"""The spread of coefficients in space: the identity, by hand, and by Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podnas.ensemble import covariance
from podnas.ensemble.mixture import Mixture

LEADS, MODES = 2, 3


def mixture(seed: int = 0, members: int = 4, windows: int = 5) -> Mixture:
    random = np.random.default_rng(seed)
    return Mixture(
        random.normal(size=(members, windows, LEADS, MODES)),
        random.uniform(0.2, 2, size=(members, windows, LEADS, MODES)),
        random.dirichlet(np.ones(members)),
    )


def correlation(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.stack([np.corrcoef(random.normal(size=(MODES, 20)) + random.normal(size=20)) for _ in range(LEADS)])


def test_two_modes_by_hand():
    # one member, sigma 1 and 2, correlation .5: covariance (1, 1; 1, 4), with scales 1 and 3 (1, 3; 3, 36);
    # where the modes are 1 and -1: 1 - 2 * 3 + 36 = 31; the diagonal alone would give 37
    one = Mixture(np.zeros((1, 1, 1, 2)), np.array([[[[1.0, 2.0]]]]), np.ones(1))
    found = covariance.covariances(one, np.array([[[1, 0.5], [0.5, 1]]]), np.array([1.0, 3.0]))
    np.testing.assert_allclose(found.aleatoric[0, 0], [[1, 3], [3, 36]])
    np.testing.assert_allclose(found.epistemic[0, 0], 0)
    at = covariance.in_space(found, np.array([[1.0], [-1.0]]), np.array([2.0]))
    np.testing.assert_allclose(at.total, [[[33]]])


def test_members_that_differ_by_hand():
    # means (0, 0) and (2, 4), weights .5: covariance between them (1, 2; 2, 4)
    mean = np.array([[[[0.0, 0.0]]], [[[2.0, 4.0]]]])
    two = Mixture(mean, np.ones_like(mean), np.array([0.5, 0.5]))
    found = covariance.covariances(two, np.eye(2)[None], np.ones(2))
    np.testing.assert_allclose(found.epistemic[0, 0], [[1, 2], [2, 4]])
    np.testing.assert_allclose(found.aleatoric[0, 0], np.eye(2))


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_the_parts_add_up_in_space_and_their_diagonal_is_that_of_the_mixture(seed):
    made, random = mixture(seed), np.random.default_rng(seed)
    scale, patterns = random.uniform(0.5, 3, MODES), random.normal(size=(MODES, 7))
    left = random.uniform(0, 1, size=(5, LEADS, 7))
    found = covariance.covariances(made, correlation(seed), scale)
    for part, expected in (("aleatoric", made.parts().aleatoric), ("epistemic", made.parts().epistemic)):
        diagonal = np.einsum("...aa->...a", getattr(found, part))
        np.testing.assert_allclose(diagonal, expected * scale**2, rtol=1e-10, atol=1e-12)
    at = covariance.in_space(found, patterns, left)
    direct = np.einsum("ap,nlab,bp->nlp", patterns, found.total, patterns) + left
    np.testing.assert_allclose(at.total, direct, rtol=1e-10)
    np.testing.assert_array_equal(at.total, at.aleatoric + at.epistemic + at.truncation)
    assert (at.aleatoric > 0).all()
    assert (at.epistemic >= -1e-12).all()


def test_variance_in_space_is_that_of_draws():
    made, scale, pattern = mixture(1, windows=1), np.array([1.0, 2.0, 0.5]), np.array([[0.3], [-1.0], [0.7]])
    found = covariance.in_space(covariance.covariances(made, correlation(), scale), pattern, np.zeros(1))
    drawn = made.draws(200_000, correlation(), seed=0)[:, 0] * scale @ pattern[:, 0]
    np.testing.assert_allclose(found.total[0, :, 0], drawn.var(axis=0), rtol=0.02)
    at = covariance.projected(made, correlation(), scale, pattern[:, 0], np.zeros((1, LEADS)))
    np.testing.assert_allclose(at.parts().total, found.total[..., 0], rtol=1e-10)
    np.testing.assert_allclose(at.parts().epistemic, found.epistemic[..., 0], rtol=1e-10)
    np.testing.assert_allclose(at.location[0], drawn.mean(axis=0), atol=0.05)
    low, high = at.quantiles([0.05, 0.95])
    np.testing.assert_allclose(np.quantile(drawn, [0.05, 0.95], axis=0), [low[0], high[0]], atol=0.1)


def test_mean_maps_are_maps_of_mean_covariances():
    made = covariance.covariances(mixture(), correlation(), np.ones(MODES))
    patterns = np.random.default_rng(0).normal(size=(MODES, 7))
    each = covariance.in_space(made, patterns, np.zeros(7)).total.mean(axis=0)
    np.testing.assert_allclose(covariance.in_space(made.mean(), patterns, np.zeros(7)).total, each)


def test_correlation_of_validation_errors_is_found():
    random, given_matrix = np.random.default_rng(0), np.array([[1, 0.34, 0], [0.34, 1, -0.2], [0, -0.2, 1]])
    errors = random.multivariate_normal(np.zeros(3), given_matrix, size=(20_000, LEADS))
    forecast = random.normal(size=errors.shape)
    made = Mixture(forecast[None], np.ones((1, *errors.shape)), np.ones(1))
    found = covariance.residual_correlation(made, forecast + errors)
    np.testing.assert_allclose(found, [given_matrix] * LEADS, atol=0.03)


def test_too_few_windows_give_no_correlation():
    with pytest.raises(ValueError, match="4 validation windows cannot give the correlation of 3 modes"):
        covariance.residual_correlation(mixture(windows=4), np.zeros((4, LEADS, MODES)))
