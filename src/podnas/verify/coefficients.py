"""Scores of coefficient forecasts against truth, as a tidy table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from podnas import scores
from podnas.windows import Array

WEEKS, MODES = 0, 2  # axes of forecasts
ALL = (0, 1, 2)
COLUMNS = ["method", "period", "metric", "lead", "mode", "region", "value"]


def table(method: str, period: str, forecast: Array, truth: Array, climatology: Array, scale: Array) -> pd.DataFrame:
    """All scores of one method in one period; arrays (n, leads, modes) standardised by the training sigma `scale`.

    Lead 0 and mode 0 stand for the score over all leads and modes, mode 0 for that over all modes.
    """
    r2 = scores.r2(forecast, truth)
    parts = [_by_lead_and_mode("r2", r2), _overall("r2_mean", r2.mean())]
    parts.append(_overall("r2_pooled", scores.r2_pooled(forecast, truth)))
    parts.append(_by_lead_and_mode("rmse", scores.rmse(forecast, truth)))
    for metric, value in (
        ("skill_clim", scores.skill_clim(forecast, truth, climatology)),
        ("acc", scores.anomaly_correlation(forecast, truth, climatology)),
    ):
        # climatology has no anomaly to correlate: its ACC is undefined, and left out
        if np.isfinite(value).all():
            parts += [_by_lead_and_mode(metric, value), _overall(metric, value.mean())]
    parts.append(_by_lead("skill_pooled", skill_pooled(forecast, truth, climatology, scale)))
    parts.append(_overall("skill_pooled", float(skill_pooled(forecast, truth, climatology, scale, ALL))))
    return pd.concat(parts).assign(method=method, period=period, region="")[COLUMNS]


def skill_pooled(
    forecast: Array, truth: Array, climatology: Array, scale: Array, over: tuple[int, ...] = (WEEKS, MODES)
) -> Array:
    """Skill against the training climatology, errors summed over modes before the ratio: by lead, (leads,).

    scale: training sigma of each mode, so that errors count in the coefficients' own units: as the field that the
    orthonormal modes make, most of it in the first ones. The mean of skill_clim lets all modes count alike.
    """
    error, simple = (((values - truth) * scale) ** 2 for values in (forecast, climatology))
    skill: Array = 1 - error.sum(axis=over) / simple.sum(axis=over)
    return skill


def _by_lead(metric: str, values: Array) -> pd.DataFrame:
    return pd.DataFrame({"metric": metric, "lead": np.arange(1, len(values) + 1), "mode": 0, "value": values})


def _by_lead_and_mode(metric: str, values: Array) -> pd.DataFrame:
    lead, mode = np.indices(values.shape) + 1
    return pd.DataFrame({"metric": metric, "lead": lead.ravel(), "mode": mode.ravel(), "value": values.ravel()})


def _overall(metric: str, value: float) -> pd.DataFrame:
    return pd.DataFrame({"metric": [metric], "lead": [0], "mode": [0], "value": [float(value)]})
