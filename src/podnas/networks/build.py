"""A point of the search space as a Keras model."""

from __future__ import annotations

import keras

from podnas.networks.space import Layer, Point, graph


def build(point: Point, steps: int, channels: int, outputs: int) -> keras.Model:
    """The untrained network: (n, steps, channels) to (n, steps, outputs); initial weights follow Keras's seed."""
    tensors: dict[str, keras.KerasTensor] = {}
    for layer in graph(point, channels, outputs):
        inputs = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = _apply(layer, inputs, steps)
    return keras.Model(tensors["input"], tensors["output"], name="podnas")


def _apply(layer: Layer, inputs: list[keras.KerasTensor], steps: int) -> keras.KerasTensor:
    match layer.kind:
        case "input":
            return keras.Input((steps, layer.units), name=layer.name)
        case "identity":
            return inputs[0]
        case "lstm" | "output":
            return keras.layers.LSTM(layer.units, return_sequences=True, name=layer.name)(inputs[0])
        case "project":
            return keras.layers.Dense(layer.units, name=layer.name)(inputs[0])
        case "merge":
            return keras.layers.ReLU(name=layer.name)(keras.layers.Add(name=f"add_{layer.name}")(inputs))
