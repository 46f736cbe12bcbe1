"""Maps of a forecast's standard deviation by part, beside its actual error."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr
from matplotlib.figure import Figure

from podnas.data import variables
from podnas.figures import maps as grid
from podnas.figures import style

TITLES = {
    "aleatoric": "σ, aleatoric", "epistemic": "σ, epistemic", "truncation": "σ, truncation", "total": "σ, total",
}  # fmt: skip


@style.journal
def draw(maps: xr.Dataset, stamps: Sequence[style.Stamp]) -> Figure:
    """Five maps on scales of their own for parts, total and error on one, and total over error.

    maps: as `artifacts.read_spread_maps` gives them.
    """
    total, rmse = maps["sigma"].sel(part="total"), maps["rmse"]
    plan = grid.plan(6, grid.frame(rmse).aspect)
    figure = style.figure(plan.height + 0.5, stamps, width=plan.width, packed=True, physical=True)
    panels = list(figure.subplots(plan.rows, plan.columns, squeeze=False).flat)
    for spare in panels[6:]:
        spare.remove()
    lead = int(maps.attrs["map_lead_weeks"])
    weeks = f"{lead} week{'s' * (lead > 1)} ahead"
    figure.suptitle(f"Standard deviation of forecasts {weeks}, and their error", x=0.01, ha="left", size=8.5)
    unit, shared = variables.of(maps).unit, grid.between(total, rmse, share=1.0)
    for place, part in enumerate(TITLES):
        field = maps["sigma"].sel(part=part)
        norm = shared if part == "total" else grid.between(field, share=1.0)
        mesh = grid.draw(panels[place], field, style.SEQUENTIAL, norm)
        style.title(panels[place], place, TITLES[part], plan.map_width)
        grid.beside(figure, mesh, panels[place], unit, plan)
    mesh = grid.draw(panels[4], rmse, style.SEQUENTIAL, shared)
    style.title(panels[4], 4, "RMSE, test weeks", plan.map_width)
    grid.beside(figure, mesh, panels[4], unit, plan)
    ratio = total / rmse - 1
    mesh = grid.draw(panels[5], ratio, style.DIVERGING, grid.symmetric(ratio, share=1.0))
    style.title(panels[5], 5, "σ / RMSE − 1", plan.map_width)
    grid.beside(figure, mesh, panels[5], "", plan)
    grid.label_outer(panels[:6], plan.columns)
    style.fit(figure)
    return figure
