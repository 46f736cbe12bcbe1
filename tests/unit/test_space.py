"""The SC20 space: its size, its graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podnas.config import SearchConfig, TrainingConfig
from podnas.networks import space
from podnas.search import points
from podnas.search.encoding import Encoding

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
    child = Encoding(ARCHITECTURES).mutate(point, np.random.default_rng(seed))
    assert sum(point[name] != child[name] for name in point) == 1
    assert all(ARCHITECTURES[name].legal_value(value) for name, value in child.items())


def test_mutations_reach_every_dimension():
    point, random = drawn(0), np.random.default_rng(0)
    changed = set()
    for _ in range(300):
        child = Encoding(ARCHITECTURES).mutate(point, random)
        changed |= {name for name in point if point[name] != child[name]}
    assert changed == set(point)


JOINT = {
    "batch_size": {"low": 16, "high": 128, "log": True},
    "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
    "dropout": {"low": 0, "high": 0.5},
    "output_scale": {"choices": [12, 3, 6]},
}


def joint_space(hyperparameters: dict = JOINT):
    return space.search_space(SearchConfig.model_validate({"hyperparameters": hyperparameters}))


def test_without_hyperparameters_the_space_is_that_of_the_architectures():
    assert joint_space({}) == ARCHITECTURES


def test_a_point_of_the_joint_space_holds_an_architecture_and_settings_of_training():
    joint = joint_space()
    assert set(joint) == {*ARCHITECTURES, *JOINT}
    assert set(space.evolved()) == set(ARCHITECTURES)
    for seed in range(20):
        point = points.sample(joint, points.stream(seed, 0))
        settings = space.settings(point, TrainingConfig(batch_size=7, weight_decay=0.25))
        assert isinstance(point["batch_size"], int)
        assert {name: getattr(settings, name) for name in JOINT} == {name: point[name] for name in JOINT}
        assert point["output_scale"] in (3, 6, 12)
        assert 16 <= settings.batch_size <= 128
        assert settings.weight_decay == 0.25
        assert set(space.architecture(point)) == set(ARCHITECTURES)


def test_settings_of_training_do_not_disturb_the_architecture():
    point = drawn(3)
    joint = {**point, "batch_size": 16, "dropout": 0.1, "clip_norm": 1.0}
    assert space.architecture(joint) == point
    assert space.graph(joint, 13, 5) == space.graph(point, 13, 5)
    assert space.parameter_count(joint, 13, 5) == space.parameter_count(point, 13, 5)
    training = TrainingConfig()
    assert space.settings(point, training) is training


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"dropout": {"low": 0.1, "high": 1}}, "hyperparameters.dropout\n  Input should be less than 1"),
        ({"batch_size": {"low": 1.5, "high": 8}}, "hyperparameters.batch_size\n  Input should be a valid integer"),
        ({"learning_rate": {"choices": [0.1, -1]}}, "hyperparameters.learning_rate\n  Input should be greater than 0"),
    ],
)
def test_a_range_that_training_would_refuse_is_named(hyperparameters, message):
    with pytest.raises(ValueError, match=message):
        joint_space(hyperparameters)
