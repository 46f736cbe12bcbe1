"""Blocks of the training rows, and networks that are each fitted without one of them.

All that scales rows comes from the rows that a network is fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from podnas.tabular.network import Network
from podnas.tabular.sets import Split
from podnas.windows import Array


@dataclass(frozen=True)
class Lanes:
    """Rows of several networks, standardised for each by its own mean and deviation."""

    features: Array  # (lanes, n, features) float32
    target: Array  # (lanes, n) float32
    offset: Array  # (lanes, features)
    scale: Array  # (lanes, features)
    target_offset: Array  # (lanes, 1)
    target_scale: Array  # (lanes, 1)

    @classmethod
    def of(cls, features: Array, target: Array, rows: Array) -> Lanes:
        """Lanes fitted on rows (lanes, n) of features (m, features) and targets (m,)."""
        taken, wanted = features[rows], target[rows]
        offset, scale = taken.mean(axis=1), _spread(taken)
        target_offset, target_scale = wanted.mean(axis=1, keepdims=True), _spread(wanted)[:, None]
        return cls(
            ((taken - offset[:, None]) / scale[:, None]).astype(np.float32),
            ((wanted - target_offset) / target_scale).astype(np.float32),
            offset,
            scale,
            target_offset,
            target_scale,
        )

    def forecast(self, network: Network, parameters: Array, features: Array) -> tuple[Array, Array]:
        """Mean and sigma (lanes, m) of rows (m, features), in units of the target."""
        standard = ((features - self.offset[:, None]) / self.scale[:, None]).astype(np.float32)
        mean, sigma = network.forecast(parameters, standard)
        return self.target_offset + self.target_scale * mean, self.target_scale * sigma


def _spread(values: Array) -> Array:
    """Standard deviation over rows (axis 1); 1 where there is none, so that what is constant stays 0."""
    spread: Array = values.std(axis=1)
    return np.where(spread > 1e-12 * np.abs(values).max(axis=1), spread, 1.0)


@dataclass(frozen=True)
class Folds:
    """Which block each training row belongs to, and the lanes fitted without each."""

    block: Array  # (n,) number of the block
    lanes: Lanes

    @classmethod
    def of(cls, split: Split, count: int, seed: int) -> Folds:
        """Blocks of a random order of the training rows; they differ by a row at most.

        All networks are fitted on equally many rows, so that one of them may miss a row.
        """
        order = np.random.default_rng(seed).permutation(len(split.target))
        block = np.empty(len(order), np.int64)
        block[order] = np.arange(len(order)) % count
        fitted = [order[block[order] != number] for number in range(count)]
        least = min(map(len, fitted))
        rows = np.stack([one[:least] for one in fitted])
        return cls(block, Lanes.of(split.features, split.target, rows))

    def held_out(self, values: Array) -> Array:
        """Of values (lanes, n) of all training rows, each row's from the network fitted without it (n,)."""
        made: Array = values[self.block, np.arange(len(self.block))]
        return made
