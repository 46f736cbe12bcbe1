"""Losses of trials in figures: what they are, and how far up an axis shows them."""

from __future__ import annotations

import numpy as np
import pandas as pd

FAR = 3.0  # times the distance of the quartiles above the upper one: losses beyond are drawn at the edge (Tukey 1977)


def name(trials: pd.DataFrame) -> str:
    """What the loss of a table of trials is; a Gaussian head has R² as a measure beside it."""
    return "negative log likelihood" if _gaussian(trials) else "1 − R²"


def score(trials: pd.DataFrame, loss: float) -> str:
    """A trial's loss in words: R², or the negative log likelihood."""
    return f"NLL {loss:.3f}" if _gaussian(trials) else f"R² {1 - loss:.3f}"


def _gaussian(trials: pd.DataFrame) -> bool:
    return "r2_mean" in trials


def edge(losses: pd.Series[float]) -> float:
    """The highest value that is drawn where it is; losses may be NaN (failed)."""
    finished = losses.dropna()
    if finished.empty:
        return 1.0
    lower, upper = np.percentile(finished, (25, 75))
    return float(min(finished.max(), upper + FAR * (upper - lower)))
