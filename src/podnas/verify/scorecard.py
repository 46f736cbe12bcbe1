"""The scorecard: every method beside every figure that was reported, as JSON and as a page to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from podnas.data import variables
from podnas.verify import differences, regional, reported

HEADLINE = {
    "r2_mean_train": ("train", "r2_mean"),
    "r2_mean_test": ("test", "r2_mean"),
    "r2_pooled_test": ("test", "r2_pooled"),
    "skill_clim_test": ("test", "skill_clim"),
    "acc_test": ("test", "acc"),
}


def rows(
    tables: Mapping[str, pd.DataFrame], found: Mapping[str, Mapping[str, Any]], with_reported: bool
) -> list[dict[str, Any]]:
    """One entry per method and protocol, ours and as reported; a score that does not exist is null.

    found: of each protocol, what `differences.of_all` gave. Entries of what is compared with the baselines have
    `best_baseline`, `block_weeks` and `differences`: by baseline and length of blocks (weeks).
    """
    ours = [
        {"method": method, "protocol": protocol, **_headline(scores), "source": "ours"}
        | _differences(found.get(protocol, {}), str(method))
        for protocol, table in tables.items()
        for method, scores in table.groupby("method", sort=False)
    ]
    if not with_reported:
        return ours
    missing = dict.fromkeys(HEADLINE)
    theirs = [
        {**missing, "r2_mean_train": train, "r2_mean_test": test, "method": method, "protocol": "short"}
        for method, train, test in reported.SC20
    ]
    return ours + [{**row, "source": "as reported"} for row in theirs]


def _headline(scores: pd.DataFrame) -> dict[str, float | None]:
    overall = scores[(scores.lead == 0) & (scores["mode"] == 0)].set_index(["period", "metric"])["value"]
    return {name: float(overall[key]) if key in overall.index else None for name, key in HEADLINE.items()}


def _differences(found: Mapping[str, Any], method: str) -> dict[str, Any]:
    if method not in found.get("differences", {}):
        return {}
    about = {key: found[key] for key in ("best_baseline", "block_weeks")}
    return {**about, "differences": found["differences"][method]}


def page(
    title: str,
    entries: Sequence[Mapping[str, Any]],
    protocols: Sequence[Mapping[str, Any]],
    notes: str,
    with_reported: bool,
) -> str:
    """The scorecard as Markdown: a table, a verdict and costs per protocol, notes; last, region scores by lead.

    Each protocol gives name, stamp, looks (of the ledger), table (tidy scores), found (differences), regions (those of
    RMSE by lead), stacks (records of the complete system, by fit), catalogues (of the networks of each ensemble; of a
    rolling protocol those of all refits).
    """
    parts = [f"# {title}", ""]
    for protocol in protocols:
        mine = [entry for entry in entries if entry["protocol"] == protocol["name"]]
        stamp, looks = protocol["stamp"], _looks(*protocol["looks"])
        parts += [f"## Protocol {protocol['name']}", "", _heading(stamp), "", _table(mine), ""]
        parts += [
            _verdicts(protocol["found"]),
            "",
            *_periods(protocol["found"]),
            *_stacks(protocol["stacks"]),
            _costs(protocol["catalogues"], stamp),
            "",
            looks,
            "",
        ]
    unit = _variable(protocols[0]["stamp"]).unit
    parts += [notes, "", f"## In {'degrees Celsius' if unit == '°C' else unit}", ""]
    parts += [_regions(protocol) for protocol in protocols]
    return "\n".join(parts + ([_reported_region()] if with_reported else [])).rstrip() + "\n"


def _looks(looks: int, forecasts: int) -> str:
    return (
        f"Since this results folder was made, test weeks of this protocol were read {looks} time(s), by protocols that "
        f"share weeks with it too, and {forecasts} forecasts were scored on them."
    )


def _heading(stamp: Mapping[str, Any]) -> str:
    joins = stamp["windows_across_joins"]
    crossing = f"; {joins} more cross a join of the archive and are left out" if joins else ""
    return (
        f"Coefficients: {stamp['coefficients']}. Fields: {stamp['data_kind']}. "
        f"Train {stamp['train_period']} ({stamp['train_windows']} windows{crossing}), "
        f"test {stamp['test_period']} ({stamp['test_windows']} windows). Seeds: {stamp['seeds']}."
    )


def _table(entries: Sequence[Mapping[str, Any]]) -> str:
    frame = pd.DataFrame(entries).sort_values("r2_mean_test", ascending=False)
    shown = frame[["method", *HEADLINE, "source"]].rename(columns={"acc_test": "anomaly_correlation_test"})
    text: str = shown.to_markdown(index=False, floatfmt=".3f", missingval="–")
    return text.replace("nan", "–")


def _verdicts(found: Mapping[str, Any]) -> str:
    lines = [f"- {differences.headline(found, method)}" for method in found["differences"]]
    text = (
        f"Differences of r2_mean from every baseline, 90 % intervals of the paired circular block bootstrap (blocks of "
        f"{found['block_weeks']} weeks of initial dates, 2,000 resamples):"
    )
    table = pd.DataFrame(differences.table(found)).to_markdown(index=False, disable_numparse=True)
    return "\n".join([*lines, "", text, "", table])


def _periods(found: Mapping[str, Any]) -> list[str]:
    """Of a rolling protocol: its scores on the test weeks of each one fitted once, and what the refits bring there."""
    parts = []
    for name, part in found.get("periods", {}).items():
        rows = [
            {
                "method": f"`{method}`",
                **{score: f"{value:.3f}" for score, value in part["scores"][method].items()},
                **{
                    f"{score}, less fitted once": differences.cell(one)
                    for score, one in part["less_once"][method].items()
                },
            }
            for method in sorted(part["scores"], key=lambda method: -part["scores"][method]["r2_mean"])
        ]
        parts += [
            f"Refitted, on the {part['weeks']} test windows of protocol {name}, and less what is fitted once there "
            "(skill_clim against the climatology fitted once; 90 % intervals as below):",
            "",
            pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True),
            "",
            *[f"- {differences.headline(part, method)}" for method in part["differences"]],
            "",
        ]
    return parts


def _stacks(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the complete system of each fit is made of, and what it and its linear methods did on held-out blocks."""
    if not records:
        return []
    text = (
        "The complete system: methods with weight (its mean over leads and modes), what shares weights, the ridge "
        "penalty, and the score that chose them, on held-out blocks of training weeks (r2_field: share of the field's "
        "variance within the modes), beside that of the stack of linear methods alone:"
    )
    table = pd.DataFrame([_stack(fit, record) for fit, record in records.items()])
    return [text, "", table.to_markdown(index=False, disable_numparse=True), ""]


def _stack(fit: str, record: Mapping[str, Any]) -> dict[str, str]:
    weights = {name: float(np.mean(weight)) for name, weight in record["weights"].items()}
    chosen, linear = record["chosen"], record.get("linear")
    heaviest = sorted((name for name in weights if weights[name] > 0), key=lambda name: -weights[name])
    return {
        "fit": fit,
        "methods": ", ".join(f"`{name}` {weights[name]:.2f}" for name in heaviest),
        "weights shared by": {"all": "leads and modes", "modes": "modes", "none": "none"}[chosen["sharing"]],
        "penalty": f"{chosen['penalty']:g}",
        f"held-out {chosen['by']}": f"{chosen[chosen['by']]:.4f}",
        "linear alone": f"{linear['chosen'][chosen['by']]:.4f}" if linear else "–",
    }


def _regions(protocol: Mapping[str, Any]) -> str:
    name, table, stamp = protocol["name"], protocol["table"], protocol["stamp"]
    unit = _variable(stamp).unit
    twin = "; fields of the twin are estimates: no claim in physical space" if stamp["data_kind"] == "twin" else ""
    parts = []
    for (region, metric), part in table[table.region != ""].groupby(["region", "metric"], sort=False):
        wide = part.pivot(index="method", columns="lead", values="value")
        by_first_lead = wide.loc[wide.iloc[:, 0].sort_values().index]
        of = "area mean" if metric == "rmse_area_mean" else "field"
        parts += [f"Protocol {name}, {region}, RMSE of the {of} ({unit}) by lead in weeks{twin}:", ""]
        parts += [by_first_lead.reset_index().to_markdown(index=False, floatfmt=".3f"), ""]
        parts += [_less(protocol["regions"][region][metric]), ""]
    return "\n".join(parts)


def _less(found: Mapping[str, Any]) -> str:
    method = list(found["differences"])[-1]
    text = (
        f"`{method}` less each baseline by lead, that with the least RMSE on these weeks first (below zero is better; "
        f"90 % intervals of the paired circular block bootstrap, blocks of {found['block_weeks']} weeks):"
    )
    table = pd.DataFrame(regional.table(found, method)).to_markdown(index=False, disable_numparse=True)
    return f"{text}\n\n{table}"


def _variable(stamp: Mapping[str, Any]) -> variables.Variable:
    """The variable that a stamp names, without which it is of SST."""
    return variables.variable(stamp.get("variable", variables.SST.name))


def _reported_region() -> str:
    table = (
        pd.DataFrame.from_dict(dict(reported.EAST_PACIFIC), orient="index", columns=range(1, 9))
        .rename_axis("method")
        .reset_index()
    )
    return "\n".join(
        [
            "As reported (SC20, quoted from memory), East Pacific, weeks 2015-04-05 to 2018-06-17 of the real archive,",
            "RMSE of the field (°C) by lead in weeks, CESM and HYCOM over all leads. Comparable with",
            "`east_pacific_2015` of the experiment `sst_psl` only, never with a twin:",
            "",
            table.to_markdown(index=False, floatfmt=".2f"),
        ]
    )


def _costs(catalogues: Mapping[str, Sequence[Mapping[str, Any]]], stamp: Mapping[str, Any]) -> str:
    lines = ["| forecast | cost |", "|:--|:--|"]
    for method, refits in catalogues.items():
        lines += _cost(method, refits)
    if _variable(stamp) is not variables.SST:
        return "\n".join(lines)
    lines += [f"| {name}, as reported | {cost} |" for name, cost in reported.PHYSICS]
    return "\n".join(
        ["Unlike for unlike: a statistical forecast of a few numbers beside models of the ocean.", "", *lines]
    )


def _cost(method: str, refits: Sequence[Mapping[str, Any]]) -> list[str]:
    """The search counts once: refits share it."""
    last = refits[-1]
    forecast = sum(member["milliseconds_per_forecast"] for member in last["members"]) / 3.6e6
    members = [member for catalogue in refits for member in catalogue["members"]]
    training = (last["search_seconds"] + sum(member["training_seconds"] for member in members)) / 3600
    times = f", {len(refits)} times" if len(refits) > 1 else ""
    return [
        f"| {method} ({len(last['members'])} networks), one forecast of all leads | {forecast:.1e} core-hours |",
        f"| its search ({last['trials']} trials) and retraining{times or ', once'} | {training:.2f} core-hours |",
    ]


def notes(agreement: Mapping[str, Any] | None, with_reported: bool) -> str:
    """What to know when reading the page."""
    lines = [
        "Notes.",
        "",
        "- Fits, searches, stops and weights know the training period alone; one rule reads test targets. A rolling "
        "protocol's climatology is refitted too, and its `skill_clim` is against that.",
        "- `r2_mean`: per lead and mode 1 - SS_res/SS_tot over time, then the plain mean; `r2_pooled`: sums before the "
        "ratio; `skill_clim`: against the training climatology; coefficients standardised by their training sigma.",
    ]
    if with_reported:
        lines.append(
            "- Rows as reported are quoted from memory of Maulik et al. (2020) and were not checked; "
            "the training windows and the scaler behind them saw 700 of the test weeks."
        )
    if agreement is not None:
        values = ", ".join(f"{value:.4f}" for value in agreement["absolute_correlation_by_mode"])
        lines.append(
            "- POD of this archive against the released coefficients, |correlation| of modes 1, 2, … over "
            f"{agreement['weeks']} weeks: {values}."
        )
    return "\n".join(lines)
