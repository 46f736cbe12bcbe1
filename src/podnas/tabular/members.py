"""A finished search's trials to an ensemble: greedy selection and calibration, on forecasts of held-out blocks only.

A member is a trial. On training rows it has one forecast for each, by the network that was fitted without that row; on
rows to be scored all of its networks forecast, with equal shares of its weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from podnas.ensemble import calibrate, criteria, greedy
from podnas.ensemble.members import Gaussians
from podnas.ensemble.mixture import Mixture
from podnas.tabular.evaluate import Forecast
from podnas.windows import Array


@dataclass(frozen=True)
class Ensemble:
    """A calibrated mixture for the rows to be scored, and what it was chosen by."""

    ahead: Mixture  # of rows (m,), in units of the target
    record: Mapping[str, Any]


def choose(forecasts: Mapping[str, Forecast], target: Array, distinct: int, least: float) -> Ensemble:
    """At most `distinct` of the trials, by name; least: least sigma, in units of the target."""
    names = list(forecasts)
    held = Gaussians(
        names,
        [one.mean for one in forecasts.values()],
        [np.maximum(one.sigma, least) for one in forecasts.values()],
        target,
    )
    chosen = greedy.greedy(criteria.likelihood(held), distinct)
    members = chosen.members
    weights = chosen.weights[members]
    validation = Mixture(
        np.stack([held.means[row] for row in members]), np.stack([held.sigmas[row] for row in members]), weights
    )
    factor = float(calibrate.factor(validation, target))
    ahead = _of_networks([forecasts[names[row]] for row in members], weights)
    record = {
        "members": {names[row]: float(weight) for row, weight in zip(members, weights, strict=True)},
        "sigma_factor": factor,
        "least_sigma": least,
        "validation_nll": chosen.loss,
    }
    return Ensemble(floored(floored(ahead, least).scaled(factor), least), record)


def _of_networks(members: Sequence[Forecast], weights: Array) -> Mixture:
    """The mixture of all networks of the members (members x blocks, m)."""
    blocks = len(members[0].ahead_mean)
    return Mixture(
        np.concatenate([one.ahead_mean for one in members]),
        np.concatenate([one.ahead_sigma for one in members]),
        np.repeat(weights / blocks, blocks),
    )


def floored(mixture: Mixture, least: float) -> Mixture:
    """With no sigma below `least`."""
    return replace(mixture, sigma=np.maximum(mixture.sigma, least))
