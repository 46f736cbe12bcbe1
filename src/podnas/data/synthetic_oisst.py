"""Synthetic daily OISST archives of any length: NCEI's V2.1 files of one day each and PSL's yearly files.

    sst(t, x) = mean(x) + sum_k c_k(t) modes_k(x) + eddies(t, x)

mean, modes and coefficients are those of the bundled weekly table, interpolated to a quarter degree and to days; the
eddies are seeded, stronger where the mean temperature has fronts, and drift through phases of their own. Names,
dimensions, packing, chunks and compression follow published files; the values do not, and every file says so.
A day depends on table, seed and date alone, so days are made in any order and by any number of processes.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from podnas import artifacts
from podnas.data import twin

Floats = NDArray[np.float32]
Packed = NDArray[np.int16]
Days = NDArray[np.datetime64]

DAY_NAME = "oisst-avhrr-v02r01.{:%Y%m%d}{}.nc"
LAT = np.arange(-89.875, 90, 0.25)
LON = np.arange(0.125, 360, 0.25)
FILL = -999
SCALE = 0.01
COLDEST = -1.8  # degree_Celsius, where sea water freezes
NCEI_EPOCH = np.datetime64("1978-01-01", "D")  # noon
PSL_EPOCH = np.datetime64("1800-01-01", "D")
YEAR_DAYS = 365.2425
HARMONICS = 3

# ASSUME: eddies come and go within 30 to 90 days, spectrum falling as wave number^-1.7 below waves of 8 cells ...
EDDIES = 8
EDDY_DAYS = (30.0, 90.0)
EDDY_SLOPE, EDDY_CELLS = 1.7, 8
# ... and are 0.1 degree_Celsius strong in calm water, more by 5 cells' worth of the mean's gradient
CALM, FRONTS = 0.1, 5.0
# ASSUME: a quarter-degree cell is sea where interpolation makes more than this share of it sea
WETTEST_LAND = 0.6
# ASSUME: sea is frozen over from 0.2 below to 1.1 degree_Celsius above the freezing point, linearly
ICE_WARMEST, ICE_RANGE, ICE_LEAST = 1.1, 1.3, 0.15
# ASSUME: files of days before this were reprocessed and carry the older header, as that of 1981 in the archive does
REPROCESSED_BEFORE = np.datetime64("2020-04-01", "D")

PACKING = {"add_offset": np.float32(0), "scale_factor": np.float32(SCALE)}
VARIABLES = {
    "sst": ("Daily sea surface temperature", "Celsius", -300, 4500),
    "anom": ("Daily sea surface temperature anomalies", "Celsius", -1200, 1200),
    "err": ("Estimated error standard deviation of analysed_sst", "Celsius", 0, 1000),
    "ice": ("Sea ice concentration", "%", 0, 100),
}
AXES: dict[str, dict[str, Any]] = {
    "time": {"long_name": "Center time of the day", "units": "days since 1978-01-01 12:00:00"},
    "zlev": {"long_name": "Sea surface height", "units": "meters", "positive": "down", "actual_range": "0, 0"},
    "lat": {
        "long_name": "Latitude",
        "units": "degrees_north",
        "grids": "Uniform grid from -89.875 to 89.875 by 0.25",
    },
    "lon": {"long_name": "Longitude", "units": "degrees_east", "grids": "Uniform grid from 0.125 to 359.875 by 0.25"},
}
NCEI_TITLE = (
    "NOAA/NCEI 1/4 Degree Daily Optimum Interpolation Sea Surface Temperature (OISST) Analysis, Version 2.1 - {}"
)
MADE = "Header, names and packing follow the files that NOAA publishes; the values are made by podnas"
NCEI_ATTRIBUTES: dict[str, Any] = {
    "Conventions": "CF-1.6, ACDD-1.3",
    "references": f"{MADE}.",
    "naming_authority": "gov.noaa.ncei",
    "summary": f"Synthetic, for tests and benchmarks. {MADE}.",
    "cdm_data_type": "Grid",
    "product_version": "Version v02r01",
    "processing_level": "synthetic",
    "institution": "none: synthetic",
    "creator_url": "none: synthetic",
    "creator_email": "none: synthetic",
    "keywords": "Earth Science > Oceans > Ocean Temperature > Sea Surface Temperature",
    "keywords_vocabulary": "Global Change Master Directory (GCMD) Earth Science Keywords",
    "platform": "none: synthetic",
    "platform_vocabulary": "Global Change Master Directory (GCMD) Platform Keywords",
    "instrument": "none: synthetic",
    "instrument_vocabulary": "Global Change Master Directory (GCMD) Instrument Keywords",
    "standard_name_vocabulary": "CF Standard Name Table (v40, 25 January 2017)",
    "geospatial_lat_min": np.float32(-90),
    "geospatial_lat_max": np.float32(90),
    "geospatial_lon_min": np.float32(0),
    "geospatial_lon_max": np.float32(360),
    "geospatial_lat_units": "degrees_north",
    "geospatial_lat_resolution": np.float32(0.25),
    "geospatial_lon_units": "degrees_east",
    "geospatial_lon_resolution": np.float32(0.25),
    "metadata_link": "none: synthetic",
    "ncei_template_version": "NCEI_NetCDF_Grid_Template_v2.0",
    "comment": f"{MADE}.",
    "sensor": "none: synthetic",
    "data_kind": "twin",
}
PSL_TITLES = {
    "v2": "NOAA High-resolution Blended Analysis: Daily Values using AVHRR only",
    "v2.1": "NOAA/NCEI 1/4 Degree Daily Optimum Interpolation Sea Surface Temperature (OISST) Analysis, Version 2.1",
}
PSL_NAMES = {"v2": "sst.day.mean.{}.v2.nc", "v2.1": "sst.day.mean.{}.nc"}
PSL_MISSING = np.float32(-9.96921e36)
PSL_SST: dict[str, Any] = {
    "long_name": "Daily Sea Surface Temperature",
    "units": "degC",
    "valid_range": np.array([-3, 45], "f4"),
    "missing_value": PSL_MISSING,
    "precision": np.float32(2),
    "dataset": "podnas twin of NOAA High-resolution Blended Analysis",
    "var_desc": "Sea Surface Temperature",
    "level_desc": "Surface",
    "statistic": "Mean",
    "parent_stat": "Individual Observations",
}
PSL_TIME = {
    "long_name": "Time",
    "units": "days since 1800-01-01 00:00:00",
    "delta_t": "0000-00-01 00:00:00",
    "avg_period": "0000-00-01 00:00:00",
    "axis": "T",
}


@dataclass(frozen=True)
class Sea:
    """What every day is made of, on the quarter-degree grid (720, 1440), south to north.

    ocean: cells with values; mean, modes (5), eddies (EDDIES) in degree_Celsius over all cells; error: texture of the
    analysis error. centre: middle of each week of the table, days since 1970; coefficients (week, 5); season (7, 5):
    their annual harmonics; period (days) and phase (radians) of each eddy field.
    """

    ocean: NDArray[np.bool_]
    mean: Floats
    modes: Floats
    eddies: Floats
    error: Floats
    centre: NDArray[np.floating[Any]]
    coefficients: NDArray[np.floating[Any]]
    season: NDArray[np.floating[Any]]
    period: NDArray[np.floating[Any]]
    phase: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Day:
    """The four variables of a day as they are packed (720, 1440), in hundredths, FILL where there is none."""

    sst: Packed
    anom: Packed
    err: Packed
    ice: Packed


def sea(table: Path, seed: int) -> Sea:
    """Interpolate the bundled table to a quarter degree and draw the eddies."""
    weekly = twin.read_table(table)
    generator = np.random.default_rng(seed)
    fill = twin.land_filler(weekly.lat, weekly.lon, weekly.ocean)
    mean = _filled(weekly, fill, weekly.mean)
    shore = 0.15 * _texture(generator)
    centre = weekly.start.astype("f8") + 3.5
    return Sea(
        ocean=_quarter(weekly.ocean[::-1].astype("f4")) + shore > WETTEST_LAND,
        mean=mean,
        modes=np.stack([_filled(weekly, fill, mode) for mode in weekly.modes]),
        eddies=np.stack([_texture(generator) for _ in range(EDDIES)]) * _strength(mean),
        error=_texture(generator),
        centre=centre,
        coefficients=weekly.coefficients,
        season=np.linalg.lstsq(_harmonics(centre), weekly.coefficients, rcond=None)[0],
        period=generator.uniform(*EDDY_DAYS, EDDIES),
        phase=generator.uniform(0, 2 * np.pi, EDDIES),
    )


def _filled(weekly: twin.Table, fill: Any, cells: Floats) -> Floats:
    """A field of the ocean cells of the one-degree table, continued over land, on the quarter-degree grid."""
    whole = np.empty(weekly.ocean.shape, "f4")
    whole[weekly.ocean] = cells
    whole[~weekly.ocean] = fill @ cells
    return _quarter(whole[::-1])


def _quarter(degree: Floats) -> Floats:
    """Bilinear interpolation of (180, 360), south to north, to (720, 1440)."""
    wrapped = np.concatenate([degree[:, -1:], degree, degree[:, :1]], axis=1)
    rows = np.clip((LAT + 89.5), 0, 179)
    columns = LON - 0.5 + 1
    fine: Floats = ndimage.map_coordinates(wrapped, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
    return fine


def _texture(generator: np.random.Generator) -> Floats:
    """A random field of unit variance whose amplitude falls with wave number; periodic both ways."""
    shape = (len(LAT), len(LON))
    rows, columns = fft.fftfreq(shape[0]), fft.rfftfreq(shape[1])
    wave = np.hypot(rows[:, np.newaxis], columns) * 2 * np.pi
    largest = 2 * np.pi / (EDDY_CELLS * 8)
    spectrum = fft.rfft2(generator.standard_normal(shape, "f4")) / np.maximum(wave, largest) ** EDDY_SLOPE
    field = fft.irfft2(spectrum, shape).astype("f4")
    unit: Floats = (field - field.mean()) / field.std()
    return unit


def _strength(mean: Floats) -> Floats:
    rows, columns = np.gradient(mean)
    smooth: Floats = ndimage.gaussian_filter(np.hypot(rows, columns), 4, mode=("nearest", "wrap"))
    return CALM + FRONTS * smooth


def _harmonics(day: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    angle = 2 * np.pi * np.atleast_1d(day)[:, np.newaxis] / YEAR_DAYS * np.arange(1, HARMONICS + 1)
    return np.column_stack([np.ones(len(angle)), np.cos(angle), np.sin(angle)])


def day(model: Sea, date: np.datetime64) -> Day:
    """A day's fields.

    Beyond the weeks of the table the coefficients of the same season of its nearest year stand in.
    """
    number = float(date.astype("datetime64[D]").astype("i8")) + 0.5
    season = (_harmonics(np.array(number)) @ model.season)[0]
    departure = _coefficients(model, number) - season
    swing = np.sqrt(2 / EDDIES) * np.cos(2 * np.pi * number / model.period + model.phase)
    anomaly = _combined(departure, model.modes) + _combined(swing, model.eddies)
    raw = model.mean + _combined(season, model.modes) + anomaly
    cover = np.clip((COLDEST + ICE_WARMEST - raw) / ICE_RANGE, 0, 1)
    frozen = model.ocean & (cover >= ICE_LEAST)
    error = 0.15 + 0.015 * _rolled(model.error, number) ** 2 + 0.15 * cover
    return Day(
        sst=_packed(np.maximum(raw, COLDEST), model.ocean),
        anom=_packed(np.maximum(anomaly, COLDEST - raw + anomaly), model.ocean),
        err=_packed(np.clip(error, 0.11, 0.96), model.ocean),
        ice=_packed(cover, frozen),
    )


def _coefficients(model: Sea, number: float) -> NDArray[np.floating[Any]]:
    first, last = model.centre[0], model.centre[-1]
    years = np.ceil(max(first - number, 0) / YEAR_DAYS) - np.ceil(max(number - last, 0) / YEAR_DAYS)
    inside = number + years * YEAR_DAYS
    return np.array([np.interp(inside, model.centre, series) for series in model.coefficients.T])


def _combined(weights: NDArray[np.floating[Any]], fields: Floats) -> Floats:
    return np.tensordot(weights.astype("f4"), fields, axes=1)


def _rolled(field: Floats, number: float) -> Floats:
    """Satellite tracks move on each day."""
    return np.roll(field, int(97 * number) % field.shape[1], axis=1)


def _packed(values: NDArray[np.floating[Any]], where: NDArray[np.bool_]) -> Packed:
    return np.where(where, np.rint(values / SCALE), FILL).astype("i2")


def write_days(
    table: Path, folder: Path, dates: Days, seed: int, workers: int = 1, preliminary: np.datetime64 | None = None
) -> None:
    """Write a file of each date into `folder` as NCEI's archive has them; preliminary ones from `preliminary` on."""
    dates = dates.astype("datetime64[D]")
    early = np.zeros(len(dates), bool) if preliminary is None else dates >= preliminary
    write = partial(_write_day, folder=folder, seed=seed)
    _over_processes(write, list(zip(dates, early.tolist(), strict=True)), (table, seed), workers)


def write_years(
    table: Path, folder: Path, years: Iterable[int], seed: int, workers: int = 1, product: str = "v2"
) -> None:
    """Write yearly files into `folder` as PSL has them: of OISST V2, or of V2.1 (product v2.1)."""
    if product not in PSL_NAMES:
        raise ValueError(f"product is {product!r}; PSL has yearly files of {' and '.join(PSL_NAMES)}")
    write = partial(_write_year, folder=folder, seed=seed, product=product)
    _over_processes(write, list(years), (table, seed), workers)


_MODEL: list[Sea] = []  # of this process


def _begin(table: Path, seed: int) -> None:
    _MODEL[:] = [sea(table, seed)]


def _over_processes(write: Any, tasks: Sequence[Any], model: tuple[Path, int], workers: int) -> None:
    if workers <= 1:
        _begin(*model)
        for task in tasks:
            write(task)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, model) as pool:
        for _ in pool.map(write, tasks, chunksize=1):
            pass


def _write_day(task: tuple[np.datetime64, bool], folder: Path, seed: int) -> None:
    date, early = task
    values = day(_MODEL[0], date)
    path = folder / DAY_NAME.format(date.item(), "_preliminary" if early else "")
    with artifacts.replacing(path) as temporary, netCDF4.Dataset(temporary, "w") as data:
        for name, length in (("time", None), ("zlev", 1), ("lat", len(LAT)), ("lon", len(LON))):
            data.createDimension(name, length)
        older = bool(date < REPROCESSED_BEFORE)
        names = [*AXES, *VARIABLES]
        for name in sorted(names) if older else names:
            _variable(data, name, packed_axes=older)
        data.setncatts(_attributes(path.name, date, early, seed))
        data["time"][:] = (date - NCEI_EPOCH).astype("f4")
        data["zlev"][:], data["lat"][:], data["lon"][:] = 0, LAT, LON
        for name in VARIABLES:
            data[name][0, 0] = getattr(values, name)


def _variable(data: netCDF4.Dataset, name: str, packed_axes: bool) -> None:
    if name in AXES:
        packed = packed_axes or name == "time"
        chunks = (len(data.dimensions[name]) or 1,) if packed else None
        data.createVariable(name, "f4", (name,), zlib=packed, complevel=4, chunksizes=chunks).setncatts(AXES[name])
        return
    long_name, units, least, most = VARIABLES[name]
    shape = (1, 1, len(LAT), len(LON))
    variable = data.createVariable(
        name, "i2", ("time", "zlev", "lat", "lon"), zlib=True, complevel=4, chunksizes=shape, fill_value=FILL
    )
    variable.set_auto_maskandscale(False)
    attributes = {"long_name": long_name, "units": units, **PACKING}
    variable.setncatts(attributes | {"valid_min": np.int16(least), "valid_max": np.int16(most)})


def _attributes(name: str, date: np.datetime64, preliminary: bool, seed: int) -> dict[str, Any]:
    return NCEI_ATTRIBUTES | {
        "title": twin.WARNING + NCEI_TITLE.format("Preliminary" if preliminary else "Final"),
        "source": f"podnas resources/sst_twin.nc and seed {seed} of the eddies",
        "id": name,
        "history": "Preliminary, synthetic." if preliminary else "Final, synthetic.",
        "date_modified": "none: synthetic",
        "date_created": "none: synthetic",
        "time_coverage_start": f"{date}T00:00:00Z",
        "time_coverage_end": f"{date}T23:59:59Z",
    }


def _write_year(year: int, folder: Path, seed: int, product: str) -> None:
    dates = np.datetime64(f"{year}-01-01", "D") + np.arange(365 + calendar.isleap(year))
    with (
        artifacts.replacing(folder / PSL_NAMES[product].format(year)) as temporary,
        netCDF4.Dataset(temporary, "w", format="NETCDF4_CLASSIC") as data,
    ):
        _describe_year(data, seed, product)
        sst = data["sst"]
        least, most = np.inf, -np.inf
        for number, snapshot in enumerate(_snapshots(dates)):
            sst[number] = np.where(snapshot == FILL, PSL_MISSING, snapshot * np.float32(SCALE))
            held = snapshot[snapshot != FILL]
            least, most = min(least, held.min()), max(most, held.max())
        data["time"][:] = (dates - PSL_EPOCH).astype("f8")
        data["time"].actual_range = np.array((dates[[0, -1]] - PSL_EPOCH).astype("f8"))
        sst.actual_range = np.array([least, most], "f4") * np.float32(SCALE)


def _snapshots(dates: Iterable[np.datetime64]) -> Iterator[Packed]:
    return (day(_MODEL[0], date).sst for date in dates)


def _describe_year(data: netCDF4.Dataset, seed: int, product: str) -> None:
    for name, length in (("lat", len(LAT)), ("lon", len(LON)), ("time", None)):
        data.createDimension(name, length)
    for name, values in (("lat", LAT), ("lon", LON)):
        axis = data.createVariable(name, "f4", (name,))
        axis.setncatts(twin.AXES[name] | {"actual_range": values[[0, -1]].astype("f4")})
        axis[:] = values
    chunks = (1, len(LAT), len(LON))
    sst = data.createVariable("sst", "f4", ("time", "lat", "lon"), zlib=True, complevel=2, chunksizes=chunks)
    sst.setncatts(PSL_SST)
    sst.set_auto_maskandscale(False)
    data.createVariable("time", "f8", ("time",), chunksizes=(1,)).setncatts(PSL_TIME)
    data.setncatts(
        {
            "Conventions": "CF-1.5",
            "title": twin.WARNING + PSL_TITLES[product],
            "institution": "none: synthetic",
            "source": f"podnas resources/sst_twin.nc and seed {seed} of the eddies",
            "comment": f"{MADE}.",
            "references": f"{MADE}.",
            "dataset_title": "podnas twin of NOAA Daily Optimum Interpolation Sea Surface Temperature",
            "data_kind": "twin",
        }
    )
