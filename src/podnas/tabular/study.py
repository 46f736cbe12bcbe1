"""One split of a set, from its training rows to forecasts of the rows to be scored: search, ensembles, the old recipe.

Variants: with duplicate rows as published, and, where the set has some, without. Nothing here knows a scored target.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from podnas.config import SearchConfig, TabularConfig
from podnas.ensemble.mixture import Mixture, gaussian
from podnas.search import build, driver, log
from podnas.search.driver import Report
from podnas.search.log import TrialLog
from podnas.search.protocol import Outcome
from podnas.tabular import members, network, sets, space
from podnas.tabular.evaluate import Evaluator
from podnas.tabular.folds import Folds, Lanes
from podnas.tabular.sets import Split, Table
from podnas.windows import Array

PUBLISHED, DISTINCT = "published", "distinct"  # rows as they are, and without duplicates
SEARCHED, RECIPE = "searched", "recipe"


@dataclass(frozen=True)
class Made:
    """Forecasts of one variant of a split."""

    scored: Array  # places in the table
    mixtures: Mapping[str, Mixture]  # by method and floor (`named`)
    trials: pd.DataFrame
    record: Mapping[str, Any]


def variants(table: Table) -> tuple[str, ...]:
    """Those that a set has."""
    return (PUBLISHED, DISTINCT) if sets.repeated(table) else (PUBLISHED,)


def named(method: str, floor: float) -> str:
    """Name of a method's forecast with a floor."""
    return f"{method}_{floor:g}"


def rows(table: Table, number: int, config: TabularConfig, variant: str) -> Split:
    """The rows of a variant of a split."""
    pseudo = config.scored == "pseudo_test"
    return sets.split(table, number, config.folds, distinct=variant == DISTINCT, pseudo=pseudo)


def seed(config: TabularConfig, number: int) -> int:
    """Seed of a split's search, folds and networks."""
    return int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])


def run(
    split: Split,
    number: int,
    config: TabularConfig,
    search: SearchConfig,
    logs: Path,
    identity: Mapping[str, Any],
    report: Report,
) -> Made:
    """Search inside the training rows (a killed one goes on from its log), then all ensembles of the split."""
    own = search.model_copy(update={"seed": seed(config, number)})
    asked = config.model_dump(mode="json", include={"folds", "space"}) | {"floor": config.floors[0]}
    about = {"search": own.model_dump(mode="json"), "tabular": asked, "rows": split.content_hash(), **identity}
    trial_log = TrialLog(log.path(logs, about, 0), about)
    folds = Folds.of(split, config.folds, own.seed)
    evaluator = Evaluator(split, folds, config.floors[0], own.seed, trial_log.path.parent)
    outcomes = driver.run(build.build(space.space(config.space), own), evaluator, trial_log, report, own.lanes)
    chosen = _ensembles(outcomes, evaluator, config)
    started = time.perf_counter()
    old = recipe(split, config, own.seed)
    record = {
        "training_rows": len(split.target),
        "scored_rows": len(split.scored),
        "search_seconds": sum(outcome.seconds for outcome in outcomes),
        "recipe_seconds": time.perf_counter() - started,
        "trials": len(outcomes),
        "failed": sum(outcome.loss is None for outcome in outcomes),
        "ensembles": {name: one.record for name, one in chosen.items()},
    }
    mixtures = {name: one.ahead for name, one in chosen.items()} | old
    return Made(split.scored, mixtures, log.table(outcomes), record)


def _ensembles(outcomes: list[Outcome], evaluator: Evaluator, config: TabularConfig) -> dict[str, members.Ensemble]:
    finished = [outcome.trial for outcome in outcomes if outcome.loss is not None]
    if len(finished) < 2:
        failed = next((outcome.error for outcome in outcomes if outcome.loss is None), "none failed")
        raise ValueError(
            f"{len(finished)} of {len(outcomes)} trials have finished, and an ensemble is chosen from two or more; the "
            f"first that failed: {failed}; lower tabular.space.learning_rate, or remove "
            f"{evaluator.folder} and start again"
        )
    forecasts = {f"trial {trial.number}": evaluator.forecast(trial) for trial in finished}
    return {
        named(SEARCHED, floor): members.choose(
            forecasts, evaluator.split.target, config.members, floor * evaluator.spread
        )
        for floor in config.floors
    }


def recipe(split: Split, config: TabularConfig, start: int) -> dict[str, Mixture]:
    """Forecasts by the recipe of deep ensembles: the Gaussian with the moments of the networks' mixture."""
    given = config.recipe
    order = np.tile(np.arange(len(split.target)), (given.members, 1))
    lanes = Lanes.of(split.features, split.target, order)
    layers, settings = space.recipe(given, lanes.features.shape[-1], len(split.target))
    made = network.Network(layers, config.floors[0])
    parameters = network.train(made, settings, lanes.features, lanes.target, (start, config.seed))
    mean, sigma = lanes.forecast(made, parameters, split.ahead)
    mixture = Mixture(mean, sigma, np.full(given.members, 1 / given.members))
    moments = gaussian(mixture.location, np.sqrt(mixture.parts().total))
    spread = float(split.target.std())
    return {named(RECIPE, floor): members.floored(moments, floor * spread) for floor in config.floors}
