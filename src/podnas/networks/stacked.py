"""The stacked engine: members of any architectures, padded to one shape, trained by one XLA program; for GPUs.

Which slots of the space a member uses, and whether a tap is projected, are numbers that the program reads. So what is
compiled depends on the space, the shape of the windows, the batch size and the number of members, rounded up to a
power of two, and on no architecture; it is kept on disk for other processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pooch
import psutil
from jax import lax

from podnas.networks import heads, slots
from podnas.networks.padded import KERNELS, Settings, Weights, forward, mix, noise
from podnas.networks.population import Job, State
from podnas.networks.slots import Line, Placed, Plan
from podnas.windows import Array

TOGETHER = 4096  # members of one program
TOGETHER_ON_CPU = 2  # with 8 they leave the caches of a core, and each costs a third more
SHARE_OF_MEMORY = 0.8  # of the device's
# Adam as Keras has it, rounded as in kernels.py
BETA_1, BETA_2, EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-7)

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    folder = str(pooch.os_cache("podnas") / "stacked")
    jax.config.update("jax_compilation_cache_dir", folder)  # type: ignore[no-untyped-call]


def _loss(weights: Weights, plan: Plan, member: Settings, inputs: jax.Array, targets: jax.Array, key: Any) -> jax.Array:
    forecast = forward(plan, weights, member, inputs.swapaxes(0, 1), key).swapaxes(0, 1)
    if forecast.shape == targets.shape:
        loss: jax.Array = (member["loss_weights"] * (forecast - targets) ** 2).mean()
        return loss
    scale, floor, beta = member["head"]
    mean, raw = jnp.split(scale * forecast, 2, axis=-1)
    sigma = jax.nn.softplus(raw) + floor
    factor = member["loss_weights"] * lax.stop_gradient(sigma ** (2 * beta))
    likelihood: jax.Array = (factor * (jnp.log(sigma) + 0.5 * ((scale * targets - mean) / sigma) ** 2)).mean()
    return likelihood


class Stack(NamedTuple):
    """Parameters and Adam's moments."""

    parameters: Weights
    first: Weights
    second: Weights


def _adam(stack: Stack, gradient: Weights, member: Settings, rate: jax.Array) -> Stack:
    """One step of Adam with decoupled weight decay, the gradient scaled down to a global norm, as in kernels.py."""
    length = jnp.sqrt(sum(jnp.sum(part**2) for part in jax.tree.leaves(gradient)))
    factor = jnp.where(length > member["clip_norm"], member["clip_norm"] / length, 1)
    gradient = jax.tree.map(lambda g: g * factor, gradient)
    first = jax.tree.map(lambda m, g: m + (g - m) * (1 - BETA_1), stack.first, gradient)
    second = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - BETA_2), stack.second, gradient)
    after = jax.tree.map(
        lambda p, m, v: p * member["shrink"] - m * rate / (jnp.sqrt(v) + EPSILON), stack.parameters, first, second
    )
    return Stack(after, first, second)


@partial(jax.jit, static_argnames=("plan", "noisy"), donate_argnames="stack")
def _epoch(
    plan: Plan, noisy: bool, stack: Stack, members: Any, inputs: Any, targets: Any, batches: Any
) -> tuple[Stack, jax.Array, jax.Array]:
    """All members' epoch: mean losses, whether all numbers are finite. `batches`: rows, rates, numbers of the steps."""

    def train(stack: Stack, member: Settings, batches: Any) -> tuple[Stack, jax.Array, jax.Array]:
        def step(stack: Stack, batch: Any) -> tuple[Stack, jax.Array]:
            rows, rate, number = batch
            key = mix(mix(member["seed"]) + number)
            seen = inputs[rows]
            if noisy:
                seen = seen + member["input_noise"] * noise(seen.shape, key)
            loss, gradient = jax.value_and_grad(_loss)(stack.parameters, plan, member, seen, targets[rows], key)
            return _adam(stack, gradient, member, rate), loss

        stack, losses = lax.scan(step, stack, batches)
        sound = [jnp.isfinite(part).all() for part in jax.tree.leaves((losses, stack.parameters))]
        return stack, losses.mean(), jnp.stack(sound).all()

    return jax.vmap(train)(stack, members, batches)


@partial(jax.jit, static_argnames="plan")
def _forecasts(plan: Plan, weights: Weights, members: Any, windows: jax.Array) -> jax.Array:
    """Outputs (members, batches, size, steps, modes) of windows (batches, size, steps, channels)."""

    def one(weights: Weights, member: Settings) -> jax.Array:
        made: jax.Array = lax.map(lambda inputs: forward(plan, weights, member, inputs.swapaxes(0, 1), None), windows)
        return made.swapaxes(1, 2)

    return jax.vmap(one)(weights, members)


@partial(jax.jit, donate_argnames="best")
def _keep(best: Weights, weights: Weights, better: Any) -> Weights:
    """The weights of members that are better, the best ones so far of the others."""
    kept: Weights = jax.tree.map(lambda b, w: jnp.where(better.reshape(-1, *[1] * (w.ndim - 1)), w, b), best, weights)
    return kept


def advance(jobs: Sequence[Job]) -> list[State]:
    """The states of the jobs' members at their epochs; a diverged one carries its error.

    Its vectors are those it came with. Raises ValueError for layers without a kernel, MemoryError where not even one
    member fits.
    """
    states = [job.state for job in jobs]
    groups: dict[Any, list[int]] = {}
    for number, job in enumerate(jobs):
        if job.state.error is None and job.state.epochs < job.epochs:
            togo = job.epochs - job.state.epochs
            alike = (id(job.arrays), job.batch_size(), togo, job.keep_best, job.outputs(), frozenset(job.member.point))
            groups.setdefault(alike, []).append(number)
    with jax.default_matmul_precision("highest"):  # else a GPU multiplies with 10 bits
        for numbers in groups.values():
            for number, state in zip(numbers, _advance([jobs[n] for n in numbers]), strict=True):
                states[number] = state
    return states


def _advance(jobs: list[Job]) -> list[State]:
    lines = [Line(job.layers()) for job in jobs]
    data, names = jobs[0].arrays, frozenset(jobs[0].member.point)
    dropout = any(job.member.settings.dropout > 0 for job in jobs)
    plan = slots.plan([*lines, *slots.covering(names, data.inputs.shape[2], jobs[0].outputs(), dropout)])
    _check(plan)
    together = _together(plan, jobs[0])
    return [
        state
        for start in range(0, len(jobs), together)
        for state in _Run(plan, jobs[start : start + together], lines[start : start + together]).advance()
    ]


def _check(plan: Plan) -> None:
    for slot in plan:
        if unknown := set(slot.kinds) - set(KERNELS):
            raise ValueError(
                f"layer {slot.name} is of kind {', '.join(sorted(unknown))}, and the stacked engine knows only "
                f"{', '.join(KERNELS)}; add a kernel to podnas.networks.padded.KERNELS or set training.engine: kernels"
            )


def _together(plan: Plan, job: Job) -> int:
    """Members of one program: a power of two that fits in memory."""
    count = sum(int(np.prod(shape)) for parts in slots.shapes(plan).values() for shape in parts.values())
    cells = job.arrays.inputs.shape[1] * job.batch_size()
    # they, two moments, the gradient, the best so far, what is on its way; values and gates as XLA keeps them
    needed = 4 * (6 * count + 8 * cells * sum(slot.units for slot in plan))  # bytes
    device = jax.devices()[0]
    there: int = (device.memory_stats() or {}).get("bytes_limit", psutil.virtual_memory().total)
    fitting = int(SHARE_OF_MEMORY * there / needed)
    if fitting < 1:
        raise MemoryError(
            f"a member padded to {max(slot.units for slot in plan)} units needs {needed / 1e9:.1f} GB, the device has "
            f"{there / 1e9:.1f} GB; take narrower layers or a smaller training.batch_size"
        )
    return min(TOGETHER_ON_CPU if device.platform == "cpu" else TOGETHER, 1 << fitting.bit_length() - 1)


class _Run:
    """Members on the device, from their states to their epochs."""

    def __init__(self, plan: Plan, jobs: list[Job], lines: list[Line]) -> None:
        self.started = time.perf_counter()
        self.plan, self.jobs, self.states = plan, jobs, [job.state for job in jobs]
        self.placed = [Placed(line, plan) for line in lines]
        self.added = (1 << (len(jobs) - 1).bit_length()) - len(jobs)  # copies of the first member, thrown away
        settings = [_settings(plan, job, placed) for job, placed in zip(jobs, self.placed, strict=True)]
        self.members = jax.device_put(jax.tree.map(lambda *each: np.stack(each), *self._filled(settings)))
        self.noisy = any(job.member.settings.input_noise > 0 for job in jobs)
        self.inputs, self.targets = jax.device_put((jobs[0].arrays.inputs, jobs[0].arrays.targets))
        self.windows = jax.device_put(_whole(jobs[0].arrays.held_inputs, jobs[0].batch_size()))

    def advance(self) -> list[State]:
        """The members' states at their epochs."""
        job = self.jobs[0]
        togo = job.epochs - job.state.epochs
        vectors = [(state.parameters, state.first, state.second) for state in self.states]
        stack = Stack(*(self._put(some) for some in zip(*vectors, strict=True)))
        best = None
        if job.keep_best:
            kept = [(state.best_parameters, np.zeros_like(state.parameters)) for state in self.states]
            best = self._put([none if some is None else some for some, none in kept])
        batches = self._batches(0)
        for epoch in range(togo):
            stack, losses, sound = _epoch(
                self.plan, self.noisy, stack, self.members, self.inputs, self.targets, batches
            )
            last = epoch + 1 == togo
            batches = batches if last else self._batches(epoch + 1)  # while the device works
            self._count(np.asarray(losses), np.asarray(sound), batches[0].shape[1])
            if all(state.error is not None for state in self.states):
                break
            if job.keep_best or last:
                better = self._judge(self._forecasts(stack.parameters))
                best = best and _keep(best, stack.parameters, better)
        self._time(stack.parameters)
        return self._taken(stack, best)

    def _forecasts(self, weights: Weights) -> Array:
        return np.asarray(_forecasts(self.plan, weights, self.members, self.windows))

    def _time(self, weights: Weights) -> None:
        """Time the forecasts: all members are padded to one shape, so each gets an equal share."""
        job = self.jobs[0]
        if not job.timings or all(state.error is not None for state in self.states):
            return
        together = job.timed(job.state, lambda: self._forecasts(weights)).inference_seconds
        share = together / (len(self.jobs) + self.added)
        self.states = [replace(state, inference_seconds=share) for state in self.states]

    def _filled(self, each: Sequence[Any]) -> list[Any]:
        return [*each, *[each[0]] * self.added]

    def _stacked(self, each: Array) -> Array:
        return np.stack(self._filled(list(each)))

    def _put(self, vectors: Sequence[Array]) -> Weights:
        if not any(vector.any() for vector in vectors):  # as moments are before the first step
            count, every = len(vectors) + self.added, slots.shapes(self.plan)
            return {key: {p: jnp.zeros((count, *shape)) for p, shape in parts.items()} for key, parts in every.items()}
        tree: Weights = jax.device_put(slots.pack(self.plan, self._filled(self.placed), self._filled(vectors)))
        return tree

    def _batches(self, epoch: int) -> tuple[Array, Array, Array]:
        """Rows (members, batches, size), rates and numbers (members, batches) of the steps, `epoch` epochs from now."""
        rows = np.array([job.batches(job.state.epochs + epoch) for job in self.jobs], dtype=np.int32)
        done = np.array([job.state.steps for job in self.jobs])[:, None] + epoch * rows.shape[1]
        steps = done + np.arange(rows.shape[1])
        rates = np.array([[np.float32(job.member.settings.learning_rate)] for job in self.jobs], float)
        rates = rates * np.sqrt(1 - 0.999 ** (steps + 1)) / (1 - 0.9 ** (steps + 1))
        return self._stacked(rows), self._stacked(rates.astype(np.float32)), self._stacked(steps.astype(np.uint32))

    def _count(self, losses: Array, sound: Array, steps: int) -> None:
        """Take an epoch's losses (members,) into the states; those that diverged or are late stay as they came."""
        for number, (job, state) in enumerate(zip(self.jobs, self.states, strict=True)):
            if state.error is not None:
                continue
            if not sound[number]:
                self.states[number] = job.diverged(state)
                continue
            after = replace(
                state,
                epochs=state.epochs + 1,
                steps=state.steps + steps,
                losses=(*state.losses, float(losses[number])),
            )
            self.states[number] = job.in_time(after, self.started)

    def _judge(self, forecasts: Array) -> Array:
        """Score the members' forecasts (members, batches, size, steps, modes); whether each is its best so far."""
        better = np.zeros(len(forecasts), bool)
        for number, (job, state) in enumerate(zip(self.jobs, self.states, strict=True)):
            if state.error is None:
                forecast = forecasts[number].reshape(-1, *forecasts.shape[3:])[: len(job.arrays.held_inputs)]
                self.states[number] = job.judged(state, forecast)
                better[number] = self.states[number].best_epoch == state.epochs
        return better

    def _taken(self, stack: Stack, best: Weights | None) -> list[State]:
        """The states with their vectors."""
        vectors = [slots.unpack(jax.device_get(tree), self.placed) for tree in stack]
        kept = slots.unpack(jax.device_get(best), self.placed) if best else [None] * len(self.jobs)
        states = []
        for state, best_parameters, *own in zip(self.states, kept, *vectors, strict=True):
            if state.error is None:
                state = replace(state, **dict(zip(("parameters", "first", "second"), own, strict=True)))
                if best_parameters is not None and state.best_epoch:
                    state = replace(state, best_parameters=best_parameters)
            states.append(state)
        return states


def _settings(plan: Plan, job: Job, placed: Placed) -> Settings:
    """What tells a member from others beside its parameters and batches."""
    settings = job.member.settings
    rate = np.float32(settings.learning_rate)
    kinds = [key for slot in plan for _, key in slot.kind_keys()]
    taps = [key for slot in plan for *_, key in slot.tap_keys()]
    return {
        "used": {key: np.bool_(key in placed.used) for key in (*kinds, *taps)},
        "direct": {key: np.bool_(key in placed.direct) for key in taps},
        # dropout counts units in blocks of four, as kernels.py lays them out
        "dropout_units": {slot.name: np.uint32(-(-placed.units.get(slot.name, 0) // 4) * 4) for slot in plan},
        "dropout": np.float32(settings.dropout),
        "input_noise": np.float32(settings.input_noise),
        "shrink": np.float32(1) - np.float32(settings.weight_decay) * rate,
        "clip_norm": np.float32(settings.clip_norm or np.inf),
        "loss_weights": job.loss_weights(),
        "head": heads.numbers(settings),
        "seed": np.uint32(job.member.seed % 2**32),
    }


def _whole(windows: Array, size: int) -> Array:
    """Windows in whole batches (batches, size, steps, channels), the last filled up with zeros."""
    filled = np.zeros((-(-len(windows) // size) * size, *windows.shape[1:]), np.float32)
    filled[: len(windows)] = windows
    return filled.reshape(-1, size, *windows.shape[1:])
