"""The Gram matrix of snapshots, summed over tiles of cells, and its leading eigenvectors.

Only its lower triangle is computed: the products of n snapshots of p cells cost n^2 p floating-point operations, half
of a general product. A product is in the precision of the tile; products are added in float64.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import blas, eigh
from scipy.sparse.linalg import LinearOperator, eigsh

from podnas.reduction.snapshots import Array, Snapshots, Tile

WIDTH = 8192  # cells of one product: float32 products of more would lose what summing in float64 keeps
PANEL = 1024  # rows of one product
PARTS = 4  # of the snapshots, prepared at once
ROWS = 16  # snapshots prepared at a time, in the processor's cache
GUESSES = 16  # snapshots whose mean stands for the mean until the mean is known
WHOLE = 1500  # snapshots up to which all eigenvalues are computed (one second); beyond, the leading ones
FEW = 20  # iterations find so small a share of the eigenvectors sooner than reduction of the matrix does


@dataclass(frozen=True)
class Block:
    """Anomalies (time, cell) of a tile's ocean cells times the root of the weights, and the mean by cell.

    The anomalies are from a guess of the mean, while `mean` is exact. What the guess adds to the Gram matrix, `centre`
    takes away, and eigenvectors of the centred matrix see nothing of it.
    """

    tile: Tile
    ocean: Array  # (row, column), bool
    mean: Array
    values: Array | None

    def anomalies(self) -> Array:
        """Its values; a ValueError where they were let go."""
        if self.values is None:
            raise ValueError("the values of this block were let go; read it again")
        return self.values

    def emptied(self) -> Block:
        """The same without its values."""
        return replace(self, values=None)


def work_bytes(count: int) -> int:
    """Memory that products and centring of `count` snapshots take beside the Gram matrix and a tile."""
    return 2 * min(PANEL, count) * count * 8


def block(snapshots: Snapshots, tile: Tile, weight: Array, precision: str) -> Block:
    """Read a tile of all snapshots; weight (row, column) is that of the whole grid.

    Raises ValueError where a cell has data in some snapshots only.
    """
    raw = snapshots.read(tile)
    ocean = np.isfinite(raw[0])
    cells = np.flatnonzero(ocean)
    root = np.sqrt(weight[tile][ocean]).astype(precision)
    guess = raw[:: -(-len(raw) // GUESSES)].mean(axis=0, dtype=np.float64)[ocean].astype(precision)
    values = np.empty((len(raw), len(cells)), precision)

    def prepared(part: slice) -> tuple[Array, int]:
        return _fill(values[part], raw[part].reshape(-1, ocean.size), cells, guess, root)

    with ThreadPoolExecutor(PARTS) as threads:
        totals, valid = zip(*threads.map(prepared, _parts(len(raw))), strict=True)
    total = sum(totals)
    if not np.isfinite(total).all() or (len(cells) < ocean.size and sum(valid) != values.size):
        raise ValueError(_changing(snapshots, tile, np.isfinite(raw)))
    return Block(tile, ocean, guess + total / len(raw), values)


def _parts(count: int) -> list[slice]:
    """As many runs of `count` snapshots, and the same whatever the number of cores, so that sums are the same."""
    edges = [count * part // PARTS for part in range(PARTS + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def _fill(values: Array, raw: Array, cells: Array, guess: Array, root: Array) -> tuple[Array, int]:
    """Fill values (time, cell) with anomalies times the root of the weights; their sum in time, and how many are valid.

    raw: (time, cell of the tile), of which `cells` are ocean; the anomalies of the sum are not weighted.
    """
    total, valid = np.zeros(len(cells)), 0
    for start in range(0, len(raw), ROWS):
        rows, some = raw[start : start + ROWS], values[start : start + ROWS]
        if len(cells) < raw.shape[1]:
            valid += int(np.count_nonzero(np.isfinite(rows)))
            rows = np.take(rows, cells, axis=1)
        np.subtract(rows, guess, out=some)
        total += some.sum(axis=0)
        some *= root
    return total, valid


def _changing(snapshots: Snapshots, tile: Tile, valid: Array) -> str:
    changing = valid.any(axis=0) & ~valid.all(axis=0)
    row, column = np.argwhere(changing)[0]
    part = snapshots.parts[0][:, tile[0], tile[1]]
    first = ", ".join(
        f"{name} {float(part[name][place]):g}" for name, place in zip(part.dims[1:], (row, column), strict=True)
    )
    day = snapshots.times[np.flatnonzero(~valid[:, row, column])[0]].astype("datetime64[D]")
    return (
        f"{int(changing.sum())} cells have data in some weeks and none in others (first: {first}, none on {day}); POD "
        "needs one mask: mend the field or raise field.least_valid_share"
    )


def add_product(gram: Array, values: Array) -> None:
    """Add values @ values.T to the lower triangle of gram (n, n), panel by panel; above the diagonal is not meant."""
    count, cells = values.shape
    for left in range(0, cells, WIDTH):
        some = values[:, left : left + WIDTH]
        for start in range(0, count, PANEL):
            panel = some[start : start + PANEL]
            stop = start + len(panel)
            gram[start:stop, start:stop] += panel @ panel.T  # NumPy computes half of it, by BLAS's syrk
            if start:
                gram[start:stop, :start] += panel @ some[:start].T


def centre(gram: Array) -> None:
    """Take the mean snapshot out of the lower triangle, in place: of X X^T make that of X less its column means."""
    mean = times(gram, np.ones(len(gram))) / len(gram)
    overall = mean.mean()
    for start in range(0, len(gram), PANEL):
        stop = min(start + PANEL, len(gram))
        gram[start:stop, :stop] -= mean[start:stop, None] + (mean[:stop] - overall)


def times(gram: Array, vector: Array) -> Array:
    """Product of the symmetric matrix, of which the lower triangle is read, and a vector."""
    product: Array = blas.dsymv(1.0, gram.T, vector, lower=0)
    return product


def leading(gram: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest eigenvalues, descending, and their eigenvectors (n, count); the lower triangle is read.

    Few of many come from implicitly restarted Lanczos iteration to machine precision (ARPACK), else from LAPACK.
    """
    size = len(gram)
    if size <= WHOLE or FEW * count > size:
        values, vectors = eigh(gram.T, lower=False, driver="evr", subset_by_index=[size - count, size - 1])
    else:
        operator: Any = LinearOperator((size, size), lambda vector: times(gram, vector.ravel()), dtype=np.float64)
        values, vectors = eigsh(operator, count, v0=np.random.default_rng(0).normal(size=size))
    return values[::-1], vectors[:, ::-1]
