"""Proper orthogonal decomposition by the method of snapshots (Sirovich 1987).

The training field, less its mean, is the matrix X (snapshots n, cells p); W holds the weights of the inner product on
its diagonal. The eigenvectors of the n x n Gram matrix X W X^T = U S^2 U^T give the modes X^T U S^-1, orthonormal
under W. Cost: n^2 p multiplications and n (n + 2 p) doubles of memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from podnas.config import PodConfig

Array = np.ndarray[Any, np.dtype[Any]]
BLOCK = 256  # weeks projected at a time


def fit(field: xr.Dataset, config: PodConfig) -> xr.Dataset:
    """POD basis of the weeks up to `config.train_last`.

    Raises ValueError for a single snapshot, more modes than snapshots, or a mask that changes in time.
    """
    training = field.sel(time=slice(None, str(config.train_last)))
    if training.sizes["time"] < 2:
        raise ValueError(
            f"POD needs at least 2 training snapshots; {training.sizes['time']} week(s) lie before pod.train_last "
            f"{config.train_last} (the field begins {field.time.values[0].astype('datetime64[D]')})"
        )
    ocean = ocean_cells(training.sst)
    weight = _weights(field, ocean, config)
    snapshots = training.sst.values[:, ocean].astype(np.float64)
    mean = snapshots.mean(axis=0)
    snapshots -= mean
    variances, vectors = _eigen(snapshots, weight)
    modes = _number(variances, config, len(snapshots))
    values = _signed((vectors[:, :modes].T @ snapshots) / np.sqrt(variances[:modes, None] * len(snapshots)))
    return _dataset(field, training, ocean, weight, mean, values, variances, config)


def _eigen(snapshots: Array, weight: Array) -> tuple[Array, Array]:
    gram = (snapshots * weight) @ snapshots.T
    eigenvalues, vectors = np.linalg.eigh(gram)
    # removing the mean leaves one eigenvalue that is zero but for rounding
    return np.clip(eigenvalues[::-1], 0, None) / len(snapshots), vectors[:, ::-1]


def _number(variances: Array, config: PodConfig, snapshots: int) -> int:
    total = variances.sum()
    rank = int((variances > total * 1e-12).sum())
    if rank == 0:
        raise ValueError("the training field never changes: it has no modes; check the archive or the period")
    if config.modes is not None and config.modes > min(rank, snapshots - 1):
        raise ValueError(
            f"pod.modes is {config.modes}, but {snapshots} training snapshots hold {rank} modes; "
            f"set pod.modes <= {min(rank, snapshots - 1)} (one is spent on the mean)"
        )
    if config.modes is not None:
        return config.modes
    captured = np.cumsum(variances) / total
    return min(rank, int((captured < config.captured_variance).sum()) + 1)


def _signed(modes: Array) -> Array:
    """Make each mode's largest value positive, so that a basis does not depend on the eigensolver's signs."""
    largest = np.abs(modes).argmax(axis=1)
    signs = np.sign(modes[np.arange(len(modes)), largest])
    signed: Array = modes * signs[:, None]
    return signed


def _weights(field: xr.Dataset, ocean: Array, config: PodConfig) -> Array:
    """Weights of the ocean cells: 1, or the share of the mean cell area, so that units stay degree_Celsius."""
    if config.weights == "none":
        return np.ones(int(ocean.sum()))
    area = field.cell_area.values[ocean].astype(np.float64)
    share: Array = area / area.mean()
    return share


def ocean_cells(sst: xr.DataArray) -> Array:
    """Cells with data in every week, (lat, lon); raises ValueError where a cell has data in some weeks only."""
    valid = np.isfinite(sst.values)
    always: Array = valid.all(axis=0)
    ever = valid.any(axis=0)
    if (always != ever).any():
        lat, lon = np.argwhere(always != ever)[0]
        raise ValueError(
            f"{int((always != ever).sum())} cells have data in some weeks and none in others (first: latitude "
            f"{float(sst.lat[lat])}, longitude {float(sst.lon[lon])}); POD needs one mask: mend the field or raise "
            "field.least_valid_share"
        )
    if not always.any():
        raise ValueError("the field has no ocean cell; choose another box or mask")
    return always


def _dataset(
    field: xr.Dataset,
    training: xr.Dataset,
    ocean: Array,
    weight: Array,
    mean: Array,
    modes: Array,
    variances: Array,
    config: PodConfig,
) -> xr.Dataset:
    number = len(modes)
    spectrum = variances / variances.sum()
    grid = ("lat", "lon")
    return xr.Dataset(
        {
            "mean": (
                grid,
                _unpack(mean, ocean),
                {"units": "degree_Celsius", "long_name": "mean of the training weeks"},
            ),
            "modes": (("mode", *grid), _unpack(modes, ocean), {"units": "1", "long_name": "POD modes"}),
            "weight": (grid, _unpack(weight, ocean), {"units": "1", "long_name": "weights of the inner product"}),
            "cell_area": field.cell_area,
            "variance": ("mode", variances[:number], {"units": "degree_Celsius2"}),
            "spectrum": ("rank", spectrum, {"units": "1", "long_name": "share of the training variance"}),
        },
        {"mode": np.arange(1, number + 1), "rank": np.arange(1, len(spectrum) + 1), "lat": field.lat, "lon": field.lon},
        {
            "data_kind": field.attrs["data_kind"],
            "title": field.attrs.get("title", ""),
            "weights": config.weights,
            "train_first": _day(training.time.values[0]),
            "train_last": _day(training.time.values[-1]),
            "snapshots": training.sizes["time"],
            "captured_variance": float(spectrum[:number].sum()),
        },
    )


def _unpack(values: Array, ocean: Array) -> Array:
    full = np.full((*values.shape[:-1], *ocean.shape), np.nan)
    full[..., ocean] = values
    return full


def _day(time: Any) -> str:
    return str(time.astype("datetime64[D]"))


def project(field: xr.Dataset, basis: xr.Dataset) -> xr.Dataset:
    """Coefficients (time, mode) of every week, and the share of its squared anomaly that the modes leave out."""
    ocean = np.isfinite(basis["mean"].values)
    _check_grid(field, basis, ocean)
    mean, weight = basis["mean"].values[ocean], basis.weight.values[ocean]
    weighted = basis.modes.values[:, ocean] * weight
    coefficients, errors = [], []
    for start in range(0, field.sizes["time"], BLOCK):
        anomaly = field.sst[start : start + BLOCK].values[:, ocean].astype(np.float64) - mean
        found = anomaly @ weighted.T
        energy = (anomaly**2) @ weight
        coefficients.append(found)
        errors.append(np.sqrt(np.clip(energy - (found**2).sum(axis=1), 0, None) / weight.sum()))
    return xr.Dataset(
        {
            "coefficient": (
                ("time", "mode"),
                np.concatenate(coefficients),
                {"units": "degree_Celsius", "long_name": "POD coefficients, training mean removed"},
            ),
            "truncation_rmse": (
                "time",
                np.concatenate(errors),
                {"units": "degree_Celsius", "long_name": "weighted root mean square error of the reconstruction"},
            ),
            "segment": field.segment,
        },
        {"mode": basis.mode, "time": field.time, "time_bounds": field.time_bounds},
        {"data_kind": field.attrs["data_kind"], "title": field.attrs.get("title", "")},
    )


def _check_grid(field: xr.Dataset, basis: xr.Dataset, ocean: Array) -> None:
    if (
        field.sst.shape[1:] != ocean.shape
        or not np.allclose(field.lat, basis.lat)
        or not np.allclose(field.lon, basis.lon)
    ):
        raise ValueError(
            f"the field's grid {field.sst.shape[1:]} is not the basis's grid {ocean.shape}; fit the basis on this field"
        )
    missing = int((~np.isfinite(field.sst.values[:, ocean])).sum())
    if missing:
        raise ValueError(f"{missing} values are missing inside the basis's mask; mend the field or refit the basis")


def reconstruct(coefficients: Array, basis: xr.Dataset) -> Array:
    """Fields (…, lat, lon) in degree_Celsius of coefficients (…, mode); NaN off the mask."""
    modes = basis.modes.values
    flat = coefficients.reshape(-1, modes.shape[0]) @ modes.reshape(modes.shape[0], -1)
    fields: Array = basis["mean"].values + flat.reshape(*coefficients.shape[:-1], *modes.shape[1:])
    return fields


def agreement(ours: xr.Dataset, theirs: xr.Dataset) -> list[float]:
    """|correlation| in time of each of our modes' coefficients with theirs, over the weeks of `theirs`."""
    common = ours.coefficient.reindex(time=theirs.time)
    if bool(common.isnull().any()):
        raise ValueError("the field lacks weeks of the released coefficients; they cannot be compared")
    modes = min(ours.sizes["mode"], theirs.sizes["mode"])
    pairs = [(common.values[:, mode], theirs.coefficient.values[:, mode]) for mode in range(modes)]
    return [abs(float(np.corrcoef(a, b)[0, 1])) for a, b in pairs]
