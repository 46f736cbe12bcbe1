"""DayMet's released coefficients as weekly ones, and their maps in a twin's field."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from podnas.config import FieldConfig
from podnas.data import daymet_files, synthetic_daymet
from podnas.reduction import daymet_released

OF_YEAR = FieldConfig(weeks="of_year")
DATA = os.environ.get("PODNAS_DATA")


def daily(years: int) -> np.ndarray:
    """Day d of year k has the coefficients 1000 k + d and its negative."""
    days = 1000.0 * np.arange(years)[:, None] + np.arange(365)
    return np.stack([days, -days], axis=2)


def weekly(config: FieldConfig = OF_YEAR) -> xr.Dataset:
    return daymet_released.coefficients(daily(2), [2000, 2001], 2, config, (), "made up")


def test_a_year_has_52_weeks_and_its_365th_day_is_left_out():
    made = weekly()
    assert made.sizes["time"] == 104
    # the mean of days 0 to 6 is 3; week 52 ends with day 363
    assert made.coefficient.values[[0, 51, 52], 0].tolist() == [3, 360, 1003]
    assert made.time.values[[0, 51, 52]].astype("M8[D]").astype(str).tolist() == [
        "2000-01-01",
        "2000-12-23",  # 29 February is kept, so the 358th day of a leap year is 23 December
        "2001-01-01",
    ]
    assert (made.segment.values == 0).all()  # the weeks of two years follow one another
    kept = weekly(FieldConfig(weeks="of_year", rest_of_year="in_last_week"))
    assert kept.coefficient.values[51, 0] == 360.5


def test_first_and_last_day_are_those_of_the_field():
    made = weekly(FieldConfig(weeks="of_year", first="2000-12-23", last="2001-01-14"))
    assert made.time.values.astype("M8[D]").astype(str).tolist() == ["2000-12-23", "2001-01-01", "2001-01-08"]


def test_more_modes_than_there_are_are_refused():
    with pytest.raises(ValueError, match=r"pod\.modes is 3, but DayMet's coefficients are 2"):
        daymet_released.coefficients(daily(2), [2000, 2001], 3, OF_YEAR, (), "made up")


def field(known: xr.Dataset, mean: np.ndarray, modes: np.ndarray) -> xr.Dataset:
    values = mean + np.tensordot(known.coefficient.values, modes, axes=1)
    values[:, 0, 0] = np.nan
    rows, columns = mean.shape
    return xr.Dataset(
        {"tmax": (("time", "y", "x"), values.astype("f4"))},
        {
            "time": known.time,
            "y": -10_000.0 * np.arange(rows),
            "x": 10_000.0 * np.arange(columns),
            "lat": (("y", "x"), np.full(mean.shape, 40.0)),
            "lon": (("y", "x"), np.full(mean.shape, -120.0)),
            "cell_area": (("y", "x"), np.full(mean.shape, 1e8), {"units": "m2"}),
        },
        {"data_kind": "twin"},
    )


def test_maps_behind_known_coefficients_are_found_from_training_weeks_alone():
    random = np.random.default_rng(0)
    known = daymet_released.coefficients(random.normal(size=(2, 365, 2)), [2000, 2001], 2, OF_YEAR, (), "made up")
    mean, modes = random.normal(size=(3, 4)), random.normal(size=(2, 3, 4))
    clean = field(known, mean, modes)
    harmed = clean.copy(deep=True)
    harmed.tmax.values[52:] += 100
    basis = daymet_released.basis(clean, known, date(2000, 12, 23))
    xr.testing.assert_identical(basis, daymet_released.basis(harmed, known, date(2000, 12, 23)))
    assert np.isnan(basis.modes.values[:, 0, 0]).all()
    np.testing.assert_allclose(basis.modes.values[:, 1:], modes[:, 1:], atol=1e-5)
    np.testing.assert_allclose(basis["mean"].values[1:], mean[1:], atol=1e-5)
    assert basis.attrs["snapshots"] == 52


def test_a_field_without_a_training_week_is_refused():
    known = weekly()
    short = field(known, np.zeros((2, 2)), np.ones((2, 2, 2))).isel(time=slice(1, None))
    with pytest.raises(ValueError, match="lacks 1 of the 52 training weeks"):
        daymet_released.basis(short, known, date(2000, 12, 23))


def test_without_real_coefficients_those_of_the_seasonal_model_are_the_files_own(tmp_path: Path):
    series = synthetic_daymet.series(tmp_path, [1999, 2030], 4)
    again = synthetic_daymet.series(None, [2030], 4)
    assert series.shape == (2, 365, synthetic_daymet.MODES)
    np.testing.assert_array_equal(series[1], again[0])


@pytest.mark.skipif(DATA is None, reason="real data not found: set PODNAS_DATA")
def test_real_coefficients_are_the_training_and_the_test_years_in_order():
    path = daymet_files.real_coefficients(Path(str(DATA)))
    if path is None:
        pytest.skip("the data folder has no daymet_coefficients.npz")
    with np.load(path) as held:
        train, test = held["train"], held["test"]
    series = synthetic_daymet.series(Path(str(DATA)), range(2000, 2018), 0)
    np.testing.assert_array_equal(series[10, -1], train[-1])
    np.testing.assert_array_equal(series[11, 0], test[0])
    with pytest.raises(ValueError, match=r"has the years 2000 to 2017, not 2018"):
        synthetic_daymet.series(Path(str(DATA)), [2018], 0)
