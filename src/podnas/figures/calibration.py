"""Calibration on test weeks: histograms of the PIT and of ranks, reliability of quantiles, sparsification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podnas.figures import compared, style


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """Four panels; found: what `verify.uncertainty.summary` gives of a protocol, with its stamp."""
    figure = style.figure(5.6, [found["stamp"]])
    (pit, ranks), (reliability, sparse) = figure.subplots(2, 2)
    names = compared.shown(found)
    _pit(pit, found, found["headline"])
    _ranks(ranks, found["forecasts"][found["headline"]]["rank_histogram"])
    for name in names:
        _reliability(reliability, name, found["forecasts"][name])
        _sparsification(sparse, name, found["forecasts"][name]["sparsification"])
    reliability.axline((0, 0), slope=1, color=style.BLACK, linewidth=0.6)
    reliability.set(xlabel="quantile level", ylabel="share of truths below", xlim=(0, 1), ylim=(0, 1))
    curves = found["forecasts"][found["headline"]]["sparsification"]
    sparse.plot(curves["withheld"], curves["oracle"], color=style.BLACK, linewidth=0.8, label="ordered by error")
    sparse.set(xlabel="share of forecasts withheld, widest first", ylabel="RMSE of the rest")
    titles = (
        f"PIT, {compared.look(found['headline']).label}", "rank among 19 draws, the same",
        "reliability of quantiles", "sparsification",
    )  # fmt: skip
    for place, (axes, text) in enumerate(zip((pit, ranks, reliability, sparse), titles, strict=True)):
        style.title(axes, place, text, inches=2.9)
    handles, labels = sparse.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _bars(axes: Axes, shares: Any, label: str) -> None:
    count = len(shares)
    axes.bar((np.arange(count) + 0.5) / count, np.array(shares) * count, width=0.95 / count, color=style.SKY)
    axes.axhline(1, color=style.BLACK, linewidth=0.7)
    axes.set(xlabel=label, ylabel="density", xlim=(0, 1), ylim=(0, None))


def _pit(axes: Axes, found: Mapping[str, Any], name: str) -> None:
    _bars(axes, found["forecasts"][name]["pit_histogram"], "probability below what came")


def _ranks(axes: Axes, shares: Any) -> None:
    _bars(axes, shares, "rank over 19")


def _reliability(axes: Axes, name: str, one: Mapping[str, Any]) -> None:
    below = np.concatenate([[0], np.cumsum(one["pit_histogram"])])
    axes.plot(np.linspace(0, 1, len(below)), below, markersize=2.5, **compared.look(name).marked)


def _sparsification(axes: Axes, name: str, curves: Mapping[str, Any]) -> None:
    axes.plot(curves["withheld"], curves["spread"], markersize=2.5, **compared.look(name).marked)
