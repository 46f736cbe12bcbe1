"""Forecasts of the same validation windows by all candidates for an ensemble, and what came.

Whatever makes them, members agree in windows, leads and modes, and give numbers: what does not is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from podnas.windows import Array


@dataclass(frozen=True)
class Gaussians:
    """Gaussian forecasts; raises ValueError where a member differs in shape, is not finite or has no spread.

    The trailing dimensions (…) are any that all share: windows, leads and modes, or rows of a table.
    """

    names: Sequence[str]  # of the members, as a reader of an error knows them
    means: Sequence[Array]  # of each member (…)
    sigmas: Sequence[Array]  # of each member (…)
    truth: Array  # (…)

    def __post_init__(self) -> None:
        _check_count(self.names, self.means, self.sigmas)
        _check_finite("the truth", self.truth)
        for name, mean, sigma in zip(self.names, self.means, self.sigmas, strict=True):
            for values in (mean, sigma):
                _check_shape(name, values, self.truth)
                _check_finite(f"member {name}", values)
            _check_sigma(name, sigma)

    def standardised(self) -> tuple[Array, Array]:
        """Squared standardised errors and logarithms of sigma, each (members, points) in float32."""
        made = np.empty((2, len(self.names), self.truth.size), dtype=np.float32)
        truth = self.truth.ravel()
        for row, (mean, sigma) in enumerate(zip(self.means, self.sigmas, strict=True)):
            made[0, row] = ((truth - mean.ravel()) / sigma.ravel()) ** 2
            made[1, row] = np.log(sigma.ravel())
        return made[0], made[1]

    def scaled(self, factors: Array) -> Gaussians:
        """With the sigma of each member multiplied by its factor (members,), or by one for each place (members, …)."""
        sigmas = [factor * sigma for factor, sigma in zip(factors, self.sigmas, strict=True)]
        return Gaussians(self.names, self.means, sigmas, self.truth)

    def windows(self, chosen: Array) -> Gaussians:
        """Forecasts of some of the windows, the first dimension: where chosen is true, or of these places."""
        means, sigmas = ([one[chosen] for one in part] for part in (self.means, self.sigmas))
        return Gaussians(self.names, means, sigmas, self.truth[chosen])

    def take(self, rows: Sequence[int]) -> Gaussians:
        """The members of these rows."""
        return Gaussians(
            [self.names[row] for row in rows],
            [self.means[row] for row in rows],
            [self.sigmas[row] for row in rows],
            self.truth,
        )


@dataclass(frozen=True)
class Events:
    """Forecasts of whether an event comes, as logits: log p / (1 - p).

    Raises ValueError where a member differs in shape or is not finite, an outcome is neither 0 nor 1, or all are alike.
    """

    names: Sequence[str]
    logits: Sequence[Array]  # of each member (…)
    outcome: Array  # (…) 1 where the event came, else 0
    event: str = "the event"  # as a reader of an error knows it

    def __post_init__(self) -> None:
        _check_count(self.names, self.logits)
        check_classes(self.outcome, self.event)
        for name, logit in zip(self.names, self.logits, strict=True):
            _check_shape(name, logit, self.outcome)
            _check_finite(f"member {name}", logit)

    def rows(self) -> Array:
        """Logits (members, points) in float32."""
        rows: Array = np.stack([logit.ravel() for logit in self.logits]).astype(np.float32)
        return rows


def check_classes(outcome: Array, event: str = "the event") -> None:
    """Raise ValueError where outcomes are not 0 or 1, or are all alike."""
    classes = np.unique(outcome)
    if not np.isin(classes, (0, 1)).all():
        raise ValueError(f"outcomes of {event} are {classes[:5]}; they must be 0 or 1")
    if len(classes) < 2:
        raise ValueError(
            f"all {outcome.size} outcomes of {event} in the validation set are {int(classes[0])}; probabilities can be "
            "neither calibrated nor chosen by one class: take longer validation blocks, or another threshold"
        )


def check_several(names: Sequence[str], setting: str | None = None) -> None:
    """Raise ValueError where there is nothing to choose from; setting: where their number is set, if it is known."""
    if len(names) < 2:
        raise ValueError(
            f"the catalogue has {len(names)} member ({', '.join(names)}); an ensemble is chosen from two or more: "
            f"{f'raise {setting}' if setting else 'have more made'}, or use the single network"
        )


def _check_count(names: Sequence[str], *parts: Sequence[Array]) -> None:
    if not names or any(len(part) != len(names) for part in parts):
        raise ValueError(f"{len(names)} members are named, but forecasts are of {[len(part) for part in parts]}")


def _check_shape(name: str, values: Array, truth: Array) -> None:
    if values.shape != truth.shape:
        raise ValueError(
            f"member {name} forecasts shape {values.shape}, but the validation set has {truth.shape}; members must "
            "share windows, leads and modes: leave it out, or make its forecasts anew"
        )


def _check_finite(name: str, values: Array) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(f"{name} has {bad} values that are not finite; leave it out of the catalogue")


def _check_sigma(name: str, sigma: Array) -> None:
    least = float(sigma.min())
    if least <= 0:
        raise ValueError(
            f"member {name} has sigma {least:g}; a Gaussian forecast needs sigma > 0: give its head a floor and train "
            "it anew, or leave it out of the catalogue"
        )
