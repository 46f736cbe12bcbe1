"""Classifiers of warm and cold weeks: Brier skill by lead, reliability, and economic value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import style

LOOKS = {
    "trend": ("climatology, trend", style.SKY, "v"),
    "plain": ("plain network", style.GREY, "x"),
    "best": ("best model", style.ORANGE, "s"),
    "top_k": ("top-k", style.GREEN, "D"),
    "caruana": ("Caruana", style.VERMILION, "o"),
    "gradient": ("gradient", style.PURPLE, "^"),
}
LOGISTIC = ("logistic damped persistence", style.BLUE)
SHOWN = {"logistic": LOGISTIC, **{name: LOOKS[name][:2] for name in ("plain", "caruana")}}
BAR, STRIP = 0.02, 0.25  # width of a bar, and height of the strip that a share of 1 would fill
SHIFT = 0.13  # between intervals of one lead
SHOWN_LEAD = 4
LEAST_SKILL, LEGEND_SKILL = -1.3, 0.75  # what is lower is cut off; room for the legend above all intervals
LEAST_VALUE, LEGEND_VALUE = -1.0, 1.45


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """A row an event; found: stamp, and `events` as `verify.classified.summary` gives each."""
    events = found["events"]
    figure = style.figure(2.5 * len(events) + 0.6, [found["stamp"]])
    panels: Any = figure.subplots(len(events), 3, squeeze=False)
    for row, (event, one) in enumerate(events.items()):
        lead = min(SHOWN_LEAD, len(one["leads"]["best"]))
        _skill(panels[row, 0], one["leads"])
        style.title(panels[row, 0], 3 * row, f"{event}: Brier skill, 95 %", inches=2.2)
        _reliability(panels[row, 1], one["leads"], lead)
        style.title(panels[row, 1], 3 * row + 1, f"reliability, lead {lead}", inches=2.2)
        _value(panels[row, 2], one["leads"], lead)
        style.title(panels[row, 2], 3 * row + 2, f"value, lead {lead}", inches=2.2)
    return figure


def _skill(axes: Axes, leads: Mapping[str, Any]) -> None:
    for place, (name, (label, color, marker)) in enumerate(LOOKS.items()):
        scores = [one["brier_skill_reference"] for one in leads[name]]
        x = np.arange(1, len(scores) + 1) + (place - (len(LOOKS) - 1) / 2) * SHIFT
        axes.vlines(x, [one["low"] for one in scores], [one["high"] for one in scores], color=color, linewidth=0.8)
        axes.plot(x, [one["value"] for one in scores], marker, color=color, markersize=2.6, label=label)
    axes.axhline(0, color=LOGISTIC[1], linewidth=0.8)
    axes.set(xlabel="lead (weeks)", ylabel="against logistic persistence", xticks=range(1, len(scores) + 1))
    every = [one["brier_skill_reference"] for name in LOOKS for one in leads[name]]
    lowest, highest = min(one["low"] for one in every), max(0.0, *(one["high"] for one in every))
    axes.set_ylim(max(LEAST_SKILL, lowest - 0.05), highest + LEGEND_SKILL)
    axes.legend(loc="upper right", fontsize=5.5, ncols=2)


def _reliability(axes: Axes, leads: Mapping[str, Any], lead: int) -> None:
    """Shares that came, and below them the share of weeks in each bin."""
    axes.plot([0, 1], [0, 1], color=style.BLACK, linewidth=0.6)
    for place, (name, (label, color)) in enumerate(SHOWN.items()):
        bins = leads[name][lead - 1]["reliability"]
        forecast, observed, count = (np.array([one[key] for one in bins]) for key in ("forecast", "observed", "count"))
        axes.plot(forecast, observed, color=color, marker="o", markersize=2.5, label=label)
        share, x = count / count.sum(), forecast + (place - 1) * BAR
        axes.bar(x, STRIP * share, BAR, bottom=-STRIP - 0.05, color=color, linewidth=0)
    axes.axhline(-0.05, color=style.BLACK, linewidth=0.4)
    axes.text(1.02, -0.08, "share of weeks", ha="right", va="top", fontsize=5.5, color="#444444")
    axes.set(xlabel="probability forecast", xlim=(-0.05, 1.05), ylim=(-STRIP - 0.05, 1.03))
    axes.set_yticks(np.arange(0, 1.1, 0.25))
    axes.set_ylabel("share that came", y=(0.55 + STRIP) / (1.08 + STRIP))
    axes.legend(loc="upper left", fontsize=5.5)


def _value(axes: Axes, leads: Mapping[str, Any], lead: int) -> None:
    lowest = 0.0
    for name, (label, color) in SHOWN.items():
        by_ratio = leads[name][lead - 1]["value"]
        axes.plot([float(ratio) for ratio in by_ratio], list(by_ratio.values()), color=color, label=label)
        lowest = min(lowest, *by_ratio.values())
    axes.axhline(0, color=style.BLACK, linewidth=0.6)
    axes.set(xlabel="cost / loss", ylabel="economic value", ylim=(max(LEAST_VALUE, lowest) - 0.05, LEGEND_VALUE))
    axes.legend(loc="upper right", fontsize=5.5)
