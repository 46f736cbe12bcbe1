"""Grids: cell areas, boxes and comparison of regular ones, places of the cells of any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Edges = tuple[float, float]

EARTH_RADIUS_M = 6_371_000.0
AREA_ATTRIBUTES = {"standard_name": "cell_area", "long_name": "area of the cell on a sphere", "units": "m2"}
PLURALS = {"lat": "latitudes", "lon": "longitudes"}


@dataclass(frozen=True)
class Box:
    """Rows and columns of a grid, in the order in which they are used, with their coordinates in degrees.

    Across the seam of the grid the columns are not contiguous, and `lon` goes on below zero, so that it increases.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    lat: Floats
    lon: Floats


def select(lat: Floats, lon: Floats, lat_edges: Edges | None, lon_edges: Edges | None) -> Box:
    """Cells whose centres lie in the box [south, north] x [west, east]; None takes all.

    Longitudes may be given from -180 or from 0, whatever the grid uses; a box with west > east, or one that spans the
    seam of the grid, crosses it. ValueError where no cell's centre lies in the box.
    """
    rows = _rows(lat, lat_edges)
    columns, east = _columns(lon, lon_edges)
    if not len(rows) or not len(columns):
        raise ValueError(
            f"the box field.lat {lat_edges}, field.lon {lon_edges} holds no cell of the grid, whose centres span "
            f"{span(lat)} degrees north and {span(lon)} degrees east; change the box"
        )
    return Box(rows=rows, columns=columns, lat=lat[rows], lon=east)


def places(dataset: xr.Dataset) -> tuple[Floats, Floats]:
    """Latitude and longitude of every cell (row, column), on a regular or a projected grid."""
    lat, lon = dataset["lat"].values, dataset["lon"].values
    if lat.ndim == 2:
        return lat, lon
    rows, columns = np.meshgrid(lat, lon, indexing="ij")
    return rows, columns


def inside(lat: Floats, lon: Floats, lat_edges: Edges, lon_edges: Edges) -> NDArray[np.bool_]:
    """Which cells have their centre in the box [south, north] x [west, east]; lat and lon as `places` gives them.

    Longitudes as for `select`. ValueError where no cell's centre lies in the box.
    """
    west, east = lon_edges
    across = np.ones(lon.shape, bool) if east - west >= 360 else np.mod(lon - west, 360) <= np.mod(east - west, 360)
    found: NDArray[np.bool_] = (lat >= lat_edges[0]) & (lat <= lat_edges[1]) & across
    if not found.any():
        raise ValueError(
            f"the box lat {lat_edges}, lon {lon_edges} holds no cell of the grid, whose centres span {lat.min():g} to "
            f"{lat.max():g} degrees north and {lon.min():g} to {lon.max():g} degrees east; change the box"
        )
    return found


def _rows(lat: Floats, edges: Edges | None) -> NDArray[np.intp]:
    if edges is None:
        return np.arange(len(lat))
    south, north = edges
    if south >= north:
        raise ValueError(f"field.lat is {edges}, but its southern edge comes first; give [{north}, {south}]")
    return np.flatnonzero((lat >= south) & (lat <= north))


def _columns(lon: Floats, edges: Edges | None) -> tuple[NDArray[np.intp], Floats]:
    if edges is None or edges[1] - edges[0] >= 360:
        return np.arange(len(lon)), lon
    west, east = edges
    offset = np.mod(lon - west, 360)
    inside = np.flatnonzero(offset <= np.mod(east - west, 360))
    columns = inside[np.argsort(offset[inside])]
    ordered = lon[columns].astype("f8")
    seam = np.flatnonzero(np.diff(ordered) < 0)
    if len(seam):
        ordered[: seam[0] + 1] -= 360
    return columns, ordered


def span(centres: Floats) -> str:
    """The interval that coordinates span, and in how many steps."""
    if not len(centres):
        return "nothing"
    return f"{centres.min():g} to {centres.max():g} ({len(centres)} values)"


def difference(axes: tuple[str, str], centres: Sequence[Floats], others: Sequence[Floats]) -> str | None:
    """How the rows and columns of one grid differ from another's, in words; None where they are the same."""
    for axis, values, other in zip(axes, centres, others, strict=True):
        if np.array_equal(values, other):
            continue
        if len(values) != len(other) or not np.allclose(values, other, rtol=0, atol=1e-3):
            return f"{_axis(values)} {PLURALS.get(axis, axis)} against {_axis(other)}"
    return None


def _axis(values: Floats) -> str:
    return f"{len(values)} ({values[0]:g} to {values[-1]:g})"


def check_regular(name: str, centres: Floats) -> None:
    """Refuse coordinates that are not evenly spaced."""
    steps = np.diff(centres.astype("f8"))
    if len(steps) and not np.allclose(steps, steps.mean(), rtol=0.01, atol=1e-3):
        raise ValueError(
            f"{name} is not evenly spaced (steps of {steps.min():g} to {steps.max():g}); "
            "podnas reads regular grids: regrid the files first"
        )


def cell_area(lat: Floats, lon: Floats) -> xr.DataArray:
    """Area (m2) of each cell of a regular grid, an exact rectangle on a sphere of radius 6,371 km.

    area = R^2 (east - west) (sin(north) - sin(south)), edges half-way between centres.
    """
    south_north = np.abs(np.diff(np.sin(np.radians(np.clip(edges("latitude", lat), -90, 90)))))
    west_east = np.abs(np.diff(np.radians(edges("longitude", lon))))
    area = EARTH_RADIUS_M**2 * np.outer(south_north, west_east)
    return xr.DataArray(area, {"lat": lat, "lon": lon}, ("lat", "lon"), "cell_area", AREA_ATTRIBUTES)


def edges(name: str, centres: Floats) -> Floats:
    """Edges of cells, half-way between centres; `name` of the axis is for the error where there is one centre only."""
    if len(centres) < 2:
        raise ValueError(f"the field has a single {name}, whose cell size is unknown; enlarge the box or coarsen less")
    wide = centres.astype("f8")
    middle = (wide[1:] + wide[:-1]) / 2
    return np.concatenate([[2 * wide[0] - middle[0]], middle, [2 * wide[-1] - middle[-1]]])
