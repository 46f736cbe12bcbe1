"""Calibration on test weeks: histograms of the PIT and of ranks, reliability of quantiles, sparsification, widths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import compared, style


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """Six panels; found: what `verify.uncertainty.summary` gives of a protocol, with its stamp."""
    figure = style.figure(7.6, [found["stamp"]])
    panels: Any = figure.subplots(3, 2)
    (pit, ranks), (reliability, sparse), widths = panels
    headline = found["forecasts"][found["headline"]]
    _bars(pit, headline["pit_histogram"], "probability below what came")
    _bars(ranks, headline["rank_histogram"], "rank over 19")
    for name in compared.shown(found):
        one = found["forecasts"][name]
        _curve(reliability, name, one["quantile_reliability"]["level"], one["quantile_reliability"])
        _curve(sparse, name, one["sparsification"]["withheld"], one["sparsification"]["spread"])
        if name != "climatology":  # far wider than all others
            _widths(widths, name, one, found["forecasts"][found["best_baseline"]])
    reliability.axline((0, 0), slope=1, color=style.BLACK, linewidth=0.6)
    reliability.set(xlabel="quantile level", ylabel="share of truths below", xlim=(0, 1), ylim=(0, 1))
    curves = headline["sparsification"]
    sparse.plot(
        curves["withheld"], curves["oracle"]["value"], color=style.BLACK, linewidth=0.8, label="ordered by error"
    )
    sparse.set(xlabel="share of forecasts withheld, widest first", ylabel="RMSE of the rest")
    for axes in widths:
        axes.set(xlabel="lead (weeks)", ylabel="width / best baseline's")
    titles = (
        f"PIT, {compared.look(found['headline']).label}", "rank among 19 draws, the same",
        "reliability of quantiles", "sparsification", "sharpness, 50 % intervals", "sharpness, 90 % intervals",
    )  # fmt: skip
    for place, (axes, text) in enumerate(zip(panels.flat, titles, strict=True)):
        style.title(axes, place, text, inches=2.9)
    handles, labels = sparse.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _bars(axes: Axes, shares: Mapping[str, Any], label: str) -> None:
    low, value, high = (np.array(shares[end]) * len(shares[end]) for end in ("low", "value", "high"))
    places, width = (np.arange(len(value)) + 0.5) / len(value), 0.95 / len(value)
    axes.bar(places, value, width=width, color=style.SKY)
    axes.vlines(places, low, high, color=style.BLUE, linewidth=0.8)
    axes.axhline(1, color=style.BLACK, linewidth=0.7)
    axes.set(xlabel=label, ylabel="density", xlim=(0, 1), ylim=(0, None))


def _widths(panels: Any, name: str, one: Mapping[str, Any], best: Mapping[str, Any]) -> None:
    """Widths of central intervals by lead, over those of the best baseline."""
    for axes, level in zip(panels, (50, 90), strict=True):
        mine, simple = one[f"width{level}_by_lead"], np.array(best[f"width{level}_by_lead"]["value"])
        over = {end: np.array(values) / simple for end, values in mine.items()}
        _curve(axes, name, range(1, len(simple) + 1), over)


def _curve(axes: Axes, name: str, places: Any, one: Mapping[str, Any]) -> None:
    """A forecast's values; the interval of an ensemble is shaded."""
    axes.plot(places, one["value"], markersize=2.5, **compared.look(name).marked)
    if name in compared.ENSEMBLES:
        axes.fill_between(places, one["low"], one["high"], color=compared.look(name).color, alpha=0.1, linewidth=0)
