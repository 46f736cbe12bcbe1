"""Which ensemble to take: several selections of members, each judged by the held-out blocks in turn.

Members, their weights and all calibration are fitted on all blocks but one and scored on that one; the selection with
the least CRPS over the blocks is then fitted on all of them. Nothing here sees a test week.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np

from podnas.config import UncertaintyConfig
from podnas.ensemble import calibrate, covariance, criteria, greedy, learned
from podnas.ensemble.calibrate import Sharing
from podnas.ensemble.members import Gaussians, check_several
from podnas.ensemble.mixture import Mixture
from podnas.windows import Array

SHARING: Mapping[str, Sharing] = {"one": "all", "lead": "modes", "lead_and_mode": "none"}
SIZES = (1, 2, 3, 5, 10, 20, 50, 100)  # of which it is shown what they bring
APART = 8  # windows between those that weights are learned from by the CRPS: neighbours share most of their weeks
STEPS = 30  # of that descent, which works out all pairs of members


@dataclass(frozen=True)
class Settings:
    """What all selections share."""

    criterion: str  # crps or likelihood
    members: Sharing  # of the factors of members' sigmas
    ensemble: Sharing  # of the factors of the mixture's standard deviations
    seed: int

    @classmethod
    def of(cls, config: UncertaintyConfig) -> Settings:
        """As an experiment has them."""
        members, ensemble = SHARING[config.member_calibration], SHARING[config.calibration]
        return cls(config.criterion, members, ensemble, config.seed)


@dataclass(frozen=True)
class Choice:
    """A selection and the most distinct members that it may take."""

    method: str
    size: int


@dataclass(frozen=True)
class Ensemble:
    """Members with their weights, and what calibrates them."""

    weights: Mapping[str, float]
    factors: Mapping[str, Array]  # of each member's sigma (leads, modes)
    factor: Array  # of the mixture's standard deviations about its mean (leads, modes)

    def mixture(self, members: Gaussians) -> Mixture:
        """The calibrated mixture of members' forecasts (n, leads, modes)."""
        rows = [list(members.names).index(name) for name in self.weights]
        mean = np.stack([members.means[row] for row in rows])
        sigma = np.stack(
            [self.factors[name] * members.sigmas[row] for name, row in zip(self.weights, rows, strict=True)]
        )
        return Mixture(mean, sigma, np.array(list(self.weights.values()))).scaled(self.factor)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "weights": dict(self.weights),
            "factors": {name: factor.tolist() for name, factor in self.factors.items()},
            "factor": self.factor.tolist(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Ensemble:
        """From what `record` gave."""
        factors = {name: np.array(factor) for name, factor in record["factors"].items()}
        return cls(record["weights"], factors, np.array(record["factor"]))


# ASSUME: the mixture of a candidate's networks is as wide, for its errors, as each of them is. Factors are fitted to
# one network a candidate, since each window of the training period was held out of one alone; later windows are
# forecast by all, which adds their variance about each other and lessens the error of their mean. Measured on the SC20
# coefficients (short): spread over skill .90 to .98 by one network, .99 to 1.05 by the five of the same candidate.
class Prepared:
    """Members with their sigmas calibrated on some held-out windows, from which ensembles are made."""

    def __init__(self, members: Gaussians, settings: Settings) -> None:
        self.settings, self.truth = settings, members.truth
        self.scales = calibrate.member_scales(members, settings.members)
        self.ready = members.scaled(self.scales)

    @cached_property
    def criterion(self) -> criteria.Criterion:
        """What greedy selections lower."""
        return criteria.Crps(self.ready) if self.settings.criterion == "crps" else criteria.likelihood(self.ready)

    def fit(self, choice: Choice) -> Ensemble:
        """The ensemble of a choice. Raises ValueError for a selection that there is not."""
        return self.weighted(*self._weights(choice))

    def plain(self) -> Ensemble:
        """All members with equal weights, their sigmas as they are."""
        names, shape = self.ready.names, self.truth.shape[1:]
        return Ensemble(dict.fromkeys(names, 1 / len(names)), {name: np.ones(shape) for name in names}, np.ones(shape))

    def equal(self) -> Ensemble:
        """All members with equal weights."""
        count = len(self.ready.names)
        return self.weighted(np.full(count, 1 / count), np.ones(count))

    def weighted(self, weights: Array, scales: Array) -> Ensemble:
        """The ensemble of these weights (members,), with further factors of the sigmas (members,), calibrated."""
        names, used = list(self.ready.names), [int(row) for row in np.flatnonzero(weights)]
        shares = {names[row]: float(weights[row] / weights[used].sum()) for row in used}
        factors = {names[row]: scales[row] * self.scales[row] for row in used}
        mixture = Mixture(
            np.stack([self.ready.means[row] for row in used]),
            np.stack([scales[row] * self.ready.sigmas[row] for row in used]),
            np.array(list(shares.values())),
        )
        found = calibrate.factor(mixture, self.truth, self.settings.ensemble)
        return Ensemble(shares, factors, np.array(np.broadcast_to(found, self.truth.shape[1:])))

    def best(self) -> int:
        """The member that is best alone."""
        return int(np.argmin(self.criterion.singles()))

    def _weights(self, choice: Choice) -> tuple[Array, Array]:
        """Weights and further factors of the sigmas, each (members,)."""
        size, none = min(choice.size, len(self.ready.names)), np.ones(len(self.ready.names))
        match choice.method:
            case "top_k":
                return greedy.top_k(self.criterion, size).weights, none
            case "greedy":
                return greedy.greedy(self.criterion, size).weights, none
            case "sorted_greedy":
                return greedy.greedy(self.criterion, size, start=None).weights, none
            case "bagged":
                return greedy.bagged(self.criterion, size, start=None, seed=self.settings.seed).weights, none
            case "learned_likelihood":
                found = learned.likelihood(self.ready, size)
            case "learned_crps":
                some = self.ready.windows(np.arange(0, len(self.truth), APART))
                found = learned.crps(some, size, STEPS)
            case _:
                raise ValueError(f"there is no selection {choice.method!r}; uncertainty.methods lists them")
        return found.weights, found.parameters[0]


Fit = Callable[[Prepared], Ensemble]


def validated(members: Gaussians, block: Array, settings: Settings, fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """Scores of each way to make an ensemble: fitted on all blocks but one, scored on that one, over all blocks.

    crps in training standard deviations, of all windows and by block; spread_skill and coverage90 of all leads and
    modes together. Raises ValueError for fewer than two blocks.
    """
    numbers = np.unique(block)
    if len(numbers) < 2:
        raise ValueError(
            f"held-out forecasts are of {len(numbers)} block; selections are judged by blocks in turn, which needs "
            "two: set windows.validation_blocks"
        )
    parts: list[list[Array]] = [[] for _ in fits]
    for number in numbers:
        prepared, mine = Prepared(members.windows(block != number), settings), members.windows(block == number)
        for place, fit in enumerate(fits):
            parts[place].append(_statistics(fit(prepared).mixture(mine), mine.truth))
    return [_scores(part) for part in parts]


def _statistics(mixture: Mixture, truth: Array) -> Array:
    """CRPS, variance, squared error and whether 90 % intervals hold the truth, each (n, leads, modes)."""
    inside = np.abs(mixture.cdf(truth) - 0.5) <= 0.45
    error = (truth - mixture.location) ** 2
    return np.stack([mixture.crps(truth), np.broadcast_to(mixture.parts().total, truth.shape), error, inside])


def _scores(by_block: Sequence[Array]) -> dict[str, Any]:
    crps, variance, error, inside = (float(part.mean()) for part in np.concatenate(by_block, axis=1))
    shape = {"spread_skill": float(np.sqrt(variance / error)), "coverage90": inside}
    return {"crps": crps, **shape, "crps_by_block": [float(one[0].mean()) for one in by_block]}


def choose(
    members: Gaussians, block: Array, methods: Sequence[str], sizes: Sequence[int], settings: Settings
) -> tuple[Ensemble, dict[str, Any]]:
    """The ensemble of the choice with the least CRPS over the blocks in turn, and the scores of all choices.

    Raises ValueError for a single member.
    """
    check_several(members.names, "uncertainty.candidates")
    sizes = sorted({min(size, len(members.names)) for size in sizes})
    choices = [Choice(*one) for one in product(methods, sizes)]
    found = validated(members, block, settings, [partial(Prepared.fit, choice=one) for one in choices])
    table = [{**asdict(choice), **scores} for choice, scores in zip(choices, found, strict=True)]
    best = min(range(len(table)), key=lambda place: table[place]["crps"])
    return Prepared(members, settings).fit(choices[best]), {"chosen": table[best], "choices": table}


def by_size(members: Gaussians, block: Array, settings: Settings) -> list[dict[str, Any]]:
    """What the number of distinct members brings, by top-k and greedy selection: scores over the blocks in turn."""
    sizes = [size for size in SIZES if size <= len(members.names)]
    choices = [Choice(*one) for one in product(("top_k", "greedy"), sizes)]
    found = validated(members, block, settings, [partial(Prepared.fit, choice=one) for one in choices])
    return [{**asdict(choice), **scores} for choice, scores in zip(choices, found, strict=True)]


def correlation(ensemble: Ensemble, members: Gaussians) -> Array:
    """Correlation of modes' errors on the held-out windows (leads, modes, modes)."""
    return covariance.residual_correlation(ensemble.mixture(members), members.truth)
