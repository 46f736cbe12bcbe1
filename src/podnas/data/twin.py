"""A twin of PSL's weekly OISST archive: synthetic files with the names, header and packing of the published ones.

    sst(t, x) = mean(x) + sum_k c_k(t) modes_k(x) + residual(t, x)

c are the coefficients that SC20 released, so scores on them are real; mean and modes are estimates, and the residual
is seeded noise. What POD guarantees of a residual in its training period is built in: it is orthogonal to the modes in
space and uncorrelated with the coefficients in time, so POD of the files gives the modes back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, sparse, spatial

from podnas import artifacts
from podnas.data.archive import MASK_FILE, WEEKLY_FILES

Floats = NDArray[np.floating[Any]]

LOG = logging.getLogger(__name__)

TRAINING_WEEKS = 427  # weeks of the first file, on which SC20's basis stands
MISSING = 32767
SCALE = 0.01
EPOCH = np.datetime64("1800-01-01", "D")
BLOCK_WEEKS = 64

# ASSUME: the residual's correlation halves in about two weeks and a half ...
WEEKLY_CORRELATION = 0.75
# ... and reaches about four degrees in space; it is stronger where the modes are
SMOOTHING_CELLS = (2.0, 3.0)
# ASSUME: land is filled from the four nearest ocean cells, by inverse squared distance
NEIGHBOURS = 4

WARNING = "Synthetic twin made by podnas, not an observation: "
SST_ATTRIBUTES = {
    "long_name": "Weekly Mean of Sea Surface Temperature",
    "standard_name": "sea_surface_temperature",
    "units": "degC",
    "unpacked_valid_range": np.array([-5.0, 40.0], "f4"),
    "add_offset": np.float32(0.0),
    "scale_factor": np.float32(SCALE),
    "missing_value": np.int16(MISSING),
    "precision": np.int16(2),
    "dataset": "podnas twin of NOAA Optimum Interpolation (OI) SST V2",
    "var_desc": "Sea Surface Temperature",
    "level_desc": "Surface",
    "statistic": "Weekly Mean",
}
TIME_ATTRIBUTES = {
    "units": "days since 1800-1-1 00:00:00",
    "long_name": "Time",
    "standard_name": "time",
    "axis": "T",
    "bounds": "time_bnds",
    "delta_t": "0000-00-07 00:00:00",
    "avg_period": "0000-00-07 00:00:00",
}
AXES = {
    "lat": {"units": "degrees_north", "long_name": "Latitude", "standard_name": "latitude", "axis": "Y"},
    "lon": {"units": "degrees_east", "long_name": "Longitude", "standard_name": "longitude", "axis": "X"},
}


@dataclass(frozen=True)
class Table:
    """The bundled table: what is real (coefficients, mask, weeks) and what is estimated (mean, modes).

    lat (180), lon (360) in degrees; ocean (180, 360) bool; start (1914) datetime64[D]; coefficients (1914, 5) and
    mean (44219) in degree_Celsius; modes (5, 44219) orthonormal over the ocean cells, unweighted.
    """

    lat: Floats
    lon: Floats
    ocean: NDArray[np.bool_]
    start: NDArray[np.datetime64]
    mean: Floats
    modes: Floats
    coefficients: Floats


def read_table(path: Path) -> Table:
    """Read resources/sst_twin.nc."""
    try:
        with xr.open_dataset(path, engine="netcdf4") as data:
            ocean = data["ocean"].values.astype(bool)
            return Table(
                lat=data["lat"].values,
                lon=data["lon"].values,
                ocean=ocean,
                start=data["time"].values.astype("datetime64[D]"),
                mean=data["mean"].values[ocean].astype("f4"),
                modes=data["modes"].values[:, ocean].astype("f4"),
                coefficients=data["coefficients"].values,
            )
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise artifacts.ArtifactError(
            f"{path} cannot be read ({error}); restore the bundled table with `git checkout -- {path}`"
        ) from error


def write_archive(table: Path, folder: Path, seed: int, captured_variance: float) -> None:
    """Write the two weekly files and lsmask.nc of PSL's archive into `folder`, as a twin.

    The same table and seed give the same numbers; `captured_variance` is the share of the variance of the 427
    training weeks that the five modes hold.
    """
    twin = read_table(table)
    noise = residual(twin, seed, captured_variance)
    LOG.info("residual of %d weeks, standard deviation %.3f degree_Celsius", len(noise), noise[:TRAINING_WEEKS].std())
    fill = land_filler(twin.lat, twin.lon, twin.ocean)
    parts = (slice(0, TRAINING_WEEKS), slice(TRAINING_WEEKS, len(twin.start)))
    for name, weeks in zip(WEEKLY_FILES, parts, strict=True):
        with artifacts.replacing(folder / name) as temporary:
            _write_weeks(temporary, twin, weeks, _filled_blocks(twin, noise, weeks, fill), seed)
    with artifacts.replacing(folder / MASK_FILE) as temporary:
        _write_mask(temporary, twin)
    LOG.info("twin archive written to %s", folder)


def residual(twin: Table, seed: int, captured_variance: float) -> NDArray[np.float32]:
    """What the five modes leave, float32 (week, ocean cell), degree_Celsius."""
    noise = _correlated_noise(twin, seed)
    _decorrelate(noise, twin.coefficients, TRAINING_WEEKS)
    _remove_modes(noise, twin.modes)
    modal = float(twin.coefficients[:TRAINING_WEEKS].var(axis=0).sum())
    training = noise[:TRAINING_WEEKS]
    left = sum(float(training[:, cells].var(axis=0, dtype="f8").sum()) for cells in _blocks(noise.shape[1], 4096))
    noise *= np.float32(np.sqrt(modal * (1 / captured_variance - 1) / left))
    return noise


def _correlated_noise(twin: Table, seed: int) -> NDArray[np.float32]:
    """First-order autoregression of smoothed white noise, as strong as the modes are at each cell."""
    generator = np.random.default_rng(seed)
    spread = np.sqrt(twin.coefficients[:TRAINING_WEEKS].var(axis=0) @ twin.modes.astype("f8") ** 2).astype("f4")
    out = np.empty((len(twin.start), twin.ocean.sum()), "f4")
    state = _smooth_noise(generator, twin.ocean)
    for week in range(len(out)):
        innovation = _smooth_noise(generator, twin.ocean)
        state = WEEKLY_CORRELATION * state + np.float32(np.sqrt(1 - WEEKLY_CORRELATION**2)) * innovation
        out[week] = state * spread
    return out


def _smooth_noise(generator: np.random.Generator, ocean: NDArray[np.bool_]) -> NDArray[np.float32]:
    white = generator.standard_normal(ocean.shape, dtype="f4")
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(white, SMOOTHING_CELLS, mode=("nearest", "wrap"), truncate=3)
    return smooth[ocean]


def _decorrelate(noise: NDArray[np.float32], coefficients: Floats, training: int) -> None:
    """Subtract, in place, the regression on the coefficients and a constant that the training weeks show."""
    columns = np.column_stack([np.ones(len(coefficients)), coefficients])
    weights = np.linalg.pinv(columns[:training])
    for cells in _blocks(noise.shape[1], 4096):
        noise[:, cells] -= columns @ (weights @ noise[:training, cells])


def _remove_modes(noise: NDArray[np.float32], modes: Floats) -> None:
    basis = np.linalg.qr(modes.astype("f8").T)[0]
    for weeks in _blocks(len(noise), BLOCK_WEEKS):
        noise[weeks] -= (noise[weeks] @ basis) @ basis.T


def land_filler(lat: Floats, lon: Floats, ocean: NDArray[np.bool_]) -> sparse.csr_matrix:
    """Matrix (land cell, ocean cell) that interpolates land from the nearest ocean cells; rows sum to one."""
    points = _on_sphere(lat, lon)
    distance, near = spatial.cKDTree(points[ocean.ravel()]).query(points[~ocean.ravel()], k=NEIGHBOURS)
    weight = distance**-2.0
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(near)), NEIGHBOURS)
    shape = (len(near), int(ocean.sum()))
    return sparse.csr_matrix((weight.ravel().astype("f4"), (rows, near.ravel())), shape=shape)


def _on_sphere(lat: Floats, lon: Floats) -> Floats:
    north, east = np.meshgrid(np.radians(lat.astype("f8")), np.radians(lon.astype("f8")), indexing="ij")
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], -1).reshape(-1, 3)


def _filled_blocks(
    twin: Table, noise: NDArray[np.float32], weeks: slice, fill: sparse.csr_matrix
) -> Iterator[NDArray[np.int16]]:
    for block in _blocks(weeks.stop - weeks.start, BLOCK_WEEKS):
        chosen = slice(weeks.start + block.start, weeks.start + block.stop)
        ocean = twin.mean + twin.coefficients[chosen].astype("f4") @ twin.modes + noise[chosen]
        grid = np.empty((len(ocean), *twin.ocean.shape), "f4")
        grid[:, twin.ocean] = ocean
        grid[:, ~twin.ocean] = (fill @ ocean.T).T
        yield np.rint(grid / SCALE).astype("i2")


def _blocks(length: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, length)) for first in range(0, length, size))


def _write_weeks(path: Path, twin: Table, weeks: slice, blocks: Iterator[NDArray[np.int16]], seed: int) -> None:
    days = (twin.start[weeks] - EPOCH).astype("f8")
    with netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC") as data:
        _describe(data, f"seed {seed} of the residual")
        _axes(data, twin)
        data.createDimension("nbnds", 2)
        _variable(data, "time", "f8", ("time",), TIME_ATTRIBUTES)[:] = days
        _variable(data, "time_bnds", "f8", ("time", "nbnds"), {"long_name": "Time Boundaries"})[:] = np.column_stack(
            [days, days + 7]
        )
        sst = data.createVariable(
            "sst", "i2", ("time", "lat", "lon"), zlib=True, complevel=1, chunksizes=(1, 180, 360), fill_value=False
        )
        sst.setncatts(SST_ATTRIBUTES)
        sst.set_auto_maskandscale(False)
        first = 0
        for block in blocks:
            sst[first : first + len(block)] = block
            first += len(block)


def _write_mask(path: Path, twin: Table) -> None:
    """lsmask.nc as PSL serves it: the mask itself is the real one."""
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as data:
        _describe(data, "this land-sea mask is that of NOAA OISST V2, 1 = ocean")
        _axes(data, twin)
        _variable(data, "time", "f8", ("time",), TIME_ATTRIBUTES | {"delta_t": "0000-00-00 00:00:00"})[:] = [66410.0]
        described = {"long_name": "Land Sea Mask", "units": "none", "missing_value": np.int16(32766)}
        mask = _variable(data, "mask", "i2", ("time", "lat", "lon"), described)
        mask[:] = twin.ocean[np.newaxis].astype("i2")


def _describe(data: netCDF4.Dataset, detail: str) -> None:
    data.setncatts(
        {
            "Conventions": "CF-1.0",
            "title": f"{WARNING}twin of NOAA Optimum Interpolation (OI) SST V2",
            "data_kind": "twin",
            "source": "podnas resources/sst_twin.nc: coefficients as released with Maulik et al. 2020, mean and modes "
            f"estimated; {detail}",
            "comments": "Header, names and packing follow the files that NOAA PSL publishes; the values do not.",
        }
    )


def _axes(data: netCDF4.Dataset, twin: Table) -> None:
    data.createDimension("lat", len(twin.lat))
    data.createDimension("lon", len(twin.lon))
    data.createDimension("time", None)
    for name, values in (("lat", twin.lat), ("lon", twin.lon)):
        _variable(data, name, "f4", (name,), AXES[name])[:] = values


def _variable(data: netCDF4.Dataset, name: str, kind: str, dims: tuple[str, ...], attributes: dict[str, Any]) -> Any:
    variable = data.createVariable(name, kind, dims)
    variable.setncatts(attributes)
    return variable
