"""Probabilistic forecasts beside one another, as JSON: every number with its interval over blocks of weeks.

Scores are means over windows of one value each: a resample of the circular block bootstrap (`paired.py`) is a product
of counts and values; ratios are of resampled means. Intervals are of 95 %. Forecasts are Gaussian mixtures of
standardised coefficients (n, leads, modes): CRPS is thus divided by the training sigma of each mode, and averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from podnas.ensemble.mixture import Mixture
from podnas.verify import differences, paired, spread
from podnas.windows import Array

LEVEL = 0.95
COVERAGES = (0.5, 0.9)
REFERENCE = "climatology"
OTHER_BLOCKS_WEEKS = (26, 104)  # of the headline, as sensitivity
SHARES = [round(0.1 * step, 1) for step in range(10)]  # withheld, and levels of quantiles


def summary(ours: Mapping[str, Mixture], baselines: Mapping[str, Mixture], truth: Array) -> dict[str, Any]:
    """All numbers of some forecasts and of the baselines, of which one is the climatology.

    `best_baseline` is the one of least CRPS on these weeks, the hardest for ours; `against` has ours less each baseline
    in CRPS (below zero is better), and `crps_ratio_best_baseline` every forecast's over the best's. Raises ValueError
    without a climatology, or where a forecast has another shape than the truth.
    """
    if REFERENCE not in baselines:
        raise ValueError(f"baselines are {', '.join(baselines)}; give the climatology, too: skill is against it")
    everything = {**baselines, **ours}
    for name, mixture in everything.items():
        if mixture.mean.shape[1:] != truth.shape:
            raise ValueError(f"forecast {name} has shape {mixture.mean.shape[1:]}, but the truth {truth.shape}")
    values = {name: _values(mixture, truth) for name, mixture in everything.items()}
    best = min(baselines, key=lambda name: float(values[name]["crps"].mean()))
    weeks = differences.fitting(paired.BLOCK_WEEKS, len(truth))
    drawn = with_record(len(truth), weeks)
    references = {"climatology": values[REFERENCE], "best_baseline": values[best]}
    return {
        "windows": len(truth),
        "block_weeks": weeks,
        "level": LEVEL,
        "best_baseline": best,
        "forecasts": {
            name: _scores(values[name], drawn)
            | _skills(values[name], references, drawn)
            | _shape(mixture, truth, values[name], drawn)
            for name, mixture in everything.items()
        },
        "against": {
            name: {other: _apart(values[name]["crps"], values[other]["crps"], drawn) for other in baselines}
            for name in ours
        },
        "crps_ratio_best_baseline": {
            name: interval(_ratio(values[name]["crps"], values[best]["crps"], drawn)) for name in everything
        },
        "sensitivity": {
            name: {
                str(length): _on_blocks(values[name]["crps"], values[best]["crps"], length) for length in _others(truth)
            }
            for name in ours
        },
    }


def _values(mixture: Mixture, truth: Array) -> dict[str, Array]:
    """What means are taken of, each (n, leads, modes)."""
    transform = spread.pit(mixture, truth)
    return {
        "crps": mixture.crps(truth),
        "nll": spread.nll(mixture, truth),
        "variance": np.broadcast_to(mixture.parts().total, truth.shape),
        "error": (truth - mixture.location) ** 2,
        "pit": transform,
    }


def _scores(values: Mapping[str, Array], drawn: Array) -> dict[str, Any]:
    """Scores of one forecast with their intervals."""
    found = {name: resampled(part, drawn) for name, part in values.items() if name != "pit"}
    held = {level: resampled(spread.covered(values["pit"], level), drawn) for level in COVERAGES}
    ratio = np.sqrt(found["variance"] / found["error"])
    made: dict[str, Any] = {
        "crps": interval(_over(found["crps"])),
        "crps_by_lead": interval(found["crps"].mean(axis=2)),
        "crps_by_lead_and_mode": interval(found["crps"]),
        "nll": interval(_over(found["nll"])),
        "nll_by_lead": interval(found["nll"].mean(axis=2)),
        "spread_skill_by_lead": interval(ratio.mean(axis=2)),
        "spread_skill_by_lead_and_mode": interval(ratio),
    }
    for level, share in held.items():
        made[f"coverage{round(100 * level)}_by_lead"] = interval(share.mean(axis=2))
    return made


def _skills(values: Mapping[str, Array], references: Mapping[str, Mapping[str, Array]], drawn: Array) -> dict[str, Any]:
    """Skill against references: the share of their CRPS that is saved, and the nats of NLL that are gained."""
    crps, nll = (resampled(values[score], drawn) for score in ("crps", "nll"))
    made = {}
    for name, reference in references.items():
        simple = resampled(reference["crps"], drawn)
        made[f"crps_skill_{name}"] = interval(1 - _over(crps) / _over(simple))
        made[f"nll_gain_{name}"] = interval(_over(resampled(reference["nll"], drawn) - nll))
    return made


def _shape(mixture: Mixture, truth: Array, values: Mapping[str, Array], drawn: Array) -> dict[str, Any]:
    """Widths of central intervals (sharpness), histogram of the PIT, reliability of quantiles, sparsification."""
    curves = spread.sparsification(truth - mixture.location, values["variance"], SHARES, drawn)
    reliability = spread.quantile_reliability(values["pit"], SHARES[1:])
    widths = {level: np.broadcast_to(spread.width(mixture, level), truth.shape) for level in COVERAGES}
    return {
        **{
            f"width{round(100 * level)}_by_lead": interval(resampled(width, drawn).mean(axis=2))
            for level, width in widths.items()
        },
        "pit_histogram": interval(resampled(spread.pit_histogram(values["pit"]), drawn)),
        "quantile_reliability": {"level": SHARES[1:], **interval(resampled(reliability, drawn))},
        "sparsification": {"withheld": SHARES, **{name: interval(curve) for name, curve in curves.items()}},
    }


def with_record(windows: int, block_weeks: int) -> Array:
    """How often each window stands in the record itself and in each resample: (1 + resamples, n)."""
    once = np.ones((1, windows), dtype=int)
    return np.concatenate([once, paired.counts(windows, block_weeks)])


def resampled(values: Array, drawn: Array) -> Array:
    """Means over windows (1 + resamples, …) of values (n, …)."""
    flat: Array = drawn @ values.reshape(len(values), -1) / drawn.sum(axis=1, keepdims=True)
    return flat.reshape(len(drawn), *values.shape[1:])


def interval(values: Array) -> dict[str, Any]:
    """The value of the record, and what 95 % of the resamples lie between; values (1 + resamples, …)."""
    low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {"value": values[0].tolist(), "low": low.tolist(), "high": high.tolist()}


def _over(values: Array) -> Array:
    mean: Array = values.mean(axis=(1, 2))
    return mean


def _apart(ours: Array, theirs: Array, drawn: Array) -> dict[str, Any]:
    """Ours less theirs, its interval, and in words whether it leaves zero out: less is better."""
    made = interval(_over(resampled(ours - theirs, drawn)))
    worse = {"low": -made["high"], "high": -made["low"]}
    return {**made, "verdict": paired.verdict(worse)}


def _ratio(ours: Array, theirs: Array, drawn: Array) -> Array:
    ratio: Array = _over(resampled(ours, drawn)) / _over(resampled(theirs, drawn))
    return ratio


def _on_blocks(ours: Array, theirs: Array, weeks: int) -> dict[str, Any]:
    return _apart(ours, theirs, with_record(len(ours), weeks))


def _others(truth: Array) -> list[int]:
    return sorted({differences.fitting(weeks, len(truth)) for weeks in OTHER_BLOCKS_WEEKS})
