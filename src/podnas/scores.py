"""Definitions of the scores; what reads test targets to compute them stands in verify/.

All arrays are (n, leads, modes) in coefficients standardised by the training standard deviation, unless said otherwise.
"""

from __future__ import annotations

import numpy as np

from podnas.windows import Array


def r2(forecast: Array, truth: Array) -> Array:
    """Coefficient of determination over time per lead and mode: 1 - SS_res / SS_tot, (leads, modes).

    SS_tot is about the mean of the scored targets (Maulik et al. 2020).
    """
    total = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    share: Array = 1 - _squares(forecast, truth) / total
    return share


def r2_pooled(forecast: Array, truth: Array) -> float:
    """1 - sum SS_res / sum SS_tot over leads and modes."""
    total = ((truth - truth.mean(axis=0)) ** 2).sum()
    return float(1 - _squares(forecast, truth).sum() / total)


def skill_clim(forecast: Array, truth: Array, climatology: Array) -> Array:
    """Skill against the training climatology per lead and mode: 1 - SS_res / SS_climatology, (leads, modes)."""
    return 1 - _squares(forecast, truth) / _squares(climatology, truth)


def anomaly_correlation(forecast: Array, truth: Array, climatology: Array) -> Array:
    """Correlation of anomalies about the training climatology, uncentred, (leads, modes); NaN without anomaly."""
    ours, theirs = forecast - climatology, truth - climatology
    norm = np.sqrt((ours**2).sum(axis=0) * (theirs**2).sum(axis=0))
    product = (ours * theirs).sum(axis=0)
    correlation: Array = np.divide(product, norm, out=np.full_like(product, np.nan), where=norm > 0)
    return correlation


def rmse(forecast: Array, truth: Array) -> Array:
    """Root mean square error over time, (leads, …)."""
    root: Array = np.sqrt(((forecast - truth) ** 2).mean(axis=0))
    return root


def _squares(forecast: Array, truth: Array) -> Array:
    squares: Array = ((forecast - truth) ** 2).sum(axis=0)
    return squares
