"""The Keras engine: one member at a time, traced anew for each architecture; where nothing faster is installed.

TensorFlow keeps 60–90 MB of every network it has traced, so it runs in worker processes that are replaced.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from podnas.networks import build, heads, parameters
from podnas.networks.population import Job, State
from podnas.windows import Array

ADAM = "adam"  # name of the optimizer, in the paths of its variables


def make_deterministic() -> None:
    """One thread, deterministic kernels: equal seeds give equal weights. Before TensorFlow's first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


def start_worker() -> None:
    """Make a worker process ready; it ends with the process that began it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    make_deterministic()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def advance(jobs: Sequence[Job]) -> list[State]:
    """The states of the jobs' members at their epochs; a diverged one carries its error."""
    return [_advance(job) for job in jobs]


def _advance(job: Job) -> State:
    if job.state.error is not None or job.state.epochs >= job.epochs:
        return job.state
    started = time.perf_counter()
    settings = job.member.settings
    keras.utils.set_random_seed(job.member.seed)
    layers = job.layers()
    network = build.model(layers, job.arrays.inputs.shape[1], settings.dropout, settings.input_noise)
    optimizer = keras.optimizers.Adam(
        settings.learning_rate,
        weight_decay=settings.weight_decay or None,
        global_clipnorm=settings.clip_norm,
        name=ADAM,
    )
    optimizer.build(network.trainable_variables)
    build.put(network, layers, job.state.parameters)
    moments = _Moments(network, optimizer, job)
    moments.put(job.state)
    loss = _Loss(job.loss_weights()) if settings.head is None else _Likelihood(job)
    network.compile(optimizer, loss, jit_compile=False)
    judge = _Judge(job, network, moments, started)
    rows = np.concatenate([job.batches(epoch) for epoch in range(job.state.epochs, job.epochs)])
    network.fit(
        _dataset(job, rows),
        epochs=job.epochs - job.state.epochs,
        steps_per_epoch=len(rows) // (job.epochs - job.state.epochs),
        callbacks=[judge],
        shuffle=False,
        verbose=0,
    )
    return judge.state


class _Loss(keras.losses.Loss):  # type: ignore[misc]
    """Weighted mean squared error."""

    def __init__(self, weights: Array) -> None:
        super().__init__(name="weighted_mse")
        self.weights = weights

    def call(self, truth: Any, forecast: Any) -> Any:
        return keras.ops.mean(self.weights * keras.ops.square(forecast - truth), axis=-1)


class _Likelihood(keras.losses.Loss):  # type: ignore[misc]
    """Weighted negative log likelihood of a Gaussian head, without its constant, as in heads.py."""

    def __init__(self, job: Job) -> None:
        super().__init__(name="beta_nll")
        self.weights = job.loss_weights()
        self.scale, self.floor, self.beta = (float(number) for number in heads.numbers(job.member.settings))

    def call(self, truth: Any, output: Any) -> Any:
        mean, raw = keras.ops.split(self.scale * output, 2, axis=-1)
        sigma = keras.ops.softplus(raw) + self.floor
        z = (self.scale * truth - mean) / sigma
        factor = self.weights * keras.ops.stop_gradient(sigma ** (2 * self.beta))
        return keras.ops.mean(factor * (keras.ops.log(sigma) + 0.5 * keras.ops.square(z)), axis=-1)


class _Moments:
    """Adam's moments as two vectors in Keras's layout."""

    def __init__(self, network: keras.Model, optimizer: keras.optimizers.Optimizer, job: Job) -> None:
        self.optimizer = optimizer
        slots = {variable.path: variable for variable in optimizer.variables}
        names = [layer.name for layer, parts in parameters.layer_shapes(job.layers()) if parts]
        paths = [w.path.replace("/", "_") for name in names for w in network.get_layer(name).trainable_variables]
        self.first, self.second = (
            [slots[f"{ADAM}/{path}_{moment}"] for path in paths] for moment in ("momentum", "velocity")
        )

    def put(self, state: State) -> None:
        self.optimizer.iterations.assign(state.steps)
        for variables, vector in ((self.first, state.first), (self.second, state.second)):
            start = 0
            for variable in variables:
                size = int(np.prod(variable.shape))
                variable.assign(vector[start : start + size].reshape(variable.shape))
                start += size

    def take(self) -> tuple[Array, Array]:
        first, second = (
            np.concatenate([np.asarray(v).ravel() for v in variables]) for variables in (self.first, self.second)
        )
        return first, second


class _Judge(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the state after each epoch; stops a member that diverged or whose time is up."""

    def __init__(self, job: Job, network: keras.Model, moments: _Moments, started: float) -> None:
        super().__init__()
        self.job, self.network, self.moments, self.state = job, network, moments, job.state
        self.started = started

    def on_epoch_begin(self, _: int, logs: object = None) -> None:
        # dropout and noise: those of this epoch, whether there was a pause before it or not
        drawing = [layer for layer in self.network.layers if hasattr(layer, "seed_generator")]
        for number, layer in enumerate(drawing):
            key = np.random.SeedSequence([self.job.member.seed, 2, self.state.epochs, number])
            layer.seed_generator.state.assign(key.generate_state(2))

    def on_epoch_end(self, _: int, logs: dict[str, float] | None = None) -> None:
        job, state = self.job, self.state
        values = build.take(self.network, job.layers())
        loss = (logs or {})["loss"]
        if not (np.isfinite(loss) and np.isfinite(values).all()):
            self.state, self.network.stop_training = job.diverged(state), True
            return
        first, second = self.moments.take()
        state = replace(
            state, parameters=values, first=first, second=second, epochs=state.epochs + 1,
            steps=int(self.moments.optimizer.iterations), losses=(*state.losses, loss),
        )  # fmt: skip
        if job.keep_best or state.epochs == job.epochs:
            state = job.judged(state, self._forecast())
        if state.epochs == job.epochs:
            state = job.timed(state, self._forecast)
        self.state = job.in_time(state, self.started)
        self.network.stop_training = self.state.error is not None

    def _forecast(self) -> Array:
        return np.asarray(self.network(self.job.arrays.held_inputs, training=False))


def _dataset(job: Job, rows: Array) -> tf.data.Dataset:
    inputs, targets = tf.constant(job.arrays.inputs), tf.constant(job.arrays.targets)
    return tf.data.Dataset.from_tensor_slices(rows).map(
        lambda batch: (tf.gather(inputs, batch), tf.gather(targets, batch))
    )
