"""Days of a file read in bands of whole chunk rows, each long enough for whole rows of coarse cells.

So a chunk is inflated once, however many days it holds and wherever coarse cells begin, and memory is bounded
whatever the grid: a band of the days that are read together, and the rows that wait for the next band.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podnas.data.headers import Header

Numbers = NDArray[Any]
Steps = NDArray[np.intp]
Fill = Callable[[slice, Numbers], None]  # rows of the box, and where their numbers go (day, row, column)

VALUES = 24_000_000  # numbers held at a time: ten days of 300 rows of DayMet, a row of its chunks since 2020


class Kept:
    """Memory that is used again: fresh megabytes cost a third of the time that inflating into them takes."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
        """An array with anything in it; it lasts until the next one is asked for."""
        size = int(np.prod(shape)) * dtype.itemsize
        if len(self.memory) < size:
            self.memory = np.empty(0, np.uint8)  # give back before asking
            self.memory = np.empty(size, np.uint8)
        return self.memory[:size].view(dtype).reshape(shape)


def days_together(header: Header, rows: int, columns: int) -> int:
    """Days of a file that are read together from a box of this size.

    Those of a chunk, fewer only where its rows are too many to be held; where a chunk holds one, as many as fit whole.
    """
    days, height = header.together
    if days == 1:
        return max(1, VALUES // (rows * columns))
    return min(days, max(1, VALUES // (min(height, rows) * columns)))


def bands(
    header: Header,
    first_row: int,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    spans: tuple[Steps, Steps],
    fill: Fill,
    kept: Kept,
) -> Iterator[tuple[Numbers, slice]]:
    """Numbers (day, row, column) of a box, and the coarse rows that are made of them, band after band.

    first_row: of the file, where the box begins; shape: days, rows and columns of the box; spans: first and
    last-plus-one row of the box of each coarse row.
    """
    days, rows, columns = shape
    begins, ends = spans
    edges = _edges(header.together[1], first_row, rows, max(1, VALUES // (days * columns)))
    height = int(np.diff(edges).max() + (ends - begins).max())
    held = kept.array((days, min(height, rows), columns), dtype)
    top = coarse = 0  # row that `held` begins with, and coarse row that comes next
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        fill(slice(start, stop), held[:, start - top : stop - top])
        done = int(np.searchsorted(ends, stop, side="right"))
        if done > coarse:
            yield held[:, begins[coarse] - top : ends[done - 1] - top], slice(coarse, done)
        coarse = done
        keep = int(begins[coarse]) if coarse < len(begins) else stop
        held[:, : stop - keep] = held[:, keep - top : stop - top].copy()
        top = keep


def _edges(height: int, first_row: int, rows: int, most: int) -> Steps:
    """Rows of the box where bands begin and end: whole chunk rows of the file, `most` rows where they are that low."""
    step = max(1, most // height) * height
    begin = -(first_row % height)
    return np.unique(np.clip(np.arange(begin, rows + step, step), 0, rows))
