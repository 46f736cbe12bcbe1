"""Spectrum of the POD: how much of the training variance each mode holds, and how many modes are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from podnas.figures import style

SMALLEST = 1e-6  # share of variance below which a rank is rounding error
MANY_RANKS = 40  # beyond this, ranks are drawn on a logarithmic axis


@style.journal
def draw(basis: xr.Dataset, stamps: Sequence[style.Stamp]) -> Figure:
    """Share and cumulative share of the training variance by rank, kept modes marked.

    basis: as `artifacts.read_basis` gives it; stamps: one a protocol.
    """
    share = basis["spectrum"].values
    kept = basis.sizes["mode"]
    figure = style.figure(3.1, stamps)
    left, right = figure.subplots(1, 2)
    _share(left, share, kept)
    _cumulative(right, share, kept)
    style.title(left, 0, "share of each mode")
    style.title(right, 1, "share of the first modes together")
    for axes in (left, right):
        _ranks(axes, share.size)
    figure.suptitle(_training(basis), x=0.01, ha="left", size=8.5)
    return figure


def _training(basis: xr.Dataset) -> str:
    attributes = basis.attrs
    weights = {"none": "no area weights", "area": "area weights"}.get(attributes["weights"], attributes["weights"])
    weeks = f"{attributes['snapshots']} training weeks {attributes['train_first']} to {attributes['train_last']}"
    return f"POD of {weeks}, {weights}"


def _share(axes: Axes, share: npt.NDArray[np.float64], kept: int) -> None:
    ranks = np.arange(1, share.size + 1)
    drawn = share > SMALLEST
    rest = drawn & (ranks > kept)
    axes.plot(ranks[rest], share[rest], "o", color=style.GREY, markersize=2.5, label="left out")
    axes.plot(ranks[:kept], share[:kept], "o", color=style.VERMILION, markersize=4.5, label=f"kept ({kept})")
    axes.set(yscale="log", ylabel="share of training variance (%)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.legend(loc="upper right")


def _cumulative(axes: Axes, share: npt.NDArray[np.float64], kept: int) -> None:
    ranks, total = np.arange(1, share.size + 1), np.cumsum(share)
    axes.plot(ranks, total, color=style.GREY, marker="o", markersize=2.0 if share.size > MANY_RANKS else 3.0)
    axes.plot(ranks[:kept], total[:kept], "o", color=style.VERMILION, markersize=4.5)
    axes.axvline(kept, color=style.VERMILION, linewidth=0.7, linestyle=(0, (4, 2)))
    axes.set(ylabel="cumulative share (%)", ylim=(max(0, total[0] - 0.25 * (1.05 - total[0])), 1.01))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))
    held = f"{kept} mode{'s' * (kept > 1)}:\n{100 * total[kept - 1]:.1f} %"
    side: dict[str, Any] = (
        {"xytext": (6, 0), "ha": "left"} if kept <= share.size**0.6 else {"xytext": (-6, 0), "ha": "right"}
    )
    axes.annotate(
        held, (kept, 0.05), xycoords=("data", "axes fraction"), textcoords="offset points", va="bottom", **side
    )


def _ranks(axes: Axes, count: int) -> None:
    if count > MANY_RANKS:
        axes.set(xscale="log", xlim=(0.85, count * 1.15))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("rank")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
