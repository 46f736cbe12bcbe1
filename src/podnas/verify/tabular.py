"""The tabular benchmark scored: RMSE and negative log likelihood of each split in original units, beside the published.

Published: mean over all splits of a set by probabilistic backpropagation (PBP, Hernández-Lobato and Adams 2015),
MC dropout (Gal and Ghahramani 2016) and deep ensembles, as Lakshminarayanan et al. (2017, table 1) print them. Ours are
compared at that rounding. The splits of a set overlap, so that standard errors over splits are too small, ours and
theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from podnas.ensemble.mixture import Mixture
from podnas.tabular import study
from podnas.verify import spread
from podnas.windows import Array

DECIMALS = 2  # of the published table
METHODS = {"pbp": "PBP", "mc_dropout": "MC dropout", "deep_ensembles": "deep ensembles"}
RIVAL = "deep_ensembles"
METRICS = ("rmse", "nll")
# RMSE and NLL of the three methods, in their order
PUBLISHED = {
    "boston": ((3.01, 2.97, 3.28), (2.57, 2.46, 2.41)),
    "concrete": ((5.67, 5.23, 6.03), (3.16, 3.04, 3.06)),
    "energy": ((1.80, 1.66, 2.09), (2.04, 1.99, 1.38)),
    "kin8nm": ((0.10, 0.10, 0.09), (-0.90, -0.95, -1.20)),
    "naval": ((0.01, 0.01, 0.00), (-3.73, -3.80, -5.63)),
    "power": ((4.12, 4.02, 4.11), (2.84, 2.80, 2.79)),
    "protein": ((4.73, 4.36, 4.71), (2.97, 2.89, 2.83)),
    "wine": ((0.64, 0.62, 0.64), (0.97, 0.93, 0.94)),
    "yacht": ((1.02, 1.11, 1.58), (1.63, 1.55, 1.18)),
}


def scores(mixture: Mixture, truth: Array) -> dict[str, float]:
    """Root mean square error of the mean, and mean negative log likelihood (nats), of rows (m,)."""
    return {
        "rmse": float(np.sqrt(((truth - mixture.location) ** 2).mean())),
        "nll": float(spread.nll(mixture, truth).mean()),
    }


def mixture(arrays: Mapping[str, Array], variant: str, name: str) -> Mixture:
    """One forecast among the arrays of a split."""
    return Mixture(*(arrays[f"{variant}.{name}.{part}"] for part in ("mean", "sigma", "weights")))


def split_scores(
    record: Mapping[str, Any], arrays: Mapping[str, Array], target: Array, floors: Sequence[float]
) -> list[dict[str, Any]]:
    """All scores of a split, a row each; target: of all rows of the set."""
    return [
        {
            "set": record["set"],
            "split": record["split"],
            "variant": variant,
            "method": method,
            "floor": floor,
            **scores(mixture(arrays, variant, study.named(method, floor)), target[arrays[f"{variant}.scored"]]),
            **{key: about[key] for key in ("training_rows", "scored_rows", "search_seconds", "recipe_seconds")},
        }
        for variant, about in record["variants"].items()
        for method in (study.SEARCHED, study.RECIPE)
        for floor in floors
    ]


def scorecard(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By set: what our ensembles score, with standard errors over splits, and all that stands beside it.

    rows: as `split_scores` makes them. The first floor is the headline's. `without_duplicates` is null for a set that
    has none.
    """
    return {str(name): _card(str(name), mine) for name, mine in rows.groupby("set", sort=False)}


def _card(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    whole = rows[rows.variant == study.PUBLISHED]
    fewer = rows[rows.variant == study.DISTINCT]
    return {
        **_scored(whole),
        "without_duplicates": _scored(fewer) if len(fewer) else None,
        "published": published(name),
        "verdicts": verdicts(name, _scored(whole)),
    }


def _scored(rows: pd.DataFrame) -> dict[str, Any]:
    """Scores of the searched ensembles, of the recipe, and their paired difference."""
    floors = list(dict.fromkeys(rows.floor))
    ours, old = ({floor: _of(rows, method, floor) for floor in floors} for method in (study.SEARCHED, study.RECIPE))
    first = floors[0]
    return {
        "splits": int(rows.split.nunique()),
        "training_rows": float(ours[first].training_rows.mean()),
        "scored_rows": float(ours[first].scored_rows.mean()),
        **_means(ours[first]),
        "floor": first,
        "floors": {f"{floor:g}": _means(ours[floor]) for floor in floors},
        "recipe": {**_means(old[first]), "floors": {f"{floor:g}": _means(old[floor]) for floor in floors}},
        "less_recipe": {
            metric: described(ours[first][metric].to_numpy() - old[first][metric].to_numpy()) for metric in METRICS
        },
        "search_seconds": float(ours[first].search_seconds.sum()),
        "recipe_seconds": float(ours[first].recipe_seconds.sum()),
    }


def _of(rows: pd.DataFrame, method: str, floor: float) -> pd.DataFrame:
    return rows[(rows.method == method) & (rows.floor == floor)].sort_values("split")


def _means(rows: pd.DataFrame) -> dict[str, float | None]:
    made: dict[str, float | None] = {}
    for metric in METRICS:
        found = described(rows[metric].to_numpy())
        made |= {metric: found["mean"], f"{metric}_se": found["se"]}
    return made


def described(values: Array) -> dict[str, float | None]:
    """Mean and standard error over splits; none of one split."""
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": float(values.mean()), "se": error}


def published(name: str) -> dict[str, dict[str, float]] | None:
    """Published scores of a set, by method; None for a set that was not among them."""
    if name not in PUBLISHED:
        return None
    rmse, nll = PUBLISHED[name]
    return {method: {"rmse": rmse[place], "nll": nll[place]} for place, method in enumerate(METHODS)}


def verdict(value: float, given: float) -> str:
    """Whether a score, at the published rounding, lies below the published one (better), level with it or above."""
    rounded = round(value, DECIMALS)
    return "level" if rounded == given else "below" if rounded < given else "above"


def verdicts(name: str, mine: Mapping[str, Any]) -> dict[str, dict[str, str]] | None:
    """By metric, against deep ensembles and against the best of all three."""
    known = published(name)
    if known is None:
        return None
    return {
        metric: {
            RIVAL: verdict(mine[metric], known[RIVAL][metric]),
            "best": verdict(mine[metric], min(one[metric] for one in known.values())),
        }
        for metric in METRICS
    }


def won(cards: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Sets by metric, rival and verdict."""
    known = {name: card["verdicts"] for name, card in cards.items() if card["verdicts"] is not None}
    return {
        metric: {
            rival: {
                word: [name for name, found in known.items() if found[metric][rival] == word]
                for word in ("below", "level", "above")
            }
            for rival in (RIVAL, "best")
        }
        for metric in METRICS
    }


def page(title: str, found: Mapping[str, Any]) -> str:
    """The scorecard as Markdown."""
    cards = found["sets"]
    parts = [f"# {title}", "", found["scope"], "", *_headline(found["won"])]
    for metric, words in (("rmse", "RMSE, units of the target"), ("nll", "Negative log likelihood, nats")):
        parts += [f"## {words}", "", _table(cards, metric), ""]
    parts += [
        "Mean over splits ± standard error. *Ours*: the searched, calibrated ensemble; *recipe*: that of deep "
        "ensembles, without its adversarial training, trained here on the same rows. Floors are the least sigma in "
        "standard deviations of the training targets. Published figures are means over all splits. Splits of a set "
        "overlap, so that standard errors are too small.",
        "",
        *_without(cards),
        f"Cost: {_cost(cards)}.",
    ]
    return "\n".join(parts) + "\n"


def _headline(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for metric in METRICS:
        by = found[metric][RIVAL]
        total = sum(map(len, by.values()))
        if total:
            level = f", level on {len(by['level'])} ({', '.join(by['level'])})" if by["level"] else ""
            names = f" ({', '.join(by['below'])})" if by["below"] else ""
            lines.append(
                f"- {metric.upper()} below deep ensembles’ published one, at its rounding, on {len(by['below'])} of "
                f"{total} sets{names}{level}"
            )
    return [*lines, ""] if lines else []


def _table(cards: Mapping[str, Mapping[str, Any]], metric: str) -> str:
    rows = []
    for name, card in cards.items():
        row, apart = {"set": name, "splits": str(card["splits"])}, card["less_recipe"][metric]
        for floor, one in card["floors"].items():
            row[f"ours, floor {_percent(floor)}"] = told(one[metric], one[f"{metric}_se"])
        row["recipe"] = told(card["recipe"][metric], card["recipe"][f"{metric}_se"])
        row["ours less recipe"] = told(apart["mean"], apart["se"], "+")
        for method, words in METHODS.items():
            row[words] = f"{card['published'][method][metric]:.2f}" if card["published"] else ""
        rows.append(row)
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def _percent(floor: str) -> str:
    return f"{100 * float(floor):g} %"


def told(value: float, error: float | None, sign: str = "") -> str:
    """A mean and its standard error, with digits enough for either."""
    digits = 3 if abs(value) >= 0.1 else 5
    return f"{value:{sign}.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


def _without(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The sets that have duplicate rows, searched and scored again without them."""
    rows = []
    for name, card in cards.items():
        fewer = card["without_duplicates"]
        if fewer is None:
            continue
        row = {"set": name, "rows trained on, scored": f"{fewer['training_rows']:.0f}, {fewer['scored_rows']:.0f}"}
        for metric in METRICS:
            row[metric.upper()] = told(fewer[metric], fewer[f"{metric}_se"])
            row[f"{metric.upper()} with them"] = told(card[metric], card[f"{metric}_se"])
            row[f"{metric.upper()} of the recipe"] = told(fewer["recipe"][metric], fewer["recipe"][f"{metric}_se"])
        rows.append(row)
    if not rows:
        return []
    return [
        "## Without duplicate rows",
        "",
        str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)),
        "",
        "Rows that repeat another in features and target are left out of the training rows, and of the scored rows "
        "those that a training row repeats; the search is made anew.",
        "",
    ]


def _cost(cards: Mapping[str, Mapping[str, Any]]) -> str:
    every = [part for card in cards.values() for part in (card, card["without_duplicates"]) if part is not None]
    searched, old = (sum(one[f"{kind}_seconds"] for one in every) for kind in ("search", "recipe"))
    return f"{searched:.0f} s on the clock of one thread each for training in searches, {old:.0f} s for the recipe"
