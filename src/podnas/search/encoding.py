"""A ConfigSpace compiled for speed: points to rows of numbers and back, drawing, mutation, neighbours.

A row has one number a dimension: for numbers (log scales straightened) their place in [0, 1], for ordinals and
categories their index, and INACTIVE where a condition leaves a dimension out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace, conditions
from ConfigSpace.exceptions import ForbiddenValueError
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Constant,
    Hyperparameter,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

Rows = np.ndarray[tuple[int, int], np.dtype[np.float32]]  # (n, dimensions)
Column = Any  # one number, or one a row
Random = np.random.Generator

INACTIVE = -1.0
STEP = 0.1  # standard deviation of a mutation's step, in ranges of the number
ATTEMPTS = 1000  # draws before a space counts as forbidden altogether


class Encoding:
    """A space of n dimensions, parents of conditions before their children."""

    def __init__(self, space: ConfigurationSpace) -> None:
        self.space = space
        self.names = list(space.keys())
        self.dimensions = [_dimension(space[name]) for name in self.names]
        self.place = {name: index for index, name in enumerate(self.names)}
        self.conditions = [
            (self.place[condition.child.name], _predicate(condition, self.place, space))
            for condition in sorted(space.conditions, key=lambda one: self.place[one.child.name])
        ]
        # categories have no order: number of them, 0 for dimensions that are ordered
        self.categories = np.array([dimension.categories for dimension in self.dimensions], dtype=np.int64)

    def sample(self, random: Random) -> dict[str, Any]:
        """A point drawn from the space's priors."""
        for _ in range(ATTEMPTS):
            row = [dimension.draw(random) for dimension in self.dimensions]
            point = self._point(self._conditioned(row))
            if self.allowed(point):
                return point
        raise ValueError(f"{ATTEMPTS} points drawn from the space were all forbidden; loosen its forbidden clauses")

    def mutate(self, point: Mapping[str, object], random: Random, names: Sequence[str] | None = None) -> dict[str, Any]:
        """The point with exactly one active value changed to a different one.

        A number takes a small step or, as often, any value. Dimensions that the change makes active are drawn. With
        `names`, one of these is changed. Raises ValueError where none can change.
        """
        free = [
            name
            for name in (self.names if names is None else names)
            if name in point and self.dimensions[self.place[name]].size > 1
        ]
        if not free:
            raise ValueError(f"no value of {dict(point)} can change: every dimension of the space is constant")
        row = self.row(point)
        for _ in range(ATTEMPTS):
            changed = list(row)
            place = self.place[free[int(random.integers(len(free)))]]
            changed[place] = self.dimensions[place].other(row[place], random)
            mutant = self._point(self._completed(changed, random))
            if self.allowed(mutant):
                return {name: point[name] if name != self.names[place] and name in point else value
                        for name, value in mutant.items()}  # fmt: skip
        raise ValueError(
            f"{ATTEMPTS} mutants of {dict(point)} were all forbidden; loosen the space's forbidden clauses"
        )

    def row(self, point: Mapping[str, object]) -> list[float]:
        """The numbers of one point."""
        return [
            dimension.encode(point[name]) if name in point else INACTIVE
            for name, dimension in zip(self.names, self.dimensions, strict=True)
        ]

    def vectors(self, points: Sequence[Mapping[str, object]]) -> Rows:
        """The rows of points."""
        return np.array([self.row(point) for point in points], dtype=np.float32).reshape(-1, len(self.names))

    def points(self, rows: Rows) -> list[dict[str, Any]]:
        """The points of rows: active values only, as Python's own str, int, float and bool."""
        return [self._point(row) for row in np.asarray(rows, dtype=float).tolist()]

    def random_row(self, random: Random, fixed: Mapping[int, float]) -> Rows:
        """A row (d,) of a random point, with values of some columns given unless all such points are forbidden."""
        for _ in range(ATTEMPTS):
            rows = self.random_rows(1, random, fixed)
            if self.allowed(self.points(rows)[0]):
                first: Rows = rows[0]
                return first
        drawn: Rows = self.vectors([self.sample(random)])[0]
        return drawn

    def random_rows(self, count: int, random: Random, fixed: Mapping[int, float] | None = None) -> Rows:
        """Rows of random points; forbidden ones may be among them (see `allowed`). `fixed`: values of some columns."""
        columns = [dimension.draw_many(random, count) for dimension in self.dimensions]
        return self._masked(np.array(columns, dtype=np.float32), fixed)

    def neighbours(self, rows: Rows, random: Random, scale: Any, fixed: Mapping[int, float] | None = None) -> Rows:
        """A neighbour of each row: one or a few dimensions changed, numbers by steps of `scale` (n,) of their range.

        An infinite scale stands for any value.
        """
        columns, count = np.ascontiguousarray(rows.T), len(self.names)
        fresh = np.array([dimension.draw_many(random, len(rows)) for dimension in self.dimensions], dtype=np.float32)
        # one dimension in half of the rows, elsewhere as many as a share of the row's own says, and one in any case
        change = random.random(columns.shape) < random.random(len(rows)) * random.integers(2, size=len(rows))
        change[random.integers(count, size=len(rows)), np.arange(len(rows))] = True
        for place, dimension in enumerate(self.dimensions):
            moved = np.where(np.isinf(scale), fresh[place], dimension.step(columns[place], random, scale))
            columns[place] = np.where(change[place] & (columns[place] >= 0), moved, columns[place])
        return self._masked(np.where(columns < 0, fresh, columns).astype(np.float32), fixed)

    def _masked(self, columns: Rows, fixed: Mapping[int, float] | None) -> Rows:
        for place, value in (fixed or {}).items():
            columns[place] = value
        parents: Sequence[Column] = list(columns)  # views: what is masked counts for the conditions below it
        for child, predicate in self.conditions:
            columns[child] = np.where(predicate(parents), columns[child], INACTIVE)
        return np.ascontiguousarray(columns.T)

    def _conditioned(self, row: list[float]) -> list[float]:
        for child, predicate in self.conditions:
            if not predicate(row):
                row[child] = INACTIVE
        return row

    def _completed(self, row: list[float], random: Random) -> list[float]:
        for child, predicate in self.conditions:
            if not predicate(row):
                row[child] = INACTIVE
            elif row[child] < 0:
                row[child] = self.dimensions[child].draw(random)
        return row

    def _point(self, row: Sequence[float]) -> dict[str, Any]:
        return {
            name: dimension.decode(value)
            for name, dimension, value in zip(self.names, self.dimensions, row, strict=True)
            if value >= 0
        }

    def allowed(self, point: Mapping[str, object]) -> bool:
        """Whether no forbidden clause of the space excludes the point."""
        if not self.space.forbidden_clauses:
            return True
        try:
            Configuration(self.space, values=dict(point))
        except ForbiddenValueError:
            return False
        return True


class _Levels:
    """A dimension of few values, by their index; ordered or not."""

    def __init__(self, values: Sequence[Any], ordered: bool, probabilities: Any = None) -> None:
        self.values = [value.item() if isinstance(value, np.generic) else value for value in values]
        self.index = {value: float(index) for index, value in enumerate(self.values)}
        self.size = len(self.values)
        self.ordered = ordered
        self.categories = 0 if ordered else self.size
        shares = np.full(self.size, 1 / self.size) if probabilities is None else np.asarray(probabilities, float)
        self.edges = np.cumsum(shares)[:-1]

    def encode(self, value: object) -> float:
        return self.index[value]

    def decode(self, place: float) -> Any:
        return self.values[int(place)]

    def draw(self, random: Random) -> float:
        return float(self.edges.searchsorted(random.random(), side="right"))

    def draw_many(self, random: Random, count: int) -> Any:
        return self.edges.searchsorted(random.random(count), side="right")

    def other(self, place: float, random: Random) -> float:
        drawn = int(random.integers(self.size - 1))
        return float(drawn + (drawn >= place))

    def step(self, places: Any, random: Random, scale: Any) -> Any:
        if self.size == 1:
            return places
        if self.ordered:
            step = np.where(random.random(len(places)) < 0.5, -1, 1)
            moved = np.clip(places + step, 0, self.size - 1)
            return np.where(moved == places, places - step, moved)
        drawn = random.integers(self.size - 1, size=len(places))
        return drawn + (drawn >= places)


class _Number:
    """A float or an integer on a linear or logarithmic scale, by its place in [0, 1]."""

    categories = 0

    def __init__(self, parameter: UniformFloatHyperparameter | UniformIntegerHyperparameter) -> None:
        self.parameter = parameter
        self.integer = isinstance(parameter, UniformIntegerHyperparameter)
        self.size = parameter.size
        self.low, self.high, self.log = float(parameter.lower), float(parameter.upper), bool(parameter.log)
        self.first = math.log(self.low) if self.log else self.low
        self.last = math.log(self.high) if self.log else self.high

    def encode(self, value: Any) -> float:
        place = ((math.log(value) if self.log else float(value)) - self.first) / (self.last - self.first)
        return float(min(1.0, max(0.0, place)))

    def decode(self, place: float) -> Any:
        value = self.first + place * (self.last - self.first)
        value = math.exp(value) if self.log else value
        return min(int(self.high), max(int(self.low), round(value))) if self.integer else float(
            min(self.high, max(self.low, value))
        )  # fmt: skip

    def draw(self, random: Random) -> float:
        return float(self.draw_many(random, 1)[0]) if self.integer else float(random.random())

    def draw_many(self, random: Random, count: int) -> Any:
        return self._even(random.random(count)) if self.integer else random.random(count)

    def other(self, place: float, random: Random) -> float:
        for _ in range(ATTEMPTS):
            far = random.random() < 0.5
            moved = self.draw(random) if far else self._snapped(_reflected(place + random.normal(0.0, STEP)))
            if self.decode(float(moved)) != self.decode(place):
                return float(moved)
        return 1.0 if place < 0.5 else 0.0

    def step(self, places: Any, random: Random, scale: Any) -> Any:
        steps = random.normal(size=len(places)) * np.where(np.isinf(scale), 0.0, scale)
        return self._snapped(_reflected(places + steps))

    def _snapped(self, places: Any) -> Any:
        """The places of the nearest integers, for an integer."""
        if not self.integer:
            return places
        values = self.first + places * (self.last - self.first)
        return self._places(np.clip(np.round(np.exp(values) if self.log else values), self.low, self.high))

    def _even(self, uniform: Any) -> Any:
        """Integers drawn so that those at the ends have as much room as those between."""
        first, last = self.low - 0.4999, self.high + 0.4999
        if self.log:
            values = np.exp(np.log(first) + uniform * (np.log(last) - np.log(first)))
        else:
            values = first + uniform * (last - first)
        return self._places(np.clip(np.round(values), self.low, self.high))

    def _places(self, values: Any) -> Any:
        return ((np.log(values) if self.log else values) - self.first) / (self.last - self.first)


Dimension = _Levels | _Number


def _reflected(place: Any) -> Any:
    """Places outside [0, 1] thrown back into it."""
    return 1 - np.abs(1 - np.abs(place) % 2)


def _dimension(parameter: Hyperparameter[Any, Any]) -> Dimension:
    if isinstance(parameter, Constant):
        return _Levels([parameter.value], ordered=True)
    if isinstance(parameter, OrdinalHyperparameter):
        return _Levels(parameter.sequence, ordered=True)
    if isinstance(parameter, CategoricalHyperparameter):
        return _Levels(parameter.choices, ordered=False, probabilities=parameter.probabilities)
    if isinstance(parameter, UniformFloatHyperparameter | UniformIntegerHyperparameter):
        return _Number(parameter)
    raise ValueError(
        f"{parameter.name} is a {type(parameter).__name__}; searches know uniform floats and integers (linear or log), "
        "ordinals, categories and constants: give it as one of these"
    )


def _predicate(
    condition: conditions.Condition | conditions.Conjunction, place: Mapping[str, int], space: ConfigurationSpace
) -> Callable[[Sequence[Column]], Column]:
    """Whether a condition's child is active, from the columns of its parents."""
    if isinstance(condition, conditions.Conjunction):
        parts = [_predicate(part, place, space) for part in condition.components]
        joined = and_ if isinstance(condition, conditions.AndConjunction) else or_
        return lambda columns: reduce(joined, [part(columns) for part in parts])
    parent = place[condition.parent.name]
    dimension = _dimension(space[condition.parent.name])
    if isinstance(condition, conditions.InCondition):
        values = [np.float32(dimension.encode(value)) for value in condition.values]
        return lambda columns: reduce(or_, [np.float32(columns[parent]) == value for value in values])
    value = np.float32(dimension.encode(condition.value))
    compare = _COMPARISONS[type(condition)]
    # ConfigSpace takes an inactive parent for one that is not equal
    return lambda columns: compare(np.float32(columns[parent]), value)


_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    conditions.EqualsCondition: lambda ours, value: ours == value,
    conditions.NotEqualsCondition: lambda ours, value: ours != value,
    conditions.LessThanCondition: lambda ours, value: (ours >= 0) & (ours < value),
    conditions.GreaterThanCondition: lambda ours, value: ours > value,
}
