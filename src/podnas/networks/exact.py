"""The exact-width engine: one member at a time on one core, at close to the processor's arithmetic.

Time of an epoch is its floating-point operations over some 80 % of the rate of a large matrix product; memory is a
workspace of 10 numbers a unit, step and window of a batch. Nothing is compiled for an architecture.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from podnas.config import TrainingConfig
from podnas.networks import heads, kernels, program
from podnas.networks.population import Job, State
from podnas.windows import Array

_THREAD = threading.local()


def advance(jobs: Sequence[Job]) -> list[State]:
    """The states of the jobs' members at their epochs; a diverged one carries its error."""
    return [_advance(job) for job in jobs]


def forecast(job: Job, inputs: Array) -> Array:
    """Outputs (n, steps, modes) of the job's member as it stands, for inputs (n, steps, channels)."""
    return _Run(job).predict(inputs)


def _advance(job: Job) -> State:
    started = time.perf_counter()
    run = _Run(job)
    state = job.state
    while state.error is None and state.epochs < job.epochs:
        state = job.in_time(run.epoch(state), started)
    return state


class _Run:
    """A member in the kernels' layout."""

    def __init__(self, job: Job) -> None:
        self.job = job
        steps = job.arrays.inputs.shape[1]
        self.program = program.build(job.layers(), steps, job.batch_size())
        self.weights, self.first, self.second = (
            self.program.pack(vector) for vector in (job.state.parameters, job.state.first, job.state.second)
        )
        self.work = _workspace(self.program.workspace)
        self.settings, self.head = _settings(job.member.settings), heads.numbers(job.member.settings)
        self.loss_weights = job.loss_weights()

    def epoch(self, state: State) -> State:
        job = self.job
        batches = job.batches(state.epochs)
        loss = kernels.train_epoch(
            self.program.table, self.weights, self.first, self.second, self.work, job.arrays.inputs,
            job.arrays.targets, batches, self.loss_weights, self.settings, self.head, job.member.seed, state.steps,
        )  # fmt: skip
        if not (np.isfinite(loss) and np.isfinite(self.weights).all()):
            return job.diverged(state)
        last = state.epochs + 1 == job.epochs
        state = replace(
            state, epochs=state.epochs + 1, steps=state.steps + len(batches), losses=(*state.losses, float(loss))
        )
        if not (job.keep_best or last):
            return state
        parameters, first, second = map(self.program.unpack, (self.weights, self.first, self.second))
        state = replace(state, parameters=parameters, first=first, second=second)
        state = job.judged(state, self.predict(job.arrays.held_inputs))
        return job.timed(state, lambda: self.predict(job.arrays.held_inputs)) if last else state

    def predict(self, inputs: Array) -> Array:
        outputs = np.empty((*inputs.shape[:2], self.job.outputs()), np.float32)
        kernels.predict(self.program.table, self.weights, self.work, inputs, self.job.batch_size(), outputs)
        return outputs


def _settings(settings: TrainingConfig) -> Array:
    clip = settings.clip_norm or 0.0
    values = (settings.learning_rate, settings.weight_decay, clip, settings.dropout, settings.input_noise)
    return np.array(values, np.float32)


def _workspace(size: int) -> Array:
    """A workspace of this thread, kept from one member to the next: fresh memory costs page faults."""
    if getattr(_THREAD, "work", np.empty(0)).size < size:
        _THREAD.work = np.empty(size, np.float32)
    work: Array = _THREAD.work
    return work
