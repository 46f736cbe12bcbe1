"""First-order conservative remapping to a regular grid of another cell size (Jones 1999, Mon. Wea. Rev. 127, 2204).

Both grids are rectangles in the same coordinates, so the area that a fine and a coarse cell share is a product: the
overlap of their rows times the overlap of their columns. In latitude the overlap is measured in the sine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from podnas.data import grid
from podnas.data.coarsen import ROUNDING, Mean
from podnas.data.stored import Packing

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Remap:
    """Overlaps down (coarse rows, rows) and across (columns, coarse columns), and centres of the coarse cells.

    A coarse cell has a value, the mean of its valid part, where that is at least its area `least` (rows, columns).
    """

    down: Any
    across: Any
    least: NDArray[np.float64]
    rows: Floats
    columns: Floats

    def mean(self) -> Mean:
        """An empty mean of the coarse shape."""
        return Mean((len(self.rows), len(self.columns)))

    def add(self, numbers: NDArray[Any], packed: Packing, mean: Mean) -> tuple[float, float]:
        """Add a day (rows, columns) to a mean; least and greatest of its coarse values, infinite where it has none."""
        valid = (numbers != packed.missing[0]) & (numbers != packed.missing[1]) & np.isfinite(numbers)
        area = self._overlap(valid.astype("f8"))
        held = area >= self.least
        sums = self._overlap(np.where(valid, numbers, 0).astype("f8"))
        values = packed.scale * (sums[held] / area[held]) + packed.offset
        mean.total[held] += values
        mean.held[held] += 1
        return float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))

    def _overlap(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        summed: NDArray[np.float64] = (self.down @ values) @ self.across
        return summed


def overlaps(rows: Floats, columns: Floats, size: float, least_valid_share: float, on_sphere: bool) -> Remap:
    """Remapping of a regular grid to cells of side `size`, in the unit of the centres `rows` and `columns`.

    The coarse cells begin at the first edges of the grid (on_sphere: rows are latitudes in degrees), and the last ones
    may reach beyond it; what lies beyond counts as missing. ValueError where the cells were smaller than the input's.
    """
    edges = [grid.edges(name, axis) for name, axis in (("row", rows), ("column", columns))]
    if on_sphere:
        edges[0] = np.clip(edges[0], -90, 90)
    for axis, (name, centres) in zip(edges, (("rows", rows), ("columns", columns)), strict=True):
        step = abs(axis[-1] - axis[0]) / len(centres)
        if size < step * (1 - ROUNDING):
            raise ValueError(f"field.cell_size is smaller than the {name} of the input, {step:g} wide; make it larger")
    coarse = [_coarse_edges(axis, size) for axis in edges]
    if on_sphere:
        coarse[0] = np.clip(coarse[0], -90, 90)
    down, across = (_overlap(fine, wide) for fine, wide in zip(edges, coarse, strict=True))
    if on_sphere:
        down = _overlap(_sine(edges[0]), _sine(coarse[0]))
        heights = np.abs(np.diff(_sine(coarse[0])))
    else:
        heights = np.abs(np.diff(coarse[0]))
    area = np.outer(heights, np.abs(np.diff(coarse[1])))
    middle = [(axis[1:] + axis[:-1]) / 2 for axis in coarse]
    least = max(least_valid_share - ROUNDING, ROUNDING) * area
    return Remap(down, across.T.tocsr(), least, middle[0], middle[1])


def _sine(degrees: Floats) -> Floats:
    sine: Floats = np.sin(np.radians(degrees))
    return sine


def _coarse_edges(edges: Floats, size: float) -> Floats:
    length = edges[-1] - edges[0]
    number = int(np.ceil(abs(length) / size - 1e-6))
    coarse: Floats = edges[0] + np.sign(length) * size * np.arange(number + 1)
    return coarse


def _overlap(fine: Floats, coarse: Floats) -> Any:
    """Lengths that coarse intervals share with fine ones, sparse (coarse, fine); either may fall."""
    low = np.maximum(np.minimum(fine[1:], fine[:-1]), np.minimum(coarse[1:], coarse[:-1])[:, None])
    high = np.minimum(np.maximum(fine[1:], fine[:-1]), np.maximum(coarse[1:], coarse[:-1])[:, None])
    return sparse.csr_array(np.clip(high - low, 0, None))
