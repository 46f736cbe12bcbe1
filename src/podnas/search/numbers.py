"""Numbers of trials: unique among all ranks, and an end once all ranks together have begun enough of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Numbers:
    """Rank r of n ranks takes r, r + n, r + 2n, …, leaving out those it knows to be taken.

    The number of ranks may differ from that of an earlier run whose trials are made known by `note`.
    """

    def __init__(self, trials: int, rank: int = 0, ranks: int = 1) -> None:
        self.trials = trials
        self.rank = rank
        self.ranks = ranks
        self.next = rank
        self.known: set[int] = set()
        self.skipped: set[int] = set()

    def copy(self) -> Numbers:
        """For another search of the same trials: it counts for itself, and leaves out the same skipped numbers."""
        other = Numbers(self.trials, self.rank, self.ranks)
        other.skipped = self.skipped  # shared: what either skips is skipped by both
        return other

    def take(self, count: int) -> list[int]:
        """Up to `count` numbers for new trials of this rank: never more than its part of what is left to begin.

        A rank does not know what others begin before it hears of it. Where trials take longer than news does, all
        together may begin about ranks - 1 more; where they do not, many more.
        """
        taken = []
        for _ in range(min(count, -(-self.left() // self.ranks))):
            while self.next in self.known or self.next in self.skipped:
                self.next += self.ranks
            self.known.add(self.next)
            taken.append(self.next)
        return taken

    def note(self, number: int) -> None:
        """A trial that was begun or has finished, here or elsewhere."""
        self.known.add(number)

    def skip(self, number: int) -> None:
        """A number that is taken by a trial of another kind, which does not count here."""
        self.skipped.add(number)

    def left(self) -> int:
        """Trials that may still be begun."""
        return max(0, self.trials - len(self.known))

    def owns(self, number: int) -> bool:
        """Whether a trial is this rank's to go on with; every trial is of exactly one rank."""
        return number % self.ranks == self.rank

    def state(self) -> dict[str, Any]:
        """The numbers known and skipped, as JSON."""
        return {"next": self.next, "known": sorted(self.known), "skipped": sorted(self.skipped)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue exactly from what `state` gave."""
        self.next = state["next"]
        self.known = set(state["known"])
        self.skipped.clear()  # in place: copies share it
        self.skipped.update(state["skipped"])
