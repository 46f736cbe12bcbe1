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
    half = windows.subset(data, 0.5, "latest")
    assert len(half.inputs) == round(len(data.inputs) / 2)
    np.testing.assert_array_equal(half.inputs.init_time, data.inputs.init_time[-len(half.inputs) :])
    assert len(windows.subset(data, 1e-9, "latest").inputs) == 1


@pytest.mark.parametrize("kind", ["latest", "whole_years", "core_set"])
def test_all_windows_are_the_subset_of_share_1(kind):
    data = windows.training(split()[0])
    assert windows.subset(data, 1.0, kind) is data


@pytest.mark.parametrize(
    ("share", "chosen", "count"),
    [
        (0.01, [1993], 45),
        (0.3, [1992, 1994], 46 + 45),
        (0.5, [1991, 1993, 1994], 45 + 97),
        (0.9, [1991, 1992, 1993, 1994], 202),
    ],
)
def test_whole_years_are_spread_over_the_period(share, chosen, count):
    # 253 windows of 8 weeks. 1990 begins with its second week; 1991 … 1994 have 52, 53, 52, 52. Windows inside one of
    # 52 weeks are 45, of 53 are 46; inside two years in a row 104 - 7, inside all four 209 - 7. So 1, 2, 3 and 4 years,
    # in the middles of equal parts, have 45, 91, 142 and 202 windows: nearest to 3, 76, 126 and 228
    data = windows.training(split()[0])
    part = windows.subset(data, share, "whole_years")
    years = np.concatenate([part.inputs.centres, part.inputs.target_centres], axis=1).astype("datetime64[Y]")
    assert {int(str(year)) for year in np.unique(years)} == set(chosen)
    np.testing.assert_array_equal(part.series, data.series)
    assert len(part.inputs) == count


def test_windows_of_whole_years_cross_no_gap():
    data = windows.training(split(join_after=120)[0])
    held = windows.fold(data, CONFIG.model_copy(update={"validation_blocks": 5}), 2)
    part = windows.subset(held.fit, 0.6, "whole_years")
    assert len(part.inputs)
    weeks = np.concatenate([part.inputs.centres, part.inputs.target_centres], axis=1)
    assert (np.diff(weeks, axis=1) == np.timedelta64(7, "D")).all()


def test_a_period_without_a_whole_year_is_refused_with_the_remedy():
    data = windows.training(split()[0])
    short = data.restrict(np.arange(len(data.series)) % 52 < 40)
    with pytest.raises(ValueError, match=r"hold 0 whole calendar years .* set it to latest or core_set"):
        windows.subset(short, 0.5, "whole_years")


def test_a_core_set_by_hand():
    # mean 4.4: 10 is farthest from it, then 0 from {10}; then 6 (4 from 10) before 5 (5 from both) ... 5 is farther
    values = np.array([[0.0], [1.0], [5.0], [6.0], [10.0]])
    assert windows.core_set(values, 1).tolist() == [4]
    assert windows.core_set(values, 2).tolist() == [0, 4]
    assert windows.core_set(values, 3).tolist() == [0, 2, 4]
    assert windows.core_set(values, 5).tolist() == [0, 1, 2, 3, 4]
    # equal points are taken in order, none twice
    assert windows.core_set(np.zeros((4, 2)), 3).tolist() == [0, 1, 2]


@given(seed=st.integers(0, 1000), count=st.integers(1, 30))
def test_a_core_set_leaves_no_point_farther_than_twice_the_best_radius(seed, count):
    # Gonzalez 1985: the greedy radius is at most twice the optimal one, so of any other choice of as many points
    values = np.random.default_rng(seed).normal(size=(40, 3))

    def radius(rows) -> float:
        return np.linalg.norm(values[:, None] - values[rows], axis=2).min(axis=1).max()

    chosen = windows.core_set(values, count)
    assert len(set(chosen.tolist())) == count
    others = [np.random.default_rng([seed, n]).choice(40, count, replace=False) for n in range(20)]
    assert radius(chosen) <= 2 * min(map(radius, others))


def test_the_core_set_has_as_many_windows_as_asked_for():
    data = windows.training(split()[0])
    part = windows.subset(data, 0.3, "core_set")
    assert len(part.inputs) == round(0.3 * len(data.inputs))
    assert (np.diff(part.inputs.init_time) > np.timedelta64(0, "D")).all()
    np.testing.assert_array_equal(part.targets, windows.subset(data, 0.3, "core_set").targets)


def test_a_scaled_fold_is_standard_in_the_weeks_that_scale_it():
    held = windows.fold(windows.training(split()[0]), CONFIG, -1)
    scaled = held.scaled(held.fit.series)
    np.testing.assert_allclose(scaled.fit.series.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.fit.series.std(axis=0), 1)
    # windows and weeks on one scale
    np.testing.assert_array_equal(scaled.fit.series[scaled.fit.places()][:, :4], scaled.fit.inputs.values)
    np.testing.assert_array_equal(scaled.fit.series[scaled.fit.places()][:, 4:], scaled.fit.targets)
    seen = windows.subset(held.fit, 0.1, "latest").seen()
    assert len(seen) == round(0.1 * len(held.fit.inputs)) + 7
    # validation windows are scaled by the weeks fitted on, not by their own
    np.testing.assert_allclose(
        scaled.validate.targets, (held.validate.targets - held.fit.series.mean(axis=0)) / held.fit.series.std(axis=0)
    )


def test_weeks_in_which_a_mode_is_constant_cannot_scale():
    held = windows.fold(windows.training(split()[0]), CONFIG, -1)
    with pytest.raises(ValueError, match=r"a constant mode cannot be scaled: .* search\.two_step\.scaler: training"):
        held.scaled(held.fit.series[:1])


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
