"""Opening netCDF files that come from outside: missing, cut and damaged ones are refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from podnas.artifacts import ArtifactError
from podnas.data import classic

if TYPE_CHECKING:
    import xarray as xr

CLASSIC = b"CDF"
HDF5 = b"\x89HDF\r\n\x1a\n"
DAMAGED = "is truncated or damaged"
AGAIN = "get the file again from where it is published"


@contextmanager
def opened(path: Path, decode_times: bool = True) -> Iterator[xr.Dataset]:
    """Open a netCDF file lazily; ArtifactError where it is missing, no netCDF, cut or damaged, also on reading it."""
    import xarray as xr  # which what only plans jobs need not wait for

    check(path)
    try:
        data = xr.open_dataset(path, engine="netcdf4", decode_times=decode_times)
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"{path} {DAMAGED} ({error}); {AGAIN}") from error
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be decoded ({error}); {AGAIN}") from error
    with data:
        try:
            yield data
        except (OSError, RuntimeError) as error:
            raise ArtifactError(f"{path} {DAMAGED} ({error}); {AGAIN}") from error


def begins(chunk: bytes) -> bool:
    """Whether a netCDF file may begin so; the chunk may be shorter than its first bytes."""
    return HDF5.startswith(chunk[: len(HDF5)]) or CLASSIC.startswith(chunk[: len(CLASSIC)])


def check(path: Path) -> bool:
    """Refuse a file that is missing, no netCDF, or shorter than its header says; return whether it is HDF5 (netCDF-4).

    The netCDF library reads the lost part of a cut classic file as zeros, without a word, hence the check of lengths.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(len(HDF5))
    except OSError as error:
        raise ArtifactError(f"{path} cannot be opened ({error.strerror}); check path and permissions") from error
    if start[:3] == CLASSIC:
        _check_length(path)
    elif start != HDF5:
        raise ArtifactError(f"{path} is no netCDF file (it starts with {start!r}); {AGAIN}")
    return start == HDF5


def _check_length(path: Path) -> None:
    try:
        expected = classic.expected_bytes(path)
    except (ValueError, IndexError) as error:
        raise ArtifactError(f"{path} {DAMAGED} ({error}); {AGAIN}") from error
    size = path.stat().st_size
    if size < expected:
        raise ArtifactError(f"{path} {DAMAGED} ({size} bytes, but its header says {expected}); {AGAIN}")
