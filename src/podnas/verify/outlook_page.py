"""The outlook and its record as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podnas.verify.nino import EVENTS
from podnas.verify.outlook import OURS, PERSISTENCE, TO_BEAT

NAMES = {
    OURS: "**outlook**",
    PERSISTENCE: "persistence of CPC's anomaly",
    "anomaly_persistence": "persistence of our anomaly",
    "damped_persistence": "damped persistence",
    "autoregression": "AR(8)",
    "seasonal_autoregression": "AR(8) by season",
    "climatology": "climatology",
}


def outlook(title: str, found: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """The page of the forecast that the last weeks begin; record: that over past years."""
    history, stamp = found["history"], found["stamp"]
    return "\n".join(
        [
            f"# {title}",
            "",
            f"From the week of {history['week'][-1]}: {history['sst'][-1]:.1f} °C, CPC's anomaly "
            f"{history['anomaly'][-1]:+.1f} °C. Data: {stamp['data_kind']}. Fitted on "
            f"{stamp['train_windows']} windows, {stamp['train_period']}.",
            "",
            f"| week | SST (°C) | anomaly (°C) | 90 % interval | warm (≥ +{found['threshold']:g}) | cold "
            f"(≤ −{found['threshold']:g}) | CPC persistence | damped | AR(8) |",
            "|:--|--:|--:|:--|--:|--:|--:|--:|--:|",
            *(_lead(one) for one in found["leads"]),
            "",
            "Anomalies are departures from CPC's climatology of 1991 to 2020, for the reader: what is forecast is SST, "
            "from departures from the climatology of the training weeks. Weeks are named by their Wednesday.",
            "",
            "## What the spread is made of",
            "",
            "| lead | aleatoric | epistemic | truncation |",
            "|--:|--:|--:|--:|",
            *(
                f"| {one['lead']} | {_share(one, 'aleatoric')} | {_share(one, 'epistemic')} | none |"
                for one in found["leads"]
            ),
            "",
            f"Truncation: {found['truncation']}.",
            "",
            "Members: " + ", ".join(f"{name} {weight:.2f}" for name, weight in found["weights"].items()) + ".",
            "",
            *_table(record),
            "The method was settled with these years in sight, so their record is an upper estimate; weeks that were "
            "sealed until then, scored once, and what may be claimed on them: docs/outlook.md.",
        ]
    )


def _lead(one: Mapping[str, Any]) -> str:
    normal, quantiles, simple = one["climatology"], one["quantiles"], one["baselines"]
    shown = [simple[name] - normal for name in (PERSISTENCE, "damped_persistence", "autoregression")]
    return (
        f"| {one['week']} | {one['mean']:.2f} | {one['mean'] - normal:+.2f} | {quantiles['0.05'] - normal:+.2f} … "
        f"{quantiles['0.95'] - normal:+.2f} | {one['probability']['warm']:.2f} | {one['probability']['cold']:.2f} | "
        + " | ".join(f"{value:+.2f}" for value in shown)
        + " |"
    )


def _share(one: Mapping[str, Any], part: str) -> str:
    total = sum(one["variance"].values())
    return f"{one['variance'][part]:.4f} °C² ({100 * one['variance'][part] / total:.0f} %)"


def record(title: str, found: Mapping[str, Any]) -> str:
    """The page of past forecasts."""
    return "\n".join([f"# {title}: the record", "", *_table(found), *_paired(found), *_shape(found), *_events(found)])


def _table(found: Mapping[str, Any]) -> list[str]:
    stamp = found["stamp"]
    lines = [
        "## Record over past years",
        "",
        f"{found['windows']} forecasts, {stamp['test_period']}, by what was fitted on {stamp['train_period']}.",
        "",
    ]
    for score, name in (("rmse", "RMSE"), ("crps", "CRPS")):
        lines += [f"| {name} (°C) at lead | " + " | ".join(map(str, found["leads"])) + " |"]
        lines += ["|:--|" + "--:|" * len(found["leads"])]
        lines += [f"| {NAMES[one]} | {_row(found['scores'][one][score]['value'])} |" for one in NAMES]
        lines += ["", _claim(found, score, name), ""]
    return lines


def _row(values: Sequence[float]) -> str:
    return " | ".join(f"{value:.3f}" for value in values)


def _claim(found: Mapping[str, Any], score: str, name: str) -> str:
    leads = [str(lead) for lead, won in zip(found["leads"], found["claimed"][score], strict=True) if won]
    both = f"{NAMES[TO_BEAT[0]]} and {NAMES[TO_BEAT[1]]}"
    if not leads:
        return f"In {name}, no skill is claimed: at no lead are {both} both beaten (paired, 95 %)."
    return f"In {name}, skill is claimed at leads {', '.join(leads)}, where {both} are both beaten (paired, 95 %)."


def _paired(found: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Outlook less baseline, with 95 % intervals",
        "",
        f"Paired circular block bootstrap, blocks of {found['block_weeks']} weeks; below zero is better.",
        "",
    ]
    for score, name in (("rmse", "RMSE"), ("crps", "CRPS")):
        lines += [f"| {name} (°C) at lead | " + " | ".join(map(str, found["leads"])) + " |"]
        lines += ["|:--|" + ":--|" * len(found["leads"])]
        for other, one in found["against"].items():
            cells = zip(*(one[score][key] for key in ("value", "low", "high", "verdict")), strict=True)
            shown = (f"{value:+.3f} ({low:+.3f} … {high:+.3f}) {word}" for value, low, high, word in cells)
            lines += [f"| {NAMES[other]} | {' | '.join(shown)} |"]
        lines += [""]
    return lines


def _shape(found: Mapping[str, Any]) -> list[str]:
    ours = found["shape"][OURS]
    rows = {
        "90 % intervals hold": ours["coverage90"]["value"],
        "50 % intervals hold": ours["coverage50"]["value"],
        "spread / skill": ours["spread_skill"]["value"],
        "aleatoric variance (°C²)": ours["aleatoric"],
        "epistemic variance (°C²)": ours["epistemic"],
    }
    return [
        "## Calibration",
        "",
        "| at lead | " + " | ".join(map(str, found["leads"])) + " |",
        "|:--|" + "--:|" * len(found["leads"]),
        *(f"| {name} | {_row(values)} |" for name, values in rows.items()),
        "",
    ]


def _events(found: Mapping[str, Any]) -> list[str]:
    lines = ["## Warm and cold weeks", "", "Against logistic damped persistence; 95 % intervals.", ""]
    for event in EVENTS:
        lines += [
            f"| {event}, lead | base rate | Brier | skill against logistic | against base rate | AUC | its AUC |",
            "|:--|--:|--:|:--|:--|:--|--:|",
        ]
        for lead, one in zip(found["leads"], found["events"][event], strict=True):
            lines += [
                f"| {lead} | {one['base_rate']:.2f} | {one['brier']['value']:.3f} | "
                f"{_interval(one['brier_skill_reference'])} | {_interval(one['brier_skill_climatology'])} | "
                f"{_interval(one['auc'])} | {one['auc_reference']['value']:.3f} |"
            ]
        lines += [""]
    return lines


def _interval(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f} … {one['high']:.3f})"
