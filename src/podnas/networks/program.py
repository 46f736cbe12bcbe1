"""An architecture as the table that `kernels.py` walks: where each layer's tensors and weights lie."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from podnas.networks import kernels
from podnas.networks.kernels import DENSE, DROPOUT, LSTM, MERGE
from podnas.networks.parameters import Shapes, shapes
from podnas.networks.space import Layer
from podnas.networks.vectors import LANES

Array = np.ndarray[Any, np.dtype[Any]]
KINDS = {"lstm": LSTM, "output": LSTM, "project": DENSE, "merge": MERGE, "dropout": DROPOUT}
NONE = -1
INPUT_FIELDS = ((kernels.X, kernels.DX), (kernels.X2, kernels.DX2), (kernels.X3, kernels.DX3))


@dataclass(frozen=True)
class Program:
    """What the compiled functions need of an architecture."""

    table: Array  # (layers, kernels.FIELDS) int64
    workspace: int  # float32 numbers that training needs
    places: Array  # (parameters,) place of each parameter in the padded blocks
    padded: int  # float32 numbers of the padded blocks

    def pack(self, parameters: Array) -> Array:
        """Parameters in Keras's layout to padded blocks; what is added is zero."""
        blocks = np.zeros(self.padded, np.float32)
        blocks[self.places] = parameters
        return blocks

    def unpack(self, blocks: Array) -> Array:
        """Padded blocks to parameters in Keras's layout."""
        return blocks[self.places]


def build(layers: Sequence[Layer], steps: int, batch_size: int) -> Program:
    """The program of an architecture for windows of `steps` weeks in batches of `batch_size`."""
    width = kernels.padded_width(batch_size)
    builder = _Builder(steps * width)
    for layer in layers:
        builder.add(layer)
    return Program(
        np.array(builder.rows, dtype=np.int64).reshape(-1, kernels.FIELDS),
        builder.workspace,
        np.concatenate(builder.places),
        builder.parameters,
    )


class _Builder:
    def __init__(self, cells: int) -> None:
        self.cells = cells  # numbers of a tensor one unit wide
        self.rows: list[list[int]] = []
        self.places: list[Array] = []
        self.workspace = 0
        self.parameters = 0
        self.units: dict[str, int] = {}  # true width of each tensor
        self.value: dict[str, int] = {}
        self.slope: dict[str, int] = {}

    def add(self, layer: Layer) -> None:
        self.units[layer.name] = layer.units
        if layer.kind == "identity":
            self.value[layer.name], self.slope[layer.name] = (at[layer.inputs[0]] for at in (self.value, self.slope))
            return
        size = self.cells * kernels.padded_units(layer.units)
        self.value[layer.name] = self._take(size)
        if layer.kind == "input":
            self.slope[layer.name] = NONE
            return
        self.slope[layer.name] = self._take(size)
        self.rows.append(self._row(layer))

    def _take(self, size: int) -> int:
        start = self.workspace
        self.workspace += size
        return start

    def _row(self, layer: Layer) -> list[int]:
        if len(layer.inputs) > len(INPUT_FIELDS):
            raise ValueError(
                f"layer {layer.name} has {len(layer.inputs)} inputs, the kernels take {len(INPUT_FIELDS)}; add fields "
                "to podnas.networks.kernels or set training.engine: keras"
            )
        row = [NONE] * kernels.FIELDS
        row[kernels.KIND] = KINDS[layer.kind]
        row[kernels.INPUTS] = kernels.padded_units(self.units[layer.inputs[0]])
        row[kernels.UNITS] = kernels.padded_units(layer.units)
        for name, (x, dx) in zip(layer.inputs, INPUT_FIELDS, strict=False):
            row[x], row[dx] = self.value[name], self.slope[name]
        row[kernels.H], row[kernels.DH] = self.value[layer.name], self.slope[layer.name]
        row[kernels.WEIGHTS] = self.parameters
        row[kernels.KEY] = zlib.crc32(layer.name.encode())
        if row[kernels.KIND] == LSTM:
            # gates, cell state and its tanh at every step, and the gradient of the state
            row[kernels.CACHE] = self._take(7 * self.cells * row[kernels.UNITS])
        self._place(shapes(layer.kind, self.units[layer.inputs[0]], layer.units), row)
        return row

    def _place(self, parts: Shapes, row: list[int]) -> None:
        for part, shape in parts.items():
            rows = {"kernel": row[kernels.INPUTS], "recurrent": row[kernels.UNITS], "bias": 1}[part]
            grid = _blocks(row[kernels.KIND], rows, row[kernels.UNITS])
            true = grid[: shape[0] if len(shape) == 2 else 1]
            true = true[..., : shape[-1] // 4] if row[kernels.KIND] == LSTM else true[..., : shape[-1]]
            self.places.append(self.parameters + true.ravel())
            # the optimiser goes through the parameters a register at a time
            self.parameters += -(-grid.size // LANES) * LANES


def _blocks(kind: int, rows: int, units: int) -> Array:
    """Place of each padded parameter in blocks of four outputs: (rows, 4 gates, units) or (rows, units)."""
    if kind == LSTM:
        return np.arange(4 * units * rows).reshape(units, rows, 4).transpose(1, 2, 0)
    return np.arange(units * rows).reshape(units // 4, rows, 4).transpose(1, 0, 2).reshape(rows, units)
