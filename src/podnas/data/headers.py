"""What archive files hold, read without their values, and whether they belong together."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from podnas.data import daymet, grid, products, weekly
from podnas.data.files import opened
from podnas.data.lambert import Lambert
from podnas.data.stored import Stored
from podnas.data.variables import Variable

Floats = NDArray[np.floating[Any]]
Days = NDArray[np.datetime64]

LOG = logging.getLogger(__name__)

STANDARD = ("standard", "gregorian", "proleptic_gregorian")
LONG_NAMES = {"latitude": "lat", "longitude": "lon"}
SHOWN = 3


@dataclass(frozen=True)
class Header:
    """What a file holds, read without its values.

    axes: ('lat', 'lon'), rows and columns then in degrees, or ('y', 'x'), in m; stored_axes: their names in the file;
    dims: dimensions of the variable as stored; chunks: what is stored together along each (1: nothing is chunked);
    days: datetime64[D], increasing; like: the file from whose header, and the date in its name, this one is made, to
    be confirmed on reading.
    """

    path: Path
    axes: tuple[str, str]
    stored_axes: tuple[str, str]
    rows: Floats
    columns: Floats
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    days: Days
    data_kind: str
    title: str
    product: str
    projection: Lambert | None = None
    like: Path | None = None

    def index(self, steps: slice, rows: slice, columns: slice) -> tuple[int | slice, ...]:
        """Index into the stored variable of some time steps and a rectangle of the grid."""
        chosen = {"time": steps, self.stored_axes[0]: rows, self.stored_axes[1]: columns}
        return tuple(chosen.get(dim, 0) for dim in self.dims)

    @property
    def together(self) -> tuple[int, int]:
        """Time steps and rows that lie in a chunk."""
        sizes = dict(zip(self.dims, self.chunks, strict=True))
        return sizes["time"], sizes[self.stored_axes[0]]

    @property
    def order(self) -> tuple[int, ...]:
        """Places of time, rows and columns among what such an index leaves."""
        left = [dim for dim in self.dims if dim in ("time", *self.stored_axes)]
        return tuple(left.index(dim) for dim in ("time", *self.stored_axes))


def headers(paths: Sequence[Path], stored: str, variable: Variable) -> list[Header]:
    """Headers of all files in order of their first day, on one grid, without overlap, of one product and kind of data.

    Of files with a single day, whose names tell which, the first, the middle and the last are read, so that an odd one
    of them is told from two that agree; the others are confirmed when their values are read. Of a day's final and
    preliminary file the final one is taken.
    """
    paths = products.final(paths)
    single = [path for path in paths if products.day(path) is not None]
    found = [_header(path, stored, variable) for path in paths if path not in set(single)]
    if single:
        places = dict.fromkeys((0, len(single) // 2, len(single) - 1))
        read = {single[place]: _header(single[place], stored, variable) for place in places}
        for header in read.values():
            _check_day(header)
        pattern = next(iter(read.values()))
        found += [read.get(path) or _assumed(pattern, path) for path in single]
    found.sort(key=lambda header: header.days[0])
    _refuse_mixed_grids(found)
    _refuse_overlaps(found)
    _refuse_mixtures(found)
    return found


def _header(path: Path, stored: str, variable: Variable) -> Header:
    with opened(path, decode_times=False) as data:
        rows, columns = _axes(path, data, stored)
        _check_variable(path, data, stored, (rows, columns))
        variable.check_units(path, stored, str(data[stored].attrs.get("units", "")))
        projected = rows == "y"
        days = daymet.days(path, data) if projected else _days(path, data)
        weekly.check_order(str(path), days)
        centres = {name: data[name].values for name in (rows, columns)}
        for name, values in centres.items():
            grid.check_regular(f"{path}: {name}", values)
        if projected:
            centres = daymet.in_metres(path, data)
        return Header(
            path=path,
            axes=("y", "x") if projected else ("lat", "lon"),
            stored_axes=(rows, columns),
            rows=centres[rows],
            columns=centres[columns],
            dims=tuple(map(str, data[stored].dims)),
            shape=data[stored].shape,
            chunks=data[stored].encoding.get("chunksizes") or (1,) * data[stored].ndim,
            days=days,
            data_kind=str(data.attrs.get("data_kind", "real")),
            title=str(data.attrs.get("title", path.name)),
            product=products.product(path, lambda name: data.attrs.get(name, "")),
            projection=daymet.projection(path, data) if projected else None,
        )


def _axes(path: Path, data: xr.Dataset, stored: str) -> tuple[str, str]:
    """Names of the rows and columns in the file."""
    if stored in data.variables and {"y", "x"} <= set(data[stored].dims):
        return "y", "x"
    names = {LONG_NAMES.get(str(name), str(name)): str(name) for name in (*data.variables, *data.dims)}
    return names.get("lat", "lat"), names.get("lon", "lon")


def _days(path: Path, data: xr.Dataset) -> Days:
    try:
        days = xr.decode_cf(data[["time"]])["time"].values
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path}: its times cannot be decoded ({error}); mend or replace the file") from error
    if not np.issubdtype(days.dtype, np.datetime64):
        raise ValueError(f"{path}: its times are not dates of the standard calendar; podnas needs those")
    return days.astype("datetime64[D]")


def _check_variable(path: Path, data: xr.Dataset, stored: str, axes: tuple[str, str]) -> None:
    for name in (stored, "time", *axes):
        if name not in data.variables:
            held = ", ".join(sorted(LONG_NAMES.get(str(held), str(held)) for held in data.variables))
            raise ValueError(
                f"{path} has no variable {name} (it holds {held}); leave the file out or set source.variable"
            )
    values = data[stored]
    extra = [str(dim) for dim in values.dims if dim not in ("time", *axes) and values.sizes[dim] > 1]
    if extra or not {"time", *axes} <= set(values.dims):
        raise ValueError(f"{path}: {stored} has dimensions {values.dims}; podnas reads (time, {', '.join(axes)})")
    if not values.sizes["time"]:
        raise ValueError(f"{path} holds no time step; replace the file or leave it out by source.exclude")


def _check_day(header: Header) -> None:
    named = products.day(header.path)
    if list(header.days) != [named]:
        held = ", ".join(map(str, header.days[:SHOWN]))
        raise ValueError(f"{header.path} is named for {named}, but holds {held}; get the file again")


def _assumed(pattern: Header, path: Path) -> Header:
    days = np.array([products.day(path)], "datetime64[D]")
    return replace(pattern, path=path, days=days, like=pattern.path)


def confirm(header: Header, file: Stored, stored: str, variable: Variable) -> None:
    """Refuse an open file that is not what its name and another file's header made of it."""
    path, like = header.path, header.like or header.path
    for name in (stored, "time", *header.stored_axes):
        if not file.holds(name):
            raise ValueError(f"{path} has no variable {name}; leave the file out or set source.variable")
    variable.check_units(path, stored, str(file.attribute(stored, "units", "")))
    shape = tuple(file.variable(stored).shape)
    if shape != header.shape:
        raise ValueError(
            f"{path}: {stored} has the shape {shape}, but in {like.name} {header.shape}; {_leave_out(path)}"
        )
    centres = [file.numbers(name, (slice(None),)) for name in header.stored_axes]
    how = grid.difference(header.axes, centres, (header.rows, header.columns))
    if how is not None:
        raise ValueError(f"{path} is not on the grid of {like.name}: {how}; {_leave_out(path)}")
    held = _day(path, file)
    if held != header.days[0]:
        raise ValueError(f"{path} is named for {header.days[0]}, but holds {held}; get the file again")
    product = products.product(path, lambda name: file.attribute(None, name, ""))
    _refuse_mixture(replace(header, path=like), replace(header, product=product))
    kind = str(file.attribute(None, "data_kind", "real"))
    if kind != header.data_kind:
        raise ValueError(f"{path} holds {kind} data, {like.name} {header.data_kind} data; never mix them")


def _day(path: Path, file: Stored) -> np.datetime64:
    """The first day of an open file; ValueError where it cannot be decoded."""
    units, calendar = (str(file.attribute("time", name, "standard")) for name in ("units", "calendar"))
    hours = float(file.numbers("time", (0,))) * 24
    start = re.fullmatch(r"days since (\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2})?)", units)
    if start is not None and calendar in STANDARD:
        begin = np.datetime64(start[1].replace(" ", "T"), "h")
        day: np.datetime64 = (begin + np.timedelta64(round(hours), "h")).astype("M8[D]")
        return day
    try:
        dates: Any = netCDF4.num2date(file.numbers("time", (slice(1),)), units, calendar)
    except ValueError as error:
        raise ValueError(f"{path}: its time cannot be decoded ({error}); get the file again") from error
    return np.datetime64(dates[0].strftime("%Y-%m-%d"), "D")


def _leave_out(path: Path) -> str:
    return f"get the whole file, or leave it out: source.exclude: [{path.name}]"


def _refuse_mixed_grids(found: Sequence[Header]) -> None:
    """The grid that most files have is taken for the right one, so that the odd file is the one named."""
    read = [header for header in found if header.like is None]
    grids = Counter(map(_signature, read))
    usual = next(header for header in read if _signature(header) == grids.most_common(1)[0][0])
    for header in read:
        how = grid.difference(usual.axes, (header.rows, header.columns), (usual.rows, usual.columns))
        if how is None and header.axes != usual.axes:
            how = f"{header.axes} against {usual.axes}"
        if how is not None:
            raise ValueError(f"{header.path} is not on the grid of {usual.path}: {how}; {_leave_out(header.path)}")


def _signature(header: Header) -> tuple[float, ...]:
    """Numbers of rows and columns and where they begin, to a thousandth."""
    return tuple(round(float(number), 3) for axis in (header.rows, header.columns) for number in (len(axis), axis[0]))


def _refuse_overlaps(found: Sequence[Header]) -> None:
    for before, after in pairwise(found):
        if after.days[0] <= before.days[-1]:
            raise ValueError(
                f"{after.path} begins on {after.days[0]}, but {before.path} goes on to {before.days[-1]}: they "
                f"overlap; leave one out: source.exclude: [{after.path.name}]"
            )


def _refuse_mixtures(found: Sequence[Header]) -> None:
    """The product that most files are of is taken for the right one, as with grids."""
    read = [header for header in found if header.like is None]
    kind = Counter(header.data_kind for header in read).most_common(1)[0][0]
    product = Counter(header.product for header in read).most_common(1)[0][0]
    usual = next(header for header in read if header.product == product)
    for header in read:
        if header.data_kind != kind:
            twin = header if header.data_kind != "real" else next(h for h in read if h.data_kind != "real")
            raise ValueError(f"{twin.path} is a synthetic twin and the other files are real; never mix them")
        _refuse_mixture(usual, header)


def _refuse_mixture(usual: Header, header: Header) -> None:
    if header.product != usual.product:
        raise ValueError(
            f"{header.path} is of the product {header.product}, but {usual.path.name} of {usual.product}: analyses of "
            "different versions are never joined, since the change would look like a change of climate; get all files "
            f"of one version, or leave those of the other out: source.exclude: [{header.path.name}]"
        )


def preliminary(found: Sequence[Header]) -> int:
    """Number of files that the publisher calls preliminary."""
    number = sum(re.search(products.PRELIMINARY, header.path.name) is not None for header in found)
    if number:
        LOG.warning("%d of %d files are preliminary; download again later for the final ones", number, len(found))
    return number
