"""An experiment run on its data and on data whose later weeks are harmed, by its own rules, and both compared.

Each run is Snakemake in a folder of its own, into which the checkout is linked, up to the target `fitted`. The harm is
done to the weekly field, and again to the coefficients where they are not projections of it (released ones).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import yaml

from podnas import artifacts, provenance
from podnas.audit import budget, contents, harms
from podnas.audit.cuts import Cut
from podnas.config import INDEX, ExperimentConfig, ProtocolConfig, load, merge

DEFAULT = Path("config/config.yaml")
FITTED = "fitted"  # the workflow’s target
FIELD = Path("field/field.nc")
UP_TO_DATE = "Nothing to be done"  # Snakemake’s words
# what is no artifact, and what comes before the harm
APART = ("archive", "benchmarks", "field", "logs")
NO_ARTIFACTS = (".alive", ".lock", ".log")
SHOWN = 3  # names of what differs in an artifact
TAIL = 3000  # letters of a failed run that are shown

Report = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """One artifact after one harm."""

    artifact: str  # path in the experiment's folder
    protocol: str
    harm: str
    differs: tuple[str, ...]  # names of what differs in it; none: unchanged


@dataclass(frozen=True)
class Workspace:
    """A folder in which the workflow runs: the checkout linked, results of its own."""

    folder: Path
    values: dict[str, Any]  # of the experiment
    cores: int

    @property
    def results(self) -> Path:
        """Where the experiment's artifacts come to stand."""
        return self.folder / "results" / self.experiment

    @property
    def experiment(self) -> str:
        """Its name."""
        return str(self.values["experiment"])

    @classmethod
    def of(cls, folder: Path, values: dict[str, Any], cores: int) -> Workspace:
        """Link what is here into a new folder, and other experiments' results, which a study may take from."""
        made = cls(folder, values, cores)
        made.results.mkdir(parents=True)
        for entry in (*Path.cwd().iterdir(), *Path("results").glob("*")):
            link = folder / entry.absolute().relative_to(Path.cwd())
            if not entry.name.startswith(".") and not link.exists():
                link.symlink_to(entry.absolute())
        # to hash all code takes seconds
        if os.access(provenance.KNOWN, os.W_OK):
            (folder / provenance.KNOWN).parent.mkdir(parents=True)
            (folder / provenance.KNOWN).symlink_to(provenance.KNOWN.absolute())
        artifacts.write_text(folder / ".audit.yaml", yaml.safe_dump(values))
        return made

    def beside(self, protocols: Sequence[ProtocolConfig]) -> Workspace:
        """Another, empty one, with other protocols."""
        values = {**self.values, "protocols": [one.model_dump(mode="json") for one in protocols]}
        return Workspace.of(self.folder.with_name("harmed"), values, self.cores)

    def make(self, *targets: str) -> None:
        """Run Snakemake to some targets. Raises ValueError with the end of its output where it fails."""
        # modification times alone: a harmed field has no record of what made it
        options = ("--cores", str(self.cores), "--rerun-triggers", "mtime", "--configfile", ".audit.yaml")
        done = _snakemake(self.folder, *options, "--", *targets)
        if done.returncode:
            raise ValueError(
                f"the audited experiment {self.experiment} does not run to {targets[0]}; mend what it says, and audit "
                f"again:\n{done.stdout[-TAIL:]}"
            )

    def artifacts(self, apart: Sequence[str]) -> list[str]:
        """Paths of the artifacts, without those of some origins, in the order in which they were made."""
        found = [path for path in self.results.rglob("*") if path.is_file() and self._counts(path, apart)]
        return [str(path.relative_to(self.results)) for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def _counts(self, path: Path, apart: Sequence[str]) -> bool:
        room, *place = path.relative_to(self.results).parts
        hidden = path.name.startswith(".") or path.name.endswith((".provenance.json", *NO_ARTIFACTS))
        origins = [origin.split("/") for origin in apart]
        return not hidden and room not in APART and not any(place[: len(one)] == one for one in origins)


def _snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def audit(
    files: Sequence[Path],
    chosen: Sequence[str],
    cores: int,
    report: Report,
    full: bool = False,
    until: str = FITTED,
    protocols: Sequence[str] = (),
) -> list[Finding]:
    """Run an experiment (configuration files laid over the default) unharmed and with each harm of each protocol.

    chosen: names of harms. Unless `full`, with small budgets, of which `report` is told. until: target of each run.
    protocols: those that are audited, all without names. Raises ValueError where a run fails, where a harm does not
    reach the coefficients and so would prove nothing, and for a leakage laboratory, which has nothing that must not see
    test weeks.
    """
    _check_known("harm", chosen, harms.HARMS)
    config = merge(*dict.fromkeys([DEFAULT, *files]))
    if config.source.kind == INDEX or config.tabular is not None:
        kind = "section tabular" if config.tabular is not None else f"source.kind {INDEX}"
        raise ValueError(f"experiment {config.experiment} has no field that could be harmed ({kind}); audit another")
    study = next((name for name in ("classification", "judged") if getattr(config, name) is not None), None)
    if study is not None:
        raise ValueError(
            f"experiment {config.experiment} is a study of its own (section {study}), of which an audit runs nothing: "
            "it would pass and prove nothing; audit another (tests change the test weeks of classifiers, and a judged "
            "search reads none)"
        )
    if config.leakage is not None:
        raise ValueError(
            f"experiment {config.experiment} is a leakage laboratory (its section leakage): its networks see test "
            "weeks on purpose and no scorecard has them, so there is nothing to audit; audit the experiments whose "
            "scores count"
        )
    names = [one.name for one in config.protocols]
    _check_known("protocol", protocols, names)
    audited = [name for name in names if name in protocols or not protocols]
    whole = budget.repeatable(_with(config, audited))
    values = whole if full else budget.reduced(whole)
    report(f"audit of experiment {config.experiment}, protocols {', '.join(audited)}")
    report(f"budgets: {'; '.join(budget.changes(whole, values)) or 'the experiment’s own'}")
    with TemporaryDirectory(prefix="podnas-audit-") as folder:
        clean = Workspace.of(Path(folder) / "clean", values, cores)
        _take_field(clean, files)
        return list(_audit(clean, audited, chosen, report, until))


def _check_known(kind: str, given: Sequence[str], known: Collection[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"there is no {kind} {unknown[0]}; choose among {', '.join(known)}")


def _with(config: ExperimentConfig, protocols: Sequence[str]) -> ExperimentConfig:
    """The experiment with some of its protocols, and with those that find their architectures."""
    kept = {*protocols, *map(config.architectures_of, protocols)}
    return config.model_copy(update={"protocols": tuple(one for one in config.protocols if one.name in kept)})


def _audit(
    clean: Workspace, audited: Sequence[str], chosen: Sequence[str], report: Report, until: str
) -> Iterator[Finding]:
    experiment = load(clean.values)
    report("unharmed: running")
    # coefficients in any case: by them is seen that a harm has reached something
    clean.make(until, _target(clean, experiment))
    weeks = artifacts.read_coefficients(_coefficients(clean, experiment)).time.values
    for cut in (cut for protocol in audited for cut in Cut.of(experiment, protocol, weeks)):
        # forecasts are audited with one harm: each is a run of the workflow, and fits have had them all
        for harm in chosen[-1:] if cut.where else chosen:
            report(f"{cut.words}; {harm}: weeks after {cut.last} harmed, running")
            work = clean.beside(cut.protocols)
            _harm(clean, work, experiment, cut.last, harms.HARMS[harm])
            work.make(until, _target(work, experiment))
            _check_reached(clean, work, experiment, cut.last, harm)
            yield from _compare(clean, work, cut, harm + cut.where)
            shutil.rmtree(work.folder)


def _take_field(clean: Workspace, files: Sequence[Path]) -> None:
    """Take the field of the experiment's own results where Snakemake calls it up to date: nothing is fitted in it."""
    field = Path("results") / clean.experiment / FIELD
    if not field.exists():
        return
    given = ("--configfile", *map(os.fspath, files)) if files else ()
    asked = _snakemake(Path.cwd(), "--dry-run", "--cores", "1", *given, "--", os.fspath(field))
    if asked.returncode == 0 and UP_TO_DATE in asked.stdout:
        (clean.results / FIELD).parent.mkdir()
        (clean.results / FIELD).symlink_to(field.absolute())


def _released(config: ExperimentConfig) -> bool:
    return config.pod.coefficients == "released"


def _coefficients(work: Workspace, config: ExperimentConfig) -> Path:
    return work.results / ("released" if _released(config) else "reduction") / "coefficients.nc"


def _target(work: Workspace, config: ExperimentConfig) -> str:
    """The coefficients as Snakemake names them."""
    return os.fspath(_coefficients(work, config).relative_to(work.folder))


def _harm(clean: Workspace, work: Workspace, config: ExperimentConfig, train_last: date, harm: harms.Harm) -> None:
    harms.field(clean.results / FIELD, work.results / FIELD, train_last, harm)
    if _released(config):
        work.make(_target(work, config))
        harms.coefficients(_coefficients(work, config), train_last, harm)


def _check_reached(clean: Workspace, work: Workspace, config: ExperimentConfig, train_last: date, harm: str) -> None:
    before, after = (artifacts.read_coefficients(_coefficients(one, config)) for one in (clean, work))
    later = before.time.values > np.datetime64(train_last)
    if not later.any() or np.array_equal(before.coefficient.values[later], after.coefficient.values[later]):
        raise ValueError(
            f"harm {harm} after {train_last} changed no coefficient ({int(later.sum())} of {len(later)} weeks are "
            "later), so an audit of it would prove nothing: give the experiment weeks after it (field.last, source)"
        )


def _compare(clean: Workspace, work: Workspace, cut: Cut, harm: str) -> Iterator[Finding]:
    before, after = clean.artifacts(cut.apart), work.artifacts(cut.apart)
    for path in [*before, *(path for path in after if path not in before)]:
        differs: list[str] | None
        if path not in after or path not in before:
            differs = ["the file is missing" if path in before else "the file is new"]
        else:
            differs = contents.differences(clean.results / path, work.results / path, cut.last)
        if differs is not None:
            yield Finding(path, cut.protocol, harm, tuple(differs))


def table(found: Sequence[Finding]) -> str:
    """Artifact, protocol and a column for each harm."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for one in found:
        rows.setdefault((one.artifact, one.protocol), {})[one.harm] = "changed" if one.differs else "unchanged"
    lines = [{"artifact": artifact, "protocol": protocol, **row} for (artifact, protocol), row in rows.items()]
    return str(pd.DataFrame(lines).fillna("—").to_markdown(index=False))


def verdict(found: Sequence[Finding]) -> list[str]:
    """A line for each artifact that changed, in the order in which they are made: the first is where to look."""
    lines = []
    for one in found:
        if one.differs:
            more = f" and {len(one.differs) - SHOWN} more" if len(one.differs) > SHOWN else ""
            names = ", ".join(one.differs[:SHOWN]) + more
            lines.append(f"{one.artifact} of protocol {one.protocol} changed with harm {one.harm}: {names}")
    return lines
