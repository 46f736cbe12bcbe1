"""Bayesian optimisation with a random forest: central, decentralised (ADBO), and beside aged evolution (AgEBO).

Suggestions minimise a lower confidence bound. What keeps those under way apart is a kappa drawn for each from an
exponential distribution (qLCB, Egele et al. 2022), or lies told for those under way (constant liar, Ginsbourger et al.
2010).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from podnas.config import BayesConfig
from podnas.search.archive import Archive
from podnas.search.encoding import Encoding, Random, Rows
from podnas.search.evolution import Population
from podnas.search.numbers import Numbers
from podnas.search.points import stream
from podnas.search.protocol import Outcome, Trial

LIES = 200  # most trials under way that lies are told for: the latest
DECAY, PERIOD = 0.1, 48  # of a rank's kappa (Egele et al. 2022)


class BayesianOptimisation:
    """Random points until `initial` trials have finished, then what the forest makes of them."""

    def __init__(self, encoding: Encoding, numbers: Numbers, seed: int, config: BayesConfig, archive: Archive) -> None:
        self.encoding = encoding
        self.numbers = numbers
        self.seed = seed
        self.config = config
        self.archive = archive
        self.under_way: dict[int, Rows] = {}
        self.taken: dict[bytes, int] = {}  # rows under way, and one of their numbers

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` new trials; never has to wait."""
        return [self._propose(number) for number in self.numbers.take(count)]

    def begun(self, trials: Sequence[Trial]) -> None:
        """Keep away from trials that are under way elsewhere."""
        for trial in trials:
            self.numbers.note(trial.number)
            self._begin(trial.number, self.encoding.vectors([trial.point])[0])

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learn from finished trials; failed ones count as the worst so far."""
        for outcome in outcomes:
            self.numbers.note(outcome.trial.number)
            row = self.under_way.pop(outcome.trial.number, None)
            if row is not None:
                self.taken.pop(row.tobytes(), None)
        self.archive.tell(outcomes)

    def state(self) -> dict[str, Any]:
        """Numbers of the trials, those under way, and all outcomes."""
        under_way = [[number, row.tolist()] for number, row in self.under_way.items()]
        return {"numbers": self.numbers.state(), "under_way": under_way, "archive": self.archive.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.numbers.restore(state["numbers"])
        self.archive.restore(state["archive"])
        self.under_way.clear()
        self.taken.clear()
        for number, row in state["under_way"]:
            self._begin(number, np.array(row, np.float32))

    def _propose(self, number: int) -> Trial:
        random = stream(self.seed, number)
        if len(self.archive) < self.config.initial:
            row = self.encoding.vectors([self.encoding.sample(random)])[0]
        else:
            row = self.archive.suggest(self._kappa(number, random), random, self.taken, self._lies())
        self._begin(number, row)
        return Trial(number, self.encoding.points(row[None])[0])

    def _begin(self, number: int, row: Rows) -> None:
        self.under_way[number] = row
        self.taken[row.tobytes()] = number

    def _kappa(self, number: int, random: Random) -> float:
        if self.config.multipoint == "liar":
            return self.config.kappa
        return float(random.exponential(self.config.kappa))

    def _lies(self) -> Rows | None:
        if self.config.multipoint != "liar" or not self.under_way:
            return None
        return np.array(list(self.under_way.values())[-LIES:])


class DecentralisedBayesianOptimisation(BayesianOptimisation):
    """One rank's optimiser of many (ADBO): its kappa is its own, and comes and goes.

    kappa of suggestion t is kappa_0 · exp(-0.1 (t mod 48)), kappa_0 drawn once from an exponential distribution (Egele
    et al. 2022), plus one that is drawn for each suggestion: without it, a rank whose kappa is small spends its time
    next to the best.
    """

    def __init__(self, encoding: Encoding, numbers: Numbers, seed: int, config: BayesConfig, archive: Archive) -> None:
        super().__init__(encoding, numbers, seed, config, archive)
        of_ranks = np.random.default_rng(seed).exponential(config.kappa, size=numbers.ranks)
        self.first_kappa = float(of_ranks[numbers.rank])

    def _kappa(self, number: int, random: Random) -> float:
        suggestion = number // self.numbers.ranks
        return super()._kappa(number, random) + self.first_kappa * math.exp(-DECAY * (suggestion % PERIOD))

    def _lies(self) -> Rows | None:
        return None


class AgedEvolutionBayesianOptimisation(BayesianOptimisation):
    """Aged evolution of some dimensions, Bayesian optimisation of the others (AgEBO).

    While the population fills, the evolved dimensions are random; later they are those of a mutant. The others are what
    the forest would have, given these. Egele et al. (2021) show the forest the other dimensions only, with kappa .001
    and lies for trials under way; here it sees all, and trials are kept apart as in Bayesian optimisation.
    """

    def __init__(
        self,
        encoding: Encoding,
        numbers: Numbers,
        seed: int,
        config: BayesConfig,
        evolved: Collection[str],
        population: int,
        sample_size: int,
    ) -> None:
        super().__init__(encoding, numbers, seed, config, Archive(encoding, config, seed))
        self.evolved = [name for name in encoding.names if name in evolved]
        self.population = Population(population, sample_size)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learn from finished trials and take them into the population."""
        super().tell(outcomes)
        self.population.take(outcomes)

    def state(self) -> dict[str, Any]:
        """As of Bayesian optimisation, and the population."""
        return {**super().state(), "population": self.population.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        super().restore(state)
        self.population.restore(state["population"])

    def _propose(self, number: int) -> Trial:
        random = stream(self.seed, number)
        parent = self.population.parent(random)
        row = self.encoding.row(self._mutant(parent[1] if parent else None, random))
        # one that its condition leaves out may be drawn where the others bring it in
        fixed = {place: row[place] for place in map(self.encoding.place.__getitem__, self.evolved) if row[place] >= 0}
        chosen = np.array(row, np.float32) if len(self.evolved) == len(row) else self._others(number, fixed, random)
        self._begin(number, chosen)
        return Trial(number, self.encoding.points(chosen[None])[0], parent=parent[0] if parent else None)

    def _mutant(self, parent: Mapping[str, object] | None, random: Random) -> dict[str, Any]:
        if parent is None:
            return self.encoding.sample(random)
        try:
            return self.encoding.mutate(parent, random, self.evolved)
        except ValueError:  # none of them can change here: the others will
            return dict(parent)

    def _others(self, number: int, fixed: Mapping[int, float], random: Random) -> Rows:
        """The whole row: the evolved dimensions as they are given, the others as the forest would have them."""
        if len(self.archive) < self.config.initial:
            return self.encoding.random_row(random, fixed)
        return self.archive.suggest(self._kappa(number, random), random, self.taken, self._lies(), fixed)
