"""What a search tells whoever watches it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from rich.markup import escape

from podnas.progress import Progress
from podnas.search.protocol import Outcome

LOG = logging.getLogger("podnas")
SHOWN = 50  # lines on the terminal, besides those of the best so far and of failures


class Report:
    """A line for each trial in the log; on the terminal the best so far, failures, and one in so many (or nothing)."""

    def __init__(self, task: str, total: int, score: str, value: Callable[[float], str], shown: bool = True) -> None:
        self.progress = Progress(task, total)
        self.score, self.value = score, value  # name of what is shown of a loss, and how it is written
        self.shown = shown
        self.every = math.ceil(total / SHOWN)
        self.best = math.inf
        self.seconds = 0.0
        self.made = 0
        self.started = time.monotonic()

    def __call__(self, outcome: Outcome, kept: bool) -> None:
        """One more trial, of this rank or another; kept: of an earlier run."""
        if not kept:
            self.made += 1
            self.seconds += outcome.seconds
        number = outcome.trial.number
        if outcome.loss is None:
            self.progress.step(escape(f"trial {number} failed: {outcome.error}"), kept, self.shown)
            return
        better = outcome.loss < self.best
        self.best = min(self.best, outcome.loss)
        text = f"trial {number}: {self.score} {self.value(outcome.loss)}, best {self.value(self.best)}"
        self.progress.step(text, kept, self.shown and (better or number % self.every == 0))

    def finish(self, workers: int, stopped: bool) -> None:
        """How busy so many workers were (seconds of trials over those that there were), and whether time was over."""
        spent = time.monotonic() - self.started
        busy = 100 * self.seconds / (workers * spent)
        text = f"{self.made} trials in {spent:.0f} s, {workers} workers {busy:.0f} % busy"
        done, total = self.progress.done, self.progress.total
        if stopped and done < total:
            text += f"; stopped by search.time_limit_minutes after {done} of {total} trials"
        LOG.info("%s %s", self.progress.task, text)
        if self.shown:
            self.progress.console.print(f"[bold cyan]{self.progress.task}[/] {text}")
