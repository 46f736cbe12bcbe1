"""Networks that classify weeks to come: convolutions, then LSTMs, then a logit for each lead and event.

The fusion study's builder and its losses: cross-entropy, focal (Lin et al. 2017) and hinge, each with both classes
alike (balanced) or not. Trained one at a time by Keras: the population trainer has no kernel for convolutions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, OrdinalHyperparameter
from keras import ops

from podnas.windows import Array, Inputs, harmonics

HARMONICS = 2  # annual harmonics of the input weeks, beside the anomaly
KERNEL_WEEKS = 3
FOCUS = 2.0  # gamma of the focal loss
LOSSES = tuple(f"{kind}{balance}" for kind in ("cross", "focal", "hinge") for balance in ("", "_balanced"))
REPEATS = 3  # of a timed forecast, the least of which counts
# the fusion study's Table I at no more than six values a dimension; its lengths, rates and the upper ends of its sizes,
# layers and epochs at the scale of records of a thousand windows
CHOICES: Mapping[str, tuple[float, ...]] = {
    "batch": (32, 64, 128, 256),
    "dense_size": (32, 64, 128, 256),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "length": (8, 16, 32),
    "lr": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "lr_decay": (0.9, 0.93, 0.96, 0.98, 1.0),
    "momentum": (0.9, 0.93, 0.96, 0.98, 0.99),
    "filters": (32, 64, 128),
    "conv_layers": (1, 2, 3),
    "epochs": (4, 8, 16, 32),
    "regularisation": (0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0),
    "rnn_layers": (1, 2),
    "rnn_size": (32, 64, 128),
}
PLAIN: Mapping[str, Any] = {
    "batch": 64,
    "dense_size": 64,
    "dropout": 0.0,
    "length": 16,
    "lr": 1e-3,
    "lr_decay": 1.0,
    "momentum": 0.9,
    "filters": 32,
    "conv_layers": 1,
    "epochs": 8,
    "regularisation": 0.0,
    "rnn_layers": 1,
    "rnn_size": 32,
    "loss": "cross",
}  # the network that nobody has searched

Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Block:
    """What one fit takes: features (n, steps, channels) of windows fitted on, held out and of the test."""

    fit: Array
    outcome: Array  # of the windows fitted on (n, outputs), 0 or 1
    held: Array
    test: Array


@dataclass(frozen=True)
class Trained:
    """What a network says, fitted without each block in turn, and what all of its fits took."""

    held: Array  # logits of the held-out windows of all blocks, in order (n, outputs)
    test: Array  # logits of the test windows by each fit (blocks, n, outputs)
    parameters: int
    epochs: int  # of each fit
    fit_seconds: float
    inference_seconds: float  # of one window by all fits, many forecast together
    error: str | None = None


def space() -> ConfigurationSpace:
    """All hyperparameters as ordered choices, and the loss."""
    made = ConfigurationSpace(name="classifier")
    made.add([OrdinalHyperparameter(name, list(values)) for name, values in CHOICES.items()])
    made.add([CategoricalHyperparameter("loss", list(LOSSES))])
    return made


def features(inputs: Inputs, climatology: Array, scale: float) -> Array:
    """Anomalies over their spread, and the season of each input week: (n, steps, 1 + 2 harmonics) float32."""
    anomalies = (inputs.values - climatology) / scale
    made: Array = np.concatenate([anomalies, harmonics(inputs.centres, HARMONICS)], axis=-1).astype(np.float32)
    return made


def network(point: Mapping[str, Any], channels: int, outputs: int) -> keras.Model:
    """The untrained network: (n, length, channels) to logits (n, outputs)."""
    shrink = keras.regularizers.L2(point["regularisation"]) if point["regularisation"] else None
    entry = value = keras.Input((int(point["length"]), channels))
    for _ in range(int(point["conv_layers"])):
        value = keras.layers.Conv1D(
            int(point["filters"]), KERNEL_WEEKS, padding="causal", activation="relu", kernel_regularizer=shrink
        )(value)
    for layer in range(int(point["rnn_layers"])):
        last = layer + 1 == int(point["rnn_layers"])
        value = keras.layers.LSTM(int(point["rnn_size"]), return_sequences=not last, kernel_regularizer=shrink)(value)
    value = keras.layers.Dense(int(point["dense_size"]), activation="relu", kernel_regularizer=shrink)(value)
    value = keras.layers.Dropout(point["dropout"])(value)
    return keras.Model(entry, keras.layers.Dense(outputs)(value))


def loss(name: str, rate: Array) -> Loss:
    """A loss of logits (n, outputs); rate: how often each output's event comes in the windows fitted on (outputs,)."""
    kind, _, balanced = name.partition("_")
    weight = np.stack([0.5 / (1 - rate), 0.5 / rate]) if balanced else np.ones((2, len(rate)))
    none, came = (ops.convert_to_tensor(row, "float32") for row in weight)

    def value(truth: Any, logit: Any) -> Any:
        sign = 2 * truth - 1
        if kind == "hinge":
            each = ops.relu(1 - sign * logit)
        else:
            each = ops.softplus(-sign * logit)
            if kind == "focal":
                each = ops.sigmoid(-sign * logit) ** FOCUS * each
        return ops.mean((truth * came + (1 - truth) * none) * each)

    return value


def train(point: Mapping[str, Any], seed: int, blocks: Sequence[Block], limit_s: float) -> Trained:
    """Train one network without each block in turn, and let it classify that block and the test windows.

    limit_s: seconds of the processor that the epochs after the first may take: training ends with the last whole epoch
    that is expected to keep to it, in all fits that of the first. The model is made once, since Keras takes longer to
    compile than to train it. Logits that are not finite give an error. Raises ValueError where an output has one class.
    """
    for number, block in enumerate(blocks):
        _check_classes(block.outcome, number, len(blocks))
    rate = np.concatenate([block.outcome for block in blocks]).mean(axis=0)
    length, batch = int(point["length"]), int(point["batch"])
    outputs, epochs = blocks[0].outcome.shape[1], int(point["epochs"])
    steps = max(1, len(blocks[0].fit) // batch)
    schedule = keras.optimizers.schedules.ExponentialDecay(point["lr"], steps, point["lr_decay"], staircase=True)
    keras.utils.set_random_seed(seed)
    made = network(point, blocks[0].fit.shape[2], outputs)
    made.compile(
        optimizer=keras.optimizers.Adam(schedule, beta_1=point["momentum"]), loss=loss(str(point["loss"]), rate)
    )
    held, test, seconds, inference = [], [], 0.0, 0.0
    for number, block in enumerate(blocks):
        if number:
            _begin_anew(made, point, seed + number)
        started = time.perf_counter()
        data = block.fit[:, -length:], block.outcome.astype(np.float32)
        epochs = _fit(made, data, batch, epochs, np.random.default_rng(seed + number), limit_s if number == 0 else None)
        seconds += time.perf_counter() - started
        others = np.concatenate([block.held, block.test])[:, -length:]
        logits = made.predict(others, batch_size=1024, verbose=0).astype(float)
        inference += min(_seconds(made, others) for _ in range(REPEATS)) / len(others)
        held.append(logits[: len(block.held)])
        test.append(logits[len(block.held) :])
    finite = all(np.isfinite(one).all() for one in (*held, *test))
    return Trained(
        np.concatenate(held),
        np.stack(test),
        len(blocks) * int(made.count_params()),
        epochs,
        seconds,
        inference,
        None if finite else "training diverged",
    )


def _seconds(made: keras.Model, inputs: Array) -> float:
    began = time.perf_counter()
    made.predict(inputs, batch_size=1024, verbose=0)
    return time.perf_counter() - began


def _check_classes(outcome: Array, number: int, count: int) -> None:
    rate = outcome.mean(axis=0)
    alike = int(((rate == 0) | (rate == 1)).sum())
    if alike:
        raise ValueError(
            f"of {outcome.shape[1]} outcomes, {alike} are all alike in the {len(outcome)} windows fitted on without "
            f"block {number + 1} of {count}; no class can be learned: take a longer training period, or another "
            "threshold"
        )


def _begin_anew(made: keras.Model, point: Mapping[str, Any], seed: int) -> None:
    """Initial weights of another seed, and the optimizer as it was at first, which for Adam is zero throughout."""
    keras.utils.set_random_seed(seed)
    made.set_weights(network(point, made.input_shape[2], made.output_shape[1]).get_weights())
    for variable in made.optimizer.variables:
        variable.assign(ops.zeros_like(variable))


def _fit(
    made: keras.Model, data: tuple[Array, Array], batch: int, epochs: int, random: Any, limit_s: float | None
) -> int:
    """Epochs trained; the windows that fill no batch are left out of an epoch, others in each."""
    x, y = data
    whole = max(batch, len(x) // batch * batch)
    spent, last = 0.0, 0.0
    for epoch in range(epochs):
        if limit_s is not None and spent + last > limit_s:
            return epoch
        began = time.process_time()
        order = random.permutation(len(x))[:whole]
        made.fit(x[order], y[order], batch_size=batch, epochs=1, shuffle=False, verbose=0)
        last = time.process_time() - began if epoch else 0.0  # the first compiles
        spent += last
    return epochs
