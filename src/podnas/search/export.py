"""Trials as an Optuna study in a journal file, which optuna-dashboard opens. Needs Optuna."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, Constant, OrdinalHyperparameter
from ConfigSpace.hyperparameters import FloatHyperparameter, IntegerHyperparameter

from podnas import artifacts
from podnas.search.protocol import Outcome, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STEPS = 1000  # of a full training on all data: the step of an intermediate value is a whole number
COLUMNS = frozenset({"number", "step", "parent", "budget", "share", "continues", "loss", "seconds", "ended"})

Chain = list[Outcome]  # parts of one training: the first, and those that continue it in turn
Distributions = Mapping[str, "BaseDistribution"]


def outcomes(table: pd.DataFrame) -> list[Outcome]:
    """A table of trials as outcomes; its other columns of numbers are measures."""
    names = [str(name) for name in table.select_dtypes("number") if name not in COLUMNS]
    return [_outcome(row, names) for row in table.to_dict("records")]


def to_optuna(
    outcomes: Iterable[Outcome],
    file: Path,
    name: str,
    space: ConfigurationSpace | None = None,
    second_objective: str | None = None,
    ended: float = 0.0,
) -> int:
    """Write a study of that name as a journal file, whole or not at all, and return its number of trials.

    A training that was gone on with is one trial of the study: its value is the loss of its last part, the losses of
    all parts are intermediate values at step 1000 · budget. Where it got less far than the furthest it is PRUNED, where
    its last part failed it is FAIL. Distributions come from `space`; for names that it lacks, from the values that
    occur. `ended` (Unix time) stands for the end of trials that have none. Raises ValueError where Optuna is not
    installed, a point does not lie in the space, or no trial has the second objective.
    """
    optuna = _optuna()
    outcomes = list(outcomes)
    check_measure(outcomes, second_objective)
    chains = _chains(outcomes)
    distributions = _distributions([chain[0].trial.point for chain in chains], space)
    ends = [chain[-1].trial for chain in chains]
    whole = (max((one.budget for one in ends), default=1.0), max((one.share for one in ends), default=1.0))
    objectives = ["loss"] if second_objective is None else ["loss", second_objective]
    memory = _Memory()
    with _quiet(optuna):
        storage = optuna.storages.JournalStorage(memory)
        study = optuna.create_study(storage=storage, study_name=name, directions=["minimize"] * len(objectives))
        study.set_metric_names(objectives)
        for chain in chains:
            study.add_trial(_frozen(chain, distributions, whole, objectives, ended))
        with artifacts.replacing(file) as temporary:
            optuna.storages.journal.JournalFileBackend(str(temporary)).append_logs(memory.logs)
    return len(chains)


def check_measure(outcomes: Sequence[Outcome], name: str | None) -> None:
    """ValueError where trials have finished and none has a measure of that name (None: none is asked for)."""
    finished = [outcome for outcome in outcomes if outcome.loss is not None]
    known = sorted({measure for outcome in finished for measure in outcome.measures})
    if name is not None and finished and name not in known:
        raise ValueError(
            f"no trial has a measure {name!r} for the second objective; they have {', '.join(known) or 'none'}: name "
            "one of these, or let the objective return it beside the loss"
        )


class _Memory:
    """A journal in memory, to be written as one file: Optuna's own waits for the disk after each entry."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ValueError(
            f"Optuna is needed to write a study, and it cannot be imported ({error}); pip install 'podnas[optuna]'"
        ) from error
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's lines on the terminal."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _outcome(row: Mapping[Any, Any], names: Sequence[str]) -> Outcome:
    # before there was a share, the share of the windows was called budget
    budget, share = (row["budget"], row["share"]) if "share" in row else (1.0, row["budget"])
    parent = None if row["parent"] < 0 else int(row["parent"])
    continues = bool(row.get("continues", False))
    trial = Trial(int(row["number"]), json.loads(row["point"]), float(budget), float(share), parent, continues)
    loss = None if pd.isna(row["loss"]) else float(row["loss"])
    error = None if pd.isna(row["error"]) else str(row["error"])
    measures = {name: float(row[name]) for name in names if not pd.isna(row[name])}
    return Outcome(trial, loss, error, float(row["seconds"]), measures, float(row.get("ended", 0.0)))


def _chains(outcomes: Iterable[Outcome]) -> list[Chain]:
    """Outcomes by the training that they are parts of, in the order of their numbers."""
    chains: dict[int, Chain] = {}  # by the number of the last part
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.trial.budget, outcome.trial.number)):
        before = chains.get(-1 if outcome.trial.parent is None else outcome.trial.parent)
        if before is not None and outcome.trial.continues:
            del chains[before[-1].trial.number]
            chains[outcome.trial.number] = [*before, outcome]
        else:
            chains[outcome.trial.number] = [outcome]
    return sorted(chains.values(), key=lambda chain: chain[0].trial.number)


def _frozen(
    chain: Chain, distributions: Distributions, whole: tuple[float, float], objectives: Sequence[str], ended: float
) -> FrozenTrial:
    """A training as a trial; `whole`: budget and share of those that are complete."""
    from optuna.trial import FrozenTrial, TrialState

    first, last = chain[0], chain[-1]
    given = [last.loss, *(last.measures.get(name) for name in objectives[1:])]
    values = [value for value in given if value is not None]
    if len(values) < len(given):
        state = TrialState.FAIL
    else:
        state = TrialState.COMPLETE if (last.trial.budget, last.trial.share) == whole else TrialState.PRUNED
    point = first.trial.point
    one = len(objectives) == 1
    return FrozenTrial(
        number=first.trial.number,
        trial_id=first.trial.number,
        state=state,
        value=values[0] if one and state != TrialState.FAIL else None,
        values=values if not one and state == TrialState.COMPLETE else None,
        params={name: _fitting(name, value, distributions[name], first.trial) for name, value in point.items()},
        distributions={name: distributions[name] for name in point},
        user_attrs=_attributes(chain),
        system_attrs={},
        intermediate_values={_step(part.trial): part.loss for part in chain if part.loss is not None},
        datetime_start=datetime.fromtimestamp((first.ended or ended) - first.seconds),
        datetime_complete=datetime.fromtimestamp(last.ended or ended),
    )


def _step(trial: Trial) -> int:
    return round(STEPS * trial.budget * trial.share)


def _attributes(chain: Chain) -> dict[str, Any]:
    """What a study says of a trial beside its parameters and values."""
    first, last = chain[0], chain[-1]
    known = {
        "number": first.trial.number,
        "continued_as": [part.trial.number for part in chain[1:]] or None,
        "parent": first.trial.parent,
        "budget": last.trial.budget,
        "share": last.trial.share,
        "seconds": sum(part.seconds for part in chain),
        "error": last.error,
        **last.measures,
    }
    return {name: value for name, value in known.items() if value is not None}


def _distributions(points: Sequence[Mapping[str, object]], space: ConfigurationSpace | None) -> Distributions:
    values: dict[str, list[Any]] = {}
    for point in points:
        for name, value in point.items():
            values.setdefault(name, []).append(value)
    known = {} if space is None else {name: _distribution(space[name]) for name in space if name in values}
    return {name: known.get(name) or _inferred(those) for name, those in values.items()}


def _distribution(dimension: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match dimension:
        case CategoricalHyperparameter():
            return CategoricalDistribution(_plain(dimension.choices))
        case OrdinalHyperparameter():
            return CategoricalDistribution(_plain(dimension.sequence))
        case Constant():
            return CategoricalDistribution(_plain([dimension.value]))
        case IntegerHyperparameter():
            return IntDistribution(int(dimension.lower), int(dimension.upper), log=_logarithmic(dimension))
        case FloatHyperparameter():
            return FloatDistribution(float(dimension.lower), float(dimension.upper), log=_logarithmic(dimension))
    raise ValueError(f"{dimension.name} is a {type(dimension).__name__}, which Optuna has nothing like; leave it out")


def _logarithmic(dimension: Any) -> bool:
    return bool(getattr(dimension, "log", False))  # beta distributions have none


def _plain(values: Iterable[Any]) -> list[Any]:
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _inferred(values: Sequence[Any]) -> BaseDistribution:
    """Numbers: from the least to the largest; anything else: one of those that occur."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    kinds = {type(value) for value in values}
    if kinds == {int}:
        return IntDistribution(min(values), max(values))
    if kinds <= {int, float}:
        return FloatDistribution(min(values), max(values))
    return CategoricalDistribution(sorted(set(values), key=str))


def _fitting(name: str, value: Any, distribution: BaseDistribution, trial: Trial) -> Any:
    """The value; where a logarithm's rounding has put it a hair outside its range, the end of the range."""
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(distribution, FloatDistribution | IntDistribution):
        nearest = min(max(value, distribution.low), distribution.high)
        fits = math.isclose(value, nearest)
    else:
        nearest, fits = value, value in getattr(distribution, "choices", ())
    if not fits:
        raise ValueError(
            f"trial {trial.number}: {name} is {value!r}, outside {distribution}; give the space it was drawn from"
        )
    return nearest
