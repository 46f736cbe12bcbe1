"""The record of the outlook: scores by lead less the baselines', reliability, calibration, parts of the variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import style
from podnas.figures.outlook import EVENTS, PARTS, ROOM, SIMPLE

OURS = "outlook"
OTHERS = {
    **{name: (label, color) for name, (label, color, _) in SIMPLE.items()},
    "seasonal_autoregression": ("AR(8) by season", style.SKY),
}
SHIFT = 0.13  # between intervals of one lead
NOMINAL = {"coverage50": 0.5, "coverage90": 0.9}


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """found: as `verify.outlook.record` gives it, with its stamp."""
    figure = style.figure(5.4, [found["stamp"]])
    panels: Any = figure.subplots(2, 3)
    titles = (
        "RMSE less baseline's, 95 %",
        "CRPS less baseline's, 95 %",
        "reliability, all leads",
        "calibration, 95 %",
        "mean variance of forecasts",
        "PIT",
    )
    drawing = (_rmse, _crps, _reliability, _calibration, _parts, _transform)
    for place, (axes, title, part) in enumerate(zip(panels.flat, titles, drawing, strict=True)):
        part(axes, found)
        style.title(axes, place, title, inches=2.2)
    return figure


def _leads(axes: Axes, found: Mapping[str, Any], label: str) -> None:
    axes.set(xlabel="lead (weeks)", ylabel=label, xticks=found["leads"])
    axes.grid(axis="y")


def _rmse(axes: Axes, found: Mapping[str, Any]) -> None:
    _less(axes, found, "rmse", "RMSE")


def _crps(axes: Axes, found: Mapping[str, Any]) -> None:
    _less(axes, found, "crps", "CRPS")


def _less(axes: Axes, found: Mapping[str, Any], score: str, text: str) -> None:
    """Ours less each baseline's, with paired intervals: lines of the values themselves would lie on one another.

    Ours itself is written under each lead.
    """
    leads = np.array(found["leads"])
    for row, name in enumerate(OTHERS):
        label, color = OTHERS[name]
        one = found["against"][name][score]
        place = leads + (row - (len(OTHERS) - 1) / 2) * SHIFT
        axes.vlines(place, one["low"], one["high"], color=color, linewidth=1)
        axes.plot(place, one["value"], "o", color=color, markersize=2.5, label=label)
    axes.axhline(0, color=style.BLACK, linewidth=0.6)
    _leads(axes, found, f"difference in {text} (°C)")
    ours = found["scores"][OURS][score]["value"]
    labels = [f"{lead}\n{value:.2f}".replace("0.", ".") for lead, value in zip(found["leads"], ours, strict=True)]
    axes.set_xticks(leads, labels)
    axes.set_xlabel(f"lead (weeks), {text} of the outlook (°C)")
    axes.legend(loc="lower left", fontsize=6)


def _reliability(axes: Axes, found: Mapping[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], color=style.BLACK, linewidth=0.6)
    for event, color in EVENTS.items():
        bins = found["events"]["reliability"][event]
        most = max(one["count"] for one in bins)
        sizes = [4 + 60 * one["count"] / most for one in bins]
        place = [one["forecast"] for one in bins], [one["observed"] for one in bins]
        axes.plot(*place, color=color, linewidth=0.8, label=event)
        axes.scatter(*place, s=sizes, color=color, linewidths=0, alpha=0.8)
    axes.set(xlabel="probability forecast", ylabel="share that came", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.legend(loc="upper left", fontsize=6.5)


def _calibration(axes: Axes, found: Mapping[str, Any]) -> None:
    ours = found["shape"][OURS]
    looks = {
        "coverage50": ("inside 50 %", style.SKY),
        "coverage90": ("inside 90 %", style.BLUE),
        "spread_skill": ("spread / skill", style.VERMILION),
    }
    for name, (label, color) in looks.items():
        axes.fill_between(found["leads"], ours[name]["low"], ours[name]["high"], color=color, alpha=0.2, linewidth=0)
        axes.plot(found["leads"], ours[name]["value"], color=color, marker="o", label=label)
        axes.axhline(NOMINAL.get(name, 1.0), color=color, linewidth=0.6, linestyle=":")
    axes.set_ylim(0, None)
    _leads(axes, found, "share, or ratio")
    axes.legend(loc="lower left", fontsize=6)


def _parts(axes: Axes, found: Mapping[str, Any]) -> None:
    ours, below = found["shape"][OURS], np.zeros(len(found["leads"]))
    for part in ("aleatoric", "epistemic"):
        axes.bar(found["leads"], ours[part], bottom=below, color=PARTS[part], width=0.75, label=part)
        below = below + np.array(ours[part])
    axes.plot([], [], "s", color=PARTS["truncation"], label="truncation: none,\nthe index itself is forecast")
    axes.set_ylim(0, ROOM * below.max())
    _leads(axes, found, "variance (°C²)")
    axes.legend(loc="upper left", fontsize=6)


def _transform(axes: Axes, found: Mapping[str, Any]) -> None:
    histogram = found["shape"][OURS]["pit_histogram"]
    shares, edges = histogram["value"], np.linspace(0, 1, len(histogram["value"]) + 1)
    axes.bar(edges[:-1], shares, width=1 / len(shares), align="edge", color=style.SKY, edgecolor="white")
    axes.vlines(edges[:-1] + 0.5 / len(shares), histogram["low"], histogram["high"], color=style.BLUE, linewidth=0.8)
    axes.axhline(1 / len(shares), color=style.BLACK, linewidth=0.6)
    axes.set(xlabel="probability integral transform", ylabel="share of weeks", xlim=(0, 1))
