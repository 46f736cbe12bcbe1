"""Chances of events by classifiers, on test weeks: the fusion study's table, and skill and value at each lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podnas.verify import differences, occurrence, paired
from podnas.verify.probabilistic import interval, with_record
from podnas.windows import Array

LOGISTIC, TREND, PLAIN = "logistic", "trend", "plain"
ROWS = {
    LOGISTIC: "logistic damped persistence",
    TREND: "climatology with a trend",
    PLAIN: "plain network",
    "best": "best model",
    "top_k": "top-k",
    "caruana": "Caruana",
    "gradient": "gradient",
}
VALUED = ("0.1", "0.3", "0.5")  # ratios of cost to loss in the page


def summary(
    chances: Mapping[str, Array], outcome: Array, base: Array, costs: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """All numbers of one event; chances: of each method (n, leads), one of them LOGISTIC; base: base rates (n, leads).

    costs: of each method, inference_seconds, parameters, models, fit_seconds, held_cross_entropy, of networks
    epistemic_share. Raises ValueError where a lead has one class.
    """
    leads = range(outcome.shape[1])
    by_lead = {
        name: [
            occurrence.summary(one[:, lead], outcome[:, lead], chances[LOGISTIC][:, lead], base[:, lead])
            for lead in leads
        ]
        for name, one in chances.items()
    }
    return {
        "windows": len(outcome),
        "base_rate_test": float(outcome.mean()),
        "base_rate_train": float(base.mean()),
        "table": {name: {**_over_leads(by_lead[name]), **costs[name]} for name in chances},
        "against_plain": {name: _less(one, chances[PLAIN], outcome) for name, one in chances.items() if name != PLAIN},
        "leads": by_lead,
    }


def _over_leads(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {
        score: float(np.mean([one[score]["value"] for one in found]))
        for score in ("auc", "balanced_cross_entropy", "brier", "brier_skill_reference")
    }


def _less(ours: Array, theirs: Array, outcome: Array) -> dict[str, Any]:
    """Ours less theirs in Brier score, mean over leads, with its interval: below zero is better."""
    apart = (occurrence.brier(ours, outcome) - occurrence.brier(theirs, outcome)).mean(axis=1)
    drawn = with_record(len(apart), differences.fitting(paired.BLOCK_WEEKS, len(apart)))
    made = interval(drawn @ apart / drawn.sum(axis=1))
    return {**made, "verdict": paired.verdict({"low": -made["high"], "high": -made["low"]})}


def page(title: str, found: Mapping[str, Any]) -> str:
    """Markdown: the table, then skill and value by lead, of each event."""
    lines = [f"# {title}", "", f"Data: {found['stamp']['data_kind']}. {found['definition']} {found['search']}", ""]
    for event, one in found["events"].items():
        plain = one["table"][PLAIN]["fit_seconds"]
        lines += [
            f"## {event}: {one['windows']} test forecasts, base rate {one['base_rate_test']:.3f} "
            f"(training {one['base_rate_train']:.3f})",
            "",
            "| | test AUC | balanced cross-entropy | ms a forecast | parameters | models | fit time × plain network "
            "| held-out cross-entropy | epistemic share |",
            "|:--|--:|--:|--:|--:|--:|--:|--:|--:|",
            *(_row(name, one["table"][name], plain) for name in ROWS),
            "",
            "Means over leads. Parameters and times are those of all fits of a network; the held-out cross-entropy, "
            "which chose ensembles and calibrations, is that of the blocks of training weeks left out. Epistemic "
            "share: of the variance p (1 - p) of the pooled chances, how much is what fits disagree about.",
            "",
            "Brier skill against logistic damped persistence at each lead, with 95 % intervals:",
            "",
            "| lead | " + " | ".join(ROWS[name] for name in ROWS if name != LOGISTIC) + " |",
            "|--:|" + ":--|" * (len(ROWS) - 1),
            *(_skill(one["leads"], lead) for lead in range(len(one["leads"][LOGISTIC]))),
            "",
            "Economic value at ratios of cost to loss of " + ", ".join(VALUED) + ", Caruana (logistic):",
            "",
            "| lead | " + " | ".join(VALUED) + " |",
            "|--:|" + "--:|" * len(VALUED),
            *(_value(one["leads"], lead) for lead in range(len(one["leads"][LOGISTIC]))),
            "",
        ]
    return "\n".join(lines)


def _row(name: str, one: Mapping[str, float], plain: float) -> str:
    share = f"{one['epistemic_share']:.2f}" if "epistemic_share" in one else "–"
    return (
        f"| {ROWS[name]} | {one['auc']:.3f} | {one['balanced_cross_entropy']:.3f} | "
        f"{1000 * one['inference_seconds']:.3f} | {one['parameters']:.0f} | {one['models']:.0f} | "
        f"{one['fit_seconds'] / plain:.2g} | {one['held_cross_entropy']:.3f} | {share} |"
    )


def _skill(leads: Mapping[str, Sequence[Mapping[str, Any]]], lead: int) -> str:
    cells = (leads[name][lead]["brier_skill_reference"] for name in ROWS if name != LOGISTIC)
    return (
        f"| {lead + 1} | "
        + " | ".join(f"{one['value']:.3f} ({one['low']:.3f} … {one['high']:.3f})" for one in cells)
        + " |"
    )


def _value(leads: Mapping[str, Sequence[Mapping[str, Any]]], lead: int) -> str:
    ours, simple = leads["caruana"][lead]["value"], leads[LOGISTIC][lead]["value"]
    return f"| {lead + 1} | " + " | ".join(f"{ours[ratio]:.2f} ({simple[ratio]:.2f})" for ratio in VALUED) + " |"
