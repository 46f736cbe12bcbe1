"""Calibration on validation blocks: variance scaling of Gaussian forecasts, sigma(alpha y + beta) of events.

A variance scaling multiplies every part of a variance alike, so what is split stays split. Its factor is the one of the
largest likelihood for a Gaussian, sqrt(mean z^2) with z the standardised error (Laves et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from podnas.ensemble.members import Events, Gaussians, check_classes
from podnas.ensemble.mixture import Mixture
from podnas.windows import Array

Sharing = Literal["all", "modes", "none"]  # one for all, one for each lead, one for each lead and mode
AXES = {"all": None, "modes": (0, 2), "none": (0,)}


def member_factors(members: Gaussians) -> Array:
    """Factor of each member's sigma (members,)."""
    squares, _ = members.standardised()
    return _root_mean(squares, (1,), members.names)


def member_scales(members: Gaussians, sharing: Sharing) -> Array:
    """Factors of each member's sigma on validation windows (n, leads, modes): (members, leads, modes)."""
    squares = members.standardised()[0].reshape(len(members.names), *members.truth.shape)
    axes = {"all": (1, 2, 3), "modes": (1, 3), "none": (1,)}[sharing]
    root = _root_mean(squares, axes, members.names)
    shaped = root.reshape(len(root), *(root.shape[1:] or (1,)), *(() if sharing == "none" else (1,)))
    return np.broadcast_to(shaped, (len(root), *members.truth.shape[1:]))


def factor(mixture: Mixture, truth: Array, sharing: Sharing = "all") -> Array:
    """Factor of a mixture's standard deviations on validation windows (n, leads, modes), or (…) where all share one.

    For `Mixture.scaled`: (), (leads, 1) or (leads, modes).
    """
    if sharing != "all" and truth.ndim != 3:
        raise ValueError(f"factors by lead need validation windows (n, leads, modes), not shape {truth.shape}")
    squares = (truth - mixture.location) ** 2 / mixture.parts().total
    made = _root_mean(squares, AXES[sharing])
    return made[:, None] if sharing == "modes" else made


def _root_mean(squares: Array, axes: tuple[int, ...] | None, names: object = "the ensemble") -> Array:
    root = np.sqrt(np.mean(squares, axis=axes, dtype=np.float64))
    if not (root > 0).all():
        raise ValueError(f"validation errors of {names} are all zero; variances cannot be scaled by them")
    return np.asarray(root)


@dataclass(frozen=True)
class Platt:
    """Probabilities expit(alpha y + beta) from logits y."""

    alpha: float
    beta: float

    def probability(self, logit: Array) -> Array:
        """Calibrated probabilities (…)."""
        probability: Array = expit(self.alpha * logit + self.beta)
        return probability


def platt(logit: Array, outcome: Array) -> Platt:
    """Least cross-entropy on validation windows, with Platt's (1999) targets, so that it is always finite.

    Raises ValueError where all outcomes are alike.
    """
    check_classes(outcome)
    logit, came = logit.ravel().astype(np.float64), outcome.ravel() == 1
    target = np.where(came, (came.sum() + 1) / (came.sum() + 2), 1 / ((~came).sum() + 2))
    features = np.stack([logit, np.ones_like(logit)])

    def loss(parameters: Array) -> tuple[float, Array]:
        argument = parameters @ features
        entropy = np.logaddexp(0, argument) - target * argument
        return float(entropy.mean()), features @ (expit(argument) - target) / target.size

    found = minimize(loss, [1.0, 0.0], jac=True, method="BFGS")
    return Platt(float(found.x[0]), float(found.x[1]))


def member_platts(members: Events) -> list[Platt]:
    """The calibration of each member on its own."""
    return [platt(logit, members.outcome) for logit in members.logits]
