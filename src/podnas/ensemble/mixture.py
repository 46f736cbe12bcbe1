"""Weighted Gaussian mixtures: what a deep ensemble forecasts (Lakshminarayanan et al. 2017).

The variance of a mixture is that within its members (aleatoric) and that between them (epistemic):
sum w_i sigma_i^2 + sum w_i (mu_i - mu)^2, mu = sum w_i mu_i. Quantiles are those of the mixture, not of a Gaussian with
its moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import elementwise
from scipy.special import erf, ndtr, ndtri

from podnas.windows import Array

TOLERANCE = 1e-9  # of the sum of weights


@dataclass(frozen=True)
class Parts:
    """A variance split into what the data cannot say and what the model does not know; total is their sum."""

    aleatoric: Array
    epistemic: Array

    @property
    def total(self) -> Array:
        """Variance of the mixture."""
        total: Array = self.aleatoric + self.epistemic
        return total


@dataclass(frozen=True)
class Mixture:
    """One mixture for each place of the trailing dimensions (…), all with the same weights.

    Raises ValueError where shapes differ, weights are no weights, or sigma is not positive.
    """

    mean: Array  # (members, …)
    sigma: Array  # (members, …)
    weights: Array  # (members,), ≥ 0, summing to 1

    def __post_init__(self) -> None:
        if self.mean.shape != self.sigma.shape or self.weights.shape != self.mean.shape[:1]:
            raise ValueError(
                f"means {self.mean.shape}, sigmas {self.sigma.shape} and weights {self.weights.shape} of a mixture do "
                "not match: give (members, …), the same, and (members,)"
            )
        if not (np.isfinite(self.mean).all() and (self.sigma > 0).all() and np.isfinite(self.sigma).all()):
            raise ValueError(
                "a mixture has means that are not finite or sigmas that are not positive; leave out the member"
            )
        if (self.weights < 0).any() or abs(self.weights.sum() - 1) > TOLERANCE:
            raise ValueError(f"weights of a mixture are {self.weights}; they must be ≥ 0 and sum to 1")

    @property
    def location(self) -> Array:
        """Mean of the mixture (…)."""
        return _weighted(self.weights, self.mean)

    def parts(self) -> Parts:
        """Variance (…) within and between members."""
        apart = self.mean - self.location
        return Parts(_weighted(self.weights, self.sigma**2), _weighted(self.weights, apart**2))

    def crps(self, truth: Array) -> Array:
        """Continuous ranked probability score (…), in the units of the truth: closed form (Grimit et al. 2006)."""
        used = np.flatnonzero(self.weights)
        score: Array = np.zeros(truth.shape)
        for place, i in enumerate(used):
            mean, sigma, weight = self.mean[i], self.sigma[i], self.weights[i]
            # a member with itself: the difference of two draws has mean 0
            score += weight * mean_absolute(truth - mean, sigma) - weight**2 * sigma / np.sqrt(np.pi)
            for j in used[:place]:
                both = np.hypot(sigma, self.sigma[j])
                score -= weight * self.weights[j] * mean_absolute(mean - self.mean[j], both)
        return score

    def cdf(self, values: Array) -> Array:
        """Probability (…) of at most `values` (…)."""
        below: Array = sum(
            weight * ndtr((values - mean) / sigma)
            for weight, mean, sigma in zip(self.weights, self.mean, self.sigma, strict=True)
        )
        return below

    def quantiles(self, levels: Sequence[float]) -> Array:
        """Quantiles (levels, …): roots of the mixture's distribution function.

        The root lies between the least and the largest of the members' quantiles.
        """
        used = self.weights > 0
        mean, sigma, weights = self.mean[used], self.sigma[used], self.weights[used]
        return np.stack([_root(level, mean, sigma, weights) for level in levels])

    def scaled(self, factor: Array | float) -> Mixture:
        """All standard deviations, within and between members, multiplied by a factor (…) about the mixture's mean.

        Aleatoric and epistemic variance grow alike, by the factor's square.
        """
        centre = self.location
        return Mixture(centre + factor * (self.mean - centre), factor * self.sigma, self.weights)

    def draws(self, count: int, correlation: Array, seed: int) -> Array:
        """Samples (count, n, …, modes); the last dimension has this correlation (…, modes, modes) within a member.

        A draw takes a member for each window, the first dimension n: leads and modes of one member belong together, but
        windows have picks of their own, so that a mean over windows does not rest on a few.
        """
        random = np.random.default_rng(seed)
        windows = np.arange(self.mean.shape[1])
        members = random.choice(len(self.weights), size=(count, len(windows)), p=self.weights)
        noise = random.standard_normal((count, *self.mean.shape[1:]))
        together = np.einsum("...ij,c...j->c...i", np.linalg.cholesky(correlation), noise)
        drawn: Array = self.mean[members, windows] + self.sigma[members, windows] * together
        return drawn


def gaussian(mean: Array, sigma: Array) -> Mixture:
    """A single Gaussian forecast (…) as a mixture of one; sigma may be broadcast."""
    return Mixture(mean[None], np.broadcast_to(sigma, mean.shape)[None], np.ones(1))


def mean_absolute(mean: Array, sigma: Array) -> Array:
    """Mean of |X| of Gaussian X: the kernel of the CRPS of mixtures (Grimit et al. 2006)."""
    z = mean / sigma
    value: Array = sigma * (np.sqrt(2 / np.pi) * np.exp(-0.5 * z**2) + z * erf(z / np.sqrt(2)))
    return value


def event_parts(probability: Array, weights: Array) -> Parts:
    """Variance p (1 - p) of a binary event by members' probabilities (members, …): within and between members."""
    apart = probability - _weighted(weights, probability)
    return Parts(_weighted(weights, probability * (1 - probability)), _weighted(weights, apart**2))


def _weighted(weights: Array, values: Array) -> Array:
    total: Array = np.tensordot(weights, values, axes=1)
    return total


def _root(level: float, mean: Array, sigma: Array, weights: Array) -> Array:
    members = mean + ndtri(level) * sigma
    count = len(weights)

    def excess(value: Array, *flat: Array) -> Array:
        below = sum(weights[row] * ndtr((value - flat[row]) / flat[count + row]) for row in range(count))
        return np.asarray(below) - level

    # a hair wider: where members agree, rounding must not leave the root outside
    slack = 1e-9 * sigma.max(axis=0)
    found = elementwise.find_root(
        excess, (members.min(axis=0) - slack, members.max(axis=0) + slack), args=(*mean, *sigma)
    )
    if not found.success.all():
        raise ValueError(f"{int((~found.success).sum())} quantiles of level {level} were not found; the mixture is odd")
    root: Array = found.x
    return root
