"""The search that a configuration asks for."""

from __future__ import annotations

from collections.abc import Collection

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
) -> Search:
    """The configured algorithm of one rank of several.

    evolved: dimensions that AgEBO evolves (None: those without an order). archive: ranks of ADBO that are told the same
    outcomes in the same order may share one.
    """
    numbers = Numbers(config.trials, rank, ranks)

    def algorithm(numbers: Numbers) -> Search:
        return _algorithm(Encoding(space), numbers, config, evolved, archive)

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
) -> Search:
    if config.algorithm in ("asha", "hyperband"):
        kind = ASHA if config.algorithm == "asha" else Hyperband
        sampler = config.model_copy(update={"algorithm": config.halving.sampler})
        return kind(
            lambda lent: _algorithm(encoding, lent, sampler, evolved, archive),
            numbers,
            config.halving.reduction,
            config.halving.least,
        )
    if config.algorithm == "evolution":
        return AgedEvolution(encoding, numbers, config.seed, config.population, config.sample)
    if config.algorithm == "agebo":
        chosen = _unordered(encoding) if evolved is None else evolved
        return AgedEvolutionBayesianOptimisation(
            encoding, numbers, config.seed, config.bayes, chosen, config.population, config.sample
        )
    if config.algorithm in ("bo", "adbo"):
        optimiser = BayesianOptimisation if config.algorithm == "bo" else DecentralisedBayesianOptimisation
        shared = Archive(encoding, config.bayes, config.seed) if archive is None else archive
        return optimiser(encoding, numbers, config.seed, config.bayes, shared)
    return RandomSearch(encoding, numbers, config.seed)


def _unordered(encoding: Encoding) -> list[str]:
    return [name for name, categories in zip(encoding.names, encoding.categories, strict=True) if categories]


def trials(config: SearchConfig) -> int:
    """Most trials that the search will make, both steps together."""
    second = 0 if config.two_step is None else config.two_step.second_trials(config.trials)
    return config.trials + second
