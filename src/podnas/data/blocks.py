"""Sums over blocks of cells, compiled: the stored numbers of a day are read once, added up as they are, and let go.

Packed integers are added as integers, so that no sum is rounded; only the weighting by area and the division are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from podnas import compiled


@cache
def adder(factor: int) -> Callable[..., Any]:
    """Compile `add` for blocks of factor x factor cells: with the number fixed, the inner loop becomes vectors.

    add(numbers, first, second, zero, weight, least, scale, offset, total, held) -> lowest, highest

    numbers (rows, columns): as stored; first, second mark missing ones; zero: of the type that a row of a block is
    summed in. weight (rows) float64: area of a cell; least (coarse rows) float64: area that a block needs.
    To total and held (coarse rows, coarse columns), float64 and integers, it adds scale x mean + offset and 1 where a
    block has enough; it returns the least and the greatest of these means (infinite where there is none). Blocks at the
    last rows and columns may reach beyond the grid.
    """
    compiled.keep("blocks", Path(__file__))

    @njit(nogil=True, cache=True, error_model="numpy")
    def add(numbers, first, second, zero, weight, least, scale, offset, total, held):
        rows, columns = numbers.shape
        whole, coarse = columns // factor, total.shape[1]
        sums, areas = np.empty(coarse), np.empty(coarse)
        lowest, highest = np.inf, -np.inf
        for block in range(total.shape[0]):
            sums[:] = 0
            areas[:] = 0
            for row in range(block * factor, min(rows, (block + 1) * factor)):
                for column in range(whole):
                    value, count = zero, np.int32(0)
                    for k in range(factor):
                        number = numbers[row, column * factor + k]
                        good = (number != first) & (number != second) & (number == number)
                        value += number if good else zero
                        count += np.int32(good)
                    sums[column] += weight[row] * value
                    areas[column] += weight[row] * count
                for place in range(whole * factor, columns):
                    number = numbers[row, place]
                    if (number != first) & (number != second) & (number == number):
                        sums[whole] += weight[row] * number
                        areas[whole] += weight[row]
            for column in range(coarse):
                if areas[column] >= least[block]:
                    mean = scale * (sums[column] / areas[column]) + offset
                    total[block, column] += mean
                    held[block, column] += 1
                    lowest, highest = min(lowest, mean), max(highest, mean)
                    if mean != mean:  # from infinite numbers of both signs
                        lowest, highest = -np.inf, np.inf
        return lowest, highest

    return add
