"""Windows: what is cut, what is held out, what a network sees."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from podnas import windows
from podnas.config import ProtocolConfig, WindowsConfig
from tests.series import CONFIG, PROTOCOL, coefficients, split

SC20 = xr.open_dataset("resources/sst_twin.nc")
PROTOCOLS = {
    "short": ("1981-10-29", "1989-12-28", "1989-12-31", "2018-06-24"),
    "long": ("1981-10-29", "2003-05-25", "2003-06-01", "2018-06-24"),
}


def released() -> xr.Dataset:
    segment = np.repeat([0, 1], [427, 1487])
    return xr.Dataset(
        {"coefficient": (("time", "mode"), SC20.coefficients.values), "segment": ("time", segment)},
        {"time": SC20.time, "mode": SC20["mode"]},
        {"data_kind": "twin"},
    )


@pytest.mark.parametrize(
    ("name", "in_period", "fitted", "scored"), [("short", 412, 412, 1472), ("long", 1112, 1097, 772)]
)
def test_released_protocols_have_the_published_numbers_of_windows(name, in_period, fitted, scored):
    first, last, test_first, test_last = PROTOCOLS[name]
    protocol = ProtocolConfig(name=name, train_first=first, train_last=last, test_first=test_first, test_last=test_last)
    training, inputs, targets = windows.split(released(), protocol, WindowsConfig())
    weeks = training.sizes["time"]
    assert windows.count_in_period(weeks, WindowsConfig()) == in_period
    # the long training period holds the join of PSL's two files: 15 of its windows would cross it
    assert training.sizes["init_time"] == fitted
    assert training.attrs["windows_across_joins"] == in_period - fitted
    assert inputs.sizes["init_time"] == targets.sizes["init_time"] == scored


def test_valid_time_is_init_time_plus_lead_within_a_segment():
    for part in split():
        lead = part.lead.values * np.timedelta64(7, "D")
        assert (part.valid_time.values == part.init_time.values[:, None] + lead).all()


def test_windows_lie_wholly_inside_their_period():
    training, inputs, targets = split()
    assert training.valid_time.values.max() <= np.datetime64(PROTOCOL.train_last)
    first_input = inputs.input_centre.values.min() - windows.HALF_WEEK
    assert first_input >= np.datetime64(PROTOCOL.test_first)
    assert targets.valid_time.values.max() <= np.datetime64(PROTOCOL.test_last)


def test_no_window_crosses_a_join():
    training, _, _ = split(join_after=100)
    span = CONFIG.inputs + CONFIG.outputs
    joined = windows.count_in_period(training.sizes["time"], CONFIG) - (span - 1)
    assert training.sizes["init_time"] == joined
    steps = np.diff(training.input_centre.values, axis=1)
    assert (steps == np.timedelta64(7, "D")).all()


def test_scaler_is_that_of_the_training_weeks_alone():
    training, _, _ = split()
    weeks = coefficients().sel(time=slice("1990-01-07", "1994-12-25")).coefficient
    np.testing.assert_allclose(training.offset, weeks.mean("time"))
    np.testing.assert_allclose(training.scale, weeks.std("time"))


def test_a_window_longer_than_the_record_is_refused_with_the_remedy():
    config = WindowsConfig(inputs=300, outputs=8)
    with pytest.raises(ValueError, match=r"300 \+ 8 = 308 consecutive weeks.*shorten windows.inputs"):
        windows.split(coefficients(), PROTOCOL, config)


@pytest.mark.parametrize("last", ["2030-01-06", "1997-12-29"])
def test_a_period_that_the_data_do_not_cover_is_refused_with_the_nearest_week(last):
    protocol = ProtocolConfig.model_validate({**PROTOCOL.model_dump(), "test_last": last})
    with pytest.raises(ValueError, match=f"test_last is {last}, which is no week of the data; the nearest week starts"):
        windows.split(coefficients(), protocol, CONFIG)


def test_a_constant_mode_cannot_be_scaled():
    series = coefficients()
    series.coefficient.values[:, 1] = 3.0
    training, _, _ = windows.split(series, PROTOCOL, CONFIG)
    with pytest.raises(ValueError, match="constant mode"):
        windows.scaler(training)


@given(block=st.integers(-1, 4), blocks=st.integers(2, 7))
def test_fit_and_validation_windows_share_no_week_and_keep_the_gap(block, blocks):
    data = windows.training(split()[0])
    config = CONFIG.model_copy(update={"validation_blocks": blocks})
    held = windows.fold(data, config, block)

    def weeks(part: windows.Training) -> set[np.datetime64]:
        return {*part.inputs.centres.ravel(), *part.inputs.target_centres.ravel()}

    fitted, validated = weeks(held.fit), weeks(held.validate)
    assert fitted
    assert validated
    week = np.timedelta64(7, "D")
    nearest = min(min(abs(np.array(sorted(fitted)) - one)) for one in (min(validated), max(validated)))
    assert nearest > 2 * (CONFIG.inputs + CONFIG.outputs) * week
    assert not fitted & validated
    # windows on either side of the held-out block are never taken for consecutive weeks
    steps = np.diff(held.fit.series_centres)[held.fit.segment[1:] == held.fit.segment[:-1]]
    assert (steps == week).all()


def test_a_fold_without_windows_is_refused():
    data = windows.training(split()[0])
    with pytest.raises(ValueError, match=r"leaves \d+ windows to fit and 0 to validate"):
        windows.fold(data, CONFIG.model_copy(update={"validation_blocks": 50}), 3)


def test_latest_takes_the_last_windows():
    data = windows.training(split()[0])
    half = data.latest(0.5)
    assert len(half.inputs) == round(len(data.inputs) / 2)
    assert half.inputs.init_time[-1] == data.inputs.init_time[-1]


@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
def test_channels_are_coefficients_and_harmonics_of_input_and_target_weeks(order):
    data = windows.training(split()[0])
    x = windows.channels(data.inputs, CONFIG.model_copy(update={"harmonics": 2, "order": order}))
    step = -1 if order == "newest_first" else 1
    assert x.shape == (len(data.inputs), CONFIG.inputs, 2 + 8)
    np.testing.assert_allclose(x[:, :, :2], data.inputs.values[:, ::step], rtol=1e-6)
    np.testing.assert_allclose(x[:, :, 2:6], windows.harmonics(data.inputs.centres[:, ::step], 2), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(x[:, :, 6:], windows.harmonics(data.inputs.target_centres, 2), rtol=1e-6)


def test_harmonics_repeat_after_a_year_and_use_the_date():
    # 2000-01-01 has phase 0: sine 0, cosine 1; a quarter of 365.2425 days later sine 1, cosine 0
    start = np.datetime64("2000-01-01T00:00", "s")
    quarter = start + np.timedelta64(round(365.2425 / 4 * 86400), "s")
    np.testing.assert_allclose(windows.harmonics(np.array([start, quarter]), 1), [[0, 1], [1, 0]], atol=1e-6)


def test_prediction_goes_back_to_the_units_of_the_coefficients():
    training, test, _ = split()
    data = windows.training(training)
    made = windows.prediction(training, test, (data.targets, np.zeros((test.sizes["init_time"], 4, 2))))
    fitted = made.forecast.values[made.period.values == 0]
    np.testing.assert_allclose(fitted, training.target.values, atol=1e-12)
    np.testing.assert_allclose(made.forecast.values[made.period.values == 1][0, 0], training.offset.values)
    assert made.sizes["init_time"] == training.sizes["init_time"] + test.sizes["init_time"]
