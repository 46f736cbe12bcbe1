"""A point of the search space as a Keras model, and a member of a population as one."""

from __future__ import annotations

import keras
import numpy as np

from podnas.config import WindowsConfig
from podnas.networks import parameters
from podnas.networks.space import Layer, Point, graph
from podnas.windows import Array, Inputs, channels


def build(point: Point, steps: int, channels: int, outputs: int) -> keras.Model:
    """The untrained network: (n, steps, channels) to (n, steps, outputs); initial weights follow Keras's seed."""
    return model(graph(point, channels, outputs), steps)


def model(layers: list[Layer], steps: int, dropout: float = 0.0, noise: float = 0.0) -> keras.Model:
    """A network of these layers, with a share of dropout where they ask for it and noise on the input."""
    tensors: dict[str, keras.KerasTensor] = {}
    for layer in layers:
        inputs = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = _apply(layer, inputs, steps, dropout)
        if layer.kind == "input":
            entry = tensors[layer.name]
            tensors[layer.name] = keras.layers.GaussianNoise(noise)(entry) if noise else entry
    return keras.Model(entry, tensors["output"], name="podnas")


def _apply(layer: Layer, inputs: list[keras.KerasTensor], steps: int, dropout: float) -> keras.KerasTensor:
    match layer.kind:
        case "input":
            return keras.Input((steps, layer.units), name=layer.name)
        case "identity":
            return inputs[0]
        case "lstm" | "output":
            return keras.layers.LSTM(layer.units, return_sequences=True, name=layer.name)(inputs[0])
        case "dropout":
            return keras.layers.Dropout(dropout, name=layer.name)(inputs[0])
        case "project":
            return keras.layers.Dense(layer.units, name=layer.name)(inputs[0])
        case "merge":
            return keras.layers.ReLU(name=layer.name)(keras.layers.Add(name=f"add_{layer.name}")(inputs))


def export(point: Point, values: Array, steps: int, channels: int, outputs: int) -> keras.Model:
    """The ordinary Keras model of an architecture with these parameters: nothing tells how it was trained."""
    layers = graph(point, channels, outputs)
    network = model(layers, steps)
    put(network, layers, values)
    return network


def put(network: keras.Model, layers: list[Layer], values: Array) -> None:
    """Set a network's parameters from one vector in Keras's layout."""
    for layer, arrays in parameters.split(layers, values):
        network.get_layer(layer.name).set_weights(arrays)


def take(network: keras.Model, layers: list[Layer]) -> Array:
    """A network's parameters as one vector in Keras's layout."""
    names = [layer.name for layer, parts in parameters.layer_shapes(layers) if parts]
    arrays = [array for name in names for array in network.get_layer(name).get_weights()]
    return np.concatenate([array.ravel() for array in arrays])


def predict(network: keras.Model, inputs: Inputs, windows: WindowsConfig, output_scale: float) -> Array:
    """Standardised forecasts of n windows: (n, leads, modes); of a Gaussian head, its means."""
    output = network(channels(inputs, windows), training=False)[..., : inputs.values.shape[2]]
    forecast: Array = np.asarray(output, dtype=np.float64) * output_scale
    return forecast


def outputs(network: keras.Model, inputs: Inputs, windows: WindowsConfig) -> Array:
    """What a network gives for n windows, as it stands: (n, leads, columns)."""
    return np.asarray(network(channels(inputs, windows), training=False))
