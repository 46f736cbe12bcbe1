"""The evaluator of a search: a point in, its validation loss out, each trained in a worker process.

TensorFlow keeps 60–90 MB of every network it has traced, so a worker is replaced after a few trials; a worker that
is killed is replaced and its trial made again, once.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Self

from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.space import Point
from podnas.windows import Fold

TRIALS_PER_WORKER = 12
ATTEMPTS = 2  # a worker may be killed for no fault of its trial


class KerasEvaluator:
    """Trains one network a trial on a fold; the loss is 1 - validation r2_mean at the last epoch."""

    def __init__(self, data: Fold, recipe: Recipe, seed: int) -> None:
        self.data = data
        self.recipe = recipe
        self.seed = seed
        self.pool = _new_pool()

    def __call__(self, point: Point, budget: float, number: int) -> float:
        """Loss of trial `number`, trained on the latest share `budget` of the windows; raises what training raised."""
        task = (dict(point), replace(self.data, fit=self.data.fit.latest(budget)), self.recipe)
        for _ in range(ATTEMPTS):
            try:
                return self.pool.submit(_loss, *task, network_seed(self.seed, number)).result()
            except BrokenProcessPool:
                self.pool = _new_pool()
        raise RuntimeError(f"the worker process was killed {ATTEMPTS} times (out of memory?)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)


def _new_pool() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=_start, max_tasks_per_child=TRIALS_PER_WORKER)


def _start() -> None:
    from podnas.networks import train

    threading.Thread(target=_end_with_parent, daemon=True).start()
    train.make_deterministic()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _loss(point: Point, data: Fold, recipe: Recipe, seed: int) -> float:
    from podnas.networks import train

    return 1 - train.train(point, data, recipe, seed).validation_r2
