"""What benchmarks/population.py compares our kernels with: Keras, PyTorch and the stacked engine, each in processes.

PyTorch is imported in its processes only, from the folder that `make bench-population` installs it into.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self

from threadpoolctl import threadpool_limits

from podnas.networks import engines, parameters, population
from podnas.networks.population import Arrays, Job, Member
from podnas.networks.space import Layer
from podnas.windows import Array

TORCH = Path(".tools/torch")
STACKED_EPOCHS = 5  # of the stacked engine, for which a CPU is slow


@dataclass(frozen=True)
class Task:
    """One architecture to be trained, by whomever."""

    member: Member
    arrays: Arrays
    epochs: int

    def job(self) -> Job:
        """The task as our engines take it."""
        return Job(self.member, population.start(self.member, self.arrays), self.arrays, self.epochs, keep_best=False)

    def layers(self) -> list[Layer]:
        """The architecture."""
        return population.architecture(self.member, self.arrays)


@dataclass(frozen=True)
class Done:
    """What a training took, and the mean training loss of its last epoch."""

    seconds: float
    loss: float


class Processes:
    """Processes of one thread each, which end with this one."""

    def __init__(self, count: int, begin: Callable[..., None] | None = None, *arguments: Any) -> None:
        context = get_context("spawn")
        self.count = count
        self.pool = ProcessPoolExecutor(count, context, _begin, (context.Barrier(count), begin, arguments))

    def each(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What the function gives in each process, running in all at the same time."""
        return [one.result() for one in [self.pool.submit(_together, function, *arguments) for _ in range(self.count)]]

    def map(self, function: Callable[[Task], Done], todo: Sequence[Task]) -> list[Done]:
        """What the function gives for each task, one at a time in a process."""
        return list(self.pool.map(function, todo))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)


_PROCESS: dict[str, Any] = {}  # what one of these processes has: the barrier of them all, PyTorch


def _begin(barrier: Any, begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _PROCESS["barrier"] = barrier
    threadpool_limits(1)
    if begin is not None:
        begin(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _together(function: Callable[..., Any], *arguments: Any) -> Any:
    _PROCESS["barrier"].wait(timeout=300)
    return function(*arguments)


def keras_process() -> None:
    """Make a process ready for Keras: one thread."""
    tensorflow = importlib.import_module("tensorflow")
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)


def keras(task: Task) -> Done:
    """One training as a user of Keras writes it, without XLA (which takes longer here), and one forecast."""
    build, library = importlib.import_module("podnas.networks.build"), importlib.import_module("keras")
    arrays = task.arrays
    started = time.perf_counter()
    library.utils.set_random_seed(task.member.seed)
    network = build.model(task.layers(), arrays.inputs.shape[1])
    optimizer = library.optimizers.Adam(task.member.settings.learning_rate)
    network.compile(optimizer, "mse", jit_compile=False)
    size = task.member.settings.batch_size
    history = network.fit(arrays.inputs, arrays.targets, batch_size=size, epochs=task.epochs, verbose=0)
    network.predict(arrays.held_inputs, batch_size=size, verbose=0)
    return Done(time.perf_counter() - started, history.history["loss"][-1])


def stacked_process() -> None:
    """Without an accelerator: one core, so that wall seconds are core-seconds. Before JAX is imported."""
    if importlib.util.find_spec("jax_plugins") is None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def stacked(todo: Sequence[Task]) -> dict[str, Any]:
    """Seconds of the stacked engine for a few epochs; compilation is what the first of equal calls takes longer."""
    few = [replace(task, epochs=min(task.epochs, STACKED_EPOCHS)) for task in todo]
    first, second = (engines.advance(engines.named("stacked"), [task.job() for task in few])[1] for _ in range(2))
    return {
        "architectures": len(todo),
        "core_seconds_per_architecture": second * todo[0].epochs / few[0].epochs / len(todo),
        "compile_seconds": first - second,
        "backend": importlib.import_module("jax").default_backend(),
    }


# PyTorch


def pytorch_process() -> None:
    """Make a process ready for PyTorch: it comes from its folder, all else from the environment; one thread."""
    sys.path.append(str(TORCH.resolve()))
    _PROCESS["torch"] = importlib.import_module("torch")
    _PROCESS["torch"].set_num_threads(1)


def torch_version() -> str:
    """Version of PyTorch."""
    return str(_PROCESS["torch"].__version__)


def pytorch(task: Task) -> Done:
    """One training, eager: Adam with Keras's epsilon, mean squared error, batches drawn anew each epoch."""
    torch = _PROCESS["torch"]
    arrays = task.arrays
    inputs, targets, held = (torch.from_numpy(array) for array in (arrays.inputs, arrays.targets, arrays.held_inputs))
    started = time.perf_counter()
    torch.manual_seed(task.member.seed)
    layers = task.layers()
    modules = _modules(layers)
    optimizer = torch.optim.Adam(modules.parameters(), lr=task.member.settings.learning_rate, eps=1e-7)
    for _ in range(task.epochs):
        losses = []
        for rows in torch.randperm(len(inputs)).split(task.member.settings.batch_size):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(_forward(modules, layers, inputs[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    with torch.no_grad():
        _forward(modules, layers, held)
    return Done(time.perf_counter() - started, float(torch.stack(losses).mean()))


def _modules(layers: Sequence[Layer]) -> Any:
    nn = _PROCESS["torch"].nn
    units = {layer.name: layer.units for layer in layers}
    return nn.ModuleDict(
        {
            layer.name: nn.Linear(units[layer.inputs[0]], layer.units)
            if layer.kind == "project"
            else nn.LSTM(units[layer.inputs[0]], layer.units, batch_first=True)
            for layer in layers
            if layer.kind in ("lstm", "output", "project")
        }
    )


def _forward(modules: Any, layers: Sequence[Layer], entry: Any) -> Any:
    """(n, steps, channels) to (n, steps, modes)."""
    tensors: dict[str, Any] = {}
    for layer in layers:
        inputs = [tensors[name] for name in layer.inputs]
        match layer.kind:
            case "input":
                tensors[layer.name] = entry
            case "identity":
                tensors[layer.name] = inputs[0]
            case "merge":
                tensors[layer.name] = _PROCESS["torch"].relu(sum(inputs[1:], inputs[0]))
            case "project":
                tensors[layer.name] = modules[layer.name](inputs[0])
            case _:
                tensors[layer.name] = modules[layer.name](inputs[0])[0]
    return tensors["output"]


def pytorch_outputs(task: Task, values: Array) -> Array:
    """PyTorch's forecast of the held windows with our parameters."""
    torch, layers = _PROCESS["torch"], task.layers()
    modules = _modules(layers)
    with torch.no_grad():
        for layer, arrays in parameters.split(layers, values):
            kernel, *recurrent, bias = map(torch.from_numpy, arrays)
            # gates are i f g o in both; PyTorch has a second bias, added to the first
            state = [recurrent[0].T, bias, torch.zeros_like(bias)] if recurrent else [bias]
            for theirs, value in zip(modules[layer.name].parameters(), [kernel.T, *state], strict=True):
                theirs.copy_(value)
        result: Array = _forward(modules, layers, torch.from_numpy(task.arrays.held_inputs)).numpy()
    return result
