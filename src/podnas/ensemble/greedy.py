"""Which candidates become members, by what they did on validation windows: top-k, and greedy selection.

Caruana et al. (2004): begin with the best, add, with replacement, the member that lowers the loss most, until none does
or the ensemble has so many distinct ones. Taking a member twice gives it twice the weight. The algorithm is printed
upside down in Egele et al. (2021): a member is added where the loss *falls* below the least so far.
Two remedies of theirs against overfitting the validation set: a start from the best few (sorted start), and bags, each
chosen from a random part of the candidates, whose weights are averaged (bagging).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from podnas.ensemble.criteria import Criterion
from podnas.windows import Array

GAIN = 1e-7  # a loss must fall by so much (nats or units of the truth): less is rounding of float32
SORTED = 25  # the sorted start ends at so many of the best at the latest
DRAWS = 20  # additions for each distinct member that is wanted, at most


@dataclass(frozen=True)
class Selection:
    """Members, how often each was taken, and the loss after each addition."""

    counts: Array  # (candidates,); of bags, the sum of their weights
    order: tuple[int, ...]  # members as they were added; of bags, one bag after the other
    losses: tuple[float, ...]  # after each addition
    loss: float  # of the ensemble

    @property
    def weights(self) -> Array:
        """Weights (candidates,), summing to 1."""
        weights: Array = self.counts / self.counts.sum()
        return weights

    @property
    def members(self) -> list[int]:
        """Distinct members, the heaviest first."""
        ranked = np.argsort(-self.counts, kind="stable")
        return [int(member) for member in ranked if self.counts[member]]


def top_k(criterion: Criterion, count: int) -> Selection:
    """The members that are best alone, once each; raises ValueError where there are fewer."""
    available = len(criterion.names)
    if not 1 <= count <= available:
        raise ValueError(
            f"{count} members are wanted, but the catalogue has {available}; ask for at least 1 and at most so many"
        )
    ranked = _ranked(criterion, np.arange(available))[:count]
    return _selection(criterion, [(member, float(criterion.singles()[member])) for member in ranked])


def greedy(criterion: Criterion, distinct: int, start: int | None = 1) -> Selection:
    """At most `distinct` different members with replacement, from the best `start` of them on.

    start: None takes as many of the best, in order, as give the least loss (sorted start).
    """
    return _selection(criterion, _climb(criterion, np.arange(len(criterion.names)), distinct, start))


def bagged(
    criterion: Criterion, distinct: int, start: int | None = 1, bags: int = 20, share: float = 0.5, seed: int = 0
) -> Selection:
    """The mean of several greedy selections, each among a random share of the candidates; at most `distinct` are left.

    Bags count alike, however many members they took. Of more, the heaviest stay, of equal ones the best alone.
    """
    if bags < 1 or not 0 < share <= 1:
        raise ValueError(f"bags is {bags} and share {share}; bags is at least 1, and share above 0 and at most 1")
    random, candidates = np.random.default_rng(seed), len(criterion.names)
    size = max(2, round(share * candidates))
    added: list[tuple[int, float]] = []
    weights = np.zeros(candidates)
    for _ in range(bags):
        bag = _climb(criterion, np.sort(random.choice(candidates, size, replace=False)), distinct, start)
        weights += np.bincount([member for member, _ in bag], minlength=candidates) / len(bag)
        added += bag
    kept = np.lexsort((criterion.singles(), -weights))[:distinct]
    weights[np.setdiff1d(np.arange(candidates), kept)] = 0
    return _selection(criterion, [one for one in added if one[0] in kept], weights)


def _climb(criterion: Criterion, among: Array, distinct: int, start: int | None) -> list[tuple[int, float]]:
    """Members as they are added, and the loss after each addition."""
    if distinct < 1:
        raise ValueError(f"{distinct} members are wanted; ask for at least 1")
    added = _begin(criterion, among, distinct, start)
    counts = np.bincount([member for member, _ in added], minlength=len(criterion.names))
    while np.count_nonzero(counts) < distinct and counts.sum() < DRAWS * distinct:
        losses = criterion.extended(counts, among)
        best = int(losses.argmin())
        if losses[best] > added[-1][1] - GAIN:
            break
        counts[among[best]] += 1
        added.append((int(among[best]), float(losses[best])))
    return added


def _begin(criterion: Criterion, among: Array, distinct: int, start: int | None) -> list[tuple[int, float]]:
    ranked = _ranked(criterion, among)[: min(distinct, SORTED if start is None else max(1, start))]
    counts, added = np.zeros(len(criterion.names)), []
    for member in ranked:
        added.append((member, float(criterion.extended(counts, np.array([member]))[0])))
        counts[member] += 1
    length = len(added) if start is not None else 1 + int(np.argmin([loss for _, loss in added]))
    return added[:length]


def _ranked(criterion: Criterion, among: Array) -> list[int]:
    order = np.argsort(criterion.singles()[among], kind="stable")
    return [int(member) for member in among[order]]


def _selection(criterion: Criterion, added: list[tuple[int, float]], counts: Array | None = None) -> Selection:
    order, losses = zip(*added, strict=True)
    if counts is None:
        counts = np.bincount(order, minlength=len(criterion.names))
    return Selection(counts, tuple(order), tuple(losses), criterion.loss(counts / counts.sum()))
