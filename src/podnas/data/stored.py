"""The numbers of a netCDF file as they are stored, neither masked nor scaled: what coarsening sums.

netCDF-4 files are read through h5py, which opens one in a tenth of the time of the netCDF library, their chunks as they
lie on disk where they can be (`chunks`); classic files through netCDF4.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
from numpy.typing import NDArray

from podnas.artifacts import ArtifactError
from podnas.data import chunks
from podnas.data.files import AGAIN, DAMAGED, check

Numbers = NDArray[Any]
Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class Packing:
    """value = scale x number + offset; numbers equal to one of the two in `missing` are no value."""

    missing: tuple[Any, Any]
    scale: float
    offset: float


class Stored:
    """An open file; its variables and how they are packed are looked up once."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.variables: dict[str, Any] = {}
        self.packings: dict[str, Packing] = {}

    def holds(self, name: str) -> bool:
        """Whether there is a variable of that name."""
        return name in (self.file if isinstance(self.file, h5py.File) else self.file.variables)

    def variable(self, name: str) -> Any:
        """The library's own variable, with `shape` and `dtype`."""
        if name not in self.variables:
            self.variables[name] = self.file[name]
        return self.variables[name]

    def numbers(self, name: str, index: Index) -> Numbers:
        """Stored numbers, in this machine's order of bytes."""
        held = self.variable(name)
        pairs = zip(index, held.shape, strict=True)
        shape = [len(range(*part.indices(length))) for part, length in pairs if isinstance(part, slice)]
        out = np.empty(shape, self.dtype(name))
        self.fill(name, index, out)
        return out

    def fill(self, name: str, index: Index, out: Numbers) -> None:
        """Put stored numbers into `out`, an array of `dtype` or a view of one with the shape that the slices leave."""
        held = self.variable(name)
        if not (isinstance(held, h5py.Dataset) and chunks.read(held, index, out)):
            out[...] = held[index]

    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of the stored numbers, in this machine's order of bytes."""
        native: np.dtype[Any] = np.dtype(self.variable(name).dtype).newbyteorder("=")
        return native

    def attribute(self, name: str | None, attribute: str, default: Any = None) -> Any:
        """Text or number of an attribute of a variable, or of the file (None)."""
        held = self.file if name is None else self.variable(name)
        if isinstance(self.file, h5py.File):
            return _plain(held.attrs.get(attribute, default))
        return _plain(held.getncattr(attribute)) if attribute in held.ncattrs() else default

    def packing(self, name: str) -> Packing:
        """How a variable is packed. Without a declared fill value, NaN or netCDF's own marks what is missing."""
        if name not in self.packings:
            self.packings[name] = self._packing(name)
        return self.packings[name]

    def _packing(self, name: str) -> Packing:
        dtype = self.dtype(name)
        declared = [self.attribute(name, key) for key in ("_FillValue", "missing_value")]
        chosen = [value for value in declared if value is not None]
        if not chosen:
            chosen = [np.nan if dtype.kind == "f" else netCDF4.default_fillvals[dtype.str[1:]]]
        return Packing(
            missing=(dtype.type(chosen[0]), dtype.type(chosen[-1])),
            scale=float(self.attribute(name, "scale_factor", 1.0)),
            offset=float(self.attribute(name, "add_offset", 0.0)),
        )


@contextmanager
def opened(path: Path) -> Iterator[Stored]:
    """Open a netCDF file; ArtifactError where it is missing, no netCDF, cut or damaged, also on reading it."""
    hdf5 = check(path)
    try:
        if hdf5:
            with h5py.File(path, "r") as file:
                yield Stored(file)
        else:
            with netCDF4.Dataset(path) as file:
                file.set_auto_maskandscale(False)
                yield Stored(file)
    except (OSError, RuntimeError, KeyError) as error:  # h5py: KeyError where an object's header is damaged
        raise ArtifactError(f"{path} {DAMAGED} ({error}); {AGAIN}") from error


def _plain(value: Any) -> Any:
    """Texts as str, arrays of one value as that value."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode() if isinstance(value, bytes) else value
