"""Proper orthogonal decomposition by the method of snapshots (Sirovich 1987), in bounded memory.

The training field, less its mean, is the matrix X (snapshots n, cells p); W holds the weights of the inner product on
its diagonal. The eigenvectors of the n x n Gram matrix X W X^T = U S^2 U^T give the modes X^T U S^-1, orthonormal
under W. The Gram matrix is summed over tiles of cells in one pass, the modes come in a second, coefficients in a third,
so that a field on disk is never held whole. A field that fits into the memory bound is one tile, kept for the second
pass. Cost: n^2 p multiply-adds (half of a general product). Memory: the Gram matrix (8 n^2 bytes), the modes, and
pod.memory_gb. Where a field in one tile has many snapshots and `pod.modes` are asked for, iteration finds the leading
ranks at a fraction of the cost, without the Gram matrix (`krylov.leading`).
"""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from podnas import artifacts
from podnas.config import PodConfig
from podnas.data import variables
from podnas.reduction import cluster, gram, krylov
from podnas.reduction.snapshots import GB, Array, Field, Snapshots, Tile, of, rewritten

if TYPE_CHECKING:
    from distributed import Client

RESOLVED = {"float64": 1e-12, "float32": 1e-7}  # share of the variance above which an eigenvalue is none of rounding
SHOWN = 20  # ranks of the spectrum of many snapshots
PROJECTED = 2**22  # values projected at a time: some 100 MB


def fit(field: Field, config: PodConfig, client: Client | None = None, scratch: Path | None = None) -> xr.Dataset:
    """POD basis of the snapshots up to `config.train_last`.

    field: one dataset, or several that follow one another in time; in memory or opened by `artifacts.open_field`.
    client: a dask cluster that shares the work. scratch: folder for a copy of a field whose chunks are longer in space
    than the memory bound allows (`snapshots.rewritten`); on a cluster all workers must reach it.
    The spectrum has all ranks of up to 1,500 snapshots, else the leading ones. Raises ValueError for a single snapshot,
    more modes than snapshots, a mask that changes in time, or a memory bound that is too small.
    """
    fields = [field] if isinstance(field, xr.Dataset) else list(field)
    training = of(fields).until(str(config.train_last))
    if training.count < 2:
        raise ValueError(
            f"POD needs at least 2 training snapshots; {training.count} week(s) lie before pod.train_last "
            f"{config.train_last} (the field begins {_day(fields[0].time.values[0])})"
        )
    with ExitStack() as stack:
        training, tiles = _tiles(training, config, client, scratch, stack)
        found = _decompose(training, tiles, _area(fields[0], config), config, client)
    return _dataset(fields[0], training, found, config)


def _tiles(
    training: Snapshots, config: PodConfig, client: Client | None, scratch: Path | None, stack: ExitStack
) -> tuple[Snapshots, list[Tile]]:
    """Tiles within the memory bound, of the training snapshots or of a copy of them; the stack removes the copy."""
    memory = int(config.memory_gb * GB)
    products = gram.work_bytes(training.count)
    cell = training.count * (training.cell_bytes + np.dtype(config.precision).itemsize)
    cells = (memory - products) // cell
    if cells < 1:
        raise ValueError(
            f"pod.memory_gb is {config.memory_gb}, but the products of {training.count} snapshots take "
            f"{(products + cell) / GB:.3g} GB; set pod.memory_gb >= {2 * (products + cell) / GB:.2g}"
        )
    cells = min(cells, math.ceil(math.prod(training.grid) / cluster.size(client)))
    tiles = training.tiles(cells)
    if not tiles:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".pod-", dir=scratch))
        training = rewritten(training, Path(folder), memory)
        tiles = training.tiles(cells)
    return training, tiles


@dataclass(frozen=True)
class _Decomposition:
    """Mean and weight (row, column), modes (mode, row, column), leading variances (rank), variance of all ranks."""

    mean: Array
    weight: Array
    modes: Array
    variances: Array
    total: float


@dataclass(frozen=True)
class _Spectrum:
    """Leading eigenvalues of the centred Gram matrix, descending, their vectors (snapshot, rank), and its trace."""

    blocks: list[gram.Block]
    values: Array
    vectors: Array
    trace: float


def _decompose(
    training: Snapshots, tiles: list[Tile], area: Array, config: PodConfig, client: Client | None
) -> _Decomposition:
    spectrum = _iterated(training, tiles, area, config, client) or _summed(training, tiles, area, config, client)
    mean, weight = np.full(training.grid, np.nan), np.full(training.grid, np.nan)
    for block in spectrum.blocks:
        mean[block.tile][block.ocean] = block.mean
        weight[block.tile][block.ocean] = area[block.tile][block.ocean]
    if np.isnan(mean).all():
        raise ValueError("the field has no cell with values; choose another box or mask")
    # the weights are relative to the mean area of cells with values, which is known only now
    scale = float(np.nanmean(weight)) * training.count
    # removing the mean leaves one eigenvalue that is zero but for rounding
    variances, total = np.clip(spectrum.values, 0, None) / scale, spectrum.trace / scale
    number = _number(variances, total, config, training.count)
    factors = spectrum.vectors[:, :number] / np.sqrt(variances[:number] * training.count)
    modes = np.full((number, *training.grid), np.nan)
    for block, found in cluster.each(client, _modes, spectrum.blocks, training, area, config.precision, factors):
        modes[:, block.tile[0], block.tile[1]][:, block.ocean] = found
    return _Decomposition(mean, weight / np.nanmean(weight), _signed(modes), variances, total)


def _iterated(
    training: Snapshots, tiles: list[Tile], area: Array, config: PodConfig, client: Client | None
) -> _Spectrum | None:
    """By iteration, where few ranks of many snapshots in one tile are asked for; None elsewhere or if it finds none."""
    if client is not None or len(tiles) > 1 or config.modes is None or training.count <= gram.WHOLE:
        return None
    block = gram.block(training, tiles[0], area, config.precision)
    pairs = krylov.leading(block.anomalies(), max(config.modes, SHOWN), config.modes, gram.WIDTH)
    return pairs and _Spectrum([block], *pairs, krylov.trace(block.anomalies(), gram.WIDTH))


def _summed(training: Snapshots, tiles: list[Tile], area: Array, config: PodConfig, client: Client | None) -> _Spectrum:
    """By the Gram matrix, summed over tiles."""
    matrix, blocks = cluster.total(client, _products, tiles, training, area, config.precision)
    gram.centre(matrix)
    trace = float(np.trace(matrix))
    return _Spectrum(blocks, *_leading(matrix, trace, config), trace)


def _products(tiles: list[Tile], training: Snapshots, area: Array, precision: str) -> tuple[Array, list[gram.Block]]:
    """Gram matrix of tiles, and their blocks; a block's values are kept where it is the only one, and here."""
    matrix = np.zeros((training.count, training.count))
    blocks = []
    for tile in tiles:
        block = gram.block(training, tile, area, precision)
        gram.add_product(matrix, block.anomalies())
        blocks.append(block if len(tiles) == 1 else block.emptied())
        del block
    return matrix, blocks


def _modes(
    block: gram.Block, training: Snapshots, area: Array, precision: str, factors: Array
) -> tuple[gram.Block, Array]:
    """Modes (mode, cell) of a block; its values are read again where they were not kept."""
    full = gram.block(training, block.tile, area, precision) if block.values is None else block
    modes = factors.astype(precision).T @ full.anomalies()
    return block.emptied(), modes / np.sqrt(area[block.tile][block.ocean])


def _leading(matrix: Array, trace: float, config: PodConfig) -> tuple[Array, Array]:
    """Leading eigenvalues and vectors: all of few snapshots, else as many as are asked for or shown."""
    count = len(matrix) if len(matrix) <= gram.WHOLE else min(max(config.modes or 0, SHOWN), len(matrix))
    while True:
        values, vectors = gram.leading(matrix, count)
        if count == len(matrix) or values.sum() >= (config.captured_variance or 0) * trace:
            return values, vectors
        count = min(2 * count, len(matrix))


def _number(variances: Array, total: float, config: PodConfig, snapshots: int) -> int:
    rank = int((variances > total * RESOLVED[config.precision]).sum())
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
    return min(rank, int((captured < (config.captured_variance or 1)).sum()) + 1)


def _signed(modes: Array) -> Array:
    """Make each mode's largest value positive, in place, so that a basis does not depend on the eigensolver's signs."""
    for mode in modes:
        if np.nanmax(mode) < -np.nanmin(mode):
            mode *= -1
    return modes


def _area(field: xr.Dataset, config: PodConfig) -> Array:
    """Weights (row, column) of the inner product but for a common factor: cell area, or 1."""
    area = field.cell_area.values.astype(np.float64)
    return np.ones(area.shape) if config.weights == "none" else area / np.nanmean(area)


def _dataset(field: xr.Dataset, training: Snapshots, found: _Decomposition, config: PodConfig) -> xr.Dataset:
    number = len(found.modes)
    spectrum = found.variances / found.total
    grid, variable = artifacts.grid_dims(field), variables.variable(artifacts.field_name(field))
    return xr.Dataset(
        {
            "mean": (grid, found.mean, {"units": variable.units, "long_name": "mean of the training weeks"}),
            "modes": (("mode", *grid), found.modes, {"units": "1", "long_name": "POD modes"}),
            "weight": (grid, found.weight, {"units": "1", "long_name": "weights of the inner product"}),
            "cell_area": field.cell_area.load(),
            "variance": ("mode", found.variances[:number], {"units": variable.squared_units}),
            "spectrum": ("rank", spectrum, {"units": "1", "long_name": "share of the training variance"}),
        },
        {
            "mode": np.arange(1, number + 1),
            "rank": np.arange(1, len(spectrum) + 1),
            **artifacts.grid_coords(field),
        },
        {
            "variable": variable.name,
            "data_kind": field.attrs["data_kind"],
            "title": field.attrs.get("title", ""),
            "weights": config.weights,
            "train_first": _day(training.times[0]),
            "train_last": _day(training.times[-1]),
            "snapshots": training.count,
            "captured_variance": float(spectrum[:number].sum()),
        },
    )


def _day(time: Any) -> str:
    return str(time.astype("datetime64[D]"))


def project(field: Field, basis: xr.Dataset, memory_gb: float = 1.0, client: Client | None = None) -> xr.Dataset:
    """Coefficients (time, mode) of every snapshot, and the share of its squared anomaly that the modes leave out.

    field, client: as in `fit`. The field is read in boxes of at most memory_gb, each chunk of its files once.
    """
    fields = [field] if isinstance(field, xr.Dataset) else list(field)
    values = of(fields)
    _check_grid(fields[0], basis)
    root = np.sqrt(basis.weight.values)
    shared = values, basis["mean"].values, basis.modes.values * root, root
    largest = min(PROJECTED, int(memory_gb * GB / (values.cell_bytes + 16)))
    coefficients = np.zeros((values.count, basis.sizes["mode"]))
    energy = np.zeros(values.count)
    for times, found, squared in cluster.each(client, _projected, values.boxes(largest), *shared):
        coefficients[times] += found
        energy[times] += squared
    left = np.clip(energy - (coefficients**2).sum(axis=1), 0, None)
    series = xr.concat([_weeks(part) for part in fields], "time")
    units = variables.of(basis).units
    return xr.Dataset(
        {
            "coefficient": (
                ("time", "mode"),
                coefficients,
                {"units": units, "long_name": "POD coefficients, training mean removed"},
            ),
            "truncation_rmse": (
                "time",
                np.sqrt(left / np.nansum(root**2)),
                {"units": units, "long_name": "weighted root mean square error of the reconstruction"},
            ),
            "segment": series.segment,
        },
        {"mode": basis.mode.values, "time": series.time, "time_bounds": series.time_bounds},
        {
            "variable": basis.attrs.get("variable", variables.SST.name),
            "data_kind": fields[0].attrs["data_kind"],
            "title": fields[0].attrs.get("title", ""),
        },
    )


def _weeks(field: xr.Dataset) -> xr.Dataset:
    """Segments and bounds of the weeks of a field, without the coordinates of its cells."""
    still = [name for name, held in field.coords.items() if "time" not in held.dims]
    return field.drop_vars(still)[["segment", "time_bounds"]]


def _projected(
    box: tuple[slice, Tile], values: Snapshots, mean: Array, modes: Array, root: Array
) -> tuple[slice, Array, Array]:
    """Times of a box, what its cells add to the coefficients (time, mode) and to the squared anomalies (time)."""
    times, tile = box
    raw = values.read(tile, times.start, times.stop)
    ocean = np.isfinite(mean[tile])
    anomaly = (raw[:, ocean] - mean[tile][ocean]) * root[tile][ocean]
    energy = np.einsum("tc,tc->t", anomaly, anomaly)
    if not np.isfinite(energy).all():
        missing = ~np.isfinite(raw[:, ocean])
        day = _day(values.times[times.start + np.flatnonzero(missing.any(axis=1))[0]])
        raise ValueError(
            f"{int(missing.sum())} values are missing inside the basis's mask (the first on {day}); mend the field or "
            "refit the basis"
        )
    return times, anomaly @ modes[:, tile[0], tile[1]][:, ocean].T, energy


def _check_grid(field: xr.Dataset, basis: xr.Dataset) -> None:
    name, variable = artifacts.field_name(field), variables.of(basis).name
    if name != variable:
        raise ValueError(f"the field holds {name}, but the basis is of {variable}; fit the basis on this field")
    shape, found = basis["mean"].shape, field[name].shape[1:]
    same = found == shape and field[name].dims[1:] == basis["mean"].dims
    if not same or not all(np.allclose(field[dim], basis[dim]) for dim in basis["mean"].dims):
        raise ValueError(f"the field's grid {found} is not the basis's grid {shape}; fit the basis on this field")


def reconstruct(coefficients: Array, basis: xr.Dataset) -> Array:
    """Fields (…, row, column) in the units of the basis's mean of coefficients (…, mode); NaN off the mask."""
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
