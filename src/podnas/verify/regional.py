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
    by_lead = [dict(zip(errors, squared, strict=True)) for squared in zip(*errors.values(), strict=True)]
    weeks = [len(next(iter(squared.values()))) for squared in by_lead]
    blocks = differences.fitting(paired.BLOCK_WEEKS, min(weeks))
    drawn = {count: paired.counts(count, blocks) for count in set(weeks)}
    rmse = [_rmse(squared, drawn[count]) for squared, count in zip(by_lead, weeks, strict=True)]
    best = min(baselines, key=lambda name: np.mean([lead[name][0] for lead in rmse]))
    found = {name: {other: [_less(lead[name], lead[other]) for lead in rmse] for other in baselines} for name in ours}
    return {"best_baseline": best, "block_weeks": blocks, "differences": found}


def _rmse(squared: Mapping[str, Array], drawn: Array) -> dict[str, Array]:
    """RMSE of each method on the record itself, and then on each resample: (1 + resamples,)."""
    values = np.stack(list(squared.values()), axis=1)  # (weeks, methods)
    made = np.sqrt(np.concatenate([values.mean(axis=0)[None], drawn @ values / len(values)]))
    return dict(zip(squared, made.T, strict=True))


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
