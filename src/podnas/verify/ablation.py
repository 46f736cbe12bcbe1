"""What each ingredient of the networks brings on held-out blocks, as JSON and text.

Blocks are scored together. What an ingredient brings is the score with all ingredients less that without it: of the
mean forecast of all members with an interval over weeks (paired circular block bootstrap), and of single members, which
are the same architectures with the same seeds, with an interval over these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from podnas import scores
from podnas.config import FULL
from podnas.verify import paired, repeated
from podnas.windows import Array

CLIMATOLOGY = "climatology"


def summary(made: xr.Dataset, networks: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> dict[str, Any]:
    """All numbers; made: forecast (setting, member, n, leads, modes), baseline and truth; networks: a record each."""
    truth = made.truth.values
    simple = {str(name): made.baseline.sel({"method": name}).values for name in made["method"].values}
    climatology = simple[CLIMATOLOGY]
    forecasts = {str(name): made.forecast.sel(group=name).values for name in made.group.values}
    full = forecasts[FULL]
    block_weeks = max(1, min(paired.BLOCK_WEEKS, len(truth) // 3))
    return {
        "windows": len(truth),
        "blocks": sorted({int(block) for block in made.block.values}),
        "members": int(made.sizes["replicate"]),
        "block_weeks": block_weeks,
        "baselines": {name: _score(values, truth, climatology) for name, values in simple.items()},
        "settings": [
            {
                "setting": name,
                "single": _single(values, truth, climatology),
                "ensemble": _score(values.mean(axis=0), truth, climatology),
                "by_size": {str(size): by_size(values, truth, size) for size in sizes},
                **_trained([one for one in networks if one["setting"] == name]),
                **({} if name == FULL else brought(full, values, truth, climatology, block_weeks)),
            }
            for name, values in forecasts.items()
        ],
    }


def _score(forecast: Array, truth: Array, climatology: Array) -> dict[str, float]:
    return {
        "r2_mean": float(scores.r2(forecast, truth).mean()),
        "skill_clim": float(scores.skill_clim(forecast, truth, climatology).mean()),
    }


def _single(values: Array, truth: Array, climatology: Array) -> dict[str, float]:
    found = [_score(one, truth, climatology) for one in values]
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def _trained(networks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {
        "mean_epoch": float(np.mean([one["best_epoch"] for one in networks])),
        "seconds": float(sum(one["seconds"] for one in networks)),
    }


def by_size(values: Array, truth: Array, size: int) -> float:
    """r2_mean of the mean forecast of so many members: mean over all runs of so many neighbours on their circle."""
    members = len(values)
    starts = range(members if size < members else 1)
    runs = [values[np.arange(start, start + size) % members] for start in starts]
    return float(np.mean([scores.r2(run.mean(axis=0), truth).mean() for run in runs]))


def brought(full: Array, without: Array, truth: Array, climatology: Array, block_weeks: int) -> dict[str, Any]:
    """Full less without, of the mean forecasts and of single members."""
    of_ensemble = paired.difference(full.mean(axis=0), without.mean(axis=0), truth, climatology, block_weeks)
    single = [np.array([_score(one, truth, climatology)["r2_mean"] for one in values]) for values in (full, without)]
    return {
        "brings": {
            "ensemble": {name: {**one, "verdict": paired.verdict(one)} for name, one in of_ensemble.items()},
            "single": {"r2_mean": repeated.compared(*single)},
        }
    }


def page(found: Mapping[str, Any]) -> str:
    """The ingredients as Markdown."""
    seconds = sum(one["seconds"] for one in found["settings"])
    networks = found["members"] * len(found["blocks"]) * len(found["settings"])
    lines = [
        "## Ingredients",
        "",
        f"{found['members']} random architectures, the same with the same seeds in each setting; each of the blocks "
        f"{', '.join(map(str, found['blocks']))} is forecast by networks that were neither fitted on it nor stopped by "
        f"it, and all {found['windows']} windows are scored together. `{FULL}` has all ingredients; each other row is "
        "one change.",
        "",
        _settings_table(found),
        "",
        "Single: mean score of single networks; mean: score of their mean forecast. What the ingredient brings is full "
        "less changed, so that more than 0 speaks for it: of mean forecasts with the 90 % interval over weeks (paired "
        f"circular block bootstrap, blocks of {found['block_weeks']} weeks), of single networks with the 90 % interval "
        "over architectures and p of Wilcoxon's signed-rank test. Epoch: the one kept, mean.",
        "",
        "### By the number of members (r2_mean)",
        "",
        _sizes_table(found["settings"]),
        "",
        f"Cost: {networks} networks, {seconds:.0f} core-seconds of training.",
    ]
    return "\n".join(lines) + "\n"


def _settings_table(found: Mapping[str, Any]) -> str:
    rows = []
    for one in found["settings"]:
        row = {
            "setting": f"`{one['setting']}`",
            "single": f"{one['single']['r2_mean']:.3f}",
            "mean": f"{one['ensemble']['r2_mean']:.3f}",
            "skill_clim of the mean": f"{one['ensemble']['skill_clim']:.3f}",
            "epoch": f"{one['mean_epoch']:.0f}",
        }
        if "brings" in one:
            mean, single = one["brings"]["ensemble"]["r2_mean"], one["brings"]["single"]["r2_mean"]
            row["brings, mean"] = (
                f"{mean['difference']:+.3f} [{mean['low']:+.3f}, {mean['high']:+.3f}] {mean['verdict']}"
            )
            row["brings, single"] = (
                f"{single['mean']:+.3f} [{single['low']:+.3f}, {single['high']:+.3f}] {single['verdict']}, "
                f"p {single['p_wilcoxon']:.3f}"
            )
        rows.append(row)
    for name, score in found["baselines"].items():
        rows.append(
            {
                "setting": f"`{name}`, no network",
                "mean": f"{score['r2_mean']:.3f}",
                "skill_clim of the mean": f"{score['skill_clim']:.3f}",
            }
        )
    return str(pd.DataFrame(rows).fillna("").to_markdown(index=False, disable_numparse=True))


def _sizes_table(settings: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        {"setting": f"`{one['setting']}`", **{size: f"{score:.3f}" for size, score in one["by_size"].items()}}
        for one in settings
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))
