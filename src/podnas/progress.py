"""Progress of long jobs: one line a finished item, on the terminal and in the rule's log.

Jobs of one run share a terminal, so lines are printed, not bars redrawn over one another.
"""

from __future__ import annotations

import logging
import time

from rich.console import Console

LOG = logging.getLogger("podnas")


class Progress:
    """Counts finished items and tells how long the rest will take; more than the total make the total more."""

    def __init__(self, task: str, total: int) -> None:
        self.task = task
        self.total = total
        self.done = 0
        self.kept = 0
        self.started = time.monotonic()
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)

    def step(self, text: str, kept: bool = False, shown: bool = True) -> None:
        """One more item is finished, or kept from an earlier run: then it says nothing of the time the rest takes.

        One that is not shown stands in the log only.
        """
        self.done += 1
        self.total = max(self.total, self.done)
        self.kept += kept
        spent = time.monotonic() - self.started
        made = max(self.done - self.kept, 1)
        rest = spent / made * max(self.total - self.done, 0)
        LOG.info("%s %d/%d %s", self.task, self.done, self.total, text)
        if not shown:
            return
        clock = f"[dim]{'kept' if kept else f'{spent:.0f} s, about {rest:.0f} s left'}[/]"
        self.console.print(f"[bold cyan]{self.task}[/] {self.done}/{self.total}  {text}  {clock}")

    def note(self, text: str) -> None:
        """Say how far the items under way have come."""
        LOG.info("%s %d/%d %s", self.task, self.done, self.total, text)
        self.console.print(f"[bold cyan]{self.task}[/] {self.done}/{self.total}  [dim]{text}[/]")
