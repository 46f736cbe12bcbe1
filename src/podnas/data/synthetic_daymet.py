"""Synthetic DayMet V4 archives: yearly files on the real 1 km Lambert grid of North America, or on a part of it.

    tmax(t, x) = mean(x) + sum_k c_k(t) modes_k(x) + relief(x) + weather(t, x)

c are DayMet's real POD coefficients (2000-2017) where the data folder has them, a seeded seasonal model elsewhere; the
modes are smooth, seeded and orthonormal over the 10 km land cells; relief and weather are seeded textures of 1 km.
Names, dimensions, chunks, compression, time axis, precision and missing values follow the published files; the values
do not, and every file says so. A cell's value depends on seed, date and place alone: a part of the grid has the
numbers of the whole, and years are made in any order and by any number of processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import netCDF4
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from podnas import artifacts
from podnas.data import twin
from podnas.data.archive import DAYMET_FILE
from podnas.data.daymet_files import real_coefficients, real_mask
from podnas.data.lambert import Lambert

Floats = NDArray[np.float32]
Metres = NDArray[np.float64]
Span = tuple[int, int]

ROWS, COLUMNS = 8075, 7814
WEST_M, NORTH_M, CELL_M = -4_560_250.0, 4_984_000.0, 1000.0  # centre of the first cell
COARSE = 10  # cells of the modes' grid along each side
COARSE_SHAPE = (-(-ROWS // COARSE), -(-COLUMNS // COARSE))
DAYS = 365
FILL = -9999.0
STEP = 0.01  # precision of the published values
EPOCH = np.datetime64("1950-01-01", "D")
REAL_YEARS = (2000, 2017)
MODES = 20

# ASSUME: where the data folder has no mask, land is what the one-degree ocean mask leaves north of 14 degrees
SOUTHERNMOST_DEG = 14.0
# ASSUME: mean tmax falls by .8 degrees C a degree of latitude from 31 at 20 degrees north
WARMEST, LAPSE_LAT = 31.0, 0.8
# ASSUME: the seasonal swing of mode 1 grows towards the north; the others are waves, 200 to 40 coarse cells long
WAVES = (200.0, 40.0)
# ASSUME: without real coefficients, mode 1 swings by 7,000 with the seasons; mode k > 1 has a standard deviation of
# 1,350 k^-.6 and a day-to-day correlation of .75
SWING, STRENGTH, DECAY, DAILY_CORRELATION = 7000.0, 1350.0, 0.6, 0.75
# ASSUME: texture at 1 km, in degrees C: relief stays, weather is another each day; both repeat after TILE cells
TILE, RELIEF, WEATHER, TILE_SLOPE = 1024, 2.5, 0.5, 1.9
# ASSUME: tmin is 11 degrees C below tmax; rain falls where the sum of both textures exceeds .5, 9 mm a unit
NIGHT, RAIN_ABOVE, RAIN_RATE = 11.0, 0.5, 9.0
# ASSUME: days are as long as the centre of the sun is above a level horizon; its declination is a cosine of the season
OBLIQUITY_DEG, DAYS_TO_SOLSTICE, DAY_S = 23.44, 10, 86400.0

PROJECTION = {
    "grid_mapping_name": "lambert_conformal_conic",
    "longitude_of_central_meridian": -100.0,
    "latitude_of_projection_origin": 42.5,
    "false_easting": 0.0,
    "false_northing": 0.0,
    "standard_parallel": np.array([25.0, 60.0]),
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
}
VARIABLES = {
    "tmax": ("daily maximum temperature", "degrees C", "area: mean time: maximum"),
    "tmin": ("daily minimum temperature", "degrees C", "area: mean time: minimum"),
    "prcp": ("daily total precipitation", "mm/day", "area: mean time: sum"),
    "dayl": ("daylength", "s", "area: mean"),
}
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "x": {"long_name": "x coordinate of projection", "standard_name": "projection_x_coordinate"},
    "y": {"long_name": "y coordinate of projection", "standard_name": "projection_y_coordinate"},
    "lat": {"units": "degrees_north", "long_name": "latitude coordinate", "standard_name": "latitude"},
    "lon": {"units": "degrees_east", "long_name": "longitude coordinate", "standard_name": "longitude"},
    "time": {
        "standard_name": "time",
        "calendar": "standard",
        "units": "days since 1950-01-01 00:00:00",
        "bounds": "time_bnds",
        "long_name": "24-hour day based on local time",
    },
    "yearday": {"long_name": "day of year (DOY) starting with day 1 on January 1st"},
}


class Layout(NamedTuple):
    """How values are stored: days, rows and columns of a chunk; whether bytes are shuffled before they are deflated."""

    chunk: tuple[int, int, int]
    shuffle: bool


# the first release, and the files since 2020 (V4 R1)
LAYOUTS = (Layout((1, 1000, 1000), False), Layout((10, 300, 300), True))
LAYOUT_CHANGED = 2020


def layout_of(year: int) -> Layout:
    """How the file of a year is stored."""
    return LAYOUTS[year >= LAYOUT_CHANGED]


@dataclass(frozen=True)
class Part:
    """What a file covers: first and last-plus-one row and column of the 1 km grid, number of days from 1 January."""

    rows: Span = (0, ROWS)
    columns: Span = (0, COLUMNS)
    days: int = DAYS

    def __post_init__(self) -> None:
        for name, (first, end), most in (("rows", self.rows, ROWS), ("columns", self.columns, COLUMNS)):
            if not 0 <= first < end <= most:
                raise ValueError(f"{name} is {(first, end)}; give two increasing numbers from 0 to {most}")
        if not 1 <= self.days <= DAYS:
            raise ValueError(f"days is {self.days}; a DayMet year has 1 to {DAYS}")


@dataclass(frozen=True)
class Land:
    """What every day is made of. Fields on the 10 km grid (808, 782), north to south, degrees C.

    lat: latitude (degrees north); land: share of land; mean; modes (MODES, ...), orthonormal over land cells. relief,
    weather: unit textures of 1 km (TILE, TILE). coefficients: (year, day, mode) of REAL_YEARS, or None.
    """

    seed: int
    lat: Floats
    land: Floats
    mean: Floats
    modes: Floats
    relief: Floats
    weather: Floats
    coefficients: NDArray[np.floating[Any]] | None


def land(table: Path, data_folder: Path | None, seed: int) -> Land:
    """Draw modes and textures; read DayMet's real mask and coefficients where the data folder has them."""
    generator = np.random.default_rng(seed)
    lat, lon = Lambert().geographic(*_centres(_coarse(ROWS), _coarse(COLUMNS)))
    coefficients, mask = real_coefficients(data_folder), real_mask(data_folder)
    wet = _real_mask(mask) if mask else _table_mask(table, lat, lon)
    return Land(
        seed=seed,
        lat=lat.astype("f4"),
        land=wet.astype("f4"),
        mean=(WARMEST - LAPSE_LAT * (lat - 20)).astype("f4"),
        modes=_modes(generator, lat, wet),
        relief=_texture(generator),
        weather=_texture(generator),
        coefficients=_real_coefficients(coefficients) if coefficients else None,
    )


def _coarse(length: int) -> NDArray[np.floating[Any]]:
    """Centres of coarse cells as (fractional) numbers of 1 km cells."""
    return np.arange(-(-length // COARSE)) * COARSE + (COARSE - 1) / 2


def _centres(rows: NDArray[Any], columns: NDArray[Any]) -> tuple[Metres, Metres]:
    """Northing (row, 1) and easting (1, column) in m."""
    north: Metres = NORTH_M - CELL_M * rows[:, np.newaxis].astype("f8")
    east: Metres = WEST_M + CELL_M * columns[np.newaxis, :].astype("f8")
    return north, east


def _real_mask(path: Path) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = np.load(path).reshape(COARSE_SHAPE)
    return mask


def _table_mask(table: Path, lat: NDArray[np.floating[Any]], lon: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    weekly = twin.read_table(table)
    rows, columns = np.floor(90 - lat).astype(int), np.floor(np.mod(lon, 360)).astype(int)
    mask: NDArray[np.bool_] = ~weekly.ocean[rows, columns] & (lat > SOUTHERNMOST_DEG)
    return mask


def _real_coefficients(path: Path) -> NDArray[np.floating[Any]]:
    """Training and test years one after the other, (year, day, mode)."""
    with np.load(path) as held:
        return np.concatenate([held["train"], held["test"]]).reshape(-1, DAYS, MODES)


def _modes(generator: np.random.Generator, lat: NDArray[np.floating[Any]], wet: NDArray[np.bool_]) -> Floats:
    fields = [-np.clip((lat - 10) / 40, 0.1, 1.2)]
    for length in np.geomspace(*WAVES, MODES - 1):
        white = generator.standard_normal(lat.shape, "f4")
        fields.append(ndimage.gaussian_filter(white, length / (2 * np.pi), mode="reflect"))
    shapes = np.stack(fields)
    # columns of R^-1 make the shapes orthonormal over land, and continue them elsewhere
    triangle = np.linalg.qr(shapes[:, wet].T)[1]
    triangle *= np.sign(np.diag(triangle))[:, np.newaxis]
    return np.tensordot(np.linalg.inv(triangle).T, shapes, axes=1).astype("f4")


def _texture(generator: np.random.Generator) -> Floats:
    """A periodic random field of unit variance, its amplitude falling with wave number."""
    wave = np.hypot(fft.fftfreq(TILE)[:, np.newaxis], fft.rfftfreq(TILE))
    spectrum = fft.rfft2(generator.standard_normal((TILE, TILE), "f4")) / np.maximum(wave, 4 / TILE) ** TILE_SLOPE
    field = fft.irfft2(spectrum, (TILE, TILE)).astype("f4")
    unit: Floats = (field - field.mean()) / field.std()
    return unit


def coefficients(model: Land, year: int) -> NDArray[np.floating[Any]]:
    """Daily coefficients of a year (365, MODES); real ones repeat after the last year and before the first."""
    if model.coefficients is not None:
        first, last = REAL_YEARS
        real: NDArray[np.floating[Any]] = model.coefficients[(year - first) % (last - first + 1)]
        return real
    return _seasonal(model.seed, year)


def series(data_folder: Path | None, years: Iterable[int], seed: int) -> NDArray[np.floating[Any]]:
    """Daily coefficients (year, 365, MODES) that the files of these years and this seed are made from.

    Raises ValueError for a year outside REAL_YEARS where the real coefficients are at hand: they would repeat.
    """
    path = real_coefficients(data_folder)
    if path is None:
        return np.stack([_seasonal(seed, year) for year in years])
    known, wanted = range(REAL_YEARS[0], REAL_YEARS[1] + 1), list(years)
    if outside := [year for year in wanted if year not in known]:
        raise ValueError(
            f"{path} has the years {known[0]} to {known[-1]}, not {outside[0]}; choose source.years within them"
        )
    return _real_coefficients(path)[[year - known[0] for year in wanted]]


def _seasonal(seed: int, year: int) -> NDArray[np.floating[Any]]:
    """The seasonal model's coefficients of a year (365, MODES)."""
    generator = np.random.default_rng((seed, year))
    spread = STRENGTH * np.arange(1, MODES + 1) ** -DECAY
    out = np.empty((DAYS, MODES))
    state = generator.standard_normal(MODES)
    for day in range(DAYS):
        state *= DAILY_CORRELATION
        state += np.sqrt(1 - DAILY_CORRELATION**2) * generator.standard_normal(MODES)
        out[day] = spread * state
    out[:, 0] += SWING * np.cos(2 * np.pi * (np.arange(DAYS) - 18) / DAYS)
    return out


def values(model: Land, year: int, day: int, variable: str, part: Part, weights: NDArray[np.floating[Any]]) -> Floats:
    """Values (rows, columns) of a part of a day (0 is 1 January), FILL where there is no land.

    weights: the day's row of `coefficients`.
    """
    rows, columns = np.arange(*part.rows), np.arange(*part.columns)
    relief = _tiled(model.relief, rows, columns)
    generator = np.random.default_rng((model.seed, year, day))
    weather = _tiled(model.weather, rows + generator.integers(TILE), columns + generator.integers(TILE))
    below, above, _ = _between(rows, COARSE_SHAPE[0])
    near = slice(below[0], above[-1] + 1)
    if variable == "prcp":
        field = np.maximum(weather + 0.4 * relief - RAIN_ABOVE, 0) * np.float32(RAIN_RATE)
    elif variable == "dayl":
        field = _finer(day_length(model.lat[near], day), rows, columns, near.start)
    else:
        smooth = model.mean[near] - np.float32(NIGHT if variable == "tmin" else 0)
        for weight, mode in zip(weights.astype("f4"), model.modes, strict=True):  # a product's rounding would differ
            smooth += weight * mode[near]  # between a part and the whole
        field = _finer(smooth, rows, columns, near.start)
        field += np.float32(RELIEF) * relief
        field += np.float32(WEATHER) * weather
    np.rint(field / np.float32(STEP), out=field)
    field *= np.float32(STEP)
    field[_finer(model.land[near], rows, columns, near.start) + np.float32(0.1) * relief <= 0.5] = FILL
    return field


def day_length(lat_deg: Floats, day: int) -> Floats:
    """Seconds of daylight (0 is 1 January) at these latitudes: cos(half the day) = -tan(latitude) tan(declination)."""
    declination = -np.radians(OBLIQUITY_DEG) * np.cos(2 * np.pi * (day + 1 + DAYS_TO_SOLSTICE) / DAYS)
    half = np.arccos(np.clip(-np.tan(np.radians(lat_deg)) * np.tan(declination), -1, 1))
    seconds: Floats = (half * (DAY_S / np.pi)).astype("f4")
    return seconds


def _tiled(tile: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    return tile[np.ix_(rows % TILE, columns % TILE)]


def _finer(coarse: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64], first_row: int) -> Floats:
    """Bilinear interpolation to cells of 1 km; `coarse` begins with row `first_row` of the 10 km grid."""
    low, high, weight = _between(columns, COARSE_SHAPE[1])
    below, above, share = _between(rows, COARSE_SHAPE[0])
    wide = coarse[:, low] * (1 - weight) + coarse[:, high] * weight
    start: Floats = wide[below - first_row]
    fine: Floats = wide[above - first_row]
    fine -= start
    fine *= share[:, np.newaxis]
    fine += start
    return fine


def _between(cells: NDArray[np.int64], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    place = np.clip((cells + 0.5) / COARSE - 0.5, 0, length - 1)
    low = np.minimum(place.astype("i8"), length - 2)
    return low, low + 1, (place - low).astype("f4")


def name(variable: str, year: int) -> str:
    """File name of the archive."""
    return DAYMET_FILE.format(variable=variable, year=year)


def days_of(year: int, count: int = DAYS) -> NDArray[np.datetime64]:
    """The first dates of a year of 365 days: 29 February stays, 31 December of leap years is left out."""
    return np.datetime64(f"{year}-01-01", "D") + np.arange(count)


def write_years(
    table: Path,
    data_folder: Path | None,
    folder: Path,
    years: Iterable[int],
    seed: int,
    variable: str = "tmax",
    part: Part | None = None,
    units: str = "m",
    workers: int = 1,
) -> None:
    """Write a file of each year into `folder`.

    data_folder: where DayMet's real coefficients and mask may lie. units: of x and y, m as in the yearly files, or km
    as in subsets of them.
    """
    if variable not in VARIABLES:
        raise ValueError(f"variable is {variable!r}; synthetic DayMet files hold one of {', '.join(VARIABLES)}")
    if units not in ("m", "km"):
        raise ValueError(f"units is {units!r}; x and y of DayMet files are in m or km")
    write = partial(_write_year, folder=folder, variable=variable, part=part or Part(), units=units)
    model = (table, data_folder, seed)
    if workers <= 1:
        _begin(*model)
        for year in years:
            write(year)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, model) as pool:
        for _ in pool.map(write, years):
            pass


_MODEL: list[Land] = []  # of this process


def _begin(table: Path, data_folder: Path | None, seed: int) -> None:
    _MODEL[:] = [land(table, data_folder, seed)]


def _write_year(year: int, folder: Path, variable: str, part: Part, units: str) -> None:
    model, held = _MODEL[0], layout_of(year)
    with (
        artifacts.replacing(folder / name(variable, year)) as temporary,
        netCDF4.Dataset(temporary, "w", format="NETCDF4_CLASSIC") as data,
    ):
        _describe(data, model, year)
        _axes(data, part, units, held)
        _times(data, days_of(year, part.days))
        stored, series = _stored(data, variable, part, held), coefficients(model, year)
        for days, rows, band in _bands(part, held):
            block = [values(model, year, day, variable, band, series[day]) for day in range(*days)]
            stored[days[0] : days[1], rows[0] : rows[1]] = np.stack(block)


def _bands(part: Part, layout: Layout) -> Iterator[tuple[Span, Span, Part]]:
    """Whole chunks, a row of them at a time: days, rows of the file, and the part of the grid that they cover."""
    for first in range(0, part.days, layout.chunk[0]):
        days = (first, min(first + layout.chunk[0], part.days))
        for row in range(part.rows[0], part.rows[1], layout.chunk[1]):
            rows = (row, min(row + layout.chunk[1], part.rows[1]))
            yield days, (row - part.rows[0], rows[1] - part.rows[0]), Part(rows, part.columns, part.days)


def _describe(data: netCDF4.Dataset, model: Land, year: int) -> None:
    real = "DayMet's real coefficients" if model.coefficients is not None else "a seasonal model of coefficients"
    data.setncatts(
        {
            "start_year": np.int16(year),
            "source": f"{twin.WARNING}{real}, modes and textures of seed {model.seed}",
            "Version_software": "Daymet Software Version 4.0",
            "Version_data": "Daymet Data Version 4.0",
            "Conventions": "CF-1.6",
            "title": f"{twin.WARNING}twin of Daymet Version 4",
            "citation": "Header, names and layout follow the files that ORNL DAAC publishes; the values do not.",
            "references": "Header, names and layout follow the files that ORNL DAAC publishes; the values do not.",
            "data_kind": "twin",
        }
    )


def _axes(data: netCDF4.Dataset, part: Part, units: str, layout: Layout) -> None:
    rows, columns = np.arange(*part.rows), np.arange(*part.columns)
    north, east = _centres(rows, columns)
    for axis, metres in (("x", east.ravel()), ("y", north.ravel())):
        data.createDimension(axis, len(metres))
        variable = data.createVariable(axis, "f4", (axis,))
        variable.setncatts({"units": units, **ATTRIBUTES[axis]})
        variable[:] = metres / (1000 if units == "km" else 1)
    chunk = _fitting(layout.chunk[1:], part)
    fields = [
        data.createVariable(field, "f4", ("y", "x"), zlib=True, complevel=4, shuffle=layout.shuffle, chunksizes=chunk)
        for field in ("lat", "lon")
    ]
    for field in fields:
        field.setncatts(ATTRIBUTES[field.name])
    for first in range(0, len(rows), layout.chunk[1]):
        band = slice(first, first + layout.chunk[1])
        for field, held in zip(fields, Lambert().geographic(north[band], east), strict=True):
            field[band] = held
    data.createVariable("lambert_conformal_conic", "i2", ()).setncatts(PROJECTION)


def _fitting(chunk: tuple[int, ...], part: Part) -> tuple[int, ...]:
    return tuple(min(size, end - first) for size, (first, end) in zip(chunk, (part.rows, part.columns), strict=True))


def _times(data: netCDF4.Dataset, dates: NDArray[np.datetime64]) -> None:
    data.createDimension("time", None)
    data.createDimension("nv", 2)
    kinds = {"time": ("f4", ("time",)), "yearday": ("i2", ("time",)), "time_bnds": ("f4", ("time", "nv"))}
    for field, (kind, dims) in kinds.items():
        data.createVariable(field, kind, dims).setncatts(ATTRIBUTES.get(field, {}))
    begin = (dates - EPOCH).astype("f8")
    data["time"][:] = begin + 0.5
    data["yearday"][:] = np.arange(1, len(dates) + 1)
    data["time_bnds"][:] = np.column_stack([begin, begin + 1])


def _stored(data: netCDF4.Dataset, variable: str, part: Part, layout: Layout) -> Any:
    long_name, units, methods = VARIABLES[variable]
    stored = data.createVariable(
        variable,
        "f4",
        ("time", "y", "x"),
        zlib=True,
        complevel=4,
        shuffle=layout.shuffle,
        chunksizes=(layout.chunk[0], *_fitting(layout.chunk[1:], part)),
        fill_value=np.float32(FILL),
    )
    stored.setncatts(
        {
            "long_name": long_name,
            "units": units,
            "missing_value": np.float32(FILL),
            "coordinates": "lat lon",
            "grid_mapping": "lambert_conformal_conic",
            "cell_methods": methods,
        }
    )
    stored.set_auto_maskandscale(False)
    return stored
