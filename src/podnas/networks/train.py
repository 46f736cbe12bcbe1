"""Training one network at a time with Keras."""

from __future__ import annotations

import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from podnas import scores
from podnas.config import WindowsConfig
from podnas.networks.build import build
from podnas.networks.recipe import Recipe
from podnas.networks.space import Point
from podnas.windows import Array, Fold, Inputs, Training, channels


@dataclass(frozen=True)
class Trained:
    """A trained network and what its validation block says of it."""

    model: keras.Model
    validation_r2: float
    best_epoch: int  # counted from 1
    seconds: float


def make_deterministic() -> None:
    """One thread, deterministic kernels: equal seeds give equal weights. Before TensorFlow's first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


def train(point: Point, data: Fold, recipe: Recipe, seed: int) -> Trained:
    """Adam on the mean squared error of standardised coefficients; R2 is `r2_mean` on the validation windows.

    Step k of the output sequence is lead k, so windows have as many inputs as outputs. Raises ArithmeticError when
    training diverges.
    """
    keras.utils.set_random_seed(seed)
    x, y = _arrays(data.fit, recipe)
    held = _arrays(data.validate, recipe)
    model = build(point, x.shape[1], x.shape[2], y.shape[2])
    model.compile(keras.optimizers.Adam(recipe.settings.learning_rate), "mse", jit_compile=False)
    started = time.perf_counter()
    best_epoch = _fit(model, (x, y), held, recipe, seed)
    seconds = time.perf_counter() - started
    forecast = predict(model, data.validate.inputs, recipe.windows, recipe.settings.output_scale)
    if not np.isfinite(forecast).all():
        raise ArithmeticError(f"training diverged (learning rate {recipe.settings.learning_rate})")
    return Trained(model, float(scores.r2(forecast, data.validate.targets).mean()), best_epoch, seconds)


def _fit(model: keras.Model, fit: tuple[Array, Array], held: tuple[Array, Array], recipe: Recipe, seed: int) -> int:
    batches = _batches(*fit, recipe.settings.batch_size, seed)
    if not recipe.keep_best:
        model.fit(batches, epochs=recipe.epochs, shuffle=False, verbose=0)
        return recipe.epochs
    best = keras.callbacks.EarlyStopping("val_loss", patience=recipe.epochs, restore_best_weights=True)
    validation = tf.data.Dataset.from_tensors(held).cache()
    history = model.fit(
        batches, epochs=recipe.epochs, validation_data=validation, callbacks=[best], shuffle=False, verbose=0
    )
    return int(np.argmin(history.history["val_loss"])) + 1


def _batches(x: Array, y: Array, batch_size: int, seed: int) -> tf.data.Dataset:
    # a ragged last batch would be traced a second time: it is dropped, and the shuffle makes it another each epoch
    rows = tf.data.Dataset.from_tensor_slices((x, y)).cache()
    shuffled = rows.shuffle(len(x), seed=seed, reshuffle_each_iteration=True)
    return shuffled.batch(min(batch_size, len(x)), drop_remainder=True)


def _arrays(data: Training, recipe: Recipe) -> tuple[Array, Array]:
    # the output LSTM ends at -1 and 1, standardised coefficients do not
    targets = data.targets / recipe.settings.output_scale
    return channels(data.inputs, recipe.windows), targets.astype(np.float32)


def predict(model: keras.Model, inputs: Inputs, windows: WindowsConfig, output_scale: float) -> Array:
    """Standardised forecasts of n windows: (n, leads, modes)."""
    output = model(channels(inputs, windows), training=False)
    forecast: Array = np.asarray(output, dtype=np.float64) * output_scale
    return forecast


def milliseconds_per_forecast(model: keras.Model, inputs: Inputs, windows: WindowsConfig) -> float:
    """Time of one forecast when all windows are forecast in one call on one core, the second call of a graph."""
    batch = tf.constant(channels(inputs, windows))
    run = tf.function(lambda x: model(x, training=False))
    run(batch)
    started = time.perf_counter()
    run(batch).numpy()
    return (time.perf_counter() - started) * 1000 / len(inputs)
