"""Members of a population: any architectures of a space, each with weights, seed and settings of its own.

A member is started, advanced to a number of epochs, paused (its state is all there is to keep) and advanced again:
two calls of 10 epochs give what one of 20 gives. `engines.py` says what can advance it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import psutil

from podnas import scores
from podnas.config import TrainingConfig
from podnas.networks import heads, parameters
from podnas.networks.recipe import Recipe
from podnas.networks.space import Layer, Point, graph
from podnas.windows import Array, Fold, Training, channels

# numbers a parameter while training: it and two moments before, packed and after, gradient, best so far, its place (2)
COPIES = 13
WIDTH = 32  # batches are padded to a multiple of so many windows
DIVERGED = "training diverged"  # begins the error of a member whose numbers are not finite any more


@dataclass(frozen=True)
class Member:
    """One network to be trained, and all that decides what it becomes besides the data."""

    point: Point
    seed: int
    settings: TrainingConfig


@dataclass(frozen=True)
class Arrays:
    """What members learn from and are judged by."""

    inputs: Array  # (n, steps, channels) float32
    targets: Array  # (n, steps, modes) float32, standardised and divided by the output scale
    held_inputs: Array  # (m, steps, channels) float32, validation windows
    held_targets: Array  # (m, steps, modes) float32, as targets


@dataclass(frozen=True)
class State:
    """Where a member stands; vectors are parameters in Keras's layout, layer by layer."""

    parameters: Array
    first: Array = field(repr=False)  # Adam's moments
    second: Array = field(repr=False)
    epochs: int = 0
    steps: int = 0
    losses: tuple[float, ...] = ()  # mean training loss of each epoch
    held_r2: float = float("nan")  # r2_mean on the validation windows after the last epoch
    held_nll: float = float("nan")  # negative log likelihood of them, only with a Gaussian head
    best_parameters: Array | None = field(default=None, repr=False)  # only where the best epoch is kept
    best_loss: float = float("inf")
    best_r2: float = float("nan")
    best_nll: float = float("nan")
    best_epoch: int = 0  # counted from 1
    seconds: float = 0.0  # of a worker, over all epochs
    inference_seconds: float = float("nan")  # of the forecast of one window, where it was timed
    error: str | None = None

    def chosen(self) -> Array:
        """Parameters of the best epoch where it is kept, else of the last."""
        return self.parameters if self.best_parameters is None else self.best_parameters

    def validation_r2(self) -> float:
        """r2_mean on the validation windows of the chosen parameters."""
        return self.held_r2 if self.best_parameters is None else self.best_r2

    def validation_nll(self) -> float:
        """Negative log likelihood of the validation windows by the chosen parameters; NaN without a Gaussian head."""
        return self.held_nll if self.best_parameters is None else self.best_nll

    def validation_loss(self) -> float:
        """What a search lowers: the negative log likelihood where a head gives one, else 1 - r2_mean."""
        nll = self.validation_nll()
        return 1 - self.validation_r2() if np.isnan(nll) else nll


@dataclass(frozen=True)
class Job:
    """Bring a member from its state to `epochs` epochs in all."""

    member: Member
    state: State
    arrays: Arrays
    epochs: int
    keep_best: bool  # keep the parameters of the epoch with the lowest validation loss
    limit_s: float | None = None  # a member that is not done after so long gets an error
    timings: int = 0  # forecasts of the validation windows that are timed after the last epoch

    def layers(self) -> list[Layer]:
        """The member's architecture."""
        return architecture(self.member, self.arrays)

    def outputs(self) -> int:
        """Columns of the member's outputs: one for each mode, two with a Gaussian head."""
        modes: int = self.arrays.targets.shape[2]
        return modes * heads.columns(self.member.settings)

    def batch_size(self) -> int:
        """Windows a step: never more than there are."""
        return min(self.member.settings.batch_size, len(self.arrays.inputs))

    def batches(self, epoch: int) -> Array:
        """Rows of each batch of an epoch, counted from 0: (batches, batch size); a ragged last batch is dropped."""
        random = np.random.default_rng(np.random.SeedSequence([self.member.seed, 1, epoch]))
        size = self.batch_size()
        rows = random.permutation(len(self.arrays.inputs))
        return rows[: len(rows) - len(rows) % size].reshape(-1, size)

    def loss_weights(self) -> Array:
        """Weight of each lead and mode in the loss, of mean 1: (steps, modes) float32."""
        steps, modes = self.arrays.targets.shape[1:]
        by_lead = np.ones(steps) if (given := self.member.settings.lead_weights) is None else np.array(given)
        if len(by_lead) != steps:
            raise ValueError(f"training.lead_weights has {len(by_lead)} weights for {steps} leads; give one for each")
        return np.repeat((by_lead / by_lead.mean())[:, None], modes, axis=1).astype(np.float32)

    def judged(self, state: State, forecast: Array) -> State:
        """The state after an epoch whose validation outputs (m, steps, columns) are known."""
        held, settings = self.arrays.held_targets, self.member.settings
        mean = forecast[..., : held.shape[2]].astype(float)
        error = mean - held
        loss, nll = float((self.loss_weights() * error**2).mean()), float("nan")
        if settings.head is not None:
            loss = nll = heads.nll(forecast, held, settings, self.loss_weights())
        r2 = float(scores.r2(mean, held.astype(float)).mean())
        state = replace(state, held_r2=r2, held_nll=nll)
        if not (self.keep_best and loss < state.best_loss):
            return state
        return replace(
            state,
            best_parameters=state.parameters,
            best_loss=loss,
            best_r2=r2,
            best_nll=nll,
            best_epoch=state.epochs,
        )

    def timed(self, state: State, forecast: Callable[[], Array]) -> State:
        """The state with the time of one window: the shortest of `timings` forecasts of all validation windows.

        They come after the one that is judged, so nothing is compiled or first read from memory in them. What else runs
        on the core can only lengthen a forecast: on a busy machine medians vary ten times as much.
        """
        if not self.timings:
            return state
        seconds = []
        for _ in range(self.timings):
            started = time.perf_counter()
            forecast()
            seconds.append(time.perf_counter() - started)
        return replace(state, inference_seconds=min(seconds) / len(self.arrays.held_inputs))

    def in_time(self, state: State, started: float) -> State:
        """The state after an epoch, or the member as it came with an error where time is up and epochs are left.

        `started` is what time.perf_counter() was. What is done with its last epoch is kept, however late.
        """
        late = self.limit_s is not None and time.perf_counter() - started > self.limit_s
        if state.error is not None or state.epochs >= self.epochs or not late:
            return state
        done = f"{state.epochs} of {self.epochs} epochs are done"
        limit = (self.limit_s or 0) / 60
        return replace(self.state, error=f"took longer than search.trial_limit_minutes, {limit:g}, of which {done}")

    def diverged(self, state: State) -> State:
        """The member as it came, with the error that its numbers are not finite any more after `state`."""
        rate = self.member.settings.learning_rate
        return replace(self.state, error=f"{DIVERGED} in epoch {state.epochs + 1} (learning rate {rate})")


def architecture(member: Member, data: Arrays) -> list[Layer]:
    """Layers of a member for the channels and modes of the data."""
    outputs = data.targets.shape[2] * heads.columns(member.settings)
    return graph(member.point, data.inputs.shape[2], outputs, dropout=member.settings.dropout > 0)


def arrays(data: Fold, recipe: Recipe) -> Arrays:
    """Windows as networks see them. Raises ValueError where one is not finite, or there is none."""
    made = Arrays(*_pair(data.fit, recipe), *_pair(data.validate, recipe))
    if not len(made.inputs):
        raise ValueError("there is no window to fit on; lengthen the training period or shorten the windows")
    if len(made.held_inputs) < 2:
        raise ValueError("R2 needs 2 validation windows; lengthen the training period or take fewer validation blocks")
    for name, array in vars(made).items():
        bad = ~np.isfinite(array).all(axis=(1, 2))
        if bad.any():
            raise ValueError(
                f"{bad.sum()} of {len(bad)} windows ({name}) hold values that are not finite, the first is window "
                f"{int(bad.argmax())}; mend the coefficients that they are cut from"
            )
    return made


def _pair(data: Training, recipe: Recipe) -> tuple[Array, Array]:
    # the output LSTM ends at -1 and 1, standardised coefficients do not
    targets = data.targets / recipe.settings.output_scale
    return np.ascontiguousarray(channels(data.inputs, recipe.windows)), targets.astype(np.float32)


def start(member: Member, data: Arrays) -> State:
    """A member before its first epoch. Raises MemoryError where it cannot be trained in this machine's memory."""
    layers = architecture(member, data)
    _check_memory(member, layers, data)
    values = parameters.initial(layers, member.seed)
    return State(values, np.zeros_like(values), np.zeros_like(values))


def _check_memory(member: Member, layers: Sequence[Layer], data: Arrays) -> None:
    units = sum(layer.units for layer in layers)
    count = sum(int(np.prod(shape)) for _, parts in parameters.layer_shapes(layers) for shape in parts.values())
    cells = data.inputs.shape[1] * -(-min(member.settings.batch_size, len(data.inputs)) // WIDTH) * WIDTH
    needed = 4 * (COPIES * count + 10 * cells * units)  # bytes
    free = psutil.virtual_memory().available
    if needed > free:
        raise MemoryError(
            f"an architecture whose widest layer has {max(layer.units for layer in layers)} units ({count} parameters) "
            f"needs about {needed / 1e9:.1f} GB to train, {free / 1e9:.1f} GB are free; take narrower layers or a "
            "smaller training.batch_size"
        )


def job(member: Member, data: Arrays, recipe: Recipe) -> Job:
    """The whole training of a new member."""
    return Job(member, start(member, data), data, recipe.epochs, recipe.keep_best)
