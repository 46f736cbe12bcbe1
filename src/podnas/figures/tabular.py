"""The tabular benchmark: RMSE and likelihood of our ensembles beside published ones and the old recipe's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from podnas.figures import style

OURS, WITHOUT, RECIPE = "searched ensemble", "without duplicate rows", "recipe of deep ensembles, rerun"
LOOKS: dict[str, dict[str, Any]] = {
    OURS: {"color": style.VERMILION, "marker": "o"},
    WITHOUT: {"color": style.VERMILION, "marker": "o", "markerfacecolor": "white"},
    RECIPE: {"color": style.BLUE, "marker": "s"},
    "PBP, published": {"color": style.GREY, "marker": "^"},
    "MC dropout, published": {"color": style.GREY, "marker": "x"},
}
SHIFTS = dict(zip(LOOKS, (-0.24, -0.12, 0.0, 0.12, 0.24), strict=True))  # rows of one set, from above
RIVAL = "deep_ensembles"


@style.journal
def draw(found: Mapping[str, Any]) -> Figure:
    """A row a set. Left: RMSE over that published of deep ensembles; right: NLL less theirs. To the left is better.

    found: as the rule `tabular_scorecard` writes it. Of a set that is not published, ours and the recipe's are set
    against the recipe's.
    """
    cards = found["sets"]
    made = style.figure(1.7 + 0.42 * len(cards), [found["stamp"]])
    left, right = made.subplots(1, 2, sharey=True)
    _panel(left, cards, "rmse")
    style.title(left, 0, "RMSE, ratio to deep ensembles as published", inches=3.2)
    _panel(right, cards, "nll")
    style.title(right, 1, "NLL, less deep ensembles as published", inches=3.2)
    left.set_yticks(range(len(cards)), list(cards))
    left.set_ylim(len(cards) - 0.5, -0.5)
    left.set_xlabel("ratio (left of the line: better)")
    right.set_xlabel("nats (left of the line: better)")
    _legend(made, cards)
    return made


def _panel(axes: Axes, cards: Mapping[str, Mapping[str, Any]], metric: str) -> None:
    for row, card in enumerate(cards.values()):
        base = card["published"][RIVAL][metric] if card["published"] else card["recipe"][metric]
        if metric == "rmse" and base == 0:
            axes.text(1.02, row, "published as 0.00", va="center", size=6, color=style.GREY)
            continue
        for name, (value, error) in _values(card, metric).items():
            place = value / base if metric == "rmse" else value - base
            width = None if error is None else error / (base if metric == "rmse" else 1)
            axes.errorbar(place, row + SHIFTS[name], xerr=width, linestyle="", elinewidth=0.8, **LOOKS[name])
    axes.axvline(1 if metric == "rmse" else 0, color=style.BLACK, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def _values(card: Mapping[str, Any], metric: str) -> dict[str, tuple[float, float | None]]:
    """Mean and standard error of what is drawn; published figures have none."""
    values = {OURS: (card[metric], card[f"{metric}_se"])}
    if card["without_duplicates"]:
        values[WITHOUT] = (card["without_duplicates"][metric], card["without_duplicates"][f"{metric}_se"])
    values[RECIPE] = (card["recipe"][metric], card["recipe"][f"{metric}_se"])
    if card["published"]:
        values["PBP, published"] = (card["published"]["pbp"][metric], None)
        values["MC dropout, published"] = (card["published"]["mc_dropout"][metric], None)
    return values


def _legend(made: Figure, cards: Mapping[str, Mapping[str, Any]]) -> None:
    drawn = {name for card in cards.values() for name in _values(card, "nll")}
    keys = [Line2D([], [], linestyle="", label=name, **look) for name, look in LOOKS.items() if name in drawn]
    keys.append(Line2D([], [], color=style.BLACK, linewidth=0.8, label="deep ensembles, published"))
    made.legend(handles=keys, loc="outside upper center", ncols=3)
