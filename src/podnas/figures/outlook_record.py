"""The record of the outlook: scores by lead beside the baselines, reliability, calibration, parts of the variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import style
from podnas.figures.outlook import EVENTS, PARTS, ROOM, SIMPLE

OURS = "outlook"
OTHERS: dict[str, tuple[str, str, Any]] = {
    **SIMPLE,
    "seasonal_autoregression": ("AR(8) by season", style.SKY, "-"),
    "climatology": ("climatology", style.GREY, (0, (1, 1))),
}
SHIFT = 0.13  # between intervals of one lead
NOMINAL = {"coverage50": 0.5, "coverage90": 0.9}


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """found: as `verify.outlook.record` gives it, with its stamp."""
    figure = style.figure(5.4, [found["stamp"]])
    panels: Any = figure.subplots(2, 3)
    titles = (
        "RMSE",
        "CRPS less baseline's, 95 %",
        "reliability, all leads",
        "calibration, 95 %",
        "mean variance of forecasts",
        "PIT",
    )
    drawing = (_rmse, _less, _reliability, _calibration, _parts, _transform)
    for place, (axes, title, part) in enumerate(zip(panels.flat, titles, drawing, strict=True)):
        part(axes, found)
        style.title(axes, place, title, inches=2.2)
    return figure


def _leads(axes: Axes, found: Mapping[str, Any], label: str) -> None:
    axes.set(xlabel="lead (weeks)", ylabel=label, xticks=found["leads"])
    axes.grid(axis="y")


def _rmse(axes: Axes, found: Mapping[str, Any]) -> None:
    for name, (label, color, dashes) in OTHERS.items():
        if name != "climatology":
            values = found["scores"][name]["rmse"]["value"]
            axes.plot(found["leads"], values, color=color, linestyle=dashes, label=label)
    ours = found["scores"][OURS]["rmse"]
    axes.plot(found["leads"], ours["value"], color=style.VERMILION, marker="*", label="outlook")
    _leads(axes, found, "RMSE (°C)")
    axes.legend(loc="upper left", fontsize=6)


def _less(axes: Axes, found: Mapping[str, Any]) -> None:
    leads = np.array(found["leads"])
    shown = [name for name in OTHERS if name != "climatology"]
    for row, name in enumerate(shown):
        label, color, _ = OTHERS[name]
        one = found["against"][name]["crps"]
        place = leads + (row - (len(shown) - 1) / 2) * SHIFT
        axes.vlines(place, one["low"], one["high"], color=color, linewidth=1)
        axes.plot(place, one["value"], "o", color=color, markersize=2.5, label=label)
    axes.axhline(0, color=style.BLACK, linewidth=0.6)
    _leads(axes, found, "difference in CRPS (°C)")
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
    shares = np.array(found["shape"][OURS]["pit_histogram"])
    edges = np.linspace(0, 1, len(shares) + 1)
    axes.bar(edges[:-1], shares, width=1 / len(shares), align="edge", color=style.SKY, edgecolor="white")
    axes.axhline(1 / len(shares), color=style.BLACK, linewidth=0.6)
    axes.set(xlabel="probability integral transform", ylabel="share of weeks", xlim=(0, 1))
