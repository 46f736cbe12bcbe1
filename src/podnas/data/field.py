"""Archive files in, weekly field out: read, masked, coarsened, averaged to weeks, checked; year by year if wanted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from podnas import artifacts
from podnas.config import FieldConfig, SourceConfig
from podnas.data import coarsen, daymet, grid, headers, oisst, reading, remap, variables, weekly
from podnas.data.headers import Header

Floats = NDArray[np.floating[Any]]
Days = NDArray[np.datetime64]

LOG = logging.getLogger(__name__)

AXES = {
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
    "y": {"standard_name": "projection_y_coordinate", "units": "m", "axis": "Y"},
    "x": {"standard_name": "projection_x_coordinate", "units": "m", "axis": "X"},
}
DROPPED, NONE = "weeks_left_out", "none"  # attribute: incomplete weeks at the ends of the record
MAPPING = "lambert_conformal_conic"
SHOWN = 3


@dataclass(frozen=True)
class Part:
    """A part of a record that is made by itself: the weeks that start in `year` (None: all of them).

    first, last: whether the record begins or ends with it, so that its first or last week may lack days.
    """

    year: int | None = None
    first: bool = True
    last: bool = True


@dataclass(frozen=True)
class Weeks:
    """Starts of weeks and first days after them, what each is read from, and the days that a mean needs.

    dropped: incomplete weeks at the ends of the record, in words.
    """

    starts: Days
    ends: Days
    pieces: list[reading.Pieces]
    least_days: int
    dropped: list[str]


def build(
    files: Sequence[Path],
    mask: Path | None,
    source: SourceConfig,
    config: FieldConfig,
    part: Part = Part(),
    executor: Executor | None = None,
) -> xr.Dataset:
    """The weekly field of `artifacts.write_field` from archive files and, where they are filled over land, a mask.

    Weekly input: weeks that start from config.first to config.last, as they are. Daily input: days from first to last,
    averaged to weeks. Read on the workers of `executor`, where there is one; the field does not depend on it.
    """
    variable = variables.variable(source.variable)
    found = headers.headers(files, source.variable, variable)
    weeks = _weeks(found, source, config, part)
    starts = weeks.starts
    job, rows, columns = _reading(found[0], _ocean(mask, found), variable, source, config, weeks.least_days)
    values = np.empty((len(starts), len(rows), len(columns)), "f4")
    for place, week in enumerate(reading.read(job, weeks.pieces, executor)):
        values[place] = week
    cells = _check_gaps(values, starts, source.ice is not None)
    if mask is None and cells == values[0].size:
        LOG.warning("no mask is given and no cell has gaps: the box must be all ocean, or the files filled over land")
    LOG.info("%d weeks, %s to %s, %d of %d cells", len(starts), starts[0], starts[-1], cells, values[0].size)
    segment = weekly.segments(starts, source.joins, config.weeks == "of_year")
    made = _dataset(values, weeks, segment, variable, _grid(found[0], rows, columns))
    return made.assign_attrs(_attributes(found, variable, source, config) | {DROPPED: _listed(weeks.dropped)})


def join(parts: Sequence[xr.Dataset], source: SourceConfig, config: FieldConfig) -> xr.Dataset:
    """The field of all years from those of each, lazily: values are read as they are written.

    ValueError where two years differ in grid, product, kind of data or cells, or do not follow one another.
    """
    first = parts[0]
    name = artifacts.field_name(first)
    grid_dims = artifacts.grid_dims(first)
    for part in parts[1:]:
        _refuse_other(first, part, grid_dims)
    starts = np.concatenate([part["time"].values.astype("datetime64[D]") for part in parts])
    segment = weekly.segments(starts, source.joins, config.weeks == "of_year")
    joined = xr.concat(
        [part.drop_vars("segment").chunk() for part in parts],
        "time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        combine_attrs="override",
    )
    joined = joined.assign_coords(segment=("time", segment, first["segment"].attrs))
    joined[name] = joined[name].where(_whole(parts, name, source.ice is not None))
    joined[name].attrs.update(first[name].attrs)
    files = f"{first.attrs['source'].rpartition('; files ')[0]}; {len(parts)} years, {starts[0]} to {starts[-1]}"
    dropped = [part.attrs[DROPPED] for part in parts if part.attrs.get(DROPPED, NONE) != NONE]
    return joined.assign_attrs(
        source=files,
        preliminary_files=int(sum(part.attrs["preliminary_files"] for part in parts)),
        **{DROPPED: _listed(dropped)},
    )


def _listed(dropped: Sequence[str]) -> str:
    return ", ".join(dropped) or NONE


def _refuse_other(first: xr.Dataset, part: xr.Dataset, dims: tuple[str, str]) -> None:
    named = f"the year {part['time'].dt.year.values[0]} has"
    for key in ("data_kind", "product"):
        if part.attrs[key] != first.attrs[key]:
            raise ValueError(
                f"{named} {key} {part.attrs[key]}, but the first year {first.attrs[key]}; these are never joined: "
                "leave the files of one out by source.exclude"
            )
    how = "other dimensions"
    if set(dims) <= set(part.dims):
        axes, others = ([held[dim].values for dim in dims] for held in (part, first))
        how = grid.difference(dims, axes, others) or ""
    if how:
        raise ValueError(f"{named} another grid than the first: {how}; get its files again, or leave them out")


def _whole(parts: Sequence[xr.Dataset], name: str, icy: bool) -> xr.DataArray:
    """Cells with a value in every week of every year; others are refused, or with ice left out in all."""
    first = whole = _held(parts[0], name)
    for part in parts[1:]:
        mask = _held(part, name)
        differing = int((mask != first).sum())
        if differing and not icy:
            raise ValueError(
                f"{differing} cell(s) have values in some years only (the year {part['time'].dt.year.values[0]} "
                "differs from the first); POD needs a value in every week: give a mask without them (source.mask), "
                "or mend the files"
            )
        whole = whole & mask
    return whole


def _held(part: xr.Dataset, name: str) -> xr.DataArray:
    """Cells with a value in every week of a year; its values are let go."""
    return part[name].notnull().all("time").compute()


def _ocean(mask: Path | None, found: Sequence[Header]) -> oisst.Ocean | None:
    if mask is None:
        oisst.check_unmasked(found)
        return None
    return oisst.read_mask(mask, found[0])


def _weeks(found: Sequence[Header], source: SourceConfig, config: FieldConfig, part: Part) -> Weeks:
    """The weeks of a part of the record."""
    days = np.concatenate([header.days for header in found])
    files = np.repeat(np.arange(len(found)), [len(header.days) for header in found])
    steps = np.concatenate([np.arange(len(header.days)) for header in found])
    kept = _chosen(days, config)
    if not kept.any():
        raise ValueError(
            f"no snapshot lies between field.first {config.first} and field.last {config.last}; "
            f"the files span {days[0]} to {days[-1]}"
        )
    days, files, steps = days[kept], files[kept], steps[kept]
    daily = weekly.is_daily(days)
    if part.year is not None:
        years = (weekly.starts_of(days, config) if daily else days).astype("datetime64[Y]")
        asked = np.datetime64(str(part.year), "Y")
        # the record's first and last days may make no week of the years that they lie in
        inside = (years == asked) | (part.first & (years < asked)) | (part.last & (years > asked))
        days, files, steps = days[inside], files[inside], steps[inside]
    if not daily:
        weekly.segments(days, source.joins)  # refuse a broken record before reading it
        pieces: list[reading.Pieces] = [[(found[file], [step])] for file, step in zip(files, steps, strict=True)]
        own = list(np.arange(len(days))[:, np.newaxis])
        return Weeks(days, weekly.ends(days, days, own), pieces, 1, [])
    starts, places = weekly.weeks(days, config, (part.first, part.last))
    weekly.segments(starts, source.joins, config.weeks == "of_year")
    return Weeks(
        starts=starts,
        ends=weekly.ends(starts, days, places),
        pieces=[_pieces(found, files[held], steps[held]) for held in places],
        least_days=config.least_days,
        dropped=weekly.dropped(days, starts, config),
    )


def _chosen(days: Days, config: FieldConfig) -> NDArray[np.bool_]:
    chosen = np.ones(len(days), bool)
    if config.first is not None:
        chosen &= days >= np.datetime64(config.first, "D")
    if config.last is not None:
        chosen &= days <= np.datetime64(config.last, "D")
    return chosen


def _pieces(found: Sequence[Header], files: NDArray[np.intp], steps: NDArray[np.intp]) -> reading.Pieces:
    pairs = zip(files.tolist(), steps.tolist(), strict=True)
    return [(found[file], [step for _, step in held]) for file, held in groupby(pairs, key=lambda pair: pair[0])]


def _reading(
    header: Header,
    ocean: oisst.Ocean | None,
    variable: variables.Variable,
    source: SourceConfig,
    config: FieldConfig,
    least_days: int,
) -> tuple[reading.Reading, Floats, Floats]:
    """What all weeks have in common, and the centres of the field's rows and columns."""
    box = _box(header, config)
    target = _target(header, box, config)
    if isinstance(target, remap.Remap):
        rows, columns = target.rows, target.columns
    else:
        rows, columns = coarsen.centres(box.lat, config.coarsen), coarsen.centres(box.lon, config.coarsen)
    dry = None if ocean is None else ~ocean[np.ix_(box.rows, box.columns)]
    return reading.Reading(source.variable, variable, box, target, dry, source.ice, least_days), rows, columns


def _box(header: Header, config: FieldConfig) -> grid.Box:
    if header.projection is None:
        return grid.select(header.rows, header.columns, config.lat, config.lon)
    if config.lat is not None or config.lon is not None:
        raise ValueError(
            f"field.lat and field.lon choose from a regular grid, but {header.path} has y and x: unset them"
        )
    return grid.Box(np.arange(len(header.rows)), np.arange(len(header.columns)), header.rows, header.columns)


def _target(header: Header, box: grid.Box, config: FieldConfig) -> coarsen.Blocks | remap.Remap:
    if config.cell_size is not None:
        size = config.cell_size * (1 if header.projection is None else 1000)
        return remap.overlaps(box.lat, box.lon, size, config.least_valid_share, header.projection is None)
    # ASSUME: cells of a projected grid count alike within a coarse cell (their areas differ by 0.6 % over 10 km)
    projected = header.projection is not None
    weight = np.ones(len(box.rows)) if projected else grid.cell_area(box.lat, box.lon).values[:, 0]
    return coarsen.divide(weight, len(box.columns), config.coarsen, config.least_valid_share, config.beyond_edge)


def _check_gaps(values: NDArray[np.float32], starts: Days, icy: bool) -> int:
    """Number of valid cells; refused: no valid cell, empty weeks, cells that come and go (POD needs whole series).

    `icy`: cells come and go with the ice, so those that ever lack a value are left out in all weeks, and counted.
    """
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
    whole = held == len(values)
    broken = int((~whole & (held > 0)).sum())
    if broken and not icy:
        week = next(k for k, snapshot in enumerate(values) if np.isnan(snapshot[(held > 0)]).any())
        raise ValueError(
            f"{broken} cell(s) have values in some weeks only (the first such week is {starts[week]}); "
            "POD needs a value in every week: give a mask without them (source.mask), or mend the files"
        )
    if broken:
        LOG.info("%d cells are under ice in some weeks and left out in all (source.ice)", broken)
        values[:, ~whole] = np.nan
    if not whole.any():
        raise ValueError("no cell has a value in every week; raise source.ice or choose another box")
    return int(whole.sum())


def _grid(header: Header, rows: Floats, columns: Floats) -> xr.Dataset:
    """Coordinates, area of the cells and, on a projected grid, their latitudes and longitudes."""
    if header.projection is None:
        made = xr.Dataset({"cell_area": grid.cell_area(rows, columns)}).set_coords("cell_area")
    else:
        down, across = np.meshgrid(rows, columns, indexing="ij")
        lat, lon = header.projection.geographic(down, across)
        area = header.projection.cell_area(rows, columns)
        attributes = {"standard_name": "cell_area", "long_name": "area of the cell on the ellipsoid", "units": "m2"}
        made = xr.Dataset(
            coords={
                "y": rows,
                "x": columns,
                "cell_area": (("y", "x"), area, attributes),
                "lat": (("y", "x"), lat),
                "lon": (("y", "x"), lon),
                MAPPING: ((), np.int32(0), dict(daymet.grid_mapping(header.projection))),
            }
        )
    for name in {"lat", "lon", *header.axes}:
        attributes = AXES[name] if name in header.axes else {k: v for k, v in AXES[name].items() if k != "axis"}
        made[name].attrs.update(attributes)
    return made


def _dataset(
    values: NDArray[np.float32],
    weeks: Weeks,
    segment: NDArray[np.int32],
    variable: variables.Variable,
    cells: xr.Dataset,
) -> xr.Dataset:
    time = weeks.starts.astype("datetime64[ns]")
    bounds = weekly.bounds(weeks.starts, weeks.ends)
    mapping = {"grid_mapping": MAPPING} if MAPPING in cells.coords else {}
    dims = cells["cell_area"].dims
    field = xr.Dataset(
        {
            variable.name: (("time", *dims), values, {**variable.attributes(), **mapping}),
            "time_bounds": (("time", "bounds"), bounds),
            "segment": ("time", segment, {"long_name": "number of the run of consecutive weeks", "units": "1"}),
        },
        coords={
            "time": ("time", time, {"standard_name": "time", "axis": "T", "bounds": "time_bounds"}),
            **cells.coords,
        },
    )
    return field.set_coords(["time_bounds", "segment"])


def _attributes(
    found: Sequence[Header], variable: variables.Variable, source: SourceConfig, config: FieldConfig
) -> dict[str, Any]:
    kind = found[0].data_kind
    what = f"weekly {variable.long_name}"
    names = [header.path.name for header in found]
    listed = ", ".join(names) if len(names) <= SHOWN else f"{names[0]} to {names[-1]} ({len(names)} files)"
    return {
        "data_kind": kind,
        "title": what if kind == "real" else f"synthetic twin of {what}",
        "source": f"{found[0].title}; files {listed}",
        "product": found[0].product,
        "preliminary_files": headers.preliminary(found),
        "ice": "kept as the product has it"
        if source.ice is None
        else f"missing above a concentration of {source.ice:g}",
        "weeks": "52 a year from 1 January" if config.weeks == "of_year" else "running",
    }
