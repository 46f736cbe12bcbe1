"""Panels of truth and forecasts through time: the whole record on the left, the end of the test period on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import style

Times = npt.NDArray[np.datetime64]

CLOSE_UP = np.timedelta64(3 * 365, "D")
MARGIN = np.timedelta64(365, "D")  # of the training period, drawn where the truth begins after it
LONGEST_STEP = np.timedelta64(10, "D")  # weeks further apart are not joined by a line


@dataclass(frozen=True)
class Periods:
    """Training and test period of a stamp."""

    train: Times
    test: Times

    @classmethod
    def of(cls, stamp: style.Stamp) -> Periods:
        """Read 'YYYY-MM-DD to YYYY-MM-DD' of train_period and test_period; what is said behind a comma is no date."""
        words = (stamp[key].partition(",")[0].split(" to ") for key in ("train_period", "test_period"))
        train, test = (np.array(dates, "datetime64[ns]") for dates in words)
        return cls(train, test)


def draw(
    truths: Sequence[xr.DataArray],
    forecasts: Sequence[Mapping[str, xr.DataArray]],
    labels: Sequence[str],
    titles: Sequence[str],
    stamps: Sequence[style.Stamp],
    heading: str,
    *,
    physical: bool = False,
) -> Figure:
    """One row a series; every array has one coordinate `time`. The stamp's periods are shaded.

    truths, forecasts (method → series), labels (of the value axis) and titles: one a row.
    """
    rows, periods = len(truths), Periods.of(stamps[0])
    figure = style.figure(1.05 + 1.25 * rows, stamps, physical=physical)
    grid = figure.subplots(rows, 2, sharex="col", sharey="row", squeeze=False, width_ratios=(1.6, 1))
    for row, (truth, forecast) in enumerate(zip(truths, forecasts, strict=True)):
        for axes, width in zip(grid[row], (0.6, 1.0), strict=True):
            _series(axes, truth, forecast, periods, width)
        grid[row, 0].set_ylabel(labels[row])
        style.title(grid[row, 0], 2 * row, titles[row])
        style.title(grid[row, 1], 2 * row + 1, "close-up of the test period" if row == 0 else "close-up")
    _extents(grid, truths, periods)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, names, title=heading, title_fontsize=8.5, alignment="left", loc="outside upper left", ncols=len(names)
    )
    return figure


def _series(
    axes: Axes, truth: xr.DataArray, forecast: Mapping[str, xr.DataArray], periods: Periods, width: float
) -> None:
    axes.axvspan(*periods.train, color="#ededed", linewidth=0, zorder=0, label="training period")
    axes.axvline(periods.test[0], color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="first test week")
    axes.plot(*joined(truth), linewidth=width, **style.TRUTH)
    for name, look in style.styles(forecast).items():
        axes.plot(*joined(forecast[name]), linewidth=width, label=look.label, color=look.color, linestyle=look.dashes)


def joined(series: xr.DataArray) -> tuple[Times, npt.NDArray[np.float64]]:
    """Times and values with a NaN put into every gap, so that no line crosses it."""
    times, values = series["time"].values, series.values.astype(np.float64)
    gaps = np.flatnonzero(np.diff(times) > LONGEST_STEP) + 1
    return np.insert(times, gaps, times[gaps - 1] + np.timedelta64(7, "D")), np.insert(values, gaps, np.nan)


def _extents(grid: npt.NDArray[np.object_], truths: Sequence[xr.DataArray], periods: Periods) -> None:
    known = min(min(truth["time"].values[0] for truth in truths), periods.test[0])
    first = max(known - MARGIN, periods.train[0])
    last = max(truth["time"].values[-1] for truth in truths)
    grid[0, 0].set_xlim(first, last)
    grid[0, 1].set_xlim(max(periods.test[0], last - CLOSE_UP), last)
    for axes in grid[-1]:
        axes.set_xlabel("start of the week")
