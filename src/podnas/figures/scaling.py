"""How searches scale: utilisation and best loss by the number of workers, and what single workers did.

All three draw the record that benchmarks/scaling.py writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from podnas.figures import style
from podnas.figures.style import Style

Record = Mapping[str, Any]
Times = np.ndarray[Any, np.dtype[np.float64]]  # (trials, 5): waited, asked, suggested, began, ended

SHOWN = 4  # workers of a timeline
TITLES = {"candle": "CANDLE-like: about 470 s a trial", "ackley5": "Ackley-5: about 60 s a trial"}
METHODS = {
    "adbo": Style("ADBO, every rank for itself", style.VERMILION, "*"),
    "bo": Style("BO", style.BLUE, "o"),
    "bo_published": Style("BO, 1.2 s a suggestion", style.BLUE, "v", (0, (1, 1))),
    "agebo": Style("AgEBO", style.PURPLE, "D"),
    "evolution": Style("aged evolution", style.GREEN, "s"),
    "random": Style("random", style.GREY, "x", (0, (4, 1.5))),
    "asha": Style("ASHA", style.ORANGE, "^"),
    "hyperband": Style("Hyperband", style.ORANGE, "P", (0, (4, 1.5))),
    "optuna_tpe": Style("Optuna TPE", style.SKY, "1", (0, (1, 1))),
    "deephyper_cbo": Style("DeepHyper CBO", style.SKY, "2", (0, (4, 1.5))),
    "neps": Style("NePS", style.SKY, "3", (0, (4, 1, 1, 1))),
}
# what a worker does between two columns of its events, in their order
PHASES = (
    ("waiting", style.ORANGE),
    ("suggestion", style.VERMILION),
    ("dispatch", style.BLACK),
    ("evaluation", style.SKY),
)
START_UP = ("start-up", "#dddddd")
CLOSE_UP, BEFORE_S, AFTER_S = 2, 1.0, 3.0  # the trial of each worker whose suggestion is drawn close up; seconds around


@style.journal
def utilisation(record: Record) -> Figure:
    """Utilisation by workers, a panel a case; published values as open points."""
    return _by_workers(record, "utilisation", "share of worker-seconds spent evaluating")


@style.journal
def best(record: Record) -> Figure:
    """The best loss by workers, a panel a case; published values as open points."""
    return _by_workers(record, "best", "lowest loss at the end")


def _by_workers(record: Record, key: str, label: str) -> Figure:
    cases = [case for case in TITLES if record.get(case)]
    figure = _figure(4.0, record)
    panels = np.atleast_1d(figure.subplots(1, max(len(cases), 1)))
    for place, (axes, case) in enumerate(zip(panels, cases, strict=False)):
        for method in reversed(METHODS):  # the first on top
            _line(axes, record[case].get(method, {}), key, METHODS[method])
            published = record["published"].get(case, {}).get(method, {})
            _line(axes, published, key, METHODS[method], published=True)
        style.title(axes, place, TITLES[case], style.WIDTH_INCHES / len(cases))
        _axes(axes, record[case], key)
    panels[0].set_ylabel(label)
    found = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    ordered = [named.label for named in METHODS.values()]
    labels = sorted(found, key=lambda text: ordered.index(text.removesuffix(", published")))
    figure.legend([found[text] for text in labels], labels, loc="outside upper center", ncols=4)
    return figure


def _line(axes: Axes, rows: Mapping[str, Any], key: str, look: Style, published: bool = False) -> None:
    points = sorted((int(workers), row[key]) for workers, row in rows.items() if row.get(key) is not None)
    if not points:
        return
    keywords: dict[str, Any] = look.marked
    if published:
        open_points = {"marker": "o", "linestyle": "none", "markerfacecolor": "none", "markersize": 6}
        keywords = {"color": look.color, "label": f"{look.label}, published", **open_points}
    axes.plot(*zip(*points, strict=True), **keywords)


def _axes(axes: Axes, rows: Mapping[str, Any], key: str) -> None:
    counts = sorted({int(workers) for row in rows.values() for workers in row})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(axis="x", labelrotation=45)
    axes.set_xlabel("workers")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    if key == "utilisation":
        axes.set_ylim(0, 1.03)
    else:
        low, high = axes.dataLim.intervaly
        axes.set_yscale("log" if high > 10 * low > 0 else "linear")


@style.journal
def timeline(record: Record) -> Figure:
    """Waiting, suggestion, dispatch and evaluation of some workers, a row of panels an organisation of the search.

    Right: the seconds around one suggestion of each.
    """
    drawn = record["timelines"]
    methods = [method for method in METHODS if method in drawn]
    figure = _figure(0.7 + 1.2 * len(methods), record)
    panels = figure.subplots(len(methods), 2, sharex="col", squeeze=False, width_ratios=(3, 1))
    for place, method in enumerate(methods):
        rows, end = drawn[method]["rows"], drawn[method]["seconds"]
        for height, times in enumerate(np.array(one) for one in rows):
            _worker(panels[place, 0], height, times, 0.0, end)
            zero = times[min(CLOSE_UP, len(times) - 1), 1]
            _worker(panels[place, 1], height, times - zero, -zero, end - zero)
        style.title(panels[place, 0], place, f"{METHODS[method].label}: {_means(rows)}")
        panels[place, 0].set_ylabel(f"{len(rows)} of\n{drawn[method]['workers']:,} workers")
        panels[place, 0].set_xlim(0, end)
        panels[place, 1].set_xlim(-BEFORE_S, AFTER_S)
        for axes in panels[place]:
            axes.set_yticks([])
    panels[-1, 0].set_xlabel("seconds of the virtual clock")
    panels[-1, 1].set_xlabel("seconds around a suggestion")
    handles = [Patch(color=color, label=name) for name, color in (START_UP, *PHASES)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _worker(axes: Axes, height: int, times: Times, begin: float, end: float) -> None:
    """Bars of one worker, times (trials, 5); after its last trial it waits until the end."""
    _bars(axes, height, [(begin, times[0, 0])], START_UP[1])
    for place, (name, color) in enumerate(PHASES):
        spans = [(start, min(stop, end)) for start, stop in times[:, place : place + 2]]
        _bars(axes, height, [*spans, (times[-1, 4], end)] if name == "waiting" else spans, color)
    # a gap between trials, so that they can be counted
    axes.vlines(times[:, 4], height - 0.4, height + 0.4, color="white", linewidth=0.5)


def _bars(axes: Axes, height: int, spans: Sequence[tuple[float, float]], color: str) -> None:
    bars = [(start, stop - start) for start, stop in spans if start < stop]
    axes.broken_barh(bars, (height - 0.4, 0.8), color=color, linewidth=0)


def _means(workers: Sequence[Sequence[Sequence[float]]]) -> str:
    """Mean seconds of each phase after the first trial."""
    steps = np.concatenate([np.diff(np.array(rows), axis=1)[1:] for rows in workers])
    if not len(steps):
        return "no worker had a second trial"
    means = dict(zip([name for name, _ in PHASES], steps.mean(axis=0), strict=True))
    words = [
        f"{name} {value:,.0f} s" if value >= 10 else f"{name} {value:.2g} s"
        for name, value in means.items()
        if name != "dispatch"
    ]
    return ", ".join(words) + " a trial"


def _figure(height: float, record: Record) -> Figure:
    """An empty figure that says at its foot what was simulated, and with what."""
    made = Figure(figsize=(style.WIDTH_INCHES, height), dpi=style.DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(made)
    foot = made.text(
        style.PAD_INCHES, style.PAD_INCHES, style.plain("\n".join(_foot(record))), transform=made.dpi_scale_trans,
        size=style.FOOTER_POINTS, color="#555555", va="bottom", gid=style.FOOTER,
    )  # fmt: skip
    foot.set_in_layout(False)
    share = (foot.get_window_extent().height / style.DOTS_PER_INCH + 2 * style.PAD_INCHES) / height
    engine: Any = made.get_layout_engine()
    engine.set(rect=(0, share, 1, 1 - share), w_pad=style.PAD_INCHES, h_pad=style.PAD_INCHES)
    return made


def _foot(record: Record) -> list[str]:
    delays, commit = record["delays"], record["git"]["commit"] or "unknown"
    return [
        f"Simulated workers; suggestion costs measured in the same run ({record['processor']}). Managers: "
        f"start-up {delays['start_up_s']:.0f} s, dispatch {delays['dispatch_s']:g} s a trial.",
        f"Published: Egele et al. 2022, arXiv 2207.00479. Commit {commit[:9]}, {record['made'][:10]}.",
    ]
