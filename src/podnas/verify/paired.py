"""Differences between two forecasts of the same weeks, with intervals: the paired circular block bootstrap.

Politis and Romano (1992): blocks of consecutive initial dates are drawn with replacement, the record closed to a
circle, so that neighbouring weeks stay together; both forecasts are scored on the same blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from podnas.windows import Array

RESAMPLES = 2000
BLOCK_WEEKS = 52
LEVEL = 0.9
NEGLIGIBLE = 1e-6  # a difference of scores that tells nothing, though all resamples agree in its sign


def counts(weeks: int, block_weeks: int, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """How often each of `weeks` initial dates stands in each resample: (resamples, weeks).

    The last block is cut, so that each resample has as many dates as there are. Raises ValueError where no block fits.
    """
    if not 1 <= block_weeks <= weeks:
        raise ValueError(f"blocks of {block_weeks} weeks do not fit into {weeks} initial dates; take shorter blocks")
    random = np.random.default_rng(seed)
    starts = random.integers(weeks, size=(resamples, -(-weeks // block_weeks)))
    drawn = (starts[..., None] + np.arange(block_weeks)).reshape(resamples, -1)[:, :weeks] % weeks
    return np.stack([np.bincount(row, minlength=weeks) for row in drawn])


def scores(forecast: Array, truth: Array, climatology: Array, drawn: Array) -> dict[str, Array]:
    """r2_mean, skill_clim and skill_lead_1 of a forecast (n, leads, modes) on each resample (resamples, n)."""

    def sums(values: Array) -> Array:
        flat: Array = drawn @ values.reshape(len(values), -1)
        return flat.reshape(len(drawn), *values.shape[1:])

    number = drawn.sum(axis=1)[:, None, None]
    error, simple = sums((forecast - truth) ** 2), sums((climatology - truth) ** 2)
    about_mean = sums(truth**2) - sums(truth) ** 2 / number
    skill = 1 - error / simple
    return {
        "r2_mean": (1 - error / about_mean).mean(axis=(1, 2)),
        "skill_clim": skill.mean(axis=(1, 2)),
        "skill_lead_1": skill[:, 0].mean(axis=1),
    }


def difference(
    ours: Array, theirs: Array, truth: Array, climatology: Array, block_weeks: int = BLOCK_WEEKS
) -> dict[str, dict[str, float]]:
    """Ours less theirs in each score: its value, and the 90 % interval over resamples."""
    drawn = counts(len(truth), block_weeks)
    return less(both(ours, truth, climatology, drawn), both(theirs, truth, climatology, drawn))


def both(forecast: Array, truth: Array, climatology: Array, drawn: Array) -> dict[str, Array]:
    """Scores of a forecast on the record itself, and then on each resample: (1 + resamples,)."""
    once = np.ones((1, len(truth)), dtype=drawn.dtype)
    return scores(forecast, truth, climatology, np.concatenate([once, drawn]))


def less(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> dict[str, dict[str, float]]:
    """Differences of what `both` gave for two forecasts: value, and 90 % interval over resamples."""
    made = {}
    for name in ours:
        apart = ours[name] - theirs[name]
        low, high = np.quantile(apart[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        made[name] = {"difference": float(apart[0]), "low": float(low), "high": float(high)}
    return made


def verdict(interval: dict[str, float]) -> str:
    """'better' or 'worse' where the interval leaves zero out by what rounding cannot make, else 'tie'."""
    if interval["low"] > NEGLIGIBLE:
        return "better"
    return "worse" if interval["high"] < -NEGLIGIBLE else "tie"
