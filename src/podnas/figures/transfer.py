"""A transfer study: skill of the groups and of the baselines by lead, single networks by seed, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from podnas.figures import style

LOWEST = -0.1  # skill below which a line leaves the panel and is told in words
LOOKS: dict[str, tuple[str, str, str | tuple[int, tuple[float, ...]]]] = {
    "transferred": (style.VERMILION, "*", "-"),
    "searched": (style.ORANGE, "h", (0, (4, 1.5))),
    "random": (style.PURPLE, "D", (0, (1, 1))),
}
SPREAD_DOWN = 0.22  # between the intervals of groups in one row


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """Above: skill against climatology by lead on the test weeks and on the blocks held out inside the training period.

    Below: mean skill of the single networks of each seed, those of one seed joined; differences of the ensembles from
    each baseline. found: as `verify.transfer.summary` gives it, with stamp and labels.
    """
    labels = found["labels"]
    looks = {
        group: style.Style(labels[group], color, marker, dashes) for group, (color, marker, dashes) in LOOKS.items()
    }
    simple = style.styles(found["test"]["baselines"])
    figure = style.figure(7.6, [found["stamp"]])
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    above, below = parts
    left, right, key = above.subplots(1, 3, width_ratios=(1, 1, 0.62))
    for place, (axes, period) in enumerate(((left, "test"), (right, "validation"))):
        _lines(axes, found[period], looks, simple)
        style.title(axes, place, ("test weeks", "held-out blocks of the training period")[place], inches=2.6)
    key.set_axis_off()
    key.legend(*left.get_legend_handles_labels(), loc="center", labelspacing=0.4, borderpad=0)
    seeds, differences = below.subplots(1, 2, width_ratios=(1, 1.6))
    _seeds(seeds, found["test"]["single"], looks)
    style.title(seeds, 2, "single networks, mean of a seed, test weeks", inches=2.6)
    _differences(differences, found["from_baselines"], looks, simple)
    style.title(differences, 3, "ensemble less baseline: skill, 90 % interval", inches=4)
    return figure


def _lines(
    axes: Axes, found: Mapping[str, Any], looks: Mapping[str, style.Style], simple: Mapping[str, style.Style]
) -> None:
    beneath = []
    for name, one in found["baselines"].items():
        leads = np.arange(1, len(one["by_lead"]) + 1)
        axes.plot(leads, one["by_lead"], **{**simple[name].marked, "linewidth": 0.8, "markersize": 2.5})
        if min(one["by_lead"]) < LOWEST:
            beneath.append(simple[name].label)
    for group, look in looks.items():
        by_seed = np.array([one["by_lead"] for one in found["single"][group]])
        axes.fill_between(leads, by_seed.min(axis=0), by_seed.max(axis=0), color=look.color, alpha=0.15, linewidth=0)
        axes.plot(leads, found["ensemble"][group]["by_lead"], **look.marked, zorder=3)
    highest = max(max(one["by_lead"]) for part in ("baselines", "ensemble") for one in found[part].values())
    axes.set(xlabel="lead (weeks)", ylabel="skill against climatology", ylim=(LOWEST, 1.1 * highest))
    axes.xaxis.set_major_locator(FixedLocator(leads.astype(float).tolist()))
    axes.grid(axis="y")
    if beneath:
        text = "in part below the axis:\n" + ",\n".join(beneath)
        axes.text(0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top", size=5.5, color="#444444")


def _seeds(axes: Axes, single: Mapping[str, Sequence[Mapping[str, float]]], looks: Mapping[str, style.Style]) -> None:
    values = np.array([[one["skill_clim"] for one in single[group]] for group in looks])
    places = np.arange(len(looks))
    axes.plot(places, values, color="#bbbbbb", linewidth=0.5, zorder=1)
    for place, (look, row) in enumerate(zip(looks.values(), values, strict=True)):
        axes.plot(np.full(len(row), place), row, look.marker, color=look.color, linestyle="")
        axes.plot([place - 0.2, place + 0.2], [row.mean()] * 2, color=look.color, linewidth=1.5)
    axes.set_xticks(places, [look.label.replace(" ", "\n", 1) for look in looks.values()])
    axes.set(ylabel="skill against climatology", xlim=(-0.4, len(looks) - 0.6))
    axes.grid(axis="y")


def _differences(
    axes: Axes, found: Mapping[str, Any], looks: Mapping[str, style.Style], simple: Mapping[str, style.Style]
) -> None:
    names = list(simple)
    edge = _edge(found, names)
    for shift, (group, look) in enumerate(looks.items()):
        for row, name in enumerate(names):
            one = found[group][name]["skill_clim"]
            place = row + (shift - (len(looks) - 1) / 2) * SPREAD_DOWN
            if one["low"] > edge:
                axes.plot(edge, place, ">", color=look.color, markersize=3)
                continue
            axes.plot([one["low"], min(one["high"], edge)], [place, place], color=look.color, linewidth=1)
            axes.plot(min(one["difference"], edge), place, look.marker, color=look.color, markersize=3)
    axes.axvline(0, color=style.BLACK, linewidth=0.6)
    axes.set_yticks(range(len(names)), [look.label for look in simple.values()])
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="difference of skill (arrow: beyond the axis)")
    axes.set_xlim(right=1.05 * edge)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def _edge(found: Mapping[str, Any], names: Sequence[str]) -> float:
    """Right end of the axis: three times the median of the largest interval ends, so that near baselines are seen."""
    ends = [max(one[name]["skill_clim"]["high"] for one in found.values()) for name in names]
    return 3 * float(np.median(ends))
