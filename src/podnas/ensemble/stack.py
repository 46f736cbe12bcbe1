"""Stacked regression (Breiman 1996): forecasts of several methods, weighted by what each did on weeks it had not seen.

Forecasts of a block of the training period come from methods fitted without it. Weights of the anomalies that methods
forecast from the climatology are non-negative and drawn towards equal ones by a ridge penalty; what they lack of a sum
of 1 is the climatology's. How strongly they are drawn, and whether leads and modes share weights, is chosen by the
blocks in turn: weights found on all others are judged on each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from scipy.optimize import nnls

from podnas import scores
from podnas.windows import Array

Sharing = Literal["all", "modes", "none"]
SHARING: tuple[Sharing, ...] = ("all", "modes", "none")  # weights for all together, for each lead, for lead and mode
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0, 1000.0)  # share of the truth's mean squared anomaly; the last: equal weights


@dataclass(frozen=True)
class HeldOut:
    """Standardised forecasts of windows by methods that were fitted without them, and what came."""

    forecasts: Mapping[str, Array]  # method to (n, leads, modes)
    climatology: Array  # (n, leads, modes), fitted without them as well
    truth: Array  # (n, leads, modes)
    block: Array  # (n,) number of the block held out

    def __post_init__(self) -> None:
        for name, forecast in self.forecasts.items():
            if forecast.shape != self.truth.shape or not np.isfinite(forecast).all():
                raise ValueError(
                    f"held-out forecasts of {name} have shape {forecast.shape} and "
                    f"{int((~np.isfinite(forecast)).sum())} values that are not finite; the truth has shape "
                    f"{self.truth.shape}: make them anew"
                )

    def rows(self, chosen: Array) -> HeldOut:
        """The windows where chosen (n,) is true."""
        forecasts = {name: values[chosen] for name, values in self.forecasts.items()}
        return HeldOut(forecasts, self.climatology[chosen], self.truth[chosen], self.block[chosen])


@dataclass(frozen=True)
class Stack:
    """Weights (methods, leads, modes) of the methods' anomalies, and how they were found."""

    methods: tuple[str, ...]
    weights: Array
    sharing: Sharing
    penalty: float

    def record(self) -> dict[str, Any]:
        """The weights as JSON: by method, for each lead and mode."""
        return {name: np.round(weight, 6).tolist() for name, weight in zip(self.methods, self.weights, strict=True)}

    def combine(self, forecasts: Mapping[str, Array], climatology: Array) -> Array:
        """One forecast (n, leads, modes) from the methods' and the climatology's."""
        made: Array = climatology + sum(
            weight * (forecasts[name] - climatology) for name, weight in zip(self.methods, self.weights, strict=True)
        )
        return made


def fit(held: HeldOut, sharing: Sharing, penalty: float) -> Stack:
    """Weights for one choice of sharing and penalty."""
    methods = tuple(held.forecasts)
    anomalies = np.stack([held.forecasts[name] - held.climatology for name in methods])
    truth = held.truth - held.climatology
    gram = np.einsum("inlm,jnlm->lmij", anomalies, anomalies)
    moment = np.einsum("inlm,nlm->lmi", anomalies, truth)
    size = (truth**2).sum(axis=0)  # (leads, modes)
    axes = {"all": (0, 1), "modes": (1,), "none": ()}[sharing]
    if axes:
        gram, moment, size = (part.sum(axis=axes, keepdims=True) for part in (gram, moment, size))
    solved = [_solve(gram[at], moment[at], penalty * size[at]) for at in np.ndindex(size.shape)]
    weights = np.stack(solved, axis=1).reshape(len(methods), *size.shape)
    return Stack(methods, np.broadcast_to(weights, (len(methods), *truth.shape[1:])), sharing, penalty)


def _solve(gram: Array, moment: Array, penalty: float) -> Array:
    """Least squares with weights ≥ 0 and a ridge penalty on what departs from equal ones, from normal equations."""
    count = len(moment)
    factor = np.linalg.cholesky(gram + penalty * np.eye(count))  # lower triangle
    weights: Array = nnls(factor.T, np.linalg.solve(factor, moment + penalty / count))[0]
    return weights


def validated(held: HeldOut, sharing: Sharing, penalty: float) -> Array:
    """Forecasts (n, leads, modes) of each block, combined by the weights that the other blocks give."""
    made = np.empty_like(held.truth)
    for block in np.unique(held.block):
        mine = held.block == block
        part = held.rows(mine)
        made[mine] = fit(held.rows(~mine), sharing, penalty).combine(part.forecasts, part.climatology)
    return made


def choose(held: HeldOut) -> tuple[Stack, dict[str, Any]]:
    """The stack with the highest r2_mean over the blocks in turn, and the scores of all choices and single methods.

    Raises ValueError where there are fewer than two blocks.
    """
    blocks = np.unique(held.block)
    if len(blocks) < 2:
        raise ValueError(
            f"held-out forecasts are of {len(blocks)} block; weights need two: set windows.validation_blocks"
        )
    choices = {
        (sharing, penalty): validated(held, sharing, penalty) for sharing, penalty in product(SHARING, PENALTIES)
    }
    table = [
        {"sharing": sharing, "penalty": penalty, **score(made, held)} for (sharing, penalty), made in choices.items()
    ]
    best = max(range(len(table)), key=lambda place: table[place]["r2_mean"])
    sharing, penalty = list(choices)[best]
    record = {
        "blocks": len(blocks),
        "windows": len(held.truth),
        "methods": {name: score(values, held) for name, values in held.forecasts.items()},
        "choices": table,
        "chosen": table[best],
    }
    return fit(held, sharing, penalty), record


def score(forecast: Array, held: HeldOut) -> dict[str, float]:
    """r2_mean and skill_clim of forecasts of the held-out windows, all blocks together."""
    return {
        "r2_mean": float(scores.r2(forecast, held.truth).mean()),
        "skill_clim": float(scores.skill_clim(forecast, held.truth, held.climatology).mean()),
    }
