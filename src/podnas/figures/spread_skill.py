"""CRPS over the best baseline's, and by lead spread over skill and coverage of intervals, with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import compared, style

TARGET = (0.9, 1.1)  # of spread over skill, for every lead's mean
COVERAGE = (0.85, 0.93)  # of 90 % intervals, for every lead
FARTHEST = 1.08  # a ratio to the best baseline that is drawn; others are written


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """Four panels; found: what `verify.uncertainty.summary` gives of a protocol, with its stamp."""
    figure = style.figure(6.0, [found["stamp"]])
    (crps, ratio), (fifty, ninety) = figure.subplots(2, 2)
    _crps(crps, found)
    for name in compared.shown(found):
        one = found["forecasts"][name]
        _by_lead(ratio, name, one["spread_skill_by_lead"])
        _by_lead(fifty, name, one["coverage50_by_lead"])
        _by_lead(ninety, name, one["coverage90_by_lead"])
    for axes, target in ((ratio, TARGET), (ninety, COVERAGE)):
        axes.axhspan(*target, color=style.GREY, alpha=0.15, linewidth=0)
    for axes, level in ((ratio, 1.0), (fifty, 0.5), (ninety, 0.9)):
        axes.axhline(level, color=style.BLACK, linewidth=0.7)
        axes.set_xlabel("lead (weeks)")
    ratio.set_ylabel("√mean variance / RMSE")
    fifty.set_ylabel("share inside")
    texts = (
        "CRPS over the best baseline's",
        "spread over skill",
        "coverage of 50 % intervals",
        "coverage of 90 % intervals",
    )
    for place, (axes, text) in enumerate(zip((crps, ratio, fifty, ninety), texts, strict=True)):
        style.title(axes, place, text, inches=2.9)
    handles, labels = ratio.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _crps(axes: Axes, found: Mapping[str, Any]) -> None:
    """A row a forecast: the ratio of CRPS to the best baseline's, with the paired interval."""
    ratios = found["crps_ratios"]
    names = sorted(ratios, key=lambda name: -ratios[name]["value"])
    for row, name in enumerate(names):
        one, look = ratios[name], compared.look(name)
        if one["value"] > FARTHEST:
            place: Any = {"xycoords": axes.get_yaxis_transform(), "ha": "right", "va": "center", "fontsize": 6}
            axes.annotate(f"{one['value']:.2f} →", (1, row), color=look.color, **place)
            continue
        axes.plot([one["low"], one["high"]], [row, row], color=look.color, linewidth=1)
        axes.plot(one["value"], row, look.marker, color=look.color)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.axvline(1, color=style.BLACK, linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(names)), [compared.look(name).label for name in names], fontsize=5.5)
    axes.set_xlabel("ratio, paired interval of 95 %")


def _by_lead(axes: Axes, name: str, one: Mapping[str, Any]) -> None:
    leads, look = np.arange(1, len(one["value"]) + 1), compared.look(name)
    axes.plot(leads, one["value"], markersize=3, **look.marked)
    if name in compared.ENSEMBLES:
        axes.fill_between(leads, one["low"], one["high"], color=look.color, alpha=0.12, linewidth=0)
