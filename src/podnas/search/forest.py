"""A random forest that learns one observation at a time, compiled: the surrogate of Bayesian optimisation.

Trees are grown until a leaf holds one observation or equal ones: their disagreement is what the forest does not
know, and it is small near observations alone. At a node each dimension, or in small nodes some of them, offers one
random split that parts two of the node's observations: a threshold, or a random half of the categories. The one that
lowers the variance most is taken (in the manner of extremely randomised trees, Geurts et al. 2006). A later observation
parts its leaf of every tree from the one that stood there, as growing would have; the splits above stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from podnas import compiled

compiled.keep("forest", Path(__file__))

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Integers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

LARGEST = 2000  # observations a tree is grown on; of more, each tree draws so many
MIN_LEAF = 1
JUDGED = 64  # observations of a node that its splits are judged by: of more, evenly many are left out
MOST_CATEGORIES = 30  # bits of a node's set of categories; a dimension of more is split by their index
PAIRS = 3  # pairs of observations drawn for a threshold, until two differ
LEAST_OFFERS = 3  # a node looks at as many splits as it has observations, but not at fewer than these
FIELDS = 4
FEATURE, KIND, LEFT, CUT = range(FIELDS)  # of a node; the other child stands right of the left one
NUMBER, CATEGORY = range(2)  # kinds of a node's cut: a threshold, or the bits of the categories that go left


@dataclass
class Forest:
    """Trees of nodes in breadth-first order. Leaves lead to themselves, so that all rows take as many steps."""

    nodes: Any  # (trees, nodes, 4) int32; a threshold is held by its bits
    depth: Integers  # (trees,) steps to the deepest leaf
    count: Floats  # (trees, nodes) observations
    mean: Floats
    square: Floats  # sum of squared deviations from the mean
    held: Any  # (trees, nodes) int32, of a leaf: an observation in it, by its place
    made: Integers  # (trees,) nodes there are
    categories: Integers  # (d,) number of categories of a dimension, 0 where it is ordered
    seed: int

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation (n,) of the forest's belief about the loss at rows (n, d) float32.

        The variance is that between the trees' means plus the mean of that inside their leaves.
        """
        if not len(rows):
            return np.zeros(0, np.float32), np.zeros(0, np.float32)
        columns = np.ascontiguousarray(rows.T)
        leaves = (self.count, self.mean, self.square)
        means, deviations = _predict(*self._flat(), self.depth, *leaves, columns)
        return means, deviations

    @contextmanager
    def lied(self, rows: Floats, losses: Floats) -> Iterator[None]:
        """While it lasts, leaves believe what is only assumed, rows (n, d) and losses (n,), and are as sure as before.

        That they are no surer of an assumption than of what was seen, nor less sure, keeps a bound from falling by it.
        """
        leaves = np.arange(len(self.nodes))[:, None], _leaves(*self._flat(), self.depth, rows)
        statistics = (self.count, self.mean, self.square)
        before = [values[leaves] for values in statistics]
        _lie(leaves[1], *statistics, losses)
        try:
            yield
        finally:
            for values, old in zip(statistics, before, strict=True):
                values[leaves] = old

    def learn(self, rows: Floats, begin: int, losses: Floats) -> None:
        """Grow on by the observations from place `begin`: losses (n,) at the last of rows (begin + n, d).

        A leaf whose losses are equal is parted while the room lasts that `grow` was asked for; others take them in.
        """
        leaves = (self.depth, self.count, self.mean, self.square, self.held, self.made)
        _learn(*self._flat(), *leaves, self.categories, np.uint64(self.seed), rows, begin, losses)

    def _flat(self) -> tuple[Any, Any]:
        """The fields of a tree's nodes in a line, as integers and as floats."""
        flat = self.nodes.reshape(len(self.nodes), -1)
        return flat, flat.view(np.float32)


def grow(
    rows: Floats,
    losses: Floats,
    categories: Integers,
    trees: int,
    seed: int,
    largest: int = LARGEST,
    later: int = 0,
) -> Forest:
    """Fit to losses (n,) at rows (n, d), both float32.

    categories: (d,) number of categories of a dimension, 0 where it is ordered. A tree takes at most `largest`
    observations: time and memory do not grow beyond. later: observations that it keeps room for.
    """
    size = min(len(losses), largest)
    shape = (trees, 2 * (size + later))
    nodes = np.zeros((*shape, FIELDS), np.int32)
    depth, made = np.zeros((2, trees), np.int64)
    leaves = [np.zeros(shape, np.float32) for _ in range(3)]
    held = np.zeros(shape, np.int32)
    columns = np.ascontiguousarray(rows.T)
    categories = np.where(categories > MOST_CATEGORIES, 0, categories)
    numbers = nodes.view(np.float32)
    _grow(columns, losses, categories, size, np.uint64(seed), nodes, numbers, depth, *leaves, held, made)
    return Forest(nodes, depth, *leaves, held, made, categories, seed)


compiled_function = njit(cache=True, error_model="numpy")


@compiled_function
def _random(state):
    """Next 64 random bits (splitmix64, Steele et al. 2014); state is an array of one."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled_function
def _below(state, bound):
    """A number from 0 to bound - 1 of at most 32 bits: the upper half of a product, which no division is needed for."""
    return np.int64(((_random(state) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@compiled_function
def _uniform(state):
    return np.float32(np.float64(_random(state) >> np.uint64(40)) * 5.9604644775390625e-08)


@compiled_function
def _in(bits, value):
    """1 where a category is among those of the bits, else 0; a dimension left out (negative) is not."""
    return 0 if value < 0 else (bits >> np.int32(value)) & 1


@compiled_function
def _grow(columns, losses, categories, size, seed, nodes, cuts, depth, count, mean, square, held, made):
    state = np.empty(1, np.uint64)
    state[0] = seed * np.uint64(0x2545F4914F6CDD1D) + np.uint64(1)
    chosen, drawn = np.empty(size, np.int32), np.empty(size, np.float32)
    level = np.empty(nodes.shape[1], np.int64)
    first, last = np.empty(nodes.shape[1], np.int64), np.empty(nodes.shape[1], np.int64)
    for tree in range(nodes.shape[0]):
        for place in range(size):
            chosen[place] = place if size == losses.size else _below(state, losses.size)
            drawn[place] = losses[chosen[place]]
        depth[tree], made[tree] = _grow_tree(
            columns, categories, chosen, drawn, state, first, last, level,
            nodes[tree], cuts[tree], count[tree], mean[tree], square[tree], held[tree],
        )  # fmt: skip


@compiled_function
def _grow_tree(columns, categories, chosen, drawn, state, first, last, level, nodes, cuts, count, mean, square, held):
    first[0], last[0], level[0] = 0, chosen.size, 0
    made, node = 1, 0
    while node < made:
        begin, end = first[node], last[node]
        total = np.float64(0)
        for place in range(begin, end):
            total += drawn[place]
        centre = np.float32(total / (end - begin))
        spread = np.float64(0)
        for place in range(begin, end):
            spread += (drawn[place] - centre) ** 2
        count[node], mean[node], square[node] = end - begin, centre, spread
        held[node] = chosen[begin]
        nodes[node, FEATURE], nodes[node, KIND], nodes[node, LEFT] = 0, NUMBER, node
        cuts[node, CUT] = np.inf
        if end - begin >= 2 * MIN_LEAF and spread > 1e-12 and made + 2 <= nodes.shape[0]:
            best, kind, cut, bits = _split(columns, categories, chosen, drawn, begin, end, centre, state)
            if best >= 0:
                nodes[node, FEATURE], nodes[node, KIND], nodes[node, LEFT] = best, kind, made
                if kind == CATEGORY:
                    nodes[node, CUT] = bits
                else:
                    cuts[node, CUT] = cut
                middle = _partition(columns[best], chosen, drawn, begin, end, kind, cut, bits)
                first[made], last[made], level[made] = begin, middle, level[node] + 1
                first[made + 1], last[made + 1], level[made + 1] = middle, end, level[node] + 1
                made += 2
        node += 1
    return level[made - 1], made


@compiled_function
def _split(columns, categories, chosen, drawn, begin, end, centre, state):
    """The best of one random split a dimension: dimension (-1: none), kind, threshold, categories to the left."""
    best, best_kind, best_cut, best_bits, best_gain = -1, NUMBER, np.float32(0), np.int32(0), 0.0
    stride = max(1, (end - begin) // JUDGED)
    start = begin + _below(state, stride)
    size = (end - start + stride - 1) // stride
    dimensions = columns.shape[0]
    # two observations are parted alike by all splits that part them
    wanted, first = max(LEAST_OFFERS, size) if size > 2 else 1, _below(state, dimensions)
    for offset in range(dimensions):
        if wanted == 0:
            break
        dimension = (first + offset) % dimensions
        column = columns[dimension]
        number, total = 0, np.float32(0)
        cut, bits, kind = np.float32(0), np.int32(0), NUMBER
        low, high = _pair(column, chosen, begin, end, state)
        if low == high:
            continue
        if categories[dimension] > 0:
            kind = CATEGORY
            bits = _half(low, high, state)
            for place in range(start, end, stride):
                inside = _in(bits, column[chosen[place]])
                number += inside
                total += (drawn[place] - centre) * inside
        else:
            cut = low + (high - low) * _uniform(state)
            for place in range(start, end, stride):
                inside = column[chosen[place]] <= cut
                number += inside
                total += (drawn[place] - centre) * inside
        if number < MIN_LEAF or size - number < MIN_LEAF:
            continue
        wanted -= 1
        gain = np.float64(total) * total * (1 / number + 1 / (size - number))
        if gain > best_gain:
            best, best_kind, best_cut, best_bits, best_gain = dimension, kind, cut, bits, gain
    return best, best_kind, best_cut, best_bits


@compiled_function
def _pair(column, chosen, begin, end, state):
    """Two different values of a node, the smaller first; equal ones where none were found."""
    low = high = np.float32(0)
    for _ in range(PAIRS):
        low = column[chosen[begin + _below(state, end - begin)]]
        high = column[chosen[begin + _below(state, end - begin)]]
        if low != high:
            break
    return min(low, high), max(low, high)


@compiled_function
def _half(low, high, state):
    """Bits of a random half of the categories that parts two of them; the lower may be a dimension left out."""
    bits = np.int32(_random(state) >> np.uint64(34)) | (np.int32(1) << np.int32(high))
    return bits & ~(np.int32(1) << np.int32(low)) if low >= 0 else bits


@compiled_function
def _partition(column, chosen, drawn, begin, end, kind, cut, bits):
    """Observations that go left before those that go right; where the latter begin."""
    middle = begin
    for place in range(begin, end):
        value = column[chosen[place]]
        if (kind == CATEGORY and _in(bits, value) == 1) or (kind == NUMBER and value <= cut):
            chosen[place], chosen[middle] = chosen[middle], chosen[place]
            drawn[place], drawn[middle] = drawn[middle], drawn[place]
            middle += 1
    return middle


@compiled_function
def _step(nodes, cuts, node, value):
    """The child that a value of the node's dimension leads to. Without a branch, so that many rows go side by side."""
    first = np.uint32(node) * np.uint32(FIELDS)
    cut = first + np.uint32(CUT)
    below = np.int32(value <= cuts[cut])
    among = (nodes[cut] >> (np.int32(value) & np.int32(31))) & np.int32(value >= 0)
    goes_left = among if nodes[first + np.uint32(KIND)] == CATEGORY else below
    return nodes[first + np.uint32(LEFT)] + np.int32(1) - goes_left


@compiled_function
def _dimension(nodes, node):
    return np.uint32(nodes[np.uint32(node) * np.uint32(FIELDS)])


@compiled_function
def _predict(nodes, cuts, depth, count, mean, square, columns):
    trees, n = nodes.shape[0], columns.shape[1]
    sums, squares, inside = np.zeros(n, np.float64), np.zeros(n, np.float64), np.zeros(n, np.float64)
    at = np.empty(n, np.int32)
    for tree in range(trees):
        of_tree, cuts_of_tree = nodes[tree], cuts[tree]
        at[:] = 0
        for _ in range(depth[tree]):
            for one in range(n):
                value = columns[_dimension(of_tree, at[one]), one]
                at[one] = _step(of_tree, cuts_of_tree, at[one], value)
        for one in range(n):
            value = np.float64(mean[tree, at[one]])
            sums[one] += value
            squares[one] += value * value
            inside[one] += square[tree, at[one]] / count[tree, at[one]]
    means, deviations = np.empty(n, np.float32), np.empty(n, np.float32)
    for one in range(n):
        centre = sums[one] / trees
        means[one] = centre
        deviations[one] = np.sqrt(max(0.0, (squares[one] + inside[one]) / trees - centre * centre))
    return means, deviations


@compiled_function
def _leaf(nodes, cuts, depth, row):
    """The leaf that a row leads to, and its level."""
    leaf, level = np.int32(0), 0
    for _ in range(depth):
        below = _step(nodes, cuts, leaf, row[_dimension(nodes, leaf)])
        if below == leaf:
            break
        leaf, level = below, level + 1
    return leaf, level


@compiled_function
def _take_in(leaf, loss, count, mean, square):
    away = loss - mean[leaf]
    count[leaf] += np.float32(1)
    mean[leaf] += away / count[leaf]
    square[leaf] += away * (loss - mean[leaf])


@compiled_function
def _leaves(nodes, cuts, depth, rows):
    """The leaf of each tree that each row leads to (trees, n)."""
    found = np.empty((nodes.shape[0], rows.shape[0]), np.int32)
    for tree in range(nodes.shape[0]):
        for one in range(rows.shape[0]):
            found[tree, one], _ = _leaf(nodes[tree], cuts[tree], depth[tree], rows[one])
    return found


@compiled_function
def _lie(leaves, count, mean, square, losses):
    for tree in range(leaves.shape[0]):
        for one in range(leaves.shape[1]):
            leaf = leaves[tree, one]
            spread = square[tree, leaf] / count[tree, leaf]
            _take_in(leaf, losses[one], count[tree], mean[tree], square[tree])
            square[tree, leaf] = spread * count[tree, leaf]


@compiled_function
def _learn(nodes, cuts, depth, count, mean, square, held, made, categories, seed, rows, begin, losses):
    state = np.empty(1, np.uint64)
    for tree in range(nodes.shape[0]):
        for one in range(losses.size):
            place = begin + one
            row = rows[place]
            leaf, level = _leaf(nodes[tree], cuts[tree], depth[tree], row)
            alike = square[tree, leaf] <= 1e-12 and abs(losses[one] - mean[tree, leaf]) > 1e-6
            if alike and made[tree] + 2 <= count.shape[1]:
                state[0] = (seed * np.uint64(0x2545F4914F6CDD1D) + np.uint64(place)) * np.uint64(0x9E3779B97F4A7C15)
                state[0] ^= np.uint64(tree)
                other = rows[held[tree, leaf]]
                side = _part(nodes[tree], cuts[tree], leaf, made[tree], row, other, categories, state)
                if side >= 0:
                    mine, theirs = made[tree] + side, made[tree] + 1 - side
                    count[tree, mine], mean[tree, mine], held[tree, mine] = 1, losses[one], place
                    count[tree, theirs], mean[tree, theirs] = count[tree, leaf], mean[tree, leaf]
                    held[tree, theirs] = held[tree, leaf]
                    made[tree] += 2
                    depth[tree] = max(depth[tree], level + 1)
                    continue
            _take_in(leaf, losses[one], count[tree], mean[tree], square[tree])


@compiled_function
def _part(nodes, cuts, leaf, made, row, other, categories, state):
    """Make a leaf a node that parts a row from another. The child of the row, 0 or 1; -1 where they are equal."""
    first = _below(state, row.size)
    for offset in range(row.size):
        dimension = (first + offset) % row.size
        low, high = min(row[dimension], other[dimension]), max(row[dimension], other[dimension])
        if low == high:
            continue
        at = leaf * FIELDS
        nodes[at + FEATURE], nodes[at + LEFT] = dimension, made
        if categories[dimension] > 0:
            bits = _half(low, high, state)
            nodes[at + KIND], nodes[at + CUT] = CATEGORY, bits
            side = 1 - _in(bits, row[dimension])
        else:
            cut = low + (high - low) * _uniform(state)
            cut = low if cut >= high else cut  # rounded
            cuts[at + CUT] = cut
            side = 1 - np.int64(row[dimension] <= cut)
        for child in range(made, made + 2):
            nodes[child * FIELDS + LEFT] = child
            cuts[child * FIELDS + CUT] = np.inf
        return side
    return -1
