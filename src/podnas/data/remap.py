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
from podnas.data.coarsen import ALL, ROUNDING, Mean
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

    @property
    def spans(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last-plus-one row of the grid that each row of coarse cells is made of."""
        places, starts = self.down.indices.astype(np.intp), self.down.indptr
        return places[starts[:-1]], places[starts[1:] - 1] + 1

    def add(self, numbers: NDArray[Any], packed: Packing, mean: Mean, rows: slice = ALL) -> tuple[float, float]:
        """Add a day to a mean; least and greatest of its coarse values, infinite where it has none.

        numbers: of the rows of the grid that the coarse `rows` are made of, all columns.
        """
        begins, ends = (span[rows] for span in self.spans)
        down = self.down[rows, begins[0] : ends[-1]]
        valid = (numbers != packed.missing[0]) & (numbers != packed.missing[1]) & (numbers == numbers)
        area = (down @ valid.astype("f8")) @ self.across
        held = area >= self.least[rows]
        sums = (down @ np.where(valid, numbers, 0).astype("f8")) @ self.across
        values = packed.scale * (sums[held] / area[held]) + packed.offset
        if not np.isfinite(values).all():
            return -np.inf, np.inf
        mean.total[rows][held] += values
        mean.held[rows][held] += 1
        return float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))


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
    edges = np.unique(np.concatenate([fine, coarse]))
    middle, lengths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    held = [np.searchsorted(np.sort(axis), middle) - 1 for axis in (coarse, fine)]
    sizes = [len(axis) - 1 for axis in (coarse, fine)]
    inside = np.all([(number >= 0) & (number < size) for number, size in zip(held, sizes, strict=True)], axis=0)
    # an axis that falls counts its intervals from the other end
    places = [
        (size - 1 - number if axis[0] > axis[-1] else number)[inside]
        for axis, number, size in zip((coarse, fine), held, sizes, strict=True)
    ]
    overlap = sparse.csr_array((lengths[inside], tuple(places)), shape=tuple(sizes))
    overlap.sum_duplicates()
    return overlap
