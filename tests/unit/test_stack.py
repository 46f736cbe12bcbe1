"""Weights of methods from forecasts of weeks they had not seen."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from podnas import windows
from podnas.baselines import held_out
from podnas.config import BaselinesConfig
from podnas.ensemble import stack
from tests.series import CONFIG, split

LEADS, MODES = 2, 3


def held(count: int = 400, blocks: int = 4, **noise: float) -> stack.HeldOut:
    """Truth about a climatology of zero; each method is the truth with noise of its own."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(count, LEADS, MODES))
    forecasts = {name: truth + size * random.normal(size=truth.shape) for name, size in noise.items()}
    return stack.HeldOut(forecasts, np.zeros_like(truth), truth, np.arange(count) * blocks // count, np.ones(MODES))


def test_weights_of_two_noisy_methods_are_those_of_least_squares():
    # truth of variance 1, independent errors of variance .25 and 1: precisions 4 and 1 beside the climatology's 1,
    # so the weights are 4/6 and 1/6
    found = stack.fit(held(200_000, good=0.5, bad=1.0), stack.Choice(2, "all", 0.001))
    np.testing.assert_allclose(found.weights[:, 0, 0], [4 / 6, 1 / 6], atol=0.01)


def test_weights_are_never_negative():
    given = held(good=0.1)
    mirrored = stack.HeldOut(
        {**given.forecasts, "mirrored": -given.forecasts["good"]},
        given.climatology,
        given.truth,
        given.block,
        given.scale,
    )
    for sharing in stack.SHARING:
        assert stack.fit(mirrored, stack.Choice(2, sharing, 0.01)).weights.min() >= 0


def test_a_strong_penalty_gives_equal_weights():
    found = stack.fit(held(good=0.1, bad=2.0, worse=3.0), stack.Choice(3, "none", 1e9))
    np.testing.assert_allclose(found.weights, 1 / 3, atol=1e-6)


def test_sharing():
    given = held(good=0.3, bad=1.0)
    alike = stack.fit(given, stack.Choice(2, "all", 0.01)).weights
    assert np.ptp(alike, axis=(1, 2)).max() == 0
    by_lead = stack.fit(given, stack.Choice(2, "modes", 0.01)).weights
    assert np.ptp(by_lead, axis=2).max() == 0
    assert np.ptp(by_lead, axis=1).max() > 0
    assert np.ptp(stack.fit(given, stack.Choice(2, "none", 0.01)).weights, axis=2).max() > 0


def test_a_block_is_judged_by_weights_that_never_saw_it():
    given = held(good=0.3, bad=1.0)
    harmed = stack.HeldOut(
        {name: values.copy() for name, values in given.forecasts.items()},
        given.climatology,
        np.where((given.block == 2)[:, None, None], 1e3, given.truth),
        given.block,
        given.scale,
    )
    clean, other = (stack.validated(one, stack.Choice(1, "none", 0.1))[given.block == 2] for one in (given, harmed))
    np.testing.assert_array_equal(clean, other)


def test_what_is_chosen_is_the_best_over_the_blocks():
    made, record = stack.choose(held(good=0.2, bad=1.5))
    assert record["chosen"]["r2_mean"] == max(row["r2_mean"] for row in record["choices"])
    assert record["chosen"]["r2_mean"] > record["methods"]["good"]["r2_mean"]
    assert asdict(made.choice).items() <= record["chosen"].items()


def test_methods_that_do_worst_are_left_out():
    found = stack.fit(held(worse=3.0, good=0.1, bad=0.5), stack.Choice(2, "all", 1e9))
    assert found.methods == ("worse", "good", "bad")
    np.testing.assert_allclose(found.weights[:, 0, 0], [0, 0.5, 0.5], atol=1e-6)


def test_by_the_field_a_strong_mode_decides_and_by_the_mean_all_alike():
    given = held(first=0.5, others=0.5)
    better = given.truth + 0.1 * (given.forecasts["first"] - given.truth)
    strong = np.arange(MODES) == 0
    forecasts = {
        "first": np.where(strong, better, given.forecasts["first"]),
        "others": np.where(strong, given.forecasts["others"], better),
    }
    given = replace(given, forecasts=forecasts, scale=np.array([10.0, 1.0, 1.0]))
    for by, name in (("r2_mean", "others"), ("r2_field", "first")):
        (weighed,) = np.flatnonzero(stack.fit(given, stack.Choice(1, "all", 1.0, by)).weights[:, 0, 0])
        assert tuple(forecasts)[weighed] == name
        made, record = stack.choose(given, by)
        assert made.choice.by == by
        assert record["chosen"][by] == max(row[by] for row in record["choices"])
    # what all modes share is the best for the strong one
    shared = stack.fit(given, stack.Choice(2, "all", 0.001, "r2_field")).weights[:, 0, 0]
    alike = stack.fit(given, stack.Choice(2, "all", 0.001)).weights[:, 0, 0]
    assert shared[0] > shared[1]
    assert alike[0] < alike[1]


def test_what_is_far_behind_does_no_harm():
    made, record = stack.choose(held(worse=8.0, good=0.3, bad=0.3))
    assert record["chosen"]["methods"] == 2
    assert made.weights[0].max() == 0


def test_one_block_is_refused():
    with pytest.raises(ValueError, match="weights need two"):
        stack.choose(held(blocks=1, good=0.1))


def test_forecasts_that_are_not_finite_are_refused():
    given = held(good=0.1)
    with pytest.raises(ValueError, match="held-out forecasts of broken"):
        stack.HeldOut({"broken": given.truth * np.nan}, given.climatology, given.truth, given.block, given.scale)


def test_baselines_are_refitted_without_each_block():
    data = windows.training(split()[0])
    made = held_out.forecasts(data, ("climatology", "damped_persistence"), BaselinesConfig(), CONFIG)
    assert made.forecasts["climatology"].shape == made.truth.shape
    second = data.restrict(np.arange(len(data.series)) >= len(data.series) // 2)
    harmed = windows.Training(
        np.where(np.arange(len(data.series))[:, None] >= len(data.series) // 2, 1e3, data.series),
        data.series_centres,
        data.segment,
        data.inputs,
        np.where(np.isin(data.inputs.init_time, second.inputs.init_time)[:, None, None], 1e3, data.targets),
    )
    other = held_out.forecasts(harmed, ("climatology", "damped_persistence"), BaselinesConfig(), CONFIG)
    for name, values in made.forecasts.items():
        np.testing.assert_array_equal(values[made.block == 1], other.forecasts[name][made.block == 1])
        assert not np.allclose(values[made.block == 0], other.forecasts[name][made.block == 0])
