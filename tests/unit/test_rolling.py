"""Refits of a rolling protocol: what each may see, and how their forecasts come together."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from podnas import windows
from podnas.config import ExperimentConfig, ProtocolConfig, RollingConfig
from podnas.runs import Run, Runs, refits
from tests.series import CONFIG, PROTOCOL, coefficients

ROLLING = PROTOCOL.model_copy(update={"name": "rolling", "rolling": RollingConfig(every_years=1, members=2)})


def refit(series: xr.Dataset, first: int, every: int = 1) -> tuple[xr.Dataset, xr.Dataset]:
    test_inputs = windows.split(series, ROLLING, CONFIG)[1]
    return windows.refit(series, test_inputs, ROLLING, CONFIG, range(first, first + every))


def test_a_refit_sees_nothing_of_the_years_it_forecasts():
    series = coefficients()
    harmed = series.copy(deep=True)
    harmed.coefficient.values[series.time.values >= np.datetime64("1996-01-01")] = 1e6
    past, inputs = refit(series, 1996)
    xr.testing.assert_identical(past, refit(harmed, 1996)[0])
    assert past.time.values.max() < np.datetime64("1996-01-01")
    assert past.valid_time.values.max() < inputs.init_time.values.min()


def test_a_refit_sees_all_the_past():
    series = coefficients()
    past, _ = refit(series, 1997)
    last = series.time.values[series.time.values < np.datetime64("1997-01-01")].max()
    assert past.time.values.max() == last
    assert past.valid_time.values.max() == last
    assert past.time.values.min() == np.datetime64(ROLLING.train_first)


def test_the_first_refit_has_the_training_period():
    series = coefficients()
    xr.testing.assert_identical(refit(series, 1995)[0], windows.split(series, ROLLING, CONFIG)[0])


@pytest.mark.parametrize("every", [1, 2, 3])
def test_each_test_window_is_forecast_once(every):
    series = coefficients()
    rolling = ROLLING.model_copy(update={"rolling": RollingConfig(every_years=every)})
    parts = [refit(series, year, every)[1].init_time.values for year in refits(rolling, CONFIG)]
    np.testing.assert_array_equal(np.concatenate(parts), windows.split(series, ROLLING, CONFIG)[1].init_time.values)


def test_years_without_a_test_window_are_refused():
    with pytest.raises(ValueError, match="no test window has its last input week in 1990 to 1990"):
        refit(coefficients(), 1990)


def test_forecasts_come_together():
    series = coefficients()
    training, test_inputs, _ = windows.split(series, ROLLING, CONFIG)
    parts = []
    for year in refits(ROLLING, CONFIG):
        past, inputs = refit(series, year)
        standard = windows.scaler(past)
        forecasts = [standard.forward(np.full((*one.valid_time.shape, 2), float(year))) for one in (past, inputs)]
        parts.append(windows.prediction(past, inputs, forecasts))
    whole = windows.joined(parts)
    test = whole.period.values == 1
    assert (~test).sum() == training.sizes["init_time"]
    np.testing.assert_array_equal(whole.init_time.values[test], test_inputs.init_time.values)
    years = whole.init_time.values[test].astype("datetime64[Y]").astype(int) + 1970
    np.testing.assert_allclose(whole.forecast.values[test], np.broadcast_to(years[:, None, None], (test.sum(), 4, 2)))


def experiment(**changes: object) -> ExperimentConfig:
    given = {
        "experiment": "rolled",
        "title": "rolled",
        "pod": {"modes": 2, "train_last": "1994-12-25"},
        "windows": CONFIG.model_dump(),
        "protocols": [PROTOCOL.model_dump(), ROLLING.model_dump()],
        "verify": {"map_lead_weeks": 2},
        "systems": {
            "recurrent_anomaly": {"corrects": "climatology", "search": {"trials": 7}, "ensemble": {"members": 3}}
        },
    }
    return ExperimentConfig.model_validate({**given, **changes})


def test_runs_are_origins_and_systems():
    runs = Runs(experiment())
    assert runs.origins() == ["short", "rolling/1995", "rolling/1996", "rolling/1997"]
    assert list(runs.by_path)[:2] == ["short", "short/recurrent_anomaly"]
    assert runs.by_path["rolling/1996/recurrent_anomaly"] == Run("rolling", 1996, "recurrent_anomaly")
    assert runs.path("rolling/1996", "recurrent") == "rolling/1996"
    # the search on the first training period finds the architectures of all refits
    assert runs.architectures("rolling/1996/recurrent_anomaly") == "short/recurrent_anomaly"


def test_a_run_has_the_changes_of_its_system_and_its_protocol():
    runs = Runs(experiment())
    assert runs.config("short").training.corrects is None
    anomaly = runs.config("short/recurrent_anomaly")
    assert (anomaly.training.corrects, anomaly.search.trials, anomaly.ensemble.members) == ("climatology", 7, 3)
    assert anomaly.search.population == runs.experiment.search.population
    assert runs.config("rolling/1996/recurrent_anomaly").ensemble.members == 2
    assert [str(day) for day in runs.training_period("rolling/1996")] == ["1990-01-07", "1995-12-31"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": [ROLLING.model_dump()]}, "no other protocol is trained from 1990-01-07"),
        ({"systems": {"recurrent": {}}}, "systems.recurrent: this name is taken"),
        ({"systems": {"a": {"training": {"corrects": "climatology"}}}}, "set its `corrects`"),
        ({"systems": {"a": {"search": {"ranks": 2}}}}, "set search.ranks of the experiment"),
        ({"systems": {"a": {"training": {"lead_weights": [1.0]}}}}, "systems.a.training.lead_weights has 1 weights"),
        ({"systems": {"a": {"search": {"trials": 1}}}}, "systems.a.ensemble.members is 5, but"),
        ({"stack": {}, "systems": {"a": {"ensemble": {"members": 1}}}}, "needs each of the windows.validation_blocks"),
        ({"stack": {"systems": ["b"]}}, "stack.systems has b; systems here are recurrent, recurrent_anomaly"),
        ({"stack": {"methods": ["climatology"]}}, "stack.methods has climatology"),
        (
            {"transfer": {"catalogue": "x", "system": "b", "architectures": 4}},
            "transfer.system is b; systems here are recurrent, recurrent_anomaly",
        ),
        (
            {"transfer": {"catalogue": "x", "system": "recurrent_anomaly", "architectures": 4}},
            "systems.recurrent_anomaly.ensemble.members = 3",
        ),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        experiment(**changes)


def test_a_rolling_protocol_without_its_own_years_is_refused():
    with pytest.raises(ValueError, match="every_years"):
        ProtocolConfig.model_validate({**PROTOCOL.model_dump(), "rolling": {"every_years": 0}})
