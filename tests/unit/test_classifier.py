"""Classifiers: their losses by hand, their space, what is refused; votes of the fusion study."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from podnas.ensemble import votes
from podnas.ensemble.members import Events
from podnas.networks import classifier

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


def test_a_training_that_takes_too_long_is_an_error():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(64, 32, 5)).astype(np.float32), random.integers(0, 2, (64, 2))
    made = classifier.train({**classifier.PLAIN, "epochs": 32}, 0, (x, y), (x,), 1e-3)
    assert made.error == "took longer than classification.trial_limit_seconds, 0.001"
    assert made.logits[0].shape == (64, 2)


def test_one_class_is_refused():
    x = np.zeros((10, 8, 5), np.float32)
    y = np.zeros((10, 2), int)
    y[:5, 0] = 1
    with pytest.raises(ValueError, match="of 2 outcomes, 1 are all alike in the 10 windows"):
        classifier.train(classifier.PLAIN, 0, (x, y), (x,), 1)


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


def test_a_validation_set_of_one_class_is_refused():
    held = members()
    with pytest.raises(ValueError, match="validation set are 0"):
        votes.votes(Events(held.names, held.logits, np.zeros_like(held.outcome)), 2, 2)
    with pytest.raises(ValueError, match="validation set are 1"):
        votes.single(held.logits[0], np.ones_like(held.outcome))
