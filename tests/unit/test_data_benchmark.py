"""The benchmark of data: who reads what, that a wrong result is refused, and that memory is summed over processes."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import netCDF4
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def modules():
    """benchmarks/data.py and benchmarks/coarsening.py."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("data"), importlib.import_module("coarsening")
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_spawned_processes_keep_the_threads_that_they_are_given(modules, monkeypatch):
    """They import the script that started them under this name: the POD's would have one core."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    runpy.run_path(str(BENCHMARKS / "data.py"), run_name="__mp_main__")
    assert "OPENBLAS_NUM_THREADS" not in os.environ


@pytest.fixture
def small(tmp_path, modules):
    """Fourteen days of 6 x 4 cells: 10 x row + day; the two last rows and one cell of the first are missing."""
    files = []
    for day in range(14):
        path = tmp_path / f"day{day:02d}.nc"
        with netCDF4.Dataset(path, "w") as data:
            for name, values in (("lat", np.linspace(-25, 25, 6)), ("lon", np.linspace(45, 315, 4))):
                data.createDimension(name, len(values))
                data.createVariable(name, "f4", (name,))[:] = values
            data.createDimension("time", 1)
            held = data.createVariable("sst", "f4", ("time", "lat", "lon"), fill_value=-999)
            values = np.tile(10.0 * np.arange(6)[:, np.newaxis] + day, (1, 4))
            values[4:] = -999
            values[0, 0] = -999
            held[0] = values
        files.append(str(path))
    return modules[1].Case("small", tuple(files), "sst", ("lat", "lon"), 2, 14)


def test_reference_is_the_area_mean_of_what_is_valid(small, modules):
    """Rows at 25, 15, 5 degrees south have areas as the cosine: in the first block rows 0 and 1 (values 0, 10; mean day
    3 of the first week) have weights cos 25 and cos 15; with one cell of row 0 missing, half of its weight."""
    made = modules[0].reference(small, 0)
    near, far = np.cos(np.radians([15, 25]))
    assert made.shape == (3, 2)
    assert made[0, 1] == pytest.approx(3 + 10 * near / (near + far), abs=1e-5)
    assert made[0, 0] == pytest.approx(3 + 10 * 2 * near / (2 * near + far), abs=1e-5)
    assert np.isnan(made[2]).all()
    assert modules[0].reference(small, 1)[0, 1] == pytest.approx(made[0, 1] + 7, abs=1e-5)


def test_the_same_result_passes_and_others_are_refused(small, modules, tmp_path):
    data = modules[0]
    right = np.stack([data.reference(small, week) for week in (0, 1)])

    def found(values):
        np.save(tmp_path / "small-cdo.npy", values.astype("f4"))
        return data.differences(small, ("cdo", "read_h5py"), tmp_path)

    assert found(right)["cdo"] < 1e-5
    with pytest.raises(ValueError, match=r"cdo differs by 0\.5"):
        found(right + 0.5)
    with pytest.raises(ValueError, match="none where it has"):
        found(np.where(right > 10, np.nan, right))
    with pytest.raises(ValueError, match=r"cdo made \(1, 3, 2\) of small, not \(2, 3, 2\)"):
        found(right[:1])


def test_workers_share_whole_weeks_and_no_day_is_left_out(small, modules):
    shares = [small.share(number, 2) for number in range(2)]
    assert [path for share in shares for path, _ in share] == list(small.files)
    assert [len(share) for share in shares] == [7, 7]
    yearly = modules[1].Case("yearly", ("a.nc",), "tmax", ("y", "x"), 10, 63)
    assert [yearly.share(number, 2) for number in range(2)] == [[("a.nc", range(35))], [("a.nc", range(35, 63))]]


def test_ratios_are_medians_over_rounds_of_the_faster_peer(modules):
    done = modules[0].Measured({"ours": [1, 2, 4], "slow": [9, 9, 9], "fast": [2, 8, 12]}, {})
    assert done.ratio(("slow", "fast")) == 3


def test_cdo_reads_one_variable_and_writes_floats(modules):
    case = modules[1].Case("yearly", ("a.nc",), "tmax", ("y", "x"), 10, 63)
    command = modules[1].cdo_command(case, case.files, range(35, 63), Path("out.nc"), 2, "-gridboxmean,10,10")
    chain = ["timselmean,7", "-gridboxmean,10,10", "-seltimestep,36/63", "-select,name=tmax", "a.nc", "out.nc"]
    assert command == ["cdo", "-s", "-O", "-P", "2", "-b", "F32", *chain]


def hold(megabytes: int, pipe) -> None:
    """Keep memory in use until told otherwise."""
    held = np.ones(megabytes * 125_000)
    pipe.send(held[0])
    pipe.recv()


def test_memory_is_summed_over_processes(modules):
    context = get_context("spawn")
    with modules[0].peak_memory(os.getpid()) as before:
        time.sleep(0.2)
    pairs = [context.Pipe() for _ in range(2)]
    processes = [context.Process(target=hold, args=(200, theirs)) for _, theirs in pairs]
    with modules[0].peak_memory(os.getpid()) as peak:
        for process in processes:
            process.start()
        for ours, _ in pairs:
            ours.recv()
        time.sleep(0.2)
        for ours, _ in pairs:
            ours.send(None)
        for process in processes:
            process.join()
    assert peak[0] - before[0] > 390e6


def test_a_contender_that_dies_is_named_with_its_exit_code(modules, small, tmp_path):
    with pytest.raises(RuntimeError, match=r"nobody ended with exit code 1"):
        modules[0].Contender("nobody", small, 1, tmp_path)


def test_the_largest_pod_says_what_a_larger_one_takes(modules, tmp_path, monkeypatch):
    pod = importlib.import_module("data_pod")
    monkeypatch.setattr(pod, "LARGEST", (60, 400))
    found = pod.largest(tmp_path, memory_gb=0.1)
    assert (found["snapshots"], found["cells"]) == (60, 400)
    assert found["planned_seconds"] == pytest.approx(found["seconds"] * 1600)
    assert not list(tmp_path.iterdir())


def test_chunks_of_several_days_are_read_once_by_one_worker(modules, tmp_path):
    """Readers take rows of whole chunks, ten days of 8 rows; workers share whole chunks."""
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as data:
        for name, length in (("time", 35), ("y", 20), ("x", 6)):
            data.createDimension(name, length)
        data.createVariable("tmax", "f4", ("time", "y", "x"), zlib=True, chunksizes=(10, 8, 6))[:] = 1
    case = modules[1].Case("later", (str(path),), "tmax", ("y", "x"), 10, 35, (10, 8))
    shares = [case.share(number, 2) for number in range(2)]
    assert shares == [[(str(path), range(20))], [(str(path), range(20, 35))]]
    read = [part for share in shares for _, steps in share for part in modules[1].parts(case, steps)]
    assert [(days.start, days.stop) for days, _ in read[::3]] == [(0, 10), (10, 20), (20, 30), (30, 35)]
    assert [(rows.start, rows.stop) for _, rows in read[:3]] == [(0, 8), (8, 16), (16, 20)]
    assert len(read) == 12
    for reader in ("_netcdf4", "_h5py", "_zlib_ng"):
        getattr(modules[1], reader)(str(path), "tmax", read)


def test_the_bare_read_of_zlib_ng_refuses_what_it_cannot_inflate(modules, tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as data:
        for name in ("time", "y", "x"):
            data.createDimension(name, 2)
        data.createVariable("tmax", "f4", ("time", "y", "x"))[:] = 1
    with pytest.raises(RuntimeError, match=r"a\.nc: tmax has another layout"):
        modules[1]._zlib_ng(str(path), "tmax", [(slice(0, 1), slice(None))])
