"""What ensembles are made of: weights of members, what their number brings, and how selections compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from podnas.figures import compared, style

MOST_MEMBERS = 20
LOOKS = {"top_k": (style.GREY, "o", (0, (1, 1))), "greedy": (style.VERMILION, "D", "-")}
SMALL = 5.5  # points of the labels of rows


@style.journal
def draw(selection: Mapping[str, Any], stamp: style.Stamp) -> Figure:
    """Panels of held-out blocks alone; selection: as `ensemble.compared.record` gives it."""
    names = [name for name in ("complete", "ensemble") if name in selection["forecasts"]]
    figure = style.figure(5.8, [stamp])
    grid: Any = figure.subplots(2, 2)
    for place, name in enumerate(names):
        _weights(grid[0, place], selection["forecasts"][name]["weights"], selection["baselines"])
        style.title(grid[0, place], place, f"weights: {compared.look(name).label}", inches=2.6)
    if len(names) == 1:
        grid[0, 1].remove()
    _sizes(grid[1, 0], selection["sizes"])
    style.title(grid[1, 0], len(names), "number of candidates and CRPS", inches=2.6)
    _choices(grid[1, 1], selection["choices"])
    style.title(grid[1, 1], len(names) + 1, "selections, held-out blocks", inches=2.6)
    return figure


def _weights(axes: Axes, weights: Mapping[str, float], baselines: Any) -> None:
    ranked = sorted(weights.items(), key=lambda one: -one[1])[:MOST_MEMBERS][::-1]
    for row, (name, weight) in enumerate(ranked):
        axes.barh(row, weight, color=style.BLUE if name in baselines else style.ORANGE)
    axes.set_yticks(range(len(ranked)), [_label(name, baselines) for name, _ in ranked], fontsize=SMALL)
    axes.set_xlabel("weight")


def _label(name: str, baselines: Any) -> str:
    return style.METHODS[name].label if name in baselines else name.replace("_", " ")


def _sizes(axes: Axes, sizes: Any) -> None:
    """CRPS by the most distinct members; those that no smaller ensemble beats are filled."""
    for method, (color, marker, dashes) in LOOKS.items():
        mine = [one for one in sizes if one["method"] == method]
        found = [one["crps"] for one in mine]
        label = {"top_k": "top k", "greedy": "greedy"}[method]
        shape: Any = {"marker": marker, "markerfacecolor": "white", "label": label}
        axes.plot([one["size"] for one in mine], found, color=color, linestyle=dashes, **shape)
        for place, one in enumerate(mine):
            on_front = all(one["crps"] < other["crps"] for other in sizes if other["size"] < one["size"])
            on_front &= all(one["crps"] <= other["crps"] for other in sizes if other["size"] == one["size"])
            if on_front:
                axes.plot(one["size"], found[place], marker, color=color)
    networks = len(sizes[0]["crps_by_block"])
    axes.plot([], [], "o", color=style.GREY, label="filled: none smaller is as good")
    axes.set(xscale="log", xlabel=f"most candidates (× {networks} networks)", ylabel="held-out CRPS")
    ticks = sorted({one["size"] for one in sizes})
    axes.set_xticks(ticks, [str(size) for size in ticks])
    axes.minorticks_off()
    axes.legend(loc="best", fontsize=6)


def _choices(axes: Axes, choices: Mapping[str, Any]) -> None:
    """A row for each selection and size; bars: standard error, over blocks, of the difference from the best row."""
    rows = {(one["method"], one["size"]): 0.0 for table in choices.values() for one in table}
    for row in rows:
        rows[row] = min(one["crps"] for _, one in _of(row, choices))
    ranked = sorted(rows, key=lambda row: -rows[row])
    best = {name: np.array(min(table, key=lambda one: one["crps"])["crps_by_block"]) for name, table in choices.items()}
    for place, row in enumerate(ranked):
        for name, one in _of(row, choices):
            apart, look = np.array(one["crps_by_block"]) - best[name], compared.look(name)
            error = apart.std(ddof=1) / np.sqrt(len(apart))
            axes.errorbar(one["crps"], place, xerr=error, fmt=look.marker, color=look.color, elinewidth=0.8)
    labels = [f"{method.replace('_', ' ')}, {size}" for method, size in ranked]
    axes.set_yticks(range(len(ranked)), labels, fontsize=SMALL)
    axes.set_ylim(-0.6, 1.2 * len(ranked))  # room for the legend
    axes.set_xlabel("held-out CRPS ± its difference's error")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    for name in choices:
        look = compared.look(name)
        axes.plot([], [], look.marker, color=look.color, label=look.label)
    axes.legend(loc="upper right", fontsize=6)


def _of(row: tuple[str, int], choices: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A selection of both kinds of candidates, by the name of its ensemble."""
    return [(name, one) for name, table in choices.items() for one in table if (one["method"], one["size"]) == row]
