"""Scores of Gaussian mixtures against what came: values of each window, so that their means can be resampled.

Standardised coefficients (n, leads, modes) throughout, or any dimensions (n, …) behind the windows. Tests hold them to
scoringrules, scipy and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    # pairs at each distance in the order of the draws, on a circle: the second half of the distances has the same pairs
    for apart in range(1, DRAWS // 2 + 1):
        share = (1 if 2 * apart < DRAWS else 0.5) / (DRAWS - 1)
        score -= share * np.linalg.norm(drawn - np.roll(drawn, apart, axis=0), axis=-1).mean(axis=0)
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
    """Share of each window's values in equal bins (n, bins), summing to 1; the histogram is the mean over windows."""
    return _shares(np.minimum((transform * bins).astype(int), bins - 1), bins)


def rank_histogram(samples: Array, truth: Array, seed: int = 0) -> Array:
    """Share of each window's ranks (n, samples + 1) of the truth (n, …) among samples (samples, n, …).

    Ties are broken at random; the histogram is the mean over windows.
    """
    below, equal = (samples < truth).sum(axis=0), (samples == truth).sum(axis=0)
    rank = below + np.random.default_rng(seed).integers(0, equal + 1)
    return _shares(rank, len(samples) + 1)


def _shares(places: Array, bins: int) -> Array:
    """Share of each bin (n, bins) among the places (n, …) of a window's values."""
    flat = places.reshape(len(places), -1)
    share: Array = np.stack([(flat == place).mean(axis=1) for place in range(bins)], axis=1)
    return share


def quantile_reliability(transform: Array, levels: Sequence[float]) -> Array:
    """Share of each window's truths at or below quantiles (n, levels): on the mean the level, where calibrated."""
    flat = transform.reshape(len(transform), -1)
    share: Array = np.stack([(flat <= level).mean(axis=1) for level in levels], axis=1)
    return share


def sparsification(error: Array, spread: Array, shares: Sequence[float], drawn: Array) -> dict[str, Array]:
    """RMSE (resamples, shares) of what is left when the given shares of forecasts are withheld (Ilg et al. 2018).

    Withheld first: the forecasts of the largest spread (`spread`), of the largest error (`oracle`). `random`: in no
    order. The nearer the first curve to the second, the better the spread orders the errors. drawn: how often each
    window stands in each resample (resamples, n); who is withheld is decided on the record.
    """
    squares = error**2

    def curve(ranking: Array) -> Array:
        kept = _kept(ranking, shares)
        left, number = (drawn @ one.reshape(*one.shape[:2], -1).sum(axis=2).T for one in (kept * squares, kept))
        root: Array = np.sqrt(left / np.maximum(number, 1))
        return root

    whole = np.sqrt(drawn @ squares.reshape(len(squares), -1).mean(axis=1) / drawn.sum(axis=1))
    return {
        "spread": curve(spread),
        "oracle": curve(squares),
        "random": np.broadcast_to(whole[:, None], (len(drawn), len(shares))),
    }


def _kept(ranking: Array, shares: Sequence[float]) -> Array:
    """Who is left (shares, n, …) when shares are withheld, the largest in the ranking (n, …) first; one is always."""
    place = np.empty(ranking.size, int)
    place[np.argsort(-ranking.ravel(), kind="stable")] = np.arange(ranking.size)
    withheld = [min(round(share * ranking.size), ranking.size - 1) for share in shares]
    return np.stack([place >= number for number in withheld]).reshape(len(shares), *ranking.shape)
