"""The formats of everything that passes between rooms, written and read here and nowhere else.

Fields, bases, coefficients, windows and forecasts are CF netCDF; trials and scores are Parquet; the rest is JSON.
Everything is written under a temporary name, flushed to disk and renamed, so a reader sees a whole file or none.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import xarray as xr  # with dask and netCDF4 most of a second, which what only plans jobs need not wait for

Value = TypeVar("Value")

CONVENTIONS = "CF-1.11"
EPOCH = "days since 1981-01-01"
COMPRESSION = {"zlib": True, "complevel": 1, "shuffle": True}
WEEKS_A_CHUNK, CELLS_A_CHUNK = 52, 64  # of a field that is written lazily: weeks, and cells along each side
CACHE_BYTES = 2**20  # of decompressed chunks that HDF5 keeps for each variable of an open file, instead of 64 MB
OPEN_FILES = 4

GRIDS = (("lat", "lon"), ("y", "x"))  # a regular grid, or a projected one, whose lat and lon are two-dimensional
TIMES = ("time", "init_time")  # the dimension of a field that is none of its grid's
# layouts on a grid are written for a regular one; on a projected one, y and x stand in the place of lat and lon
BASIS = {
    "mean": ("lat", "lon"),
    "modes": ("mode", "lat", "lon"),
    "weight": ("lat", "lon"),
    "cell_area": ("lat", "lon"),
    "variance": ("mode",),
    "spectrum": ("rank",),
}
TWIN_TABLE = {"coefficients": ("time", "mode"), "mean": ("lat", "lon"), "modes": ("mode", "lat", "lon")}
TWIN_TABLE |= {"ocean": ("lat", "lon")}
COEFFICIENTS = {"coefficient": ("time", "mode"), "segment": ("time",)}
INPUTS = {
    "input": ("init_time", "step", "mode"),
    "input_centre": ("init_time", "step"),
    "target_centre": ("init_time", "lead"),
    "valid_time": ("init_time", "lead"),
}
TARGETS = {"target": ("init_time", "lead", "mode"), "valid_time": ("init_time", "lead")}
TRAINING = {
    **INPUTS,
    **TARGETS,
    "series": ("time", "mode"),
    "segment": ("time",),
    "offset": ("mode",),
    "scale": ("mode",),
}
PREDICTION = {"forecast": ("init_time", "lead", "mode"), "valid_time": ("init_time", "lead"), "period": ("init_time",)}
HELD_OUT = {"forecast": ("init_time", "lead", "mode"), "block": ("init_time",)}
FORECAST = {"forecast": ("init_time", "lead", "mode"), "truth": ("init_time", "lead", "mode")}
TRANSFER = {
    "forecast": ("group", "replicate", "member", "init_time", "lead", "mode"),
    "valid_time": ("init_time", "lead"),
}
TRANSFER_VALIDATION = {
    "forecast": ("group", "replicate", "init_time", "lead", "mode"),
    "baseline": ("method", "init_time", "lead", "mode"),
    "truth": ("init_time", "lead", "mode"),
}
LEAKAGE = {
    "forecast": ("variant", "network", "init_time", "lead", "mode"),
    "baseline": ("method", "init_time", "lead", "mode"),
    "valid_time": ("init_time", "lead"),
    "offset": ("mode",),
    "scale": ("mode",),
}
MIXTURE = {
    "input": ("init_time", "step", "mode"),
    "input_centre": ("init_time", "step"),
    "target_centre": ("init_time", "lead"),
    "mean": ("member", "init_time", "lead", "mode"),
    "sigma": ("member", "init_time", "lead", "mode"),
    "weight": ("member",),
    "baseline_mean": ("method", "init_time", "lead", "mode"),
    "baseline_sigma": ("method", "lead", "mode"),
    "valid_time": ("init_time", "lead"),
}
POOL = {
    "held_mean": ("member", "held_time", "lead", "mode"),
    "held_sigma": ("member", "held_time", "lead", "mode"),
    "block": ("held_time",),
    "mean": ("member", "network", "init_time", "lead", "mode"),
    "sigma": ("member", "network", "init_time", "lead", "mode"),
    "valid_time": ("init_time", "lead"),
}
PROBABILISTIC = {
    "mean": ("member", "init_time", "lead", "mode"),
    "sigma": ("member", "init_time", "lead", "mode"),
    "weight": ("member",),
    "aleatoric": ("init_time", "lead", "mode"),
    "epistemic": ("init_time", "lead", "mode"),
    "correlation": ("lead", "mode", "other_mode"),
    "valid_time": ("init_time", "lead"),
    "offset": ("mode",),
    "scale": ("mode",),
}
FAN = {
    "quantile": ("level", "init_time", "lead", "mode"),
    **dict.fromkeys(("truth", "climatology"), ("init_time", "lead", "mode")),
}
SPREAD_MAPS = {"sigma": ("part", "lat", "lon"), "rmse": ("lat", "lon"), "truncation": ("season", "lat", "lon")}
MAPS = {"rmse": ("method", "lat", "lon")}
UNITS = {
    "sst": "degree_Celsius",
    "tmax": "degree_Celsius",
    "tmin": "degree_Celsius",
    "prcp": "mm day-1",
    "vp": "Pa",
    "srad": "W m-2",
    "dayl": "s",
    "swe": "kg m-2",
    "cell_area": "m2",
}
RECORD = "record"  # what arrays are, beside them
COUNTED = ("step",)  # dimensions whose place is their only coordinate


class ArtifactError(ValueError):
    """A file that is missing, damaged or not what its reader needs; says which, what and how to mend it."""


def check_writable(folder: Path) -> None:
    """Raise ArtifactError where a folder is not one, or cannot be made or written."""
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not nearest.is_dir():
        raise ArtifactError(f"{folder} cannot be a folder: {nearest} is a file; move it away")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ArtifactError(f"{folder} cannot be written: {nearest} is read-only; make it writable or run elsewhere")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it to disk and rename it, on failure remove it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{path.parent} cannot be made ({error.strerror}); choose a writable folder") from error
    # the ending stays last: writers choose the format by it. No process number: what a killed job left is replaced
    temporary = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # the netCDF library raises RuntimeError where the disk is full
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(
            f"{path} cannot be written ({reason}); make the folder writable, free disk space, rerun"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON; NaN and infinity are refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON."""
    return _read(path, lambda: json.loads(path.read_text(encoding="utf-8")))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write Parquet."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """Read Parquet."""
    return _read(path, lambda: pd.read_parquet(path))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]], record: Mapping[str, Any]) -> None:
    """Write named arrays (NumPy's .npz, without objects) with a record (JSON) of what they are."""
    with replacing(path) as temporary:
        np.savez(temporary, allow_pickle=False, **{RECORD: np.asarray(json.dumps(record))}, **arrays)


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """The record and the arrays that `write_arrays` wrote."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        record: dict[str, Any] = json.loads(str(arrays.pop(RECORD)))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); remove it and start again") from error
    return record, arrays


def write_field(path: Path, field: xr.Dataset) -> None:
    """Write a weekly field: one variable (time, lat, lon) or (time, y, x), NaN off the mask; cell_area (m2); segment.

    Units: UNITS. On a projected grid y and x are in m, and lat and lon are coordinates (y, x). Values may be lazy
    (dask): they are then computed and written chunk by chunk, into chunks of a year at most.
    """
    _write_netcdf(path, field, _field_layout(field))


def read_field(path: Path) -> xr.Dataset:
    """Read what `write_field` wrote."""
    import xarray as xr

    field = _read(path, lambda: xr.load_dataset(path, engine="netcdf4"))
    _check(path, field, _field_layout(field))
    return field


def field_name(field: xr.Dataset) -> str:
    """Name of the variable of a field, or of a forecast of one: sst, tmax, …"""
    names = [str(name) for name, held in field.data_vars.items() if held.ndim == 3 and held.dims[0] in TIMES]
    return names[0] if names else "sst"


def grid_dims(dataset: xr.Dataset | xr.DataArray) -> tuple[str, str]:
    """Names of the rows and columns of a field, a basis or maps: ('lat', 'lon') or ('y', 'x')."""
    return next((dims for dims in GRIDS if set(dims) <= set(dataset.dims)), GRIDS[0])


def grid_coords(dataset: xr.Dataset) -> dict[str, xr.DataArray]:
    """Coordinates of the cells: rows and columns, on a projected grid latitudes, longitudes and the projection, too."""
    dims = set(grid_dims(dataset))
    return {
        str(name): held.load()
        for name, held in dataset.coords.items()
        if set(held.dims) <= dims and name != "cell_area"
    }


def _on_grid(layout: Mapping[str, tuple[str, ...]], dataset: xr.Dataset) -> dict[str, tuple[str, ...]]:
    """A layout with the dimensions of this dataset's grid."""
    own = dict(zip(GRIDS[0], grid_dims(dataset), strict=True))
    return {name: tuple(own.get(dim, dim) for dim in dims) for name, dims in layout.items()}


def _field_layout(field: xr.Dataset) -> dict[str, tuple[str, ...]]:
    grid = grid_dims(field)
    return {field_name(field): ("time", *grid), "cell_area": grid, "segment": ("time",)}


def open_field(path: Path) -> xr.Dataset:
    """Open what `write_field` wrote without loading it: values are read where they are used, and not kept."""
    import xarray as xr

    def opened() -> xr.Dataset:
        return xr.open_dataset(path, engine="netcdf4", mask_and_scale=False, cache=False)

    field = _read(path, opened)
    _check(path, field, _field_layout(field))
    name = field_name(field)
    packed = [key for key in ("scale_factor", "add_offset") if key in field[name].attrs]
    if packed or np.isfinite(field[name].attrs.get("_FillValue", np.nan)):
        raise ArtifactError(f"{path}: {name} is packed or has a number for gaps, not NaN; write it by write_field")
    for held in field.variables.values():
        held.attrs.pop("_FillValue", None)
    return field


@contextmanager
def streaming() -> Iterator[None]:
    """Files that are opened meanwhile are read once, in order: small caches, few of them open, one chunk at a time.

    So that memory does not grow with the number of files. For this process alone; put back at the end.
    """
    import dask
    import netCDF4
    import xarray as xr

    before = netCDF4.get_chunk_cache()
    netCDF4.set_chunk_cache(CACHE_BYTES, *before[1:])
    try:
        few = xr.set_options(file_cache_maxsize=OPEN_FILES)  # type: ignore[no-untyped-call]
        with few, dask.config.set(scheduler="synchronous"):
            yield
    finally:
        netCDF4.set_chunk_cache(*before)


def write_basis(path: Path, basis: xr.Dataset) -> None:
    """Write a POD basis: mean, modes (orthonormal under weight), variance by mode, spectrum of the snapshots.

    The attribute `variable` names the variable of its field; mean and variance are in that variable's units.
    """
    _write_netcdf(path, basis, BASIS)


def read_basis(path: Path) -> xr.Dataset:
    """Read what `write_basis` wrote."""
    return _read_netcdf(path, BASIS)


def write_coefficients(path: Path, coefficients: xr.Dataset) -> None:
    """Write POD coefficients (time, mode); time is the start of the week."""
    _write_netcdf(path, coefficients, COEFFICIENTS)


def read_coefficients(path: Path) -> xr.Dataset:
    """Read what `write_coefficients` wrote."""
    return _read_netcdf(path, COEFFICIENTS)


def read_twin_table(path: Path) -> xr.Dataset:
    """Read resources/sst_twin.nc: released coefficients, estimated mean and modes, ocean mask."""
    return _read_netcdf(path, TWIN_TABLE)


def write_windows(path: Path, windows: xr.Dataset, kind: Mapping[str, tuple[str, ...]]) -> None:
    """Write windows of one kind: TRAINING (inputs, targets, series, scaler), INPUTS or TARGETS."""
    _write_netcdf(path, windows, kind)


def read_windows(path: Path, kind: Mapping[str, tuple[str, ...]]) -> xr.Dataset:
    """Read what `write_windows` wrote."""
    return _read_netcdf(path, kind)


def write_prediction(path: Path, prediction: xr.Dataset) -> None:
    """Write a method's forecasts of training and test windows (period 0 and 1), without truth."""
    _write_netcdf(path, prediction, PREDICTION)


def read_prediction(path: Path) -> xr.Dataset:
    """Read what `write_prediction` wrote."""
    return _read_netcdf(path, PREDICTION)


def write_held_out(path: Path, forecasts: xr.Dataset) -> None:
    """Write forecasts of the training period's held-out blocks, each by networks that held it out, without truth."""
    _write_netcdf(path, forecasts, HELD_OUT)


def read_held_out(path: Path) -> xr.Dataset:
    """Read what `write_held_out` wrote."""
    return _read_netcdf(path, HELD_OUT)


def write_forecast(path: Path, forecast: xr.Dataset) -> None:
    """Write test forecasts and truth (init_time, lead, mode) in the units of the coefficients."""
    _write_netcdf(path, forecast, FORECAST)


def read_forecast(path: Path) -> xr.Dataset:
    """Read what `write_forecast` wrote."""
    return _read_netcdf(path, FORECAST)


def write_transfer(path: Path, forecasts: xr.Dataset) -> None:
    """Write test forecasts, without truth, of the networks of a transfer study: by group, seed and member."""
    _write_netcdf(path, forecasts, TRANSFER)


def read_transfer(path: Path) -> xr.Dataset:
    """Read what `write_transfer` wrote."""
    return _read_netcdf(path, TRANSFER)


def write_transfer_validation(path: Path, forecasts: xr.Dataset) -> None:
    """Write forecasts of held-out blocks of the training period: by group and seed, by baseline, and the truth."""
    _write_netcdf(path, forecasts, TRANSFER_VALIDATION)


def read_transfer_validation(path: Path) -> xr.Dataset:
    """Read what `write_transfer_validation` wrote."""
    return _read_netcdf(path, TRANSFER_VALIDATION)


def write_leakage(path: Path, forecasts: xr.Dataset) -> None:
    """Write test forecasts, without truth, of the leakage laboratory: by variant of the protocol and network.

    Beside them those of baselines, and the scaler, of the clean protocol.
    """
    _write_netcdf(path, forecasts, LEAKAGE)


def read_leakage(path: Path) -> xr.Dataset:
    """Read what `write_leakage` wrote."""
    return _read_netcdf(path, LEAKAGE)


def write_mixture(path: Path, forecasts: xr.Dataset) -> None:
    """Write Gaussian mixtures (mean and sigma of each member, weights) and Gaussian baselines, without truth."""
    _write_netcdf(path, forecasts, MIXTURE)


def read_mixture(path: Path) -> xr.Dataset:
    """Read what `write_mixture` wrote."""
    return _read_netcdf(path, MIXTURE)


def write_pool(path: Path, pool: xr.Dataset) -> None:
    """Write standardised Gaussian forecasts of candidates: of held-out blocks, and of test windows by each network."""
    _write_netcdf(path, pool, POOL)


def read_pool(path: Path) -> xr.Dataset:
    """Read what `write_pool` wrote; a member whose forecast is not finite, or has no spread, is refused by name."""
    pool = _read_netcdf(path, POOL)
    for mean, sigma in (("held_mean", "held_sigma"), ("mean", "sigma")):
        _check_gaussians(path, pool[mean], pool[sigma])
    return pool


def write_probabilistic(path: Path, forecast: xr.Dataset) -> None:
    """Write a mixture of Gaussians for each test window, in the units of the coefficients, and its variance's parts."""
    _write_netcdf(path, forecast, PROBABILISTIC)


def read_probabilistic(path: Path) -> xr.Dataset:
    """Read what `write_probabilistic` wrote; weights that are none, and Gaussians that are none, are refused."""
    forecast = _read_netcdf(path, PROBABILISTIC)
    _check_gaussians(path, forecast["mean"], forecast["sigma"])
    weight = forecast["weight"].values
    if (weight < 0).any() or abs(weight.sum() - 1) > 1e-6:
        raise ArtifactError(
            f"{path}: weights are {weight[:5]} …, with sum {weight.sum():g}; they must be ≥ 0 and sum to 1: "
            f"{_remedy(path)}"
        )
    return forecast


def _check_gaussians(path: Path, mean: xr.DataArray, sigma: xr.DataArray) -> None:
    for name in mean.member.values:
        values, spread = mean.sel(member=name).values, sigma.sel(member=name).values
        bad = int((~np.isfinite(values)).sum() + (~np.isfinite(spread)).sum())
        if bad:
            raise ArtifactError(f"{path}: member {name} has {bad} values that are not finite; {_remedy(path)}")
        if spread.min() <= 0:
            raise ArtifactError(
                f"{path}: member {name} has sigma {spread.min():g}, and a Gaussian forecast needs one above 0; "
                f"{_remedy(path)}"
            )


def write_fan(path: Path, fan: xr.Dataset) -> None:
    """Write quantiles of a forecast, what came and the climatology, in the units of the coefficients."""
    _write_netcdf(path, fan, FAN)


def read_fan(path: Path) -> xr.Dataset:
    """Read what `write_fan` wrote."""
    return _read_netcdf(path, FAN)


def write_spread_maps(path: Path, maps: xr.Dataset) -> None:
    """Write standard deviations of a forecast field by their parts, the actual error, and truncation by season."""
    _write_netcdf(path, maps, SPREAD_MAPS)


def read_spread_maps(path: Path) -> xr.Dataset:
    """Read what `write_spread_maps` wrote."""
    return _read_netcdf(path, SPREAD_MAPS)


def write_forecast_field(path: Path, field: xr.Dataset) -> None:
    """Write forecasts of one lead as fields: one variable (init_time, lat, lon) or (init_time, y, x)."""
    _write_netcdf(path, field, {field_name(field): ("init_time", *grid_dims(field))})


def write_maps(path: Path, maps: xr.Dataset) -> None:
    """Write what the figures in physical space draw: RMSE maps, event weeks, probes."""
    _write_netcdf(path, maps, MAPS)


def read_maps(path: Path) -> xr.Dataset:
    """Read what `write_maps` wrote."""
    return _read_netcdf(path, MAPS)


def _write_netcdf(path: Path, dataset: xr.Dataset, layout: Mapping[str, tuple[str, ...]]) -> None:
    _check(path, dataset, layout)
    dataset = dataset.assign_attrs(Conventions=CONVENTIONS)
    with replacing(path) as temporary:
        dataset.to_netcdf(temporary, encoding=_encodings(dataset), engine="netcdf4")


def _encodings(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    encodings: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        if np.issubdtype(variable.dtype, np.datetime64):
            encodings[str(name)] = {"units": EPOCH, "dtype": "float64", "_FillValue": None}
        elif np.issubdtype(variable.dtype, np.floating):
            chunked = {**COMPRESSION, **_chunks(variable)} if variable.ndim > 1 else {}
            encodings[str(name)] = {**chunked, "dtype": str(variable.dtype)}
    return encodings


def _chunks(variable: xr.Variable) -> dict[str, tuple[int, ...]]:
    """Chunks of lazy values, so that each is written from one or two of them; the library's own choice for others."""
    if variable.chunks is None or variable.ndim != 3 or variable.dims[0] not in TIMES:
        return {}
    sizes = zip(variable.shape, (WEEKS_A_CHUNK, CELLS_A_CHUNK, CELLS_A_CHUNK), strict=True)
    return {"chunksizes": tuple(min(pair) for pair in sizes)}


def _read_netcdf(path: Path, layout: Mapping[str, tuple[str, ...]]) -> xr.Dataset:
    import xarray as xr

    dataset = _read(path, lambda: xr.load_dataset(path, engine="netcdf4"))
    _check(path, dataset, layout)
    return dataset


def _read(path: Path, reader: Callable[[], Value]) -> Value:
    if not path.exists():
        remedy = f"run `snakemake -c2 {path}` to make it" if _made_by_a_rule(path) else "check the path"
        raise ArtifactError(f"{path} does not exist; {remedy}")
    try:
        return reader()
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); {_remedy(path)}") from error


def _made_by_a_rule(path: Path) -> bool:
    """Whether the file can be made anew: rules name theirs from results/ on. Any other may be somebody's only one."""
    return path.parts[:1] == ("results",)


def _remedy(path: Path) -> str:
    if _made_by_a_rule(path):
        return "delete it and rerun to make it anew"
    return "check the path, or get the file again from where it came"


def _check(path: Path, dataset: xr.Dataset, layout: Mapping[str, tuple[str, ...]]) -> None:
    for name, dims in _on_grid(layout, dataset).items():
        if name not in dataset.variables:
            raise ArtifactError(f"{path} has no variable {name}; {_remedy(path)}")
        if dataset[name].dims != dims:
            raise ArtifactError(f"{path}: {name} has dimensions {dataset[name].dims}, not {dims}; {_remedy(path)}")
        units = dataset[name].attrs.get("units")
        if units != UNITS.get(name, units):
            raise ArtifactError(f"{path}: {name} is in {units}, not in {UNITS[name]}; convert it where it is made")
        bare = [dim for dim in dims if dim not in dataset.coords and dim not in COUNTED]
        if bare:
            raise ArtifactError(f"{path}: {name} has no coordinates for {bare}; {_remedy(path)}")
