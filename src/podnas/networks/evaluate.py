"""The evaluator of a search: trials in, their validation losses out, through the population trainer."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import OrderedDict, deque
from dataclasses import replace
from typing import Literal, Self

import numpy as np

from podnas import windows
from podnas.networks import heads, population, space
from podnas.networks.engines import Engine
from podnas.networks.lanes import Finished, Lanes
from podnas.networks.population import Arrays, Job, Member, State
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.space import Point
from podnas.search.protocol import Outcome, Trial
from podnas.windows import Fold, Subset

PAUSED_BYTES = 500_000_000  # states kept for trials that may be gone on with
KEPT_ARRAYS = 16  # sets of windows, one for each share and output scale
TIMINGS = 3  # forecasts of which the shortest is a trial's inference_seconds


class PopulationEvaluator:
    """Trains one network a trial on a fold; the loss is 1 - validation r2_mean at the last epoch.

    With a Gaussian head it is the negative log likelihood of the validation windows, and r2_mean a measure.

    A trial's budget is a share of `recipe.epochs`, its share one of the windows (`subset` says which). Settings of
    training that its point holds are laid over the recipe's. Everything is scaled by the weeks that the fold fits on
    or, with `scaler` subset, by those of the trial's windows alone: validation weeks scale nothing.

    A trial that continues goes on from its parent's state where that is still in memory, and else from the beginning,
    as after a kill or in another process; both give the same network, since it does not depend on the trial's number
    (see `trial_seed`).

    Measures: `parameters`, and `inference_seconds` of one window of the validation windows forecast together, as the
    engine does it (the shortest of a few forecasts; the stacked engine pads all members to one shape, so there it tells
    no architecture from another). A trial that takes longer than `limit_s` fails when its epoch ends.
    """

    def __init__(
        self,
        data: Fold,
        recipe: Recipe,
        seed: int,
        engine: Engine,
        workers: int,
        *,
        limit_s: float | None = None,
        subset: Subset = "latest",
        scaler: Literal["training", "subset"] = "training",
    ) -> None:
        self.data = data.scaled(data.fit.series)
        self.recipe = recipe
        self.seed = seed
        self.limit_s = limit_s
        self.subset: Subset = subset
        self.scaler = scaler
        self.lanes = Lanes(engine, workers)
        self.refused: deque[Outcome] = deque()
        self.folds: dict[float, Fold] = {}
        self.arrays: OrderedDict[tuple[float, float], Arrays] = OrderedDict()
        self.paused = Paused(PAUSED_BYTES)

    def load(self, timeout_s: float | None = None) -> bool:
        """Always ready: the engine has been chosen, and its libraries are loaded with the networks."""
        return True

    def submit(self, trial: Trial) -> None:
        """Begin a trial."""
        settings = space.settings(trial.point, self.recipe.settings)
        member = Member(space.architecture(trial.point), trial_seed(self.seed, trial), settings)
        try:
            job = self._job(trial, member)
        except MemoryError as error:
            self.refused.append(self._failed(trial, f"MemoryError: {error}"))
            return
        self.lanes.submit(trial, job)

    def finished(self, timeout_s: float | None = None) -> Outcome | None:
        """The outcome of the next trial that is done; None where none is within the timeout.

        Raises LookupError where none is under way.
        """
        if self.refused:
            return self.refused.popleft()
        done = self.lanes.finished(timeout_s)
        return None if done is None else self._outcome(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.lanes.__exit__(*details)

    def _job(self, trial: Trial, member: Member) -> Job:
        arrays = self._arrays(trial.share, member.settings.output_scale)
        state = self.paused.take(trial.parent) if trial.continues else None
        epochs = max(1, round(trial.budget * self.recipe.epochs))
        begun = state or population.start(member, arrays)
        return Job(member, begun, arrays, epochs, self.recipe.keep_best, self.limit_s, TIMINGS)

    def _outcome(self, done: Finished) -> Outcome:
        trial, state = done.key, done.state
        if state.error is not None:
            return self._failed(trial, state.error, done.seconds)
        if trial.budget < 1:
            self.paused.put(trial.number, state)
        measures = self._measures(trial.point)
        if math.isfinite(state.inference_seconds):
            measures["inference_seconds"] = state.inference_seconds
        if math.isfinite(state.validation_nll()):
            measures["r2_mean"] = state.validation_r2()
        return Outcome(trial, state.validation_loss(), None, done.seconds, measures, time.time())

    def _failed(self, trial: Trial, error: str, seconds: float = 0.0) -> Outcome:
        return Outcome(trial, None, error, seconds, self._measures(trial.point), time.time())

    def _measures(self, point: Point) -> dict[str, float]:
        modes = self.data.fit.targets.shape[2]
        channels, outputs = modes + 4 * self.recipe.windows.harmonics, modes * heads.columns(self.recipe.settings)
        return {"parameters": space.parameter_count(point, channels, outputs)}

    def _arrays(self, share: float, output_scale: float) -> Arrays:
        key = share, output_scale
        if key not in self.arrays:
            settings = self.recipe.settings.model_copy(update={"output_scale": output_scale})
            self.arrays[key] = population.arrays(self._fold(share), replace(self.recipe, settings=settings))
        self.arrays.move_to_end(key)
        while len(self.arrays) > KEPT_ARRAYS:
            self.arrays.popitem(last=False)
        return self.arrays[key]

    def _fold(self, share: float) -> Fold:
        if share not in self.folds:
            fit = windows.subset(self.data.fit, share, self.subset)
            part = replace(self.data, fit=fit)
            self.folds[share] = part.scaled(fit.seen()) if self.scaler == "subset" and share < 1 else part
        return self.folds[share]


class Paused:
    """States of trials that may be gone on with, of so many bytes at most: those that came last."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.states: OrderedDict[int, State] = OrderedDict()
        self.bytes = 0

    def put(self, number: int, state: State) -> None:
        """Keep a trial's state."""
        self.take(number)
        self.states[number] = state
        self.bytes += _size(state)
        while self.bytes > self.limit_bytes:
            self.bytes -= _size(self.states.popitem(last=False)[1])

    def take(self, number: int | None) -> State | None:
        """A trial's state, which is not kept any longer; None where it is not here."""
        state = None if number is None else self.states.pop(number, None)
        self.bytes -= 0 if state is None else _size(state)
        return state


def _size(state: State) -> int:
    arrays = (state.parameters, state.first, state.second, state.best_parameters)
    return sum(array.nbytes for array in arrays if array is not None)


def trial_seed(seed: int, trial: Trial) -> int:
    """Seed of the weights and batches of a trial's network.

    Where a training is made in parts (a budget below 1, or one that continues), all parts must have the same seed, on
    whichever rank and after whichever kill: it follows from the search's seed and the point. All others have one of
    their own, from the trial's number.
    """
    if trial.budget == 1 and not trial.continues:
        return network_seed(seed, trial.number)
    text = json.dumps(dict(trial.point), sort_keys=True)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint32)
    return int(np.random.SeedSequence([seed, *map(int, words)]).generate_state(1)[0])
