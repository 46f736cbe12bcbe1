"""The search space of multilayer perceptrons, as AutoDEUQ's (Egele et al. 2021, §III), and settings of training.

Variable nodes, each Identity or Dense with an activation. After each node a sum adds skips from any of the sums before
it and the input; a skip whose width differs is first projected by a linear Dense layer. (The publication puts ReLU
behind these sums; without it, skips carry linear terms to the output.) A last Dense layer gives mean and sigma.
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

from podnas.config import MlpSpaceConfig, MlpTrainingConfig, RangeConfig, RecipeConfig

IDENTITY = "identity"
IDENTITY_SHARE = 0.25  # of the nodes of a random point: uniform choices would make nearly all networks deep
OUTPUTS = 2  # mean and sigma

Point = Mapping[str, object]
Dimension = OrdinalHyperparameter | UniformFloatHyperparameter | UniformIntegerHyperparameter


@dataclass(frozen=True)
class Layer:
    """One layer; units is the width of its output."""

    name: str
    kind: Literal["input", "dense", "sum"]
    units: int
    inputs: tuple[str, ...]
    activation: str = "identity"
    hidden: bool = False  # whether dropout follows


def skips(nodes: int) -> list[tuple[int, int]]:
    """All (node, anchor) pairs: anchor 0 is the input, anchor a the sum after node a."""
    return [(node, anchor) for node in range(1, nodes + 1) for anchor in range(node)]


def space(config: MlpSpaceConfig) -> ConfigurationSpace:
    """The space as ConfigSpace: node_1 …, skip_<node>_<anchor> (evolved by AgEBO), and the settings of training."""
    made = ConfigurationSpace(name="mlp", seed=0)
    layers = [f"{width}_{activation}" for width in config.widths for activation in config.activations]
    weights = [IDENTITY_SHARE] + [(1 - IDENTITY_SHARE) / len(layers)] * len(layers)
    nodes = range(1, config.layers + 1)
    made.add([CategoricalHyperparameter(f"node_{node}", [IDENTITY, *layers], weights=weights) for node in nodes])
    made.add([CategoricalHyperparameter(f"skip_{node}_{anchor}", [0, 1]) for node, anchor in skips(config.layers)])
    made.add([_hyperparameter(name, given) for name, given in config.ranges().items()])
    return made


def _hyperparameter(name: str, given: RangeConfig) -> Dimension:
    ends = [value for value in (given.low, given.high) if value is not None]
    values = [_number(name, value) for value in given.choices or ends]
    if given.choices:
        return OrdinalHyperparameter(name, sorted(set(values)))
    kind = UniformIntegerHyperparameter if isinstance(values[0], int) else UniformFloatHyperparameter
    return kind(name, values[0], values[1], log=given.log)


def _number(name: str, value: float) -> float:
    """The value as the settings have it: a batch size is a whole number."""
    number: float = getattr(MlpTrainingConfig.model_validate({name: value}), name)
    return number


def settings(point: Point) -> MlpTrainingConfig:
    """How a point's networks are trained."""
    known = MlpTrainingConfig.model_fields
    return MlpTrainingConfig.model_validate({name: value for name, value in point.items() if name in known})


def graph(point: Point, features: int) -> list[Layer]:
    """Layers of a point's network, in the order in which they are computed."""
    layers = [Layer("input", "input", features, ())]
    anchors = [layers[0]]
    for node in range(1, sum(name.startswith("node_") for name in point) + 1):
        layers += _node(f"node_{node}", str(point[f"node_{node}"]), anchors[-1])
        chosen = [anchors[anchor] for anchor in range(node) if point.get(f"skip_{node}_{anchor}")]
        layers += _sum(node, layers[-1] if layers[-1].name == f"node_{node}" else anchors[-1], chosen)
        anchors.append(layers[-1])
    return [*layers, Layer("output", "dense", OUTPUTS, (anchors[-1].name,))]


def _node(name: str, choice: str, before: Layer) -> list[Layer]:
    if choice == IDENTITY:
        return []
    width, activation = choice.split("_")
    return [Layer(name, "dense", int(width), (before.name,), activation, hidden=True)]


def _sum(node: int, output: Layer, anchors: list[Layer]) -> list[Layer]:
    """Projections of skips and their sum with a node's output; none where nothing is added to it."""
    # behind an Identity, two anchors may be the same layer
    others = list({anchor.name: anchor for anchor in anchors if anchor.name != output.name}.values())
    if not others:
        return []
    made: list[Layer] = []
    added = [output.name]
    for anchor in others:
        if anchor.units != output.units:
            made.append(Layer(f"project_{node}_{anchor.name}", "dense", output.units, (anchor.name,)))
        added.append(made[-1].name if anchor.units != output.units else anchor.name)
    return [*made, Layer(f"sum_{node}", "sum", output.units, tuple(added))]


def recipe(config: RecipeConfig, features: int, rows: int) -> tuple[list[Layer], MlpTrainingConfig]:
    """Network and settings of the recipe of deep ensembles, for so many training rows."""
    batch = min(config.batch_size, rows)
    trained = MlpTrainingConfig(
        batch_size=batch,
        updates=config.epochs * (rows // batch),
        learning_rate=config.learning_rate,
        clip_norm=None,
        decays=False,
    )
    return graph({"node_1": f"{config.units}_relu"}, features), trained
