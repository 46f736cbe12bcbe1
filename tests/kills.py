"""A search that is killed again and again, by SIGKILL at random times: `python -m tests.kills FOLDER SETTINGS` (JSON).

Each attempt is a process of its own, forked once all libraries are loaded, that goes on with what the log holds. It
prints how many were killed, and for every search the trials and the state that it ended with.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from ConfigSpace import ConfigurationSpace, Float, Integer

from podnas.config import SearchConfig
from podnas.parallel import decentralised
from podnas.parallel.exchange import Alone
from podnas.search import driver, log
from podnas.search.build import build
from podnas.search.log import TrialLog
from podnas.search.protocol import Outcome, Trial

IDENTITY = {"search": "killed"}
LANES = 3
SECONDS = 0.002  # of a trial


class Evaluator:
    """Takes some milliseconds for a trial; the third fails, the fifth diverges."""

    def __init__(self) -> None:
        self.waiting: list[Trial] = []
        self.random = random.Random(os.getpid())

    def load(self, timeout_s: float | None = None) -> bool:
        return True

    def submit(self, trial: Trial) -> None:
        self.waiting.append(trial)

    def finished(self, timeout_s: float | None = None) -> Outcome:
        time.sleep(SECONDS)
        trial = self.waiting.pop(self.random.randrange(len(self.waiting)))
        if trial.number == 3:
            return Outcome(trial, None, "MemoryError: too wide")
        loss = (trial.point["x"] - 0.3) ** 2 + abs(trial.point["n"] - 4) / 10 + (1 - trial.budget) / 10
        return Outcome(trial, float("nan") if trial.number == 5 else loss, seconds=SECONDS)


def search(settings):
    space = ConfigurationSpace(space=[Float("x", (0, 1)), Integer("n", (1, 9))])
    return build(space, SearchConfig.model_validate(settings))


def attempt(folder: Path, settings, runner: str) -> None:
    """Run the search as far as it gets; at its end, write the state that it has."""
    made = search(settings)
    trial_log = TrialLog(log.rank_path(folder, 0), IDENTITY)
    if runner == "driver":
        outcomes = driver.run(made, Evaluator(), trial_log, lambda *_: None, LANES)
    else:
        kept = trial_log.read_all()
        outcomes = decentralised.run(made, Evaluator(), trial_log, Alone(), kept, lambda *_: None, LANES).outcomes
    trials = [[outcome.trial.number, outcome.loss] for outcome in outcomes]
    (folder / "end.json").write_text(json.dumps({"trials": trials, "state": made.state()}))


def killed(folder: Path, settings, runner: str, after_s: float) -> bool:
    """Whether an attempt was killed before it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            attempt(folder, settings, runner)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("an attempt failed")
    return os.WIFSIGNALED(status)


def main(folder: Path, given: str) -> None:
    log.TRIES = 1000  # none of these trials is what kills the process, however often it is killed in the middle of one
    settings = json.loads(given)
    runner, kills, longest_s = settings.pop("runner"), settings.pop("kills"), settings.pop("longest_s")
    (folder / "whole").mkdir()
    attempt(folder / "whole", settings, runner)  # and compiles what the attempts run
    attempt_times, done, searches = random.Random(settings.get("seed", 0)), 0, 0
    while done < kills:
        own = folder / str(searches)
        own.mkdir()
        searches += 1
        while killed(own, settings, runner, attempt_times.uniform(0, longest_s)):
            done += 1
            records = log.read_file(log.rank_path(own, 0))
            before = own / "before.json"
            numbers = [record.trial.number for record in records if isinstance(record, Outcome)]
            known = json.loads(before.read_text()) if before.exists() else []
            assert numbers[: len(known)] == known, f"lost: {set(known) - set(numbers)}"
            before.write_text(json.dumps(numbers))
            # so that every search comes to its end, however slow the machine is
            longest_s *= 1.01
    print(json.dumps({"kills": done, "searches": searches}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
