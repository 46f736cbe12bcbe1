"""At which dates an experiment is audited: the ends of training periods, and the middle of test periods.

Weeks after a cut are harmed, and what a protocol has made of the weeks before must stay as it is. A protocol that is
fitted once is cut where its training ends, and in the middle of its test weeks, so that forecasts which begin before
are seen not to know what comes after. A rolling one goes on learning: it is cut where the training of its middle refit
ends, so all up to this refit must stay, and later refits, which rightly see harmed weeks, are not run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from podnas.config import ExperimentConfig, ProtocolConfig
from podnas.runs import Run, refits
from podnas.windows import Array

MIDDLE = " from mid-test"


@dataclass(frozen=True)
class Cut:
    """The end of the weeks that stay as they are, and what it is judged by."""

    protocol: str
    last: date  # weeks that start later are harmed
    protocols: tuple[ProtocolConfig, ...]  # that the harmed run has
    apart: tuple[str, ...]  # origins whose artifacts are not compared
    words: str  # what ends here
    where: str = ""  # told beside a harm, where a protocol has another cut

    @classmethod
    def of(cls, experiment: ExperimentConfig, name: str, weeks: Array) -> tuple[Cut, ...]:
        """Where a protocol is cut; weeks: starts of the weeks of the coefficients (n,) datetime64."""
        mine = experiment.protocol(name)
        others = tuple(one.name for one in experiment.protocols if one.name != name)
        if mine.rolling is None:
            end = cls(name, mine.train_last, (mine,), others, name)
            return end, replace(end, last=_middle(mine, weeks), words=f"{name}, middle of its test weeks", where=MIDDLE)
        years = refits(mine, experiment.windows)
        middle = len(years) // 2
        earlier, later = years[: middle + 1], years[middle + 1 :]
        # the first refit has the protocol's own training period
        last = max(mine.train_last, date(years[middle] - 1, 12, 31)) if middle else mine.train_last
        finder = experiment.protocol(experiment.architectures_of(name))
        shortened = _until(mine, experiment.windows.outputs, later[0], weeks) if later else mine
        apart = tuple(Run(name, year).origin for year in later)
        words = f"{name}, refits {', '.join(map(str, earlier))} of {', '.join(map(str, years))}"
        return (cls(name, last, (finder, shortened), (*others, *apart), words),)


def _middle(protocol: ProtocolConfig, weeks: Array) -> date:
    """The week in the middle of the test weeks."""
    starts: list[date] = weeks.astype("datetime64[D]").tolist()
    tested = [week for week in starts if protocol.test_first <= week <= protocol.test_last]
    if not tested:
        raise ValueError(
            f"protocol {protocol.name} has no test week among the {len(starts)} weeks of the coefficients, so an audit "
            "of its forecasts would prove nothing: give the experiment weeks after its training (field.last, source)"
        )
    return tested[len(tested) // 2]


def _until(protocol: ProtocolConfig, outputs: int, year: int, weeks: Array) -> ProtocolConfig:
    """The protocol with the last test week from which nothing is forecast in `year`, nor later."""
    starts: list[date] = weeks.astype("datetime64[D]").tolist()
    kept = [week for week in starts if week <= protocol.test_last and (week - timedelta(weeks=outputs)).year < year]
    return protocol.model_copy(update={"test_last": max(kept)})
