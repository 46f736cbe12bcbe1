"""Which of a search's trials become members."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd


def top_k(trials: pd.DataFrame, members: int) -> list[dict[str, Any]]:
    """The best different architectures by loss, best first: rows with trial and point.

    Where a second step was run, only its trials count: losses of different budgets do not compare. Raises ValueError
    when fewer architectures than members finished.
    """
    last = trials[(trials.step == trials.step.max()) & trials.loss.notna()]
    ranked = last.sort_values(["loss", "number"]).drop_duplicates("point")
    if len(ranked) < members:
        raise ValueError(
            f"ensemble.members is {members}, but the search finished only {len(ranked)} different architectures in its "
            "last step; lower ensemble.members or raise search.trials (or search.two_step.top)"
        )
    best = ranked.head(members)
    return [{"trial": int(row.number), "point": json.loads(row.point)} for row in best.itertuples()]
