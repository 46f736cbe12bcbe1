"""What a two-step search has shown: whether step 1 ranks as step 2 does, what it cost, how small it could have been.

Trials are the table of the search room: number, step, parent, continues, budget, share, point, loss, seconds, measures.
Losses are to be lowered; a failed trial's is NaN. The seconds of a trial that continues another are those it adds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from podnas.search.pareto import front

MODELS = 10  # rows of the table of top models
TOP = 0.05  # share of the trials called the top, where all of them are repeated
REGRET = 0.01  # loss above the least that a guidance allows
DRAWS = 1000  # subsets of a guidance
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of trials repeated (q), from which a guidance chooses
PARTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the finished trials (N), from which a guidance chooses
ONLY_REPEATED = (
    "over the repeated trials only: step 1 selected them, so their step-1 losses are alike, and the correlation over "
    "all trials is not known; search with two_step.top: 1 to know it"
)
AT_MOST = (
    "a step-2 loss that is not known counts as infinite, so best_loss and regret are upper bounds, and best_in_top is "
    "over the repeated trials only"
)


def ranked(trials: pd.DataFrame) -> pd.DataFrame:
    """Finished trials of step 1 from the best on, each point once: rank (1: best), second_loss and second_seconds.

    The last two are NaN where step 2 did not repeat the point with success. With successive halving a point counts at
    the largest budget that it was trained to, and larger budgets come first.
    """
    done = trials[(trials["step"] == 1) & trials["loss"].notna()].sort_values("number", kind="stable")
    order = done.assign(order=-done["budget"]).sort_values(["order", "loss"], kind="stable").drop_duplicates("point")
    again = trials[(trials["step"] == 2) & trials["loss"].notna()].sort_values("number").drop_duplicates("point")
    second = again.set_index("point")[["loss", "seconds"]].add_prefix("second_")
    known = order.drop(columns="order").join(second, on="point").reset_index(drop=True)
    return known.assign(rank=known.index + 1)


def pairs(trials: pd.DataFrame) -> pd.DataFrame:
    """Rows of `ranked` with both losses."""
    return ranked(trials).dropna(subset="second_loss").reset_index(drop=True)


def complete(trials: pd.DataFrame) -> bool:
    """Whether step 2 repeated all trials of step 1 that finished."""
    return bool(_again(trials).all())


def share_repeated(trials: pd.DataFrame) -> float:
    """Share of the ranked trials of step 1 down to the last one that step 2 repeated, with success or without."""
    again = _again(trials)
    return float(again[again].index.max() + 1) / len(again) if again.any() else 0.0


def _again(trials: pd.DataFrame) -> pd.Series[bool]:
    """Of the ranked trials, those that step 2 repeated."""
    return ranked(trials)["point"].isin(trials.loc[trials["step"] == 2, "point"])


def spearman(one: pd.Series[float], other: pd.Series[float]) -> dict[str, Any]:
    """Rank correlation (ties share their mean rank) and number of trials; null below three or without variation."""
    ranks = one.rank().to_numpy(), other.rank().to_numpy()
    varies = len(one) > 2 and all(np.ptp(rank) > 0 for rank in ranks)
    return {"rho": float(np.corrcoef(*ranks)[0, 1]) if varies else None, "n": len(one)}


def correlation(trials: pd.DataFrame, top: float = TOP) -> dict[str, Any]:
    """Spearman's correlation of the losses of both steps, over all trials and within the top share by step 1.

    `all` is null where not all trials were repeated; `within_top` is then over those that were. Losses of different
    budgets of step 1 (successive halving) do not compare: there the order is that in which step 2 takes its trials, the
    larger budget first, then the lower loss.
    """
    order, both = ranked(trials), pairs(trials)
    both["place"] = both.groupby(["budget", "loss"], sort=False).ngroup()  # equal losses share a place
    within = both[both["rank"] <= math.ceil(round(top * len(order), 9))]
    whole = complete(trials)
    return {
        "all": spearman(both["place"], both["second_loss"]) if whole else None,
        "within_top": {"share": top, **spearman(within["place"], within["second_loss"])},
        "note": None if whole else ONLY_REPEATED,
    }


def cost(trials: pd.DataFrame) -> dict[str, Any]:
    """Worker-seconds of both steps beside one step, in which all trials of step 1 train on all windows.

    One step is estimated: the seconds of step 1 times the ratio that step 2 and step 1 have on the repeated points.
    With successive halving one step halves in the same way: a point's seconds in step 1 are those of all its trainings,
    beside that part of its seconds in step 2 that its budget in step 1 is of a full training; and by p + q, a trial
    counts the budget that it adds to the one it continues.
    """
    both = pairs(trials)
    first, second = trials[trials["step"] == 1], trials[trials["step"] == 2]
    seconds = [float(part["seconds"].sum()) for part in (first, second)]
    repeated = float(both["number"].map(_seconds(first)).sum())
    again = float((both["second_seconds"] * both["budget"]).sum())
    one_step = seconds[0] * again / repeated if repeated > 0 else None
    budgets = _added_budgets(trials)
    return {
        "trials": [len(first), len(second)],
        "seconds": seconds,
        "one_step_seconds": one_step,
        "relative": sum(seconds) / one_step if one_step else None,
        "relative_by_p_plus_q": float((trials["share"] * budgets).sum() / budgets[trials["step"] == 1].sum()),
    }


def _added_budgets(trials: pd.DataFrame) -> pd.Series[float]:
    """Share of a full training that each trial trains itself: without that of the trial it continues."""
    parents = trials["parent"].map(trials.set_index("number")["budget"])
    return trials["budget"] - parents.where(trials["continues"]).fillna(0.0)


def _seconds(trials: pd.DataFrame) -> dict[int, float]:
    """Seconds of each trial together with those of the trials that it continues, by number."""
    total: dict[int, float] = {}
    columns = ["number", "parent", "continues", "seconds"]
    # a trial has a larger budget than the one it continues, but not always a larger number
    for number, parent, continues, seconds in trials.sort_values("budget")[columns].itertuples(index=False):
        total[number] = seconds + (total.get(parent, 0.0) if continues else 0.0)
    return total


def top_models(trials: pd.DataFrame, count: int = MODELS) -> pd.DataFrame:
    """The best trials of step 2, with their loss and rank in step 1, parameters and inference time where measured."""
    measured = [name for name in ("parameters", "inference_seconds") if name in trials]
    columns = ["number", "second_loss", "loss", "rank", *measured, "second_seconds", "point"]
    best = pairs(trials).sort_values(["second_loss", "number"]).head(count)[columns]
    names = {"number": "trial", "second_loss": "loss", "loss": "first_loss", "rank": "first_rank"}
    return best.rename(columns={**names, "second_seconds": "seconds"}).reset_index(drop=True)


def guidance(
    studies: Mapping[float, pd.DataFrame],
    regret: float = REGRET,
    parts: Sequence[float] = PARTS,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> dict[str, Any]:
    """Share p of the windows, number of trials N and share q repeated that would have sufficed, by resampling.

    studies: trials for each p. Of the n finished in step 1, subsets of N (a part of n) are drawn without replacement; a
    row tells the mean of the best step-2 loss among the top q by step 1, its regret (how far that lies above the least
    known step-2 loss of all studies), how often the top q holds the best of the subset, and the cost N (b p + q) in
    full trainings. b, the mean largest budget of the points of step 1, is 1 without successive halving. The cheapest
    row with at most that regret is chosen; `one_step` is the least number of trials on all windows that does. Either is
    null where there is none.
    """
    random = np.random.default_rng(seed)
    orders = {p: ranked(trials) for p, trials in studies.items()}
    tables = {p: order["second_loss"].fillna(math.inf).to_numpy(float) for p, order in orders.items()}
    least = min((float(second.min()) for second in tables.values() if len(second)), default=math.inf)
    rows = [
        {"p": p, **row, "regret": row["best_loss"] - least}
        for p, second in sorted(tables.items())
        for count in sorted({math.ceil(part * len(second)) for part in parts} - {0})
        for row in _resampled(second, p * float(orders[p]["budget"].mean()), count, shares, random)
        if math.isfinite(row["best_loss"])
    ]
    good = [row for row in rows if row["regret"] <= regret]
    return {
        "largest_regret": regret,
        "draws": DRAWS,
        "chosen": min(good, key=lambda row: (row["cost"], row["regret"])) if good else None,
        "one_step": min((row["trials"] for row in good if row["q"] == 1), default=None),
        "note": None if all(complete(trials) for trials in studies.values()) else AT_MOST,
        "rows": rows,
    }


def _resampled(
    second: np.ndarray[Any, Any], first_cost: float, count: int, shares: Sequence[float], random: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows of a guidance for subsets of `count`; second (n,): step-2 losses in the order of step 1.

    first_cost: full trainings that a point costs in step 1.
    """
    drawn = np.argsort(random.random((DRAWS, len(second))), axis=1)[:, :count]
    # a sorted row of places is the subset's ranking by step 1
    best = np.minimum.accumulate(second[np.sort(drawn, axis=1)], axis=1)
    return [
        {
            "trials": count,
            "q": top / count,
            "cost": count * first_cost + top,
            "best_loss": float(best[:, top - 1].mean()),
            "best_in_top": float((best[:, top - 1] == best[:, -1]).mean()),
        }
        for top in sorted({math.ceil(round(share * count, 9)) for share in shares})
    ]


def report(trials: pd.DataFrame) -> dict[str, Any]:
    """All of the above as JSON; the top is what step 2 repeated, or, where that is all, the best twentieth."""
    first = trials[trials["step"] == 1]
    share = float(first["share"].iloc[0])
    return {
        "share_of_windows": share,
        "spearman": correlation(trials, TOP if complete(trials) else share_repeated(trials)),
        "cost": cost(trials),
        "guidance": guidance({share: trials}),
        "top_models": top_models(trials).to_dict("records"),
    }


def text(found: Mapping[str, Any]) -> str:
    """A report in words and tables (Markdown)."""
    rank, costs, guide = found["spearman"], found["cost"], found["guidance"]
    models = pd.DataFrame(found["top_models"]).drop(columns="point", errors="ignore")
    (first, second), (before, after) = costs["trials"], costs["seconds"]
    parts = [
        "## Does step 1 rank as step 2 does?",
        f"Spearman's correlation of the losses of both steps. All trials: {_rho(rank['all'])}; the best "
        f"{100 * rank['within_top']['share']:.2g} % by step 1: {_rho(rank['within_top'])}.{_note(rank)}",
        "## What it cost",
        f"{first} + {second} trials took {before:.0f} + {after:.0f} worker-seconds: {_share(costs['relative'])} of one "
        f"step, all trials on all windows; by p + q it would be {_share(costs['relative_by_p_plus_q'])}.",
        "## What would have sufficed",
        _choice(guide) + _note(guide),
        _table(choices(pd.DataFrame(guide["rows"]))),
        "## Top models",
        _table(models),
    ]
    return "\n\n".join(parts) + "\n"


def choices(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a guidance that no other beats in both cost and regret, the cheapest first."""
    return rows[front(rows[["cost", "regret"]].to_numpy(float))].sort_values("cost") if len(rows) else rows


def _rho(found: Mapping[str, Any] | None) -> str:
    return "not known" if found is None or found["rho"] is None else f"{found['rho']:.2f} ({found['n']} trials)"


def _share(value: float | None) -> str:
    return "an unknown part" if value is None else f"{value:.3f}"


def _note(found: Mapping[str, Any]) -> str:
    return f" Note: {found['note']}." if found["note"] else ""


def _choice(guide: Mapping[str, Any]) -> str:
    row, regret = guide["chosen"], guide["largest_regret"]
    if row is None:
        return f"No choice stays within {regret:g} of the least loss."
    single = "no number of trials" if guide["one_step"] is None else f"{guide['one_step']} trials"
    return (
        f"The cheapest choice within {regret:g} of the least loss: {row['trials']} trials on a share p = {row['p']:g} "
        f"of the windows, the best q = {row['q']:.3g} of them again on all; it costs {row['cost']:.4g} full "
        f"trainings. In one step, {single} would do."
    )


def _table(rows: pd.DataFrame) -> str:
    return str(rows.to_markdown(index=False, floatfmt=".4g")) if len(rows) else "None."
