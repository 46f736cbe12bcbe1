"""Differences of our forecasts from every baseline on the test weeks, with 90 % intervals.

The axis is linear about zero and logarithmic beyond the smallest difference's decade: a complete system may lead its
hardest baseline by a thousandth, and a careless network trail it by a tenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import style

ROW_INCHES = 0.3
SPREAD_DOWN = 0.5  # of a row, that the methods of one baseline take
FURTHEST = 3.0  # times the interval of the best baseline that is drawn to scale at least
SCORES = {"r2_mean": "R², mean over leads and modes", "skill_clim": "skill against climatology"}


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """Rows: baselines, the one that scores best on these test weeks first. Points right of zero: ours is better.

    found: what the rule `differences` writes. Where the whole interval lies beyond the axis, an arrow stands for it.
    """
    of_ours, weeks = found["differences"], str(found["block_weeks"])
    looks = style.styles(of_ours)
    names = sorted(next(iter(of_ours.values())), key=lambda name: name != found["best_baseline"])
    rows = style.styles(names)
    ordered = [found["best_baseline"], *(name for name in rows if name != found["best_baseline"])]
    figure = style.figure(1.5 + ROW_INCHES * len(ordered), [found["stamp"]])
    panels: Any = figure.subplots(1, 2, sharey=True)
    for place, (axes, score) in enumerate(zip(panels, SCORES, strict=True)):
        values = {name: [by[other][weeks][score] for other in ordered] for name, by in of_ours.items()}
        _panel(axes, values, looks)
        axes.set_xlabel(f"ours less baseline, 90 %, blocks of {weeks} weeks\n(linear about 0, logarithmic beyond)")
        style.title(axes, place, SCORES[score], inches=3)
    panels[0].set_yticks(range(len(ordered)), [rows[name].label for name in ordered])
    panels[0].get_yticklabels()[0].set_weight("bold")
    panels[0].set_ylim(len(ordered) - 0.4, -0.6)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(looks))
    return figure


def _panel(axes: Axes, values: Mapping[str, list[Mapping[str, float]]], looks: Mapping[str, style.Style]) -> None:
    edge = _edge(values)
    for place, (name, look) in enumerate(looks.items()):
        shift = SPREAD_DOWN * ((place + 0.5) / len(looks) - 0.5)
        for row, one in enumerate(values[name]):
            _interval(axes, row + shift, one, edge, look)
        axes.plot([], [], look.marker, color=look.color, label=look.label, markersize=4)
    axes.axvline(0, color=style.BLACK, linewidth=0.6)
    decades = _decades(values, edge)
    axes.set_xscale("symlog", linthresh=decades[0], linscale=0.6)
    ticks = [*(-decade for decade in reversed(decades)), 0, *decades]
    axes.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(-1.2 * edge, 1.2 * edge)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _decades(values: Mapping[str, list[Mapping[str, float]]], edge: float) -> list[float]:
    """Powers of ten on the axis: from that above the smallest difference, or a hundredth of the edge, to the edge."""
    least = min(max(abs(one["low"]), abs(one["high"])) for by in values.values() for one in by)
    last = int(np.floor(np.log10(edge)))
    first = min(last, int(np.ceil(np.log10(max(least, edge / 100)))))
    return [10.0**power for power in range(first, last + 1)]


def _interval(axes: Axes, row: float, one: Mapping[str, float], edge: float, look: style.Style) -> None:
    if one["low"] > edge or one["high"] < -edge:
        side = 1 if one["low"] > edge else -1
        axes.plot(side * edge, row, ">" if side > 0 else "<", color=look.color, markersize=3)
        return
    ends = [max(one["low"], -edge), min(one["high"], edge)]
    axes.plot(ends, [row, row], color=look.color, linewidth=1)
    if abs(one["difference"]) <= edge:
        axes.plot(one["difference"], row, look.marker, color=look.color, markersize=4)


def _edge(values: Mapping[str, list[Mapping[str, float]]]) -> float:
    """Half-width of the axis: so wide that all intervals from the best baseline are seen, and near ones of others."""
    ends = [max(abs(row[0]["low"]), abs(row[0]["high"])) for row in values.values()]
    return 1.1 * max(max(ends), FURTHEST * min(ends), 1e-6)
