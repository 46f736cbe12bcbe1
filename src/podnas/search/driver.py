"""The serial driver: ask, evaluate, log, tell; after a kill, replay the log and go on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from podnas.search.log import TrialLog
from podnas.search.protocol import Outcome, Search, Trial

Evaluate = Callable[[Trial], float]
Report = Callable[[Outcome, bool], None]  # an outcome, and whether an earlier run made it


def run(search: Search, evaluate: Evaluate, log: TrialLog, report: Report) -> list[Outcome]:
    """Run a search to its end and return all its outcomes, those of earlier runs of the same log first.

    `evaluate` gives a loss or raises; what it raises (other than a stop from outside) is the outcome of that trial.
    """
    outcomes = []
    for outcome in log.read():
        _replay(search, outcome, log)
        report(outcome, True)
        outcomes.append(outcome)
    while trials := search.ask(1):
        outcome = _evaluate(evaluate, trials[0])
        log.append(outcome)
        search.tell([outcome])
        report(outcome, False)
        outcomes.append(outcome)
    return outcomes


def _replay(search: Search, outcome: Outcome, log: TrialLog) -> None:
    asked = search.ask(1)
    if asked != [outcome.trial]:
        raise ValueError(
            f"{log.path}: trial {outcome.trial.number} is not what this search asks for at its place; the log was "
            "edited or written by other code; move it away to begin anew"
        )
    search.tell([outcome])


def _evaluate(evaluate: Evaluate, trial: Trial) -> Outcome:
    started = time.perf_counter()
    try:
        loss = evaluate(trial)
    except Exception as error:  # a trial may fail in any way; the search goes on
        return Outcome(trial, None, f"{type(error).__name__}: {error}", time.perf_counter() - started)
    seconds = time.perf_counter() - started
    if not math.isfinite(loss):
        return Outcome(trial, None, f"the loss is {loss}: training diverged", seconds)
    return Outcome(trial, loss, None, seconds)
