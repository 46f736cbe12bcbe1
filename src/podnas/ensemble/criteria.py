"""What an ensemble of candidates is chosen by: mean losses over validation points of weighted members.

The logarithmic score of a linear pool serves Gaussian forecasts (negative log likelihood of the mixture) and events
(cross-entropy) alike. CRPS and Brier score are quadratic in the weights, a.w - w'Bw / 2 + constant, so that a row of B
for each member that is taken is all a greedy selection needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from scipy.special import expit, log_expit

from podnas.ensemble import kernels
from podnas.ensemble.members import Events, Gaussians, check_several
from podnas.windows import Array

LEAST = np.finfo(np.float32).tiny  # of a likelihood, as a share of the best member's at that point: 87 nats below it


class Criterion(Protocol):
    """A mean loss of members weighted by how often each was taken."""

    names: tuple[str, ...]

    def singles(self) -> Array:
        """Loss of each member alone (members,)."""
        ...

    def extended(self, counts: Array, among: Array) -> Array:
        """Losses (among,) of an ensemble of members taken `counts` times (members,), and each of `among` once more."""
        ...

    def loss(self, weights: Array) -> float:
        """Loss of members with these weights (members,)."""
        ...


class LogScore:
    """Negative logarithm of the pooled likelihood, in nats a point.

    Likelihoods are kept in float32 as shares of the best member's at each point: 4 bytes a member and point.
    """

    def __init__(self, names: tuple[str, ...], logs: Array, shares: Array) -> None:
        """logs: log likelihood of each member and point (members, points), float32, overwritten; shares (points,)."""
        check_several(names)
        self.names, self.weight = names, shares.astype(np.float32)
        best = logs.max(axis=0)
        self.constant = float(best.astype(np.float64) @ shares)
        logs -= best
        self.likelihood = np.maximum(np.exp(logs, out=logs), LEAST, out=logs)

    def singles(self) -> Array:
        """Loss of each member alone (members,)."""
        return self._each(np.zeros_like(self.weight), np.arange(len(self.names)), 1)

    def extended(self, counts: Array, among: Array) -> Array:
        """Losses (among,) with one of each member added to those counted."""
        return self._each(self._pooled(counts), among, counts.sum() + 1)

    def loss(self, weights: Array) -> float:
        """Loss of members with these weights."""
        return -self.constant - float(np.log(self._pooled(weights), dtype=np.float64) @ self.weight)

    def _pooled(self, weights: Array) -> Array:
        used = np.flatnonzero(weights)
        pooled: Array = weights[used].astype(np.float32) @ self.likelihood[used]
        return pooled

    def _each(self, pooled: Array, among: Array, total: float) -> Array:
        """Row by row: a row fits into the cache, so three passes over it cost about one."""
        gained, row = np.empty(len(among)), np.empty_like(pooled)
        for place, member in enumerate(among):
            np.add(pooled, self.likelihood[member], out=row)
            gained[place] = np.log(row, out=row) @ self.weight
        losses: Array = np.log(total) - self.constant - gained
        return losses


class Quadratic(ABC):
    """A loss a.w - w'Bw / 2 + constant; rows of B are worked out when a member is first taken, and kept."""

    def __init__(self, names: tuple[str, ...], linear: Array, diagonal: Array, constant: float = 0.0) -> None:
        check_several(names)
        self.names, self.linear, self.diagonal, self.constant = names, linear, diagonal, constant
        self._rows: dict[int, Array] = {}

    @abstractmethod
    def row(self, member: int) -> Array:
        """B between a member and all (members,)."""

    def singles(self) -> Array:
        """Loss of each member alone (members,)."""
        losses: Array = self.linear - self.diagonal / 2 + self.constant
        return losses

    def extended(self, counts: Array, among: Array) -> Array:
        """Losses (among,) with one of each member added to those counted."""
        product = self._product(counts)
        linear = counts @ self.linear + self.linear[among]
        square = counts @ product + 2 * product[among] + self.diagonal[among]
        total = counts.sum() + 1
        losses: Array = linear / total - square / (2 * total**2) + self.constant
        return losses

    def loss(self, weights: Array) -> float:
        """Loss of members with these weights."""
        return float(weights @ self.linear - weights @ self._product(weights) / 2 + self.constant)

    def _product(self, weights: Array) -> Array:
        product = np.zeros(len(self.names))
        for member in np.flatnonzero(weights):
            if member not in self._rows:
                self._rows[int(member)] = self.row(int(member))
            product += weights[member] * self._rows[int(member)]
        return product


class Crps(Quadratic):
    """Continuous ranked probability score of Gaussian mixtures (Grimit et al. 2006), in the truth's units.

    Members are kept in float32: 8 bytes a member and point.
    """

    def __init__(self, members: Gaussians) -> None:
        check_several(members.names)
        self.mean, self.variance = np.empty((2, len(members.names), members.truth.size), np.float32)
        for row, (mean, sigma) in enumerate(zip(members.means, members.sigmas, strict=True)):
            self.mean[row], self.variance[row] = mean.ravel(), sigma.ravel() ** 2
        # what came is a Gaussian without a spread; two draws of one member differ by one of variance 2 sigma^2
        truth = members.truth.ravel().astype(np.float32)
        linear = kernels.mean_absolutes(self.mean, self.variance, truth, np.zeros_like(truth))
        diagonal = 2 / np.sqrt(np.pi) * np.array([sigma.mean() for sigma in members.sigmas])
        super().__init__(tuple(members.names), linear, diagonal)

    def row(self, member: int) -> Array:
        """Mean absolute difference of a draw of a member and one of each (members,)."""
        found: Array = kernels.mean_absolutes(self.mean, self.variance, self.mean[member], self.variance[member])
        return found


class Brier(Quadratic):
    """Brier score of a linear pool of probabilities."""

    def __init__(self, members: Events) -> None:
        outcome = members.outcome.ravel()
        self.probability = expit(members.rows().astype(np.float64))
        self.shared = self.probability / outcome.size
        square = -2 * (self.probability * self.shared).sum(axis=1)
        super().__init__(tuple(members.names), -2 * self.shared @ outcome, square, float(outcome.mean()))

    def row(self, member: int) -> Array:
        """-2 times the mean product of a member's probabilities and each's (members,)."""
        row: Array = -2 * self.shared @ self.probability[member]
        return row


def likelihood(members: Gaussians) -> LogScore:
    """The negative log likelihood of Gaussian mixtures."""
    squares, logs = members.standardised()
    np.multiply(squares, -0.5, out=squares)
    squares -= logs
    squares -= np.float32(0.5 * np.log(2 * np.pi))
    return LogScore(tuple(members.names), squares, np.full(members.truth.size, 1 / members.truth.size))


def cross_entropy(members: Events) -> LogScore:
    """The cross-entropy of pooled probabilities."""
    sign = np.where(members.outcome.ravel() == 1, 1, -1).astype(np.float32)
    return LogScore(tuple(members.names), log_expit(members.rows() * sign), np.full(sign.size, 1 / sign.size))
