"""Training of one network of any widths, compiled once for all architectures.

A network is a table of layers (`program.py`); one compiled function walks it. Tensors lie in one flat workspace as
(steps, units, width), where width is the batch padded to whole register tiles, so that the batch is what registers
hold and no width of a layer wastes them. Weights lie in blocks of four outputs, (units, inputs, 4): the four gates of
an LSTM's unit, or four units of a dense layer. All functions release the interpreter's lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from podnas.networks.vectors import (
    COLUMNS,
    GRADIENT_ROWS,
    LANES,
    ROWS,
    at_least,
    at_most,
    backward_tile,
    forward_tile,
    gradient_tile,
    lane_sum,
    load,
    splat,
    square_root,
    store,
    where_positive,
)

Array = np.ndarray[Any, np.dtype[Any]]
f4 = np.float32

# columns of the table of layers: kind, padded widths, then offsets into the workspace and the weights (-1: none)
KIND, INPUTS, UNITS, X, DX, X2, DX2, X3, DX3, H, DH, WEIGHTS, CACHE, KEY = range(14)
FIELDS = 14
LSTM, DENSE, MERGE, DROPOUT = range(4)
# Adam as Keras has it
BETA_1, BETA_2, EPSILON = f4(0.9), f4(0.999), f4(1e-7)

_forward = forward_tile(ROWS)
_forward_4 = forward_tile(4)
_backward = backward_tile(ROWS)
_backward_4 = backward_tile(4)
compiled = njit(nogil=True, cache=True, error_model="numpy")


@compiled
def tanh(x):
    """Rational approximation, as Eigen has it: within 3e-7."""
    x = at_least(splat(f4(-7.90531110763549805)), at_most(splat(f4(7.90531110763549805)), x))
    s = x * x
    p = splat(f4(-2.76076847742355e-16)) * s + splat(f4(2.00018790482477e-13))
    p = p * s + splat(f4(-8.60467152213735e-11))
    p = p * s + splat(f4(5.12229709037114e-08))
    p = p * s + splat(f4(1.48572235717979e-05))
    p = p * s + splat(f4(6.37261928875436e-04))
    p = p * s + splat(f4(4.89352455891786e-03))
    q = splat(f4(1.19825839466702e-06)) * s + splat(f4(1.18534705686654e-04))
    q = q * s + splat(f4(2.26843463243900e-03))
    q = q * s + splat(f4(4.89352518554385e-03))
    return x * p / q


@compiled
def sigmoid(x):
    """Logistic function by way of tanh."""
    half = splat(f4(0.5))
    return half * tanh(half * x) + half


@compiled
def add_product(weights, at, inputs, blocks, work, x, width, z):
    """z (blocks, 4, width) += weights (blocks, inputs, 4) times x (inputs, width)."""
    block = 4 * inputs
    whole = blocks - blocks % (ROWS // 4)
    for j in range(0, whole, ROWS // 4):
        for c in range(0, width, COLUMNS):
            _forward(weights, at + j * block, block, inputs, work, x + c, width, work, z + 4 * j * width + c)
    for j in range(whole, blocks):
        for c in range(0, width, COLUMNS):
            _forward_4(weights, at + j * block, block, inputs, work, x + c, width, work, z + 4 * j * width + c)


@compiled
def add_transposed_product(weights, at, inputs, blocks, work, d, width, x):
    """x (inputs, width) += weights (blocks, inputs, 4) times d (blocks, 4, width)."""
    block = 4 * inputs
    whole = inputs - inputs % ROWS
    for k in range(0, whole, ROWS):
        for c in range(0, width, COLUMNS):
            _backward(weights, at + 4 * k, block, blocks, work, d + c, width, work, x + k * width + c)
    for k in range(whole, inputs, 4):
        for c in range(0, width, COLUMNS):
            _backward_4(weights, at + 4 * k, block, blocks, work, d + c, width, work, x + k * width + c)


@compiled
def gradient(work, x, inputs, d, blocks, steps, width, result, at):
    """Gradient of weights (blocks, inputs, 4) from x (steps, inputs, width) and d (steps, blocks, 4, width)."""
    for j in range(blocks):
        for k in range(0, inputs, GRADIENT_ROWS):
            gradient_tile(
                work, x + k * width, inputs * width, work, d + 4 * j * width, 4 * blocks * width, steps, width,
                result, at + (j * inputs + k) * 4,
            )  # fmt: skip


@compiled
def bias_gradient(work, d, rows, steps, width, result, at):
    """Gradient of a bias (rows) from d (steps, rows, width)."""
    for row in range(rows):
        total = splat(f4(0))
        for step in range(steps):
            start = d + (step * rows + row) * width
            for c in range(0, width, LANES):
                total = total + load(work, start + c)
        result[at + row] = lane_sum(total)


@compiled
def fill(work, at, count, value):
    """work[at : at + count] = value; count is a multiple of LANES."""
    number = splat(value)
    for i in range(at, at + count, LANES):
        store(work, i, number)


@compiled
def fill_bias(weights, bias, work, z, rows, width):
    """Each row of z (rows, width) set to its bias."""
    for row in range(rows):
        fill(work, z + row * width, width, weights[bias + row])


@compiled
def gates(work, z, c_before, c, tanh_c, h, width):
    """One LSTM unit at one step: z (4, width) to gates i f g o in place, cell state, its tanh, output."""
    for at in range(0, width, LANES):
        i = sigmoid(load(work, z + at))
        f = sigmoid(load(work, z + width + at))
        g = tanh(load(work, z + 2 * width + at))
        o = sigmoid(load(work, z + 3 * width + at))
        state = i * g
        if c_before >= 0:
            state = state + f * load(work, c_before + at)
        t = tanh(state)
        store(work, z + at, i)
        store(work, z + width + at, f)
        store(work, z + 2 * width + at, g)
        store(work, z + 3 * width + at, o)
        store(work, c + at, state)
        store(work, tanh_c + at, t)
        store(work, h + at, o * t)


@compiled
def lstm_forward(layer, weights, work, steps, width):
    """A layer of LSTM: x (steps, inputs, width) to h (steps, units, width), gates and states kept for the way back."""
    inputs, units, x, h = layer[INPUTS], layer[UNITS], layer[X], layer[H]
    kernel = layer[WEIGHTS]
    recurrent = kernel + 4 * units * inputs
    bias = recurrent + 4 * units * units
    panel = units * width
    z, c = layer[CACHE], layer[CACHE] + 4 * steps * panel
    tanh_c = c + steps * panel
    pair = ROWS // 4
    for step in range(steps):
        here = z + 4 * step * panel
        fill_bias(weights, bias, work, here, 4 * units, width)
        add_product(weights, kernel, inputs, units, work, x + step * inputs * width, width, here)
        for j in range(0, units, pair):
            if step > 0:
                add_product(
                    weights, recurrent + 4 * j * units, units, pair, work, h + (step - 1) * panel, width,
                    here + 4 * j * width,
                )  # fmt: skip
            for unit in range(j, j + pair):
                at = step * panel + unit * width
                before = c + at - panel if step > 0 else -1
                gates(work, here + 4 * unit * width, before, c + at, tanh_c + at, h + at, width)


@compiled
def gates_backward(work, z, c_before, tanh_c, dh, dc, first, last, width):
    """Gradient of one unit's gates at one step, in their place; dc carries the cell state's to the step before."""
    one = splat(f4(1))
    for at in range(0, width, LANES):
        i, f = load(work, z + at), load(work, z + width + at)
        g, o = load(work, z + 2 * width + at), load(work, z + 3 * width + at)
        t, d = load(work, tanh_c + at), load(work, dh + at)
        state = d * o * (one - t * t)
        if not last:
            state = state + load(work, dc + at)
        store(work, z + 3 * width + at, d * t * o * (one - o))
        store(work, z + at, state * g * i * (one - i))
        store(work, z + 2 * width + at, state * i * (one - g * g))
        if first:
            store(work, z + width + at, splat(f4(0)))
        else:
            store(work, z + width + at, state * load(work, c_before + at) * f * (one - f))
        store(work, dc + at, state * f)


@compiled
def lstm_backward(layer, weights, work, steps, width, result):
    """Gradients of the layer's weights into `result`, of its input added to dx."""
    inputs, units, x, h, dh = layer[INPUTS], layer[UNITS], layer[X], layer[H], layer[DH]
    kernel = layer[WEIGHTS]
    recurrent = kernel + 4 * units * inputs
    bias = recurrent + 4 * units * units
    panel = units * width
    z, c = layer[CACHE], layer[CACHE] + 4 * steps * panel
    tanh_c = c + steps * panel
    dc = tanh_c + steps * panel
    for step in range(steps - 1, -1, -1):
        here = z + 4 * step * panel
        for unit in range(units):
            at = step * panel + unit * width
            gates_backward(
                work, here + 4 * unit * width, c + at - panel, tanh_c + at, dh + at, dc + unit * width,
                step == 0, step == steps - 1, width,
            )  # fmt: skip
        if step > 0:
            add_transposed_product(weights, recurrent, units, units, work, here, width, dh + (step - 1) * panel)
        if layer[DX] >= 0:
            add_transposed_product(weights, kernel, inputs, units, work, here, width, layer[DX] + step * inputs * width)
    gradient(work, x, inputs, z, units, steps, width, result, kernel)
    # the state before the first step is zero
    gradient(work, h, units, z + 4 * panel, units, steps - 1, width, result, recurrent)
    bias_gradient(work, z, 4 * units, steps, width, result, bias)


@compiled
def dense_forward(layer, weights, work, steps, width):
    """h = weights x + bias at every step."""
    inputs, units = layer[INPUTS], layer[UNITS]
    kernel = layer[WEIGHTS]
    for step in range(steps):
        here = layer[H] + step * units * width
        fill_bias(weights, kernel + units * inputs, work, here, units, width)
        add_product(weights, kernel, inputs, units // 4, work, layer[X] + step * inputs * width, width, here)


@compiled
def dense_backward(layer, weights, work, steps, width, result):
    """Gradients of the layer's weights into `result`, of its input added to dx."""
    inputs, units = layer[INPUTS], layer[UNITS]
    kernel = layer[WEIGHTS]
    if layer[DX] >= 0:
        for step in range(steps):
            here = layer[DH] + step * units * width
            add_transposed_product(
                weights, kernel, inputs, units // 4, work, here, width, layer[DX] + step * inputs * width
            )
    gradient(work, layer[X], inputs, layer[DH], units // 4, steps, width, result, kernel)
    bias_gradient(work, layer[DH], units, steps, width, result, kernel + units * inputs)


@compiled
def merge_forward(layer, work, steps, width):
    """h = ReLU(x + x2 + x3); x3 may be missing."""
    for i in range(0, steps * layer[UNITS] * width, LANES):
        total = load(work, layer[X] + i) + load(work, layer[X2] + i)
        if layer[X3] >= 0:
            total = total + load(work, layer[X3] + i)
        store(work, layer[H] + i, at_least(splat(f4(0)), total))


@compiled
def merge_backward(layer, work, steps, width):
    """The gradient of h, where h is positive, added to those of its inputs."""
    for i in range(0, steps * layer[UNITS] * width, LANES):
        d = where_positive(load(work, layer[H] + i), load(work, layer[DH] + i))
        for field in (DX, DX2, DX3):
            if layer[field] >= 0:
                store(work, layer[field] + i, load(work, layer[field] + i) + d)


@compiled
def mix(number):
    """A hash of 32 bits: neighbouring numbers give unrelated ones (Wellons 2018, `lowbias32`)."""
    number = np.uint32(number)
    number = np.uint32((number ^ (number >> np.uint32(16))) * np.uint32(0x7FEB352D))
    number = np.uint32((number ^ (number >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(number ^ (number >> np.uint32(16)))


@compiled
def uniform(key, index):
    """A number in (0, 1) that depends on key and index only."""
    bits = mix(mix(np.uint32(index)) + np.uint32(key))
    return (f4(bits >> np.uint32(8)) + f4(0.5)) * f4(2.0**-24)


@compiled
def add_kept(layer, work, source, target, steps, width, rate, key):
    """target += source, a share `rate` of it set to zero and the rest raised to keep the mean."""
    units = layer[UNITS]
    key = mix(np.uint32(key) + np.uint32(layer[KEY]))
    kept = f4(1) / (f4(1) - rate)
    for step in range(steps):
        for unit in range(units):
            at = (step * units + unit) * width
            for c in range(width):
                factor = kept if uniform(key, (c * steps + step) * units + unit) >= rate else f4(0)
                work[target + at + c] += work[source + at + c] * factor


@compiled
def dropout_forward(layer, work, steps, width, rate, key):
    """h = what is kept of x."""
    fill(work, layer[H], steps * layer[UNITS] * width, f4(0))
    add_kept(layer, work, layer[X], layer[H], steps, width, rate, key)


@compiled
def dropout_backward(layer, work, steps, width, rate, key):
    """The same share of the gradient is kept."""
    add_kept(layer, work, layer[DH], layer[DX], steps, width, rate, key)


@compiled
def forward(table, weights, work, steps, width, rate, key):
    """All layers in order; a rate of dropout of 0 copies."""
    for number in range(len(table)):
        layer = table[number]
        kind = layer[KIND]
        if kind == LSTM:
            lstm_forward(layer, weights, work, steps, width)
        elif kind == DENSE:
            dense_forward(layer, weights, work, steps, width)
        elif kind == MERGE:
            merge_forward(layer, work, steps, width)
        else:
            dropout_forward(layer, work, steps, width, rate, key)


@compiled
def backward(table, weights, work, steps, width, rate, key, result):
    """All layers from the last to the first; gradients of tensors start at zero, but for the output's."""
    for number in range(len(table) - 1):
        fill(work, table[number, DH], steps * table[number, UNITS] * width, f4(0))
    for number in range(len(table) - 1, -1, -1):
        layer = table[number]
        kind = layer[KIND]
        if kind == LSTM:
            lstm_backward(layer, weights, work, steps, width, result)
        elif kind == DENSE:
            dense_backward(layer, weights, work, steps, width, result)
        elif kind == MERGE:
            merge_backward(layer, work, steps, width)
        else:
            dropout_backward(layer, work, steps, width, rate, key)


@compiled
def put_inputs(inputs, rows, work, padded, width):
    """Windows `rows` of inputs (n, steps, channels) to the start of the workspace as (steps, padded, width)."""
    _, steps, channels = inputs.shape
    work[: steps * padded * width] = f4(0)
    for column in range(len(rows)):
        for step in range(steps):
            for channel in range(channels):
                work[(step * padded + channel) * width + column] = inputs[rows[column], step, channel]


@compiled
def add_noise(work, steps, channels, padded, width, columns, deviation, key):
    """Gaussian noise of that standard deviation added to the inputs (Box and Muller 1958)."""
    for column in range(columns):
        for step in range(steps):
            for channel in range(channels):
                index = 2 * ((column * steps + step) * channels + channel)
                radius = np.sqrt(f4(-2) * np.log(uniform(key, index)))
                angle = f4(2 * np.pi) * uniform(key, index + 1)
                work[(step * padded + channel) * width + column] += deviation * radius * np.cos(angle)


@compiled
def loss_and_gradient(table, work, targets, rows, loss_weights, width):
    """Weighted mean squared error of a batch; its gradient goes to the output's. Weights are (steps, modes)."""
    last = table[len(table) - 1]
    _, steps, modes = targets.shape
    units, h, dh = last[UNITS], last[H], last[DH]
    work[dh : dh + steps * units * width] = f4(0)
    scale = f4(1) / f4(len(rows) * steps * modes)
    total = 0.0
    for step in range(steps):
        for mode in range(modes):
            at = (step * units + mode) * width
            weight = loss_weights[step, mode] * scale
            for column in range(len(rows)):
                error = work[h + at + column] - targets[rows[column], step, mode]
                work[dh + at + column] = f4(2) * weight * error
                total += weight * error * error
    return total


@compiled
def likelihood_and_gradient(table, work, targets, rows, loss_weights, width, head):
    """Weighted negative log likelihood of a batch, without its constant, and its gradient; `head` as in heads.py."""
    scale, floor, beta = head[0], head[1], head[2]
    last = table[len(table) - 1]
    _, steps, modes = targets.shape
    units, h, dh = last[UNITS], last[H], last[DH]
    work[dh : dh + steps * units * width] = f4(0)
    share = f4(1) / f4(len(rows) * steps * modes)
    total = 0.0
    for step in range(steps):
        for mode in range(modes):
            at, raw = (step * units + mode) * width, (step * units + modes + mode) * width
            weight = loss_weights[step, mode] * share
            for column in range(len(rows)):
                x = scale * work[h + raw + column]
                tail = np.exp(-abs(x))
                sigma = max(x, f4(0)) + np.log1p(tail) + floor
                z = scale * (work[h + at + column] - targets[rows[column], step, mode]) / sigma
                factor = weight * sigma ** (f4(2) * beta)
                slope = (f4(1) if x > f4(0) else tail) / (f4(1) + tail)
                work[dh + at + column] = factor * scale * z / sigma
                work[dh + raw + column] = factor * scale * slope * (f4(1) - z * z) / sigma
                total += factor * (np.log(sigma) + f4(0.5) * z * z)
    return total


@compiled
def clip(result, norm):
    """Gradients scaled down to a global norm."""
    total = splat(f4(0))
    for i in range(0, len(result), LANES):
        g = load(result, i)
        total = total + g * g
    length = np.sqrt(lane_sum(total))
    if length > norm:
        factor = splat(norm / length)
        for i in range(0, len(result), LANES):
            store(result, i, load(result, i) * factor)


@compiled
def adam(weights, first, second, result, rate, decay, step):
    """One step of Adam with decoupled weight decay (Loshchilov and Hutter 2019), in the order of Keras."""
    corrected = f4(rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
    shrink = splat(f4(1) - decay * f4(rate))
    for i in range(0, len(weights), LANES):
        g, m, v = load(result, i), load(first, i), load(second, i)
        m = m + (g - m) * splat(f4(1) - BETA_1)
        v = v + (g * g - v) * splat(f4(1) - BETA_2)
        store(first, i, m)
        store(second, i, v)
        change = m * splat(corrected) / (square_root(v) + splat(EPSILON))
        store(weights, i, load(weights, i) * shrink - change)


@compiled
def train_epoch(
    table, weights, first, second, work, inputs, targets, batches, loss_weights, settings, head, seed, done
):
    """One step of Adam for each row of batches (m, batch size); returns the mean loss of the epoch.

    `settings` are learning rate, weight decay, norm to clip at (0: none), dropout, input noise; `head` scale, floor and
    beta of a Gaussian head (scale 0: none); `done` steps came before.
    """
    rate, decay, norm, dropout, noise = settings
    _, steps, channels = inputs.shape
    size = batches.shape[1]
    width = padded_width(size)
    padded = padded_units(channels)
    result = np.zeros_like(weights)  # places between parts of the parameters stay zero
    total = 0.0
    for number in range(len(batches)):
        key = mix(mix(np.uint32(seed)) + np.uint32(done + number))
        rows = batches[number]
        put_inputs(inputs, rows, work, padded, width)
        if noise > 0:
            add_noise(work, steps, channels, padded, width, size, noise, key)
        forward(table, weights, work, steps, width, dropout, key)
        if head[0] > 0:
            total += likelihood_and_gradient(table, work, targets, rows, loss_weights, width, head)
        else:
            total += loss_and_gradient(table, work, targets, rows, loss_weights, width)
        backward(table, weights, work, steps, width, dropout, key, result)
        if norm > 0:
            clip(result, norm)
        adam(weights, first, second, result, rate, decay, done + number + 1)
    return total / len(batches)


@compiled
def predict(table, weights, work, inputs, size, outputs):
    """Outputs (n, steps, modes) of inputs (n, steps, channels), `size` windows at a time, without dropout."""
    windows, steps, channels = inputs.shape
    last = table[len(table) - 1]
    width = padded_width(size)
    for start in range(0, windows, size):
        rows = np.arange(start, min(start + size, windows))
        put_inputs(inputs, rows, work, padded_units(channels), width)
        forward(table, weights, work, steps, width, f4(0), np.uint32(0))
        for step in range(steps):
            for mode in range(outputs.shape[2]):
                at = last[H] + (step * last[UNITS] + mode) * width
                for column in range(len(rows)):
                    outputs[start + column, step, mode] = work[at + column]


@compiled
def padded_units(units):
    """Units or channels as they lie in the workspace: whole blocks of four, the added ones always zero."""
    return -(-units // 4) * 4


@compiled
def padded_width(size):
    """Columns of a batch in the workspace: whole tiles."""
    return -(-size // COLUMNS) * COLUMNS
