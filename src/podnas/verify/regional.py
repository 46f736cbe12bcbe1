"""RMSE of regions in the field's units: ours less each baseline's at each lead, with intervals.

Squared errors of both are drawn by the same blocks of initial dates (paired circular block bootstrap, `paired.py`).
Below zero is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podnas.verify import differences, paired
from podnas.verify.physical import Errors
from podnas.windows import Array


def of_all(errors: Mapping[str, Errors], ours: Sequence[str], baselines: Sequence[str]) -> dict[str, Any]:
    """Every one of ours against every baseline; errors: by method, metric and lead, squared errors (weeks,).

    Gives for each metric `best_baseline` (least RMSE, mean over leads, on these weeks), `block_weeks`, and
    `differences`: of ours, baseline: for each lead in turn, difference, low, high and verdict.
    """
    return {
        metric: _of_metric({name: one[metric] for name, one in errors.items()}, ours, baselines)
        for metric in next(iter(errors.values()))
    }


def _of_metric(errors: Mapping[str, Sequence[Array]], ours: Sequence[str], baselines: Sequence[str]) -> dict[str, Any]:
    leads = range(len(next(iter(errors.values()))))
    weeks = [len(one) for one in next(iter(errors.values()))]
    blocks = differences.fitting(paired.BLOCK_WEEKS, min(weeks))
    rmse = {name: [_rmse(one[lead], blocks) for lead in leads] for name, one in errors.items()}
    best = min(baselines, key=lambda name: np.mean([by_lead[0] for by_lead in rmse[name]]))
    found = {
        name: {other: [_less(rmse[name][lead], rmse[other][lead]) for lead in leads] for other in baselines}
        for name in ours
    }
    return {"best_baseline": best, "block_weeks": blocks, "differences": found}


def _rmse(squared: Array, block_weeks: int) -> Array:
    """RMSE on the record itself, and then on each resample: (1 + resamples,)."""
    drawn = paired.counts(len(squared), block_weeks)
    found: Array = np.sqrt(np.concatenate([[squared.mean()], drawn @ squared / len(squared)]))
    return found


def _less(ours: Array, theirs: Array) -> dict[str, Any]:
    one = paired.less({"rmse": ours}, {"rmse": theirs})["rmse"]
    verdicts = {"better": "worse", "worse": "better", "tie": "tie"}  # of errors the least is best
    return {**one, "verdict": verdicts[paired.verdict(one)]}


def table(found: Mapping[str, Any], method: str) -> list[dict[str, str]]:
    """Rows of baselines, the best first: difference, interval and verdict at each lead."""
    by = found["differences"][method]
    names = sorted(by, key=lambda name: name != found["best_baseline"])
    return [
        {"baseline": f"`{name}`"} | {str(lead): _cell(one) for lead, one in enumerate(by[name], 1)} for name in names
    ]


def _cell(one: Mapping[str, Any]) -> str:
    return f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}] {one['verdict']}"
