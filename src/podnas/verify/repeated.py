"""Numbers of an experiment that was repeated: their mean with an interval, and paired differences with a test."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from podnas.verify import paired
from podnas.windows import Array


def described(values: Array) -> dict[str, float]:
    """Mean, median and the 90 % interval of the mean: bias-corrected accelerated bootstrap (Efron 1987)."""
    low, high = _interval(values)
    return {"mean": float(values.mean()), "median": float(np.median(values)), "low": low, "high": high}


def compared(ours: Array, theirs: Array) -> dict[str, Any]:
    """Ours less theirs, repetition by repetition: as `described`, Wilcoxon's signed-rank test, how often ours is more.

    The verdict is the interval's.
    """
    apart = ours - theirs
    found = described(apart)
    return {
        **found,
        "p_wilcoxon": float(stats.wilcoxon(apart).pvalue) if apart.any() else 1.0,
        "more": int((apart > 0).sum()),
        "of": len(apart),
        "verdict": paired.verdict(found),
    }


def _interval(values: Array) -> tuple[float, float]:
    if np.ptp(values) == 0:  # as often as they are drawn, they are the same
        return float(values[0]), float(values[0])
    random = np.random.default_rng(0)
    drawn = stats.bootstrap(
        (values,), np.mean, n_resamples=paired.RESAMPLES, confidence_level=paired.LEVEL, method="BCa", rng=random
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)
