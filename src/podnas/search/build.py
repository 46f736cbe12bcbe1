"""The search that a configuration asks for."""

from __future__ import annotations

from ConfigSpace import ConfigurationSpace

from podnas.config import SearchConfig
from podnas.search.evolution import AgedEvolution
from podnas.search.protocol import Search
from podnas.search.random import RandomSearch
from podnas.search.two_step import TwoStep


def build(space: ConfigurationSpace, config: SearchConfig) -> Search:
    """The configured algorithm, wrapped in two steps where asked for."""
    inner: Search
    if config.algorithm == "evolution":
        inner = AgedEvolution(space, config.trials, config.seed, config.population, config.sample)
    else:
        inner = RandomSearch(space, config.trials, config.seed)
    if config.two_step is None:
        return inner
    return TwoStep(inner, config.trials, config.two_step.fraction, config.two_step.second_trials(config.trials))


def trials(config: SearchConfig) -> int:
    """Most trials that the search will make, both steps together."""
    second = 0 if config.two_step is None else config.two_step.second_trials(config.trials)
    return config.trials + second
