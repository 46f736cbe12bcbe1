"""Which of a search's trials become members."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

WHOLE = 1 - 1e-9  # a budget or share that is all, products of halving rounded


def top_k(trials: pd.DataFrame, members: int, setting: str) -> list[dict[str, Any]]:
    """The best different points by loss, best first: rows with trial and point.

    Only trials of the last step count, on all windows and with all epochs: losses of different budgets do not compare.
    setting: where the number of members is set, for an error. Raises ValueError when fewer points finished so.
    """
    whole = (trials.step == trials.step.max()) & (trials.budget >= WHOLE) & (trials.share >= WHOLE)
    last = trials[whole & trials.loss.notna()]
    ranked = last.sort_values(["loss", "number"]).drop_duplicates("point")
    if len(ranked) < members:
        raise ValueError(
            f"{setting} is {members}, but the search finished only {len(ranked)} different points in its last "
            f"step on all windows with all epochs; lower {setting} or raise search.trials (or search.two_step.top, or "
            "search.halving.least)"
        )
    best = ranked.head(members)
    return [{"trial": int(row.number), "point": json.loads(row.point)} for row in best.itertuples()]
