"""All architectures of a space on one line of slots, their parameters padded to one shape.

The layers of an architecture are a line: each takes the value of the one before it, a merge also values from earlier
on the line (its taps), projected or not. Laid over one another, the lines of a space are a line of slots; in an
architecture that has no layer at a slot the value passes it unchanged. Padded parameters are zero, and so is what
padded units put out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise

import numpy as np
from ConfigSpace import CategoricalHyperparameter

from podnas.networks import parameters
from podnas.networks.space import Layer, architecture_space, graph
from podnas.windows import Array

ROUNDED = 32  # widths of slots are multiples of it

Tree = dict[str, dict[str, Array]]  # arrays of each slot's kinds and taps, members first


@dataclass(frozen=True)
class Slot:
    """What layers of one name share; the program of a plan computes each kind, a member uses one or none."""

    name: str
    kinds: tuple[str, ...]
    inputs: int  # padded widths of the value before and after
    units: int
    taps: tuple[tuple[int, int], ...]  # place on the line and padded width of the other values taken, the latest first

    def kind_keys(self) -> list[tuple[str, str]]:
        """Each kind with the name of its parameters."""
        return [(kind, f"{self.name}:{kind}") for kind in self.kinds]

    def tap_keys(self) -> list[tuple[int, int, str]]:
        """Place and width of each tap with the name of its projection."""
        return [(place, width, f"{self.name}:{place}") for place, width in self.taps]


Plan = tuple[Slot, ...]


class Line:
    """The layers of one architecture on the line."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.all = layers
        self.layers = [layer for layer in layers if layer.kind != "project"]
        for before, layer in pairwise(self.layers):
            if layer.inputs[0] != before.name:
                raise ValueError(
                    f"layer {layer.name} follows {layer.inputs[0]}, not {before.name} before it; the stacked engine "
                    "trains lines of layers with skips: set training.engine: kernels"
                )
        named = {layer.name: layer for layer in layers}
        # of each layer: name of the source, and of its projection if it has one
        self.taps = {
            layer.name: [_tap(named[name]) for name in layer.inputs[1:]] for layer in self.layers if layer.inputs
        }

    def spans(self, place: dict[str, int]) -> Iterator[tuple[Layer, int, int]]:
        """Each layer with the first and the last place on the line that its output holds."""
        ends = [*(place[layer.name] - 1 for layer in self.layers[1:]), len(place) - 1]
        for layer, end in zip(self.layers, ends, strict=True):
            yield layer, place[layer.name], end


def _tap(source: Layer) -> tuple[str, str | None]:
    return (source.inputs[0], source.name) if source.kind == "project" else (source.name, None)


def plan(lines: Sequence[Line]) -> Plan:
    """The slots that all lines fit on; the input is none, but the value at place 0."""
    place = {name: number for number, name in enumerate(_order(lines))}
    kinds: list[set[str]] = [set() for _ in place]
    taps: list[set[int]] = [set() for _ in place]
    widths = [0] * len(place)
    for line in lines:
        ends: dict[str, int] = {}
        for layer, start, end in line.spans(place):
            ends[layer.name] = end
            kinds[start].add(layer.kind)
            taps[start] |= {ends[source] for source, _ in line.taps.get(layer.name, ())}
            for here in range(start, end + 1):
                widths[here] = max(widths[here], _padded(layer))
    return tuple(
        Slot(
            name,
            tuple(sorted(kinds[here] - {"identity"})),
            widths[here - 1],
            widths[here],
            tuple((tap, widths[tap]) for tap in sorted(taps[here], reverse=True)),
        )
        for name, here in place.items()
        if here > 0
    )


def _order(lines: Iterable[Line]) -> Iterable[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for line in lines:
        for before, layer in pairwise(line.layers):
            sorter.add(layer.name, before.name)
    return sorter.static_order()


def _padded(layer: Layer) -> int:
    return layer.units if layer.kind in ("input", "output") else -(-layer.units // ROUNDED) * ROUNDED


@cache
def covering(names: frozenset[str], channels: int, modes: int, dropout: bool) -> tuple[Line, ...]:
    """Lines that have each value of each dimension of the space, so that their plan fits all points of it.

    None where `names`, those of a point's values, are not the space's.
    """
    dimensions = architecture_space().values()
    values = {one.name: one.choices for one in dimensions if isinstance(one, CategoricalHyperparameter)}
    if names != set(values):
        return ()
    count = max(len(choices) for choices in values.values())
    points = [{name: choices[n % len(choices)] for name, choices in values.items()} for n in range(count)]
    return tuple(Line(graph(point, channels, modes, dropout)) for point in points)


def shapes(plan: Plan) -> dict[str, parameters.Shapes]:
    """Padded shapes of the parameters of each slot's kinds and taps."""
    found = {key: parameters.shapes(kind, slot.inputs, slot.units) for slot in plan for kind, key in slot.kind_keys()}
    for slot in plan:
        found |= {key: parameters.shapes("project", width, slot.units) for _, width, key in slot.tap_keys()}
    return {key: parts for key, parts in found.items() if parts}


class Placed:
    """An architecture on a plan: what it uses of each slot, where its parameters lie."""

    def __init__(self, line: Line, plan: Plan) -> None:
        place = {slot.name: number for number, slot in enumerate(plan, 1)} | {line.layers[0].name: 0}
        self.layers = line.all
        self.keys: dict[str, str] = {}  # of the parameters of each layer
        self.direct: set[str] = set()  # taps that are not projected
        self.units = {layer.name: layer.units for layer in line.layers}
        ends: dict[str, int] = {}
        for layer, _, end in line.spans(place):
            ends[layer.name] = end
            self.keys[layer.name] = f"{layer.name}:{layer.kind}"
            for source, projection in line.taps.get(layer.name, ()):
                key = f"{layer.name}:{ends[source]}"
                if projection is None:
                    self.direct.add(key)
                else:
                    self.keys[projection] = key
        self.used = set(self.keys.values())

    def parts(self, tree: Tree, member: int) -> Iterator[Array]:
        """Views of a member's arrays in a padded tree, in the order of its vector."""
        for layer, parts in parameters.layer_shapes(self.layers):
            for part, shape in parts.items():
                padded = tree[self.keys[layer.name]][part][member]
                gates = shape[-1] // layer.units
                grid = padded.reshape(*padded.shape[:-1], gates, padded.shape[-1] // gates)
                yield (grid[: shape[0]] if len(shape) == 2 else grid)[..., : layer.units]


def pack(plan: Plan, members: Sequence[Placed], vectors: Sequence[Array]) -> Tree:
    """Vectors in Keras's layout as padded arrays, members first."""
    tree = {
        key: {part: np.zeros((len(members), *shape), np.float32) for part, shape in parts.items()}
        for key, parts in shapes(plan).items()
    }
    for number, (member, vector) in enumerate(zip(members, vectors, strict=True)):
        start = 0
        for part in member.parts(tree, number):
            part[...] = vector[start : start + part.size].reshape(part.shape)
            start += part.size
    return tree


def unpack(tree: Tree, members: Sequence[Placed]) -> list[Array]:
    """The members' vectors in Keras's layout."""
    return [
        np.concatenate([part.ravel() for part in member.parts(tree, number)]) for number, member in enumerate(members)
    ]
