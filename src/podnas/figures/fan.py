"""Fan charts of coefficients: what came, and the central intervals of forecasts so many weeks ahead.

All are departures from the training climatology, beside whose annual cycle the intervals would not be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import style

WEEKS = 156  # drawn, the last of the test period
MOST_MODES = 5
ALPHAS = (0.22, 0.38)  # of the outer and the inner interval


@style.journal
def draw(fan: xr.Dataset, lead_weeks: int, stamps: Sequence[style.Stamp]) -> Figure:
    """A row a mode: forecasts so many weeks ahead through time, and forecasts of one initial date over all leads.

    fan: as `artifacts.read_fan` gives it.
    """
    modes, fan = fan.mode.values[:MOST_MODES], _departures(fan)
    figure = style.figure(1.1 + 1.35 * len(modes), stamps)
    grid: Any = figure.subplots(len(modes), 2, squeeze=False, gridspec_kw={"width_ratios": [3, 1]})
    for row, mode in enumerate(modes):
        of_mode = fan.sel(mode=mode)
        _through_time(grid[row, 0], of_mode.sel(lead=lead_weeks).isel(init_time=slice(-WEEKS, None)))
        _over_leads(grid[row, 1], of_mode.isel(init_time=fan.sizes["init_time"] // 2))
        weeks = f"{lead_weeks} week{'s' * (lead_weeks > 1)} ahead"
        style.title(grid[row, 0], 2 * row, f"coefficient {mode}, {weeks}", inches=4.5)
        for axes in grid[row]:
            axes.axhline(0, color=style.GREY, linewidth=0.6, linestyle=":", zorder=0)
        start = str(fan.init_time.values[fan.sizes["init_time"] // 2].astype("datetime64[D]"))
        style.title(grid[row, 1], 2 * row + 1, f"from {start}", inches=1.6)
    grid[-1, 1].set_xlabel("lead (weeks)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), title="departures from the training climatology"
    )
    return figure


def _departures(fan: xr.Dataset) -> xr.Dataset:
    apart = {name: (fan[name] - fan["climatology"]).assign_attrs(fan[name].attrs) for name in ("quantile", "truth")}
    return fan.assign(apart)


def _through_time(axes: Axes, fan: xr.Dataset) -> None:
    _band(axes, fan.valid_time.values, fan["quantile"].values)
    axes.plot(fan.valid_time.values, fan.truth.values, linewidth=0.8, color=style.BLACK, label="what came")
    axes.margins(x=0.01)
    axes.set_ylabel(_unit(fan))


def _over_leads(axes: Axes, fan: xr.Dataset) -> None:
    _band(axes, fan.lead.values, fan["quantile"].values)
    axes.plot(fan.lead.values, fan.truth.values, "o-", color=style.BLACK, linewidth=0.8)
    axes.set_xticks(fan.lead.values[:: max(1, fan.sizes["lead"] // 4)])


def _band(axes: Axes, places: Any, quantiles: np.ndarray[Any, Any]) -> None:
    """Quantiles (5, places): 90 and 50 % intervals and the median."""
    for outer, (alpha, level) in enumerate(zip(ALPHAS, ("90 %", "50 %"), strict=True)):
        low, high = quantiles[outer], quantiles[-1 - outer]
        axes.fill_between(places, low, high, color=style.BLUE, alpha=alpha, linewidth=0, label=f"{level} of forecasts")
    axes.plot(places, quantiles[len(quantiles) // 2], color=style.BLUE, linewidth=0.9, label="median")


def _unit(fan: xr.Dataset) -> str:
    units = str(fan.truth.attrs.get("units", "1"))
    return "" if units == "1" else {"degree_Celsius": "°C"}.get(units, units)
