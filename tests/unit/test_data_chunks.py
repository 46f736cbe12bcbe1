"""Chunks inflated by zlib-ng, against what HDF5 makes of them."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from podnas.artifacts import ArtifactError
from podnas.data import chunks, stored

SHAPE = (3, 40, 50)
INDEX = (slice(1, 3), slice(3, 38), slice(0, 50))


def numbers(dtype: str) -> np.ndarray:
    return np.random.default_rng(0).integers(-3000, 4500, SHAPE).astype(dtype)


def write(path: Path, values: np.ndarray, **layout: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("sst", data=values, **{"chunks": (1, 16, 24), "compression": "gzip", **layout})
    return path


def read(variable: h5py.Dataset, index: tuple[int | slice, ...]) -> np.ndarray:
    shape = variable[index].shape
    out = np.empty(shape, variable.dtype.newbyteorder("="))
    assert chunks.read(variable, index, out)
    return out


@pytest.mark.parametrize("days", [1, 2])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f4", ">f4", "<i4"])
def test_the_numbers_are_those_of_hdf5(tmp_path, dtype, shuffle, days):
    path = write(tmp_path / "a.nc", numbers(dtype), shuffle=shuffle, chunks=(days, 16, 24))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(read(file["sst"], INDEX), file["sst"][INDEX])


def test_a_place_in_a_dimension_leaves_it_out(tmp_path):
    with h5py.File(write(tmp_path / "a.nc", numbers("<i2"), shuffle=True)) as file:
        index = (2, slice(0, 40), slice(7, 8))
        np.testing.assert_array_equal(read(file["sst"], index), file["sst"][index])


@pytest.mark.parametrize(
    "layout",
    [{"fletcher32": True}, {"compression": None, "chunks": None}, {"compression": "lzf"}],
    ids=["another filter", "contiguous", "another compression"],
)
def test_other_layouts_are_left_to_hdf5(tmp_path, layout):
    values = numbers("<i2")
    path = write(tmp_path / "a.nc", values, **layout)
    with h5py.File(path) as file:
        assert not chunks.read(file["sst"], INDEX, np.empty((2, 35, 50), "i2"))
    with stored.opened(path) as file:
        np.testing.assert_array_equal(file.numbers("sst", INDEX), values[INDEX])


def test_chunks_that_were_never_written_have_the_fill_value(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        sst = file.create_dataset("sst", SHAPE, "<i2", chunks=(1, 16, 24), compression="gzip", fillvalue=-999)
        sst[1] = 5
    with stored.opened(tmp_path / "a.nc") as file:
        found = file.numbers("sst", INDEX)
    assert (found[0] == 5).all()
    assert (found[1] == -999).all()


def test_a_damaged_chunk_names_the_file(tmp_path):
    path = write(tmp_path / "a.nc", numbers("<i2"), shuffle=True)
    with h5py.File(path) as file:
        place = file["sst"].id.get_chunk_info_by_coord((1, 16, 24))
    damaged = bytearray(path.read_bytes())
    damaged[place.byte_offset + place.size // 2] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(ArtifactError, match=r"a\.nc .*damaged"), stored.opened(path) as file:
        file.numbers("sst", INDEX)
