"""The search that a configuration asks for."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from ConfigSpace import ConfigurationSpace

from podnas.config import SearchConfig
from podnas.search.archive import Archive
from podnas.search.bayes import (
    AgedEvolutionBayesianOptimisation,
    BayesianOptimisation,
    DecentralisedBayesianOptimisation,
)
from podnas.search.encoding import Encoding
from podnas.search.evolution import AgedEvolution
from podnas.search.halving import ASHA, Hyperband
from podnas.search.numbers import Numbers
from podnas.search.pareto import Directions
from podnas.search.protocol import Search
from podnas.search.random import RandomSearch
from podnas.search.two_step import TwoStep


def build(
    space: ConfigurationSpace,
    config: SearchConfig,
    rank: int = 0,
    ranks: int = 1,
    evolved: Collection[str] | None = None,
    archive: Archive | None = None,
    lost: AbstractSet[int] = frozenset(),
) -> Search:
    """The configured algorithm of one rank of several.

    evolved: dimensions that AgEBO evolves (None: those without an order). archive: ranks of ADBO that are told the same
    outcomes in the same order may share one. lost: ranks whose paused trials the others promote, kept by who runs them.
    ValueError where the space leaves the algorithm nothing to change.
    """
    numbers = Numbers(config.trials, rank, ranks)

    def algorithm(numbers: Numbers) -> Search:
        return _algorithm(Encoding(space), numbers, config, evolved, archive, lost)

    inner = algorithm(numbers)
    if config.second_objective is not None:
        inner = Directions(algorithm, numbers, config.second_objective)
    if config.two_step is None:
        return inner
    return TwoStep(inner, numbers, config.two_step.fraction, config.two_step.second_trials(config.trials))


def _algorithm(
    encoding: Encoding,
    numbers: Numbers,
    config: SearchConfig,
    evolved: Collection[str] | None,
    archive: Archive | None,
    lost: AbstractSet[int] = frozenset(),
) -> Search:
    if config.algorithm in ("asha", "hyperband"):
        kind = ASHA if config.algorithm == "asha" else Hyperband
        sampler = config.model_copy(update={"algorithm": config.halving.sampler})
        return kind(
            lambda lent: _algorithm(encoding, lent, sampler, evolved, archive),
            numbers,
            config.halving.reduction,
            config.halving.least,
            lost,
        )
    if config.algorithm != "random":
        _check_variable(encoding, config.algorithm)
    if config.algorithm == "evolution":
        return AgedEvolution(encoding, numbers, config.seed, config.population, config.sample)
    if config.algorithm == "agebo":
        chosen = _evolved(encoding, evolved)
        return AgedEvolutionBayesianOptimisation(
            encoding, numbers, config.seed, config.bayes, chosen, config.population, config.sample
        )
    if config.algorithm in ("bo", "adbo"):
        optimiser = BayesianOptimisation if config.algorithm == "bo" else DecentralisedBayesianOptimisation
        shared = Archive(encoding, config.bayes, config.seed) if archive is None else archive
        return optimiser(encoding, numbers, config.seed, config.bayes, shared)
    return RandomSearch(encoding, numbers, config.seed)


def _check_variable(encoding: Encoding, algorithm: str) -> None:
    if all(dimension.size < 2 for dimension in encoding.dimensions):
        held = f"only {', '.join(encoding.names)}, with one value each" if encoding.names else "no variable"
        raise ValueError(
            f"the space has {held}, so {algorithm} has nothing to change; give it a range or choices, or take random"
        )


def _evolved(encoding: Encoding, given: Collection[str] | None) -> list[str]:
    """What AgEBO evolves; without any choice it would be Bayesian optimisation under another name."""
    choices = dict(zip(encoding.names, encoding.categories.tolist(), strict=True))
    if given is None and max(choices.values()) < 2:
        raise ValueError(
            f"agebo evolves choices without an order, and the space has none among {', '.join(choices)}; take bo or "
            "adbo, or make what is to be evolved a Categorical"
        )
    chosen = [name for name in choices if (choices[name] if given is None else name in given)]
    if not chosen:
        raise ValueError(f"none of {', '.join(given or ())}, which agebo is to evolve, is one of {', '.join(choices)}")
    return chosen


def trials(config: SearchConfig) -> int:
    """Most trials that the search will make, both steps together."""
    second = 0 if config.two_step is None else config.two_step.second_trials(config.trials)
    return config.trials + second
