"""POD of fields on disk, in float32 and on a cluster, against POD of the same field in memory."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from distributed import Client, LocalCluster

from podnas import artifacts
from podnas.cluster.limits import Limits
from podnas.cluster.site import SiteConfig
from podnas.config import PodConfig
from podnas.reduction import cluster, gram, krylov, pod, snapshots

ROWS, COLUMNS = 40, 60


def config(**changes: object) -> PodConfig:
    return PodConfig.model_validate({"modes": 5, "weights": "area", "train_last": "2030-01-01", **changes})


def field(weeks: int = 120, shape: tuple[int, int] = (ROWS, COLUMNS), seed: int = 0) -> xr.Dataset:
    """An annual cycle, some slower patterns and noise about a mean of 15 degrees; land in a corner and at random."""
    random = np.random.default_rng(seed)
    patterns = random.normal(size=(8, *shape))
    series = random.normal(size=(weeks, 8)).cumsum(axis=0) * 0.5 ** np.arange(8) / 3
    series[:, 0] = 5 * np.sin(2 * np.pi * np.arange(weeks) / 52)
    values = 15 + np.tensordot(series, patterns, 1) + random.normal(size=(weeks, *shape)) * 0.3
    land = random.random(shape) < 0.2
    land[: shape[0] // 3, : shape[1] // 2] = True
    values[:, land] = np.nan
    time = pd.date_range("2000-01-02", periods=weeks, freq="7D")
    area = np.broadcast_to(np.cos(np.linspace(-1.2, 1.2, shape[0]))[:, None] * 1e10, shape)
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values.astype(np.float32), {"units": "degree_Celsius"}),
            "cell_area": (("lat", "lon"), area, {"units": "m2"}),
            "segment": ("time", np.zeros(weeks, dtype=np.int32)),
        },
        {
            "time": time,
            "lat": np.linspace(-69, 69, shape[0]),
            "lon": np.arange(shape[1], dtype=float),
            "time_bounds": (("time", "bounds"), np.stack([time, time + pd.Timedelta(days=7)], axis=1)),
        },
        {"data_kind": "twin", "title": "made up"},
    )


def stored(path: Path, weekly: xr.Dataset, chunks: tuple[int, int, int]) -> Path:
    weekly.to_netcdf(path, encoding={"sst": {"chunksizes": chunks, "zlib": True, "complevel": 1}})
    return path


def memory_gb(weekly: xr.Dataset, cells: int) -> float:
    """The bound that allows tiles of so many cells."""
    weeks = weekly.sizes["time"]
    return (gram.work_bytes(weeks) + (cells + 0.5) * weeks * 12) / 1e9


def assert_same(found: xr.Dataset, expected: xr.Dataset, tolerance: float = 1e-9) -> None:
    assert found.attrs.keys() == expected.attrs.keys()
    for name in expected.data_vars:
        scale = float(np.nanmax(np.abs(expected[name].values)))
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize(
    ("chunks", "cells"),
    [
        ((120, 10, 60), 600),  # bands of whole rows
        ((60, 10, 20), 250),  # tiles of one chunk in each direction
        ((120, 7, 11), 900),  # chunks that do not divide the grid
        ((1, 40, 60), 300),  # a chunk a week: rewritten first
        ((30, 40, 60), 2400),  # the whole field at once
    ],
)
def test_a_field_on_disk_gives_the_basis_and_coefficients_of_the_field_in_memory(tmp_path, chunks, cells):
    weekly = field()
    path = stored(tmp_path / "field.nc", weekly, chunks)
    bounded = config(memory_gb=memory_gb(weekly, cells), train_last="2001-09-01")
    expected = pod.fit(weekly, config(train_last="2001-09-01"))
    with artifacts.open_field(path) as opened:
        basis = pod.fit(opened, bounded, scratch=tmp_path)
        assert_same(basis, expected)
        assert_same(pod.project(opened, basis, bounded.memory_gb), pod.project(weekly, expected))
    assert list(tmp_path.iterdir()) == [path]


def test_the_modes_are_those_of_the_singular_value_decomposition():
    weekly = field()
    basis = pod.fit(weekly, config())
    ocean = np.isfinite(weekly.sst.values[0])
    snapshots_ = weekly.sst.values[:, ocean].astype(float)
    root = np.sqrt(weekly.cell_area.values[ocean] / weekly.cell_area.values[ocean].mean())
    _, singular, right = np.linalg.svd((snapshots_ - snapshots_.mean(axis=0)) * root, full_matrices=False)
    np.testing.assert_allclose(basis.variance, singular[:5] ** 2 / 120, rtol=1e-10)
    modes = basis.modes.values[:, ocean] * root
    np.testing.assert_allclose(np.abs((modes * right[:5]).sum(axis=1)), 1, rtol=1e-10)


def test_yearly_files_are_one_field(tmp_path):
    weekly = field(156)
    years = [weekly.isel(time=slice(52 * k, 52 * k + 52)) for k in range(3)]
    paths = [stored(tmp_path / f"{k}.nc", year, (52, 10, 60)) for k, year in enumerate(years)]
    opened = [artifacts.open_field(path) for path in paths]
    basis = pod.fit(opened, config(memory_gb=memory_gb(weekly, 700), train_last="2001-06-01"))
    assert_same(basis, pod.fit(weekly, config(train_last="2001-06-01")))
    assert_same(pod.project(opened, basis, 1e-4), pod.project(weekly, basis))


def test_years_out_of_order_are_refused_by_name(tmp_path):
    weekly = field(104)
    paths = [
        stored(tmp_path / name, weekly.isel(time=part), (52, 10, 60))
        for name, part in (("late.nc", slice(52, 104)), ("early.nc", slice(0, 53)))
    ]
    opened = [artifacts.open_field(path) for path in paths]
    with pytest.raises(ValueError, match=r"2000-01-02 comes after 2001-12-23.*late\.nc, .*early\.nc"):
        pod.fit(opened, config())
    with pytest.raises(ValueError, match="2000-12-31 comes after 2000-12-31"):
        pod.fit(opened[::-1], config())


def test_a_year_on_another_grid_is_refused_by_name(tmp_path):
    paths = [
        stored(tmp_path / "first.nc", field(52), (52, 10, 60)),
        stored(
            tmp_path / "shifted.nc",
            field(104).isel(time=slice(52, 104)).assign_coords(lon=np.arange(60.0) + 0.5),
            (52, 10, 60),
        ),
    ]
    with pytest.raises(ValueError, match=r"shifted\.nc is on another grid than .*first\.nc \(lon differs\)"):
        pod.fit([artifacts.open_field(path) for path in paths], config())


def test_memory_stays_below_the_bound(tmp_path):
    weekly = field(400, (160, 200))
    path = stored(tmp_path / "field.nc", weekly, (400, 10, 50))
    held = weekly.sst.nbytes
    bounded = config(memory_gb=held / 4e9)
    matrix = 400**2 * 8
    kept = 5 * 160 * 200 * 8 * 3  # modes, and what is made of them
    del weekly
    with artifacts.open_field(path) as opened:
        tracemalloc.start()
        basis = pod.fit(opened, bounded)
        fitting = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        pod.project(opened, basis, bounded.memory_gb)
        projecting = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert bounded.memory_gb * 1e9 + kept > max(fitting - matrix, projecting)
    assert held > max(fitting - matrix, projecting)


def test_a_bound_below_one_cell_is_refused():
    with pytest.raises(ValueError, match=r"pod.memory_gb is 1e-06, but .* take .* GB; set pod.memory_gb >= "):
        pod.fit(field(), config(memory_gb=1e-6))


def test_no_disk_for_a_copy_is_refused(tmp_path, monkeypatch):
    weekly = field()
    path = stored(tmp_path / "field.nc", weekly, (1, 40, 60))
    monkeypatch.setattr(snapshots.shutil, "disk_usage", lambda folder: type("", (), {"free": 1000})())
    with artifacts.open_field(path) as opened, pytest.raises(ValueError, match=r"GB free, but rewriting .* raise that"):
        pod.fit(opened, config(memory_gb=memory_gb(weekly, 300)), scratch=tmp_path)


def test_a_gap_on_disk_is_refused_with_its_cell_and_day(tmp_path):
    weekly = field()
    weekly.sst.values[7, 39, 59] = np.nan if np.isfinite(weekly.sst.values[7, 39, 59]) else 3
    row, column = np.argwhere(np.isfinite(weekly.sst.values[0]))[-2]
    weekly.sst.values[:, 39, 59] = np.nan
    weekly.sst.values[7, row, column] = np.nan
    path = stored(tmp_path / "field.nc", weekly, (120, 10, 60))
    found = rf"1 cells have data in some weeks .*lat {weekly.lat.values[row]:g}, lon {column}, none on 2000-02-20"
    with artifacts.open_field(path) as opened, pytest.raises(ValueError, match=found):
        pod.fit(opened, config(memory_gb=memory_gb(weekly, 600)))


def test_a_packed_field_is_refused_by_name(tmp_path):
    path = tmp_path / "packed.nc"
    field().to_netcdf(path, encoding={"sst": {"dtype": "i2", "scale_factor": 0.01, "_FillValue": -999}})
    with pytest.raises(artifacts.ArtifactError, match=r"packed\.nc: sst is packed"):
        artifacts.open_field(path)


@pytest.mark.parametrize("weights", ["area", "none"])
def test_float32_agrees_with_float64_to_1e_5_in_the_leading_coefficients(weights):
    weekly = field(300, (100, 120))
    exact = pod.fit(weekly, config(weights=weights))
    quick = pod.fit(weekly, config(weights=weights, precision="float32"))
    theirs, ours = pod.project(weekly, exact).coefficient.values, pod.project(weekly, quick).coefficient.values
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()
    np.testing.assert_allclose(quick.variance, exact.variance, rtol=1e-6)
    np.testing.assert_allclose(quick["mean"], exact["mean"], rtol=1e-6)


def test_many_snapshots_have_the_leading_eigenpairs(monkeypatch):
    weekly = field(300)
    expected = pod.fit(weekly, config())
    monkeypatch.setattr(gram, "WHOLE", 100)
    monkeypatch.setattr(gram, "FEW", 10)
    found = pod.fit(weekly, config())
    assert found.sizes["rank"] == pod.SHOWN
    assert_same(found.drop_dims("rank"), expected.drop_dims("rank"))
    np.testing.assert_allclose(found.spectrum, expected.spectrum[: pod.SHOWN], rtol=1e-9)


def test_enough_of_many_snapshots_eigenpairs_for_a_share_of_variance(monkeypatch):
    weekly = field(300)
    wanted = config(modes=None, captured_variance=float(pod.fit(weekly, config()).spectrum[:50].sum()) - 1e-9)
    expected = pod.fit(weekly, wanted)
    monkeypatch.setattr(gram, "WHOLE", 100)
    found = pod.fit(weekly, wanted)
    assert found.sizes["mode"] == expected.sizes["mode"] == 50 > pod.SHOWN
    np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-9)


def steep(weeks: int) -> xr.Dataset:
    """40 patterns of decaying size and little noise on a grid with land."""
    random = np.random.default_rng(0)
    weekly = field(weeks, (15, 20))
    ocean = np.where(np.isfinite(weekly.sst[0]), 1, np.nan)
    series = random.normal(size=(weeks, 40)) * 5 * 0.7 ** np.arange(40)
    values = 15 + np.tensordot(series, random.normal(size=(40, *ocean.shape)), 1) * ocean
    values += 1e-3 * random.normal(size=values.shape)
    return weekly.assign(sst=weekly.sst.copy(data=values.astype(np.float32)))


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_iteration_finds_the_leading_ranks_of_many_snapshots(monkeypatch, precision, tolerance):
    weekly = steep(gram.WHOLE + 100)
    expected = pod.fit(weekly, config(memory_gb=memory_gb(weekly, 200)))  # in tiles
    monkeypatch.setattr(pod, "_summed", None)
    found = pod.fit(weekly, config(precision=precision))
    assert found.sizes["rank"] == pod.SHOWN
    np.testing.assert_allclose(found.variance, expected.variance, rtol=tolerance)
    np.testing.assert_allclose(found.spectrum, expected.spectrum, rtol=0, atol=tolerance)
    assert found.captured_variance == pytest.approx(expected.captured_variance, rel=tolerance)
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-6)
    np.testing.assert_allclose(found.modes, expected.modes, rtol=0, atol=100 * tolerance * np.nanmax(expected.modes))


def test_a_flat_spectrum_is_left_to_the_gram_matrix():
    values = np.random.default_rng(0).normal(size=(gram.WHOLE + 1, 2000))
    assert krylov.leading(values, pod.SHOWN, 5, gram.WIDTH) is None
    weekly = field(gram.WHOLE + 1, (15, 20))  # beyond eight patterns, noise alone
    expected = pod.fit(weekly, config(memory_gb=memory_gb(weekly, 200)))
    assert_same(pod.fit(weekly, config()), expected)


def test_fewer_ranks_than_asked_for_come_with_zeros():
    random = np.random.default_rng(0)
    values = random.normal(size=(gram.WHOLE, 3)) @ random.normal(size=(3, 50))
    found, vectors = krylov.leading(values, pod.SHOWN, 3, 20)
    singular = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(found[:3], singular[:3] ** 2)
    np.testing.assert_allclose(found[3:], 0, atol=1e-10 * found[0])
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(pod.SHOWN), atol=1e-12)
    assert krylov.trace(values, 20) == pytest.approx((singular**2).sum())


def test_products_and_centring_are_those_of_the_whole_matrix(monkeypatch):
    monkeypatch.setattr(gram, "PANEL", 7)
    monkeypatch.setattr(gram, "WIDTH", 13)
    values = np.random.default_rng(0).normal(size=(30, 50)) + 3
    matrix = np.zeros((30, 30))
    gram.add_product(matrix, values[:, :20])
    gram.add_product(matrix, values[:, 20:])
    np.testing.assert_allclose(np.tril(matrix), np.tril(values @ values.T))
    gram.centre(matrix)
    anomalies = values - values.mean(axis=0)
    np.testing.assert_allclose(np.tril(matrix), np.tril(anomalies @ anomalies.T), atol=1e-10)


@pytest.mark.parametrize("cells", [1, 10, 35, 200, 4000])
@pytest.mark.parametrize("chunk", [(1, 1), (4, 5), (7, 20), (40, 1)])
def test_tiles_cover_the_grid_once_in_whole_chunks(tmp_path, cells, chunk):
    path = stored(tmp_path / "field.nc", field(2), (2, *chunk))
    with artifacts.open_field(path) as opened:
        tiles = snapshots.of([opened]).tiles(cells)
    if chunk[0] * chunk[1] > cells:
        assert tiles == []
        return
    seen = np.zeros((ROWS, COLUMNS), int)
    for rows, columns in tiles:
        seen[rows, columns] += 1
        assert rows.start % chunk[0] == columns.start % chunk[1] == 0
        assert (rows.stop - rows.start) * (columns.stop - columns.start) <= cells
    assert (seen == 1).all()


@pytest.mark.parametrize("values", [1, 700, 5000, 10**6])
def test_boxes_cover_all_snapshots_once(tmp_path, values):
    path = stored(tmp_path / "field.nc", field(50), (8, 7, 20))
    seen = np.zeros((50, ROWS, COLUMNS), int)
    with artifacts.open_field(path) as opened:
        for times, (rows, columns) in snapshots.of([opened]).boxes(values):
            seen[times, rows, columns] += 1
            assert seen[times, rows, columns].size <= max(values, 8 * 7 * 20)
    assert (seen == 1).all()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    workers = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with workers, cluster.connect(config(cluster=workers.scheduler_address)) as connected:
        assert connected is not None
        connected.wait_for_workers(2)
        yield connected


@pytest.mark.parametrize("chunks", [(120, 10, 60), (1, 40, 60)])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_cluster_gives_the_same(tmp_path, client, chunks, precision):
    weekly = field()
    path = stored(tmp_path / "field.nc", weekly, chunks)
    bounded = config(memory_gb=memory_gb(weekly, 600), precision=precision)
    tolerance = {"float64": 1e-9, "float32": 1e-5}[precision]
    with artifacts.open_field(path) as opened:
        basis = pod.fit(opened, bounded, client, tmp_path)
        alone = pod.fit(opened, bounded, scratch=tmp_path)
        assert_same(basis, alone, tolerance)
        assert_same(pod.project(opened, basis, 1e-4, client), pod.project(opened, alone, 1e-4), tolerance)


def test_a_worker_names_the_gap_that_it_finds(tmp_path, client):
    weekly = field()
    row, column = np.argwhere(np.isfinite(weekly.sst.values[0]))[-1]
    weekly.sst.values[7, row, column] = np.nan
    path = stored(tmp_path / "field.nc", weekly, (120, 10, 60))
    with artifacts.open_field(path) as opened, pytest.raises(ValueError, match="1 cells have data in some weeks"):
        pod.fit(opened, config(memory_gb=memory_gb(weekly, 600)), client)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 1)
    with (
        pytest.raises(ValueError, match=r"at pod\.cluster tcp://127\.0\.0\.1:9 \(.*start one .*tcp://host:port"),
        cluster.connect(config(cluster="tcp://127.0.0.1:9")),
    ):
        pass


def test_opening_reads_no_values(tmp_path):
    path = stored(tmp_path / "field.nc", field(), (120, 10, 60))
    with artifacts.open_field(path) as opened:
        assert not opened.sst.variable._in_memory
        np.testing.assert_array_equal(opened.sst.values, netCDF4.Dataset(path)["sst"][:].filled(np.nan))
        assert not opened.sst.variable._in_memory


def test_workers_on_slurm_are_what_the_site_has():
    here = SiteConfig(account="climate", partition="long", qos="high", most_minutes=90, dask_cores=4)
    asked = cluster.workers_asked_for(config(memory_gb=2.0), here, Limits())
    assert asked["memory"] == "12000MB"  # four processes of 2 GB with headroom of .3, and .4 GB of libraries
    assert (asked["cores"], asked["processes"], asked["walltime"]) == (4, 4, "01:30:00")
    assert (asked["queue"], asked["account"], asked["job_extra_directives"]) == ("long", "climate", ["--qos=high"])
    assert asked["python"] == sys.executable
    assert cluster.workers_asked_for(config(memory_gb=2.0), SiteConfig(), Limits())["walltime"] == "02:00:00"
    short = cluster.workers_asked_for(config(memory_gb=2.0), SiteConfig(), Limits(minutes=45))
    assert short["walltime"] == "00:45:00"
    with pytest.raises(
        ValueError, match=r"asks for 6000 MB, but a job may have 4000; lower dask_cores .* pod\.memory_gb"
    ):
        cluster.workers_asked_for(config(memory_gb=2.0), SiteConfig(), Limits(4000))
    with pytest.raises(ValueError, match=r"asks for 2 cores, but a job may have 1"):
        cluster.workers_asked_for(config(memory_gb=0.1), SiteConfig(), Limits(cores=1))


@pytest.mark.parametrize("address", ["tcp://nohost", "foo://host:8786"])
def test_an_address_of_another_form_names_the_form(address):
    refused = pytest.raises(ValueError, match=r"pod\.cluster .*in the form tcp://host:port")
    with refused, cluster.connect(config(cluster=address)):
        pass
