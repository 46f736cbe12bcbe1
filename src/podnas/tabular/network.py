"""Networks of one architecture, trained side by side in NumPy: float32, Adam, Gaussian likelihood.

The networks of a trial (one for each block of rows that is held out) are *lanes* of the same arrays, so that a step is
a few stacked matrix products. Parameters of all layers lie in one array (lanes, parameters): Adam's step is one.
On the same weights and batches it trains as Keras does (tests hold it to that).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from podnas.config import MlpTrainingConfig
from podnas.tabular import adam
from podnas.tabular.space import Layer
from podnas.windows import Array

BYTE = 256  # values of the random numbers that dropout is drawn by
CHUNK_ROWS = 4096  # of a forecast, so that its memory is bounded

Forward = Callable[[Array], tuple[Array, Array]]  # value of an activation, and what its slope is worked out from
Slope = Callable[[Array, Array], Array]  # from the value and that


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    made: Array = 0.5 * (1 + np.tanh(0.5 * values))
    return made


def softplus(values: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    made: Array = np.log1p(np.exp(-np.abs(values))) + np.maximum(values, 0)
    return made


def _swish(argument: Array) -> tuple[Array, Array]:
    gate = sigmoid(argument)
    return argument * gate, gate


def _plain(activation: Callable[[Array], Array]) -> Forward:
    """One whose slope follows from its value."""
    return lambda x: (made := activation(x), made)


ACTIVATIONS: dict[str, tuple[Forward, Slope]] = {
    "identity": (_plain(lambda x: x), lambda y, _: np.ones_like(y)),
    "relu": (_plain(lambda x: np.maximum(x, 0)), lambda y, _: y > 0),
    "tanh": (_plain(np.tanh), lambda y, _: 1 - y * y),
    "sigmoid": (_plain(sigmoid), lambda y, _: y * (1 - y)),
    "swish": (_swish, lambda y, gate: gate + y * (1 - gate)),
}


@dataclass(frozen=True)
class Place:
    """Where a layer's kernel and bias lie among the parameters of a lane."""

    start: int
    inputs: int
    units: int

    @property
    def end(self) -> int:
        """One past its last parameter."""
        return self.start + (self.inputs + 1) * self.units

    def kernel(self, parameters: Array) -> Array:
        """View (lanes, inputs, units)."""
        flat = parameters[:, self.start : self.end - self.units]
        return flat.reshape(len(flat), self.inputs, self.units)

    def bias(self, parameters: Array) -> Array:
        """View (lanes, 1, units)."""
        return parameters[:, None, self.end - self.units : self.end]


class Network:
    """An architecture: forward and backward over the lanes of its parameters. floor: least sigma of its head."""

    def __init__(self, layers: Sequence[Layer], floor: float) -> None:
        self.layers, self.floor = tuple(layers), np.float32(floor)
        widths = {layer.name: layer.units for layer in layers}
        self.places: dict[str, Place] = {}
        self.count = 0
        for layer in layers:
            if layer.kind == "dense":
                self.places[layer.name] = Place(self.count, widths[layer.inputs[0]], layer.units)
                self.count = self.places[layer.name].end

    def initial(self, lanes: int, random: np.random.Generator) -> Array:
        """Parameters (lanes, count): Glorot's uniform kernels, biases of 0."""
        parameters = np.zeros((lanes, self.count), np.float32)
        for place in self.places.values():
            bound = math.sqrt(6 / (place.inputs + place.units))
            place.kernel(parameters)[:] = random.uniform(-bound, bound, (lanes, place.inputs, place.units))
        return parameters

    def forecast(self, parameters: Array, features: Array) -> tuple[Array, Array]:
        """Mean and sigma (lanes, n) for features (lanes, n, features), standardised."""
        outputs = [
            self._forward(parameters, features[:, start : start + CHUNK_ROWS])[0]["output"]
            for start in range(0, features.shape[1], CHUNK_ROWS)
        ]
        whole = np.concatenate(outputs, axis=1)
        return whole[..., 0], softplus(whole[..., 1]) + self.floor

    def gradient(
        self, parameters: Array, features: Array, target: Array, beta: float, masks: dict[str, Array], into: Array
    ) -> Array:
        """Negative log likelihood (lanes,) of a batch (lanes, n); its gradient is written into an array as large.

        beta: power of the variance that each term is multiplied by, as a constant (Seitzer et al. 2022). masks: factors
        (lanes, n, units) of hidden outputs, of dropout.
        """
        values, inner = self._forward(parameters, features, masks)
        loss, slope = self._likelihood(values["output"], target, beta)
        slopes: dict[str, Array] = {"output": slope}
        for layer in reversed(self.layers[1:]):
            mine = slopes.pop(layer.name)
            if layer.kind == "sum":
                passed = [mine] * len(layer.inputs)
            else:
                mine = mine * masks[layer.name] if layer.name in masks else mine
                if layer.activation != "identity":
                    mine = mine * ACTIVATIONS[layer.activation][1](*inner[layer.name])
                passed = [self._dense_back(layer, mine, parameters, values[layer.inputs[0]], into)]
            for name, part in zip(layer.inputs, passed, strict=True):
                if name != "input":
                    slopes[name] = slopes[name] + part if name in slopes else part
        return loss

    def _forward(
        self, parameters: Array, features: Array, masks: dict[str, Array] | None = None
    ) -> tuple[dict[str, Array], dict[str, tuple[Array, Array]]]:
        """Values of all layers; of dense ones also what the slopes of their activations are worked out from."""
        values: dict[str, Array] = {"input": features}
        inner: dict[str, tuple[Array, Array]] = {}
        for layer in self.layers[1:]:
            if layer.kind == "sum":
                values[layer.name] = sum((values[name] for name in layer.inputs[1:]), values[layer.inputs[0]])
                continue
            place = self.places[layer.name]
            argument = np.matmul(values[layer.inputs[0]], place.kernel(parameters))
            argument += place.bias(parameters)
            inner[layer.name] = value, _ = ACTIVATIONS[layer.activation][0](argument)
            values[layer.name] = value * masks[layer.name] if masks and layer.name in masks else value
        return values, inner

    def _likelihood(self, output: Array, target: Array, beta: float) -> tuple[Array, Array]:
        """Loss (lanes,), and its slope with respect to the outputs (lanes, n, 2)."""
        sigma = softplus(output[..., 1]) + self.floor
        z = (target - output[..., 0]) / sigma
        weight = (sigma ** (2 * beta) if beta else np.float32(1)) / np.float32(target.shape[1])
        slope = np.empty_like(output)
        slope[..., 0] = -weight * z / sigma
        slope[..., 1] = weight * (1 - z * z) / sigma * sigmoid(output[..., 1])
        return (weight * (np.log(sigma) + 0.5 * z * z)).sum(axis=1) + 0.5 * math.log(2 * math.pi), slope

    def _dense_back(self, layer: Layer, slope: Array, parameters: Array, before: Array, into: Array) -> Array:
        """Write the gradient of a layer's kernel and bias; return the slope with respect to what came before it."""
        place = self.places[layer.name]
        np.matmul(before.transpose(0, 2, 1), slope, out=place.kernel(into))
        place.bias(into)[:, 0] = slope.sum(axis=1)
        if layer.inputs[0] == "input":
            return slope  # nobody asks for it
        passed: Array = np.matmul(slope, place.kernel(parameters).transpose(0, 2, 1))
        return passed


class Adam:
    """Adam with decoupled weight decay on all lanes, gradients scaled down to a norm, each lane by itself."""

    def __init__(self, like: Array, settings: MlpTrainingConfig) -> None:
        self.settings, self.steps = settings, 0
        self.mean, self.square = np.zeros_like(like), np.zeros_like(like)

    def rate(self) -> float:
        """Step size of the coming step."""
        share = self.steps / self.settings.updates
        return self.settings.learning_rate * (0.5 * (1 + math.cos(math.pi * share)) if self.settings.decays else 1.0)

    def step(self, parameters: Array, gradient: Array) -> None:
        """Change the parameters in place."""
        rate = self.rate()
        self.steps += 1
        factor = np.ones(len(parameters), np.float32)
        if (most := self.settings.clip_norm) is not None:
            norm = np.sqrt(np.einsum("lp,lp->l", gradient, gradient))
            factor = np.minimum(1, most / np.maximum(norm, 1e-12)).astype(np.float32)
        kept = 1 - rate * self.settings.weight_decay
        rate *= math.sqrt(1 - adam.BETA_2**self.steps) / (1 - adam.BETA_1**self.steps)
        adam.step(parameters, gradient, self.mean, self.square, factor, kept, rate)


def train(network: Network, settings: MlpTrainingConfig, features: Array, target: Array, seed: Sequence[int]) -> Array:
    """Parameters (lanes, count) after the updates, for rows (lanes, n, features) and targets (lanes, n), standardised.

    All lanes have initial weights, order of rows and dropout of their own. Raises ValueError where training diverges.
    """
    random = np.random.default_rng(seed)
    lanes, rows, _ = features.shape
    parameters = network.initial(lanes, random)
    gradient, optimiser = np.empty_like(parameters), Adam(parameters, settings)
    batch = min(settings.batch_size, rows)
    each = np.arange(lanes)[:, None]
    while optimiser.steps < settings.updates:
        order = random.permuted(np.tile(np.arange(rows), (lanes, 1)), axis=1)
        shuffled, wanted = features[each, order], target[each, order]
        for start in range(0, rows - batch + 1, batch)[: settings.updates - optimiser.steps]:
            part = slice(start, start + batch)
            masks = _masks(network, settings.dropout, lanes, batch, random)
            network.gradient(parameters, shuffled[:, part], wanted[:, part], settings.nll_beta, masks, gradient)
            optimiser.step(parameters, gradient)
    if not np.isfinite(parameters).all():
        raise ValueError("training diverged: its parameters are not finite")
    return parameters


def _masks(network: Network, dropout: float, lanes: int, rows: int, random: np.random.Generator) -> dict[str, Array]:
    if not dropout:
        return {}
    least = round(BYTE * dropout)
    factor = np.float32(BYTE / (BYTE - least))
    return {
        layer.name: (random.integers(BYTE, size=(lanes, rows, layer.units), dtype=np.uint8) >= least) * factor
        for layer in network.layers
        if layer.hidden
    }
