"""Reader of OISST archives: PSL's weekly and yearly daily files, NCEI's single days, and files laid out like them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from podnas.data import grid, weekly
from podnas.data.files import opened

Floats = NDArray[np.floating[Any]]
Ocean = NDArray[np.bool_]

CELSIUS = {"degc", "deg c", "c", "celsius", "degree_c", "degrees_c", "degree_celsius", "degrees_celsius"}
CELSIUS |= {"degree celsius", "degrees celsius", "deg_c"}
KELVIN = {"k", "kelvin", "degk", "deg k", "degree_kelvin", "degrees_kelvin", "degree kelvin", "degrees kelvin"}
HOTTEST = 100.0  # degree_Celsius; anything above is Kelvin with a wrong label
FILLED_OVER_LAND = "sst.wkmean."
MASK_VARIABLES = ("mask", "lsmask")
BLOCK_VALUES = 8_000_000  # values held in float32 while a block is masked and coarsened


@dataclass(frozen=True)
class Header:
    """What a file holds, read without its values; days: datetime64[D], increasing."""

    path: Path
    lat: Floats
    lon: Floats
    days: NDArray[np.datetime64]
    data_kind: str
    title: str


def headers(paths: Sequence[Path], variable: str) -> list[Header]:
    """Headers of all files in order of their first day, on one grid, without overlap, of one kind of data."""
    found = sorted((_header(path, variable) for path in paths), key=lambda header: header.days[0])
    _refuse_mixed_grids(found)
    _refuse_overlaps(found)
    kinds = {header.data_kind for header in found}
    if len(kinds) > 1:
        odd = next(header for header in found if header.data_kind == "twin")
        raise ValueError(f"{odd.path} is a synthetic twin and the other files are real; never mix them")
    return found


def _header(path: Path, variable: str) -> Header:
    with opened(path) as data:
        data = _named(data)
        _check_variable(path, data, variable)
        days = data["time"].values
        if not np.issubdtype(days.dtype, np.datetime64):
            raise ValueError(f"{path}: its times are not dates of the standard calendar; podnas needs those")
        days = days.astype("datetime64[D]")
        weekly.check_order(str(path), days)
        for name in ("lat", "lon"):
            grid.check_regular(f"{path}: {name}", data[name].values)
        attributes = data.attrs
        return Header(
            path=path,
            lat=data["lat"].values,
            lon=data["lon"].values,
            days=days,
            data_kind=str(attributes.get("data_kind", "real")),
            title=str(attributes.get("title", path.name)),
        )


def _named(data: xr.Dataset) -> xr.Dataset:
    long = {"latitude": "lat", "longitude": "lon"}
    return data.rename({old: new for old, new in long.items() if old in data.variables or old in data.dims})


def _check_variable(path: Path, data: xr.Dataset, variable: str) -> None:
    for name in (variable, "time", "lat", "lon"):
        if name not in data.variables:
            held = ", ".join(sorted(str(held) for held in data.variables))
            raise ValueError(
                f"{path} has no variable {name} (it holds {held}); leave the file out or set source.variable"
            )
    values = data[variable]
    extra = [str(dim) for dim in values.dims if dim not in ("time", "lat", "lon") and values.sizes[dim] > 1]
    if extra or not {"time", "lat", "lon"} <= set(values.dims):
        raise ValueError(f"{path}: {variable} has dimensions {values.dims}; podnas reads (time, lat, lon)")
    if not values.sizes["time"]:
        raise ValueError(f"{path} holds no time step; replace the file or leave it out by source.exclude")
    _check_units(path, variable, str(values.attrs.get("units", "")))


def _check_units(path: Path, variable: str, units: str) -> None:
    if units.strip().lower() in CELSIUS:
        return
    remedy = "convert the file to degree_Celsius and set its units attribute"
    if units.strip().lower() in KELVIN:
        remedy = "subtract 273.15 and set the units attribute to degC"
    raise ValueError(f"{path}: {variable} has units {units!r}, but podnas needs degree_Celsius; {remedy}")


def _refuse_mixed_grids(found: Sequence[Header]) -> None:
    """The grid that most files have is taken for the right one, so that the odd file is the one named."""
    sizes = Counter((len(header.lat), len(header.lon)) for header in found)
    usual = next(h for h in found if (len(h.lat), len(h.lon)) == sizes.most_common(1)[0][0])
    for header in found:
        how = grid.difference(header.lat, header.lon, usual.lat, usual.lon)
        if how is not None:
            raise ValueError(
                f"{header.path} is not on the grid of {usual.path}: {how}; "
                f"get the whole file, or leave it out: source.exclude: [{header.path.name}]"
            )


def _refuse_overlaps(found: Sequence[Header]) -> None:
    for before, after in pairwise(found):
        if after.days[0] <= before.days[-1]:
            raise ValueError(
                f"{after.path} begins on {after.days[0]}, but {before.path} goes on to {before.days[-1]}: they "
                f"overlap; leave one out: source.exclude: [{after.path.name}]"
            )


def read_mask(path: Path, header: Header) -> Ocean:
    """Ocean cells (lat, lon) of a mask file, 1 = ocean, on the grid of the archive; refused if missing or different."""
    if not path.is_file():
        raise ValueError(
            f"the land-sea mask {path} is missing; PSL's weekly files are filled over land, so nothing can be read "
            "without it: get lsmask.nc from the folder of the weekly files, or set source.mask"
        )
    with opened(path, decode_times=False) as data:
        data = _named(data)
        name = next((name for name in MASK_VARIABLES if name in data.variables), None)
        if name is None:
            raise ValueError(f"{path} has no variable mask (1 = ocean); set source.mask to a land-sea mask")
        how = grid.difference(data["lat"].values, data["lon"].values, header.lat, header.lon)
        if how is not None:
            raise ValueError(f"the mask {path} is not on the grid of {header.path}: {how}; use the archive's own mask")
        ocean: Ocean = data[name].squeeze(drop=True).transpose("lat", "lon").values == 1
        return ocean


def check_unmasked(found: Sequence[Header]) -> None:
    """Refuse files known to be filled over land when no mask is given."""
    for header in found:
        if header.path.name.startswith(FILLED_OVER_LAND):
            raise ValueError(
                f"{header.path} is filled over land, so its own gaps are no mask; set source.mask to PSL's lsmask.nc"
            )


def blocks(header: Header, variable: str, box: grid.Box, ocean: Ocean | None, kept: slice) -> Iterator[xr.DataArray]:
    """Values of one file, block by block: float32 (time, lat, lon) in degree_Celsius, NaN off the mask.

    `kept` is the run of its time steps that is used; `ocean` covers the whole grid of the file.
    """
    wet = None if ocean is None else ocean[np.ix_(box.rows, box.columns)]
    size = max(1, BLOCK_VALUES // (len(box.rows) * len(box.columns)))
    with opened(header.path) as data:
        whole = _named(data)[variable].squeeze([d for d in data[variable].dims if d not in _AXES], drop=True)
        whole = whole.transpose("time", "lat", "lon")
        for first in range(kept.start, kept.stop, size):
            steps = slice(first, min(first + size, kept.stop))
            yield _block(header, _contiguous(whole, steps, box), steps, box, wet)


_AXES = {"time", "lat", "lon", "latitude", "longitude"}


def _contiguous(whole: xr.DataArray, steps: slice, box: grid.Box) -> NDArray[np.float32]:
    """Read the rectangle around the box, then order its columns: netCDF reads scattered columns one by one."""
    rows, columns = (slice(int(index.min()), int(index.max()) + 1) for index in (box.rows, box.columns))
    values = whole.isel(time=steps, lat=rows, lon=columns).values.astype("f4", copy=False)
    if len(box.columns) == values.shape[2] and (np.diff(box.columns) == 1).all():
        return values
    return values[:, :, box.columns - columns.start]


def _block(header: Header, values: NDArray[np.float32], steps: slice, box: grid.Box, wet: Ocean | None) -> xr.DataArray:
    if wet is not None:
        values[:, ~wet] = np.nan
    if values.size and np.nanmax(values, initial=-np.inf) > HOTTEST:
        raise ValueError(
            f"{header.path} holds {np.nanmax(values):.1f}, which is Kelvin whatever its units attribute says; "
            "subtract 273.15 from the file"
        )
    coords = {"time": header.days[steps].astype("datetime64[ns]"), "lat": box.lat, "lon": box.lon}
    return xr.DataArray(values, coords, ("time", "lat", "lon"))
