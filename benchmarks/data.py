"""What it takes to turn archives into a coarse weekly field: ours beside CDO, xarray and reading alone; and POD.

    make bench-data

*Coarsening*: 735 daily OISST files, a quarter degree to one degree, and 63 days of DayMet at 8,075 x 7,814 cells, 1 km
to 10 km, both to weekly means; the same days of DayMet in the layout that its files have since 2020 (ten days a chunk),
without CDO and xarray; synthetic files, laid out as the published ones (benchmarks/archives.py), made once
under results/bench-cache/. All contenders have as many processes (or threads) as cores, started beforehand, and
read only the variable that they need, from files that the first, uncounted, run left in the page cache. They take
turns. Results are compared with a plain NumPy mean of some weeks. *POD*: see benchmarks/data_pod.py.
What the keys of the JSON mean stands in its `definitions`.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
if __name__ == "__main__":  # processes that are spawned import this file, too, and have what they are given
    for _variable in THREADS:
        os.environ[_variable] = "1"

import archives  # noqa: E402
import netCDF4  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import typer  # noqa: E402
from coarsening import WEEK, Array, Case, serve  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from podnas import artifacts, provenance  # noqa: E402
from podnas.data import grid, synthetic_daymet  # noqa: E402

CACHE = Path("results/bench-cache/archives")
SAMPLE_SECONDS = 0.05
CONSOLE = Console(log_path=False)
CDO, XARRAY = ("cdo", "cdo_split"), ("xarray_threads", "xarray_processes")
READ, READ_NG = ("read_netcdf4", "read_h5py"), ("read_zlib_ng",)  # zlib; zlib-ng, which ours inflates with
ALONE = ("ours", *READ, *READ_NG)
ALL = (*ALONE, *CDO, *XARRAY)
SHARES = ("share_of_read_rate", "share_of_read_rate_zlib_ng")
SINCE_2020 = 2020  # a year of DayMet in its later layout
# largest difference from the reference, in degrees: rounding to float32; xarray's plain mean gives all cells of a block
# the same weight, whose areas differ by up to a few per cent near the poles
TOLERANCE = {"ours": 1e-5, "cdo": 2e-5, "cdo_split": 2e-5, "xarray_threads": 0.05, "xarray_processes": 0.05}

DEFINITIONS = {
    "origins": "command, commit, versions and machine that coarsening and POD were measured with",
    "ratio_cdo": "seconds of CDO / ours, the faster of: one chain with a thread a core (-P), a chain a core on its "
    "share of the weeks; select, gridboxmean, timselmean, float32 output. Median over rounds",
    "ratio_xarray": "the same for open_mfdataset, coarsen().mean(), resample().mean(), the faster of dask's threads "
    "and a pool of processes",
    "share_of_read_rate": "seconds that reading and decompressing the same values takes, by as many processes, the "
    "faster of netCDF4 and h5py (zlib) / seconds of ours. Median over rounds",
    "share_of_read_rate_zlib_ng": "the same for reading chunks as they lie on disk and inflating them by zlib-ng, as "
    "ours does",
    "layouts": "DayMet in the layout since 2020, chunks of ten days, of which the others read whole rows at a time; "
    "keys as above",
    "peak_gb": "ours: largest memory of all its processes together (PSS, every 50 ms of a run that is not timed), 10^9 "
    "bytes",
    "growth": "ours on the first days of the DayMet file alone",
    "seconds": "by contender, each round",
    "difference": "largest |value - reference| over the weeks that were compared, degrees; cells without a value agree",
    "pod_ratio_to_matmul": "seconds of our POD in float64 / those of the symmetric product of the same size",
    "pod_ratio_to_matmul_float32": "the same in float32",
    "pod_largest": "float32 POD of a field on disk: seconds, rate of the products, peak beyond one Gram matrix; "
    "planned_seconds: that of planned_cells at the same rate",
    "pod_ratio_best_peer": "seconds of the fastest peer of equal accuracy (leading singular values to 1e-6) / ours",
}


def oisst(folder: Path, weeks: int, workers: int) -> Case:
    """Daily files, a quarter degree to one degree."""
    files = archives.oisst(folder / "oisst", days=weeks * WEEK, workers=workers)
    return Case("oisst", tuple(map(str, files)), "sst", ("lat", "lon"), 4, weeks * WEEK)


def daymet(folder: Path, weeks: int, workers: int, rows: int, columns: int, year: int = 2016) -> Case:
    """A yearly file of the first weeks on the middle of the grid, 1 km to 10 km; the year decides its layout."""
    place = folder / f"daymet-{rows}x{columns}-{weeks * WEEK}"
    top, left = (synthetic_daymet.ROWS - rows) // 2, (synthetic_daymet.COLUMNS - columns) // 2
    spans = {"rows": (top, top + rows), "columns": (left, left + columns)}
    files = archives.daymet(place, year, year, days=weeks * WEEK, workers=workers, **spans)
    case = Case("daymet", tuple(map(str, files)), "tmax", ("y", "x"), 10, weeks * WEEK)
    days, height, _ = synthetic_daymet.layout_of(year).chunk
    return case if days == 1 else replace(case, name=f"daymet_{days}_days_a_chunk", chunk=(days, height))


# what is measured


class Contender:
    """A contender in its own process."""

    def __init__(self, name: str, case: Case, workers: int, results: Path) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(name, case, workers, results, theirs))
        self.name = name
        self.process.start()
        theirs.close()
        self._answer()

    def run(self) -> float:
        """Seconds that it took."""
        self.pipe.send("run")
        seconds: float = self._answer()
        return seconds

    def peak_gb(self) -> float:
        """Peak of memory of its processes together in a run of its own, since sampling slows them down."""
        with peak_memory(self.process.pid or 0) as peak:
            self.run()
        return peak[0] / 1e9

    def _answer(self) -> Any:
        try:
            return self.pipe.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"{self.name} ended with exit code {self.process.exitcode}; see above") from None

    def end(self) -> None:
        """Stop its workers."""
        self.pipe.send(None)
        self.process.join()


@contextmanager
def peak_memory(pid: int) -> Iterator[list[float]]:
    """Largest sum of the proportional set sizes of a process and its descendants, in bytes, after the block."""
    peak, done = [0.0], threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], _proportional(pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield peak
    finally:
        done.set()
        sampler.join()
        peak[0] = max(peak[0], _proportional(pid))


def _proportional(pid: int) -> float:
    process = psutil.Process(pid)
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.NoSuchProcess:  # has just ended
            continue
    return total


@dataclass(frozen=True)
class Measured:
    """By contender: seconds of each counted round, and the peak of memory over all."""

    seconds: Mapping[str, Sequence[float]]
    peak_gb: Mapping[str, float]

    def ratio(self, names: Sequence[str]) -> float:
        """Median over rounds of the fastest of `names` over ours."""
        fastest = min(names, key=lambda name: statistics.median(self.seconds[name]))
        pairs = zip(self.seconds[fastest], self.seconds["ours"], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)


def measure(case: Case, names: Sequence[str], workers: int, rounds: int, results: Path) -> Measured:
    """Contenders in turn, round after round; the first round warms up, and its memory is what is told."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peaks = {}
    with ExitStack() as stack:
        running = {}
        for name in names:
            running[name] = Contender(name, case, workers, results)
            stack.callback(running[name].end)
        for name in names:
            peaks[name] = running[name].peak_gb()
            CONSOLE.log(f"{case.name} {name}: {peaks[name]:.2f} GB")
        for turn in range(rounds):
            for name in names if turn % 2 else reversed(names):
                seconds[name].append(running[name].run())
                CONSOLE.log(f"{case.name} round {turn + 1} {name}: {seconds[name][-1]:.2f} s")
    return Measured(seconds, peaks)


# whether all made the same


def reference(case: Case, week: int) -> Array:
    """A week's mean in float64, the plain way: area mean of each day over what is valid, then the mean of the days."""
    days = [_coarse_day(case, day) for day in range(week * WEEK, (week + 1) * WEEK)]
    return np.mean(days, axis=0)


def _coarse_day(case: Case, day: int) -> Array:
    path, step = (case.files[0], day) if len(case.files) == 1 else (case.files[day], 0)
    with netCDF4.Dataset(path) as data:
        values = np.ma.filled(data[case.variable][step].astype("f8").squeeze(), np.nan)
        area = np.ones(values.shape)
        if case.dims == ("lat", "lon"):
            area = grid.cell_area(data["lat"][:].filled().astype("f8"), data["lon"][:].filled().astype("f8")).values
    area = np.where(np.isnan(values), 0, area)
    with np.errstate(invalid="ignore"):
        return _blocks(np.nan_to_num(values) * area, case.factor) / _blocks(area, case.factor)


def _blocks(values: Array, factor: int) -> Array:
    """Sums over blocks; the last ones may reach beyond the edge."""
    rows, columns = values.shape
    whole = np.pad(values, ((0, -rows % factor), (0, -columns % factor)))
    return whole.reshape(len(whole) // factor, factor, -1, factor).sum(axis=(1, 3))


def differences(case: Case, names: Sequence[str], results: Path) -> dict[str, float]:
    """Largest difference of each result from the reference in the first and last week; ValueError where it is large."""
    found = {}
    weeks = (0, case.days // WEEK - 1)
    expected = np.stack([reference(case, week) for week in weeks])
    for name in names:
        if name in (*READ, *READ_NG):
            continue
        values = np.load(results / f"{case.name}-{name}.npy")
        if values.shape != (case.days // WEEK, *expected.shape[1:]):
            raise ValueError(
                f"{name} made {values.shape} of {case.name}, not {(case.days // WEEK, *expected.shape[1:])}"
            )
        difference = np.abs(values[list(weeks)] - expected)
        if (np.isnan(difference) != np.isnan(expected)).any():
            raise ValueError(f"{name} has values of {case.name} where the reference has none, or none where it has")
        found[name] = float(np.nanmax(difference))
        if found[name] > TOLERANCE[name]:
            raise ValueError(f"{name} differs by {found[name]} from the reference of {case.name}")
    return found


# what is told


def compare(cases: Sequence[Case], workers: int, rounds: int) -> dict[str, Any]:
    """All figures of coarsening."""
    keys = ("ratio_cdo", "ratio_xarray", *SHARES, "peak_gb", "peers_peak_gb", "seconds", "difference")
    found: dict[str, Any] = {key: {} for key in (*keys, "mb_read")}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            done = measure(case, ALL, workers, rounds, Path(folder))
            found["difference"][case.name] = differences(case, ALL, Path(folder))
            found["ratio_cdo"][case.name] = done.ratio(CDO)
            found["ratio_xarray"][case.name] = done.ratio(XARRAY)
            found["share_of_read_rate"][case.name] = done.ratio(READ)
            found["share_of_read_rate_zlib_ng"][case.name] = done.ratio(READ_NG)
            found["peak_gb"][case.name] = done.peak_gb["ours"]
            found["peers_peak_gb"][case.name] = {name: gb for name, gb in done.peak_gb.items() if name != "ours"}
            found["seconds"][case.name] = done.seconds
            found["mb_read"][case.name] = sum(Path(file).stat().st_size for file in case.files) / 1e6
    return found


def layout(case: Case, workers: int, rounds: int) -> dict[str, Any]:
    """Figures of ours beside reading alone, for files of another layout."""
    with tempfile.TemporaryDirectory() as folder:
        done = measure(case, ALONE, workers, rounds, Path(folder))
        return {
            "share_of_read_rate": done.ratio(READ),
            "share_of_read_rate_zlib_ng": done.ratio(READ_NG),
            "peak_gb": done.peak_gb["ours"],
            "seconds": done.seconds,
            "difference": differences(case, ("ours",), Path(folder)),
        }


def growth(case: Case, workers: int) -> list[dict[str, float]]:
    """Cost per day and memory of ours on a third, two thirds and all of the days."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for thirds in (1, 2, 3):
            part = replace(case, days=max(case.days // WEEK * thirds // 3, 1) * WEEK)
            done = measure(part, ("ours",), workers, 1, Path(folder))
            spent = done.seconds["ours"][0]
            rows.append({"days": part.days, "seconds_per_day": spent / part.days, "peak_gb": done.peak_gb["ours"]})
    return rows


def pod_figures() -> dict[str, Any]:
    """What benchmarks/data_pod.py measures: ours and its peers on one matrix, and how ours grows."""
    import data_pod

    for variable in THREADS:  # its processes come one after another and have all cores
        os.environ.pop(variable, None)
    with tempfile.TemporaryDirectory() as folder:
        return {**data_pod.measure(Path(folder)), "pod_growth": data_pod.scaling(Path(folder))}


def largest_pod(cache: Path) -> dict[str, Any]:
    """The largest POD that benchmarks/data_pod.py plans, of a field written under `cache` and removed."""
    import data_pod

    for variable in THREADS:
        os.environ.pop(variable, None)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        return data_pod.largest(Path(folder))


def origin() -> dict[str, Any]:
    """Command, date, commit, versions and machine, but neither its name nor a path in it."""
    here = {key: value for key, value in provenance.machine().items() if key != "host"}
    command = subprocess.run(["cdo", "--version"], capture_output=True, text=True, check=False)
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/data.py", *sys.argv[1:]]),
        **here,
        "packages": {**here["packages"], **provenance.versions("xarray", "dask", "netCDF4", "h5py", "zlib-ng")},
        "cdo": (command.stdout + command.stderr).partition("\n")[0],
        "load_average_before": os.getloadavg()[0],
    }


def show(record: Mapping[str, Any]) -> None:
    """Print the figures, a column an archive."""
    names = list(record.get("seconds", {}))
    table = Table("", *names)
    for key in ("ratio_cdo", "ratio_xarray", *SHARES, "peak_gb"):
        table.add_row(key, *(f"{record[key][name]:.3g}" for name in names))
    for who in ALL:
        table.add_row(f"seconds, {who}", *(f"{statistics.median(record['seconds'][name][who]):.3g}" for name in names))
    if names:
        CONSOLE.print(table)
    for name, figures in record.get("layouts", {}).items():
        spent = ", ".join(f"{who} {statistics.median(rounds):.3g} s" for who, rounds in figures["seconds"].items())
        CONSOLE.print(f"{name}: {spent}; {figures['peak_gb']:.2f} GB")
    for key in ("pod_ratio_to_matmul", "pod_ratio_to_matmul_float32", "pod_ratio_best_peer"):
        if key in record:
            CONSOLE.print(f"{key}: {record[key]:.3g}")


def main(
    weeks: Annotated[int, typer.Option(min=1, help="weeks of daily OISST files")] = 105,
    daymet_weeks: Annotated[int, typer.Option(min=0, help="weeks of DayMet; 0 leaves it out")] = 9,
    rows: Annotated[int, typer.Option(min=10, help="rows of the DayMet grid, those in its middle")] = 8075,
    columns: Annotated[int, typer.Option(min=10, help="columns of the DayMet grid, those in its middle")] = 7814,
    rounds: Annotated[int, typer.Option(min=1, help="rounds that count")] = 5,
    coarsening: Annotated[bool, typer.Option(help="measure coarsening")] = True,
    pod: Annotated[bool, typer.Option(help="measure POD")] = True,
    largest: Annotated[
        bool, typer.Option("--largest-pod", help="measure the largest POD, too: 20 minutes and 16 GB of disk")
    ] = False,
    archive: Annotated[
        Path, typer.Option(help="folder of the synthetic archives, made where they are missing")
    ] = CACHE,
    out: Annotated[Path, typer.Option(help="JSON to write, or to put a part into")] = Path("results/bench/data.json"),
) -> None:
    """Measure, compare, print and write results/bench/data.json."""
    here, workers = origin(), len(os.sched_getaffinity(0))
    record = artifacts.read_json(out) if out.exists() and not (coarsening and pod) else {}
    record |= {"workers": workers, "origins": record.get("origins", {})}
    if coarsening:
        cases = [oisst(archive, weeks, workers)]
        if daymet_weeks:
            cases.append(daymet(archive, daymet_weeks, workers, rows, columns))
        record |= compare(cases, workers, rounds)
        if daymet_weeks:
            record["growth"] = growth(cases[1], workers)
            later = daymet(archive, daymet_weeks, workers, rows, columns, SINCE_2020)
            record["layouts"] = {later.name: layout(later, workers, rounds)}
        record["origins"]["coarsening"] = here
    if pod:
        record |= pod_figures()
        record["origins"]["pod"] = here
    if largest:
        record["pod_largest"] = largest_pod(archive)
        record["origins"]["pod_largest"] = here
    record["definitions"] = DEFINITIONS
    artifacts.write_json(out, record)
    CONSOLE.log(f"done: {out}")
    show(record)


if __name__ == "__main__":
    typer.run(main)
