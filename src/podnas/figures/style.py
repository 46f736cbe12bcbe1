"""What all figures share: fonts, colours, method styles, the footer that says what was drawn, and saving.

Figures are made with matplotlib's object interface (no pyplot, no global state) and printed by Agg.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

from podnas import artifacts

Stamp = Mapping[str, Any]

WIDTH_INCHES = 7.1  # two columns of a journal page
HIGHEST_INCHES = 9.2  # its length, caption left out
DOTS_PER_INCH = 200
FOOTER = "footer"
FOOTER_POINTS = 6.0
PAD_INCHES = 0.06
TITLE_LETTER_INCHES = 0.064  # mean width of a letter of a title

# Okabe and Ito (2008), Color Universal Design
BLACK, GREY = "#000000", "#7f7f7f"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

LAND, COAST = "#cfcfcf", "#4d4d4d"
TRUTH: dict[str, Any] = {"color": BLACK, "linestyle": "-", "label": "truth"}
SEQUENTIAL = "viridis"
# blue to brown through near white, lightness falling alike on both sides
DIVERGING = LinearSegmentedColormap.from_list(
    "podnas_diverging",
    ["#08244f", "#1f5a94", "#6aa6cf", "#bcd6e6", "#f6f4f0", "#ecc4a6", "#d3855a", "#9c4019", "#4f1607"],
)

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.handlelength": 2.4,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "date.converter": "concise",
}


def context() -> AbstractContextManager[None]:
    """The settings above, for as long as it is open; ticks are made late, so drawing needs it as much as plotting."""
    return matplotlib.rc_context(RC)


journal = matplotlib.rc_context(RC)  # the same, as a decorator


@dataclass(frozen=True)
class Style:
    """How a method is drawn: the colour is its family's, marker and dashes tell it apart in grey print."""

    label: str
    color: str
    marker: str
    dashes: str | tuple[int, tuple[float, ...]] = "-"

    @property
    def line(self) -> dict[str, Any]:
        """Keywords for `Axes.plot`."""
        return {"label": self.label, "color": self.color, "linestyle": self.dashes}

    @property
    def marked(self) -> dict[str, Any]:
        """Keywords for `Axes.plot` with markers."""
        return {**self.line, "marker": self.marker}


METHODS: dict[str, Style] = {
    "climatology": Style("climatology", GREY, "_", (0, (1, 1))),
    "climatology_trend": Style("climatology + trend", GREY, "|", (0, (4, 1.5))),
    "persistence": Style("persistence", BLACK, "x", (0, (4, 1, 1, 1))),
    "damped_persistence": Style("damped persistence", BLUE, "o"),
    "least_squares": Style("least squares", SKY, "v", (0, (1, 1))),
    "seasonal_ridge": Style("seasonal ridge", SKY, "s", (0, (4, 1.5))),
    "linear_inverse_model": Style("linear inverse model", BLUE, "^", (0, (4, 1.5))),
    "mean_linear": Style("mean of linear methods", BLUE, "D", (0, (4, 1, 1, 1))),
    "mean_damped_inverse": Style("mean of damped and inverse", BLUE, "p", (0, (1, 1))),
    "anomaly_regression": Style("anomaly regression", SKY, "h"),
    "linear_stack": Style("stack of linear methods", BLUE, "H", (0, (7, 2))),
    "random_forest": Style("random forest", GREEN, "P", (0, (4, 1.5))),
    "xgboost": Style("XGBoost", GREEN, "X", (0, (1, 1))),
    "recurrent_best": Style("best searched network", ORANGE, "h", (0, (4, 1.5))),
    "recurrent_ensemble": Style("searched ensemble", VERMILION, "*"),
    "recurrent_anomaly_ensemble": Style("searched ensemble on anomalies", VERMILION, "^", (0, (4, 1.5))),
    "complete_system": Style("complete system", BLACK, "*"),
}
SEARCHED = ("recurrent_best", "recurrent_ensemble", "recurrent_anomaly_ensemble")
COMPLETE = "complete_system"
SYSTEM = re.compile(r"([a-z][a-z0-9_]*)_ensemble")  # further systems of searched networks, as an experiment names them
SYSTEM_MARKERS = ("v", "s", "D", "P", "X")
SYSTEM_DASHES: tuple[tuple[int, tuple[float, ...]], ...] = ((0, (1, 1)), (0, (4, 1, 1, 1)), (0, (2, 1)), (0, (7, 2)))
MANUAL = re.compile(r"lstm_(\d+)")
MANUAL_MARKERS = ("1", "2", "3", "4", "+", "d")
MANUAL_DASHES: tuple[tuple[int, tuple[float, ...]], ...] = (
    (0, (1, 1)),
    (0, (2, 1)),
    (0, (4, 1.5)),
    (0, (4, 1, 1, 1)),
    (0, (7, 2)),
    (0, (5, 1, 1, 1, 1, 1)),
)


def styles(names: Iterable[str]) -> dict[str, Style]:
    """Style of each method, in the order of figures: references, linear, trees, manual networks, searched, complete.

    Raises ValueError for a method that has no style.
    """
    names = set(names)
    manual = sorted((name for name in names if MANUAL.fullmatch(name)), key=_units)
    systems = sorted(name for name in names - set(METHODS) if SYSTEM.fullmatch(name))
    unknown = sorted(names - set(METHODS) - set(manual) - set(systems))
    if unknown:
        raise ValueError(f"no style for method {', '.join(unknown)}; add it to METHODS in podnas/figures/style.py")
    known = [name for name in METHODS if name in names]
    searched = [name for name in known if name in SEARCHED]
    complete = [name for name in known if name == COMPLETE]
    return {
        **{name: METHODS[name] for name in known if name not in (*SEARCHED, COMPLETE)},
        **{name: _manual(name, place) for place, name in enumerate(manual)},
        **{name: METHODS[name] for name in searched},
        **{name: _system(name, place) for place, name in enumerate(systems)},
        **{name: METHODS[name] for name in complete},
    }


def _units(name: str) -> int:
    return int(name.removeprefix("lstm_"))


def _system(name: str, place: int) -> Style:
    label = name.removesuffix("_ensemble").replace("_", " ")
    marker, dashes = SYSTEM_MARKERS[place % len(SYSTEM_MARKERS)], SYSTEM_DASHES[place % len(SYSTEM_DASHES)]
    return Style(f"{label} ensemble", VERMILION, marker, dashes)


def _manual(name: str, place: int) -> Style:
    marker, dashes = MANUAL_MARKERS[place % len(MANUAL_MARKERS)], MANUAL_DASHES[place % len(MANUAL_DASHES)]
    return Style(f"LSTM {_units(name)}", PURPLE, marker, dashes)


def figure(
    height: float,
    stamps: Sequence[Stamp],
    *,
    width: float = WIDTH_INCHES,
    packed: bool = False,
    physical: bool = False,
) -> Figure:
    """An empty figure (inches) with its footer; the layout keeps all else above the footer.

    packed: panels of fixed shape stand close together; physical: shows fields, which the twin only estimates.
    """
    made = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="compressed" if packed else "constrained")
    FigureCanvasAgg(made)
    stamp(made, stamps, physical=physical)
    _reserve(made)
    return made


def _reserve(made: Figure) -> None:
    share = _foot_inches(made) / made.get_figheight()
    engine: Any = made.get_layout_engine()
    engine.set(rect=(0, share, 1, 1 - share), w_pad=PAD_INCHES, h_pad=PAD_INCHES)


def _foot_inches(made: Figure) -> float:
    return float(_extent(_footer(made)).height / DOTS_PER_INCH + 2 * PAD_INCHES)


def fit(made: Figure) -> None:
    """Make a figure of panels of fixed shape as high as they need, so that no blank band is left."""
    for _ in range(2):
        made.draw_without_rendering()
        headline = [text for text in made.texts if text.get_gid() != FOOTER]
        extents: list[Any] = [*(axes.get_tightbbox() for axes in made.axes), *map(_extent, headline)]
        used = (max(box.y1 for box in extents) - min(box.y0 for box in extents)) / DOTS_PER_INCH
        made.set_figheight(used + _foot_inches(made) + 3 * PAD_INCHES)
        _reserve(made)


def stamp(made: Figure, stamps: Sequence[Stamp], *, physical: bool = False) -> Text:
    """Print data kind, protocols, dates, numbers of windows and seeds at the foot of a figure, a line a protocol."""
    look: dict[str, Any] = {"size": FOOTER_POINTS, "color": "#555555", "va": "bottom", "gid": FOOTER}
    text = made.text(PAD_INCHES, PAD_INCHES, "", transform=made.dpi_scale_trans, **look)
    text.set_in_layout(False)
    room = made.get_figwidth() - 2 * PAD_INCHES
    lines = [line for items in _lines(stamps, physical) for line in _wrap(text, items, room)]
    text.set_text("\n".join(lines))
    return text


def _lines(stamps: Sequence[Stamp], physical: bool) -> list[list[str]]:
    if "footer" in stamps[0]:  # a study without fields and protocols says itself what it is
        return [list(stamps[0]["footer"])]
    kind = _value(stamps[0], "data_kind")
    estimated = " (maps are estimates)" if physical and kind == "twin" else ""
    common = [f"Data: {kind}{estimated}", f"coefficients {_value(stamps[0], 'coefficients')}"]
    common += [f"experiment {_value(stamps[0], 'experiment')}", f"seeds: {_value(stamps[0], 'seeds')}"]
    return [common, *([*_protocol(attributes)] for attributes in stamps)]


def _protocol(attributes: Stamp) -> list[str]:
    train, test = (
        f"{period} {_value(attributes, f'{period}_period')} ({_value(attributes, f'{period}_windows')} windows)"
        for period in ("train", "test")
    )
    return [f"Protocol {_value(attributes, 'protocol')}", train, test]


def _value(attributes: Stamp, key: str) -> Any:
    if key not in attributes:
        raise ValueError(f"attribute {key} is missing, and every figure prints it; rerun the rule that made the data")
    return attributes[key]


def _wrap(text: Text, items: Sequence[str], inches: float) -> list[str]:
    lines = [items[0]]
    for item in items[1:]:
        longer = f"{lines[-1]} · {item}"
        text.set_text(longer)
        if _extent(text).width <= inches * DOTS_PER_INCH:
            lines[-1] = longer
        else:
            lines.append(item)
    return lines


def _extent(text: Text) -> Any:
    made: Any = text.get_figure(root=True)
    return text.get_window_extent(made.canvas.get_renderer())


def footer(made: Figure) -> str:
    """The text that `stamp` printed."""
    return _footer(made).get_text()


def _footer(made: Figure) -> Text:
    return next(text for text in made.texts if text.get_gid() == FOOTER)


def title(axes: Axes, place: int, text: str, inches: float = WIDTH_INCHES) -> None:
    """Title of a panel behind its letter, wrapped to so many inches: place 0 is a, 1 is b …, 26 is aa.

    Dollar signs in the text are printed, not read as formulae.
    """
    letter = ("a" if place >= 26 else "") + chr(ord("a") + place % 26)
    room = max(int(inches / TITLE_LETTER_INCHES) - 3, 8)
    axes.set_title(rf"$\bf{{{letter}}}$  {plain(textwrap.fill(text, room))}")


def plain(text: str) -> str:
    """Text from outside, so that matplotlib prints it as it stands."""
    return text.replace("$", r"\$")


@journal
def save(made: Figure, path: Path) -> None:
    """Print a figure as PNG, whole or not at all; the same figure gives the same bytes."""
    metadata = {"Software": "podnas", "Description": footer(made).encode("ascii", "replace").decode()}
    with artifacts.replacing(path) as temporary:
        made.savefig(temporary, dpi=DOTS_PER_INCH, format="png", metadata=metadata)
