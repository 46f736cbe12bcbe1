"""Archive files in, weekly field out: read, masked, coarsened, averaged to weeks, checked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from podnas.config import FieldConfig, JoinConfig, SourceConfig
from podnas.data import coarsen, grid, oisst, weekly

Floats = NDArray[np.floating[Any]]
Days = NDArray[np.datetime64]

LOG = logging.getLogger(__name__)

SST_ATTRIBUTES = {
    "standard_name": "sea_surface_temperature",
    "long_name": "weekly mean sea surface temperature",
    "units": "degree_Celsius",
    "cell_methods": "time: mean area: mean",
    "cell_measures": "area: cell_area",
}
AXES = {
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
}
SHOWN = 3


def build(files: Sequence[Path], mask: Path | None, source: SourceConfig, config: FieldConfig) -> xr.Dataset:
    """The weekly field of `artifacts.write_field` from archive files and, where they are filled over land, a mask.

    Weekly input: weeks that start from config.first to config.last, as they are. Daily input: days from first to last,
    averaged to weeks that start on config.week_anchor.
    """
    headers = oisst.headers(files, source.variable)
    ocean = _ocean(mask, headers)
    box = grid.select(headers[0].lat, headers[0].lon, config.lat, config.lon)
    kept = [_kept(header, config) for header in headers]
    days = np.concatenate([header.days[chosen] for header, chosen in zip(headers, kept, strict=True)])
    daily = _is_daily(days, headers, config)
    if not daily:
        weekly.segments(days, source.joins)  # refuse a broken record before reading it
    values, lat, lon = _read(headers, kept, source.variable, box, ocean, config)
    if daily:
        days, values = weekly.means(values, days, config.week_anchor, config.least_days)
    cells = _check_gaps(values, days)
    if mask is None and cells == values[0].size:
        LOG.warning("no mask is given and no cell has gaps: the box must be all ocean, or the files filled over land")
    LOG.info("%d weeks, %s to %s, %d of %d cells", len(days), days[0], days[-1], cells, values[0].size)
    return _dataset(values, days, lat, lon, source.joins).assign_attrs(_attributes(headers))


def _ocean(mask: Path | None, headers: Sequence[oisst.Header]) -> oisst.Ocean | None:
    if mask is None:
        oisst.check_unmasked(headers)
        return None
    return oisst.read_mask(mask, headers[0])


def _kept(header: oisst.Header, config: FieldConfig) -> slice:
    first = 0 if config.first is None else np.searchsorted(header.days, np.datetime64(config.first, "D"))
    end = len(header.days)
    if config.last is not None:
        end = int(np.searchsorted(header.days, np.datetime64(config.last, "D"), side="right"))
    return slice(int(first), max(int(first), end))


def _is_daily(days: Days, headers: Sequence[oisst.Header], config: FieldConfig) -> bool:
    if not len(days):
        raise ValueError(
            f"no snapshot lies between field.first {config.first} and field.last {config.last}; "
            f"the files span {headers[0].days[0]} to {headers[-1].days[-1]}"
        )
    return weekly.is_daily(days)


def _read(
    headers: Sequence[oisst.Header],
    kept: Sequence[slice],
    variable: str,
    box: grid.Box,
    ocean: oisst.Ocean | None,
    config: FieldConfig,
) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Fill one array, coarsened block by block, so that the input at full resolution is never held whole."""
    shape = (sum(run.stop - run.start for run in kept), *(len(axis) // config.coarsen for axis in (box.lat, box.lon)))
    out = np.empty(shape, "f4")
    done = 0
    lat, lon = box.lat, box.lon
    for header, chosen in zip(headers, kept, strict=True):
        for block in oisst.blocks(header, variable, box, ocean, chosen):
            coarse = coarsen.block_mean(block, config.coarsen, config.least_valid_share)
            out[done : done + len(coarse)] = coarse.values
            done += len(coarse)
            lat, lon = coarse["lat"].values, coarse["lon"].values
    return out, lat, lon


def _check_gaps(values: NDArray[np.float32], starts: Days) -> int:
    """Number of valid cells; refused: no valid cell, empty weeks, cells that come and go (POD needs whole series)."""
    held = np.zeros(values.shape[1:], "i8")
    empty = []
    for week, snapshot in enumerate(values):
        valid = np.isfinite(snapshot)
        held += valid
        if not valid.any():
            empty.append(str(starts[week]))
    if len(empty) == len(values):
        raise ValueError("the selection is all land: no cell has a value; change field.lat, field.lon or source.mask")
    if empty:
        raise ValueError(
            f"{len(empty)} week(s) have no value at all: {', '.join(empty[:SHOWN])}; replace the files that hold them"
        )
    broken = int(((held > 0) & (held < len(values))).sum())
    if broken:
        week = next(k for k, snapshot in enumerate(values) if np.isnan(snapshot[(held > 0)]).any())
        raise ValueError(
            f"{broken} cell(s) have values in some weeks only (the first such week is {starts[week]}); "
            "POD needs a value in every week: give a mask without them (source.mask), or mend the files"
        )
    return int((held > 0).sum())


def _dataset(
    values: NDArray[np.float32], starts: Days, lat: Floats, lon: Floats, joins: Sequence[JoinConfig]
) -> xr.Dataset:
    time = starts.astype("datetime64[ns]")
    bounds = np.stack([time, time + weekly.WEEK.astype("m8[ns]")], axis=1)
    segment = weekly.segments(starts, joins)
    field = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values, SST_ATTRIBUTES),
            "cell_area": grid.cell_area(lat, lon),
            "time_bounds": (("time", "bounds"), bounds),
            "segment": ("time", segment, {"long_name": "number of the run of consecutive weeks", "units": "1"}),
        },
        coords={"time": ("time", time, {"standard_name": "time", "axis": "T", "bounds": "time_bounds"})},
    ).set_coords(["time_bounds", "cell_area", "segment"])
    for name, attributes in AXES.items():
        field[name].attrs.update(attributes)
    return field


def _attributes(headers: Sequence[oisst.Header]) -> dict[str, str]:
    kind = headers[0].data_kind
    what = "synthetic twin of weekly sea surface temperature" if kind == "twin" else "weekly sea surface temperature"
    names = [header.path.name for header in headers]
    listed = ", ".join(names) if len(names) <= SHOWN else f"{names[0]} to {names[-1]} ({len(names)} files)"
    return {"data_kind": kind, "title": what, "source": f"{headers[0].title}; files {listed}"}
