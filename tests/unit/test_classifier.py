"""Classifiers: their losses by hand, their space, what is refused; votes of the fusion study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from podnas.config import ClassificationConfig
from podnas.ensemble import votes
from podnas.ensemble.members import Events
from podnas.networks import classifier
from podnas.networks.classifier import Block, Trained
from tests.adaptors import adaptor

RATE = np.array([0.2, 0.5])
TRUTH = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
LOGIT = np.array([[0.5, -2.0], [1.5, 0.3]], np.float32)


@pytest.mark.parametrize("name", classifier.LOSSES)
def test_losses_are_those_of_the_formulas(name):
    kind, _, balanced = name.partition("_")
    chance = np.where(TRUTH == 1, expit(LOGIT), 1 - expit(LOGIT))  # of what came
    each = {
        "cross": -np.log(chance),
        "focal": -((1 - chance) ** 2) * np.log(chance),
        "hinge": np.maximum(0, 1 - np.where(TRUTH == 1, 1, -1) * LOGIT),
    }[kind]
    weight = np.where(TRUTH == 1, 0.5 / RATE, 0.5 / (1 - RATE)) if balanced else 1.0
    assert float(classifier.loss(name, RATE)(TRUTH, LOGIT)) == pytest.approx((weight * each).mean(), rel=1e-5)


def test_the_space_is_the_table_at_six_values_a_dimension():
    space = classifier.space()
    assert len(space) == 14
    assert all(len(values) <= 6 for values in classifier.CHOICES.values())
    point = dict(space.sample_configuration())
    assert set(point) == set(classifier.PLAIN)


SMALL = {**classifier.PLAIN, "length": 4, "filters": 4, "rnn_size": 4, "dense_size": 4, "batch": 16, "epochs": 30}


def blocks(count: int = 2, seed: int = 0) -> list[Block]:
    """Windows whose last week tells what comes."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        x = [random.normal(size=(n, 8, 5)).astype(np.float32) for n in (70, 20, 10)]
        y = np.stack([x[0][:, -1, 0] > 0, x[0][:, -1, 0] < 0], axis=1).astype(int)
        made.append(Block(x[0], y, x[1], x[2]))
    return made


@pytest.fixture(scope="module")
def trained() -> tuple[list[Block], Trained]:
    given = blocks()
    return given, classifier.train({**SMALL, "lr": 1e-2}, 0, given, 60)


def test_a_network_is_fitted_without_each_block(trained):
    given, made = trained
    assert (made.error, made.epochs) == (None, 30)
    assert made.held.shape == (40, 2)
    assert made.test.shape == (2, 10, 2)
    last = np.concatenate([one.held[:, -1, 0] for one in given])
    assert np.corrcoef(last, made.held[:, 0])[0, 1] > 0.7
    assert np.corrcoef(last, made.held[:, 1])[0, 1] < -0.7
    single = classifier.network(SMALL, 5, 2).count_params()
    assert made.parameters == 2 * single


def test_a_block_fit_sees_nothing_of_the_fit_before(trained):
    given, made = trained
    # the second fit begins anew: other windows in the first do not change what it says
    other = [blocks(seed=1)[0], given[1]]
    again = classifier.train({**SMALL, "lr": 1e-2}, 0, other, 60)
    assert np.allclose(again.test[1], made.test[1], atol=1e-5)
    assert not np.allclose(again.test[0], made.test[0], atol=1e-2)


def test_a_training_ends_with_the_last_epoch_within_its_time():
    made = classifier.train(SMALL, 0, blocks(), 1e-9)
    assert made.error is None
    assert 1 <= made.epochs < 30


def test_one_class_is_refused():
    given = blocks()
    given[1].outcome[:, 0] = 0
    with pytest.raises(ValueError, match="1 are all alike in the 70 windows fitted on without block 2 of 2"):
        classifier.train(SMALL, 0, given, 1)


def test_a_training_that_diverges_is_told_and_left_out():
    broken = classifier.train({**SMALL, "lr": 1e30, "epochs": 2}, 0, blocks(), 60)
    assert broken.error == "training diverged"
    finished = adaptor("classify").finished
    whole = replace(broken, error=None)
    assert finished([whole, broken, whole, whole]) == [whole, whole]
    with pytest.raises(ValueError, match=r"1 of 2 networks .* training diverged; raise classification\.trials"):
        finished([whole, broken, whole])
    with pytest.raises(ValueError, match="training diverged"):
        finished([broken, whole, whole])


def members(seed: int = 0) -> Events:
    """Three that know something, over-confident, and one that knows nothing."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=(800, 2))
    outcome = (random.random(signal.shape) < expit(2 * signal)).astype(int)
    logits = [6 * (signal + random.normal(size=signal.shape)) for _ in range(3)] + [random.normal(size=signal.shape)]
    return Events(["a", "b", "c", "nothing"], logits, outcome)


def test_votes_are_calibrated_and_better_than_the_best():
    held, other = members(0), members(1)
    made = votes.votes(held, 3, 3)
    loss = {}
    for name, one in made.items():
        chance = one.probability(other.logits)
        loss[name] = -np.log(np.where(other.outcome == 1, chance, 1 - chance)).mean()
    assert len(made["best"].members) == 1
    assert len(made["top_k"].members) == 3
    assert 3 not in made["caruana"].members
    assert all(loss[name] < loss["best"] for name in ("top_k", "caruana", "gradient"))
    raw = expit(held.logits[0])
    assert loss["best"] < -np.log(np.clip(np.where(held.outcome == 1, raw, 1 - raw), 1e-12, 1)).mean()


def test_a_pool_is_calibrated_as_a_whole_and_its_variance_is_split():
    held, other = members(0), members(1)
    made = votes.votes(held, 3, 3)["top_k"]
    bare = replace(made, pool=votes.AS_IT_IS)

    def loss(vote: votes.Vote) -> float:
        chance = vote.probability(other.logits)
        return float(-np.log(np.where(other.outcome == 1, chance, 1 - chance)).mean())

    # a linear pool of calibrated members says too little
    assert made.pool.alpha > 1.1
    assert loss(made) < loss(bare) - 0.005
    parts = made.parts([one[None] for one in other.logits])
    pooled = bare.probability(other.logits)
    np.testing.assert_allclose(parts.total, pooled * (1 - pooled), atol=1e-9)
    assert 0 < parts.epistemic.mean() < parts.aleatoric.mean()


def test_held_out_windows_are_scored_by_votes_on_the_other_blocks():
    random = np.random.default_rng(0)
    outcomes = [random.integers(0, 2, (40, 1)) for _ in range(3)]
    noise = [
        Trained(random.normal(size=(120, 1)), random.normal(size=(3, 10, 1)), 1, 1, 1.0, 1.0, None) for _ in range(13)
    ]
    chances, costs = adaptor("classify").of_networks(
        "heads", 0, 1, noise[0], noise[1:], outcomes, ClassificationConfig(trials=12, top=5, members=12)
    )
    assert {one.shape for one in chances.values()} == {(10, 1)}
    # what was chosen and calibrated on the very windows would beat one half there
    assert costs["gradient"]["held_cross_entropy"] > np.log(2)


def test_a_validation_set_of_one_class_is_refused():
    held = members()
    with pytest.raises(ValueError, match="validation set are 0"):
        votes.votes(Events(held.names, held.logits, np.zeros_like(held.outcome)), 2, 2)
    with pytest.raises(ValueError, match="validation set are 1"):
        votes.single(held.logits[0], np.ones_like(held.outcome))
