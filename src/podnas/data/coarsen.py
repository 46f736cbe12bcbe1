"""Area-weighted coarsening of stored numbers by a whole number of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podnas.data import blocks
from podnas.data.stored import Packing

Floats = NDArray[np.floating[Any]]

ROUNDING = 1e-9
ALL = slice(None)


class Mean:
    """Mean over days of coarse cells, each day an area mean over the valid part of its blocks.

    `total` (coarse rows, coarse columns): sum over days; `held`: days with a value.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.total = np.zeros(shape)
        self.held = np.zeros(shape, np.uint8)

    def merge(self, other: Mean) -> None:
        """Add the days of another mean."""
        self.total += other.total
        self.held += other.held

    def result(self, least_days: int) -> NDArray[np.float32]:
        """Mean of the days of each cell; NaN where fewer than `least_days` have a value."""
        mean = np.full(self.total.shape, np.nan)
        np.divide(self.total, self.held, out=mean, where=self.held >= least_days)
        return mean.astype(np.float32)


@dataclass(frozen=True)
class Blocks:
    """Coarse cells of factor x factor cells of a grid; those at the last rows and columns may reach beyond it.

    weight (rows): area of a cell of each row, in any unit; least (coarse rows): valid area that a coarse cell needs.
    """

    factor: int
    weight: NDArray[np.float64]
    least: NDArray[np.float64]
    columns: int

    def mean(self) -> Mean:
        """An empty mean of this shape."""
        return Mean((len(self.least), -(-self.columns // self.factor)))

    @property
    def spans(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last-plus-one row of the grid that each row of coarse cells is made of."""
        begins = self.factor * np.arange(len(self.least))
        return begins, np.minimum(begins + self.factor, len(self.weight))

    def add(self, numbers: NDArray[Any], packed: Packing, mean: Mean, rows: slice = ALL) -> tuple[float, float]:
        """Add a day to a mean; least and greatest of its coarse values, infinite where it has none.

        numbers: of the rows of the grid that the coarse `rows` are made of, all columns.
        """
        first, second = packed.missing
        begins, ends = (span[rows] for span in self.spans)
        found: tuple[float, float] = blocks.adder(self.factor)(
            np.ascontiguousarray(numbers),
            first,
            second,
            _zero(numbers.dtype),
            self.weight[begins[0] : ends[-1]],
            self.least[rows],
            packed.scale,
            packed.offset,
            mean.total[rows],
            mean.held[rows],
        )
        return found


def _zero(stored: np.dtype[Any]) -> Any:
    """Zero of a type that holds the sum of a row of a block: integers stay integers."""
    if stored.kind == "f":
        return np.float64(0)
    return np.int32(0) if stored.itemsize < 4 else np.int64(0)


def divide(weight: Floats, columns: int, factor: int, least_valid_share: float, beyond: bool) -> Blocks:
    """Blocks of a grid whose cells have the area `weight` (rows).

    A coarse cell has a value, the mean of its valid part, where at least `least_valid_share` of its area is valid.
    Where the factor does not divide the grid, ValueError, unless coarse cells may reach `beyond` it: what lies
    beyond counts as missing.
    """
    rows = len(weight)
    if not beyond and (rows % factor or columns % factor):
        raise ValueError(
            f"field.coarsen is {factor}, but the selected grid has {rows} x {columns} cells, no multiple of it; "
            "choose a divisor of both, change field.lat and field.lon, or set field.beyond_edge"
        )
    wide = np.pad(np.asarray(weight, "f8"), (0, -rows % factor), mode="edge")
    area = factor * wide.reshape(-1, factor).sum(axis=1)
    return Blocks(factor, wide[:rows], max(least_valid_share - ROUNDING, ROUNDING) * area, columns)


def centres(axis: Floats, factor: int) -> Floats:
    """Centres of coarse cells along an evenly spaced axis; the last cell is as wide as the others."""
    if factor == 1:
        return axis
    wide = axis.astype("f8")
    step = (wide[-1] - wide[0]) / max(len(wide) - 1, 1)
    missing = -len(wide) % factor
    full = np.concatenate([wide, wide[-1] + step * np.arange(1, missing + 1)])
    middle: Floats = full.reshape(-1, factor).mean(axis=1)
    return middle
