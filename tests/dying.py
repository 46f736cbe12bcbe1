"""An engine of worker processes that train nothing, and die of the member that has one node called poison."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from types import ModuleType

from podnas.networks.engines import Engine
from podnas.networks.population import Job, State

POISON = {"node_1": "poison"}


@dataclass(frozen=True)
class Dying(Engine):
    """Like the Keras engine, without Keras."""

    def pool(self, workers: int) -> Executor:
        return ProcessPoolExecutor(workers, get_context("spawn"))

    def module(self) -> ModuleType:
        return sys.modules[__name__]


DYING = Dying("keras", "tensorflow", processes=True)


def advance(jobs: Sequence[Job]) -> list[State]:
    """The states as they came."""
    if jobs[0].member.point == POISON:
        os._exit(9)
    return [one.state for one in jobs]
