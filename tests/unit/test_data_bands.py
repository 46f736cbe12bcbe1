"""Days read in bands of chunk rows: every chunk is inflated once, memory is bounded, the field does not change."""

import tracemalloc
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from podnas.config import FieldConfig, SourceConfig
from podnas.data import bands, chunks, field, headers, reading, remap, synthetic_daymet
from podnas.data.lambert import Lambert
from podnas.data.stored import Packing

ROWS, COLUMNS, DAYS = 70, 50, 35
SOURCE = SourceConfig(kind="path", files=("*.nc",), variable="tmax")
OF_YEAR = FieldConfig(weeks="of_year", beyond_edge=True, least_valid_share=0.01)


def daymet(folder: Path, chunk: tuple[int, int, int], year: int = 2021, shape=(DAYS, ROWS, COLUMNS)) -> Path:
    """A file of DayMet's kind in chunks of any size; the numbers do not depend on these."""
    days, rows, columns = shape
    values = np.random.default_rng(0).normal(10, 5, shape).astype("f4")
    values[:, :, :7] = -9999
    path = folder / f"daymet_v4_daily_na_tmax_{year}.nc"
    made = xr.Dataset(
        {
            "tmax": (("time", "y", "x"), values, {"units": "degrees C", "grid_mapping": "lambert_conformal_conic"}),
            "lambert_conformal_conic": ((), np.int16(0), synthetic_daymet.PROJECTION),
        },
        {
            "time": ("time", np.arange(days) + 0.5, {"units": f"days since {year}-01-01", "calendar": "standard"}),
            "y": ("y", 1e6 - 1000.0 * np.arange(rows), {"units": "m"}),
            "x": ("x", 1e5 + 1000.0 * np.arange(columns), {"units": "m"}),
        },
    )
    layout = {"zlib": True, "shuffle": True, "chunksizes": chunk, "_FillValue": np.float32(-9999)}
    made.to_netcdf(path, engine="netcdf4", encoding={"tmax": layout})
    return path


def build(path: Path, **config: object) -> xr.Dataset:
    return field.build([path], None, SOURCE, OF_YEAR.model_copy(update={"coarsen": 10, **config}))


@pytest.fixture
def inflated(monkeypatch):
    """How often each chunk is inflated, by where it begins."""
    counted: Counter[tuple[int, ...]] = Counter()
    inflate = chunks._chunk

    def counting(variable: h5py.Dataset, place: tuple[int, ...], shuffled: bool) -> np.ndarray | None:
        counted[place] += 1
        return inflate(variable, place, shuffled)

    monkeypatch.setattr(chunks, "_chunk", counting)
    return counted


@pytest.mark.parametrize(
    "config", [{}, {"coarsen": 7}, {"cell_size": 12.5}, {"cell_size": 3.3}], ids=["10", "7", "12.5 km", "3.3 km"]
)
@pytest.mark.parametrize("values", [1, 10 * 20 * COLUMNS, 10**9], ids=["a chunk row", "two rows", "everything"])
def test_chunks_of_ten_days_are_inflated_once_and_give_the_field_of_chunks_of_a_day(
    tmp_path, monkeypatch, inflated, config, values
):
    (tmp_path / "days").mkdir()
    expected = build(daymet(tmp_path / "days", (1, ROWS, COLUMNS)), **config)["tmax"].values
    inflated.clear()
    # a chunk row of all ten days always fits here: 10 x 15 x 50 numbers
    monkeypatch.setattr(bands, "VALUES", max(values, 10 * 15 * COLUMNS))
    found = build(daymet(tmp_path, (10, 15, 20)), **config)["tmax"].values
    np.testing.assert_allclose(found, expected, rtol=2e-7)
    assert np.isfinite(found).any()
    assert set(inflated.values()) == {1}
    assert len(inflated) == 4 * 5 * 3


def test_chunks_of_ten_days_are_inflated_once_by_all_workers_together(tmp_path, monkeypatch):
    """Shares of days never cut a chunk, however few numbers a worker is given at a time."""
    path = daymet(tmp_path, (10, 15, 20))
    job, weeks = asked(path, monkeypatch)
    monkeypatch.setattr(reading, "BATCH_VALUES", 1)
    shares = reading._shares(weeks, ROWS * COLUMNS)
    assert [[step for _, _, step in share] for share in shares] == [
        list(range(first, min(first + 10, DAYS))) for first in range(0, DAYS, 10)
    ]
    with reading.pool(2) as executor:
        spread = list(reading.read(job, weeks, executor))
    np.testing.assert_array_equal(spread, list(reading.read(job, weeks, None)))


def asked(path: Path, monkeypatch) -> tuple[reading.Reading, list[reading.Pieces]]:
    """What `field.build` has read."""
    held: list[tuple[reading.Reading, list[reading.Pieces]]] = []
    read = reading.read
    with monkeypatch.context() as patch:
        patch.setattr(reading, "read", lambda *given: held.append(given[:2]) or read(*given))
        build(path)
    return held[0]


def test_chunks_that_are_too_large_are_inflated_again_and_told(tmp_path, monkeypatch, inflated, caplog):
    expected = build(daymet(tmp_path, (10, 15, 20)))["tmax"].values
    inflated.clear()
    monkeypatch.setattr(bands, "VALUES", 4 * 15 * COLUMNS)
    np.testing.assert_allclose(build(tmp_path / "daymet_v4_daily_na_tmax_2021.nc")["tmax"].values, expected, rtol=2e-7)
    assert max(inflated.values()) == 3
    assert "chunks of 10 days, of which 4 fit into memory: they are inflated 3 times each" in caplog.text


def header(chunk: tuple[int, int, int], rows: int, columns: int) -> headers.Header:
    return headers.Header(
        path=Path("a.nc"),
        axes=("y", "x"),
        stored_axes=("y", "x"),
        rows=-1000.0 * np.arange(rows),
        columns=1000.0 * np.arange(columns),
        dims=("time", "y", "x"),
        shape=(365, rows, columns),
        chunks=chunk,
        days=np.datetime64("2021-01-01") + np.arange(365),
        data_kind="real",
        title="",
        product="Daymet V4",
        projection=Lambert(),
    )


@pytest.mark.parametrize("chunk", [(10, 300, 300), (1, 1000, 1000), (1, 1, 1), (365, 20, 20)])
def test_the_full_grid_is_held_in_bands_of_bounded_size(chunk):
    """The two layouts of DayMet, no chunks, chunks of a year: no band of the full grid is larger than the bound."""
    rows, columns = synthetic_daymet.ROWS, synthetic_daymet.COLUMNS
    held = header(chunk, rows, columns)
    days = bands.days_together(held, rows, columns)
    assert days == {10: 10, 365: 153}.get(chunk[0], days)
    begins = 10 * np.arange(-(-rows // 10))
    asked, read = [], []

    class Asked(bands.Kept):
        def array(self, shape, dtype):
            asked.append(int(np.prod(shape)) * dtype.itemsize)
            return super().array(shape, dtype)  # nothing is put into it, so it takes no memory

    def fill(part: slice, out: np.ndarray) -> None:
        read.append(part)
        assert out.shape == (days, part.stop - part.start, columns)

    spans = begins, np.minimum(begins + 10, rows)
    made = list(bands.bands(held, 0, (days, rows, columns), np.dtype("f4"), spans, fill, Asked()))
    assert asked[0] <= 4 * (bands.VALUES + days * 10 * columns) < 150e6
    assert [part.start for part in read] == [0, *(part.stop for part in read[:-1])]
    assert read[-1].stop == rows
    assert [part.start for _, part in made] == [0, *(part.stop for _, part in made[:-1])]
    assert made[-1][1].stop == len(begins)


@pytest.mark.parametrize("size_km", [4.0, 12.5])
def test_remapping_the_full_grid_asks_for_bounded_memory(size_km):
    """Overlaps of all cells, and a band of a day: of the order of the coarse grid, and 60 bytes a number."""
    rows, columns = synthetic_daymet.ROWS, synthetic_daymet.COLUMNS
    axes = -1000.0 * np.arange(rows), 1000.0 * np.arange(columns)
    tracemalloc.start()
    try:
        target = remap.overlaps(*axes, 1000 * size_km, 0.5, False)
        before = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        mean = target.mean()
        coarse = slice(0, int(np.searchsorted(target.spans[1], 300, side="right")))
        numbers = np.ones((int(target.spans[1][coarse][-1]), columns), "f4")
        target.add(numbers, Packing((np.float32(-9999),) * 2, 1.0, 0.0), mean, coarse)
        peak = tracemalloc.get_traced_memory()[1] - before[0]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(mean.total[coarse, :-1], 1, rtol=1e-12)
    field_bytes = mean.total.nbytes + mean.held.nbytes
    assert before[1] < 3 * target.least.nbytes + 20e6
    assert peak - field_bytes < 60 * numbers.size
