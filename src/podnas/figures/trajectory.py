"""Course of an architecture search: every trial in order, the best so far, failures; and loss against size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from podnas.figures import losses, style

STEPS = {1: (style.SKY, style.BLUE, "o"), 2: (style.ORANGE, style.VERMILION, "D")}
MANY = 200  # from so many trials on, points are small and a moving average goes through them
WINDOW = 100  # trials of the moving average, as SC20's figure of its search


@style.journal
def draw(trials: pd.DataFrame, stamps: Sequence[style.Stamp]) -> Figure:
    """Loss by trial and running best of each step, where there are many their moving mean; loss by parameters.

    trials: number, step, share, loss (NaN: failed), parameters, as the search room writes it.
    """
    trials = trials.sort_values("number")
    figure = style.figure(3.3, stamps)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.8, 1))
    top = losses.edge(trials["loss"])
    for step in sorted(trials["step"].unique()):
        part = trials[trials["step"] == step]
        _order(left, part, int(step), top)
        _size(right, part, int(step), top)
    _failures(left, trials)
    _axes(left, right, trials, top)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _order(axes: Axes, part: pd.DataFrame, step: int, top: float) -> None:
    light, dark, marker = STEPS[step]
    done = part.dropna(subset="loss")
    near, far = done[done["loss"] <= top], done[done["loss"] > top]
    share = f"{100 * float(part['share'].iloc[0]):g} % of training windows"
    look = _look(part, light, dark)
    axes.plot(near["number"], near["loss"], marker, label=f"step {step}: trial on {share}", **look)
    axes.plot(far["number"], [top] * len(far), "^", label="_beyond", **look)
    if done.empty:
        return
    if len(done) >= MANY:
        smooth = done["loss"].clip(upper=top).rolling(WINDOW).mean()
        axes.plot(done["number"], smooth, color=style.BLACK, linewidth=1, label=f"step {step}: mean of {WINDOW} trials")
    best = done["loss"].cummin()
    axes.step(done["number"], best, where="post", color=dark, linewidth=1.3, label=f"step {step}: best so far",
              linestyle="-" if step == 1 else (0, (4, 1.5)))  # fmt: skip


def _size(axes: Axes, part: pd.DataFrame, step: int, top: float) -> None:
    light, dark, marker = STEPS[step]
    done = part.dropna(subset="loss")
    axes.plot(done["parameters"], done["loss"].clip(upper=top), marker, **_look(part, light, dark))


def _look(part: pd.DataFrame, light: str, dark: str) -> dict[str, Any]:
    if len(part) < MANY:
        return {"color": light, "markeredgecolor": dark, "markeredgewidth": 0.5}
    return {"color": light, "markersize": 1.5, "markeredgewidth": 0, "rasterized": True}


def _failures(axes: Axes, trials: pd.DataFrame) -> None:
    failed = trials.loc[trials["loss"].isna(), "number"]
    if len(failed):
        # at the foot of the panel whatever the losses are
        axes.plot(failed, [0.02] * len(failed), "x", color=style.BLACK, transform=axes.get_xaxis_transform(),
                  label=f"failed ({len(failed)} of {len(trials)})")  # fmt: skip


def _axes(left: Axes, right: Axes, trials: pd.DataFrame, top: float) -> None:
    finished = trials["loss"].dropna()
    bottom = float(finished.min()) if len(finished) else 0.0
    room = 0.08 * (top - bottom) or 0.05
    left.set(
        xlabel="trial, in order",
        ylabel=f"validation loss ({losses.name(trials)})",
        ylim=(bottom - 1.5 * room, top + room),
    )
    right.set_xlabel("trainable parameters (thousands)")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.xaxis.set_major_locator(MaxNLocator(5))
    right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}"))
    style.title(left, 0, "loss of each trial" + (" (triangles: beyond the axis)" if (finished > top).any() else ""))
    style.title(right, 1, "loss by size")
    for axes in (left, right):
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        if finished.empty:
            right.set_xticks([])
            axes.text(0.5, 0.5, "no trial finished", transform=axes.transAxes, ha="center", va="center")
