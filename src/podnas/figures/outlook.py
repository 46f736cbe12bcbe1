"""The outlook for Niño 3.4: a fan chart, probabilities of warm and cold weeks, parts of the variance, weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import style

# paler shades of the median's colour, each to be told from the next
BANDS = (("0.05", "0.95", "#f9dfcc", "90 %"), ("0.1", "0.9", "#f0b78d", "80 %"), ("0.25", "0.75", "#e48b4c", "50 %"))
SIMPLE = {
    "cpc_persistence": ("CPC persistence", style.BLACK, (0, (4, 1, 1, 1))),
    "damped_persistence": ("damped persistence", style.BLUE, "-"),
    "autoregression": ("AR(8)", style.GREEN, (0, (4, 1.5))),
}
EVENTS = {"warm": style.VERMILION, "cold": style.BLUE}
# around the dots of the forecast, so that both are seen where they agree
LOGISTIC: Any = {"marker": "D", "markersize": 6, "markerfacecolor": "none", "linestyle": "none", "markeredgewidth": 0.7}
BASE_RATE: Any = {"linestyle": ":", "linewidth": 1.0}
PARTS = {"aleatoric": style.SKY, "epistemic": style.ORANGE, "truncation": style.GREY}
MOST_WEIGHTS = 10
ROOM = 1.55  # above the highest bar, for the legend


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """found: as `verify.outlook.outlook` gives it, with stamp and weights."""
    figure = style.figure(5.6, [found["stamp"]])
    grid: Any = figure.add_gridspec(2, 3, height_ratios=(1.35, 1))
    fan, chances, parts, weights = (
        figure.add_subplot(place) for place in (grid[0, :], grid[1, 0], grid[1, 1], grid[1, 2])
    )
    _fan(fan, found)
    last = found["history"]["week"][-1]
    style.title(fan, 0, f"Niño 3.4, departure from CPC's climatology, forecast from the week of {last}")
    _chances(chances, found)
    style.title(chances, 1, "chance of a warm or cold week", inches=2.2)
    _parts(parts, found)
    style.title(parts, 2, "variance of the forecast", inches=2.2)
    _weights(weights, found["weights"])
    style.title(weights, 3, "weights of the mixture", inches=2.2)
    return figure


def _fan(axes: Axes, found: Mapping[str, Any]) -> None:
    history, leads = found["history"], found["leads"]
    weeks = np.array(history["week"], "datetime64[D]")
    ahead = np.array([weeks[-1], *(np.datetime64(one["week"]) for one in leads)])
    normal, now = np.array([one["climatology"] for one in leads]), history["anomaly"][-1]

    def departure(values: list[float]) -> list[float]:
        return [now, *(np.array(values) - normal)]

    axes.plot(weeks, history["anomaly"], color=style.BLACK, marker="o", markersize=2.2, label="observed")
    for low, high, shade, label in BANDS:
        below, above = (departure([one["quantiles"][level] for one in leads]) for level in (low, high))
        axes.fill_between(ahead, below, above, color=shade, linewidth=0, label=label)
    axes.plot(ahead, departure([one["quantiles"]["0.5"] for one in leads]), color=style.VERMILION, label="median")
    for name, (label, color, dashes) in SIMPLE.items():
        values = departure([one["baselines"][name] for one in leads])
        axes.plot(ahead, values, color=color, linestyle=dashes, linewidth=0.9, label=label)
    for edge in (found["threshold"], -found["threshold"]):
        axes.axhline(edge, color=style.BLACK, linewidth=0.6, linestyle=":")
    axes.set_ylabel("anomaly (°C)")
    axes.grid(axis="y")
    axes.legend(loc="upper left", ncols=2, fontsize=6.5)


def _chances(axes: Axes, found: Mapping[str, Any]) -> None:
    leads = found["leads"]
    numbers = [one["lead"] for one in leads]
    for event, color in EVENTS.items():
        axes.plot(numbers, [one["probability"][event] for one in leads], color=color, marker="o", markersize=2.5)
        axes.plot(numbers, [one["probability_logistic"][event] for one in leads], color=color, **LOGISTIC)
        axes.plot(numbers, [one["base_rate"][event] for one in leads], color=color, **BASE_RATE)
    for event, color in EVENTS.items():  # colours say the event, shapes the forecast
        axes.plot([], [], color=color, marker="o", markersize=2.5, label=event)
    axes.plot([], [], color=style.BLACK, label="logistic", **LOGISTIC)
    axes.plot([], [], color=style.BLACK, label="base rate", **BASE_RATE)
    axes.set(ylim=(-0.05, 1.05), xlabel="lead (weeks)", ylabel="probability", xticks=numbers)
    axes.grid(axis="y")
    axes.legend(loc="best", fontsize=6.5, ncols=2)


def _parts(axes: Axes, found: Mapping[str, Any]) -> None:
    leads = found["leads"]
    numbers = np.array([one["lead"] for one in leads])
    below = np.zeros(len(leads))
    for part, color in PARTS.items():
        values = np.array([one["variance"][part] for one in leads])
        label = f"{part}: none, the index\nitself is forecast" if part == "truncation" else part
        axes.bar(numbers, values, bottom=below, color=color, width=0.75, label=label)
        below = below + values
    axes.set(xlabel="lead (weeks)", ylabel="variance (°C²)", xticks=numbers, ylim=(0, ROOM * below.max()))
    axes.legend(loc="upper left", fontsize=6)


def _weights(axes: Axes, weights: Mapping[str, float]) -> None:
    shown = list(weights.items())[:MOST_WEIGHTS]
    rows = np.arange(len(shown))
    color = [style.VERMILION if name.startswith("network") else style.BLUE for name, _ in shown]
    axes.barh(rows, [weight for _, weight in shown], color=color, height=0.7)
    labels = {"autoregression": "AR(8)", "seasonal_autoregression": "AR(8) by season"}
    axes.set_yticks(rows, [labels.get(name, name.replace("_", " ")) for name, _ in shown], fontsize=6.5)
    axes.invert_yaxis()
    axes.set(xlabel="weight")
    axes.tick_params(axis="y", length=0)
