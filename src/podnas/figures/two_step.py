"""A two-step search: step-1 loss by rank, both losses beside each other, loss by size, step-2 loss by step-1 rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from podnas.figures import losses, style
from podnas.search import steps

LOOKS = (
    (style.BLUE, "o", "-"),
    (style.VERMILION, "D", (0, (4, 1.5))),
    (style.GREEN, "s", (0, (1, 1))),
    (style.PURPLE, "^", (0, (4, 1, 1, 1))),
    (style.BLACK, "v", (0, (7, 2))),
)
WIDE = 6.0  # step-1 losses that differ by so much are drawn on a logarithmic scale
GROUPS, LEAST_IN_GROUP = 5, 4  # ranks are cut into at most so many groups, of at least so many trials
MANY = 200  # from so many trials on, points are small


@style.journal
def draw(studies: Mapping[float, pd.DataFrame], stamps: Sequence[style.Stamp]) -> Figure:
    """Panels of two-step searches of about as many trials; studies: their trials by share of the windows in step 1.

    Trials are as the search room writes them, with parameters. Raises ValueError for more studies than there are looks.
    """
    if len(studies) > len(LOOKS):
        raise ValueError(f"{len(studies)} studies, but there are {len(LOOKS)} looks; draw fewer, or add to LOOKS")
    figure = style.figure(5.6, stamps)
    (by_rank, both), (by_size, groups) = figure.subplots(2, 2)
    ordered = sorted(studies.items(), reverse=True)
    known = pd.concat([steps.ranked(trials) for _, trials in ordered])
    tops = [losses.edge(known[name]) for name in ("loss", "second_loss")]
    for place, (share, trials) in enumerate(ordered):
        look = LOOKS[place]
        _ranks(by_rank, trials, look, _label(share, trials))
        _losses(both, trials, look, tops)
        _boxes(groups, trials, look[0], (place, len(ordered)), tops[1])
    _sizes(by_size, [trials for _, trials in ordered], tops[1])
    _axes((by_rank, both, by_size, groups), losses.name(known), float(known["loss"].min()), tops)
    handles, labels = by_rank.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=1)
    return figure


def _label(share: float, trials: pd.DataFrame) -> str:
    repeated = steps.share_repeated(trials)
    whole = steps.complete(trials)
    found = steps.correlation(trials, steps.TOP if whole else repeated)
    top = found["within_top"]
    parts = [f"all: {_rho(found['all'])}"] if found["all"] else []
    parts += [f"best {100 * top['share']:.2g} % of step 1: {_rho(top)}"]
    return f"step 1 on {100 * share:g} % of windows; Spearman over " + ", ".join(parts)


def _rho(found: Mapping[str, Any]) -> str:
    rho = "–" if found["rho"] is None else f"{found['rho']:.2f}".replace("0.", ".").replace("-", "−")
    return f"{rho} (n = {found['n']})"


def _points(look: Any, count: int) -> dict[str, Any]:
    color, marker, _ = look
    small = {"markersize": 1.8, "markeredgewidth": 0} if count >= MANY else {"markersize": 3, "markeredgewidth": 0.4}
    return {"color": color, "marker": marker, "linestyle": "none", "alpha": 0.7, **small}


def _ranks(axes: Axes, trials: pd.DataFrame, look: Any, label: str) -> None:
    order = steps.ranked(trials)
    if len(order):
        # one marker, so that the legend tells the look of the points, too
        looks = {"color": look[0], "marker": look[1], "markevery": [0], "linestyle": look[2]}
        axes.plot(order["rank"], order["loss"], label=label, linewidth=1.3, **looks)


def _losses(axes: Axes, trials: pd.DataFrame, look: Any, tops: Sequence[float]) -> None:
    both = steps.pairs(trials)
    axes.plot(both["loss"].clip(upper=tops[0]), both["second_loss"].clip(upper=tops[1]), **_points(look, len(both)))


def _sizes(axes: Axes, studies: Sequence[pd.DataFrame], top: float) -> None:
    """Step-2 losses, once where studies share their second step."""
    both = pd.concat([steps.pairs(trials) for trials in studies]).drop_duplicates(["parameters", "second_loss"])
    look = (style.BLACK, "o", "-")
    axes.plot(both["parameters"], both["second_loss"].clip(upper=top), **_points(look, len(both)))


def _boxes(axes: Axes, trials: pd.DataFrame, color: str, place: tuple[int, int], top: float) -> None:
    """Step-2 losses of groups of trials that follow one another in step 1; studies side by side."""
    both = steps.pairs(trials)
    number = max(1, min(GROUPS, len(both) // LEAST_IN_GROUP))
    parts = [part for part in np.array_split(np.arange(len(both)), number) if len(part)]
    if not parts:
        return
    ranks = both["rank"].to_numpy()
    width = 0.8 / place[1]
    axes.boxplot(
        [both["second_loss"].clip(upper=top).to_numpy()[part] for part in parts],
        positions=[k + (place[0] - (place[1] - 1) / 2) * width for k in range(len(parts))],
        widths=0.8 * width, manage_ticks=False, patch_artist=True,
        boxprops={"facecolor": "white", "edgecolor": color}, medianprops={"color": color, "linewidth": 1.4},
        whiskerprops={"color": color}, capprops={"color": color},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": color},
    )  # fmt: skip
    if place[0] == 0:
        axes.set_xticks(range(len(parts)), [f"{ranks[part[0]]}–{ranks[part[-1]]}" for part in parts])


def _axes(panels: Sequence[Axes], kind: str, lowest: float, tops: Sequence[float]) -> None:
    by_rank, both, by_size, groups = panels
    by_rank.set(xlabel="rank in step 1", ylabel=f"step-1 loss ({kind})", xscale="log")
    by_rank.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    both.set(xlabel=f"step-1 loss ({kind})", ylabel=f"step-2 loss ({kind})")
    if lowest > 0 and tops[0] > WIDE * lowest:
        by_rank.set_yscale("log")
        both.set_xscale("log")
        by_rank.set_ylim(bottom=0.9 * lowest)
        for axis in (by_rank.yaxis, both.xaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
    by_rank.set_ylim(top=1.03 * tops[0])
    by_size.set(xlabel="trainable parameters (thousands)", ylabel=f"step-2 loss ({kind})")
    by_size.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}"))
    by_size.xaxis.set_major_locator(MaxNLocator(5))
    groups.set(xlabel="rank in step 1", ylabel=f"step-2 loss ({kind})")
    names = ("step-1 loss by rank", "loss in both steps", "step-2 loss by size", "step-2 loss by rank in step 1")
    for place, (axes, name) in enumerate(zip(panels, names, strict=True)):
        style.title(axes, place, name)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        if not any(np.size(line.get_xdata()) for line in axes.lines):
            axes.set(xticks=[], yticks=[])
            axes.text(0.5, 0.5, "no trial finished", transform=axes.transAxes, ha="center", va="center")
