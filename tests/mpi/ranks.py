"""A search of a cheap function by the ranks of a launcher: `python -m tests.mpi.ranks FOLDER SETTINGS` (JSON)."""

from __future__ import annotations

import errno
import itertools
import json
import os
import sys
import time
from pathlib import Path

from podnas.parallel import launch

IDENTITY = {"search": "cheap"}
DEFAULTS = {
    "exchange": "mpi",
    "trials": 60,
    "seconds": 0.02,
    "silent_s": 3.0,
    "lanes": 2,
    "guard": True,
    "steps": 1,
    "ladder": False,
}


def main(folder: Path, given: str) -> None:
    settings = {**DEFAULTS, **json.loads(given)}
    if settings["guard"]:
        launch.guard()
    # after the guard, as a rank of a search of networks: it holds no libraries
    from ConfigSpace import ConfigurationSpace, Float

    from podnas.parallel import decentralised
    from podnas.search import log
    from podnas.search.encoding import Encoding
    from podnas.search.evolution import AgedEvolution
    from podnas.search.halving import ASHA
    from podnas.search.log import TrialLog
    from podnas.search.numbers import Numbers
    from podnas.search.random import RandomSearch
    from podnas.search.two_step import TwoStep

    rank, ranks = launch.place()
    if settings.get("full") == rank:
        fill_disk(after=10)
    trial_log = TrialLog(log.rank_path(folder, rank), IDENTITY)
    kept = trial_log.read_all()
    (folder / f"rank-{rank}.pid").write_text(str(os.getpid()))
    exchange = launch.exchange(settings["exchange"], folder, kept, settings["silent_s"])
    space = ConfigurationSpace(space=[Float("x", (0, 1)), Float("y", (0, 1))])
    numbers = Numbers(settings["trials"], rank, ranks)
    lost = set()
    search = AgedEvolution(Encoding(space), numbers, 0, 8, 3)
    if settings["ladder"]:
        search = ASHA(lambda lent: RandomSearch(Encoding(space), lent, 0), numbers, 2, 1 / 2, lost)
    if settings["steps"] == 2:
        search = TwoStep(search, numbers, 0.5, 8)
    evaluator = evaluators(settings, rank)
    ended = decentralised.run(
        search, evaluator, trial_log, exchange, kept, lambda *_: None, settings["lanes"], stop(settings), lost
    )
    known = {outcome.trial.number: outcome.loss for outcome in ended.outcomes}
    (folder / f"known-{rank}.json").write_text(json.dumps({"known": known, "over": ended.over}))
    exchange.close()  # last, as in a search: on a machine with too much to do, the end of MPI is cut off by its alarm


def fill_disk(after: int) -> None:
    """From the n-th record on, the disk takes half a line and no more."""
    calls, write = itertools.count(1), os.write

    def full(file: int, data: bytes) -> int:
        if next(calls) < after:
            return write(file, data)
        write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    os.write = full


def stop(settings):
    return lambda: time.time() >= settings.get("deadline", float("inf"))


def evaluators(settings, rank):
    if "objective" in settings:
        from podnas.parallel.objective import ProcessEvaluator

        return ProcessEvaluator(settings["objective"], workers=1, limit_s=settings["limit_s"])
    return Sleeping(settings["seconds"], settings.get("stuck") == rank, settings["ladder"])


class Sleeping:
    """Takes a while for a trial, one after the other; when stuck, its first trial never ends.

    Where later trials are to be worse, ever more of the earlier ones are good enough to go on.
    """

    def __init__(self, seconds: float, stuck: bool, worse: bool) -> None:
        self.seconds, self.stuck, self.worse = seconds, stuck, worse
        self.waiting = []

    def load(self, timeout_s=None):
        return True

    def submit(self, trial):
        self.waiting.append(trial)

    def finished(self, timeout_s=None):
        from podnas.search.protocol import Outcome

        if self.stuck:
            time.sleep(timeout_s)
            return None
        time.sleep(self.seconds)
        trial = self.waiting.pop(0)
        loss = float(trial.number) if self.worse else trial.point["x"] ** 2 + trial.point["y"]
        return Outcome(trial, loss, seconds=self.seconds, ended=time.time())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
