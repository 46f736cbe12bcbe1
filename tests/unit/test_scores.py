"""Scores by hand."""

from __future__ import annotations

import numpy as np

from podnas import scores

# four windows, one lead, two modes
TRUTH = np.array([[1.0, 2.0], [3.0, 2.0], [1.0, 4.0], [3.0, 4.0]])[:, None]
FORECAST = np.array([[1.0, 2.0], [2.0, 2.0], [1.0, 3.0], [2.0, 3.0]])[:, None]
CLIMATOLOGY = np.full_like(TRUTH, 2.0)


def test_r2_by_lead_and_mode():
    # mode 1: mean 2, SS_tot 4, SS_res 1 + 1 = 2; mode 2: mean 3, SS_tot 4, SS_res 2
    np.testing.assert_allclose(scores.r2(FORECAST, TRUTH), [[0.5, 0.5]])


def test_pooled_r2_sums_before_the_ratio():
    forecast = FORECAST.copy()
    forecast[:, 0, 1] = TRUTH[:, 0, 1]
    # SS_res 2 + 0, SS_tot 4 + 4; the mean of (.5, 1) is .75 as well, so widen mode 2: SS_tot 4 + 16, SS_res 2 + 0
    assert scores.r2_pooled(forecast, TRUTH) == 1 - 2 / 8
    wide = TRUTH * np.array([1.0, 2.0])
    forecast[:, 0, 1] = wide[:, 0, 1]
    assert scores.r2_pooled(forecast, wide) == 1 - 2 / 20


def test_skill_against_climatology():
    # mode 1: SS_clim 4, SS_res 2; mode 2: climatology 2 misses two weeks by 2: SS_clim 8, SS_res 2
    np.testing.assert_allclose(scores.skill_clim(FORECAST, TRUTH, CLIMATOLOGY), [[0.5, 0.75]])


def test_anomaly_correlation():
    # mode 1: forecast anomalies -1 0 -1 0, truth -1 1 -1 1: 2 / sqrt(2 * 4); mode 2: 0 0 1 1 and 0 0 2 2: 1
    found = scores.anomaly_correlation(FORECAST, TRUTH, CLIMATOLOGY)
    np.testing.assert_allclose(found, [[2 / np.sqrt(8), 1.0]])


def test_anomaly_correlation_of_climatology_itself_is_undefined():
    assert np.isnan(scores.anomaly_correlation(CLIMATOLOGY, TRUTH, CLIMATOLOGY)).all()


def test_rmse():
    np.testing.assert_allclose(scores.rmse(FORECAST, TRUTH), [[np.sqrt(0.5), np.sqrt(0.5)]])
