"""Who turns daily files into a weekly, coarser field in benchmarks/data.py: ours, CDO, xarray; and who only reads them.

Each contender is a context manager that starts its workers and gives a function to be timed. It lives in a process of
its own, so that what it holds in memory, workers included, can be told from the others.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dask
import h5py
import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from podnas.config import FieldConfig, SourceConfig
from podnas.data import bands, chunks, field, reading

WEEK = 7  # days
# any valid input makes a value, as with CDO and xarray
LEAST_SHARE = 1e-3

Array = NDArray[Any]
Run = Callable[[], Array | None]


@dataclass(frozen=True)
class Case:
    """An archive and what is made of it: means over factor x factor cells and over weeks from the first day on.

    dims: rows and columns in the files. days: how many there are, whole weeks. chunk: days and rows that are stored
    together; readers take whole chunks, and workers share whole ones where these hold several days.
    """

    name: str
    files: tuple[str, ...]
    variable: str
    dims: tuple[str, str]
    factor: int
    days: int
    chunk: tuple[int, int] | None = None

    def share(self, number: int, workers: int) -> list[tuple[str, range]]:
        """Files and time steps of one of several workers: whole weeks (or chunks), as many for each as can be."""
        unit = WEEK if self.chunk is None else self.chunk[0]
        units = np.array_split(np.arange(-(-self.days // unit)), workers)[number]
        days = range(int(units[0]) * unit, min((int(units[-1]) + 1) * unit, self.days)) if len(units) else range(0)
        if len(self.files) == 1:
            return [(self.files[0], days)]
        return [(self.files[day], range(1)) for day in days]


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    """Processes that have started; like ours, they keep the memory that they free."""
    context = get_context("spawn")
    barrier = context.Barrier(workers)
    with reading.keeping_memory(), ProcessPoolExecutor(workers, context, _hold, (barrier,)) as pool:
        list(pool.map(_started, range(workers)))
        yield pool


_BARRIER: list[Any] = []


def _hold(barrier: Any) -> None:
    _BARRIER[:] = [barrier]


def _started(_: int) -> None:
    _BARRIER[0].wait()


# ours


@contextmanager
def ours(case: Case, workers: int) -> Iterator[Run]:
    """The field of the workflow's rule, on a pool of processes."""
    source = SourceConfig(kind="path", files=case.files, variable=case.variable)
    lambert = case.dims == ("y", "x")
    config = FieldConfig(
        coarsen=case.factor,
        beyond_edge=lambert,
        least_valid_share=LEAST_SHARE,
        weeks="of_year" if lambert else "running",
        last=_last(case) if lambert else None,
    )
    files = [Path(file) for file in case.files]
    with _pool(workers) as pool:
        yield lambda: field.build(files, None, source, config, executor=pool)[case.variable].values


def _last(case: Case) -> Any:
    year = int(case.files[0][-7:-3])
    return (np.datetime64(f"{year}-01-01", "D") + case.days - 1).item()


# reading alone

Part = tuple[slice, slice]  # time steps and rows that are read at a time
Read = Callable[[str, str, Sequence[Part]], None]


@contextmanager
def _reading(case: Case, workers: int, read: Read) -> Iterator[Run]:
    with _pool(workers) as pool:
        shares = [case.share(number, workers) for number in range(workers)]
        yield lambda: _each(pool, read, case, shares)


def _each(pool: Executor, read: Read, case: Case, shares: Sequence[Any]) -> None:
    for one in [pool.submit(_read_share, read, case, share) for share in shares]:
        one.result()


def _read_share(read: Read, case: Case, share: Sequence[tuple[str, range]]) -> None:
    for path, steps in share:
        read(path, case.variable, parts(case, steps))


def parts(case: Case, steps: range) -> list[Part]:
    """A day at a time, or a row of whole chunks where these hold several days: so each is inflated once."""
    if case.chunk is None:
        return [(slice(step, step + 1), slice(None)) for step in steps]
    days, rows = case.chunk
    with h5py.File(case.files[0]) as data:
        height = data[case.variable].shape[-2]
    return [
        (slice(day, min(day + days, steps.stop)), slice(row, min(row + rows, height)))
        for day in range(steps.start, steps.stop, days)
        for row in range(0, height, rows)
    ]


def _index(shape: Sequence[int], part: Part) -> tuple[slice, ...]:
    """All of a variable (time, …, row, column) that lies in a part, with slices that begin and end somewhere."""
    chosen = (part[0], *[slice(None)] * (len(shape) - 3), part[1], slice(None))
    return tuple(slice(*one.indices(length)) for one, length in zip(chosen, shape, strict=True))


def _netcdf4(path: str, variable: str, wanted: Sequence[Part]) -> None:
    with netCDF4.Dataset(path) as data:
        stored = data[variable]
        stored.set_auto_maskandscale(False)
        for part in wanted:
            stored[_index(stored.shape, part)]


def _h5py(path: str, variable: str, wanted: Sequence[Part]) -> None:
    with h5py.File(path) as data:
        stored = data[variable]
        for part in wanted:
            stored[_index(stored.shape, part)]


def _zlib_ng(path: str, variable: str, wanted: Sequence[Part]) -> None:
    """Chunks as they lie on disk, inflated by zlib-ng and put in order where their bytes are shuffled, as ours does."""
    with h5py.File(path) as data:
        stored, kept = data[variable], bands.Kept()
        native = stored.dtype.newbyteorder("=")
        for part in wanted:
            index = _index(stored.shape, part)
            out = kept.array(tuple(one.stop - one.start for one in index), native)
            if not chunks.read(stored, index, out):
                raise RuntimeError(f"{path}: {variable} has another layout than deflated chunks")


def read_netcdf4(case: Case, workers: int) -> AbstractContextManager[Run]:
    """Read and decompress with the netCDF library; the numbers are dropped."""
    return _reading(case, workers, _netcdf4)


def read_h5py(case: Case, workers: int) -> AbstractContextManager[Run]:
    """Read and decompress with h5py; the numbers are dropped."""
    return _reading(case, workers, _h5py)


def read_zlib_ng(case: Case, workers: int) -> AbstractContextManager[Run]:
    """Read and decompress by the inflater that ours uses; the numbers are dropped."""
    return _reading(case, workers, _zlib_ng)


# Climate Data Operators


def cdo_command(
    case: Case, files: Sequence[str], steps: range | None, out: Path, threads: int, coarse: str
) -> list[str]:
    """One chain of operators; its output is float32, else CDO would pack means into the hundredths of the input."""
    chosen = [] if steps is None else [f"-seltimestep,{steps.start + 1}/{steps.stop}"]
    chain = [f"timselmean,{WEEK}", coarse, *chosen, f"-select,name={case.variable}"]
    return ["cdo", "-s", "-O", "-P", str(threads), "-b", "F32", *chain, *files, str(out)]


@contextmanager
def _cdo(case: Case, processes: int, threads: int, coarse: str) -> Iterator[Run]:
    if shutil.which("cdo") is None:
        raise RuntimeError("cdo is missing: run benchmarks/install_cdo.sh")
    with tempfile.TemporaryDirectory() as folder:
        commands = []
        outs = [Path(folder) / f"{number}.nc" for number in range(processes)]
        for number, out in enumerate(outs):
            share = case.share(number, processes)
            steps = share[0][1] if len(case.files) == 1 else None
            commands.append(cdo_command(case, [path for path, _ in share], steps, out, threads, coarse))
        yield lambda: _finish([subprocess.Popen(command) for command in commands], case, outs)


def _finish(running: Sequence[subprocess.Popen[bytes]], case: Case, outs: Sequence[Path]) -> Array:
    codes = [process.wait() for process in running]
    if any(codes):
        raise RuntimeError(f"cdo ended with {codes}")
    return np.concatenate([_result(case, out) for out in outs])


def _result(case: Case, path: Path) -> Array:
    with netCDF4.Dataset(path) as data:
        values = np.ma.filled(data[case.variable][:].astype("f4"), np.nan)
    return values.reshape(len(values), *values.shape[-2:])


def cdo(case: Case, workers: int) -> AbstractContextManager[Run]:
    """One chain, with as many threads as there are workers."""
    return _cdo(case, 1, workers, f"-gridboxmean,{case.factor},{case.factor}")


def cdo_split(case: Case, workers: int) -> AbstractContextManager[Run]:
    """A chain for each worker, each on its share of the weeks."""
    return _cdo(case, workers, 1, f"-gridboxmean,{case.factor},{case.factor}")


def cdo_remapcon(case: Case, workers: int) -> AbstractContextManager[Run]:
    """Conservative remapping; weights are computed in each run, as in a command that a user types."""
    return _cdo(case, 1, workers, "-remapcon,r360x180")


# xarray


def _weekly(case: Case) -> xr.DataArray:
    """open_mfdataset, coarsen, resample, with the options that xarray's documentation advises for many files.

    But parallel=True: files that several threads open and close at once crash the netCDF library here.
    """
    data = xr.open_mfdataset(
        list(case.files),
        combine="nested",
        concat_dim="time",
        preprocess=lambda one: one[[case.variable]].drop_vars(["lat", "lon"] if "lat" not in case.dims else []),
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        chunks={"time": 1},
    )
    daily = data[case.variable].isel(time=slice(case.days)).squeeze(drop=True)
    coarse = daily.coarsen(dict.fromkeys(case.dims, case.factor), boundary="pad").mean()
    return coarse.resample(time=f"{WEEK}D").mean()


@contextmanager
def xarray_threads(case: Case, workers: int) -> Iterator[Run]:
    """dask's threads."""
    with dask.config.set(scheduler="threads", num_workers=workers):
        yield lambda: _weekly(case).compute().values


@contextmanager
def xarray_processes(case: Case, workers: int) -> Iterator[Run]:
    """dask's processes, those of a pool; a distributed cluster loses workers here, which HDF5 takes down with it."""
    with _pool(workers) as pool, dask.config.set(scheduler="processes", pool=pool):
        yield lambda: _weekly(case).compute().values


CONTENDERS: dict[str, Callable[[Case, int], AbstractContextManager[Run]]] = {
    "ours": ours,
    "read_netcdf4": read_netcdf4,
    "read_h5py": read_h5py,
    "read_zlib_ng": read_zlib_ng,
    "cdo": cdo,
    "cdo_split": cdo_split,
    "cdo_remapcon": cdo_remapcon,
    "xarray_threads": xarray_threads,
    "xarray_processes": xarray_processes,
}


# a process for each


def serve(name: str, case: Case, workers: int, results: Path, pipe: Any) -> None:
    """Run a contender each time the pipe says so, and answer with what `timed` gives; None ends it."""
    with CONTENDERS[name](case, workers) as run:
        pipe.send("ready")
        while pipe.recv() is not None:
            started = time.perf_counter()
            result = run()
            seconds = time.perf_counter() - started
            if result is not None:
                np.save(results / f"{case.name}-{name}.npy", result)
            pipe.send(seconds)
