"""Maps of cells as they are, on a longitude–latitude or a projected grid; land and coast are the data's own gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from podnas import artifacts
from podnas.figures import style

Array = npt.NDArray[np.float64]

WEST_OF_GLOBE = 20.0  # a global map is cut here, through Africa: the Pacific stands whole in the middle
LABELS_INCHES = 0.42  # beside a map
BAR_INCHES = 0.55  # colour bar with its numbers
BAR_WIDTH_INCHES = 0.09
TITLE_INCHES = 0.42  # title and longitudes
GRATICULE: dict[str, Any] = {"colors": "#555555", "linewidths": 0.35, "linestyles": "solid", "alpha": 0.6}
NAME_INSIDE: dict[str, Any] = {"size": 5.5, "va": "top", "ha": "center", "clip_on": True}
NAME_INSIDE |= {"bbox": {"facecolor": "white", "alpha": 0.6, "linewidth": 0, "pad": 0.8}}
CORNER = 0.07  # share of the width of a map at both ends of its upper edge where no name stands
METRES = 1000.0  # in a km
WIDEST_INCHES, HIGHEST_INCHES, LOWEST_INCHES = 4.6, 3.0, 0.9


def prepare(field: xr.DataArray) -> xr.DataArray:
    """Order a field south to north and west to east without a jump; a globe starts at 20°E; y and x are in km."""
    if _is_projected(field):
        field = field.transpose("y", "x").assign_coords({axis: field[axis] / METRES for axis in ("y", "x")})
        return field.sortby(["y", "x"])
    field = field.transpose("lat", "lon").sortby("lat")
    if _is_global(field["lon"].values):
        return field.assign_coords(lon=(field["lon"] - WEST_OF_GLOBE) % 360 + WEST_OF_GLOBE).sortby("lon")
    return field.assign_coords(lon=("lon", np.unwrap(field["lon"].values % 360, period=360))).sortby("lon")


def _is_projected(field: xr.DataArray) -> bool:
    return artifacts.grid_dims(field) == ("y", "x")


def _is_global(lon: npt.NDArray[Any]) -> bool:
    return lon.size > 2 and lon.size * float(np.median(np.abs(np.diff(lon)))) > 359


def edges(centres: npt.NDArray[Any]) -> Array:
    """Borders of cells (n + 1) from their centres (n); a single cell is taken as one degree wide."""
    centres = centres.astype(np.float64)
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate(([2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]))


@dataclass(frozen=True)
class Frame:
    """Borders and shape of a map: of columns (x) and rows (y), in degrees, or on a projected grid in km."""

    x: Array
    y: Array
    projected: bool = False

    @property
    def stretch(self) -> float:
        """Length of a unit of y over one of x: of a degree of latitude over one of longitude, at the middle."""
        if self.projected:
            return 1.0
        return 1 / max(math.cos(math.radians((self.y[0] + self.y[-1]) / 2)), 0.1)

    @property
    def aspect(self) -> float:
        """Width over height as drawn."""
        return float((self.x[-1] - self.x[0]) / (self.y[-1] - self.y[0]) / self.stretch)


def frame(field: xr.DataArray) -> Frame:
    """Frame of a field with coordinates lat and lon, or y and x in m."""
    rows, columns = artifacts.grid_dims(field)
    ready = prepare(field.isel({dim: 0 for dim in field.dims if dim not in (rows, columns)}))
    x, y = edges(ready[columns].values), edges(ready[rows].values)
    return Frame(x, y, projected=True) if _is_projected(field) else Frame(x, np.clip(y, -90, 90))


def draw(axes: Axes, field: xr.DataArray, colours: str | Colormap, norm: Normalize) -> QuadMesh:
    """Draw a field; NaN cells are land: grey, with a line around them. A projected one has a graticule over it."""
    shape, field = frame(field), prepare(field)
    axes.set_facecolor(style.LAND)
    axes.set_aspect(shape.stretch)
    mesh = axes.pcolormesh(shape.x, shape.y, field.values, cmap=colours, norm=norm, rasterized=True)
    axes.add_collection(_coast(shape, np.isfinite(field.values)))
    axes.set(xlim=shape.x[[0, -1]], ylim=shape.y[[0, -1]])
    axes.spines[:].set_visible(True)
    if shape.projected:
        _graticule(axes, field)
        axes.set(xlim=shape.x[[0, -1]], ylim=shape.y[[0, -1]])  # ticks outside have widened them
    else:
        _graduate(axes, shape)
    return mesh


def _coast(shape: Frame, sea: npt.NDArray[np.bool_]) -> LineCollection:
    x, y = shape.x, shape.y
    flat = [((x[j], y[i + 1]), (x[j + 1], y[i + 1])) for i, j in np.argwhere(sea[1:] != sea[:-1])]
    steep = [((x[j + 1], y[i]), (x[j + 1], y[i + 1])) for i, j in np.argwhere(sea[:, 1:] != sea[:, :-1])]
    return LineCollection(flat + steep, colors=style.COAST, linewidths=0.4, capstyle="projecting", label="coast")


def _graduate(axes: Axes, shape: Frame) -> None:
    if shape.x[-1] - shape.x[0] > 300:
        axes.xaxis.set_major_locator(FixedLocator(list(range(60, 361, 60))))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 3, 5, 10], min_n_ticks=2))
    if shape.y[-1] - shape.y[0] > 150:
        axes.yaxis.set_major_locator(FixedLocator([-60, -30, 0, 30, 60]))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 3, 5, 10], min_n_ticks=2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: meridian(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: parallel(value)))


def _graticule(axes: Axes, field: xr.DataArray) -> None:
    """Parallels and meridians; named at the left and the lower edge, parallels that only meet the upper edge there."""
    x, y, lat, lon = (_with_border(values) for values in (field["x"], field["y"], field["lat"], _unwrapped(field)))
    parallels, meridians = (_lines(axes, x, y, *lines) for lines in ((lat, 6), (lon, 9)))
    left, top, bottom = ((edge[0] + edge[1]) / 2 for edge in (lat.T, lat[::-1], lon))
    named = _meetings(left, y, parallels)
    axes.yaxis.set_ticks(list(named.values()), [parallel(level) for level in named])
    above = _meetings(top, x, [level for level in parallels if level not in named])
    room = CORNER * (x[-1] - x[0])
    for level, place in above.items():
        inside = np.clip(place, x[0] + room, x[-1] - room)
        axes.text(inside, 0.985, parallel(level), transform=axes.get_xaxis_transform(), **NAME_INSIDE)
    named = _meetings(bottom, x, meridians)
    axes.xaxis.set_ticks(list(named.values()), [meridian(level) for level in named])


def _lines(axes: Axes, x: Array, y: Array, values: Array, most: int) -> list[float]:
    """Draw lines of about `most` round values; give these."""
    inner = values[1:-1, 1:-1]
    levels = MaxNLocator(most, steps=[1, 1.5, 2, 3, 5, 10]).tick_values(inner.min(), inner.max())
    chosen = levels[(levels > inner.min()) & (levels < inner.max())]
    axes.contour(x, y, values, levels=chosen, **GRATICULE)
    found: list[float] = chosen.tolist()
    return found


def _with_border(values: xr.DataArray) -> Array:
    """Values continued by one cell on all sides, so that contours go to the edge of the map."""
    wide: Array = np.pad(values.values.astype(np.float64), 1, mode="reflect", reflect_type="odd")
    return wide


def _unwrapped(field: xr.DataArray) -> xr.DataArray:
    """Longitudes without a jump: within 180 degrees of the middle cell's."""
    lon = field["lon"]
    middle = float(lon[lon.shape[0] // 2, lon.shape[1] // 2])
    return (lon - middle + 180) % 360 - 180 + middle


def _meetings(edge: Array, places: Array, levels: Sequence[float]) -> dict[float, float]:
    """Level → the first place along an edge where its values reach it; levels that they do not reach are left out."""
    met: dict[float, float] = {}
    for level in levels:
        between = np.flatnonzero((edge[:-1] < level) != (edge[1:] < level))
        if between.size:
            at = between[0]
            share = (level - edge[at]) / (edge[at + 1] - edge[at])
            met[level] = float(places[at] + share * (places[at + 1] - places[at]))
    return met


def meridian(lon_deg: float) -> str:
    """Name of a longitude: 60°E, 180°, 120°W."""
    lon_deg = (lon_deg + 180) % 360 - 180
    if lon_deg in (0, -180):
        return f"{abs(lon_deg):g}°"
    return f"{abs(lon_deg):g}°{'E' if lon_deg > 0 else 'W'}"


def parallel(lat_deg: float) -> str:
    """Name of a latitude: 30°S, 0°, 30°N."""
    return "0°" if lat_deg == 0 else f"{abs(lat_deg):g}°{'N' if lat_deg > 0 else 'S'}"


@dataclass(frozen=True)
class Plan:
    """Rows and columns of equal maps, the size of a map, and that of the figure without its footer (inches)."""

    rows: int
    columns: int
    map_width: float
    map_height: float
    width: float
    height: float

    def worth(self, count: int) -> float:
        """Width of a map, less where places stay empty or the figure is higher than wide."""
        if self.map_width <= 0:
            return self.map_width
        filled = count / (self.rows * self.columns)
        return self.map_width * filled**2 * min(1.0, self.width / self.height)


def plan(count: int, aspect: float, *, columns: tuple[int, ...] = (), bar: bool = True) -> Plan:
    """The arrangement of `count` maps in which they are largest and few places stay empty.

    columns: the numbers of columns to choose from (all); bar: each map has a colour bar of its own.
    """
    plans = [_plan(count, aspect, number, bar) for number in columns or range(1, count + 1)]
    return max(plans, key=lambda plan: plan.worth(count))


def _plan(count: int, aspect: float, columns: int, bar: bool) -> Plan:
    rows = math.ceil(count / columns)
    beside = LABELS_INCHES + (BAR_INCHES if bar else 0)
    # many rows that the caller asks for make the figure longer than a page rather than unreadable
    highest = min(max((style.HIGHEST_INCHES - 0.8) / rows - TITLE_INCHES, LOWEST_INCHES), HIGHEST_INCHES)
    width = min(style.WIDTH_INCHES / columns - beside, highest * aspect, WIDEST_INCHES)
    height = width / aspect
    return Plan(rows, columns, width, height, columns * (width + beside), rows * (height + TITLE_INCHES))


def label_outer(panels: list[Axes], columns: int) -> None:
    """Keep latitudes on the left maps and longitudes on the lowest map of each column."""
    for place, axes in enumerate(panels):
        axes.tick_params(labelleft=place % columns == 0, labelbottom=place + columns >= len(panels))


def symmetric(*fields: xr.DataArray, share: float = 0.995) -> Normalize:
    """A scale centred on 0 that holds that share of the values, its end a round number."""
    values = np.abs(np.concatenate([field.values.ravel() for field in fields]))
    limit = round_up(_quantile(values, share))
    return Normalize(-limit, limit)


def between(*fields: xr.DataArray, share: float = 0.995) -> Normalize:
    """A scale between round numbers that leaves out the lowest and highest 1 - share of the values."""
    values = np.concatenate([field.values.ravel() for field in fields])
    ticks = MaxNLocator(8).tick_values(_quantile(values, 1 - share), _quantile(values, share))
    return Normalize(float(ticks[0]), float(ticks[-1]))


def _quantile(values: npt.NDArray[Any], share: float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if finite.size else 1.0


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 times a power of ten; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(power * next(step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step >= value / power * 0.9999))


def beside(figure: Figure, mesh: QuadMesh, axes: Axes, label: str, plan: Plan) -> None:
    """A colour bar at the right of one map of a plan, as high as the map."""
    shape: Any = {"aspect": plan.map_height / BAR_WIDTH_INCHES, "fraction": BAR_WIDTH_INCHES / plan.map_width}
    bar = figure.colorbar(mesh, ax=axes, extend=_extend([mesh]), label=label, pad=0.02, **shape)
    _finish(bar, 5)


def below(figure: Figure, meshes: Sequence[QuadMesh], panels: list[Axes], label: str) -> None:
    """One colour bar under all maps, which share a scale."""
    bar = figure.colorbar(
        meshes[0], ax=panels, extend=_extend(meshes), label=label, location="bottom", aspect=45, shrink=0.6, pad=0.03
    )
    _finish(bar, 9)


def _extend(meshes: Sequence[QuadMesh]) -> str:
    fields: list[Any] = [mesh.get_array() for mesh in meshes]
    norm: Any = meshes[0].norm
    low = any(field.min() < norm.vmin for field in fields)
    high = any(field.max() > norm.vmax for field in fields)
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((low, high), "neither")


def _finish(bar: Any, ticks: int) -> None:
    bar.outline.set_linewidth(0.5)
    bar.locator = MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10])
    bar.update_ticks()
