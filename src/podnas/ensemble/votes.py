"""Classifiers to pooled probabilities, as in the fusion study: best model, top-k, Caruana, weights learned by gradient.

Each member is calibrated by expit(alpha y + beta), and so is the pooled probability; all by validation windows only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from podnas.ensemble import calibrate, criteria, greedy, learned, mixture
from podnas.ensemble.calibrate import Platt
from podnas.ensemble.members import Events
from podnas.ensemble.mixture import Parts
from podnas.windows import Array

AS_IT_IS = Platt(1, 0)
NEVER = 1e-7  # no pooled probability is nearer to 0 or 1


@dataclass(frozen=True)
class Vote:
    """Weights of members (members,), what calibrates each, alpha and beta (2, members), and what the pool of them."""

    weights: Array
    calibration: Array
    pool: Platt = AS_IT_IS

    @property
    def members(self) -> list[int]:
        """Rows of the members with weight, the heaviest first."""
        ranked = np.argsort(-self.weights, kind="stable")
        return [int(row) for row in ranked if self.weights[row] > 0]

    def probability(self, logits: Sequence[Array]) -> Array:
        """Pooled and calibrated probability (…) from the logits of each member (…)."""
        pooled = np.tensordot(self.weights[self.members], self._members(logits), axes=1)
        return self.pool.probability(logit(np.clip(pooled, NEVER, 1 - NEVER)))

    def parts(self, logits: Sequence[Array]) -> Parts:
        """Variance of the event (…) by the pooled members, before the pool is calibrated: within, and between them.

        logits: of each member (fits, …); fits share the member's weight.
        """
        every = self._members(logits)
        weights = np.repeat(self.weights[self.members], every.shape[1]) / every.shape[1]
        return mixture.event_parts(every.reshape(-1, *every.shape[2:]), weights)

    def fitted(self, held: Events) -> Vote:
        """The same with its pool calibrated on validation windows."""
        pooled = np.clip(replace(self, pool=AS_IT_IS).probability(held.logits), NEVER, 1 - NEVER)
        return replace(self, pool=calibrate.platt(logit(pooled), held.outcome))

    def _members(self, logits: Sequence[Array]) -> Array:
        alpha, beta = self.calibration
        return np.stack([expit(alpha[row] * logits[row] + beta[row]) for row in self.members])


def votes(held: Events, top: int, distinct: int) -> dict[str, Vote]:
    """One of each kind; held: logits of validation windows. ValueError for one member, or outcomes of one class."""
    alone = calibrate.member_platts(held)
    calibration = np.array([[one.alpha for one in alone], [one.beta for one in alone]])
    calibrated = Events(
        held.names,
        [one.alpha * logit + one.beta for one, logit in zip(alone, held.logits, strict=True)],
        held.outcome,
        held.event,
    )
    criterion = criteria.cross_entropy(calibrated)
    by_gradient = learned.cross_entropy(held, largest=min(distinct, len(held.names)))
    made = {
        "best": Vote(greedy.top_k(criterion, 1).weights, calibration),
        "top_k": Vote(greedy.top_k(criterion, min(top, len(held.names))).weights, calibration),
        "caruana": Vote(greedy.greedy(criterion, distinct).weights, calibration),
        "gradient": Vote(by_gradient.weights, by_gradient.parameters),
    }
    return {name: one.fitted(held) for name, one in made.items()}


def single(logit: Array, outcome: Array) -> Vote:
    """One classifier, calibrated; ValueError for outcomes of one class."""
    found = calibrate.platt(logit, outcome)
    return Vote(np.ones(1), np.array([[found.alpha], [found.beta]]))
