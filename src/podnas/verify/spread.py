"""Scores of Gaussian mixtures against what came: one value for each window, lead and mode, then means of them.

Standardised coefficients (n, leads, modes) throughout, or any dimensions (n, …) behind the windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import logsumexp

from podnas.ensemble.mixture import Mixture
from podnas.windows import Array

DRAWS = 100  # of the energy score


def nll(mixture: Mixture, truth: Array) -> Array:
    """Negative log likelihood (n, …) in nats."""
    z = (truth - mixture.mean) / mixture.sigma
    weights = mixture.weights.reshape(-1, *[1] * truth.ndim)
    nats: Array = -logsumexp(-0.5 * z**2 - np.log(mixture.sigma), axis=0, b=weights) + 0.5 * np.log(2 * np.pi)
    return nats


def energy(mixture: Mixture, correlation: Array, truth: Array, seed: int = 0) -> Array:
    """Energy score (n, leads) of all modes together, from 100 draws (the unbiased estimate of Gneiting et al. 2008).

    correlation: of modes within a member (leads, modes, modes).
    """
    drawn = mixture.draws(DRAWS, correlation, seed)
    score: Array = np.linalg.norm(drawn - truth, axis=-1).mean(axis=0)
    for apart in range(1, DRAWS):  # pairs at each distance in the order of the draws, on a circle
        score -= np.linalg.norm(drawn - np.roll(drawn, apart, axis=0), axis=-1).mean(axis=0) / (2 * (DRAWS - 1))
    return score


def pit(mixture: Mixture, truth: Array) -> Array:
    """Probability integral transform (n, …): uniform where forecasts are calibrated."""
    return mixture.cdf(truth)


def covered(transform: Array, level: float) -> Array:
    """Whether the central interval of a level held the truth (n, …), from the PIT."""
    inside: Array = np.abs(transform - 0.5) <= level / 2
    return inside


def width(mixture: Mixture, level: float) -> Array:
    """Width (n, …) of the central interval: sharpness."""
    low, high = mixture.quantiles([(1 - level) / 2, (1 + level) / 2])
    apart: Array = high - low
    return apart


def spread_skill(mixture: Mixture, truth: Array) -> Array:
    """Root mean variance over root mean square error of the mean, over windows (…): 1 where all is well."""
    variance, error = mixture.parts().total, (truth - mixture.location) ** 2
    ratio: Array = np.sqrt(variance.mean(axis=0) / error.mean(axis=0))
    return ratio


def pit_histogram(transform: Array, bins: int = 10) -> Array:
    """Share of all values in equal bins (bins,), summing to 1."""
    counts, _ = np.histogram(transform, bins=bins, range=(0, 1))
    share: Array = counts / counts.sum()
    return share


def rank_histogram(samples: Array, truth: Array, seed: int = 0) -> Array:
    """Share of ranks (samples + 1,) of the truth (…) among samples (samples, …); ties are broken at random."""
    below, equal = (samples < truth).sum(axis=0), (samples == truth).sum(axis=0)
    rank = below + np.random.default_rng(seed).integers(0, equal + 1)
    counts = np.bincount(rank.ravel(), minlength=len(samples) + 1)
    share: Array = counts / counts.sum()
    return share


def quantile_reliability(transform: Array, levels: Sequence[float]) -> dict[float, float]:
    """Share of truths at or below each quantile; the same as its level where forecasts are calibrated."""
    return {level: float((transform <= level).mean()) for level in levels}


def sparsification(error: Array, spread: Array, shares: Sequence[float]) -> dict[str, Array]:
    """RMSE of what is left when the given shares of forecasts are withheld (Ilg et al. 2018).

    Withheld first: the forecasts of the largest spread (`spread`), of the largest error (`oracle`). `random`: in no
    order. The nearer the first curve to the second, the better the spread orders the errors.
    """
    squares, order = error.ravel() ** 2, np.argsort(-spread.ravel(), kind="stable")
    left = [squares.size - min(round(share * squares.size), squares.size - 1) for share in shares]

    def curve(ranked: Array) -> Array:
        kept = np.cumsum(ranked[::-1])
        root: Array = np.sqrt([kept[number - 1] / number for number in left])
        return root

    return {
        "spread": curve(squares[order]),
        "oracle": curve(-np.sort(-squares)),
        "random": np.full(len(left), np.sqrt(squares.mean())),
    }


def sharpness(mixture: Mixture, levels: Sequence[float]) -> Mapping[float, float]:
    """Mean width of central intervals, by level."""
    return {level: float(width(mixture, level).mean()) for level in levels}
