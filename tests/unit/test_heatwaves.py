"""Heatwaves: thresholds and runs by hand, what later weeks must not tell, area means, a climatology with a trend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from scipy.special import logit

from podnas import config as configuration
from podnas import windows
from podnas.baselines.logistic import TrendClimatology
from podnas.config import ClassificationConfig, HeatwavesConfig, ProtocolConfig, RegionConfig, WindowsConfig
from podnas.data import regional
from podnas.verify import happened
from podnas.verify.heatwaves import Heatwaves, lasting
from podnas.windows import WEEK

ROOT = Path(__file__).parents[2]
FIRST = np.datetime64("1982-01-03", "ns")
YEARS = 12
WEEKS = 52 * YEARS + 20
TRAINED = 52 * 10
CONFIG = HeatwavesConfig(region="box", percentile=90, window_weeks=1, least_weeks=2)
WINDOW = WindowsConfig(inputs=4, outputs=2, validation_blocks=2)
BOX = RegionConfig(name="box", lat=(0, 10), lon=(0, 10), label="Box")


def series(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=WEEKS) + 28


def coefficients(values: np.ndarray, start: np.datetime64 = FIRST) -> xr.Dataset:
    return xr.Dataset(
        {
            "coefficient": (("time", "mode"), values[:, None], {"units": "degree_Celsius"}),
            "segment": ("time", np.zeros(len(values), int)),
        },
        {"time": start + WEEK * np.arange(len(values)), "mode": [1]},
        {"data_kind": "made up"},
    )


def training(values: np.ndarray) -> xr.Dataset:
    whole = coefficients(values)
    days = whole.time.values.astype("datetime64[D]").astype(str)
    ends = {"train_first": days[0], "train_last": days[TRAINED - 1]}
    ends |= {"test_first": days[TRAINED], "test_last": days[-1]}
    return windows.split(whole, ProtocolConfig.model_validate({"name": "p", **ends}), WINDOW)[0]


def test_a_threshold_is_the_percentile_of_near_training_weeks():
    values = series()
    made = Heatwaves(CONFIG, training(values))
    start = FIRST + 30 * WEEK
    centre = start + windows.HALF_WEEK
    near = []
    for place in range(TRAINED):
        other = FIRST + place * WEEK + windows.HALF_WEEK
        apart = abs((other - centre) / np.timedelta64(1, "D")) % 365.2425
        if min(apart, 365.2425 - apart) <= 10.5:
            near.append(values[place])
    assert 25 <= len(near) <= 35
    assert made.threshold(np.array([start]))[0] == np.percentile(near, 90)


def test_test_weeks_change_no_threshold_and_no_training_label():
    values = series()
    hot = values.copy()
    hot[TRAINED:] += 50
    ours, theirs = (Heatwaves(CONFIG, training(one)) for one in (values, hot))
    assert np.array_equal(ours.threshold(ours.starts), theirs.threshold(theirs.starts))
    known = ours.known(ours.starts[:, None])
    assert np.array_equal(ours.came, theirs.came)
    # over all weeks, those that are called known are the same, too
    over = Heatwaves(CONFIG, training(hot), coefficients(hot))
    assert np.array_equal(over.events(ours.starts[known])["heatwave"], ours.came[known])
    assert known.sum() == TRAINED - 1
    assert over.known(over.starts[:, None]).sum() == WEEKS - 1
    last = values.copy()
    last[TRAINED - 1 :] += 50  # warm on both sides of the end: the training weeks alone do not see it last
    assert Heatwaves(CONFIG, training(last)).came[-1] == 0
    assert Heatwaves(CONFIG, training(last), coefficients(last)).came[TRAINED - 1] == 1


def test_runs_last_over_no_missing_week():
    above = np.array([1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1], bool)
    one = np.zeros(12, int)
    assert lasting(above, one, 2).astype(int).tolist() == [1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    two = np.repeat([0, 1], [7, 5])  # missing weeks after the seventh
    assert lasting(above, two, 3).astype(int).tolist() == [0] * 12
    assert lasting(above, two, 2).astype(int).tolist() == [1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert lasting(above, one, 1).tolist() == above.tolist()


def test_windows_that_end_too_late_are_not_known():
    made = Heatwaves(CONFIG.model_copy(update={"least_weeks": 4}), training(series()))
    ends = made.starts[-5:]
    starts = np.stack([ends - 1 * WEEK.astype("timedelta64[D]"), ends], axis=1)
    assert made.known(starts).tolist() == [True, True, False, False, False]


def test_too_few_weeks_for_a_percentile_are_refused():
    with pytest.raises(ValueError, match=r"raise classification\.heatwaves\.window_weeks"):
        Heatwaves(CONFIG.model_copy(update={"percentile": 98, "window_weeks": 0}), training(series()))


def test_a_week_that_is_not_in_the_series_is_refused():
    with pytest.raises(ValueError, match="2030-01-06 is not in the series"):
        Heatwaves(CONFIG, training(series())).events(np.array(["2030-01-06"], "datetime64[ns]"))


def test_the_definition_has_base_rates():
    made = Heatwaves(CONFIG, training(series()))
    assert f"{made.above.mean():.3f} are above it, {made.came.mean():.3f} in heatwaves" in made.definition()
    assert 0.05 < made.above.mean() < 0.12


def test_outcomes_are_those_of_the_experiment():
    data = training(series())
    asked = ClassificationConfig(heatwaves=CONFIG)
    assert happened.outcomes(asked, data, None, None).names == ("heatwave",)
    table = pd.DataFrame({"week": pd.date_range("1982-01-06", periods=60, freq="7D"), "sst": 27.0, "anomaly": 0.0})
    table["anomaly"] = np.linspace(-1, 1, 60).round(1)
    made = happened.outcomes(ClassificationConfig(), data, table, None)
    starts = (table.week.to_numpy() - np.timedelta64(3, "D"))[:, None]
    assert made.known(starts).all()
    assert made.events(starts)["warm"].sum() == (table.anomaly >= 0.5).sum()
    assert "at least 0.5 degrees" in made.definition()
    with pytest.raises(ValueError, match=r"need the table of Niño 3\.4"):
        happened.outcomes(ClassificationConfig(), data, None, None)


def field() -> xr.Dataset:
    values = np.arange(24.0).reshape(4, 2, 3)
    values[2, 0, 0] = np.nan  # ice for a week: the cell is out
    values[:, 1, 2] = np.nan  # land
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values, {"units": "degree_Celsius"}),
            "cell_area": (("lat", "lon"), [[1.0, 2.0, 4.0], [1.0, 3.0, 5.0]], {"units": "m2"}),
            "segment": ("time", [0, 0, 1, 1]),
        },
        {"time": FIRST + WEEK * np.arange(4), "lat": [1.0, 3.0], "lon": [1.0, 3.0, 30.0]},
        {"data_kind": "made up"},
    )


def test_an_area_mean_is_weighted_and_of_whole_cells():
    made = regional.series(field(), BOX)
    values = field().sst.values
    expected = (2 * values[:, 0, 1] + values[:, 1, 0] + 3 * values[:, 1, 1]) / 6
    assert np.allclose(made.coefficient.values[:, 0], expected)
    assert made.segment.values.tolist() == [0, 0, 1, 1]
    assert made.coefficient.attrs["units"] == "degree_Celsius"


def test_a_region_of_land_is_refused():
    with pytest.raises(ValueError, match=r"box: none of the 1 cells .* has values in every week"):
        regional.series(field(), BOX.model_copy(update={"lat": (2, 4), "lon": (20, 40)}))


def test_a_climatology_with_a_trend_finds_the_trend_and_the_season():
    random = np.random.default_rng(1)
    data = windows.training(training(series()))
    centres = data.inputs.target_centres
    years = (centres - np.datetime64("1982-01-01")) / np.timedelta64(1, "D") / 365.2425
    chance = 1 / (1 + np.exp(-(-3 + 0.3 * years + np.sin(2 * np.pi * years))))
    made = TrendClimatology(1).fit(data, (random.random(centres.shape) < chance).astype(int))
    assert made.parameters == 4
    found = made.predict(data.inputs)
    assert found.shape == centres.shape
    assert np.abs(found - chance).mean() < 0.05
    assert made.fitted.coef_[0, -1] == pytest.approx(3, abs=1)  # a decade
    assert logit(found.max()) > logit(found.min()) + 3


def test_a_climatology_of_one_class_is_refused():
    data = windows.training(training(series()))
    with pytest.raises(ValueError, match="training outcomes are 0"):
        TrendClimatology(1).fit(data, np.zeros(data.inputs.target_centres.shape, int))


def merged(folder: Path, experiment: str, changes: dict) -> configuration.ExperimentConfig:
    over = folder / "over.yaml"
    over.write_text(yaml.safe_dump({"classification": changes}))
    experiments = ROOT / "config" / "experiments"
    return configuration.merge(ROOT / "config" / "config.yaml", experiments / f"{experiment}.yaml", over)


def test_a_region_that_is_not_there_is_refused(tmp_path):
    assert merged(tmp_path, "heatwaves", {}).verify.region("whole_region").label == "Whole region"
    with pytest.raises(ValueError, match=r"nowhere is none of verify\.regions"):
        merged(tmp_path, "heatwaves", {"heatwaves": {"region": "nowhere"}})
    with pytest.raises(ValueError, match="percentile"):
        merged(tmp_path, "heatwaves", {"heatwaves": {"percentile": 100}})


def test_heatwaves_of_an_index_and_warm_weeks_of_a_field_are_refused(tmp_path):
    with pytest.raises(ValueError, match="goes with a field"):
        merged(tmp_path, "events", {"heatwaves": {}})
    with pytest.raises(ValueError, match="only an index has one"):
        merged(tmp_path, "heatwaves", {"heatwaves": None})
