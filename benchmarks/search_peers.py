"""Optuna, DeepHyper and NePS behind ask and tell, as benchmarks/search.py drives our own searches.

They lie in a folder of their own (`make .tools/search-peers`), searched after the environment's: what both have comes
from the environment. All are asked for the loss to be lowered, told in the order of finishing, and keep what they are
told in memory, Optuna in a journal file where asked for.

What the peers know of a space differs. DeepHyper takes a ConfigSpace with its conditions. Optuna draws variables one
after the other, a conditional one where its condition holds. NePS has no conditions: it is given all variables, and
those that are not active are ignored. For both, an ordinal is an integer, its place in the order.
"""

from __future__ import annotations

import importlib
import logging
import random
import sys
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Hyperparameter,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from podnas.search.protocol import Outcome, Trial

PEERS = Path(".tools/search-peers")
TORCH = Path(".tools/torch")  # NePS's
FIDELITY = "epochs"  # NePS's name of it; no problem has a variable of that name

Point = Mapping[str, Any]


def folders() -> None:
    """Let this process import the peers; what the environment has comes first."""
    for folder in (PEERS, TORCH):
        if str(folder.resolve()) not in sys.path:
            sys.path.append(str(folder.resolve()))


def library(name: str) -> Any:
    """A peer's module, quiet."""
    folders()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    return importlib.import_module(name)


def active(space: ConfigurationSpace, values: Mapping[str, Any], name: str) -> bool:
    """Whether a variable's conditions hold, those of its parents included."""
    return all(
        condition.parent.name in values
        and active(space, values, condition.parent.name)
        and condition.satisfied_by_value({condition.parent.name: values[condition.parent.name]})
        for condition in space.parent_conditions_of[name]
    )


def plain(value: Any) -> Any:
    """A value as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def only_active(space: ConfigurationSpace, values: Mapping[str, Any]) -> dict[str, Any]:
    """The point without variables that its others leave out."""
    return {name: plain(values[name]) for name in space if active(space, values, name)}


class Peer(ABC):
    """What all adapters share: numbers of trials, and pieces of a training that is gone on with.

    `steps` are the shares of a full training after which a trial is judged; the last is 1.
    """

    def __init__(self, space: ConfigurationSpace, trials: int, seed: int, steps: Sequence[float] = (1.0,)) -> None:
        self.space = space
        self.trials = trials
        self.seed = seed
        self.steps = steps
        self.asked = 0
        self.under_way: dict[int, Any] = {}  # what the peer knows a trial by

    def ask(self, count: int) -> list[Trial]:
        """Up to `count` new trials, in one call of the peer where it has such."""
        made = []
        for point, handle, budget, parent in self.suggest(min(count, self.trials - self.asked)):
            made.append(Trial(self.asked, point, budget, parent=parent, continues=parent is not None))
            self.under_way[self.asked] = handle
            self.asked += 1
        return made

    def begun(self, trials: Sequence[Trial]) -> None:  # noqa: B027 - nothing to do
        """A peer is asked in one place only: there are no others' trials."""

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes in the order they finished."""
        self.learn([(self.under_way.pop(outcome.trial.number), outcome) for outcome in outcomes])

    @abstractmethod
    def suggest(self, count: int) -> list[tuple[dict[str, Any], Any, float, int | None]]:
        """Points, each with what the peer knows it by, its budget, and the number of the trial that it continues."""

    @abstractmethod
    def learn(self, told: Sequence[tuple[Any, Outcome]]) -> None:
        """Tell the peer."""

    @abstractmethod
    def observe(self, points: Sequence[Point], losses: Sequence[float]) -> None:
        """Finished trials that were not asked for."""


class Optuna(Peer):
    """Optuna 5 with its defaults; with a pruner, a trial goes on from step to step until it is pruned."""

    def __init__(
        self,
        space: ConfigurationSpace,
        trials: int,
        seed: int,
        sampler: str = "TPESampler",
        pruner: Callable[[Any], Any] | None = None,
        steps: Sequence[float] = (1.0,),
        journal: bool = False,
        epochs: int = 1,
    ) -> None:
        super().__init__(space, trials, seed, steps)
        self.optuna = library("optuna")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        self.epochs = epochs
        self.study = self.optuna.create_study(
            storage=self._journal() if journal else None,
            sampler=getattr(self.optuna.samplers, sampler)(seed=seed),
            pruner=pruner(self.optuna.pruners) if pruner else self.optuna.pruners.NopPruner(),
        )
        self.going_on: deque[tuple[dict[str, Any], Any, float, int | None]] = deque()
        self.values: dict[int, Point] = {}
        self.step: dict[int, int] = {}  # next step of an Optuna trial

    def _journal(self) -> Any:
        storages = self.optuna.storages
        self.folder = tempfile.TemporaryDirectory(prefix="optuna-")
        path = Path(self.folder.name) / "journal"
        backend = importlib.import_module("optuna.storages.journal").JournalFileBackend(str(path))
        return storages.JournalStorage(backend)

    def suggest(self, count: int) -> list[tuple[dict[str, Any], Any, float, int | None]]:
        return [self.going_on.popleft() if self.going_on else self._new() for _ in range(count)]

    def _new(self) -> tuple[dict[str, Any], Any, float, int | None]:
        trial = self.study.ask()
        point: dict[str, Any] = {}
        for name, variable in self.space.items():
            if active(self.space, point, name):
                point[name] = self._value(trial, variable)
        return point, trial, self.steps[0], None

    def _value(self, trial: Any, variable: Hyperparameter) -> Any:
        match variable:
            case UniformFloatHyperparameter():
                return trial.suggest_float(variable.name, variable.lower, variable.upper, log=variable.log)
            case UniformIntegerHyperparameter():
                return trial.suggest_int(variable.name, variable.lower, variable.upper, log=variable.log)
            case OrdinalHyperparameter():
                return plain(variable.sequence[trial.suggest_int(variable.name, 0, len(variable.sequence) - 1)])
            case CategoricalHyperparameter():
                return trial.suggest_categorical(variable.name, [plain(choice) for choice in variable.choices])
        raise TypeError(f"{variable} has a kind that the adapter of Optuna does not know")

    def learn(self, told: Sequence[tuple[Any, Outcome]]) -> None:
        for trial, outcome in told:
            if outcome.loss is None:
                self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            elif outcome.trial.budget >= 1.0:
                self.study.tell(trial, outcome.loss)
            else:
                self._judge(trial, outcome, outcome.loss)

    def _judge(self, trial: Any, outcome: Outcome, loss: float) -> None:
        place = self.steps.index(outcome.trial.budget)
        trial.report(loss, max(1, round(self.steps[place] * self.epochs)))
        if trial.should_prune():
            self.study.tell(trial, state=self.optuna.trial.TrialState.PRUNED)
        else:
            next_piece = (dict(outcome.trial.point), trial, self.steps[place + 1], outcome.trial.number)
            self.going_on.append(next_piece)

    def observe(self, points: Sequence[Point], losses: Sequence[float]) -> None:
        known = {name: self._distribution(variable) for name, variable in self.space.items()}
        for point, loss in zip(points, losses, strict=True):
            values = {name: self._internal(name, point[name]) for name in point}
            distributions = {name: known[name] for name in point}
            made = self.optuna.trial.create_trial(params=values, distributions=distributions, value=loss)
            self.study.add_trial(made)

    def _internal(self, name: str, value: Any) -> Any:
        variable = self.space[name]
        return variable.sequence.index(value) if isinstance(variable, OrdinalHyperparameter) else value

    def _distribution(self, variable: Hyperparameter) -> Any:
        kinds = self.optuna.distributions
        match variable:
            case UniformFloatHyperparameter():
                return kinds.FloatDistribution(variable.lower, variable.upper, log=variable.log)
            case UniformIntegerHyperparameter():
                return kinds.IntDistribution(variable.lower, variable.upper, log=variable.log)
            case OrdinalHyperparameter():
                return kinds.IntDistribution(0, len(variable.sequence) - 1)
            case CategoricalHyperparameter():
                return kinds.CategoricalDistribution([plain(choice) for choice in variable.choices])
        raise TypeError(f"{variable} has a kind that the adapter of Optuna does not know")


class DeepHyper(Peer):
    """A search of DeepHyper 0.13 on the ConfigSpace itself; it raises what it is told, so losses change their sign."""

    def __init__(self, space: ConfigurationSpace, trials: int, seed: int, kind: str = "CBO", **settings: Any) -> None:
        super().__init__(space, trials, seed)
        hpo = library("deephyper.hpo")
        problem = hpo.HpProblem(space, seed=seed)
        self.folder = tempfile.TemporaryDirectory(prefix="deephyper-")
        self.search = getattr(hpo, kind)(problem, random_state=seed, log_dir=self.folder.name, **settings)

    def suggest(self, count: int) -> list[tuple[dict[str, Any], Any, float, int | None]]:
        made = self.search.ask(count) if count else []
        return [(only_active(self.space, values), values, 1.0, None) for values in made]

    def learn(self, told: Sequence[tuple[Any, Outcome]]) -> None:
        self.search.tell([(values, "F" if outcome.loss is None else -outcome.loss) for values, outcome in told])

    def observe(self, points: Sequence[Point], losses: Sequence[float]) -> None:
        self.search.tell([(dict(point), -loss) for point, loss in zip(points, losses, strict=True)])


class NePS(Peer):
    """An algorithm of NePS 0.17 with its defaults, through its AskAndTell; with epochs, one with a fidelity."""

    def __init__(
        self,
        space: ConfigurationSpace,
        trials: int,
        seed: int,
        algorithm: str = "bayesian_optimization",
        epochs: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(space, trials, seed)
        # without this, TensorBoard, which NePS imports, would import TensorFlow: seconds, and warnings
        sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
        self.neps = library("neps")
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
        # it draws from the libraries' own streams
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        self.epochs = epochs
        members = {name: self._variable(variable) for name, variable in space.items()}
        if epochs is not None:
            members[FIDELITY] = self.neps.IntegerFidelity(1, epochs)
        pipeline = type("Space", (self.neps.PipelineSpace,), members)()
        self.search = self.neps.AskAndTell(getattr(self.neps.algorithms, algorithm)(pipeline, **settings))
        self.numbers: dict[str, int] = {}

    def _variable(self, variable: Hyperparameter) -> Any:
        match variable:
            case UniformFloatHyperparameter():
                return self.neps.Float(variable.lower, variable.upper, log=variable.log)
            case UniformIntegerHyperparameter():
                return self.neps.Integer(variable.lower, variable.upper, log=variable.log)
            case OrdinalHyperparameter():
                return self.neps.Integer(0, len(variable.sequence) - 1)
            case CategoricalHyperparameter():
                return self.neps.Categorical(tuple(plain(choice) for choice in variable.choices))
        raise TypeError(f"{variable} has a kind that the adapter of NePS does not know")

    def suggest(self, count: int) -> list[tuple[dict[str, Any], Any, float, int | None]]:
        return [self._new(self.asked + place) for place in range(count)]

    def _new(self, number: int) -> tuple[dict[str, Any], Any, float, int | None]:
        trial = self.search.ask()
        values = {name: self._outer(name, plain(value)) for name, value in trial.config.items() if name in self.space}
        budget = 1.0 if self.epochs is None else trial.config[FIDELITY] / self.epochs
        parent = self.numbers.get(trial.metadata.previous_trial_id)
        self.numbers[trial.id] = number
        return only_active(self.space, values), trial, budget, parent

    def _outer(self, name: str, value: Any) -> Any:
        variable = self.space[name]
        return plain(variable.sequence[int(value)]) if isinstance(variable, OrdinalHyperparameter) else value

    def _inner(self, name: str, point: Point) -> Any:
        variable = self.space[name]
        value = point.get(name, variable.default_value)
        return variable.sequence.index(value) if isinstance(variable, OrdinalHyperparameter) else plain(value)

    def learn(self, told: Sequence[tuple[Any, Outcome]]) -> None:
        for trial, outcome in told:
            self.search.tell(trial, RuntimeError(outcome.error) if outcome.loss is None else outcome.loss)

    def observe(self, points: Sequence[Point], losses: Sequence[float]) -> None:
        for number, (point, loss) in enumerate(zip(points, losses, strict=True), start=1):
            config = {name: self._inner(name, point) for name in self.space}
            self.search.tell_custom(config_id=str(number), config=config, result=loss)
