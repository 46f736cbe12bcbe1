"""Root mean square error of forecasts as maps: the searched ensemble, a reference, and their difference."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr
from matplotlib.figure import Figure

from podnas.data import variables
from podnas.figures import maps as grid
from podnas.figures import style


@style.journal
def draw(maps: xr.Dataset, method: str, reference: str, stamps: Sequence[style.Stamp]) -> Figure:
    """RMSE of two methods on one scale, and method less reference, where negative is better.

    maps: as `artifacts.read_maps` gives them.
    """
    ours, theirs = (maps["rmse"].sel({"method": name}) for name in (method, reference))
    plan = grid.plan(3, grid.frame(ours).aspect)
    figure = style.figure(plan.height + 0.5, stamps, width=plan.width, packed=True, physical=True)
    panels = list(figure.subplots(plan.rows, plan.columns, squeeze=False).flat)
    for spare in panels[3:]:
        spare.remove()
    norm, difference = grid.between(ours, theirs), ours - theirs
    meshes = [
        grid.draw(axes, field, style.SEQUENTIAL, norm) for axes, field in zip(panels, (ours, theirs), strict=False)
    ]
    meshes.append(grid.draw(panels[2], difference, style.DIVERGING, grid.symmetric(difference)))
    titles = _titles(method, reference, int(maps.attrs["map_lead_weeks"]))
    unit = variables.of(maps).unit
    labels = (f"RMSE ({unit})", f"RMSE ({unit})", f"difference ({unit})")
    for place, mesh in enumerate(meshes):
        style.title(panels[place], place, titles[place], plan.map_width)
        grid.beside(figure, mesh, panels[place], labels[place], plan)
    grid.label_outer(panels[:3], plan.columns)
    style.fit(figure)
    return figure


def _titles(method: str, reference: str, lead_weeks: int) -> list[str]:
    looks = style.styles([method, reference])
    weeks = f"{lead_weeks} week{'s' * (lead_weeks > 1)} ahead"
    forecasts = [f"{looks[name].label}, {weeks}" for name in (method, reference)]
    return [*forecasts, "a − b (negative: a is better)"]
