"""The leakage laboratory: scores of the same networks with and without each leak, and what each is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from podnas.figures import style

LEAKS = {"weeks": "test weeks in training", "scaler": "scaler", "split": "shuffled split", "all": "all three"}
PARTS = {
    "all": ("all test windows", style.BLACK, "o"),
    "seen": ("inside the leaked weeks", style.VERMILION, "D"),
    "unseen": ("after the leaked weeks", style.BLUE, "s"),
}
SPREAD_DOWN = 0.24  # between the intervals of one row
LOWEST = -1.0  # scores of networks below it are told by an arrow


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """Left: test scores by variant, one dot a network, beside apparent validation. Right: prices with intervals.

    found: as `verify.leaks.summary` gives it, with its stamp.
    """
    figure = style.figure(4.6, [found["stamp"]])
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    _variants(left, found["variants"], found["baselines"])
    style.title(left, 0, "the same networks, by what leaks", inches=3.2)
    _prices(right, found["prices"])
    style.title(right, 1, "price of each leak, 90 % interval", inches=3.6)
    figure.suptitle("Made to leak, on purpose: no score of a forecast", size=7.5, color=style.VERMILION)
    return figure


def _variants(axes: Axes, variants: Sequence[Mapping[str, Any]], baselines: Mapping[str, Mapping[str, float]]) -> None:
    hollow: Any = {"color": style.VERMILION, "marker": "D", "markerfacecolor": "white", "linestyle": ""}
    for row, one in enumerate(variants):
        scores = np.array(one["r2_mean_by_network"])
        inside = scores[scores >= LOWEST]
        axes.plot(inside, np.full(len(inside), row), "o", color=style.SKY, markersize=2.5, alpha=0.8)
        if len(inside) < len(scores):
            axes.plot(LOWEST, row, "<", color=style.SKY, markersize=3)
        mean = max(one["r2_mean"]["all"], LOWEST)
        axes.plot([mean, mean], [row - 0.3, row + 0.3], color=style.BLACK, linewidth=1.5)
        axes.plot(one["apparent_validation_r2"], row, **hollow, markersize=4)
    for (name, by_part), dashes in zip(baselines.items(), (":", "--"), strict=True):
        label = style.METHODS[name].label
        axes.axvline(by_part["all"], color=style.GREY, linewidth=0.8, linestyle=dashes, label=f"{label}, clean")
    told = [
        Line2D([], [], color=style.SKY, marker="o", linestyle="", markersize=2.5, label="network, test windows"),
        Line2D([], [], color=style.BLACK, marker="|", linestyle="", markersize=8, label="mean over networks, test"),
        Line2D([], [], **hollow, label="mean, apparent validation"),
    ]
    axes.set_yticks(range(len(variants)), [_in_two_lines(one["variant"]) for one in variants])
    axes.set(ylim=(len(variants) - 0.5, -0.5), xlabel="r2_mean", xlim=(None, 1.02))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    handles = [*told, *axes.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.4, -0.13), ncols=2, fontsize=6)


def _in_two_lines(variant: str) -> str:
    *first, last = variant.split("+")
    return f"{' + '.join(first)}\n+ {last}" if first else last


def _prices(axes: Axes, prices: Sequence[Mapping[str, Any]]) -> None:
    for row, price in enumerate(prices):
        for shift, (part, (_, color, marker)) in enumerate(PARTS.items()):
            one = next(iter(price["r2_mean"][part].values()))
            place = row + (shift - 1) * SPREAD_DOWN
            axes.plot([one["low"], one["high"]], [place, place], color=color, linewidth=1)
            axes.plot(one["difference"], place, marker, color=color, markersize=3)
    axes.axvline(0, color=style.BLACK, linewidth=0.6)
    labels = [f"{LEAKS[price['leak']]}\n{price['how']}" for price in prices]
    axes.set_yticks(range(len(prices)), labels)
    axes.set(ylim=(len(prices) - 0.5, -0.5), xlabel="r2_mean with the leak less that without")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    keys = [Line2D([], [], color=color, marker=marker, label=label) for label, color, marker in PARTS.values()]
    axes.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.4, -0.13), ncols=2, fontsize=6)
