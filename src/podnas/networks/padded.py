"""Padded networks in JAX: what one member's layers make of a value that runs along the line of `slots.py`.

Values are (steps, windows, width). All kinds of a slot and all taps are computed for every member, and those that it
does not have are left out by the numbers in its settings; functions are written for one member and mapped over all.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from podnas.networks.slots import Plan, Slot

Parts = dict[str, jax.Array]  # a layer's parameters
Weights = dict[str, Parts]  # of each slot's kinds and taps
Settings = dict[str, Any]  # of a member, see stacked.py


class Call(NamedTuple):
    """What a kernel sees of one member: values are (steps, windows, width)."""

    slot: Slot
    weights: Parts
    value: jax.Array
    taps: list[jax.Array]
    member: Settings
    key: jax.Array | None  # of this step's random numbers; none outside of training


def _product(value: jax.Array, weights: Parts) -> jax.Array:
    """Kernel times value plus bias, in one product over steps and windows."""
    steps, windows, width = value.shape
    product = value.reshape(steps * windows, width) @ weights["kernel"] + weights["bias"]
    return product.reshape(steps, windows, -1)


def _lstm(call: Call) -> jax.Array:
    return _recurrent(call.weights, call.value)


@jax.custom_vjp
def _recurrent(weights: Parts, value: jax.Array) -> jax.Array:
    """An LSTM; its gradient by hand takes each product with a kernel's gradient once, not once a step."""
    return _states(weights, value)[0]


def _states(weights: Parts, value: jax.Array) -> tuple[jax.Array, ...]:
    """Outputs, cell states and the gates i, f, g, o at all steps."""

    def step(before: tuple[jax.Array, jax.Array], z: jax.Array) -> tuple[Any, tuple[jax.Array, ...]]:
        i, f, g, o = jnp.split(z + before[0] @ weights["recurrent"], 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        state = f * before[1] + i * g
        output = o * jnp.tanh(state)
        return (output, state), (output, state, i, f, g, o)

    zero = jnp.zeros((value.shape[1], weights["recurrent"].shape[0]), jnp.float32)
    found: tuple[jax.Array, ...] = lax.scan(step, (zero, zero), _product(value, weights))[1]
    return found


def _recurrent_forward(weights: Parts, value: jax.Array) -> tuple[jax.Array, Any]:
    found = _states(weights, value)
    return found[0], (weights, value, found)


def _recurrent_backward(kept: Any, slope: jax.Array) -> tuple[Parts, jax.Array]:
    weights, value, (output, state, *gates) = kept
    steps, windows, units = output.shape
    zero = jnp.zeros((1, windows, units), jnp.float32)
    before = jnp.concatenate([zero, state[:-1]])

    def step(after: tuple[jax.Array, jax.Array], now: Any) -> tuple[Any, jax.Array]:
        slope, state, before, i, f, g, o = now
        slope, bent = slope + after[0], jnp.tanh(state)
        inner = slope * o * (1 - bent * bent) + after[1]
        z = (inner * g * i * (1 - i), inner * before * f * (1 - f), inner * i * (1 - g * g), slope * bent * o * (1 - o))
        slopes = jnp.concatenate(z, axis=-1)
        return (slopes @ weights["recurrent"].T, inner * f), slopes

    slopes = lax.scan(step, (zero[0], zero[0]), (slope, state, before, *gates), reverse=True)[1]
    flat = slopes.reshape(steps * windows, -1)
    gradient = {
        "kernel": value.reshape(steps * windows, -1).T @ flat,
        # before the first step the output is zero
        "recurrent": output[:-1].reshape((steps - 1) * windows, units).T @ flat[windows:],
        "bias": flat.sum(0),
    }
    return gradient, (flat @ weights["kernel"].T).reshape(value.shape)


_recurrent.defvjp(_recurrent_forward, _recurrent_backward)


def _merge(call: Call) -> jax.Array:
    # its slope at 0 is 0, as in Keras
    return jax.nn.relu(sum(call.taps, start=_fit(call.value, call.slot.units)))


def _dropout(call: Call) -> jax.Array:
    if call.key is None:
        return call.value
    steps, windows, width = call.value.shape
    step, window, unit = (lax.broadcasted_iota(jnp.uint32, (steps, windows, width), axis) for axis in range(3))
    index = (window * np.uint32(steps) + step) * call.member["dropout_units"][call.slot.name] + unit
    rate = call.member["dropout"]
    kept = _uniform(mix(call.key + np.uint32(zlib.crc32(call.slot.name.encode()))), index) >= rate
    return jnp.where(kept, call.value * (1 / (1 - rate)), 0)


# what layers of each kind do; a new kind needs a function here, and its shapes in parameters.py if it has parameters
KERNELS: dict[str, Callable[[Call], jax.Array]] = {"lstm": _lstm, "output": _lstm, "dropout": _dropout, "merge": _merge}


def _fit(value: jax.Array, units: int) -> jax.Array:
    """The value in another padded width; what is cut off is zero in any member that uses the result."""
    return jnp.pad(value, ((0, 0), (0, 0), (0, max(0, units - value.shape[2]))))[..., :units]


def forward(plan: Plan, weights: Weights, member: Settings, inputs: jax.Array, key: jax.Array | None) -> jax.Array:
    """Outputs (steps, windows, modes) of inputs (steps, windows, channels)."""
    line = [inputs]
    for slot in plan:
        taps = [_tap(line[place], weights[name], slot.units, member, name) for place, _, name in slot.tap_keys()]
        value = _fit(line[-1], slot.units)
        for kind, name in slot.kind_keys():
            made = KERNELS[kind](Call(slot, weights.get(name, {}), line[-1], taps, member, key))
            value = jnp.where(member["used"][name], _fit(made, slot.units), value)
        line.append(value)
    return line[-1]


def _tap(source: jax.Array, weights: Parts, units: int, member: Settings, name: str) -> jax.Array:
    """An earlier value as a merge adds it: as it is, projected, or not at all."""
    projection = _product(source, weights)
    direct = jnp.where(member["direct"][name], _fit(source, units), 0)
    return direct + jnp.where(member["used"][name], projection, 0)


def mix(number: jax.Array) -> jax.Array:
    """The hash of kernels.mix."""
    number = (number ^ (number >> np.uint32(16))) * np.uint32(0x7FEB352D)
    number = (number ^ (number >> np.uint32(15))) * np.uint32(0x846CA68B)
    return number ^ (number >> np.uint32(16))


def _uniform(key: jax.Array, index: jax.Array) -> jax.Array:
    bits = mix(mix(index) + key)
    return ((bits >> np.uint32(8)).astype(jnp.float32) + np.float32(0.5)) * np.float32(2.0**-24)


def noise(shape: tuple[int, ...], key: jax.Array) -> jax.Array:
    """The Gaussian numbers of kernels.add_noise for inputs of that shape (Box and Muller 1958)."""
    index = 2 * jnp.arange(np.prod(shape), dtype=jnp.uint32).reshape(shape)
    radius = jnp.sqrt(-2 * jnp.log(_uniform(key, index)))
    return radius * jnp.cos(np.float32(2 * np.pi) * _uniform(key, index + np.uint32(1)))
