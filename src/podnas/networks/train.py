"""Training one network at a time with Keras."""

from __future__ import annotations

import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from podnas import scores
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

    Forecast leads are the sequence's steps, so windows need as many inputs as outputs. Raises ValueError otherwise,
    and ArithmeticError when training diverges.
    """
    _check_shape(data.fit)
    keras.utils.set_random_seed(seed)
    x, y = _arrays(data.fit, recipe.harmonics)
    held = _arrays(data.validate, recipe.harmonics)
    model = build(point, x.shape[1], x.shape[2], y.shape[2], recipe.settings.output_scale)
    model.compile(keras.optimizers.Adam(recipe.settings.learning_rate), "mse", jit_compile=False)
    started = time.perf_counter()
    best_epoch = _fit(model, (x, y), held, recipe, seed)
    seconds = time.perf_counter() - started
    forecast = predict(model, data.validate.inputs, recipe.harmonics)
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


def _arrays(data: Training, harmonics: int) -> tuple[Array, Array]:
    return channels(data.inputs, harmonics), data.targets.astype(np.float32)


def _check_shape(data: Training) -> None:
    steps, leads = data.inputs.values.shape[1], data.targets.shape[1]
    if steps != leads:
        raise ValueError(
            f"windows have {steps} inputs and {leads} outputs; networks of the SC20 space give one lead a step: "
            "set windows.inputs equal to windows.outputs"
        )


def predict(model: keras.Model, inputs: Inputs, harmonics: int) -> Array:
    """Standardised forecasts of n windows: (n, leads, modes)."""
    forecast: Array = np.asarray(model(channels(inputs, harmonics), training=False), dtype=np.float64)
    return forecast


def milliseconds_per_forecast(model: keras.Model, inputs: Inputs, harmonics: int) -> float:
    """Time of one forecast when all windows are forecast in one call on one core, the second call of a graph."""
    batch = tf.constant(channels(inputs, harmonics))
    run = tf.function(lambda x: model(x, training=False))
    run(batch)
    started = time.perf_counter()
    run(batch).numpy()
    return (time.perf_counter() - started) * 1000 / len(inputs)
