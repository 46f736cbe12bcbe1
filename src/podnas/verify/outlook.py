"""The outlook for Niño 3.4 and its record over past years, as JSON.

Intervals are of 95 %, of the paired circular block bootstrap (`paired.py`). All in degree_Celsius of the index itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from podnas import windows
from podnas.ensemble.mixture import Mixture, gaussian
from podnas.verify import differences, nino, occurrence, paired, spread
from podnas.verify.nino import Cpc
from podnas.verify.probabilistic import LEVEL, interval, resampled, with_record
from podnas.windows import Array

OURS = "outlook"
PERSISTENCE = "cpc_persistence"
TO_BEAT = (PERSISTENCE, "autoregression")
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
COVERAGES = (0.5, 0.9)
HISTORY_WEEKS = 26
NO_TRUNCATION = "none, since the index itself is forecast, not modes of a field, which leave a part of it out"


def mixtures(forecasts: xr.Dataset, cpc: Cpc, train: xr.Dataset) -> dict[str, Mixture]:
    """Ours and all baselines as mixtures of SST (members, n, leads), CPC persistence among them."""
    starts = forecasts.valid_time.values
    whole, truth = windows.training(train), train.target.values[..., 0]
    made = {
        PERSISTENCE: nino.persistence(cpc, whole, truth, forecasts.init_time.values, starts),
        **{
            str(name): gaussian(
                forecasts.baseline_mean.sel({"method": name}).values[..., 0],
                forecasts.baseline_sigma.sel({"method": name}).values[..., 0],
            )
            for name in forecasts.method.values
        },
    }
    return {**made, OURS: ours(forecasts)}


def ours(forecasts: xr.Dataset) -> Mixture:
    """Our mixture of SST (members, n, leads)."""
    weights = forecasts.weight.values
    return Mixture(forecasts["mean"].values[..., 0], forecasts.sigma.values[..., 0], weights / weights.sum())


def record(
    forecasts: xr.Dataset, truth: Array, cpc: Cpc, train: xr.Dataset, threshold: float, harmonics: int
) -> dict[str, Any]:
    """What past forecasts were worth; truth: SST (n, leads).

    `against`: ours less each baseline, in RMSE and CRPS of each lead, with verdicts. `claimed`: leads at which both of
    TO_BEAT are beaten. Raises ValueError where a lead has events or none only.
    """
    made = mixtures(forecasts, cpc, train)
    weeks = differences.fitting(paired.BLOCK_WEEKS, len(truth))
    drawn = with_record(len(truth), weeks)
    values = {name: _resampled(one, truth, drawn) for name, one in made.items()}
    against = {
        other: {score: _apart(values[OURS][score] - values[other][score]) for score in ("rmse", "crps")}
        for other in made
        if other != OURS
    }
    return {
        "windows": len(truth),
        "block_weeks": weeks,
        "level": LEVEL,
        "leads": forecasts.lead.values.tolist(),
        "scores": {name: {score: interval(one) for score, one in found.items()} for name, found in values.items()},
        "against": against,
        "claimed": {
            score: [
                all(against[other][score]["verdict"][lead] == "better" for other in TO_BEAT)
                for lead in range(truth.shape[1])
            ]
            for score in ("rmse", "crps")
        },
        "shape": {name: _shape(made[name], truth, drawn) for name in (OURS, *TO_BEAT)},
        "events": _events(made[OURS], forecasts, cpc, train, threshold, harmonics),
    }


def _resampled(mixture: Mixture, truth: Array, drawn: Array) -> dict[str, Array]:
    """RMSE and CRPS by lead of the record and of each resample (1 + resamples, leads)."""
    squares = (truth - mixture.location) ** 2
    return {
        "rmse": np.sqrt(resampled(squares, drawn)),
        "crps": resampled(mixture.crps(truth), drawn),
    }


def _apart(less: Array) -> dict[str, Any]:
    made = interval(less)
    verdicts = [
        paired.verdict({"low": -high, "high": -low}) for low, high in zip(made["low"], made["high"], strict=True)
    ]
    return {**made, "verdict": verdicts}


def _shape(mixture: Mixture, truth: Array, drawn: Array) -> dict[str, Any]:
    """Coverage, spread over skill and the parts of the variance by lead; the histogram of the PIT."""
    transform, parts = spread.pit(mixture, truth), mixture.parts()
    error = resampled((truth - mixture.location) ** 2, drawn)
    made: dict[str, Any] = {
        f"coverage{round(100 * level)}": interval(resampled(spread.covered(transform, level), drawn))
        for level in COVERAGES
    }
    total = resampled(np.broadcast_to(parts.total, truth.shape), drawn)
    return {
        **made,
        "spread_skill": interval(np.sqrt(total / error)),
        "aleatoric": np.broadcast_to(parts.aleatoric, truth.shape).mean(axis=0).tolist(),
        "epistemic": np.broadcast_to(parts.epistemic, truth.shape).mean(axis=0).tolist(),
        "pit_histogram": interval(resampled(spread.pit_histogram(transform), drawn)),
    }


def _events(
    mixture: Mixture, forecasts: xr.Dataset, cpc: Cpc, train: xr.Dataset, threshold: float, harmonics: int
) -> dict[str, Any]:
    """Of each event, the numbers of `occurrence.summary` at each lead, against logistic damped persistence."""
    starts = forecasts.valid_time.values
    outcomes = cpc.events(starts, threshold)
    ours = cpc.probabilities(mixture, starts, threshold)
    simple = _logistic(forecasts, cpc, train, threshold, harmonics)
    return {
        event: [
            occurrence.summary(ours[event][:, lead], outcome[:, lead], *(one[:, lead] for one in simple[event]))
            for lead in range(outcome.shape[1])
        ]
        for event, outcome in outcomes.items()
    } | {
        "reliability": {
            event: occurrence.reliability(ours[event].ravel(), outcome.ravel()) for event, outcome in outcomes.items()
        }
    }


def _logistic(
    forecasts: xr.Dataset, cpc: Cpc, train: xr.Dataset, threshold: float, harmonics: int
) -> dict[str, tuple[Array, Array]]:
    standard = windows.scaler(train)
    inputs = windows.inputs(forecasts, standard)
    return nino.logistic(cpc, windows.training(train), inputs, threshold, harmonics)


def outlook(forecasts: xr.Dataset, cpc: Cpc, train: xr.Dataset, threshold: float, harmonics: int) -> dict[str, Any]:
    """The forecast that the last weeks begin; anomalies are CPC's, for a reader, of SST that was forecast."""
    made = mixtures(forecasts, cpc, train)
    starts = forecasts.valid_time.values
    normal = cpc.climatology(starts)[0]
    mixture = made[OURS]
    parts, quantiles = mixture.parts(), mixture.quantiles(LEVELS)[:, 0]
    chances = cpc.probabilities(mixture, starts, threshold)
    simple = _logistic(forecasts, cpc, train, threshold, harmonics)
    leads = [
        {
            "lead": int(forecasts.lead.values[lead]),
            "week": _day(starts[0, lead] + nino.TO_CENTRE),
            "climatology": float(normal[lead]),
            "mean": float(mixture.location[0, lead]),
            "quantiles": {str(level): float(quantiles[row, lead]) for row, level in enumerate(LEVELS)},
            "probability": {event: float(one[0, lead]) for event, one in chances.items()},
            "probability_logistic": {event: float(one[0][0, lead]) for event, one in simple.items()},
            "base_rate": {event: float(one[1][0, lead]) for event, one in simple.items()},
            "variance": {
                "aleatoric": float(parts.aleatoric[0, lead]),
                "epistemic": float(parts.epistemic[0, lead]),
                "truncation": 0.0,
            },
            "baselines": {name: float(one.location[0, lead]) for name, one in made.items() if name != OURS},
        }
        for lead in range(starts.shape[1])
    ]
    past = slice(-HISTORY_WEEKS, None)
    return {
        "threshold": threshold,
        "truncation": NO_TRUNCATION,
        "leads": leads,
        "history": {
            "week": [_day(start + nino.TO_CENTRE) for start in cpc.starts[past]],
            "sst": cpc.sst[past].tolist(),
            "anomaly": cpc.anomaly(cpc.starts[past]).tolist(),
        },
    }


def _day(start: Any) -> str:
    return str(np.datetime64(start, "D"))


def weights(about: Mapping[str, Any]) -> dict[str, float]:
    """Candidates with weight, the heaviest first."""
    taken = {one["name"]: one["weight"] for one in about["candidates"] if one["weight"] > 0}
    return dict(sorted(taken.items(), key=lambda one: -one[1]))
