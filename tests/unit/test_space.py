"""The SC20 space: its size, its graphs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from podnas.networks import space
from podnas.search import points

ARCHITECTURES = space.architecture_space()


def drawn(seed: int) -> dict:
    return points.sample(ARCHITECTURES, points.stream(seed, 0))


def test_there_are_8605184_architectures():
    # 7 choices in 5 nodes, 1 + 2 + 2 + 2 + 2 = 9 binary skips
    assert space.size() == 7**5 * 2**9 == 8_605_184
    assert ARCHITECTURES.estimate_size() == 8_605_184


def test_skips_reach_back_two_anchors():
    assert space.skips() == [(1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (4, 3), (4, 2), (5, 4), (5, 3)]


def test_parameters_by_hand():
    # LSTM(16) on 5 channels: 4 * 16 * (5 + 16 + 1) = 1408; output LSTM(5) on 16: 4 * 5 * (16 + 5 + 1) = 440;
    # a skip from the input adds a projection 5 -> 16: 16 * (5 + 1) = 96
    point = {f"node_{node}": "identity" for node in range(1, 6)} | {f"skip_{m}_{a}": 0 for m, a in space.skips()}
    assert space.parameter_count(point, 5, 5) == 4 * 5 * (5 + 5 + 1)
    assert space.parameter_count({**point, "node_1": "16"}, 5, 5) == 1408 + 440
    assert space.parameter_count({**point, "node_1": "16", "skip_1_0": 1}, 5, 5) == 1408 + 440 + 96


def test_a_merge_without_a_skip_passes_its_node_on():
    point = {f"node_{node}": "16" for node in range(1, 6)} | {f"skip_{m}_{a}": 0 for m, a in space.skips()}
    assert [layer.kind for layer in space.graph(point, 5, 5)] == ["input", *["lstm"] * 5, "output"]


@given(seed=st.integers(0, 10_000))
def test_every_graph_is_connected_in_order(seed):
    layers = space.graph(drawn(seed), 13, 5)
    known: set[str] = set()
    for layer in layers:
        assert set(layer.inputs) <= known
        known.add(layer.name)
    assert layers[-1].kind == "output"
    assert layers[-1].units == 5


@given(seed=st.integers(0, 10_000))
def test_a_mutation_changes_exactly_one_value_and_stays_in_the_space(seed):
    point = drawn(seed)
    child = points.mutate(ARCHITECTURES, point, np.random.default_rng(seed))
    assert sum(point[name] != child[name] for name in point) == 1
    assert all(ARCHITECTURES[name].legal_value(value) for name, value in child.items())


def test_mutations_reach_every_dimension():
    point, random = drawn(0), np.random.default_rng(0)
    changed = set()
    for _ in range(300):
        child = points.mutate(ARCHITECTURES, point, random)
        changed |= {name for name in point if point[name] != child[name]}
    assert changed == set(point)
