"""A point of the search space as a Keras model."""

from __future__ import annotations

import os

# TensorFlow reads these once, when it is first imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras

from podnas.networks.space import Layer, Point, graph


def build(point: Point, steps: int, channels: int, outputs: int, output_scale: float) -> keras.Model:
    """The untrained network: (n, steps, channels) to (n, steps, outputs); initial weights follow Keras's seed.

    An LSTM's values lie in (-1, 1), standardised coefficients do not: a constant factor `output_scale` follows it.
    """
    tensors: dict[str, keras.KerasTensor] = {}
    for layer in graph(point, channels, outputs):
        inputs = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = _apply(layer, inputs, steps)
    scaled = keras.layers.Rescaling(output_scale, name="scale")(tensors["output"])
    return keras.Model(tensors["input"], scaled, name="podnas")


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
