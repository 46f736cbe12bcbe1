"""Architectures of the search space as graphs: widths drawn to scale, skips as side lanes, parameter counts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from podnas.figures import losses, style
from podnas.networks import space
from podnas.search import points

CENTRE, WIDEST, LANE = 0.34, 0.66, 0.12  # shares of a panel
FULL_UNITS = max(space.WIDTHS)
MERGE = style.VERMILION
COLORS = {"input": "#d9d9d9", "output": "#f3c66a", "lstm": "#a8d8f3"}
ARROW: dict[str, Any] = {"arrowstyle": "-|>,head_width=0.12,head_length=0.25", "linewidth": 0.8, "color": "#444444",
                         "shrinkA": 0, "shrinkB": 0}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """An architecture to draw, what stands above it, and lines that stand below its number of parameters."""

    title: str
    point: space.Point
    notes: tuple[str, ...] = ()


@style.journal
def draw(chosen: Sequence[Picture], channels: int, outputs: int, stamps: Sequence[style.Stamp]) -> Figure:
    """One graph a picture, six in a row, from the input at the foot to the output at the top.

    channels: width of the input (modes and date harmonics); outputs: number of modes forecast.
    """
    columns = min(6, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = style.figure(0.35 + 4.1 * rows, stamps)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spare in panels[len(chosen) :]:
        spare.remove()
    for place, (axes, picture) in enumerate(zip(panels, chosen, strict=False)):
        count = space.parameter_count(picture.point, channels, outputs)
        _graph(axes, space.graph(picture.point, channels, outputs))
        note = "\n".join([f"{count:,} parameters".replace(",", " "), *picture.notes])
        axes.text(0, -0.55, note, size=6.5, va="top")
        style.title(axes, place, picture.title)
    _key(figure)
    return figure


def slot(layer: space.Layer, nodes: int) -> int:
    """Height of a layer: input 0, node k at 2k - 1, merge k at 2k, output above all, so that pictures line up."""
    if layer.kind in ("input", "output"):
        return 0 if layer.kind == "input" else 2 * nodes + 1
    number = int(layer.name.rsplit("_", 1)[1])
    return 2 * number - (layer.kind != "merge")


@dataclass(frozen=True)
class Skip:
    """A skip from the layer at height `start` to the merge at height `end`."""

    start: int
    end: int
    projected: bool


def skips(layers: Sequence[space.Layer]) -> list[Skip]:
    """Skips of a graph, projections folded into them."""
    named = {layer.name: layer for layer in layers}
    nodes = _nodes(layers)
    found = []
    for merge in (layer for layer in layers if layer.kind == "merge"):
        for source in (named[name] for name in merge.inputs[1:]):
            projected = source.kind == "project"
            anchor = named[source.inputs[0]] if projected else source
            found.append(Skip(slot(anchor, nodes), slot(merge, nodes), projected))
    return found


def lanes(found: Sequence[Skip]) -> list[int]:
    """Lane of each skip, the innermost that is free over its whole length."""
    chosen: list[int] = []
    for skip in found:
        taken = {
            lane
            for lane, other in zip(chosen, found, strict=False)
            if other.start < skip.end and skip.start < other.end
        }
        chosen.append(next(lane for lane in itertools.count() if lane not in taken))
    return chosen


def _nodes(layers: Sequence[space.Layer]) -> int:
    return sum(layer.kind in ("lstm", "identity") for layer in layers)


def _graph(axes: Axes, layers: Sequence[space.Layer]) -> None:
    nodes = _nodes(layers)
    drawn = [layer for layer in layers if layer.kind != "project"]
    for below, above in itertools.pairwise(slot(layer, nodes) for layer in drawn):
        axes.annotate("", (CENTRE, above - 0.26), (CENTRE, below + 0.26), arrowprops=ARROW)
    found = skips(layers)
    for place, (skip, lane) in enumerate(zip(found, lanes(found), strict=True)):
        entry = sum(other.end == skip.end for other in found[:place])
        leave = sum(other.start == skip.start for other in found[:place])
        _skip(axes, skip, CENTRE + WIDEST / 2 + LANE * (lane + 0.6), 0.12 * entry, 0.12 * leave)
    for layer in drawn:
        _layer(axes, layer, slot(layer, nodes))
    axes.set(xlim=(0, 1.15), ylim=(-1.6, 2 * nodes + 1.6))
    axes.set_axis_off()


def _layer(axes: Axes, layer: space.Layer, height: int) -> None:
    if layer.kind == "merge":
        axes.plot(CENTRE, height, "o", markersize=9, color=MERGE, markerfacecolor="white", zorder=3)
        axes.plot(CENTRE, height, "+", markersize=6, color=MERGE, zorder=4)
        return
    filled, corner = WIDEST * min(layer.units / FULL_UNITS, 1.0), height - 0.27
    identity = layer.kind == "identity"
    frame: dict[str, Any] = {"edgecolor": "#444444", "linewidth": 0.6, "linestyle": "--" if identity else "-"}
    axes.add_patch(Rectangle((CENTRE - WIDEST / 2, corner), WIDEST, 0.54, facecolor="white", zorder=3, **frame))
    if not identity:
        axes.add_patch(Rectangle((CENTRE - filled / 2, corner), filled, 0.54, facecolor=COLORS[layer.kind], zorder=4))
    text = {"input": f"input {layer.units}", "identity": "identity"}.get(layer.kind, f"LSTM {layer.units}")
    axes.text(CENTRE, height, text, ha="center", va="center", size=6, zorder=5)


def _skip(axes: Axes, skip: Skip, lane: float, entry: float, leave: float) -> None:
    low, high = skip.start + 0.08 + leave, skip.end - 0.08 - entry
    axes.plot([CENTRE, lane, lane], [low, low, high], color=MERGE, linewidth=0.9, zorder=2, solid_joinstyle="round")
    axes.annotate("", (CENTRE + 0.07, high), (lane, high), arrowprops={**ARROW, "color": MERGE})
    if skip.projected:
        axes.plot(lane, (low + high) / 2, "s", color=MERGE, markersize=4, zorder=3)


def _key(figure: Figure) -> None:
    marks = [
        Line2D([], [], color=MERGE, linewidth=0.9, label="skip"),
        Line2D([], [], color=MERGE, linewidth=0.9, marker="s", markersize=4, label="skip through a Dense projection"),
        Line2D([], [], color=MERGE, linestyle="", marker="$\\oplus$", markersize=8, label="add, then ReLU"),
        Patch(facecolor=COLORS["lstm"], label=f"LSTM, filled to scale (full: {FULL_UNITS} units)"),
        Patch(facecolor=COLORS["output"], label="constant output LSTM"),
    ]
    figure.legend(handles=marks, loc="outside upper center", ncols=3)


def random_points(count: int, seed: int) -> list[space.Point]:
    """So many architectures drawn from the space with a seed."""
    return [points.sample(space.architecture_space(), points.stream(seed, number)) for number in range(count)]


def best_points(trials: pd.DataFrame, count: int) -> list[tuple[float, space.Point]]:
    """(loss, point) of the best different architectures of the search's last step, best first; none if all failed.

    trials: as the search room writes it.
    """
    done = trials[(trials["step"] == trials["step"].max()) & trials["loss"].notna()]
    best = done.sort_values(["loss", "number"]).drop_duplicates("point").head(count)
    return [(float(loss), json.loads(point)) for loss, point in zip(best["loss"], best["point"], strict=True)]


def pictures(trials: pd.DataFrame, count: int, seed: int) -> list[Picture]:
    """So many random architectures and as many of the best."""
    random = [Picture(f"random {place}", point) for place, point in enumerate(random_points(count, seed), start=1)]
    best = [
        Picture(f"best {place}", point, (f"validation {losses.score(trials, loss)}",))
        for place, (loss, point) in enumerate(best_points(trials, count), start=1)
    ]
    return [*random, *best]
