"""Classifiers drawn at random and trained one after the other; a killed run keeps those that it has finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from podnas.networks import apart, classifier
from podnas.networks.classifier import Trained
from podnas.networks.recipe import network_seed
from podnas.search import points
from podnas.windows import Array

Plan = dict[str, Any]  # JSON: all that decides what a network becomes
Report = Callable[[Plan, Trained], None]


def plans(trials: int, seed: int, limit_s: float, identity: Mapping[str, Any]) -> list[Plan]:
    """The plain network (trial -1), and those drawn."""
    drawn = classifier.space()
    sampled = [points.sample(drawn, points.stream(seed, number)) for number in range(trials)]
    return [
        {"trial": number, "point": dict(point), "seed": network_seed(seed, number + 1), "limit_s": limit_s, **identity}
        for number, point in enumerate([classifier.PLAIN, *sampled], -1)
    ]


def train(
    planned: Sequence[Plan], fit: tuple[Array, Array], others: tuple[Array, ...], folder: Path, report: Report
) -> list[Trained]:
    """All networks, in order; others: features of validation windows, then of all others."""
    return [_one(plan, fit, others, folder / f"trial_{plan['trial']:+04d}.npz", report) for plan in planned]


def _one(plan: Plan, fit: tuple[Array, Array], others: tuple[Array, ...], path: Path, report: Report) -> Trained:
    if path.exists():
        record, arrays = apart.kept(path)
        if record["plan"] == plan:
            return Trained(tuple(arrays[f"set_{number}"] for number in range(len(others))), **record["took"])
    made = classifier.train(plan["point"], plan["seed"], fit, others, plan["limit_s"])
    took = {key: getattr(made, key) for key in ("parameters", "fit_seconds", "inference_seconds", "error")}
    path.parent.mkdir(parents=True, exist_ok=True)
    logits = {f"set_{number}": np.asarray(one) for number, one in enumerate(made.logits)}
    apart.keep(path, {"plan": plan, "took": took}, logits)
    report(plan, made)
    return made
