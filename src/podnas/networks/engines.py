"""What can advance members of a population, and which of it to use here."""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from types import ModuleType
from typing import Literal

from podnas.config import TrainingConfig
from podnas.networks.population import Job, State

Name = Literal["kernels", "stacked", "keras"]
JOBS_PER_PROCESS = 12  # TensorFlow keeps 60–90 MB of every network it has traced


@dataclass(frozen=True)
class Engine:
    """A way of training: `advance` of its module takes jobs and gives their states."""

    name: Name
    library: str  # what it cannot run without
    together: int = 1  # members that one call trains
    processes: bool = False  # in worker processes, else in threads

    def jobs_per_pool(self, workers: int) -> float:
        """Jobs after which the workers are replaced."""
        return JOBS_PER_PROCESS * workers if self.processes else math.inf

    def pool(self, workers: int) -> Executor:
        """Workers to advance members; the stacked engine wants only one."""
        if self.processes:
            # not max_tasks_per_child: with jobs waiting, Python 3.11 does not replace what has ended
            return ProcessPoolExecutor(workers, get_context("spawn"), _start, (self,))
        return ThreadPoolExecutor(workers if self.together == 1 else 1)

    def module(self) -> ModuleType:
        """Its code, imported when first used: each needs another library."""
        match self.name:
            case "kernels":
                from podnas.networks import exact

                return exact
            case "stacked":
                from podnas.networks import stacked

                return stacked
            case "keras":
                from podnas.networks import train

                return train

    def installed(self) -> bool:
        """Whether its library is."""
        return importlib.util.find_spec(self.library) is not None


ENGINES = (
    Engine("kernels", "numba"),
    Engine("stacked", "jax", together=4096),
    Engine("keras", "tensorflow", processes=True),
)


def advance(engine: Engine, jobs: Sequence[Job]) -> tuple[list[State], float]:
    """The jobs' states and the seconds spent on them."""
    started = time.perf_counter()
    states: list[State] = engine.module().advance(jobs)
    return states, time.perf_counter() - started


def _start(engine: Engine) -> None:
    engine.module().start_worker()


def named(name: str) -> Engine:
    """The engine of that name. Raises ValueError where its library is not installed."""
    engine = next(engine for engine in ENGINES if engine.name == name)
    if not engine.installed():
        raise ValueError(
            f"training.engine is {name}, but {engine.library} is not installed; install it, or set "
            "training.engine: auto"
        )
    return engine


def choose(settings: TrainingConfig, workers: int, probe: Callable[[], Sequence[Job]]) -> Engine:
    """The engine asked for; with `auto`, what is installed and takes least time for an epoch of the probe's jobs.

    These are what would be under way at once. Without an accelerator the kernels are taken unmeasured: stacking pads
    every layer, and on a CPU the padding is work (benchmarks/population.py prints how much).
    """
    if settings.engine != "auto":
        return named(settings.engine)
    fast = [engine for engine in ENGINES if not engine.processes and engine.installed()]
    candidates = [engine for engine in fast if engine.together == 1 or _accelerator()]
    if len(candidates) < 2:
        return candidates[0] if candidates else named("keras")
    jobs = [replace(job, epochs=job.state.epochs + 1) for job in probe()]
    return min(candidates, key=lambda engine: epoch_seconds(engine, workers, jobs))


def epoch_seconds(engine: Engine, workers: int, jobs: Sequence[Job]) -> float:
    """Seconds that the jobs take on these workers, compiled before."""
    advance(engine, jobs)
    return advance(engine, jobs)[1] / (workers if engine.together == 1 else 1)


def _accelerator() -> bool:
    # JAX alone has no GPU, and importing it takes a second
    if importlib.util.find_spec("jax_plugins") is None:
        return False
    import jax

    return bool(jax.default_backend() != "cpu")
