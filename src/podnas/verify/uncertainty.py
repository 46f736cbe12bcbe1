"""Ensembles and Gaussian baselines beside one another on test weeks, as JSON and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from podnas import scores
from podnas.ensemble import compared, forecast
from podnas.verify import probabilistic, spread
from podnas.windows import Array

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the fan
RANKED = 19  # draws that the truth is ranked among
LIFTED = ("crps", "nll", "energy", "spread_skill_by_lead", "coverage50_by_lead", "coverage90_by_lead", "r2_mean")
BY_MODE = "spread_skill_by_lead_and_mode"
FAIR = (0.85, 1.15)  # ratios of spread and error that we aim at
WORDS = {"better": "better", "worse": "worse", "tie": "a tie"}


def summary(
    forecasts: Mapping[str, xr.Dataset], baselines: Sequence[str], truth: Array, selection: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """All numbers of one protocol; truth: standardised (n, leads, modes).

    forecasts: artifacts by name, of which `baselines` are what ours are held against. Numbers of the headline, the
    complete ensemble where there is one, stand on top, too.
    """
    mixtures = {name: forecast.mixture(one) for name, one in forecasts.items()}
    ours = {name: mixtures[name] for name in compared.OURS if name in mixtures}
    found = probabilistic.summary(ours, {name: mixtures[name] for name in baselines}, truth)
    headline = next(iter(ours))
    best = found["best_baseline"]
    drawn = probabilistic.with_record(len(truth), found["block_weeks"])
    correlations = {name: forecasts[name].correlation.values for name in found["forecasts"]}
    energies = {
        name: probabilistic.resampled(spread.energy(mixtures[name], correlation, truth, seed), drawn)
        for name, correlation in correlations.items()
    }
    references = {"climatology": energies[probabilistic.REFERENCE], "best_baseline": energies[best]}
    for name, one in found["forecasts"].items():
        one["r2_mean"] = probabilistic.interval(_r2_mean(mixtures[name].location, truth, drawn))
        one["members"] = len(mixtures[name].weights)
        one["held_out"] = selection["forecasts"][name]["held_out"]
        one["energy"] = probabilistic.interval(energies[name].mean(axis=1))
        for reference, simple in references.items():
            one[f"energy_skill_{reference}"] = probabilistic.interval(
                1 - energies[name].mean(axis=1) / simple.mean(axis=1)
            )
        ranks = spread.rank_histogram(mixtures[name].draws(RANKED, correlations[name], seed), truth, seed)
        one["rank_histogram"] = probabilistic.interval(probabilistic.resampled(ranks, drawn))
    return {
        "headline": headline,
        **{key: found["forecasts"][headline][key] for key in LIFTED},
        "difference_from_best_baseline": found["against"][headline][best],
        "members_r2_mean": {
            name: _members_r2(forecasts[name], truth) for name in (headline, compared.ENSEMBLE) if name in forecasts
        },
        **found,
        "crps_ratio_best_baseline": found["crps_ratio_best_baseline"][headline],
        "crps_ratios": found["crps_ratio_best_baseline"],
    }


def _r2_mean(forecast_mean: Array, truth: Array, drawn: Array) -> Array:
    """r2_mean on the record and each resample (1 + resamples,)."""
    error = probabilistic.resampled((truth - forecast_mean) ** 2, drawn)
    about = probabilistic.resampled(truth**2, drawn) - probabilistic.resampled(truth, drawn) ** 2
    r2: Array = (1 - error / about).mean(axis=(1, 2))
    return r2


def _members_r2(artifact: xr.Dataset, truth: Array) -> dict[str, Any]:
    """r2_mean of the ensemble's mean, of its heaviest member, and of the one that is best on these weeks."""
    mixture = forecast.mixture(artifact)
    of_member = np.array([str(name).partition(":")[0] for name in artifact.member.values])
    r2, weight = {}, {}
    for name in dict.fromkeys(of_member):
        mine = of_member == name
        r2[name] = float(scores.r2(mixture.mean[mine].mean(axis=0), truth).mean())
        weight[name] = float(mixture.weights[mine].sum())
    best, heaviest = max(r2, key=lambda name: r2[name]), max(weight, key=lambda name: weight[name])
    return {
        "ensemble": float(scores.r2(mixture.location, truth).mean()),
        "heaviest": {"name": heaviest, "weight": weight[heaviest], "r2_mean": r2[heaviest]},
        "best_in_hindsight": {"name": best, "weight": weight[best], "r2_mean": r2[best]},
    }


def fan(artifact: xr.Dataset, climatology: xr.Dataset, targets: xr.Dataset) -> xr.Dataset:
    """Quantiles of a forecast, what came and the climatology's mean, in the units of the coefficients."""
    normal = forecast.mixture(climatology).location * climatology.scale.values + climatology.offset.values
    quantiles = forecast.mixture(artifact).quantiles(LEVELS) * artifact.scale.values + artifact.offset.values
    units = {"units": artifact["mean"].attrs["units"]}
    each = ("init_time", "lead", "mode")
    return xr.Dataset(
        {
            "quantile": (("level", *each), quantiles.astype(np.float32), units),
            "truth": (each, targets.target.values, units),
            "climatology": (each, normal.astype(np.float32), units),
        },
        {"level": list(LEVELS), **{name: artifact[name] for name in (*each, "valid_time")}},
        dict(artifact.attrs),
    )


def page(found: Mapping[str, Any]) -> str:
    """One protocol as Markdown."""
    head = found["headline"]
    lines = [
        f"## Protocol {found['stamp']['protocol']}",
        "",
        f"Train {found['stamp']['train_period']}, test {found['stamp']['test_period']} ({found['windows']} windows). "
        f"Intervals of 95 %: circular block bootstrap, blocks of {found['block_weeks']} weeks of initial dates.",
        "",
        _headline(found),
        "",
        _table(found),
        "",
        "CRPS in training standard deviations of each mode; ratio: to the CRPS of the best Gaussian baseline on these "
        "weeks; NLL in nats; spread–skill: √(mean variance) / RMSE, least and largest of the leads' means; coverage of "
        "90 % intervals, least and largest of the leads. What was calibrated was so on held-out blocks of the "
        "training period.",
        "",
        _by_mode(found),
        "",
        _skills(found),
        "",
        "Skill: share of the reference's CRPS or energy score that is saved, and nats of NLL that are gained; the "
        "energy score is of all modes together, from 100 draws. Above 0 is better.",
        "",
        _members(found, head),
    ]
    return "\n".join(lines) + "\n"


def _headline(found: Mapping[str, Any]) -> str:
    one, ratio = found["difference_from_best_baseline"], found["crps_ratio_best_baseline"]
    others = "; ".join(
        f"blocks of {weeks} weeks [{by['low']:+.5f}, {by['high']:+.5f}]"
        for weeks, by in found["sensitivity"][found["headline"]].items()
    )
    return (
        f"`{found['headline']}` less `{found['best_baseline']}`, the best Gaussian baseline on these weeks: CRPS "
        f"{one['value']:+.5f} [{one['low']:+.5f}, {one['high']:+.5f}], {WORDS[one['verdict']]} ({others}); "
        f"{100 * (ratio['value'] - 1):+.1f} % [{100 * (ratio['low'] - 1):+.1f}, {100 * (ratio['high'] - 1):+.1f}]."
    )


def _table(found: Mapping[str, Any]) -> str:
    ratios = found["crps_ratios"]
    rows = [
        {
            "forecast": f"`{name}`",
            "Gaussians": one["members"],
            "CRPS": _told(one["crps"], 4),
            "ratio": _told(ratios[name], 3),
            "held-out CRPS": f"{one['held_out']['crps']:.4f}",
            "NLL": _told(one["nll"], 3),
            "energy": _told(one["energy"], 3),
            "spread–skill": _ends(one["spread_skill_by_lead"]["value"]),
            "coverage 90 %": _ends(one["coverage90_by_lead"]["value"]),
            "r2_mean": _told(one["r2_mean"], 3),
        }
        for name, one in _ordered(found)
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def _skills(found: Mapping[str, Any]) -> str:
    """Each forecast against the climatology and against the best baseline; a reference has none against itself."""
    references = {"climatology": probabilistic.REFERENCE, "best_baseline": found["best_baseline"]}
    scores = {"crps_skill": "CRPS skill", "energy_skill": "energy skill", "nll_gain": "NLL gain"}
    rows = [
        {
            "forecast": f"`{name}`",
            **{
                f"{text}, `{reference}`": "" if name == reference else _told(one[f"{score}_{key}"], 3)
                for key, reference in references.items()
                for score, text in scores.items()
            },
        }
        for name, one in _ordered(found)
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def _by_mode(found: Mapping[str, Any]) -> str:
    """How many of the ratios by lead and mode of the headline and of the best baseline are far from 1."""
    told = []
    for name in (found["headline"], found["best_baseline"]):
        one = {end: np.array(values) for end, values in found["forecasts"][name][BY_MODE].items()}
        least, most = FAIR
        outside = (one["value"] < least) | (one["value"] > most)
        surely = (one["high"] < least) | (one["low"] > most)
        told.append(
            f"`{name}` {one['value'].min():.2f}–{one['value'].max():.2f}, {outside.sum()} of {outside.size} outside "
            f"{least}–{most}, {surely.sum()} with their whole interval"
        )
    return f"Spread–skill by lead and mode: {'; '.join(told)}."


def _ordered(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Ours first, then baselines by CRPS."""
    every = found["forecasts"]
    ours = [name for name in compared.OURS if name in every]
    simple = sorted((name for name in every if name not in ours), key=lambda name: every[name]["crps"]["value"])
    return [(name, every[name]) for name in (*ours, *simple)]


def _members(found: Mapping[str, Any], head: str) -> str:
    parts = []
    for name, one in found["members_r2_mean"].items():
        heavy, best = one["heaviest"], one["best_in_hindsight"]
        parts.append(
            f"r2_mean of `{name}`: {one['ensemble']:.4f}; of its heaviest member ({heavy['name']}, weight "
            f"{heavy['weight']:.2f}): {heavy['r2_mean']:.4f}; of the member that is best on these weeks "
            f"({best['name']}): {best['r2_mean']:.4f}."
        )
    return " ".join(parts)


def _told(one: Mapping[str, float], digits: int) -> str:
    return f"{one['value']:.{digits}f} [{one['low']:.{digits}f}, {one['high']:.{digits}f}]"


def _ends(values: Sequence[float]) -> str:
    return f"{min(values):.2f}–{max(values):.2f}"


def in_space(found: Mapping[str, Any]) -> str:
    """Spread of regions' means and of cells as Markdown: the headline, the best baseline and the climatology."""
    unit, lead = found["units"], found["map_lead_weeks"]
    best = found["best_baseline"]
    regions = [_at_lead(one, place, best) for one in found["regions"] for place in range(len(one["lead"]))]
    cells = [
        {
            "forecast": f"`{name}`",
            "spread–skill": _told(one["spread_skill"], 2),
            "middle 90 % of cells": _ends(one["middle90"]),
            "σ with RMSE": _told(one["correlation"], 2),
            f"RMSE ({unit})": _told(one["rmse"], 3),
        }
        for name, one in found["cells"].items()
    ]
    tables = [str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)) for rows in (regions, cells)]
    return (
        f"### In space, {unit}\n\nMeans of regions, with the covariances of modes and of what they leave out between "
        f"cells; σ and CRPS in {unit}; difference: CRPS less that of `{best}`; skill: of CRPS, "
        f"against the climatology:\n\n{tables[0]}\n\nCells at lead {lead}: spread–skill (mean over cells), what it is "
        f"in the middle 90 % of them, correlation of the map of total σ with that of the RMSE, RMSE over all cells:\n\n"
        f"{tables[1]}\n"
    )


def _at_lead(one: Mapping[str, Any], place: int, best: str) -> dict[str, Any]:
    """A row of the table of regions; a reference has no difference from itself."""

    def told(key: str, digits: int) -> str:
        return _told({part: values[place] for part, values in one[key].items()}, digits)

    return {
        "region": one["region"],
        "forecast": f"`{one['forecast']}`",
        "lead (weeks)": one["lead"][place],
        **{f"σ {part}": f"{values[place]:.3f}" for part, values in one["sigma"].items()},
        "RMSE": told("rmse", 3),
        "spread–skill": told("spread_skill", 2),
        "coverage 90 %": told("coverage90", 2),
        "CRPS": told("crps", 3),
        "difference": "" if one["forecast"] == best else told("crps_less_best_baseline", 4),
        "skill": "" if one["forecast"] == probabilistic.REFERENCE else told("crps_skill_climatology", 2),
    }
