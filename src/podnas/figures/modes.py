"""The mean field and the POD modes as maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.data import variables
from podnas.figures import maps, style

MOST_MODES = 11


@style.journal
def draw(basis: xr.Dataset, stamps: Sequence[style.Stamp]) -> Figure:
    """The training mean and each mode times the standard deviation of its coefficient, the first 11 of many.

    basis: as `artifacts.read_basis` gives it; stamps: one a protocol.
    """
    number = min(basis.sizes["mode"], MOST_MODES)
    shape = maps.frame(basis["mean"])
    plan = maps.plan(number + 1, shape.aspect)
    figure = style.figure(plan.height + 0.5, stamps, width=plan.width, packed=True, physical=True)
    panels = list(figure.subplots(plan.rows, plan.columns, squeeze=False).flat)
    for spare in panels[number + 1 :]:
        spare.remove()
    follow = f" (the first {number} of {basis.sizes['mode']} modes follow)" if number < basis.sizes["mode"] else ""
    variable = variables.of(basis)
    _mean(figure, panels[0], basis["mean"], f"training mean of {variable.symbol}{follow}", plan, variable.unit)
    for place in range(number):
        _mode(figure, panels[place + 1], basis.isel(mode=place), place, plan, variable.unit)
    maps.label_outer(panels[: number + 1], plan.columns)
    style.fit(figure)
    return figure


def _mean(figure: Figure, axes: Axes, mean: xr.DataArray, text: str, plan: maps.Plan, unit: str) -> None:
    mesh = maps.draw(axes, mean, style.SEQUENTIAL, maps.between(mean))
    style.title(axes, 0, text, plan.map_width)
    maps.beside(figure, mesh, axes, unit, plan)


def _mode(figure: Figure, axes: Axes, mode: xr.Dataset, place: int, plan: maps.Plan, unit: str) -> None:
    scaled = mode["modes"] * np.sqrt(mode["variance"])
    mesh = maps.draw(axes, scaled, style.DIVERGING, maps.symmetric(scaled))
    style.title(axes, place + 1, f"mode {int(mode['mode'])} ({share(mode, place)})", plan.map_width)
    maps.beside(figure, mesh, axes, f"{unit} per σ", plan)


def share(mode: xr.Dataset, place: int) -> str:
    """Share of a mode in words: of the variance, or of the leading modes where the spectrum knows no others."""
    spectrum = mode["spectrum"]
    of_what = "of the leading modes" if "leading" in spectrum.attrs.get("long_name", "") else "of variance"
    return f"{100 * float(spectrum[place]):.1f} % {of_what}"
