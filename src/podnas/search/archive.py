"""What Bayesian optimisers remember and make of it: outcomes as rows, the forest, the next suggestion.

The forest is a function of the outcomes told, their order and the seed alone, so that ranks that are told the same may
share one. It is grown anew with each of the first outcomes, later whenever REFIT of what a tree is grown on has come;
outcomes in between part its leaves.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from podnas.config import BayesConfig
from podnas.search.encoding import Encoding, Random, Rows
from podnas.search.forest import LARGEST, Forest, grow
from podnas.search.protocol import Outcome

RENEWED = 250  # outcomes with each of which the splits are renewed, at up to some 20 ms
REFIT = 0.1  # of what a tree is grown on: more outcomes after which they are
BEST = 10  # points whose neighbours are candidates
SCALES = (math.inf, 0.2, 0.1)  # steps to neighbours, in ranges of a number; infinite: any value
FINE = 1.0  # a fourth scale, divided by the root of the number of outcomes
RANDOM = 0.1  # share of the candidates that are drawn from the whole space


class Archive:
    """Outcomes of all ranks, and the forest fitted to them.

    refit: share of what a tree is grown on that comes, beyond the first RENEWED outcomes, before splits are renewed; 0:
    with every outcome. largest: outcomes that a tree is grown on.
    """

    def __init__(
        self, encoding: Encoding, config: BayesConfig, seed: int, refit: float = REFIT, largest: int = LARGEST
    ) -> None:
        self.encoding = encoding
        self.config = config
        self.seed = seed
        self.refit = refit
        self.largest = largest
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.numbers: set[int] = set()
        self.rows: Rows = np.zeros((64, len(self.encoding.names)), np.float32)
        self.losses = np.zeros(64)  # infinite: failed
        self.seen: set[bytes] = set()
        self.best: list[tuple[float, int]] = []  # loss and place of the best
        self.fitted = 0  # outcomes that the splits rest on
        self.learnt = 0  # outcomes that the forest knows
        self.sorted_losses = np.zeros(1)
        self.forest: Forest | None = None

    def __len__(self) -> int:
        return self.count

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Remember outcomes; one that is known already changes nothing."""
        new = [outcome for outcome in outcomes if outcome.trial.number not in self.numbers]
        self.numbers.update(outcome.trial.number for outcome in new)
        losses = [math.inf if outcome.loss is None else outcome.loss for outcome in new]
        self._remember(self.encoding.vectors([outcome.trial.point for outcome in new]), np.array(losses))

    def suggest(
        self,
        kappa: float,
        random: Random,
        taken: Collection[bytes],
        lies: Rows | None = None,
        fixed: Mapping[int, float] | None = None,
    ) -> Rows:
        """The candidate row (d,) of the lowest confidence bound, mean - kappa · standard deviation.

        taken: rows under way, as bytes; neither they nor those told are suggested again, unless all candidates are.
        lies: rows under way that are to count as middling. fixed: values of some columns that are given.
        """
        forest = self._forest()
        candidates = self._candidates(random, fixed)
        assumed = candidates[:0] if lies is None else lies
        with forest.lied(assumed, np.zeros(len(assumed), np.float32)):
            means, deviations = forest.predict(candidates)
        for place in np.argsort(means - kappa * deviations, kind="stable"):
            row: Rows = candidates[int(place)]
            key = row.tobytes()
            if key not in self.seen and key not in taken and self.encoding.allowed(self.encoding.points(row[None])[0]):
                return row
        return self.encoding.random_row(random, fixed or {})

    def state(self) -> dict[str, Any]:
        """All outcomes, as JSON."""
        losses = [None if math.isinf(loss) else loss for loss in self.losses[: self.count].tolist()]
        return {"numbers": sorted(self.numbers), "rows": self.rows[: self.count].tolist(), "losses": losses}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self._clear()
        self.numbers.update(state["numbers"])
        losses = np.array([math.inf if loss is None else loss for loss in state["losses"]])
        self._remember(np.array(state["rows"], np.float32).reshape(-1, len(self.encoding.names)), losses)

    def _remember(self, rows: Rows, losses: Any) -> None:
        end = self.count + len(losses)
        if end > len(self.losses):
            room = max(end, 2 * len(self.losses))
            self.rows = np.resize(self.rows, (room, self.rows.shape[1]))
            self.losses = np.resize(self.losses, room)
        self.rows[self.count : end], self.losses[self.count : end] = rows, losses
        for place in range(self.count, end):
            self.seen.add(self.rows[place].tobytes())
            if len(self.best) < BEST or self.losses[place] < self.best[-1][0]:
                insort(self.best, (float(self.losses[place]), place))
                del self.best[BEST:]
        self.count = end

    def _forest(self) -> Forest:
        """The forest, which knows all outcomes."""
        size = max(self.fitted, min(self.count, RENEWED))
        while (larger := size + max(1, self._later(size))) <= self.count:
            size = larger
        if self.forest is None or size > self.fitted:
            self.sorted_losses = np.sort(self.losses[:size])
            rows, losses = self.rows[:size], self._scaled(self.losses[:size])
            seed = self.seed * 1_000_003 + size
            categories, trees = self.encoding.categories, self.config.trees
            self.forest = grow(rows, losses, categories, trees, seed, self.largest, self._later(size))
            self.fitted = self.learnt = size
        if self.learnt < self.count:
            losses = self._scaled(self.losses[self.learnt : self.count])
            self.forest.learn(self.rows[: self.count], self.learnt, losses)
            self.learnt = self.count
        return self.forest

    def _later(self, size: int) -> int:
        """Outcomes after `size` of them before the splits are renewed: a share of what a tree is grown on."""
        return math.ceil(self.refit * min(size, self.largest))

    def _scaled(self, losses: Any) -> Any:
        """Losses as quantiles of a normal distribution, by their ranks among those that the splits rest on.

        So neither the unit of the loss nor a few huge ones matter, and failed trials are the worst. Later ones that are
        better than all of these follow by the logarithm of how much, in units of the gap between the best and the last
        of the best, or the first that is worse: told apart, however close those are.
        """
        known = self.sorted_losses
        scaled = _normal_scores(losses, known)
        other = max(known.searchsorted(known[0], side="right"), min(BEST, len(known)) - 1)
        if other < len(known) and known[other] < math.inf:
            best, worse = known[[0, other]]
            of_best, of_worse = _normal_scores(known[[0, other]], known)
            ahead = np.log1p(np.maximum(best - losses, 0) / (worse - best))
            scaled = np.where(losses < best, of_best - (of_worse - of_best) * ahead, scaled)
        return scaled.astype(np.float32)

    def _candidates(self, random: Random, fixed: Mapping[int, float] | None) -> Rows:
        """Neighbours of the best, and some random ones. Steps smaller than outcomes lie apart would teach nothing."""
        number = int(RANDOM * self.config.candidates)
        best = self.rows[[place for _, place in self.best]]
        parents = best[random.integers(len(best), size=self.config.candidates - number)]
        scales = random.choice([*SCALES, min(SCALES[-1], FINE / math.sqrt(self.count))], size=len(parents))
        near = self.encoding.neighbours(parents, random, scales, fixed)
        return np.concatenate([near, self.encoding.random_rows(number, random, fixed)])


def _normal_scores(losses: Any, known: Any) -> Any:
    """Quantiles of a normal distribution at the ranks of losses among known, sorted ones."""
    below, upto = known.searchsorted(losses, side="left"), known.searchsorted(losses, side="right")
    return ndtri((0.5 * (below + upto) + 0.5) / (len(known) + 1))
