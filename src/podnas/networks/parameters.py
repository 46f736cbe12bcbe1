"""Parameters of a network as one vector in Keras's layout: their shapes, their initial values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import threadpoolctl

from podnas.networks.space import Layer

Array = np.ndarray[Any, np.dtype[Any]]
Shapes = dict[str, tuple[int, ...]]
# on busy cores, factorising a small matrix with several threads takes ten times as long as with one
_BLAS = threadpoolctl.ThreadpoolController()


def shapes(kind: str, inputs: int, units: int) -> Shapes:
    """Shapes of a layer's parameters, in the order and the layout of Keras (gates i, f, g, o)."""
    if kind in ("lstm", "output"):
        return {"kernel": (inputs, 4 * units), "recurrent": (units, 4 * units), "bias": (4 * units,)}
    if kind == "project":
        return {"kernel": (inputs, units), "bias": (units,)}
    return {}


def layer_shapes(layers: Sequence[Layer]) -> Iterator[tuple[Layer, Shapes]]:
    """Each layer with the shapes of its parameters."""
    units = {layer.name: layer.units for layer in layers}
    for layer in layers:
        yield layer, shapes(layer.kind, units[layer.inputs[0]] if layer.inputs else 0, layer.units)


def initial(layers: Sequence[Layer], seed: int) -> Array:
    """Initial parameters: Keras's defaults, drawn from NumPy's generator.

    Kernels are uniform (Glorot and Bengio 2010), recurrent kernels orthogonal (Saxe et al. 2014), biases zero but for
    the forget gate's, which is one (Jozefowicz et al. 2015).
    """
    random = np.random.default_rng(seed)
    shaped = [(layer, part, shape) for layer, parts in layer_shapes(layers) for part, shape in parts.items()]
    with _BLAS.limit(limits=1):
        parts = [_initial(*one, random) for one in shaped]
    return np.concatenate([part.ravel() for part in parts]).astype(np.float32)


def _initial(layer: Layer, part: str, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    if part == "kernel":
        limit = np.sqrt(6 / sum(shape))
        return random.uniform(-limit, limit, shape)
    if part == "recurrent":
        q, r = np.linalg.qr(random.standard_normal(shape[::-1]))
        return (q * np.sign(np.diag(r))).T
    bias = np.zeros(shape)
    if layer.kind in ("lstm", "output"):
        bias[layer.units : 2 * layer.units] = 1
    return bias


def split(layers: Sequence[Layer], parameters: Array) -> Iterator[tuple[Layer, list[Array]]]:
    """Each layer that has parameters, with its arrays as Keras's `set_weights` takes them."""
    start = 0
    for layer, parts in layer_shapes(layers):
        arrays = []
        for shape in parts.values():
            size = int(np.prod(shape))
            arrays.append(parameters[start : start + size].reshape(shape))
            start += size
        if arrays:
            yield layer, arrays
