"""Sums over pairs of members and over pooled likelihoods, compiled: NumPy would walk through memory for each operation.

Points are worked on in blocks that stay in the cache, in float32; sums of blocks are float64. The tail of the normal
distribution is approximated to 7.5e-8 (Zelen and Severo 1964, eq. 26.2.17), the exponential to 2e-7 of itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from podnas import compiled

compiled.keep("ensemble", Path(__file__))

Array = np.ndarray[Any, np.dtype[Any]]

# what lets loops use all of a vector register: sums in any order, no care for numbers that are none
FAST = {"contract", "nsz", "nnan", "ninf", "arcp"}
SUMS = FAST | {"reassoc"}
POINTS = 512  # of a block: 2 MB of float32 for 1,000 members stay in the cache
LEAST = np.float32(1e-37)  # of a variance, and of a pooled likelihood as a share of the best member's
ONE, HALF = np.float32(1), np.float32(0.5)
TWO_PHI = np.float32(np.sqrt(2 / np.pi))
STEEP = np.float32(0.2316419)
TAIL = tuple(np.float32(c) for c in (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429))
FARTHEST = np.float32(87)  # exponentials beyond are those of this: 1e-38 is the least that float32 has
LOG2_E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
SERIES = tuple(np.float32(1 / c) for c in (720, 120, 24, 6, 2))


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _exp(x: np.float32) -> np.float32:
    """2^n times the exponential of what is left, at most ln 2 / 2 in size, by its series."""
    x = min(max(x, -FARTHEST), FARTHEST)
    n = np.floor(x * LOG2_E + HALF)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    value = ONE + r * (ONE + r * (SERIES[4] + r * (SERIES[3] + r * (SERIES[2] + r * (SERIES[1] + r * SERIES[0])))))
    return value * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _absolute(apart: np.float32, variance: np.float32) -> tuple[np.float32, np.float32]:
    """Mean of |X| of Gaussian X, and its derivative in sigma, as a share of sigma."""
    steep = ONE / np.sqrt(max(variance, LEAST))
    z = abs(apart) * steep
    t = ONE / (ONE + STEEP * z)
    tail = t * (TAIL[0] + t * (TAIL[1] + t * (TAIL[2] + t * (TAIL[3] + t * TAIL[4]))))
    slope = TWO_PHI * _exp(-HALF * z * z)
    return variance * steep * (z + slope * (ONE - z * tail)), slope * steep


@njit(cache=True, fastmath=SUMS, error_model="numpy")
def mean_absolutes(means: Array, variances: Array, mean: Array, variance: Array) -> Array:
    """Mean |X - Y| of each Gaussian X (members, points) and one, Y (points,), all float32: (members,)."""
    members, points = means.shape
    made = np.empty(members)
    for i in range(members):
        total = 0.0
        for first in range(0, points, POINTS):
            part = np.float32(0)
            for k in range(first, min(first + POINTS, points)):
                part += _absolute(means[i, k] - mean[k], variances[i, k] + variance[k])[0]
            total += part
        made[i] = total / points
    return made


@njit(cache=True, fastmath=SUMS, error_model="numpy")
def pairs(means: Array, variances: Array) -> tuple[Array, Array]:
    """Of all pairs of Gaussians (members, points), float32: mean |X_i - X_j|, and its derivative in log sigma_i."""
    members, points = means.shape
    value, slope = np.zeros((members, members)), np.zeros((members, members))
    for i in range(members):
        for j in range(i + 1):
            for first in range(0, points, POINTS):
                apart = by_i = by_j = np.float32(0)
                for k in range(first, min(first + POINTS, points)):
                    one, other = variances[i, k], variances[j, k]
                    absolute, rise = _absolute(means[i, k] - means[j, k], one + other)
                    apart += absolute
                    by_i += rise * one
                    by_j += rise * other
                value[i, j] += apart / points
                slope[i, j] += by_i / points
                if i != j:
                    slope[j, i] += by_j / points
            value[j, i] = value[i, j]
    return value, slope


@njit(cache=True, fastmath=SUMS, error_model="numpy")
def truths(means: Array, variances: Array, truth: Array) -> tuple[Array, Array]:
    """Mean |X_i - truth| of Gaussians (members, points), float32, its derivative in log sigma_i: each (members,)."""
    members, points = means.shape
    value, slope = np.zeros(members), np.zeros(members)
    for i in range(members):
        for first in range(0, points, POINTS):
            apart = by_scale = np.float32(0)
            for k in range(first, min(first + POINTS, points)):
                absolute, rise = _absolute(means[i, k] - truth[k], variances[i, k])
                apart += absolute
                by_scale += rise * variances[i, k]
            value[i] += apart / points
            slope[i] += by_scale / points
    return value, slope


@njit(cache=True, fastmath=SUMS, error_model="numpy")
def _pool(likelihood: Array, best: Array, weights: Array, shares: Array) -> float:
    """Minus the sum of shares of log pooled likelihoods; `best` (points,) becomes the gradient's factor of each."""
    pooled = np.full(likelihood.shape[1], LEAST)
    for i in range(len(weights)):
        for k in range(len(shares)):
            pooled[k] += weights[i] * likelihood[i, k]
    value = 0.0
    for k in range(len(shares)):
        value -= shares[k] * (np.log(pooled[k]) + best[k])
        best[k] = shares[k] / pooled[k]
    return value


@njit(cache=True, fastmath=SUMS, error_model="numpy")
def gaussians(
    squares: Array, logs: Array, log_scale: Array, weights: Array, shares: Array
) -> tuple[float, Array, Array]:
    """Negative log likelihood of mixtures, its derivatives in weights, and in log scales of sigma over the weights.

    squares, logs (members, points): squared standardised errors and log sigma before scaling; shares (points,); all
    float32 but for what is returned.
    """
    members, points = squares.shape
    value, by_weight, by_scale = 0.0, np.zeros(members), np.zeros(members)
    likelihood = np.empty((members, POINTS), np.float32)
    for first in range(0, points, POINTS):
        last = min(first + POINTS, points)
        best = np.full(last - first, np.float32(-1e30))
        for i in range(members):
            steep, level = _exp(-2 * log_scale[i]), np.float32(log_scale[i] + HALF * np.float32(np.log(2 * np.pi)))
            for k in range(last - first):
                likelihood[i, k] = -HALF * squares[i, first + k] * steep - logs[i, first + k] - level
                best[k] = max(best[k], likelihood[i, k])
        for i in range(members):
            for k in range(last - first):
                likelihood[i, k] = _exp(likelihood[i, k] - best[k])
        value += _pool(likelihood, best, weights, shares[first:last])
        for i in range(members):
            steep, gained, sharper = _exp(-2 * log_scale[i]), np.float32(0), np.float32(0)
            for k in range(last - first):
                part = likelihood[i, k] * best[k]
                gained += part
                sharper += part * (squares[i, first + k] * steep - ONE)
            by_weight[i] -= gained
            by_scale[i] -= sharper
    return value, by_weight, by_scale


@njit(cache=True, fastmath=SUMS, error_model="numpy")
def events(
    logits: Array, sign: Array, alpha: Array, beta: Array, weights: Array, shares: Array
) -> tuple[float, Array, Array, Array]:
    """Cross-entropy of pooled expit(alpha y + beta), its derivatives in weights; in alpha, beta over the weights.

    logits (members, points); sign (points,): 1 where the event came, else -1; all float32 but for what is returned.
    """
    members, points = logits.shape
    value, by_weight, by_alpha, by_beta = 0.0, np.zeros(members), np.zeros(members), np.zeros(members)
    likelihood, miss = np.empty((2, members, POINTS), np.float32)
    for first in range(0, points, POINTS):
        last = min(first + POINTS, points)
        best = np.full(last - first, np.float32(-1e30))
        for i in range(members):
            for k in range(last - first):
                # log expit(x) = min(x, 0) - log(1 + exp(-|x|)), of which the second is at most log 2
                argument = (alpha[i] * logits[i, first + k] + beta[i]) * sign[first + k]
                likelihood[i, k] = argument
                best[k] = max(best[k], min(argument, np.float32(0)))
        for i in range(members):
            for k in range(last - first):
                argument = likelihood[i, k]
                small = _exp(-abs(argument))
                most = ONE / (ONE + small)
                miss[i, k] = sign[first + k] * most * (small if argument > 0 else ONE)
                likelihood[i, k] = _exp(min(argument, np.float32(0)) - best[k]) * most
        value += _pool(likelihood, best, weights, shares[first:last])
        for i in range(members):
            gained = steeper = higher = np.float32(0)
            for k in range(last - first):
                part = likelihood[i, k] * best[k]
                gained += part
                steeper += part * miss[i, k] * logits[i, first + k]
                higher += part * miss[i, k]
            by_weight[i] -= gained
            by_alpha[i] -= steeper
            by_beta[i] -= higher
    return value, by_weight, by_alpha, by_beta
