"""What each leak of SC20's released protocol is worth: the same networks with and without it, as JSON and text.

A score of a variant is the mean over its networks, each scored alone. A price is the difference of two variants' scores
on the same test windows with the same networks; its interval is over test weeks (paired circular block bootstrap), and
beside it stands how much the networks differ in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from podnas import scores
from podnas.verify import paired
from podnas.windows import Array, Scaler

OTHER_BLOCKS = (26, 104)  # weeks, as sensitivity
LEAKY_SCORES = "made to leak, on purpose: no score here is one of a forecast, and none enters a scorecard"
PARTS = {
    "all": "all test windows",
    "seen": "windows inside the test weeks that leak",
    "unseen": "windows after them",
}
WORDS = {
    "weeks": "the first {weeks} test weeks in the training windows",
    "scaler": "scaler of training and leaked weeks",
    "split": "overlapping windows shuffled, then split",
}
BUDGETS = {
    "updates": "as many steps of the optimiser as {epochs} epochs of the most windows",
    "epochs": "{epochs} epochs of whatever windows a variant has",
}

Interval = dict[str, float]


def parts(valid_time: xr.DataArray, test_first: np.datetime64, weeks: int) -> dict[str, Array]:
    """Which test windows (n,) lie wholly inside the first `weeks` test weeks, and which wholly after them.

    valid_time (n, leads); a window begins `leads` weeks before its first target, as inputs and outputs are as many.
    """
    last = valid_time.values.max(axis=1)
    week = np.timedelta64(7, "D")
    first = valid_time.values.min(axis=1) - valid_time.shape[1] * week
    end = test_first + weeks * week  # start of the first week that does not leak
    return {"all": np.ones(len(last), dtype=bool), "seen": last < end, "unseen": first >= end}


def summary(
    made: xr.Dataset, truth: xr.DataArray, networks: Mapping[str, Any], chosen: Mapping[str, Array]
) -> dict[str, Any]:
    """All numbers; made: as `artifacts.read_leakage` gives it, truth (n, leads, modes); chosen: as `parts` gives it.

    Scores are of coefficients standardised by the clean protocol's scaler: R2 of a mode is the same in any.
    """
    standard = Scaler(made.offset.values, made.scale.values)
    target = standard.forward(truth.values)
    simple = {str(one): standard.forward(made.baseline.sel({"method": one}).values) for one in made["method"].values}
    forecast = {str(one): standard.forward(made.forecast.sel(variant=one).values) for one in made.variant.values}
    validation = {
        name: np.array([one["validation_r2"] for one in networks["networks"] if one["variant"] == name])
        for name in forecast
    }
    return {
        "variants": [
            {
                **about,
                **_variant(forecast[about["variant"]], target, simple["climatology"], chosen),
                "apparent_validation_r2": float(validation[about["variant"]].mean()),
                "chosen_network": _best(validation[about["variant"]], forecast[about["variant"]], target),
            }
            for about in networks["variants"]
        ],
        "baselines": {
            name: {part: _r2(values[rows], target[rows]) for part, rows in chosen.items()}
            for name, values in simple.items()
        },
        "windows": {part: int(rows.sum()) for part, rows in chosen.items()},
        "prices": _prices(forecast, target, simple["climatology"], networks["variants"], chosen),
    }


def _r2(forecast: Array, truth: Array) -> float:
    return float(scores.r2(forecast, truth).mean())


def _variant(values: Array, truth: Array, climatology: Array, chosen: Mapping[str, Array]) -> dict[str, Any]:
    """values (network, n, leads, modes)."""
    alone = {part: [_r2(one[rows], truth[rows]) for one in values] for part, rows in chosen.items()}
    return {
        "r2_mean": {part: float(np.mean(found)) for part, found in alone.items()},
        "r2_mean_by_network": alone["all"],
        "r2_mean_ensemble": {part: _r2(values.mean(axis=0)[rows], truth[rows]) for part, rows in chosen.items()},
        "skill_clim": float(np.mean([scores.skill_clim(one, truth, climatology).mean() for one in values])),
    }


def _best(validation: Array, values: Array, truth: Array) -> dict[str, float | int]:
    """The network that its own validation would choose."""
    number = int(validation.argmax())
    return {
        "network": number,
        "apparent_validation_r2": float(validation[number]),
        "r2_mean": _r2(values[number], truth),
    }


def pairs(variants: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Which variants are compared: each leak added to the clean protocol, taken from the leaky one, and all at once."""
    names = {frozenset(one["leaks"]): one["variant"] for one in variants}
    every = max(names, key=len)
    leaks = next(one["leaks"] for one in variants if len(one["leaks"]) == len(every))
    clean, leaky = names[frozenset()], names[every]
    found = [{"leak": leak, "how": "added", "with": names[frozenset({leak})], "without": clean} for leak in leaks]
    found += [{"leak": leak, "how": "removed", "with": leaky, "without": names[every - {leak}]} for leak in leaks]
    return [*found, {"leak": "all", "how": "together", "with": leaky, "without": clean}]


def _prices(
    forecast: Mapping[str, Array],
    truth: Array,
    climatology: Array,
    variants: Sequence[Mapping[str, Any]],
    chosen: Mapping[str, Array],
) -> list[dict[str, Any]]:
    compared = pairs(variants)
    for part, rows in chosen.items():
        target, simple = truth[rows], climatology[rows]
        lengths = dict.fromkeys(_block(weeks, len(target)) for weeks in (paired.BLOCK_WEEKS, *OTHER_BLOCKS))
        # the other lengths tell how far the headline depends on the usual one
        for weeks in list(lengths) if part == "all" else list(lengths)[:1]:
            drawn = paired.counts(len(target), weeks)
            resampled = {name: _resampled(values[:, rows], target, simple, drawn) for name, values in forecast.items()}
            for one in compared:
                with_it, without = (resampled[one[side]] for side in ("with", "without"))
                one.setdefault("r2_mean", {}).setdefault(part, {})[str(weeks)] = _interval(with_it, without)
    for one in compared:
        by_network = [
            _r2(values, truth) - _r2(other, truth)
            for values, other in zip(forecast[one["with"]], forecast[one["without"]], strict=True)
        ]
        one["sd_over_networks"] = float(np.std(by_network, ddof=1))
    return compared


def _block(weeks: int, windows: int) -> int:
    """At most a third of the record: a resample of one block is the record itself."""
    return max(1, min(weeks, windows // 3))


def _resampled(values: Array, truth: Array, climatology: Array, drawn: Array) -> Array:
    """Mean r2_mean over networks: of the record, then of each resample."""
    counts = np.concatenate([np.ones((1, len(truth))), drawn])
    found: Array = np.mean([paired.scores(one, truth, climatology, counts)["r2_mean"] for one in values], axis=0)
    return found


def _interval(ours: Array, theirs: Array) -> dict[str, Any]:
    difference = ours - theirs
    low, high = np.quantile(difference[1:], [(1 - paired.LEVEL) / 2, (1 + paired.LEVEL) / 2])
    made: Interval = {"difference": float(difference[0]), "low": float(low), "high": float(high)}
    return {**made, "verdict": paired.verdict(made)}


def usual(price: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """A price with blocks of the usual length: the first."""
    found: Mapping[str, Any] = next(iter(price["r2_mean"][part].values()))
    return found


def page(title: str, found: Mapping[str, Any]) -> str:
    """The laboratory as Markdown."""
    stamp, recipe, count = found["stamp"], found["recipe"], found["windows"]
    networks = len(found["variants"][0]["r2_mean_by_network"])
    leaky = max(found["variants"], key=lambda one: len(one["leaks"]))
    words = {name: text.format(weeks=found["leaked_weeks"]) for name, text in WORDS.items()}
    lines = [
        f"# Leakage laboratory: {title}",
        "",
        f"**{LEAKY_SCORES[0].upper()}{LEAKY_SCORES[1:]}.**",
        "",
        f"SC20's protocol as it was released (`{leaky['variant']}`: {leaky['fitted_windows']} windows fitted on, "
        f"{leaky['validation_windows']} validated by) beside the clean one, with the same {networks} networks: "
        f"architectures drawn at random, the same seeds, {BUDGETS[found['budget']].format(epochs=recipe['epochs'])}, "
        "the best epoch by the variant's own validation kept. "
        f"Coefficients: {stamp['coefficients']}. Clean training {stamp['train_period']}, test {stamp['test_period']} "
        f"({count['all']} windows; {count['seen']} inside the leaked weeks, {count['unseen']} after them).",
        "",
        *(f"- `{name}`: {text}" for name, text in words.items()),
        "",
        "## Variants",
        "",
        _variants_table(found),
        "",
        "r2_mean, mean over networks; apparent: on the validation windows of the variant itself, which is what its "
        "training log shows; averaged: of the mean forecast; chosen: the network that this validation prefers.",
        "",
        "## Price of each leak",
        "",
        _prices_table(found["prices"]),
        "",
        "r2_mean with the leak less that without, mean over networks, with the 90 % interval over test weeks of the "
        f"paired circular block bootstrap (blocks of {next(iter(found['prices'][0]['r2_mean']['all']))} weeks, "
        f"{paired.RESAMPLES:,} resamples). Added: to the clean protocol. Removed: what the leaky one loses without it. "
        "The interval does not hold what other networks would give: sd over networks is of the same difference, one "
        "network at a time.",
        "",
        "Other lengths of blocks, all test windows:",
        "",
        *(_sensitivity(price) for price in found["prices"]),
    ]
    return "\n".join(lines) + "\n"


def _variants_table(found: Mapping[str, Any]) -> str:
    rows = [
        {
            "variant": f"`{one['variant']}`",
            "windows fitted": str(one["fitted_windows"]),
            "epochs": str(one["epochs"]),
            "apparent validation": f"{one['apparent_validation_r2']:.3f}",
            **{f"test, {part}": f"{one['r2_mean'][part]:.3f}" for part in PARTS},
            "averaged": f"{one['r2_mean_ensemble']['all']:.3f}",
            "chosen: apparent → test": f"{one['chosen_network']['apparent_validation_r2']:.3f} → "
            f"{one['chosen_network']['r2_mean']:.3f}",
        }
        for one in found["variants"]
    ]
    for name, by_part in found["baselines"].items():
        rows.append({"variant": f"`{name}`, clean", **{f"test, {part}": f"{by_part[part]:.3f}" for part in PARTS}})
    return str(pd.DataFrame(rows).fillna("").to_markdown(index=False, disable_numparse=True))


def _prices_table(prices: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        {
            "leak": f"`{price['leak']}`",
            "how": price["how"],
            **{text: _told(usual(price, part)) for part, text in PARTS.items()},
            "sd over networks": f"{price['sd_over_networks']:.3f}",
        }
        for price in prices
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def _told(one: Mapping[str, Any]) -> str:
    return f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}] {one['verdict']}"


def _sensitivity(price: Mapping[str, Any]) -> str:
    found = "; ".join(f"{weeks} weeks {_told(one)}" for weeks, one in price["r2_mean"]["all"].items())
    return f"- `{price['leak']}` {price['how']}: {found}"
