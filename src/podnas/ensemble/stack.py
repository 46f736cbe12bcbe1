"""Stacked regression (Breiman 1996): forecasts of several methods, weighted by what each did on weeks it had not seen.

Forecasts of a block of the training period come from methods fitted without it. Weights of the anomalies that methods
forecast from the climatology are non-negative and drawn towards equal ones by a ridge penalty; what they lack of a sum
of 1 is the climatology's. Methods that do worst have none (trimming), since a combination of equal weights is hard to
beat, and worse for each method that is far behind. How many are left, how strongly weights are drawn, and whether leads
and modes share them, is chosen by the blocks in turn: what is found on all others is judged on each. Judged is either
the mean over modes (`r2_mean`) or the error of the field within the modes (`r2_field`), in which strong modes count
more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from scipy.optimize import nnls

from podnas import scores
from podnas.ensemble.calibrate import Sharing
from podnas.windows import Array

Criterion = Literal["r2_mean", "r2_field"]

SHARING: tuple[Sharing, ...] = ("all", "modes", "none")  # weights for all together, for each lead, for lead and mode
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0, 1000.0)  # share of the truth's mean squared anomaly; the last: equal weights


@dataclass(frozen=True)
class HeldOut:
    """Standardised forecasts of windows by methods that were fitted without them, and what came."""

    forecasts: Mapping[str, Array]  # method to (n, leads, modes)
    climatology: Array  # (n, leads, modes), fitted without them as well
    truth: Array  # (n, leads, modes)
    block: Array  # (n,) number of the block held out
    scale: Array  # (modes,) standard deviations of the coefficients in their units

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
        return HeldOut(forecasts, self.climatology[chosen], self.truth[chosen], self.block[chosen], self.scale)


@dataclass(frozen=True)
class Choice:
    """What is chosen by the blocks in turn."""

    methods: int  # the best so many have weights
    sharing: Sharing
    penalty: float
    by: Criterion = "r2_mean"  # what ranks the methods, and what weights are the best for


@dataclass(frozen=True)
class Stack:
    """Weights (methods, leads, modes) of the methods' anomalies, and how they were found."""

    methods: tuple[str, ...]
    weights: Array
    choice: Choice

    def record(self) -> dict[str, Any]:
        """The weights as JSON: by method, for each lead and mode."""
        return {name: np.round(weight, 6).tolist() for name, weight in zip(self.methods, self.weights, strict=True)}

    def combine(self, forecasts: Mapping[str, Array], climatology: Array) -> Array:
        """One forecast (n, leads, modes) from the methods' and the climatology's."""
        made: Array = climatology + sum(
            weight * (forecasts[name] - climatology) for name, weight in zip(self.methods, self.weights, strict=True)
        )
        return made


def fit(held: HeldOut, choice: Choice) -> Stack:
    """Weights for one choice; methods are ranked on these windows."""
    ranked = sorted(held.forecasts, key=lambda name: -score(held.forecasts[name], held)[choice.by])
    left = ranked[: choice.methods]
    weights = dict.fromkeys(held.forecasts, np.zeros(held.truth.shape[1:]))
    weights |= zip(left, _weights(held, left, choice), strict=True)
    return Stack(tuple(weights), np.stack(list(weights.values())), choice)


def _weights(held: HeldOut, methods: Sequence[str], choice: Choice) -> Array:
    """Weights (methods, leads, modes) of some of the methods."""
    size = held.scale if choice.by == "r2_field" else np.ones_like(held.scale)
    anomalies = np.stack([held.forecasts[name] - held.climatology for name in methods]) * size
    truth = (held.truth - held.climatology) * size
    gram = np.einsum("inlm,jnlm->lmij", anomalies, anomalies)
    moment = np.einsum("inlm,nlm->lmi", anomalies, truth)
    total = (truth**2).sum(axis=0)  # (leads, modes)
    axes = {"all": (0, 1), "modes": (1,), "none": ()}[choice.sharing]
    if axes:
        gram, moment, total = (part.sum(axis=axes, keepdims=True) for part in (gram, moment, total))
    solved = [_solve(gram[at], moment[at], choice.penalty * total[at]) for at in np.ndindex(total.shape)]
    weights = np.stack(solved, axis=1).reshape(len(methods), *total.shape)
    return np.broadcast_to(weights, (len(methods), *truth.shape[1:]))


def _solve(gram: Array, moment: Array, penalty: float) -> Array:
    """Least squares with weights ≥ 0 and a ridge penalty on what departs from equal ones, from normal equations."""
    count = len(moment)
    factor = np.linalg.cholesky(gram + penalty * np.eye(count))  # lower triangle
    weights: Array = nnls(factor.T, np.linalg.solve(factor, moment + penalty / count))[0]
    return weights


def validated(held: HeldOut, choice: Choice) -> Array:
    """Forecasts (n, leads, modes) of each block, combined as the other blocks say."""
    made = np.empty_like(held.truth)
    for block in np.unique(held.block):
        mine = held.block == block
        part = held.rows(mine)
        made[mine] = fit(held.rows(~mine), choice).combine(part.forecasts, part.climatology)
    return made


def choose(held: HeldOut, by: Criterion = "r2_mean") -> tuple[Stack, dict[str, Any]]:
    """The stack with the highest score over the blocks in turn, and the scores of all choices and single methods.

    Raises ValueError where there are fewer than two blocks.
    """
    blocks = np.unique(held.block)
    if len(blocks) < 2:
        raise ValueError(
            f"held-out forecasts are of {len(blocks)} block; weights need two: set windows.validation_blocks"
        )
    counts = range(1, len(held.forecasts) + 1)
    choices = [Choice(*one, by) for one in product(counts, SHARING, PENALTIES)]
    table = [{**asdict(choice), **score(validated(held, choice), held)} for choice in choices]
    best = max(range(len(table)), key=lambda place: table[place][by])
    record = {
        "blocks": len(blocks),
        "windows": len(held.truth),
        "methods": {name: score(values, held) for name, values in held.forecasts.items()},
        "choices": table,
        "chosen": table[best],
    }
    return fit(held, choices[best]), record


def score(forecast: Array, held: HeldOut) -> dict[str, float]:
    """r2_mean, r2_field and skill_clim of forecasts of the held-out windows, all blocks together.

    r2_field is r2_pooled of the coefficients in their units: of the field's squared error within the modes.
    """
    return {
        "r2_mean": float(scores.r2(forecast, held.truth).mean()),
        "r2_field": scores.r2_pooled(forecast * held.scale, held.truth * held.scale),
        "skill_clim": float(scores.skill_clim(forecast, held.truth, held.climatology).mean()),
    }
