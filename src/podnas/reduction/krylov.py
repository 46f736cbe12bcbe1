"""Leading eigenpairs of snapshots' Gram matrix without the matrix: block Lanczos iteration, fully reorthogonalised.

Golub and Underwood (1977); each step multiplies the anomalies X (n, p) and their transpose with a block of vectors and
costs 4 n p times the block's width floating-point operations, where the whole Gram matrix costs n^2 p.
"""

from __future__ import annotations

import numpy as np

from podnas.reduction.snapshots import Array

SPARE = 4  # vectors of a block beyond those asked for, which make the last of these converge as fast as the first
SHARE = 0.5  # of the Gram matrix's cost, after which the iteration is given up
# norm of the residual, as a share of the largest eigenvalue, at which a pair counts as found: what rounding leaves;
# an eigenvalue is off by the square of it over the gap to the next, so that ranks without a mode need far less
FOUND = {"float64": 1e-13, "float32": 3e-7}
FOUND_VALUE = 3e-7


def leading(values: Array, count: int, exact: int, width: int) -> tuple[Array, Array] | None:
    """The `count` largest eigenvalues of C X X^T C, descending, and their vectors (n, count); C removes the mean.

    The first `exact` vectors are exact but for rounding, of the others only the eigenvalues.

    values: X (n, p), float32 or float64. Products take `width` columns of X at a time in its precision and are added in
    float64. None where the iteration does not find all pairs at half of what the Gram matrix costs (a flat spectrum).
    """
    size = len(values)
    block = count + SPARE
    steps, enough = int(SHARE * size / (4 * block)), FOUND[str(values.dtype)]
    vectors = _centred(np.random.default_rng(0).standard_normal((size, block)))
    basis, images = np.empty((size, 0)), np.empty((size, 0))
    for _ in range(steps):
        # the first columns of Q span the basis again: what is new stands behind them, orthonormal whatever its rank
        new = np.linalg.qr(np.hstack([basis, vectors]))[0][:, basis.shape[1] :]
        vectors = _product(values, new, width)
        basis, images = np.hstack([basis, new]), np.hstack([images, vectors])
        small = basis.T @ images
        ritz, factors = np.linalg.eigh((small + small.T) / 2)
        ritz, factors = ritz[::-1][:count], factors[:, ::-1][:, :count]
        found = basis @ factors
        residual = np.linalg.norm(images @ factors - found * ritz, axis=0)
        if residual[:exact].max() <= enough * ritz[0] and residual.max() <= FOUND_VALUE * ritz[0]:
            return ritz, found
    return None


def trace(values: Array, width: int) -> float:
    """Trace of C X X^T C: the sum of squared anomalies from the mean."""
    squares = 0.0
    for left in range(0, values.shape[1], width):
        some = values[:, left : left + width]
        squares += float(np.einsum("tc,tc->t", some, some).sum(dtype=np.float64))
        squares -= float((some.mean(axis=0, dtype=np.float64) ** 2).sum()) * len(values)
    return squares


def _product(values: Array, vectors: Array, width: int) -> Array:
    """C X X^T C times vectors (n, k)."""
    centred = _centred(vectors).astype(values.dtype)
    product = np.zeros(vectors.shape)
    for left in range(0, values.shape[1], width):
        some = values[:, left : left + width]
        product += some @ (some.T @ centred)
    return _centred(product)


def _centred(vectors: Array) -> Array:
    centred: Array = vectors - vectors.mean(axis=0)
    return centred
