"""Weights of members learned by gradient, jointly with each member's calibration.

Weights are softmax(gamma), so they stay on the simplex. The loss is that of the pooled forecast on validation windows:
the negative log likelihood of a Gaussian mixture with sigmas s_i sigma_i, its CRPS, or the cross-entropy of pooled
probabilities expit(alpha_i y_i + beta_i). Gradients are written out (`kernels.py`); L-BFGS minimises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from podnas.ensemble import calibrate, kernels
from podnas.ensemble.members import Events, Gaussians, check_several
from podnas.windows import Array

ITERATIONS = 60
FARTHEST = 10.0  # logarithm of a factor of sigma, on both sides: beyond it exponentials overflow in float32
CANDIDATES = 30  # whose pairs the CRPS is worked out for; the others have no weight

Loss = Callable[[Array, Array], tuple[float, Array, Array]]  # of weights, parameters: value and both gradients


@dataclass(frozen=True)
class Learned:
    """Weights, what calibrates each member, and the validation loss before and after."""

    weights: Array  # (members,), summing to 1
    parameters: Array  # (parameters, members): s of Gaussians; alpha and beta of events
    start: float  # loss of equal weights, each member calibrated on its own
    loss: float

    @property
    def members(self) -> list[int]:
        """Members with weight, the heaviest first."""
        ranked = np.argsort(-self.weights, kind="stable")
        return [int(member) for member in ranked if self.weights[member] > 0]


def likelihood(members: Gaussians, largest: int | None = None, iterations: int = ITERATIONS) -> Learned:
    """By the negative log likelihood of the mixture (nats a point).

    largest: so many of the heaviest members are kept, and their weights learned again. ValueError for one member.
    """
    check_several(members.names)
    factors = calibrate.member_factors(members)

    def learn(rows: Sequence[int]) -> Learned:
        squares, logs = members.take(rows).standardised()
        shares = np.full(members.truth.size, 1 / members.truth.size, np.float32)

        def loss(weights: Array, parameters: Array) -> tuple[float, Array, Array]:
            single = weights.astype(np.float32)
            found = kernels.gaussians(squares, logs, parameters[0].astype(np.float32), single, shares)
            return found[0], found[1], weights * found[2][None]

        return _scales(_descend(loss, np.log(factors[None, rows]), iterations, FARTHEST))

    return _cut(learn, len(members.names), largest)


def crps(members: Gaussians, largest: int | None = None, iterations: int = ITERATIONS) -> Learned:
    """By the CRPS of the mixture, in the truth's units, among the 30 members that are best alone.

    largest: as in `likelihood`. Raises ValueError for one member.
    """
    check_several(members.names)
    factors = calibrate.member_factors(members)
    means, sigmas = _rows(members.means), _rows(members.sigmas)
    truth, scaled = members.truth.ravel().astype(np.float32), factors[:, None].astype(np.float32) * sigmas

    def learn(rows: Sequence[int]) -> Learned:
        loss = _continuous(truth, means[rows], sigmas[rows] ** 2)
        return _scales(_descend(loss, np.log(factors[None, rows]), iterations, FARTHEST))

    alone = kernels.truths(means, scaled**2, truth)[0] - scaled.mean(axis=1) / np.sqrt(np.pi)
    best = sorted(int(row) for row in np.argsort(alone, kind="stable")[:CANDIDATES])
    found = _cut(lambda rows: learn([best[row] for row in rows]), len(best), largest)
    return _placed(found, best, factors[None])


def cross_entropy(members: Events, largest: int | None = None, iterations: int = ITERATIONS) -> Learned:
    """By the cross-entropy of pooled probabilities (nats).

    largest: as in `likelihood`. Raises ValueError for one member.
    """
    check_several(members.names)
    alone = calibrate.member_platts(members)
    begin = np.array([[one.alpha for one in alone], [one.beta for one in alone]])
    sign = np.where(members.outcome.ravel() == 1, 1, -1).astype(np.float32)
    logits = members.rows()
    shares = np.full(sign.size, 1 / sign.size, np.float32)

    def learn(rows: Sequence[int]) -> Learned:
        some = logits[rows]

        def loss(weights: Array, parameters: Array) -> tuple[float, Array, Array]:
            alpha, beta = parameters.astype(np.float32)
            found = kernels.events(some, sign, alpha, beta, weights.astype(np.float32), shares)
            return found[0], found[1], weights * np.stack(found[2:])

        return _descend(loss, begin[:, rows], iterations)

    return _cut(learn, len(members.names), largest)


def _rows(values: Sequence[Array]) -> Array:
    """Members' values (members, points) in float32."""
    return np.stack([one.ravel().astype(np.float32) for one in values])


def _continuous(truth: Array, means: Array, variances: Array) -> Loss:
    """The mean CRPS of mixtures with sigmas exp(parameter) sigma_i, and its gradients."""

    def loss(weights: Array, parameters: Array) -> tuple[float, Array, Array]:
        scaled = np.exp(2 * parameters[0]).astype(np.float32)[:, None] * variances
        linear, by_scale = kernels.truths(means, scaled, truth)
        absolute, by_first = kernels.pairs(means, scaled)
        value = weights @ linear - weights @ absolute @ weights / 2
        return float(value), linear - absolute @ weights, (weights * (by_scale - by_first @ weights))[None]

    return loss


def _descend(loss: Loss, begin: Array, iterations: int, farthest: float | None = None) -> Learned:
    """From equal weights and these parameters (parameters, members), which stay within ± `farthest`."""
    count = begin.shape[1]
    if farthest is not None:
        begin = np.clip(begin, -farthest, farthest)
    bounds = [(None, None)] * count + [(None if farthest is None else -farthest, farthest)] * begin.size

    def flat(values: Array) -> tuple[float, Array]:
        weights = softmax(values[:count])
        value, by_weight, by_parameter = loss(weights, values[count:].reshape(begin.shape))
        by_gamma = weights * (by_weight - weights @ by_weight)
        return value, np.concatenate([by_gamma, by_parameter.ravel()])

    first = np.concatenate([np.zeros(count), begin.ravel()])
    found = minimize(
        flat,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": iterations, "gtol": 1e-9, "ftol": 1e-9},
    )
    best = found.x if np.isfinite(found.fun) else first
    return Learned(softmax(best[:count]), best[count:].reshape(begin.shape), flat(first)[0], flat(best)[0])


def _scales(found: Learned) -> Learned:
    return replace(found, parameters=np.exp(found.parameters))


def _cut(learn: Callable[[Sequence[int]], Learned], count: int, largest: int | None) -> Learned:
    """All members, or the heaviest, learned again."""
    everyone = learn(range(count))
    if largest is None or largest >= count:
        return everyone
    if largest < 2:
        raise ValueError(f"{largest} members are to have weights; an ensemble has at least 2")
    kept = sorted(int(row) for row in np.argsort(-everyone.weights, kind="stable")[:largest])
    return replace(_placed(learn(kept), kept, everyone.parameters), start=everyone.start)


def _placed(found: Learned, rows: Sequence[int], parameters: Array) -> Learned:
    """Weights of some members among all, 0 for the others, whose parameters are those given."""
    weights, all_parameters = np.zeros(parameters.shape[1]), parameters.copy()
    weights[rows], all_parameters[:, rows] = found.weights, found.parameters
    return replace(found, weights=weights, parameters=all_parameters)
