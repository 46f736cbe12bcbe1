"""Searches that are judged: run as any search, and their networks scored, once it is over, on a block it never touched.

A search of each algorithm has the same number: the same seed, hence the same first random trials, and the same blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from podnas import scores
from podnas.config import BlocksConfig, JudgedConfig, SearchConfig, WindowsConfig
from podnas.networks import apart, space
from podnas.networks.apart import Apart
from podnas.networks.engines import Engine
from podnas.networks.evaluate import PopulationEvaluator
from podnas.networks.lanes import Finished
from podnas.networks.recipe import Recipe, network_seed
from podnas.search import build, driver, log
from podnas.search.driver import Report
from podnas.search.log import TrialLog
from podnas.search.protocol import Outcome
from podnas.windows import Array, Training

BLOCKS = ("validation", "untouched")


@dataclass(frozen=True)
class Planned:
    """One search."""

    algorithm: str
    number: int  # of the search, among those of its algorithm
    seed: int
    blocks: BlocksConfig

    def configured(self, search: SearchConfig) -> SearchConfig:
        """Its settings."""
        return search.model_copy(update={"algorithm": self.algorithm, "seed": self.seed})


def planned(config: JudgedConfig) -> list[Planned]:
    """All searches, number by number."""
    return [
        Planned(algorithm, number, network_seed(config.seed, number), config.blocks[number % len(config.blocks)])
        for number in range(config.searches)
        for algorithm in config.algorithms
    ]


def cut(whole: Training, window: WindowsConfig, plan: Sequence[Planned]) -> dict[BlocksConfig, Apart]:
    """The windows of each search, by its blocks; whole: unscaled."""
    return {blocks: Apart.of(whole, window, blocks) for blocks in dict.fromkeys(one.blocks for one in plan)}


class Witness(PopulationEvaluator):
    """The evaluator of a search, which also keeps what each network forecasts of both blocks.

    The search hears nothing of it: an outcome is what it is without.
    """

    def __init__(self, data: Apart, recipe: Recipe, seed: int, engine: Engine, workers: int, folder: Path) -> None:
        super().__init__(data.fold, recipe, seed, engine, workers)
        self.parts = dict(zip(BLOCKS, (data.fold.validate, data.untouched), strict=True))
        self.folder = folder

    def _outcome(self, done: Finished) -> Outcome:
        outcome = super()._outcome(done)
        if outcome.loss is not None:
            made = {
                name: apart.forecast(done.job, done.state, part, self.recipe.windows)
                for name, part in self.parts.items()
            }
            apart.keep(forecast_path(self.folder, outcome.trial.number), {"number": outcome.trial.number}, made)
        return outcome


def forecast_path(folder: Path, number: int) -> Path:
    """Where the forecasts of a trial stand."""
    return folder / f"forecast_{number:05d}.npz"


def run(
    one: Planned,
    data: Apart,
    search: SearchConfig,
    recipe: Recipe,
    logs: Path,
    identity: Mapping[str, Any],
    engine: Engine,
    workers: int,
    report: Report,
) -> tuple[list[Outcome], Path]:
    """Search to the end; a killed one goes on from its log. All trials, and the folder of log and forecasts."""
    own = one.configured(search)
    about = {
        "search": own.model_dump(mode="json"),
        "recipe": recipe.record(),
        "data": data.hashes(),
        "engine": engine.name,
        **identity,
    }
    trial_log = TrialLog(log.path(logs, about, 0), about)
    drawn = space.search_space(own)
    with Witness(data, recipe, own.seed, engine, workers, trial_log.path.parent) as evaluator:
        outcomes = driver.run(build.build(drawn, own), evaluator, trial_log, report, own.lanes)
    return outcomes, trial_log.path.parent


def scored(
    one: Planned, outcomes: Sequence[Outcome], data: Apart, folder: Path, top: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A finished search's trials with their r2_mean on both blocks, and what the best `top` by validation are together.

    Raises ValueError where fewer than these have finished.
    """
    finished = [outcome for outcome in outcomes if outcome.loss is not None]
    if len(finished) < top:
        failed = next(outcome for outcome in outcomes if outcome.loss is None)
        raise ValueError(
            f"{one.algorithm} {one.number}: {len(finished)} of {len(outcomes)} trials have finished, and judged.top is "
            f"{top}; the first that failed: {failed.error}; mend the cause, remove {folder} and start again"
        )
    truth = dict(zip(BLOCKS, (data.fold.validate.targets, data.untouched.targets), strict=True))
    made = {outcome.trial.number: apart.kept(forecast_path(folder, outcome.trial.number))[1] for outcome in finished}
    table = log.table(outcomes).assign(
        algorithm=one.algorithm,
        search=one.number,
        validated_block=one.blocks.validated,
        untouched_block=one.blocks.untouched,
        **{
            f"{name}_r2": [
                _r2(made[number][name], truth[name]) if number in made else np.nan
                for number in (outcome.trial.number for outcome in outcomes)
            ]
            for name in BLOCKS
        },
    )
    best = [outcome.trial.number for outcome in sorted(finished, key=_place)[:top]]
    together = {name: _r2(np.mean([made[number][name] for number in best], axis=0), truth[name]) for name in BLOCKS}
    return table, {
        "algorithm": one.algorithm,
        "search": one.number,
        "seed": one.seed,
        **one.blocks.model_dump(),
        **data.counts(),
        "best": best,
        "averaged": together,
    }


def _place(outcome: Outcome) -> tuple[float, int]:
    return (np.inf if outcome.loss is None else outcome.loss), outcome.trial.number


def _r2(forecast: Array, truth: Array) -> float:
    return float(scores.r2(forecast.astype(float), truth).mean())
