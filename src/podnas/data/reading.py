"""Weeks of an archive read and coarsened, each by itself: the work that is spread over processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from podnas.data import coarsen, grid, headers, remap, stored
from podnas.data.headers import Header
from podnas.data.variables import Variable

Mask = NDArray[np.bool_]
Pieces = Sequence[tuple[Header, Sequence[int]]]  # files of a week, and the time steps to be taken of each

ICE = "ice"
BLOCK_VALUES = 8_000_000  # numbers held at a time
BATCH_WEEKS, BATCH_VALUES = 4, 50_000_000  # given to a worker at a time, at most; or one week
# glibc gives megabytes back as soon as they are freed, and a worker asks for as many with the next file, page by page:
# a third of its time
KEEPS_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}


@dataclass(frozen=True)
class Reading:
    """What all weeks of a field have in common.

    name: of the variable in the files; dry (rows, columns of the box): cells that count as missing; ice: concentration
    above which a cell does, too; least_days: days with a value that a cell's mean needs.
    """

    name: str
    variable: Variable
    box: grid.Box
    target: coarsen.Blocks | remap.Remap
    dry: Mask | None
    ice: float | None
    least_days: int

    def weeks(self, weeks: Sequence[Pieces]) -> Iterator[NDArray[np.float32]]:
        """Means of the days of each week (coarse rows, coarse columns), NaN where there is none.

        A few days, or one large one, are held at a time at the resolution of the file. ArtifactError or ValueError name
        the file that is damaged, or is not what its header or its name promise.
        """
        with _OneFile(self) as files:
            for pieces in weeks:
                mean = self.target.mean()
                for header, steps in pieces:
                    for run in _runs(steps, BLOCK_VALUES // (len(self.box.rows) * len(self.box.columns))):
                        self._add(files.opened(header), header, run, mean)
                yield mean.result(self.least_days)

    def _add(self, file: stored.Stored, header: Header, steps: slice, mean: coarsen.Mean) -> None:
        numbers, packed = self._read(file, self.name, header, steps)
        if self.dry is not None:
            np.copyto(numbers, packed.missing[0], where=self.dry)
        if self.ice is not None:
            np.copyto(numbers, packed.missing[0], where=self._icy(file, header, steps, self.ice))
        for day in numbers:
            lowest, highest = self.target.add(day, packed, mean)
            if lowest <= highest:
                self.variable.check_range(header.path, lowest, highest)

    def _read(
        self, file: stored.Stored, name: str, header: Header, steps: slice
    ) -> tuple[NDArray[Any], stored.Packing]:
        """The rectangle around the box, then its columns in order: netCDF reads scattered columns one by one."""
        rows, columns = (slice(int(index.min()), int(index.max()) + 1) for index in (self.box.rows, self.box.columns))
        numbers = file.numbers(name, header.index(steps, rows, columns)).transpose(header.order)
        if numbers.shape[2] != len(self.box.columns) or (np.diff(self.box.columns) != 1).any():
            numbers = numbers[:, :, self.box.columns - columns.start]
        return numbers, file.packing(name)

    def _icy(self, file: stored.Stored, header: Header, steps: slice, limit: float) -> Mask:
        if not file.holds(ICE):
            raise ValueError(
                f"{header.path} has no variable {ICE}; unset source.ice, or take the publisher's daily files"
            )
        numbers, packed = self._read(file, ICE, header, steps)
        share = packed.scale * numbers + packed.offset
        held = (numbers != packed.missing[0]) & (numbers != packed.missing[1]) & np.isfinite(share)
        if (share[held] > 1 + coarsen.ROUNDING).any():
            share = share / 100  # in percent
        icy: Mask = held & (share > limit)
        return icy


class _OneFile:
    """Keeps the file that was asked for last open, since the weeks of a yearly file come one after another."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.path: Path | None = None
        self.file: stored.Stored | None = None
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: Any) -> bool | None:
        return self.stack.__exit__(*problem)

    def opened(self, header: Header) -> stored.Stored:
        """The file of a header; one that is assumed is confirmed."""
        if self.file is None or header.path != self.path:
            self.stack.close()
            self.path, self.file = header.path, self.stack.enter_context(stored.opened(header.path))
            if header.assumed:
                headers.confirm(header, self.file, self.reading.name, self.reading.variable)
        return self.file


def _runs(steps: Sequence[int], longest: int) -> Iterator[slice]:
    """Runs of consecutive time steps, none longer than `longest` (at least 1)."""
    first = 0
    for place in range(1, len(steps) + 1):
        if place == len(steps) or steps[place] != steps[place - 1] + 1 or place - first >= max(longest, 1):
            yield slice(steps[first], steps[place - 1] + 1)
            first = place


def read(reading: Reading, weeks: Sequence[Pieces], executor: Executor | None) -> Iterator[NDArray[np.float32]]:
    """Weeks in order; on the workers of an executor (processes, or a cluster's), or here where there is none."""
    if executor is None:
        return reading.weeks(weeks)
    of_a_week = len(reading.box.rows) * len(reading.box.columns) * max(sum(len(s) for _, s in week) for week in weeks)
    together = max(1, min(BATCH_WEEKS, BATCH_VALUES // of_a_week))
    batches = [weeks[first : first + together] for first in range(0, len(weeks), together)]
    return chain.from_iterable(executor.map(_batch, repeat(reading, len(batches)), batches))


def _batch(reading: Reading, weeks: Sequence[Pieces]) -> list[NDArray[np.float32]]:
    return list(reading.weeks(weeks))


@contextmanager
def pool(processes: int) -> Iterator[Executor]:
    """Processes that weeks can be read on."""
    with keeping_memory(), ProcessPoolExecutor(processes, get_context("spawn")) as executor:
        yield executor


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Processes that start meanwhile keep the memory that they free, where the C library is glibc."""
    before = {name: os.environ.get(name) for name in KEEPS_MEMORY}
    os.environ.update(KEEPS_MEMORY)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
