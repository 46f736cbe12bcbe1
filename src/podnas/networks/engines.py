"""What can advance members of a population, and which of it to use here."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
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
    together: int  # members that one call trains
    processes: bool = False  # in worker processes, else in threads

    def pool(self, workers: int) -> Executor:
        """Workers to advance members; the stacked engine wants only one."""
        if self.processes:
            return ProcessPoolExecutor(
                workers, get_context("spawn"), _start, (self,), max_tasks_per_child=JOBS_PER_PROCESS
            )
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
    Engine("kernels", "numba", together=1),
    Engine("stacked", "jax", together=4096),
    Engine("keras", "tensorflow", together=1, processes=True),
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


def choose(settings: TrainingConfig, probe: Callable[[], Sequence[Job]]) -> Engine:
    """The engine asked for; with `auto`, what is installed and costs least a member on the probe.

    Without an accelerator the kernels are taken unmeasured: stacking pads every layer, and on a CPU the padding is
    work (benchmarks/population.py prints how much).
    """
    if settings.engine != "auto":
        return named(settings.engine)
    candidates = [engine for engine in ENGINES[:2] if engine.installed() and (engine.together == 1 or _accelerator())]
    if len(candidates) < 2:
        return candidates[0] if candidates else named("keras")
    jobs = probe()
    return min(candidates, key=lambda engine: seconds_per_member(engine, jobs))


def seconds_per_member(engine: Engine, probe: Sequence[Job]) -> float:
    """Seconds a member of the probe, compiled before."""
    chosen = probe[: engine.together]
    advance(engine, chosen)
    return advance(engine, chosen)[1] / len(chosen)


def _accelerator() -> bool:
    # JAX alone has no GPU, and importing it takes a second
    if importlib.util.find_spec("jax_plugins") is None:
        return False
    import jax

    return bool(jax.default_backend() != "cpu")
