"""Networks that correct a simple forecast."""

from __future__ import annotations

import numpy as np
import pytest

from podnas import windows
from podnas.baselines import methods
from podnas.config import BaselinesConfig, TrainingConfig
from podnas.networks import build, corrections
from podnas.networks.recipe import Recipe
from podnas.networks.space import stacked_lstm
from tests.series import CONFIG, split


def recipe(corrects: str | None) -> Recipe:
    return Recipe(TrainingConfig(corrects=corrects, climatology_harmonics=1), CONFIG, 1, keep_best=True)


def data() -> windows.Training:
    return windows.training(split()[0])


def test_without_a_correction_networks_see_the_fold_as_it_is():
    whole = data()
    held, plain = corrections.fold(whole, recipe(None), 0), windows.fold(whole, CONFIG, 0)
    np.testing.assert_array_equal(held.fit.targets, plain.fit.targets)
    assert corrections.of_block(whole, recipe(None), 0) is None


@pytest.mark.parametrize("corrects", ["climatology", "damped_persistence", "mean_damped_inverse"])
def test_a_network_that_gives_nothing_forecasts_as_the_simple_method_does(corrects):
    whole, made = data(), recipe(corrects)
    network = build.build(stacked_lstm(4, 1), 4, 6, 2)
    network.set_weights([np.zeros_like(one) for one in network.get_weights()])
    forecast = corrections.predict(network, whole.inputs, made, corrections.of_block(whole, made, 1))
    fitted = windows.fold(whole, CONFIG, 1).fit
    simple = methods.build(corrects, BaselinesConfig(climatology_harmonics=1), CONFIG).fit(fitted)
    np.testing.assert_allclose(forecast, simple.predict(whole.inputs))


def test_parts_in_one_pass_are_forecast_as_each_alone():
    whole, made = data(), recipe("damped_persistence")
    network = build.build(stacked_lstm(4, 1), 4, 6, 2)
    apart = corrections.of_block(whole, made, 1)
    parts = [
        (whole.inputs, corrections.of_all(whole, made, apart)),
        (whole.inputs.take(np.arange(7)), apart),
        (whole.inputs.take(np.arange(3, 20)), None),
    ]
    together = corrections.predict_each(network, parts, made)
    assert [len(forecast) for forecast in together] == [len(whole.inputs), 7, 17]
    for forecast, (inputs, correction) in zip(together, parts, strict=True):
        np.testing.assert_allclose(forecast, corrections.predict(network, inputs, made, correction), atol=1e-6)
    # what a part corrects is its own
    assert np.abs(together[1] - together[0][:7]).max() > 1e-3


def test_test_weeks_are_forecast_from_all_training_weeks_in_the_units_of_the_network():
    whole, made = data(), recipe("damped_persistence")
    network = build.build(stacked_lstm(4, 1), 4, 6, 2)
    apart = corrections.of_block(whole, made, 1)
    both = corrections.of_all(whole, made, apart)
    output = corrections.predict(network, whole.inputs, made, apart) - apart.simple.predict(whole.inputs)
    silent = [np.zeros_like(one) for one in network.get_weights()]
    network.set_weights(silent)
    simple = methods.build("damped_persistence", BaselinesConfig(climatology_harmonics=1), CONFIG).fit(whole)
    np.testing.assert_allclose(corrections.predict(network, whole.inputs, made, both), simple.predict(whole.inputs))
    np.testing.assert_array_equal(both.scale, apart.scale)
    assert np.abs(output).max() > 0
    assert corrections.of_all(whole, recipe(None), None) is None


def test_what_is_removed_is_what_is_added():
    whole, made = data(), recipe("damped_persistence")
    correction = corrections.fit(whole, made)
    removed = correction.remove(whole)
    np.testing.assert_allclose(correction.add(removed.targets, whole.inputs), whole.targets)
    np.testing.assert_allclose(removed.series.std(axis=0), 1)
    # anomalies from a fitted climatology have no seasonal cycle left
    season = windows.harmonics(whole.series_centres, 1)
    assert np.abs(season.T @ removed.series).max() < 1e-6 * len(removed.series)


def test_the_block_held_out_changes_nothing_that_is_fitted_on():
    whole, made = data(), recipe("mean_damped_inverse")
    weeks = len(whole.series)
    harmed = windows.Training(
        np.where(np.arange(weeks)[:, None] >= weeks // 2, 1e3, whole.series),
        whole.series_centres,
        whole.segment,
        whole.inputs,
        whole.targets,
    )
    clean, other = (corrections.fold(one, made, 1).fit for one in (whole, harmed))
    np.testing.assert_array_equal(clean.targets, other.targets)
    np.testing.assert_array_equal(clean.inputs.values, other.inputs.values)
