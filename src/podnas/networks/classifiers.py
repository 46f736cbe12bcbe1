"""Classifiers drawn at random and trained one after the other; a killed run keeps those that it has finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from podnas.networks import apart, classifier
from podnas.networks.classifier import Block, Trained
from podnas.networks.recipe import network_seed
from podnas.search import points

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


def train(planned: Sequence[Plan], blocks: Sequence[Block], folder: Path, report: Report) -> list[Trained]:
    """All networks, in order, each fitted without each block in turn."""
    return [_one(plan, blocks, folder / f"trial_{plan['trial']:+04d}.npz", report) for plan in planned]


def _one(plan: Plan, blocks: Sequence[Block], path: Path, report: Report) -> Trained:
    if path.exists():
        record, arrays = apart.kept(path)
        if record["plan"] == plan:
            return Trained(arrays["held"], arrays["test"], **record["took"])
    made = classifier.train(plan["point"], plan["seed"], blocks, plan["limit_s"])
    took = {key: getattr(made, key) for key in ("parameters", "epochs", "fit_seconds", "inference_seconds", "error")}
    path.parent.mkdir(parents=True, exist_ok=True)
    apart.keep(path, {"plan": plan, "took": took}, {"held": made.held, "test": made.test})
    report(plan, made)
    return made
