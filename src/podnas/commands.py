"""What the commands do for a user's own objective: search it, alone or on MPI ranks, and show its trials to Optuna."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ConfigSpace import ConfigurationSpace
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from podnas import artifacts, provenance
from podnas.artifacts import ArtifactError
from podnas.config import SearchConfig
from podnas.networks.space import architecture_space
from podnas.parallel import decentralised, launch
from podnas.parallel import objective as objectives
from podnas.parallel.objective import ProcessEvaluator, Target
from podnas.search import build, export, log, pareto
from podnas.search.protocol import Outcome, Search
from podnas.search.report import Report

SHOWN = 10  # best trials in the table at the end
# another number of trials, of workers or of ranks, and other time limits, go on with the same log
FREE = frozenset({"trials", "lanes", "ranks", "time_limit_minutes", "trial_limit_minutes"})


def search(
    space: Path,
    target: Target,
    folder: Path,
    workers: int,
    settings: Path | None = None,
    given: Mapping[str, object] | None = None,
) -> None:
    """Search a space (JSON) for the point with the least loss; see `Job` and `search_settings`.

    As many trials are under way as there are workers, or more where the settings file has `lanes`.
    """
    launch.guard()
    launch.interruptible()
    objectives.check(target)
    read = search_settings(settings, given or {})
    lanes = max(workers, read.lanes) if "lanes" in read.model_fields_set else workers
    config = search_settings(settings, {**(given or {}), "lanes": lanes})
    Job(read_space(space), target, config, folder, workers).run()


def export_optuna(
    trials: Path, study: Path, name: str, space: Path | None, second_objective: str | None, overwrite: bool
) -> int:
    """Write a table or the logs of trials as an Optuna study, and return its number of trials.

    Raises ArtifactError where the file exists and is not to be replaced.
    """
    if study.exists() and not overwrite:
        raise ArtifactError(f"{study} exists; give --overwrite to replace it, or another name")
    outcomes = read_outcomes(trials)
    known = _space_of(outcomes) if space is None else read_space(space)
    return export.to_optuna(outcomes, study, name, known, second_objective, ended=trials.stat().st_mtime)


def read_space(path: Path) -> ConfigurationSpace:
    """A space as ConfigSpace writes it; raises ArtifactError where the file is none."""
    try:
        return ConfigurationSpace.from_json(path)
    except OSError as error:
        raise ArtifactError(f"the space {path} cannot be read ({error.strerror}); check the path") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} is no search space ({type(error).__name__}: {error}); write it with ConfigurationSpace.to_json"
        ) from error


def search_settings(file: Path | None, given: Mapping[str, object]) -> SearchConfig:
    """The section `search` from a file, with what the command line gives (not None) laid over it."""
    values = {} if file is None else _yaml(file)
    values |= {key: value for key, value in given.items() if value is not None}
    try:
        return SearchConfig.model_validate(values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']} (value: {one['input']!r})" for one in error.errors()]
        raise ValueError("the settings of the search are refused:\n  " + "\n  ".join(lines)) from None


def _yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ArtifactError(f"the settings {file} cannot be read ({error}); mend the file") from error
    if not isinstance(values, dict):
        raise ArtifactError(f"{file} holds no keys of the section search, such as `algorithm: random`; mend the file")
    return values


class Job:
    """A search of a user's objective, kept in a folder."""

    def __init__(
        self,
        space: ConfigurationSpace,
        target: Target,
        config: SearchConfig,
        folder: Path,
        workers: int,
    ) -> None:
        self.space, self.target, self.config = space, target, config
        self.folder, self.workers = folder, workers
        settings = config.model_dump(mode="json")
        self.identity = {
            "space": space.to_serialized_dict(),
            "search": {key: value for key, value in settings.items() if key not in FREE},
            "objective": target,
            "sources": objectives.sources(target),
        }

    def run(self) -> None:
        """Search to the end or to the time limit, here and on as many ranks as are configured or already started."""
        artifacts.check_writable(self.folder)
        self._before()
        if self.config.ranks > 1 and launch.place()[1] == 1 and launch.RUN not in os.environ:
            self._start_ranks()
        else:
            self._search(*launch.place())

    @property
    def logs(self) -> Path:
        """Where the logs of this search stand."""
        return log.path(self.folder / "trials", self.identity, 0).parent

    @property
    def table(self) -> Path:
        """Where the trials of all ranks stand at the end."""
        return self.folder / "trials.parquet"

    def _before(self) -> dict[str, Any] | None:
        """Identity of the search whose table stands here; ArtifactError where no search has written it."""
        if not self.table.exists():
            return None
        record = provenance.beside(self.table)
        known = artifacts.read_json(record) if record.exists() else None
        if not (isinstance(known, dict) and self.identity.keys() <= known.keys()):
            raise ArtifactError(
                f"{self.table} is there, and nothing beside it ({record.name}) says that a search wrote it; move it "
                "away, or choose another --folder"
            )
        settings = {key: value for key, value in known["search"].items() if key not in FREE}
        return {**{key: known[key] for key in self.identity}, "search": settings}

    def _set_aside(self) -> None:
        """Keep the table of another search that stands here, and its record, under the name of that one's logs."""
        before = self._before()
        if before is None or before == json.loads(json.dumps(self.identity)):
            return
        kept = self.folder / f"trials-{log.path(Path(), before, 0).parent.name}.parquet"
        provenance.beside(self.table).replace(provenance.beside(kept))
        self.table.replace(kept)
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"the table of another search is kept as {kept}")

    def _start_ranks(self) -> None:
        """Start this command on all ranks, where it finds itself to be one of several, and write the table."""
        self._algorithm(0, 1)  # what cannot be searched is refused here, once
        end = _end(self.config.time_limit_minutes)
        launch.mpiexec(
            self.config.ranks,
            ["-m", "podnas", *sys.argv[1:]],
            finished=lambda: log.merge(self.logs).evaluated(),
            environment={launch.DEADLINE: repr(end)},
            complete=lambda: time.time() >= end or decentralised.complete(self._algorithm(0, 1), log.merge(self.logs)),
        )
        self._conclude()

    def _search(self, rank: int, ranks: int) -> None:
        """One rank's part; the first rank that is left writes the table, where not the process that started them."""
        lost: set[int] = set()
        search = self._algorithm(rank, ranks, lost)
        report = Report("search", build.trials(self.config), "loss", "{:.6g}".format, shown=rank == 0)
        end = _end(self.config.time_limit_minutes)
        trial_log = log.TrialLog(log.rank_path(self.logs, rank), self.identity)

        def stop() -> bool:
            return time.time() >= end

        kept = trial_log.read_all()
        with _logging(self.folder / f"search-{rank:04d}.log"), self._evaluator() as evaluator:
            exchange = launch.exchange(self.config.exchange, self.logs, kept)
            decentralised.run(search, evaluator, trial_log, exchange, kept, report, self.config.lanes, stop, lost)
        report.finish(self.workers * ranks, stop())
        before = set(range(rank))
        concluded = launch.DEADLINE in os.environ
        if not concluded and before <= set(exchange.lost()):
            self._keep()  # the end of MPI may be the end of this process
        exchange.close()
        if not concluded and before <= set(exchange.lost()):  # others may have been lost meanwhile
            self._conclude()

    def _conclude(self) -> None:
        outcomes = self._keep()
        show(outcomes, self.config.second_objective)
        _check_any_finished(outcomes, self.logs)
        export.check_measure(outcomes, self.config.second_objective)

    def _algorithm(self, rank: int, ranks: int, lost: AbstractSet[int] = frozenset()) -> Search:
        return build.build(self.space, self.config, rank, ranks, lost=lost)

    def _evaluator(self) -> ProcessEvaluator:
        limit = self.config.trial_limit_minutes
        limit_s = None if limit is None else 60 * limit
        checkpoints, needed = self.logs / "checkpoints", varied(self.config)
        return ProcessEvaluator(self.target, self.workers, limit_s, self.config.seed, checkpoints, needed)

    def _keep(self) -> list[Outcome]:
        """Write the trials of all ranks as a table, and beside it what made it."""
        self._set_aside()
        outcomes = sorted(log.merge(self.logs).outcomes, key=lambda outcome: outcome.trial.number)
        settings = self.config.model_dump(mode="json")
        record = {"artifact": self.table.name, "made": datetime.now(UTC).isoformat(timespec="seconds"), **self.identity}
        # first the record: a table without one is taken for somebody else's
        artifacts.write_json(provenance.beside(self.table), {**record, "search": settings, **provenance.machine()})
        artifacts.write_table(self.table, log.table(outcomes, self.config.two_step))
        return outcomes


def varied(config: SearchConfig) -> list[str]:
    """What a search varies beside the point, and an objective must not ignore."""
    partial = {"budget": config.algorithm in ("asha", "hyperband"), "share": config.two_step is not None}
    return [keyword for keyword, used in partial.items() if used]


def _check_any_finished(outcomes: Sequence[Outcome], logs: Path) -> None:
    if outcomes and all(outcome.loss is None for outcome in outcomes):
        raise ValueError(
            f"all {len(outcomes)} trials failed, the first with: {outcomes[0].error}; mend the objective, "
            f"and remove {logs} where that changes none of its files"
        )


def _end(minutes: float | None) -> float:
    """Unix time so many minutes from now, or that of the process which started this rank, perhaps not at first."""
    if launch.DEADLINE in os.environ:
        return float(os.environ[launch.DEADLINE])
    return math.inf if minutes is None else time.time() + 60 * minutes


@contextmanager
def _logging(file: Path) -> Iterator[None]:
    """Lines of progress and tracebacks of failed trials, added to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("podnas")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def ranked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Trials that have a loss: those of the largest budget and share first, and of these the least loss first."""
    finished = [(outcome.loss, outcome) for outcome in outcomes if outcome.loss is not None]
    finished.sort(key=lambda one: (-one[1].trial.budget, -one[1].trial.share, one[0], one[1].trial.number))
    return [outcome for _, outcome in finished]


def pareto_set(outcomes: Sequence[Outcome], measure: str) -> list[Outcome]:
    """Of the trials of the largest budget and share, those that no other is better than in loss and measure."""
    order = ranked(outcomes)
    sizes = [(one.trial.budget, one.trial.share) for one in order]
    full = [one for one, size in zip(order, sizes, strict=True) if size == sizes[0]]
    values = [(one.loss, one.measures.get(measure, math.nan)) for one in full]
    kept = pareto.front(np.array(values, float).reshape(-1, 2))
    return [one for one, inside in zip(full, kept, strict=True) if inside]


def show(outcomes: Sequence[Outcome], second_objective: str | None) -> None:
    """Print the best trials, and the Pareto set where there are two objectives."""
    order = ranked(outcomes)
    title = f"best of {len(outcomes)} trials, {len(outcomes) - len(order)} of them failed"
    console = Console(highlight=False)
    console.print(_table(title, order[:SHOWN]))
    if second_objective is not None:
        console.print(_table(f"Pareto set of loss and {second_objective}", pareto_set(outcomes, second_objective)))


def _table(title: str, outcomes: Sequence[Outcome]) -> Table:
    measures = sorted({name for outcome in outcomes for name in outcome.measures})
    table = Table("trial", "loss", *map(escape, measures), "point", title=title, title_justify="left")
    for one in outcomes:
        values = [f"{one.loss:.6g}", *(_short(one.measures.get(name)) for name in measures)]
        point = " ".join(f"{name}={_short(value)}" for name, value in one.trial.point.items())
        table.add_row(str(one.trial.number), *values, escape(point))
    return table


def _short(value: object) -> str:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def read_outcomes(path: Path) -> list[Outcome]:
    """Trials of a Parquet table, or of the logs of all ranks in a folder."""
    if not path.is_dir():
        return export.outcomes(artifacts.read_table(path))
    folders = sorted({file.parent for file in path.rglob(log.LOGS)})
    if len(folders) != 1:
        found = ", ".join(map(str, folders)) or "none"
        raise ArtifactError(f"{path} should hold the trial logs of one search, and it has these: {found}; name one")
    return log.merge(folders[0]).outcomes


def _space_of(outcomes: Sequence[Outcome]) -> ConfigurationSpace | None:
    """The space of architectures, where the points are some."""
    space = architecture_space()
    return space if outcomes and set(space) <= set(outcomes[0].trial.point) else None
