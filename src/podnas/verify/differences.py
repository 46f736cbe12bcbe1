"""Differences of our forecasts from every baseline, with intervals; the headline is against the hardest of them.

Intervals: paired circular block bootstrap (`paired.py`), blocks of 52 weeks of initial dates, 26 and 104 as
sensitivity; SS_tot and SS_climatology are those of each resample. What cannot be told from zero is a tie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podnas import scores
from podnas.verify import paired
from podnas.windows import Array

REFERENCE = "climatology"
BLOCKS_WEEKS = (26, 52, 104)


def of_all(ours: Mapping[str, Array], baselines: Mapping[str, Array], truth: Array) -> dict[str, Any]:
    """Every one of ours against every baseline; standardised forecasts and truth (n, leads, modes).

    Gives `best_baseline` (by r2_mean on these weeks), `blocks_weeks` that fit into the record, and `differences`: of
    ours, baseline, length of blocks, score: difference, low, high and verdict.
    """
    best = max(baselines, key=lambda name: float(scores.r2(baselines[name], truth).mean()))
    blocks = sorted({fitting(weeks, len(truth)) for weeks in BLOCKS_WEEKS})
    usual = fitting(paired.BLOCK_WEEKS, len(truth))
    found: dict[str, Any] = {name: {other: {} for other in baselines} for name in ours}
    for weeks in blocks:
        drawn = paired.counts(len(truth), weeks)
        compared = baselines if weeks == usual else {best: baselines[best]}
        theirs = {name: paired.both(values, truth, baselines[REFERENCE], drawn) for name, values in compared.items()}
        for name, values in ours.items():
            mine = paired.both(values, truth, baselines[REFERENCE], drawn)
            for other, its in theirs.items():
                found[name][other][str(weeks)] = _judged(paired.less(mine, its))
    return {"best_baseline": best, "block_weeks": usual, "blocks_weeks": blocks, "differences": found}


def of_period(
    refitted: Mapping[str, Array], once: Mapping[str, Array], ours: Sequence[str], truth: Array
) -> dict[str, Any]:
    """A rolling protocol on the test weeks of one that is fitted once; forecasts and truth (n, leads, modes).

    Gives what `of_all` does, `weeks`, `scores` of each method, and `less_once`: refitted less fitted once, by method
    and score. Skill is against the climatology fitted once.
    """
    climatology, weeks = once[REFERENCE], fitting(paired.BLOCK_WEEKS, len(truth))
    against = {**{name: values for name, values in refitted.items() if name not in ours}, REFERENCE: climatology}
    less_once = {
        name: _judged(paired.difference(refitted[name], once[name], truth, climatology, weeks)) for name in refitted
    }
    overall = {
        name: {
            "r2_mean": float(scores.r2(values, truth).mean()),
            "skill_clim": float(scores.skill_clim(values, truth, climatology).mean()),
        }
        for name, values in refitted.items()
    }
    shown = {name: {score: by[score] for score in overall[name]} for name, by in less_once.items()}
    of = of_all({name: refitted[name] for name in ours}, against, truth)
    return {"weeks": len(truth), "scores": overall, "less_once": shown, **of}


def fitting(weeks: int, record: int) -> int:
    """Length of blocks: at most a third of the record, of which one block would have no width."""
    return max(1, min(weeks, record // 3))


def _judged(intervals: Mapping[str, dict[str, float]]) -> dict[str, Any]:
    return {name: {**interval, "verdict": paired.verdict(interval)} for name, interval in intervals.items()}


def headline(found: Mapping[str, Any], method: str) -> str:
    """One method against the baseline that scores best on these test weeks, in words."""
    best, weeks = found["best_baseline"], str(found["block_weeks"])
    against = found["differences"][method][best]
    one = against[weeks]["r2_mean"]
    words = {"better": "is better than", "worse": "is worse than", "tie": "ties with"}[one["verdict"]]
    others = [
        f"{length} weeks {_interval(against[str(length)]['r2_mean'])}"
        for length in found["blocks_weeks"]
        if str(length) != weeks
    ]
    skill = against[weeks]["skill_clim"]
    return (
        f"`{method}` {words} `{best}`, the baseline that scores best on these test weeks: r2_mean "
        f"{one['difference']:+.4f}, 90 % interval {_interval(one)} (blocks of {weeks} weeks"
        + (f"; of {', of '.join(others)}" if others else "")
        + f"); skill_clim {skill['difference']:+.3f} {_interval(skill, 3)}, {_named(skill['verdict'])}."
    )


def _named(verdict: str) -> str:
    return {"better": "better", "worse": "worse", "tie": "a tie"}[verdict]


def _interval(one: Mapping[str, float], digits: int = 4) -> str:
    return f"[{one['low']:+.{digits}f}, {one['high']:+.{digits}f}]"


def table(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Rows of baselines: difference of r2_mean of each of ours, its interval and verdict."""
    weeks = str(found["block_weeks"])
    names = next(iter(found["differences"].values()))
    return [
        {"baseline": f"`{other}`"}
        | {f"`{name}`": cell(by[other][weeks]["r2_mean"]) for name, by in found["differences"].items()}
        for other in names
    ]


def cell(one: Mapping[str, Any]) -> str:
    """A difference with its interval and verdict."""
    return f"{one['difference']:+.3f} {_interval(one, 3)} {one['verdict']}"
