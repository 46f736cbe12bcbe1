"""Networks that classify weeks to come: convolutions, then LSTMs, then a logit for each lead and event.

The fusion study's builder and its losses: cross-entropy, focal (Lin et al. 2017) and hinge, each with both classes
alike (balanced) or not. Trained one at a time by Keras: the population trainer has no kernel for convolutions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
# the fusion study's Table I at no more than six values a dimension; its lengths and rates at this record's scale
CHOICES: Mapping[str, tuple[float, ...]] = {
    "batch": (32, 64, 128, 256),
    "dense_size": (32, 64, 128, 256),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "length": (8, 16, 32),
    "lr": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "lr_decay": (0.9, 0.93, 0.96, 0.98, 1.0),
    "momentum": (0.9, 0.93, 0.96, 0.98, 0.99),
    "filters": (32, 64, 128, 256),
    "conv_layers": (1, 2, 3, 4),
    "epochs": (1, 2, 4, 8, 16, 32),
    "regularisation": (0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0),
    "rnn_layers": (1, 2, 3, 4),
    "rnn_size": (32, 64, 128, 256),
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
class Trained:
    """What a network says and what it took."""

    logits: tuple[Array, ...]  # of each set of windows (n, outputs)
    parameters: int
    fit_seconds: float
    inference_seconds: float  # of one window, all of the first set forecast together
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


class _Deadline(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Ends a training whose time is over."""

    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self.limit_s, self.started, self.passed = limit_s, time.perf_counter(), False

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if time.perf_counter() - self.started > self.limit_s:
            self.passed = self.model.stop_training = True


def train(
    point: Mapping[str, Any], seed: int, fit: tuple[Array, Array], others: tuple[Array, ...], limit_s: float
) -> Trained:
    """Train one network and let it classify other windows.

    fit: features (n, steps, channels) and outcomes (n, outputs), 0 or 1; others: features of each set. A training that
    takes longer than `limit_s` or is not finite gives an error. Raises ValueError where an output has one class.
    """
    x, y = fit
    rate = y.mean(axis=0)
    if ((rate == 0) | (rate == 1)).any():
        raise ValueError(
            f"of {y.shape[1]} outcomes, {int(((rate == 0) | (rate == 1)).sum())} are all alike in the {len(y)} windows "
            "fitted on; no class can be learned: take a longer training period, or another threshold"
        )
    keras.utils.set_random_seed(seed)
    length = int(point["length"])
    made = network(point, x.shape[2], y.shape[1])
    steps = max(1, len(x) // int(point["batch"]))
    schedule = keras.optimizers.schedules.ExponentialDecay(point["lr"], steps, point["lr_decay"], staircase=True)
    made.compile(
        optimizer=keras.optimizers.Adam(schedule, beta_1=point["momentum"]), loss=loss(str(point["loss"]), rate)
    )
    deadline, started = _Deadline(limit_s), time.perf_counter()
    made.fit(
        x[:, -length:], y.astype(np.float32), batch_size=int(point["batch"]), epochs=int(point["epochs"]),
        verbose=0, callbacks=[deadline],
    )  # fmt: skip
    seconds = time.perf_counter() - started
    logits = tuple(made.predict(one[:, -length:], batch_size=1024, verbose=0).astype(float) for one in others)
    began = time.perf_counter()
    made.predict(others[0][:, -length:], batch_size=1024, verbose=0)
    inference = (time.perf_counter() - began) / len(others[0])
    error = None
    if deadline.passed:
        error = f"took longer than classification.trial_limit_seconds, {limit_s:g}"
    elif not all(np.isfinite(one).all() for one in logits):
        error = "training diverged"
    return Trained(logits, int(made.count_params()), seconds, inference, error)
