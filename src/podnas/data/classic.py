"""The length that a classic netCDF file must have, by its header (NetCDF Classic Format Specification; CDF-1, 2, 5)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}


def expected_bytes(path: Path) -> int:
    """Offset of the last value's end; ValueError where the header itself is cut or unreadable."""
    with path.open("rb") as stream:
        return _Header(stream).end


class _Header:
    """Reads a header in the order in which it is stored; big-endian, names and values padded to four bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        version = stream.read(4)[3]
        self.wide = 8 if version == 5 else 4  # bytes of a count
        self.far = 4 if version == 1 else 8  # bytes of an offset
        records = self._number(self.wide)
        self.lengths = [self._dimension() for _ in range(self._list())]
        self._skip_attributes()
        variables = [self._variable() for _ in range(self._list())]
        self.end = self._end(variables, records)

    def _number(self, size: int) -> int:
        raw = self.stream.read(size)
        if len(raw) < size:
            raise ValueError("the header is cut")
        return int.from_bytes(raw, "big")

    def _list(self) -> int:
        self._number(4)  # tag
        return self._number(self.wide)

    def _skip(self, size: int) -> None:
        self.stream.seek(_padded(size), 1)

    def _dimension(self) -> int:
        self._skip(self._number(self.wide))
        return self._number(self.wide)

    def _skip_attributes(self) -> None:
        for _ in range(self._list()):
            self._skip(self._number(self.wide))
            size = self._type()
            self._skip(size * self._number(self.wide))

    def _type(self) -> int:
        kind = self._number(4)
        if kind not in BYTES_OF_TYPE:
            raise ValueError(f"the header holds the unknown type {kind}")
        return BYTES_OF_TYPE[kind]

    def _variable(self) -> tuple[int, int, bool]:
        """Offset, bytes (of one record, if it has records) and whether it has records."""
        self._skip(self._number(self.wide))
        shape = [self.lengths[self._number(self.wide)] for _ in range(self._number(self.wide))]
        self._skip_attributes()
        size = self._type()
        self._number(self.wide)  # stored size: wrong for large variables, so it is computed
        begin = self._number(self.far)
        recorded = bool(shape) and shape[0] == 0
        return begin, size * math.prod(shape[1:] if recorded else shape), recorded

    def _end(self, variables: list[tuple[int, int, bool]], records: int) -> int:
        recorded = [size for _, size, has_records in variables if has_records]
        # a single record variable is not padded between records
        stride = recorded[0] if len(recorded) == 1 else sum(map(_padded, recorded))
        ends = [begin + size for begin, size, has_records in variables if not has_records]
        if records and records != 2 ** (8 * self.wide) - 1:  # all ones: unknown, written as a stream
            ends += [begin + (records - 1) * stride + size for begin, size, has_records in variables if has_records]
        return max(ends, default=0)


def _padded(size: int) -> int:
    return -(-size // 4) * 4
