"""Which sets of networks an experiment searches and trains, and the names of their folders.

An *origin* is a place of training windows: a protocol (`short`), or a refit of a rolling one (`rolling/1990`, by the
first year that it forecasts). A *run* is an origin and a system of networks: `short` or `rolling/1990` for the pure
ones, `short/recurrent_anomaly` for others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from podnas.config import RECURRENT, ExperimentConfig, ProtocolConfig, WindowsConfig


@dataclass(frozen=True)
class Run:
    """One set of networks."""

    protocol: str
    year: int | None = None  # first year that a refit forecasts
    system: str = RECURRENT

    @property
    def origin(self) -> str:
        """Folder of its windows and forecasts."""
        return self.protocol if self.year is None else f"{self.protocol}/{self.year}"

    @property
    def path(self) -> str:
        """Folder of its trials and networks."""
        return self.origin if self.system == RECURRENT else f"{self.origin}/{self.system}"


class Runs:
    """All runs of an experiment."""

    def __init__(self, experiment: ExperimentConfig) -> None:
        self.experiment = experiment
        self.by_path = {
            run.path: run
            for protocol in experiment.protocols
            for year in _years(protocol, experiment.windows)
            for system in experiment.system_names()
            for run in [Run(protocol.name, year, system)]
        }
        self._paths = {(run.origin, run.system): path for path, run in self.by_path.items()}
        self._configs: dict[str, ExperimentConfig] = {}

    def origins(self, protocol: str | None = None) -> list[str]:
        """Origins of a protocol, or of all, in time."""
        return list(dict.fromkeys(run.origin for run in self.by_path.values() if protocol in (None, run.protocol)))

    def path(self, origin: str, system: str) -> str:
        """The run of a system at an origin."""
        return self._paths[origin, system]

    def architectures(self, path: str) -> str:
        """The run whose search finds the architectures of this one."""
        run = self.by_path[path]
        return Run(self.experiment.architectures_of(run.protocol), None, run.system).path

    def config(self, path: str) -> ExperimentConfig:
        """The experiment as a run sees it."""
        if path not in self._configs:
            self._configs[path] = self._config(self.by_path[path])
        return self._configs[path]

    def _config(self, run: Run) -> ExperimentConfig:
        own, rolling = self.experiment.of_system(run.system), self.experiment.protocol(run.protocol).rolling
        if rolling is None:
            return own
        return own.model_copy(update={"ensemble": own.ensemble.model_copy(update={"members": rolling.members})})

    def training_period(self, path: str) -> tuple[date, date]:
        """First and about the last day of the training weeks of a run."""
        run = self.by_path[path]
        protocol = self.experiment.protocol(run.protocol)
        if run.year is None:
            return protocol.train_first, protocol.train_last
        return protocol.train_first, max(protocol.train_last, date(run.year - 1, 12, 31))


def _years(protocol: ProtocolConfig, windows: WindowsConfig) -> list[int] | list[None]:
    return [None] if protocol.rolling is None else refits(protocol, windows)


def refits(protocol: ProtocolConfig, windows: WindowsConfig) -> list[int]:
    """First years that the refits of a rolling protocol forecast; none for other protocols.

    A forecast belongs to the year in which its last input week begins.
    """
    if protocol.rolling is None:
        return []
    first = protocol.test_first + timedelta(weeks=windows.inputs - 1)
    last = protocol.test_last - timedelta(weeks=windows.outputs)
    return list(range(first.year, last.year + 1, protocol.rolling.every_years))
