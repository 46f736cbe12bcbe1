"""Spaces compiled for speed: points to rows and back, conditions, forbidden clauses, mutation, neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    GreaterThanCondition,
    InCondition,
    Integer,
    LessThanCondition,
    NotEqualsCondition,
    OrConjunction,
    OrdinalHyperparameter,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from podnas.networks.space import architecture_space
from podnas.search.encoding import INACTIVE, Encoding


def conditional_space() -> ConfigurationSpace:
    """All kinds of dimensions and conditions; children of children, too."""
    space = ConfigurationSpace()
    kind = CategoricalHyperparameter("kind", ["a", "b", "c"], weights=[1, 2, 1])
    layers = Integer("layers", (1, 20), log=True)
    rate = Float("rate", (1e-5, 1e-1), log=True)
    momentum = Float("momentum", (0.0, 1.0))
    width = OrdinalHyperparameter("width", [16, 32, 64])
    decay = Float("decay", (0.5, 2.0))
    flag = CategoricalHyperparameter("flag", [True, False])
    noise = Float("noise", (0.0, 1.0))
    space.add([kind, layers, rate, momentum, width, decay, flag, noise, Constant("fixed", "here")])
    space.add(
        [
            EqualsCondition(momentum, kind, "a"),
            GreaterThanCondition(width, layers, 3),
            AndConjunction(InCondition(decay, kind, ["a", "b"]), LessThanCondition(decay, rate, 1e-2)),
            OrConjunction(EqualsCondition(flag, width, 32), NotEqualsCondition(flag, kind, "c")),
            NotEqualsCondition(noise, width, 64),
        ]
    )
    return space


SPACE = conditional_space()
ENCODING = Encoding(SPACE)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_points_and_mutants_lie_in_the_space_and_rows_give_points_back(seed):
    random = np.random.default_rng(seed)
    point = ENCODING.sample(random)
    mutant = ENCODING.mutate(point, random)
    for one in (point, mutant):
        Configuration(SPACE, values=one)  # raises where a condition is broken
        (back,) = ENCODING.points(ENCODING.vectors([one]))
        assert back.keys() == one.keys()
        for name, value in one.items():
            # rows are float32
            assert back[name] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_random_rows_and_neighbours_lie_in_the_space(seed):
    random = np.random.default_rng(seed)
    rows = ENCODING.random_rows(20, random)
    scales = random.choice([0.01, 0.3, np.inf], size=20)
    near = ENCODING.neighbours(rows, random, scales)
    for point in ENCODING.points(np.concatenate([rows, near])):
        Configuration(SPACE, values=point)
    assert (near != rows).any()


def test_a_mutant_differs_in_one_value_and_reaches_every_dimension():
    space = ConfigurationSpace()
    space.add([Float("f", (0.0, 1.0)), Integer("i", (1, 9)), OrdinalHyperparameter("o", [1, 2, 3])])
    space.add([CategoricalHyperparameter("c", ["a", "b", "c"]), Constant("k", 1)])
    encoding, random = Encoding(space), np.random.default_rng(0)
    point = encoding.sample(random)
    changed = set()
    for _ in range(200):
        mutant = encoding.mutate(point, random)
        (name,) = [name for name in point if mutant[name] != point[name]]
        changed.add(name)
    assert changed == {"f", "i", "o", "c"}
    reached = {encoding.mutate(point, random, ["c"])["c"] for _ in range(50)}
    assert reached == {"a", "b", "c"} - {point["c"]}


def test_ends_of_integers_are_drawn_as_often_as_those_between():
    space = ConfigurationSpace()
    space.add(Integer("i", (1, 5)))
    rows = Encoding(space).random_rows(20_000, np.random.default_rng(0))
    counts = np.bincount([point["i"] for point in Encoding(space).points(rows)])[1:]
    # 4,000 each, binomial standard deviation 57
    assert np.abs(counts - 4000).max() < 4 * 57


def test_categories_are_drawn_by_their_weights():
    random = np.random.default_rng(0)
    drawn = [ENCODING.sample(random)["kind"] for _ in range(4000)]
    # half of 4,000, standard deviation 32
    assert abs(drawn.count("b") - 2000) < 4 * 32


def test_what_a_condition_leaves_out_has_no_number():
    rows = ENCODING.random_rows(200, np.random.default_rng(0))
    kind, momentum = (rows[:, ENCODING.place[name]] for name in ("kind", "momentum"))
    assert ((momentum == INACTIVE) == (kind != 0)).all()


def test_fixed_columns_stay_as_given():
    random = np.random.default_rng(0)
    place = ENCODING.place["kind"]
    rows = ENCODING.random_rows(50, random, {place: 2.0})
    near = ENCODING.neighbours(rows, random, np.full(50, np.inf), {place: 1.0})
    assert (rows[:, place] == 2).all()
    assert (near[:, place] == 1).all()
    assert (near[:, ENCODING.place["momentum"]] == INACTIVE).all()


def test_forbidden_points_are_never_drawn():
    space = ConfigurationSpace()
    first, second = (CategoricalHyperparameter(name, ["a", "b"]) for name in ("first", "second"))
    space.add([first, second])
    both = {"first": "b", "second": "b"}
    space.add(ForbiddenAndConjunction(ForbiddenEqualsClause(first, "b"), ForbiddenEqualsClause(second, "b")))
    encoding, random = Encoding(space), np.random.default_rng(0)
    for _ in range(100):
        point = encoding.sample(random)
        assert point != both
        assert encoding.mutate(point, random) != both
    assert not encoding.allowed(both)


def test_a_space_of_constants_cannot_mutate():
    space = ConfigurationSpace()
    space.add(Constant("k", 1))
    with pytest.raises(ValueError, match=r"no value of .* can change"):
        Encoding(space).mutate({"k": 1}, np.random.default_rng(0))


def test_the_order_of_names_does_not_matter_for_a_point():
    space = architecture_space()
    encoding = Encoding(space)
    point = encoding.sample(np.random.default_rng(1))
    turned = dict(reversed(point.items()))
    assert (encoding.vectors([point]) == encoding.vectors([turned])).all()
