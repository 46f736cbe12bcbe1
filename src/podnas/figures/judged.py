"""Searches judged: what they seem to find and what it is worth on an untouched block; what each ingredient brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from podnas.config import FULL
from podnas.figures import style

COLORS = {"random": style.GREY, "evolution": style.VERMILION, "bo": style.BLUE, "agebo": style.GREEN}
BLOCKS: dict[str, dict[str, Any]] = {
    "validation": {"label": "validation block", "linestyle": "-", "marker": "o", "markerfacecolor": "white"},
    "untouched": {"label": "untouched block", "linestyle": (0, (4, 1.5)), "marker": "D"},
}
SPREAD_DOWN = 0.24  # between the two intervals of one row


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """Above: the best so far by validation, on both blocks; apparent and real gain of each search.

    Below, where there is an ablation: what each ingredient brings, and mean forecasts of more and more members.
    found: as `verify.judged.summary` gives it, with its stamp and, under `ablation`, that of `verify.ablation`.
    """
    ablation = found.get("ablation")
    figure = style.figure(6.6 if ablation else 3.4, [found["stamp"]])
    grid: Any = figure.subplots(2 if ablation else 1, 2, squeeze=False)
    _trajectories(grid[0, 0], found)
    style.title(grid[0, 0], 0, f"best by validation so far, mean of {_numbers(found)} searches", inches=2.6)
    _gains(grid[0, 1], found["searches"])
    style.title(grid[0, 1], 1, "gain over a random architecture, one dot a search", inches=2.6)
    if ablation:
        _brought(grid[1, 0], ablation["settings"])
        style.title(grid[1, 0], 2, "what is lost by each change, 90 % interval", inches=2.6)
        _sizes(grid[1, 1], ablation)
        style.title(grid[1, 1], 3, "mean forecast of so many networks, held-out blocks", inches=2.6)
    return figure


def _numbers(found: Mapping[str, Any]) -> int:
    return 1 + max(int(one["search"]) for one in found["searches"])


def _color(algorithm: str) -> str:
    return COLORS.get(algorithm, style.PURPLE)


def _trajectories(axes: Axes, found: Mapping[str, Any]) -> None:
    for algorithm, by_block in found["trajectories"].items():
        for block, look in BLOCKS.items():
            trials = np.arange(1, len(by_block[block]) + 1)
            axes.plot(trials, by_block[block], color=_color(algorithm), linestyle=look["linestyle"])
    for block, look in BLOCKS.items():
        level = found["random_architecture"][block]["mean"]
        axes.axhline(level, color=style.BLACK, linewidth=0.7, linestyle=look["linestyle"])
    axes.set(xlabel="trials finished", ylabel="r2_mean")
    axes.grid(axis="y")
    handles = [Line2D([], [], color=_color(name), label=name) for name in found["trajectories"]]
    handles += [Line2D([], [], color=style.BLACK, linewidth=0.7, label="mean random architecture")]
    handles += [
        Line2D([], [], color=style.BLACK, linestyle=look["linestyle"], label=look["label"]) for look in BLOCKS.values()
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.45, -0.18), ncols=2, fontsize=6)


def _gains(axes: Axes, searches: Sequence[Mapping[str, Any]]) -> None:
    ends = []
    for algorithm in dict.fromkeys(one["algorithm"] for one in searches):
        mine = [one for one in searches if one["algorithm"] == algorithm]
        apparent, real = (
            np.array([one["chosen"]["best"][block] - one["random"][block] for one in mine]) for block in BLOCKS
        )
        axes.plot(apparent, real, "o", color=_color(algorithm), alpha=0.8, label=f"{algorithm}, a search")
        axes.plot(apparent.mean(), real.mean(), "*", color=_color(algorithm), markersize=9, label=f"{algorithm}, mean")
        ends += [*apparent]
    axes.axline((0, 0), slope=1, color=style.BLACK, linewidth=0.7, label="no curse")
    axes.axhline(0, color=style.BLACK, linewidth=0.6, linestyle=":")
    axes.set(xlabel="on the validation block (apparent)", ylabel="on the untouched block (real)")
    axes.set_xlim(min(0.0, *ends), 1.1 * max(0.0, *ends) or 1.0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.18), ncols=2, fontsize=6)


def _brought(axes: Axes, settings: Sequence[Mapping[str, Any]]) -> None:
    changed = [one for one in settings if "brings" in one]
    looks = {
        "ensemble": ("mean forecast, interval over weeks", "difference", style.VERMILION, "o"),
        "single": ("single networks, over architectures", "mean", style.SKY, "s"),
    }
    for row, one in enumerate(changed):
        for shift, (kind, (_, value, color, marker)) in enumerate(looks.items()):
            interval = one["brings"][kind]["r2_mean"]
            place = row + (shift - 0.5) * SPREAD_DOWN
            axes.plot([interval["low"], interval["high"]], [place, place], color=color, linewidth=1)
            axes.plot(interval[value], place, marker, color=color, markersize=3)
    axes.axvline(0, color=style.BLACK, linewidth=0.6)
    axes.set_yticks(range(len(changed)), [one["setting"].replace("_", " ") for one in changed])
    axes.set(ylim=(len(changed) - 0.5, -0.5), xlabel=f"r2_mean, {FULL} less changed (right: it was worth having)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    keys = [Line2D([], [], color=color, marker=marker, label=label) for label, _, color, marker in looks.values()]
    axes.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.3, -0.18), ncols=1, fontsize=6)


def _sizes(axes: Axes, ablation: Mapping[str, Any]) -> None:
    changed = [one for one in ablation["settings"] if one["setting"] != FULL]
    full = next(one for one in ablation["settings"] if one["setting"] == FULL)
    for one in changed:
        axes.plot(*_by_size(one), color=style.SKY, linewidth=0.8, alpha=0.9)
    axes.plot(*_by_size(full), color=style.VERMILION, marker="o")
    simple = ablation["baselines"]["damped_persistence"]["r2_mean"]
    axes.axhline(simple, color=style.METHODS["damped_persistence"].color, linestyle="--", linewidth=0.8)
    sizes = _by_size(full)[0]
    axes.set_xscale("log")
    axes.set_xticks(sizes, list(map(str, sizes)))
    axes.minorticks_off()
    axes.set(xlabel="networks averaged", ylabel="r2_mean")
    axes.grid(axis="y")
    handles = [
        Line2D([], [], color=style.VERMILION, marker="o", label="full"),
        Line2D([], [], color=style.SKY, label="each change"),
        Line2D([], [], color=style.BLUE, linestyle="--", label="damped persistence, the same weeks"),
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.45, -0.18), ncols=2, fontsize=6)


def _by_size(one: Mapping[str, Any]) -> tuple[list[int], list[float]]:
    return [int(size) for size in one["by_size"]], list(one["by_size"].values())
