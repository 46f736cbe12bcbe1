"""What POD costs: ours and its peers on the same matrix, and how ours grows with snapshots and cells.

    .venv/bin/python benchmarks/data_pod.py [--snapshots 1914] [--cells 44219] [--repeats 5]
    .venv/bin/python benchmarks/data_pod.py --scaling
    .venv/bin/python benchmarks/data.py --no-coarsening --no-pod --largest-pod

Every measurement has a process of its own, methods take turns, and the least time of the repeats counts; what takes
more than 20 s is run once, and stopped after 90. Ours is compared with one symmetric product (BLAS syrk) of the same
matrix and precision in the same process, right before it.
Peers that are not installed are left out by name. `benchmarks/data.py` calls `measure` and `scaling`.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated, Any

import netCDF4
import numpy as np
import pandas as pd
import typer
import xarray as xr

from podnas import artifacts
from podnas.config import PodConfig
from podnas.reduction import gram, pod

Array = np.ndarray[Any, np.dtype[Any]]
Result = dict[str, Any]

SNAPSHOTS, CELLS, MODES = 1914, 44219, 5
SLOW, LIMIT = 20, 90  # seconds: what takes longer is measured once, or stopped
EQUAL = 1e-6  # largest relative difference of leading singular values of a method of equal accuracy
DECAY = 0.8  # of the standard deviation from a pattern to the next
PATTERNS, NOISE = 30, 0.3
SCALING = ((500, 50_000), (1000, 50_000), (2000, 50_000), (2000, 100_000), (4000, 50_000))
SCALING_MEMORY_GB = 0.5
LARGEST, PLANNED_CELLS = (20_000, 200_000), 640_000  # what 20 minutes allow on two cores; 16 GB on disk
LARGEST_MEMORY_GB = 3.0
CHUNK_CELLS = 2000  # of the field on disk: about a MB a chunk


def matrix(snapshots: int, cells: int, seed: int = 0) -> Array:
    """Temperatures (snapshot, cell), float32: patterns of decaying size and noise about 15 degrees.

    The seed is that of the patterns and the noise; the series are the same.
    """
    series = np.random.default_rng(0).standard_normal((snapshots, PATTERNS), dtype=np.float32)
    series *= 3 * DECAY ** np.arange(PATTERNS, dtype=np.float32)
    random = np.random.default_rng([1, seed])
    values = series @ random.standard_normal((PATTERNS, cells), dtype=np.float32)
    for start in range(0, snapshots, 256):
        some = values[start : start + 256]
        some += 15 + NOISE * random.standard_normal(some.shape, dtype=np.float32)
    return values


def as_field(values: Array) -> xr.Dataset:
    """A matrix (snapshot, cell) as a weekly field of one row."""
    snapshots, cells = values.shape
    weeks = pd.date_range("1700-01-01", periods=snapshots, freq="7D")
    bounds = np.stack([weeks, weeks + pd.Timedelta(days=7)], axis=1)
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values[:, None, :], {"units": "degree_Celsius"}),
            "cell_area": (("lat", "lon"), np.ones((1, cells)), {"units": "m2"}),
            "segment": ("time", np.zeros(snapshots, "i4")),
        },
        {"time": weeks, "lat": [0.0], "lon": np.arange(float(cells)), "time_bounds": (("time", "bounds"), bounds)},
        {"data_kind": "twin", "title": "made up for a benchmark"},
    )


def store(path: Path, snapshots: int, cells: int) -> None:
    """Write a field of such values, chunk by chunk of cells, so that it may be larger than memory."""
    as_field(np.broadcast_to(np.float32(0), (snapshots, cells))).drop_vars("sst").to_netcdf(path)
    with netCDF4.Dataset(path, "a") as out:
        chunks = (min(snapshots, 500), 1, min(CHUNK_CELLS, cells))
        values = out.createVariable("sst", "f4", ("time", "lat", "lon"), chunksizes=chunks, fill_value=np.nan)
        values.units = "degree_Celsius"
        for start in range(0, cells, CHUNK_CELLS):
            stop = min(start + CHUNK_CELLS, cells)
            values[:, 0, start:stop] = matrix(snapshots, stop - start, seed=start)


def config(precision: str, memory_gb: float = 4.0) -> PodConfig:
    return PodConfig.model_validate(
        {
            "modes": MODES,
            "weights": "none",
            "train_last": "2200-01-01",
            "precision": precision,
            "memory_gb": memory_gb,
        }
    )


# methods: matrix in, leading singular values out


def ours(precision: str) -> Callable[[Array], Array]:
    def fit(values: Array) -> Array:
        basis = pod.fit(as_field(values), config(precision))
        return np.sqrt(basis.variance.values * len(values))

    return fit


def scikit_learn(solver: str) -> Callable[[Array], Array]:
    def fit(values: Array) -> Array:
        from sklearn.decomposition import PCA

        return np.asarray(PCA(MODES, svd_solver=solver, random_state=0).fit(values).singular_values_)

    return fit


def dask_svd(compressed: bool) -> Callable[[Array], Array]:
    def fit(values: Array) -> Array:
        import dask.array

        snapshots, cells = values.shape
        lazy = dask.array.from_array(values, chunks=(snapshots, max(cells // 8, snapshots)))
        lazy = lazy - lazy.mean(axis=0)
        if compressed:
            left, singular, right = dask.array.linalg.svd_compressed(lazy, MODES, n_power_iter=2, seed=0)
        else:
            left, singular, right = dask.array.linalg.svd(lazy)
        found = dask.compute(singular[:MODES], left[:, :MODES], right[:MODES])
        return np.asarray(found[0])

    return fit


def eofs(values: Array) -> Array:
    from eofs.standard import Eof

    solver = Eof(values)
    solver.eofs(neofs=MODES)
    return np.sqrt(np.asarray(solver.eigenvalues(MODES)) * (len(values) - 1))


def xeofs(solver: str) -> Callable[[Array], Array]:
    def fit(values: Array) -> Array:
        from xeofs.single import EOF

        model = EOF(n_modes=MODES, solver=solver, random_state=0)
        model.fit(as_field(values).sst.isel(lat=0, drop=True), dim="time")
        return np.asarray(model.singular_values().values)

    return fit


OURS = {"ours_float64": ours("float64"), "ours_float32": ours("float32")}
PEERS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "scikit_learn_arpack": ("sklearn", scikit_learn("arpack")),
    "scikit_learn_full": ("sklearn", scikit_learn("full")),
    "scikit_learn_randomized": ("sklearn", scikit_learn("randomized")),
    "dask_svd": ("dask", dask_svd(False)),
    "dask_svd_compressed": ("dask", dask_svd(True)),
    "eofs": ("eofs", eofs),
    "xeofs_full": ("xeofs", xeofs("full")),
    "xeofs_randomized": ("xeofs", xeofs("randomized")),
}


def measure(folder: Path, snapshots: int = SNAPSHOTS, cells: int = CELLS, repeats: int = 5) -> Result:
    """Seconds and accuracy of ours and the peers: keys pod_ratio_to_matmul, pod_ratio_best_peer, by method and more."""
    path = folder / "matrix.npy"
    np.save(path, matrix(snapshots, cells))
    exact = in_a_process(_exact, path)
    missing = [name for name, (package, _) in PEERS.items() if importlib.util.find_spec(package) is None]
    names = [*OURS, *(name for name in PEERS if name not in missing)]
    runs: dict[str, list[Result]] = {name: [] for name in names}
    stopped = []
    for turn in range(repeats):
        for name in names:
            if turn and (name in stopped or runs[name][0]["seconds"] > SLOW):
                continue
            try:
                runs[name].append(in_a_process(_timed, path, name))
            except BrokenProcessPool:
                stopped.append(name)
    methods = {name: _summary(many, exact) for name, many in runs.items() if many}
    equal = {name: one["seconds"] for name, one in methods.items() if name in PEERS and one["error"] <= EQUAL}
    best = min(equal, key=lambda name: equal[name])
    quick = methods["ours_float32"]["error"] <= EQUAL
    fastest = min(methods[name]["seconds"] for name in OURS if name == "ours_float64" or quick)
    return {
        "snapshots": snapshots,
        "cells": cells,
        "modes": MODES,
        "pod_ratio_to_matmul": methods["ours_float64"]["ratio_to_matmul"],
        "pod_ratio_to_matmul_float32": methods["ours_float32"]["ratio_to_matmul"],
        "pod_ratio_best_peer": equal[best] / fastest,
        "best_peer": best,
        "methods": methods,
        "not_installed": missing,
        f"stopped_after_{LIMIT}_s": stopped,
    }


def _summary(runs: Sequence[Result], exact: Array) -> Result:
    found = {
        "seconds": min(run["seconds"] for run in runs),
        "all_seconds": [round(run["seconds"], 3) for run in runs],
        "peak_gb": max(run["peak_gb"] for run in runs),
        "error": float(np.max(np.abs(runs[0]["singular"] / exact - 1))),
    }
    if "matmul" in runs[0]:
        found["matmul_seconds"] = min(run["matmul"] for run in runs)
        found["ratio_to_matmul"] = found["seconds"] / found["matmul_seconds"]
    return found


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Result of a function in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def _exact(path: Path) -> Array:
    values = np.load(path).astype(np.float64)
    values -= values.mean(axis=0)
    product: Array = np.sqrt(np.linalg.eigvalsh(values @ values.T)[::-1][:MODES])
    return product


def _timed(path: Path, name: str) -> Result:
    values = np.load(path)
    method = OURS[name] if name in OURS else PEERS[name][1]
    small = values[: 2 * MODES + 20, :2000].copy()
    method(small)  # imports and threads
    result: Result = {}
    if name in OURS:
        result["matmul"] = _product_seconds(values, name.removeprefix("ours_"))
    before = _peak_gb()
    signal.alarm(LIMIT)  # ends this process
    started = time.perf_counter()
    singular = method(values)
    result["seconds"] = time.perf_counter() - started
    signal.alarm(0)
    return {**result, "singular": singular, "peak_gb": _peak_gb() - before}


def _product_seconds(values: Array, precision: str) -> float:
    converted = values.astype(precision)
    converted[:, :2000] @ converted[:, :2000].T
    started = time.perf_counter()
    converted @ converted.T  # NumPy calls syrk
    return time.perf_counter() - started


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


# growth with snapshots and cells, from disk


def scaling(folder: Path, sizes: Sequence[tuple[int, int]] = SCALING, memory_gb: float = SCALING_MEMORY_GB) -> Result:
    """Seconds, rate of the products and peak memory beyond one Gram matrix, by size, of float32 POD from disk."""
    rows = []
    for snapshots, cells in sizes:
        path = folder / "field.nc"
        in_a_process(store, path, snapshots, cells)
        rows.append(in_a_process(_from_disk, path, memory_gb))
        path.unlink()
    return {"memory_gb": memory_gb, "precision": "float32", "sizes": rows}


def largest(folder: Path, memory_gb: float = LARGEST_MEMORY_GB) -> Result:
    """The largest float32 POD from disk in about 20 minutes, and what one of 640,000 cells would take at its rate."""
    row = scaling(folder, [LARGEST], memory_gb)
    (found,) = row.pop("sizes")
    expected = found["seconds"] * PLANNED_CELLS / found["cells"]
    return {**row, **found, "planned_cells": PLANNED_CELLS, "planned_seconds": expected}


def _from_disk(path: Path, memory_gb: float) -> Result:
    before = _peak_gb()
    with artifacts.open_field(path) as field:
        snapshots, cells = field.sizes["time"], field.sizes["lon"]
        started = time.perf_counter()
        pod.fit(field, config("float32", memory_gb))
        seconds = time.perf_counter() - started
    return {
        "snapshots": snapshots,
        "cells": cells,
        "seconds": seconds,
        "gflops": snapshots * (snapshots + 1) * cells / seconds / 1e9,
        "peak_beyond_gram_gb": _peak_gb() - before - 8 * snapshots**2 / 1e9,
        "products_gb": gram.work_bytes(snapshots) / 1e9,
    }


def main(
    snapshots: Annotated[int, typer.Option()] = SNAPSHOTS,
    cells: Annotated[int, typer.Option()] = CELLS,
    repeats: Annotated[int, typer.Option()] = 5,
    grown: Annotated[bool, typer.Option("--scaling")] = False,
) -> None:
    """Print the measurements as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        result = scaling(Path(folder)) if grown else measure(Path(folder), snapshots, cells, repeats)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
