"""The values of a field as snapshots (time, row, column), in memory or on disk, read in pieces of bounded size.

A field on disk is opened, not loaded (`artifacts.open_field`); several files follow one another in time. The pieces
keep to the chunks in which the files are stored, so that each chunk is read and unpacked once.
"""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from podnas import artifacts

Array = np.ndarray[Any, np.dtype[Any]]
Tile = tuple[slice, slice]  # rows, columns
Field = xr.Dataset | Sequence[xr.Dataset]

GB = 10**9
REWRITTEN = "values"


@dataclass(frozen=True)
class Snapshots:
    """Snapshots (time, row, column) of a field; the parts follow one another in time."""

    parts: tuple[xr.DataArray, ...]

    @property
    def times(self) -> Array:
        """Times of the snapshots."""
        return np.concatenate([part.time.values for part in self.parts])

    @property
    def count(self) -> int:
        """Number of snapshots."""
        return sum(len(part) for part in self.parts)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.parts[0].shape[1:]
        return rows, columns

    @property
    def cell_bytes(self) -> int:
        """Bytes of a value as it is read."""
        return max(part.dtype.itemsize for part in self.parts)

    def until(self, last: str) -> Snapshots:
        """Those up to the day `last`, that day included."""
        parts = [part.sel(time=slice(None, last)) for part in self.parts]
        return Snapshots(tuple(part for part in parts if len(part)) or (parts[0],))

    def read(self, tile: Tile, start: int = 0, stop: int | None = None) -> Array:
        """Values (time, row, column) of a tile, from snapshot `start` to before `stop`; a view where that can be."""
        pieces = list(self._pieces(tile, start, self.count if stop is None else stop))
        if len(pieces) == 1:
            return np.asarray(pieces[0].values)
        values = np.empty((sum(len(piece) for piece in pieces), *pieces[0].shape[1:]), np.result_type(*pieces))
        done = 0
        for piece in pieces:
            values[done : done + len(piece)] = piece.values
            done += len(piece)
        return values

    def _pieces(self, tile: Tile, start: int, stop: int) -> Iterator[xr.DataArray]:
        for part in self.parts:
            inside = slice(min(max(start, 0), len(part)), min(max(stop, 0), len(part)))
            if inside.start < inside.stop:
                yield part[inside, tile[0], tile[1]]
            start, stop = start - len(part), stop - len(part)

    def chunk(self) -> tuple[int, int, int]:
        """Times, rows and columns that are read together: the largest chunk of the files; 1 each where any may be."""
        chunks = [part.encoding.get("chunksizes") for part in self.parts if not part.variable._in_memory]
        sizes = [tuple(chunk) for chunk in chunks if chunk]
        time, rows, columns = (max(size) for size in zip(*sizes, (1, 1, 1), strict=True))
        return time, min(rows, self.grid[0]), min(columns, self.grid[1])

    def tiles(self, cells: int) -> list[Tile]:
        """Tiles of about one size that cover the grid, of whole chunks and at most `cells` cells each.

        Rows are kept whole where they can be. Empty where a chunk alone has more cells than that.
        """
        rows, columns = self.grid
        _, row_step, column_step = self.chunk()
        if row_step * column_step > cells:
            return []
        if row_step * columns <= cells:
            return [(part, slice(0, columns)) for part in _runs(rows, cells // columns, row_step)]
        bands = _runs(rows, row_step, row_step)
        return [(band, part) for band in bands for part in _runs(columns, cells // row_step, column_step)]

    def boxes(self, values: int) -> Iterator[tuple[slice, Tile]]:
        """Times and tile of boxes that cover all snapshots; at most `values` values each, or one chunk."""
        time_step, row_step, column_step = self.chunk()
        whole = (slice(0, self.grid[0]), slice(0, self.grid[1]))
        tiles = [whole]
        if math.prod(self.grid) * time_step > values:
            tiles = self.tiles(max(values // time_step, row_step * column_step))
        cells = max((tile[0].stop - tile[0].start) * (tile[1].stop - tile[1].start) for tile in tiles)
        for times in _runs(self.count, max(values // cells, time_step), time_step):
            for tile in tiles:
                yield times, tile


def _runs(length: int, longest: int, step: int) -> list[slice]:
    """Runs of about one length that cover `length`: multiples of `step`, none beyond `longest` (which is >= step)."""
    steps = math.ceil(length / step)
    number = math.ceil(steps / max(longest // step, 1))
    edges = [min(steps * run // number * step, length) for run in range(number + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def of(fields: Sequence[xr.Dataset]) -> Snapshots:
    """Snapshots of one field, or of several that follow one another in time on one grid.

    Raises ValueError for parts of different variables or on different grids, and for days that are unsorted or twice
    there.
    """
    first = fields[0]
    for field in fields[1:]:
        _check_follows(first, field)
    values = Snapshots(tuple(field[artifacts.field_name(field)] for field in fields))
    behind = np.flatnonzero(np.diff(values.times) <= np.timedelta64(0))
    if behind.size:
        day, after = values.times[behind[0] : behind[0] + 2].astype("datetime64[D]")
        raise ValueError(
            f"snapshot {after} comes after {day}: the snapshots are not sorted, or one is there twice; give the files "
            f"in the order of time, each once ({_names(fields)})"
        )
    return values


def _check_follows(first: xr.Dataset, field: xr.Dataset) -> None:
    ours, theirs = artifacts.field_name(field), artifacts.field_name(first)
    if ours != theirs:
        raise ValueError(f"{_name(field)} holds {ours}, but {_name(first)} holds {theirs}; reduce one at a time")
    grid = artifacts.grid_dims(first)
    for name in grid:
        if artifacts.grid_dims(field) != grid or not np.array_equal(field[name].values, first[name].values):
            raise ValueError(
                f"{_name(field)} is on another grid than {_name(first)} ({name} differs); make both with one "
                "configuration"
            )


def _names(fields: Sequence[xr.Dataset]) -> str:
    return ", ".join(_name(field) for field in fields[:3]) + (", …" if len(fields) > 3 else "")


def _name(field: xr.Dataset) -> str:
    return str(field.encoding.get("source", "a field in memory"))


def rewritten(snapshots: Snapshots, folder: Path, memory: int) -> Snapshots:
    """The same snapshots in a file without chunks in `folder`, of which any tile can be read alone.

    For files whose chunks are long in space: to read a tile's whole series from them is to read them whole. Takes
    4 bytes a value of disk; the caller removes the file. Raises ArtifactError where the disk has not as much.
    """
    path = folder / f"{REWRITTEN}.nc"
    needed = snapshots.count * math.prod(snapshots.grid) * 4
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise artifacts.ArtifactError(
            f"{folder} has {free / GB:.1f} GB free, but rewriting the field for POD needs {needed / GB:.1f} GB, since "
            "a column of its chunks does not fit into pod.memory_gb; raise that, free disk space, or store the field "
            "in chunks that are short in space and long in time"
        )
    with netCDF4.Dataset(path, "w") as out:
        for name, size in zip(("time", "row", "column"), (snapshots.count, *snapshots.grid), strict=True):
            out.createDimension(name, size)
        values = out.createVariable(REWRITTEN, "f4", ("time", "row", "column"), contiguous=True, fill_value=False)
        for times, (rows, columns) in snapshots.boxes(memory // (2 * snapshots.cell_bytes)):
            values[times, rows, columns] = snapshots.read((rows, columns), times.start, times.stop)
    opened = xr.open_dataset(path, engine="netcdf4", mask_and_scale=False)[REWRITTEN]
    return Snapshots((opened.assign_coords(time=snapshots.times),))
