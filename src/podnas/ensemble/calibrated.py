"""Candidates to one calibrated mixture: each scaled, chosen greedily by CRPS, the mixture scaled for each lead.

All by forecasts of held-out blocks of the training period.

ASSUME: factors of one network a candidate hold for the mixture of its networks, as in `selection.Prepared`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from podnas.ensemble import calibrate, criteria, greedy
from podnas.ensemble.members import Gaussians
from podnas.ensemble.mixture import Mixture
from podnas.windows import Array


@dataclass(frozen=True)
class Calibrated:
    """What the held-out blocks say of all candidates."""

    names: tuple[str, ...]
    scales: Array  # of each candidate's sigma (candidates,)
    weights: Array  # (candidates,), summing to 1, most of them 0
    factor: Array  # of the mixture's standard deviations (leads, 1)
    alone: Array  # CRPS of each candidate, scaled (candidates,)
    losses: tuple[float, ...]  # CRPS after each addition of the greedy selection

    def mixture(self, made: list[list[tuple[Array, Array]]]) -> tuple[Mixture, list[int]]:
        """The calibrated mixture of other windows, and of which candidate each of its members is.

        made: of each candidate one or several means and sigmas (n, leads, modes), which share its weight.
        """
        parts = [
            (mean, scale * sigma, weight / len(forecasts), number)
            for number, (forecasts, scale, weight) in enumerate(zip(made, self.scales, self.weights, strict=True))
            for mean, sigma in forecasts
            if weight > 0
        ]
        means, sigmas, weights, numbers = zip(*parts, strict=True)
        mixed = Mixture(np.stack(means), np.stack(sigmas), np.array(weights))
        return mixed.scaled(self.factor), list(numbers)


def fit(held: Gaussians, distinct: int) -> Calibrated:
    """Choose and calibrate; held: forecasts of the validation windows (n, leads, modes) by all candidates."""
    scales = calibrate.member_factors(held)
    scaled = held.scaled(scales)
    criterion = criteria.Crps(scaled)
    chosen = greedy.greedy(criterion, distinct)
    mixture = Mixture(np.stack(list(scaled.means)), np.stack(list(scaled.sigmas)), chosen.weights)
    factor = calibrate.factor(mixture, held.truth, "modes")
    return Calibrated(tuple(held.names), scales, chosen.weights, factor, criterion.singles(), chosen.losses)
