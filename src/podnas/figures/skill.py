"""Skill of all methods by lead and mode on the test period: lines of the mean, tables of every number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from podnas.figures import style

MOST_MODES = 5
ROW_INCHES = 0.148
CELLS = Normalize(-1, 1)
TICKS = (-1000, -100, -10, -1, -0.5, 0, 0.5, 1)


@style.journal
def draw(scores: pd.DataFrame, stamps: Sequence[style.Stamp]) -> Figure:
    """Lines: mean over modes of skill_clim and r2 by lead. Tables: skill_clim by method and lead, mean and per mode.

    scores: tidy (method, period, metric, lead, mode, region, value) as rule scores writes it; the first five of
    many modes have a table.
    """
    skill, r2 = (by_lead(scores, metric) for metric in ("skill_clim", "r2"))
    looks = style.styles(r2)
    modes = sorted(int(mode) for mode in next(iter(r2.values())).columns)[:MOST_MODES]
    # one mode is its own mean
    tables = [*([_mean(skill)] if len(modes) > 1 else []), *(_one(skill, mode) for mode in modes)]
    titles = [*(["mean over modes"] if len(modes) > 1 else []), *(f"mode {mode}" for mode in modes)]
    columns = 2 if len(tables) == 4 else min(3, len(tables))
    rows = -(-len(tables) // columns)
    figure = style.figure(3.0 + rows * (0.45 + ROW_INCHES * len(looks)), stamps)
    parts: Any = figure.subfigures(2, 1, height_ratios=(2.6, rows * (0.45 + ROW_INCHES * len(looks))))
    above, below = parts
    _lines(above, skill, r2, looks)
    panels = list(below.subplots(rows, columns, squeeze=False).flat)
    for spare in panels[len(tables) :]:
        spare.remove()
    for place, (axes, table, text) in enumerate(zip(panels, tables, titles, strict=False)):
        image = _table(axes, table, looks, names=place % columns == 0)
        style.title(axes, place + 2, text)
        if place + columns >= len(tables):
            axes.set_xlabel("lead (weeks)")
    bar = below.colorbar(
        image,
        ax=panels[: len(tables)],
        location="bottom",
        aspect=50,
        shrink=0.5,
        extend="both",
        ticks=[-1, -0.5, 0, 0.5, 1],
    )
    bar.set_label("skill against climatology (best method of each lead in bold)")
    return figure


def by_lead(scores: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """Method → table (lead × mode) of a metric on the test period."""
    chosen = scores[(scores["metric"] == metric) & (scores["period"] == "test") & (scores["region"] == "")]
    chosen = chosen[(chosen["lead"] > 0) & (chosen["mode"] > 0)]
    if chosen.empty:
        raise ValueError(f"the scores hold no {metric} by lead and mode for the test period; rerun rule scores")
    return {
        str(name): part.pivot(index="lead", columns="mode", values="value") for name, part in chosen.groupby("method")
    }


def _mean(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.DataFrame({name: table.mean(axis=1) for name, table in tables.items()}).T


def _one(tables: dict[str, pd.DataFrame], mode: int) -> pd.DataFrame:
    return pd.DataFrame({name: table[mode] for name, table in tables.items()}).T


def _lines(
    part: SubFigure, skill: dict[str, pd.DataFrame], r2: dict[str, pd.DataFrame], looks: dict[str, style.Style]
) -> None:
    left, right, key = part.subplots(1, 3, width_ratios=(1, 1, 0.5))
    for place, (axes, tables) in enumerate(((left, skill), (right, r2))):
        table = _mean(tables).reindex(list(looks))
        for name, look in looks.items():
            axes.plot(table.columns, table.loc[name], **look.marked)
        _values(axes, float(np.nanmin(table.to_numpy(dtype=float))))
        leads = [float(str(lead)) for lead in table.columns]
        axes.xaxis.set_major_locator(FixedLocator(leads) if len(leads) <= 12 else MaxNLocator(12, integer=True))
        axes.set(
            xlabel="lead (weeks)",
            ylabel="mean over modes" if len(next(iter(tables.values())).columns) > 1 else "only mode",
        )
        style.title(axes, place, ("skill against climatology", "R²")[place])
    key.set_axis_off()
    key.legend(*left.get_legend_handles_labels(), loc="center", labelspacing=0.45, borderpad=0)


def _values(axes: Axes, lowest: float) -> None:
    if lowest < -1:
        axes.set_yscale("symlog", linthresh=1, linscale=2)
        axes.yaxis.set_major_locator(FixedLocator(TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.set_ylim(lowest * (1.3 if lowest < 0 else 0.9), 1.02)
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def _table(axes: Axes, table: pd.DataFrame, looks: dict[str, style.Style], names: bool) -> AxesImage:
    values = table.reindex(list(looks)).to_numpy(dtype=float)
    colours = style.DIVERGING.reversed()
    image = axes.imshow(values, cmap=colours, norm=CELLS, aspect="auto")
    best = np.nanargmax(np.nan_to_num(values, nan=-np.inf), axis=0)
    for (row, column), value in np.ndenumerate(values):
        weight = "bold" if row == best[column] else "normal"
        # NaN is not drawn: the ground is white
        dark = np.isfinite(value) and _grey(colours(CELLS(value))) < 0.5
        look: dict[str, Any] = {"size": 4.8, "weight": weight, "color": "white" if dark else "black"}
        axes.text(column, row, number(value), ha="center", va="center", **look)
    axes.set_xticks(range(table.shape[1]), [f"{lead:g}" for lead in table.columns])
    axes.set_yticks(range(len(looks)), [look.label for look in looks.values()] if names else [""] * len(looks))
    axes.tick_params(length=0, labelsize=6)
    axes.spines[:].set_visible(False)
    return image


def number(value: float) -> str:
    """A skill in four characters at most: .76, −.35, −12."""
    if not np.isfinite(value):
        return "–"
    if abs(value) < 0.995:
        # adding 0 makes −0 a 0
        return f"{round(value, 2) + 0:.2f}".replace("0.", ".", 1).replace("-", "−")
    return (f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}").replace("-", "−")


def _grey(color: tuple[float, ...]) -> float:
    # relative luminance, ITU-R BT.601
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
