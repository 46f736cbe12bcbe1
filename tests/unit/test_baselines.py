"""Baselines on series whose best forecast is known."""

from __future__ import annotations

import numpy as np
import pytest

from podnas import windows
from podnas.baselines import methods, regression
from podnas.baselines.climatology import Climatology
from podnas.baselines.inverse import LinearInverseModel
from podnas.baselines.linear import PENALTIES
from podnas.config import BASELINES, BaselinesConfig
from tests.series import CONFIG, PROTOCOL, coefficients, split

CHEAP = BaselinesConfig(trees=5)


def data(**changes: int) -> windows.Training:
    return windows.training(split(**changes)[0])


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_forecasts_all_windows_leads_and_modes(name):
    training = data()
    forecast = methods.build(name, CHEAP, CONFIG).fit(training).predict(training.inputs)
    assert forecast.shape == training.targets.shape
    assert np.isfinite(forecast).all()


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_data_give_the_same_forecast(name):
    training = data()
    one, two = (methods.build(name, CHEAP, CONFIG).fit(training).predict(training.inputs) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_an_unknown_baseline_is_refused():
    with pytest.raises(ValueError, match="no baseline 'oracle'"):
        methods.build("oracle", CHEAP, CONFIG)


def test_persistence_repeats_the_last_week():
    training = data()
    forecast = methods.build("persistence", CHEAP, CONFIG).fit(training).predict(training.inputs)
    assert (forecast == training.inputs.values[:, -1:]).all()


def test_climatology_recovers_a_pure_season_and_trend_a_line():
    series = coefficients()
    centres = series.time.values + windows.HALF_WEEK
    years = (centres - centres[0]) / np.timedelta64(1, "D") / 365.2425
    series.coefficient.values[:] = windows.harmonics(centres, 1)[:, [0, 1]] + 0.3 * years[:, None]
    training, inputs, targets = windows.split(series, PROTOCOL, CONFIG)
    standard = windows.scaler(training)
    fitted = Climatology(1, trend=True).fit(windows.training(training))
    forecast = fitted.predict(windows.inputs(inputs, standard))
    np.testing.assert_allclose(standard.backward(forecast), targets.target.values, atol=1e-8)


def test_linear_inverse_model_recovers_the_propagator_of_a_damped_rotation():
    training = data()
    angle, damping = 0.3, 0.95
    true = damping * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    state = np.random.default_rng(0).normal(size=2)
    for week in range(len(training.series)):
        training.series[week] = state
        state = true @ state

    class NoClimatology(Climatology):
        def at(self, centres: np.ndarray) -> np.ndarray:
            return np.zeros((*centres.shape, 2))

    fitted = LinearInverseModel(NoClimatology(1)).fit(training)
    np.testing.assert_allclose(fitted.propagator, true, atol=1e-8)


def test_inverse_model_learns_nothing_across_a_join():
    training = data(join_after=100)
    before = LinearInverseModel(Climatology(1)).fit(training).propagator
    together = windows.Training(
        training.series, training.series_centres, np.zeros_like(training.segment), training.inputs, training.targets
    )
    assert not np.allclose(before, LinearInverseModel(Climatology(1)).fit(together).propagator)


def test_ridge_penalty_is_chosen_inside_the_training_period():
    training = data()
    ridge = methods.build("seasonal_ridge", CHEAP, CONFIG).fit(training)
    assert ridge.penalty in PENALTIES
    # a penalty chosen on the windows it was fitted on would be the smallest
    assert ridge.penalty > min(PENALTIES)


def test_cross_fitted_anomalies_are_those_of_a_climatology_that_never_saw_the_window():
    whole = data()
    weeks = len(whole.series)
    harmed = windows.Training(
        np.where(np.arange(weeks)[:, None] < weeks // 2, 1e3, whole.series),
        whole.series_centres,
        whole.segment,
        whole.inputs,
        whole.targets,
    )
    first = whole.places()[:, 0] < weeks // 2
    clean, other = (regression.cross_fitted(one, 1, 2)[1] for one in (whole, harmed))
    np.testing.assert_array_equal(clean[first], other[first])
    assert not np.allclose(clean[~first], other[~first])


def test_anomaly_regression_finds_a_mode_that_drives_another():
    # mode 2 is mode 1 of four weeks before: its own past says nothing, mode 1's says all of leads 1 to 4
    random = np.random.default_rng(1)
    series = coefficients()
    values = random.normal(size=(418, 2))
    values[4:, 1] = values[:-4, 0]
    series.coefficient.values[:] = values
    dates = series.time.values.astype("datetime64[D]")
    ends = {"train_first": dates[0], "train_last": dates[259], "test_first": dates[260], "test_last": dates[416]}
    protocol = PROTOCOL.model_copy(update={key: day.item() for key, day in ends.items()})
    training = windows.training(windows.split(series, protocol, CONFIG)[0])
    config = BaselinesConfig(climatology_harmonics=1)
    made = methods.build("anomaly_regression", config, CONFIG).fit(training)
    plain = methods.build("damped_persistence", config, CONFIG).fit(training)
    error, other = (((one.predict(training.inputs) - training.targets)[:, 3, 1] ** 2).mean() for one in (made, plain))
    # lead 4 of mode 2 is the last input week of mode 1
    assert error < 0.1 * other
