"""The SC20 search space of stacked LSTMs (Maulik et al. 2020, §III), and the settings of training beside it. No Keras.

Five variable nodes, each Identity or an LSTM that returns sequences. After each node a merge adds, to the node's
output, skips from up to two anchors before it: the input and the merges so far. A skip whose width differs is first
projected by a Dense layer to the node's width; the sum goes through ReLU. A merge without a skip passes its node on,
as in the software of the time. A constant LSTM as wide as the output closes the network.

A point holds the values of an architecture and of those settings of training that are searched, under the names that
they have in `training`. What an architecture is depends on the former alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from podnas.config import HyperparametersConfig, RangeConfig, SearchConfig, TrainingConfig

NODES = 5
WIDTHS = (16, 32, 48, 64, 80, 96)
SMALL_NODES, SMALL_WIDTHS = 2, (8, 16, 32)  # for a single series
REACH = 2
IDENTITY = "identity"
HYPERPARAMETERS = frozenset(HyperparametersConfig.model_fields)
WHOLE = frozenset({"batch_size"})  # hyperparameters that are whole numbers

Point = Mapping[str, object]
Dimension = OrdinalHyperparameter | UniformFloatHyperparameter | UniformIntegerHyperparameter


@dataclass(frozen=True)
class Layer:
    """One layer of an architecture; units is the width of its output."""

    name: str
    kind: Literal["input", "identity", "lstm", "dropout", "project", "merge", "output"]
    units: int
    inputs: tuple[str, ...]


def skips(nodes: int = NODES) -> list[tuple[int, int]]:
    """All (merge, anchor) pairs: anchor 0 is the network's input, anchor a the merge after node a."""
    return [(node, anchor) for node in range(1, nodes + 1) for anchor in range(node - 1, max(-1, node - 1 - REACH), -1)]


def architecture_space(seed: int = 0) -> ConfigurationSpace:
    """The space as ConfigSpace: node_1 … node_5 and skip_<merge>_<anchor>; 8,605,184 points."""
    space = ConfigurationSpace(name="sc20", seed=seed)
    choices = [IDENTITY, *map(str, WIDTHS)]
    space.add([CategoricalHyperparameter(f"node_{node}", choices) for node in range(1, NODES + 1)])
    space.add([CategoricalHyperparameter(f"skip_{node}_{anchor}", [0, 1]) for node, anchor in skips()])
    return space


def small_space() -> ConfigurationSpace:
    """The same with two nodes and narrower layers: 128 points, for a single series."""
    space = ConfigurationSpace(name="small")
    choices = [IDENTITY, *map(str, SMALL_WIDTHS)]
    space.add([CategoricalHyperparameter(f"node_{node}", choices) for node in range(1, SMALL_NODES + 1)])
    space.add([CategoricalHyperparameter(f"skip_{node}_{anchor}", [0, 1]) for node, anchor in skips(SMALL_NODES)])
    return space


def search_space(config: SearchConfig, small: bool = False) -> ConfigurationSpace:
    """The architectures, and the hyperparameters that the configuration asks for; choices are ordered numbers."""
    space = small_space() if small else architecture_space()
    space.add([_hyperparameter(name, given) for name, given in config.hyperparameters.ranges().items()])
    return space


def evolved() -> list[str]:
    """Names of the variables of the architecture: those that AgEBO evolves, while it optimises the others."""
    return list(architecture_space())


def _hyperparameter(name: str, given: RangeConfig) -> Dimension:
    ends = [value for value in (given.low, given.high) if value is not None]
    values = [_number(name, value) for value in given.choices or ends]
    if given.choices:
        return OrdinalHyperparameter(name, sorted(set(values)))
    kind = UniformIntegerHyperparameter if name in WHOLE else UniformFloatHyperparameter
    return kind(name, values[0], values[1], log=given.log)


def _number(name: str, value: float) -> float:
    """The value as training has it: a batch size is a whole number."""
    number: float = getattr(TrainingConfig.model_validate({name: value}), name)
    return number


def architecture(point: Point) -> Point:
    """The point without the settings of training."""
    return {name: value for name, value in point.items() if name not in HYPERPARAMETERS}


def settings(point: Point, training: TrainingConfig) -> TrainingConfig:
    """How the point's network is trained: the settings that it has, and the others as they are configured."""
    own = {name: value for name, value in point.items() if name in HYPERPARAMETERS}
    return TrainingConfig.model_validate({**training.model_dump(), **own}) if own else training


def stacked_lstm(units: int, layers: int) -> Point:
    """The manual networks as points of the same space's graph: `layers` LSTMs of `units`, no skip."""
    return {f"node_{node}": str(units) for node in range(1, layers + 1)}


def graph(point: Point, channels: int, outputs: int, dropout: bool = False) -> list[Layer]:
    """Layers of an architecture in the order they are computed, for inputs of `channels` and `outputs` modes.

    With dropout, one after each hidden LSTM.
    """
    layers = [Layer("input", "input", channels, ())]
    anchors = [layers[0]]
    for node in range(1, sum(key.startswith("node_") for key in point) + 1):
        layers += _node(node, str(point[f"node_{node}"]), anchors[-1], dropout)
        layers += _merge(node, layers[-1], [anchors[a] for a in _chosen(point, node)])
        anchors.append(layers[-1])
    return [*layers, Layer("output", "output", outputs, (layers[-1].name,))]


def _chosen(point: Point, node: int) -> list[int]:
    return [anchor for merge, anchor in skips() if merge == node and point.get(f"skip_{node}_{anchor}")]


def _node(node: int, choice: str, before: Layer, dropout: bool) -> list[Layer]:
    if choice == IDENTITY:
        return [Layer(f"node_{node}", "identity", before.units, (before.name,))]
    lstm = Layer(f"node_{node}", "lstm", int(choice), (before.name,))
    return [lstm, Layer(f"dropout_{node}", "dropout", lstm.units, (lstm.name,))] if dropout else [lstm]


def _merge(node: int, output: Layer, anchors: list[Layer]) -> list[Layer]:
    if not anchors:
        return []
    projections = [
        Layer(f"project_{node}_{anchor.name}", "project", output.units, (anchor.name,))
        for anchor in anchors
        if anchor.units != output.units
    ]
    projected = {layer.inputs[0]: layer.name for layer in projections}
    added = tuple(projected.get(anchor.name, anchor.name) for anchor in anchors)
    return [*projections, Layer(f"merge_{node}", "merge", output.units, (output.name, *added))]


def parameter_count(point: Point, channels: int, outputs: int) -> int:
    """Number of trainable parameters: 4 u (i + u + 1) for an LSTM, u (i + 1) for a projection."""
    layers = graph(point, channels, outputs)
    width = {layer.name: layer.units for layer in layers}
    total = 0
    for layer in layers:
        before = width[layer.inputs[0]] if layer.inputs else 0
        if layer.kind in ("lstm", "output"):
            total += 4 * layer.units * (before + layer.units + 1)
        elif layer.kind == "project":
            total += layer.units * (before + 1)
    return total


def size() -> int:
    """Number of architectures in the space."""
    count: int = (len(WIDTHS) + 1) ** NODES * 2 ** len(skips())
    return count
