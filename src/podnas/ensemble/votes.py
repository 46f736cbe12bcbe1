"""Classifiers to pooled probabilities, as in the fusion study: best model, top-k, Caruana, weights learned by gradient.

Each member is calibrated by expit(alpha y + beta); all by validation windows only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from podnas.ensemble import calibrate, criteria, greedy, learned
from podnas.ensemble.members import Events
from podnas.windows import Array


@dataclass(frozen=True)
class Vote:
    """Weights of members (members,), and what calibrates each: alpha and beta (2, members)."""

    weights: Array
    calibration: Array

    @property
    def members(self) -> list[int]:
        """Rows of the members with weight, the heaviest first."""
        ranked = np.argsort(-self.weights, kind="stable")
        return [int(row) for row in ranked if self.weights[row] > 0]

    def probability(self, logits: Sequence[Array]) -> Array:
        """Pooled probability (…) from the logits of each member (…)."""
        alpha, beta = self.calibration
        pooled: Array = sum(self.weights[row] * expit(alpha[row] * logits[row] + beta[row]) for row in self.members)
        return pooled


def votes(held: Events, top: int, distinct: int) -> dict[str, Vote]:
    """One of each kind; held: logits of validation windows. ValueError for one member, or outcomes of one class."""
    alone = calibrate.member_platts(held)
    calibration = np.array([[one.alpha for one in alone], [one.beta for one in alone]])
    calibrated = Events(
        held.names,
        [one.alpha * logit + one.beta for one, logit in zip(alone, held.logits, strict=True)],
        held.outcome,
    )
    criterion = criteria.cross_entropy(calibrated)
    by_gradient = learned.cross_entropy(held, largest=min(distinct, len(held.names)))
    return {
        "best": Vote(greedy.top_k(criterion, 1).weights, calibration),
        "top_k": Vote(greedy.top_k(criterion, min(top, len(held.names))).weights, calibration),
        "caruana": Vote(greedy.greedy(criterion, distinct).weights, calibration),
        "gradient": Vote(by_gradient.weights, by_gradient.parameters),
    }


def single(logit: Array, outcome: Array) -> Vote:
    """One classifier, calibrated; ValueError for outcomes of one class."""
    found = calibrate.platt(logit, outcome)
    return Vote(np.ones(1), np.array([[found.alpha], [found.beta]]))
