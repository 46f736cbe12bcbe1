"""Loss against size or speed of all trials, and those that no other surpasses in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from podnas.figures import losses, style
from podnas.search import pareto

LABELS = {"parameters": "trainable parameters", "inference_seconds": "inference (seconds)"}


@style.journal
def draw(trials: pd.DataFrame, measure: str, stamps: Sequence[style.Stamp]) -> Figure:
    """Finished trials of the last step that were trained in full, and the Pareto set as a stair.

    trials: step, budget, loss, number and the measure, as the search room writes it.
    """
    best = pareto.trade_offs(trials, measure)
    last = trials[(trials["step"] == trials["step"].max()) & (trials["budget"] == trials["budget"].max())]
    done = last.dropna(subset=["loss", measure])
    figure = style.figure(3.3, stamps)
    axes = figure.subplots()
    axes.set(xlabel=LABELS.get(measure, measure), ylabel=f"validation loss ({losses.name(trials)})", xscale="log")
    style.title(axes, 0, f"loss and {LABELS.get(measure, measure)} of each trial")
    if done.empty:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no trial finished", transform=axes.transAxes, ha="center", va="center")
        return figure
    top = losses.edge(done["loss"])
    shown, far = done[done["loss"] <= top], done[done["loss"] > top]
    axes.plot(shown[measure], shown["loss"], "o", color=style.SKY, markeredgewidth=0, markersize=2.5, label="trial")
    if len(far):
        axes.plot(far[measure], np.full(len(far), top), "^", color=style.SKY, markersize=2.5, label="beyond the axis")
    axes.step(best[measure], best["loss"], where="post", color=style.VERMILION, linewidth=1)
    axes.plot(best[measure], best["loss"], "D", color=style.VERMILION, label=f"Pareto set ({len(best)} trials)")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure
