"""What a transfer study has shown: groups of networks against one another and the baselines, as JSON and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from podnas import scores
from podnas.verify import coefficients, paired
from podnas.windows import Array, Scaler

REFERENCE = "climatology"
OTHER_BLOCKS = (26, 104)  # weeks, as sensitivity
SEEDS = 0  # of the bootstrap over replicates
METRICS = ("r2_mean", "skill_clim", "skill_lead_1")
BY_LEAD = ("by_lead", "pooled_by_lead")

Scores = dict[str, Any]


def summary(
    test: xr.Dataset,
    truth: xr.DataArray,
    simple: Mapping[str, xr.DataArray],
    validation: xr.Dataset,
    standard: Scaler,
) -> dict[str, Any]:
    """All numbers of the study.

    test, validation: as `artifacts` reads them; truth and simple (method to forecast): of the test windows. Scores are
    of coefficients standardised by their training sigma. `single` is the mean score of a replicate's networks, one
    number a replicate; `ensemble` the score of the mean of all networks of a group.
    """
    made = {name: standard.forward(one.values) for name, one in simple.items()}
    target = standard.forward(truth.values)
    networks = {str(group): standard.forward(test.forecast.sel(group=group).values) for group in test.group.values}
    ensembles = {group: values.mean(axis=(0, 1)) for group, values in networks.items()}
    climatology = made[REFERENCE]
    best = max(made, key=lambda name: float(scores.r2(made[name], target).mean()))
    return {
        "validation": _validation(validation, standard),
        "test": {
            "single": {
                group: _replicates(values, target, climatology, standard.scale) for group, values in networks.items()
            },
            "ensemble": _scored(ensembles, target, climatology, standard.scale),
            "baselines": _scored(made, target, climatology, standard.scale),
        },
        "best_baseline": best,
        "between_groups": _between_groups(networks, ensembles, target, climatology, standard.scale),
        "from_baselines": {
            group: {name: _intervals(values, other, target, climatology) for name, other in made.items()}
            for group, values in ensembles.items()
        },
        "from_best_baseline": {
            group: {
                str(weeks): _intervals(values, made[best], target, climatology, weeks)
                for weeks in (*OTHER_BLOCKS, paired.BLOCK_WEEKS)
            }
            for group, values in ensembles.items()
        },
    }


def score(forecast: Array, truth: Array, climatology: Array, scale: Array) -> Scores:
    """r2_mean, skill_clim, the latter at lead 1, and by lead (means over modes); by lead pooled over modes, too."""
    skill = scores.skill_clim(forecast, truth, climatology)
    by_lead = [float(value) for value in skill.mean(axis=1)]
    return {
        "r2_mean": float(scores.r2(forecast, truth).mean()),
        "skill_clim": float(skill.mean()),
        "skill_lead_1": by_lead[0],
        "by_lead": by_lead,
        "pooled_by_lead": coefficients.skill_pooled(forecast, truth, climatology, scale).tolist(),
    }


def _scored(forecasts: Mapping[str, Array], truth: Array, climatology: Array, scale: Array) -> dict[str, Scores]:
    return {name: score(values, truth, climatology, scale) for name, values in forecasts.items()}


def _mean(found: Sequence[Scores]) -> Scores:
    return {
        name: np.mean([one[name] for one in found], axis=0).tolist()
        if name in BY_LEAD
        else float(np.mean([one[name] for one in found]))
        for name in found[0]
    }


def _replicates(values: Array, truth: Array, climatology: Array, scale: Array) -> list[Scores]:
    """Mean score of the networks of each replicate; values (replicate, member, n, leads, modes)."""
    return [_mean([score(one, truth, climatology, scale) for one in members]) for members in values]


def _validation(held: xr.Dataset, standard: Scaler) -> dict[str, Any]:
    truth = standard.forward(held.truth.values)
    made = {str(name): standard.forward(held.baseline.sel({"method": name}).values) for name in held["method"].values}
    groups = {str(group): standard.forward(held.forecast.sel(group=group).values) for group in held.group.values}
    climatology = made[REFERENCE]
    return {
        "single": {
            group: [score(one, truth, climatology, standard.scale) for one in values]
            for group, values in groups.items()
        },
        "ensemble": _scored(
            {group: values.mean(axis=0) for group, values in groups.items()}, truth, climatology, standard.scale
        ),
        "baselines": _scored(made, truth, climatology, standard.scale),
        "windows": len(truth),
    }


def _intervals(
    ours: Array, theirs: Array, truth: Array, climatology: Array, block_weeks: int = paired.BLOCK_WEEKS
) -> dict[str, Any]:
    """With blocks of at most a third of the record: a resample of one block is the record itself."""
    found = paired.difference(ours, theirs, truth, climatology, max(1, min(block_weeks, len(truth) // 3)))
    return {name: {**interval, "verdict": paired.verdict(interval)} for name, interval in found.items()}


def _between_groups(
    networks: Mapping[str, Array], ensembles: Mapping[str, Array], truth: Array, climatology: Array, scale: Array
) -> list[dict[str, Any]]:
    by_replicate = {group: _replicates(values, truth, climatology, scale) for group, values in networks.items()}
    return [
        {
            "groups": [first, second],
            "single": {name: _over_seeds(by_replicate[first], by_replicate[second], name) for name in METRICS},
            "ensemble": _intervals(ensembles[first], ensembles[second], truth, climatology),
        }
        for first, second in combinations(networks, 2)
    ]


def _over_seeds(ours: Sequence[Scores], theirs: Sequence[Scores], metric: str) -> dict[str, Any]:
    """Paired differences over replicates: mean, 90 % bootstrap interval, Wilcoxon's signed-rank test."""
    differences = np.array([one[metric] - other[metric] for one, other in zip(ours, theirs, strict=True)])
    random = np.random.default_rng(SEEDS)
    means = differences[random.integers(len(differences), size=(paired.RESAMPLES, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - paired.LEVEL) / 2, (1 + paired.LEVEL) / 2])
    interval = {"difference": float(differences.mean()), "low": float(low), "high": float(high)}
    p = float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0
    return {**interval, "p_wilcoxon": p, "verdict": paired.verdict(interval)}


def page(title: str, found: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """The study as Markdown; labels: words for the groups."""
    stamp, recipe = found["stamp"], found["recipe"]
    count = len(found["test"]["single"]["random"])
    members = len(found["architectures"]["random"])
    parts = [
        f"# Transfer: {title}",
        "",
        f"Coefficients: {stamp['coefficients']}. Fields: {stamp['data_kind']}. Train {stamp['train_period']} "
        f"({stamp['train_windows']} windows), test {stamp['test_period']} ({stamp['test_windows']} windows). "
        f"Each group: {members} architectures, trained {count} times with seeds paired among groups "
        f"({recipe['epochs']} epochs at most, the best by a held-out block kept"
        + (f"; networks correct {recipe['settings']['corrects']}" if recipe["settings"]["corrects"] else "")
        + ").",
        "",
        "## Test",
        "",
        "`skill_clim` and its leads: means over modes, of which all count alike. Pooled: errors summed over modes, in "
        "the coefficients' own units, before the ratio.",
        "",
        _table(found["test"], labels),
        "",
        _verdicts(found, labels),
        "",
        f"## Validation: the blocks held out inside the training period ({found['validation']['windows']} windows)",
        "",
        "The epoch of each network was chosen on the block that it is scored on here, which flatters networks.",
        "",
        _table(found["validation"], labels),
        "",
        "## Groups against one another, on the test weeks",
        "",
        _groups_table(found["between_groups"], labels),
        "",
        "Single networks: means over seeds, 90 % bootstrap interval over seeds, Wilcoxon's signed-rank test. "
        f"Ensembles: 90 % interval of the paired circular block bootstrap, blocks of {paired.BLOCK_WEEKS} "
        "weeks of initial dates.",
        "",
        "## Ensembles against every baseline, on the test weeks (skill_clim)",
        "",
        _baselines_table(found["from_baselines"], labels),
    ]
    return "\n".join(parts) + "\n"


def _row(name: str, found: Mapping[str, Any], spread: float | None = None) -> dict[str, Any]:
    leads = {f"lead {lead}": value for lead, value in enumerate(found["by_lead"], start=1)}
    # adding 0 makes −0 a 0
    pooled = {f"pooled, lead {lead}": found["pooled_by_lead"][lead - 1] for lead in (1, 2)}
    numbers = {"r2_mean": found["r2_mean"], "skill_clim": found["skill_clim"], **leads, **pooled}
    shown = {key: f"{round(value, 3) + 0:.3f}" for key, value in numbers.items()}
    return {"forecast": name, **shown, "sd over seeds (skill_clim)": "" if spread is None else f"{spread:.4f}"}


def _table(found: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    rows: list[tuple[str, Scores, float | None]] = []
    for group, replicates in found["single"].items():
        rows.append((f"{labels[group]}: ensemble", found["ensemble"][group], None))
        spread = float(np.std([one["skill_clim"] for one in replicates], ddof=1))
        rows.append((f"{labels[group]}: single networks, mean", _mean(replicates), spread))
    rows += [(f"`{name}`", one, None) for name, one in found["baselines"].items()]
    rows.sort(key=lambda row: -row[1]["skill_clim"])
    return str(pd.DataFrame([_row(*row) for row in rows]).to_markdown(index=False, disable_numparse=True))


def _verdicts(found: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    best, lines = found["best_baseline"], []
    for group, by_weeks in found["from_best_baseline"].items():
        against = found["from_baselines"][group]
        lost = [name for name, one in against.items() if one["skill_clim"]["verdict"] == "worse"]
        told = "; ".join(
            f"{weeks} weeks: {_interval(one['r2_mean'])}" for weeks, one in sorted(by_weeks.items(), key=_weeks)
        )
        ours, damped = found["test"]["ensemble"][group], found["test"]["baselines"]["damped_persistence"]
        lines.append(
            f"- {labels[group]}, ensemble: {by_weeks[max(by_weeks, key=_is_usual)]['r2_mean']['verdict']} against "
            f"`{best}`, the baseline that scores best on these test weeks (r2_mean, by length of blocks: {told}). "
            f"Worse in skill_clim than: {', '.join(lost) or 'none'}. Skill at lead 1: "
            f"{ours['skill_lead_1']:.3f} (damped persistence {damped['skill_lead_1']:.3f}), pooled over modes "
            f"{ours['pooled_by_lead'][0]:.3f} ({damped['pooled_by_lead'][0]:.3f})."
        )
    return "\n".join(lines)


def _weeks(item: tuple[str, Any]) -> int:
    return int(item[0])


def _is_usual(weeks: str) -> bool:
    return int(weeks) == paired.BLOCK_WEEKS


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def _groups_table(between: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> str:
    rows = [
        {
            "difference": " − ".join(labels[group] for group in one["groups"]),
            "of": metric,
            "single networks": _interval(one["single"][metric]),
            "p": f"{one['single'][metric]['p_wilcoxon']:.3f}",
            "ensembles": f"{_interval(one['ensemble'][metric])} {one['ensemble'][metric]['verdict']}",
        }
        for one in between
        for metric in METRICS
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def _baselines_table(found: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    names = next(iter(found.values()))
    rows = [
        {
            "baseline": f"`{name}`",
            **{
                labels[group]: f"{_interval(against[name]['skill_clim'])} {against[name]['skill_clim']['verdict']}"
                for group, against in found.items()
            },
        }
        for name in names
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))
