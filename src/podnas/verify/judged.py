"""What searches bring, as JSON and text: their choice by validation scored on a block that they never touched.

A block may be easier than another, so a score on one is set against the mean of all trials of random search on the same
block: what a search gains on the block that it validates by is *apparent*, what it gains on the untouched one is
*real*, and the rest, which is the winner's curse, comes from choosing the largest of many uncertain scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from podnas.verify import repeated
from podnas.windows import Array

RANDOM = "random"
BLOCKS = ("validation", "untouched")
PICKS = {
    "best": "the best trial by validation",
    "top": "mean score of the best {top}",
    "averaged": "mean forecast of the best {top}",
}
GAINS = ("optimism", "apparent_gain", "real_gain", "curse")
SCOPE = (
    "Intervals (90 %, bootstrap over searches) say what other seeds would give on the same blocks of the same training "
    "period; they do not hold what other years would."
)


def summary(trials: pd.DataFrame, searches: Sequence[Mapping[str, Any]], top: int) -> dict[str, Any]:
    """All numbers of the searches.

    trials: a row each, with algorithm, search (its number), loss (NaN where it failed), and r2_mean on both blocks;
    searches: one each, with algorithm, search and the scores of its best trials' mean forecast.
    """
    rows = dict(list(trials.groupby(["search", "algorithm"], sort=True)))
    about = {(one["search"], one["algorithm"]): one for one in searches}
    numbers = sorted(map(int, trials.search.unique()))
    algorithms = list(dict.fromkeys(one["algorithm"] for one in searches))
    finished = {key: ranked(found) for key, found in rows.items()}
    random = {block: np.array([finished[n, RANDOM][f"{block}_r2"].mean() for n in numbers]) for block in BLOCKS}
    scored = {
        name: _over_picks([chosen(finished[n, name], about[n, name]["averaged"], top) for n in numbers])
        for name in algorithms
    }
    return {
        "top": top,
        "searches": [
            {
                **one,
                "trials": len(rows[one["search"], one["algorithm"]]),
                "failed": int(rows[one["search"], one["algorithm"]].loss.isna().sum()),
                "seconds": float(rows[one["search"], one["algorithm"]].seconds.sum()),
                "chosen": chosen(finished[one["search"], one["algorithm"]], one["averaged"], top),
                "random": {block: float(random[block][numbers.index(one["search"])]) for block in BLOCKS},
            }
            for one in searches
        ],
        "random_architecture": {
            **{block: repeated.described(random[block]) for block in BLOCKS},
            "sd_of_trials": {
                block: float(np.mean([finished[n, RANDOM][f"{block}_r2"].std(ddof=0) for n in numbers]))
                for block in BLOCKS
            },
            "rank_correlation": repeated.described(np.array([rank_correlation(finished[n, RANDOM]) for n in numbers])),
        },
        "algorithms": {
            name: {pick: gains(of_pick, random) for pick, of_pick in picks.items()} for name, picks in scored.items()
        },
        "against_random": {
            name: {
                pick: {block: repeated.compared(picks[pick][block], scored[RANDOM][pick][block]) for block in BLOCKS}
                for pick in picks
            }
            for name, picks in scored.items()
            if name != RANDOM
        },
        "trajectories": {name: trajectory([finished[n, name] for n in numbers]) for name in algorithms},
    }


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Trials that have finished, the best by validation first; of equal ones the one that was asked for first."""
    return rows.dropna(subset=["loss"]).sort_values(["loss", "number"], ignore_index=True)


def chosen(best_first: pd.DataFrame, averaged: Mapping[str, float], top: int) -> dict[str, dict[str, float]]:
    """Scores on both blocks of what a search chooses, by PICKS."""
    return {
        "best": {block: float(best_first[f"{block}_r2"].iloc[0]) for block in BLOCKS},
        "top": {block: float(best_first[f"{block}_r2"].iloc[:top].mean()) for block in BLOCKS},
        "averaged": {block: float(averaged[block]) for block in BLOCKS},
    }


def _over_picks(found: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, Array]]:
    """By pick and block, a number for each search."""
    return {pick: {block: np.array([one[pick][block] for one in found]) for block in BLOCKS} for pick in PICKS}


def gains(of_pick: Mapping[str, Array], random: Mapping[str, Array]) -> dict[str, dict[str, float]]:
    """Scores of what was chosen, and what is left of its lead over a random architecture; a number for each search.

    optimism: score on the validation block less that on the untouched one, blocks being as hard as they are. The gains
    are those over the mean random architecture on the same block, and the curse their difference.
    """
    apparent, real = (of_pick[block] - random[block] for block in BLOCKS)
    made = {
        **of_pick,
        "optimism": of_pick["validation"] - of_pick["untouched"],
        "apparent_gain": apparent,
        "real_gain": real,
        "curse": apparent - real,
    }
    return {name: repeated.described(values) for name, values in made.items()}


def rank_correlation(rows: pd.DataFrame) -> float:
    """Spearman's correlation of the scores of trials on both blocks; 0 where one of them is constant."""
    if min(rows[f"{block}_r2"].nunique() for block in BLOCKS) < 2:
        return 0.0
    return float(stats.spearmanr(rows["validation_r2"], rows["untouched_r2"]).statistic)


def trajectory(searches: Sequence[pd.DataFrame]) -> dict[str, list[float]]:
    """Mean over searches of the best validation score so far, and of the same network's on the untouched block.

    By the number of finished trials, as far as every search has come.
    """
    many = min(map(len, searches))
    best = []
    for rows in searches:
        in_time = rows.sort_values("number", ignore_index=True).iloc[:many]
        better = in_time.loss < in_time.loss.cummin().shift(fill_value=np.inf)
        best.append(in_time.iloc[np.maximum.accumulate(np.where(better, in_time.index, 0))])
    return {block: np.mean([one[f"{block}_r2"] for one in best], axis=0).tolist() for block in BLOCKS}


def page(found: Mapping[str, Any]) -> str:
    """The searches as Markdown."""
    first, top = found["searches"][0], found["top"]
    random = found["random_architecture"]
    pairs = sorted({(one["validated"], one["untouched"]) for one in found["searches"]})
    numbers = 1 + max(one["search"] for one in found["searches"])
    lines = [
        "## Searches",
        "",
        f"{numbers} searches of each algorithm, {first['trials']} trials each ({_told_failed(found['searches'])}), "
        "those of one number with the same seed, the same first random trials and the same blocks "
        f"(validated by → untouched: {', '.join(f'{a} → {b}' for a, b in pairs)}; {first['fitted_windows']} windows "
        f"fitted on in the first). The untouched block is scored when a search is over. {SCOPE}",
        "",
        _gains_table(found),
        "",
        "r2_mean, mean over searches [interval]. Optimism: validation less untouched, of which part is that one block "
        "is harder than another. Gains are those over the mean trial of random search on the same block: apparent "
        "where trials are validated, real on the untouched block; the winner's curse is what is apparent only.",
        "",
        f"Of random trials of one search the scores spread by {random['sd_of_trials']['validation']:.3f} (validation) "
        f"and {random['sd_of_trials']['untouched']:.3f} (untouched), and the ranks on both blocks correlate by "
        f"{random['rank_correlation']['mean']:.2f} [{random['rank_correlation']['low']:.2f}, "
        f"{random['rank_correlation']['high']:.2f}] (Spearman).",
        "",
        "### Against random search",
        "",
        _against_table(found, top),
        "",
        "Less random search of the same number, mean over searches [interval]; p: Wilcoxon's signed-rank test.",
        "",
        f"Cost: {_cost(found['searches'])}.",
    ]
    return "\n".join(lines) + "\n"


def _told_failed(searches: Sequence[Mapping[str, Any]]) -> str:
    failed = sum(one["failed"] for one in searches)
    return f"{failed} of all failed" if failed else "none failed"


def _gains_table(found: Mapping[str, Any]) -> str:
    random = found["random_architecture"]
    rows = [{"": "a random architecture", **{block: _told(random[block]) for block in BLOCKS}}]
    for name, picks in found["algorithms"].items():
        for pick, words in PICKS.items():
            one = picks[pick]
            rows.append(
                {
                    "": f"{name}: {words.format(top=found['top'])}",
                    **{block: _told(one[block]) for block in BLOCKS},
                    **{gain.replace("_", " "): _told(one[gain], "+") for gain in GAINS},
                }
            )
    return str(pd.DataFrame(rows).fillna("").to_markdown(index=False, disable_numparse=True))


def _against_table(found: Mapping[str, Any], top: int) -> str:
    rows = [
        {
            "": f"{name}: {PICKS[pick].format(top=top)}",
            **{
                f"{block}, p": f"{_told(one[block], '+')} {one[block]['verdict']}, {one[block]['p_wilcoxon']:.3f}"
                for block in BLOCKS
            },
            "ahead, untouched": f"{one['untouched']['more']} of {one['untouched']['of']}",
        }
        for name, picks in found["against_random"].items()
        for pick, one in picks.items()
    ]
    if not rows:
        return "No other algorithm was asked for."
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def _told(one: Mapping[str, float], sign: str = "") -> str:
    return f"{one['mean']:{sign}.3f} [{one['low']:{sign}.3f}, {one['high']:{sign}.3f}]"


def _cost(searches: Sequence[Mapping[str, Any]]) -> str:
    seconds: dict[str, float] = {}
    for one in searches:
        seconds[one["algorithm"]] = seconds.get(one["algorithm"], 0.0) + one["seconds"]
    trials = sum(one["trials"] for one in searches)
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    return f"{trials} networks, {sum(seconds.values()):.0f} core-seconds of training ({parts})"


def title(text: str, found: Mapping[str, Any]) -> str:
    """How the page begins."""
    stamp = found["stamp"]
    return (
        f"# Searches and ingredients, judged: {text}\n\nAll of it is inside the training period "
        f"{stamp['train_period']} of protocol {stamp['protocol']}; no test week is read. "
        f"Coefficients: {stamp['coefficients']}.\n\n"
    )
