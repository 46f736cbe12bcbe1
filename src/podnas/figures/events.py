"""Event weeks as maps: truth, forecast and error, as departures from the training climatology."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from podnas.data import variables
from podnas.figures import maps as grid
from podnas.figures import style

REFERENCE = "climatology"
VIEWS = 3  # truth, forecast, error


@style.journal
def draw(maps: xr.Dataset, method: str, stamps: Sequence[style.Stamp]) -> Figure:
    """Three maps an event on one scale; events side by side or one under the other, whichever leaves maps larger.

    maps: as `artifacts.read_maps` gives them, with event_truth and event_forecast (of `method` and of climatology).
    """
    number = maps.sizes["event"]
    views = [_views(maps.isel(event=event), method) for event in range(number)]
    plan = grid.plan(VIEWS * number, grid.frame(maps["event_truth"]).aspect, columns=(number, VIEWS), bar=False)
    figure = style.figure(plan.height + 0.9, stamps, width=plan.width, packed=True, physical=True)
    table = figure.subplots(plan.rows, plan.columns, squeeze=False)
    norm = grid.symmetric(*(view for event in views for view in event[:2]))
    meshes: list[QuadMesh] = []
    variable = variables.of(maps)
    for event, panels in enumerate(_by_event(table, number)):
        titles = _titles(maps.isel(event=event), method, int(maps.attrs["map_lead_weeks"]))
        for view, axes in enumerate(panels):
            meshes.append(grid.draw(axes, views[event][view], style.DIVERGING, norm))
            style.title(axes, list(table.flat).index(axes), titles[view], plan.map_width)
    grid.label_outer(list(table.flat), plan.columns)
    grid.below(figure, meshes, list(table.flat), f"{variable.symbol} less climatology, and error ({variable.unit})")
    style.fit(figure)
    return figure


def _by_event(table: npt.NDArray[np.object_], number: int) -> npt.NDArray[np.object_]:
    return table if table.shape == (number, VIEWS) else table.T


def _views(event: xr.Dataset, method: str) -> list[xr.DataArray]:
    climatology = event["event_forecast"].sel({"method": REFERENCE})
    truth, forecast = event["event_truth"], event["event_forecast"].sel({"method": method})
    return [truth - climatology, forecast - climatology, forecast - truth]


def _titles(event: xr.Dataset, method: str, lead_weeks: int) -> list[str]:
    label = style.styles([method])[method].label
    week = np.datetime_as_string(event["event_valid_time"].values, unit="D")
    weeks = f"{lead_weeks} week{'s' * (lead_weeks > 1)} ahead"
    return [f"{event['event_label'].item()}, week of {week}: truth", f"{label}, {weeks}", "error (forecast − truth)"]
