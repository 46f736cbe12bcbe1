"""Weeks of an archive read and coarsened, each by itself: the work that is spread over processes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, groupby
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from podnas.data import bands, coarsen, grid, headers, remap, stored
from podnas.data.headers import Header
from podnas.data.variables import Variable

LOG = logging.getLogger(__name__)

Mask = NDArray[np.bool_]
Pieces = Sequence[tuple[Header, Sequence[int]]]  # files of a week, and the time steps to be taken of each
Day = tuple[int, Header, int]  # the week that it belongs to, its file, and its time step in that

ICE = "ice"
BATCH_UNITS, BATCH_VALUES = 4, 50_000_000  # weeks or chunks given to a worker at a time, at most; or one
WORTH_BYTES = 400_000_000  # of files, about two seconds of one process: as long as others take to start
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

    def means(self, days: Sequence[Day]) -> list[tuple[int, coarsen.Mean]]:
        """Weeks and the means of those of their days that are given (coarse rows, coarse columns).

        A band of the grid is held at a time at the resolution of the file. ArtifactError or ValueError name the file
        that is damaged, or is not what its header or its name promise.
        """
        found: dict[int, coarsen.Mean] = {}
        kept = bands.Kept()
        with _OneFile(self) as files:
            for header, run in self._runs(days):
                for week, _ in run:
                    found.setdefault(week, self.target.mean())
                self._add(files.opened(header), header, run, found, kept)
        return list(found.items())

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self.box.rows), len(self.box.columns)

    def _runs(self, days: Sequence[Day]) -> Iterator[tuple[Header, list[tuple[int, int]]]]:
        """Weeks and steps of consecutive days of a file that are read together: of one chunk where it holds several."""
        for _, group in groupby(days, key=lambda day: (day[1].path, _chunk(day))):
            run: list[tuple[int, int]] = []
            for week, header, step in group:
                longest = bands.days_together(header, *self._shape)
                if run and (step != run[-1][1] + 1 or len(run) == longest):
                    yield header, run
                    run = []
                run.append((week, step))
            yield header, run

    def _add(
        self,
        file: stored.Stored,
        header: Header,
        run: Sequence[tuple[int, int]],
        found: Mapping[int, coarsen.Mean],
        kept: bands.Kept,
    ) -> None:
        steps, packed = slice(run[0][1], run[-1][1] + 1), file.packing(self.name)

        def fill(rows: slice, numbers: NDArray[Any]) -> None:
            self._read(file, self.name, header, steps, rows, numbers)
            if self.dry is not None:
                np.copyto(numbers, packed.missing[0], where=self.dry[rows])
            if self.ice is not None:
                np.copyto(numbers, packed.missing[0], where=self._icy(file, header, steps, rows, self.ice))

        shape, first = (len(run), *self._shape), int(self.box.rows[0])
        dtype, spans = file.dtype(self.name), self.target.spans
        for numbers, coarse in bands.bands(header, first, shape, dtype, spans, fill, kept):
            for day, (week, _) in zip(numbers, run, strict=True):
                lowest, highest = self.target.add(day, packed, found[week], coarse)
                if lowest <= highest:
                    self.variable.check_range(header.path, lowest, highest)

    def _read(
        self, file: stored.Stored, name: str, header: Header, steps: slice, rows: slice, out: NDArray[Any]
    ) -> None:
        """Put rows of the box into `out` (time, row, column)."""
        first = int(self.box.rows[0])
        columns = slice(int(self.box.columns.min()), int(self.box.columns.max()) + 1)
        index = header.index(steps, slice(first + rows.start, first + rows.stop), columns)
        if (np.diff(self.box.columns) == 1).all():
            file.fill(name, index, out.transpose(np.argsort(header.order)))
            return
        # netCDF reads scattered columns one by one
        out[...] = file.numbers(name, index).transpose(header.order)[:, :, self.box.columns - columns.start]

    def _icy(self, file: stored.Stored, header: Header, steps: slice, rows: slice, limit: float) -> Mask:
        if not file.holds(ICE):
            raise ValueError(
                f"{header.path} has no variable {ICE}; unset source.ice, or take the publisher's daily files"
            )
        packed = file.packing(ICE)
        shape = (steps.stop - steps.start, rows.stop - rows.start, len(self.box.columns))
        numbers = np.empty(shape, file.dtype(ICE))
        self._read(file, ICE, header, steps, rows, numbers)
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
        """The file of a header; one that is made from another's is confirmed."""
        if self.file is None or header.path != self.path:
            self.stack.close()
            self.path, self.file = header.path, self.stack.enter_context(stored.opened(header.path))
            if header.like is not None:
                headers.confirm(header, self.file, self.reading.name, self.reading.variable)
        return self.file


def _chunk(day: Day) -> int | None:
    """Which of several chunks of a file in time a day lies in; None where a chunk holds a day."""
    _, header, step = day
    days = header.together[0]
    return step // days if days > 1 else None


def read(reading: Reading, weeks: Sequence[Pieces], executor: Executor | None) -> Iterator[NDArray[np.float32]]:
    """Weeks in order (coarse rows, coarse columns); on the workers of an executor, or here where there is none.

    Workers are processes, or a cluster's. NaN where there is no value.
    """
    _tell_repeated(weeks, reading)
    shares = _shares(weeks, len(reading.box.rows) * len(reading.box.columns))
    done = map(reading.means, shares) if executor is None else executor.map(reading.means, shares)
    for _, parts in groupby(chain.from_iterable(done), key=itemgetter(0)):
        mean, *others = (part for _, part in parts)
        for other in others:  # a week whose days lie in several chunks
            mean.merge(other)
        yield mean.result(reading.least_days)


def _tell_repeated(weeks: Sequence[Pieces], reading: Reading) -> None:
    for header in (header for pieces in weeks for header, _ in pieces):
        days, held = header.together[0], bands.days_together(header, len(reading.box.rows), len(reading.box.columns))
        if days > held:
            LOG.warning(
                "%s has chunks of %d days, of which %d fit into memory: they are inflated %d times each; store the "
                "file in smaller chunks (nccopy -c), or choose a box", header.path, days, held, -(-days // held)
            )  # fmt: skip
            return


def _shares(weeks: Sequence[Pieces], cells: int) -> list[list[Day]]:
    """Days that are read by one worker: those of some weeks, or of some chunks where these hold several days."""
    days = [(week, *day) for week, pieces in enumerate(weeks) for day in _days(pieces)]
    shares: list[list[Day]] = []
    units = 0
    for _, group in groupby(days, key=lambda day: (day[1].path, _chunk(day)) if _chunk(day) is not None else day[0]):
        unit = list(group)
        if not shares or units == BATCH_UNITS or (len(shares[-1]) + len(unit)) * cells > BATCH_VALUES:
            shares.append([])
            units = 0
        shares[-1] += unit
        units += 1
    return shares


def _days(pieces: Pieces) -> Iterator[tuple[Header, int]]:
    return ((header, step) for header, steps in pieces for step in steps)


@contextmanager
def workers(processes: int, files: Sequence[Path]) -> Iterator[Executor | None]:
    """Processes to read files on; None for this one alone, where it is through before others have started."""
    size = sum(path.stat().st_size for path in files if path.exists())
    if processes > 1 and size < WORTH_BYTES:
        LOG.info("%d MB are read by one process: less than %d MB", size // 10**6, WORTH_BYTES // 10**6)
    if processes == 1 or size < WORTH_BYTES:
        yield None
        return
    with pool(processes) as executor:
        yield executor


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
