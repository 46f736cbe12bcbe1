"""All methods side by side: R² and skill of training and test period, beside what was published."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from podnas.figures import style

Reported = tuple[str, float, float]  # method, training R², test R²

EDGES = {"r2_mean": -0.1, "skill_clim": -0.5}  # values below are told in words
LABELS = {"r2_mean": "R², mean over leads and modes", "skill_clim": "skill against climatology, mean"}


@style.journal
def draw(scores: pd.DataFrame, reported: Sequence[Reported], stamps: Sequence[style.Stamp]) -> Figure:
    """Test (filled) and training (open) scores, methods from best to worst by test r2_mean; published rows below.

    scores: tidy, as rule scores writes it; reported: SC20 for an experiment on its data, else ().
    """
    tables = {metric: overall(scores, metric) for metric in EDGES}
    order = list(tables["r2_mean"].sort_values("test", ascending=False).index)
    looks = style.styles(order)
    figure = style.figure(1.35 + 0.19 * (len(order) + len(reported) + bool(reported)), stamps)
    panels = figure.subplots(1, 2, sharey=True)
    for place, (axes, metric) in enumerate(zip(panels, EDGES, strict=True)):
        for row, name in enumerate(order):
            _row(axes, row, tables[metric].loc[name], EDGES[metric], looks[name].color)
        axes.set(xlabel=LABELS[metric], xlim=(EDGES[metric] - 0.06, 1.02))
        style.title(axes, place, ("R²", "skill against climatology")[place])
    _published(panels[0], panels[1], reported, first=len(order) + 1)
    _names(panels, [looks[name].label for name in order], [label for label, _, _ in reported])
    _key(figure, bool(reported))
    return figure


def overall(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Table (method × train, test) of a metric over all leads and modes; NaN where there is none."""
    chosen = scores[(scores["metric"] == metric) & (scores["lead"] == 0) & (scores["mode"] == 0)]
    chosen = chosen[chosen["region"] == ""]
    if chosen.empty:
        raise ValueError(f"the scores hold no {metric} over all leads and modes; rerun rule scores")
    return chosen.pivot(index="method", columns="period", values="value").reindex(columns=["train", "test"])


def _row(axes: Axes, row: int, values: pd.Series[float], edge: float, color: str) -> None:
    train, test = float(values["train"]), float(values["test"])
    axes.plot([max(train, edge), max(test, edge)], [row, row], color=color, linewidth=0.8, zorder=1)
    for value, filled in ((train, False), (test, True)):
        if value >= edge:
            axes.plot(value, row, "o", markersize=5, color=color, markerfacecolor=color if filled else "white")
    beyond = [f"{name} {value:.2g}" for name, value in (("test", test), ("train", train)) if value < edge]
    if beyond:
        axes.plot(edge - 0.02, row, "<", color=color, markersize=4)
        text = ", ".join(beyond).replace("-", "−")
        axes.annotate(
            text, (edge, row), xytext=(3, 2), textcoords="offset points", va="bottom", size=5.5, color="#444444"
        )


def _published(left: Axes, right: Axes, reported: Sequence[Reported], first: int) -> None:
    if not reported:
        return
    last = first + len(reported) - 1
    for axes in (left, right):
        axes.axhspan(first - 0.6, last + 0.6, color="#eeeeee", linewidth=0, zorder=0)
    for row, (_, train, test) in enumerate(reported, start=first):
        left.plot([train, test], [row, row], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 1)))
        left.plot(train, row, "D", color=style.GREY, markerfacecolor="white", markersize=4)
        left.plot(test, row, "D", color=style.GREY, markersize=4)
    middle = ((EDGES["skill_clim"] + 1) / 2, (first + last) / 2)
    right.text(*middle, "as reported, leaked training:\nno skill was given", ha="center", va="center", color="#444444")


def _names(panels: Sequence[Axes], ours: list[str], theirs: list[str]) -> None:
    rows = [*range(len(ours)), *range(len(ours) + 1, len(ours) + 1 + len(theirs))]
    panels[0].set_yticks(rows, [*ours, *(f"SC20: {label}" for label in theirs)])
    panels[0].set_ylim(len(ours) + bool(theirs) + len(theirs) - 0.4, -0.6)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_axisbelow(True)


def _key(figure: Figure, published: bool) -> None:
    def mark(marker: str, face: str, label: str) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, color=style.GREY, markerfacecolor=face, label=label)

    marks = [mark("o", style.GREY, "test"), mark("o", "white", "training")]
    if published:
        marks.append(mark("D", style.GREY, "as reported, leaked training: test"))
        marks.append(mark("D", "white", "the same: training"))
    figure.legend(handles=marks, loc="outside upper right", ncols=len(marks), columnspacing=1.2, handletextpad=0.2)
