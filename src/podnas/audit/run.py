"""An experiment run on its data and on data whose later weeks are harmed, by its own rules, and both compared.

Each run is Snakemake in a folder of its own, into which the checkout is linked, up to the target `fitted`. The harm is
done to the weekly field, and again to the coefficients where they are not projections of it (released ones).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
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
from podnas.config import ExperimentConfig, merge

DEFAULT = Path("config/config.yaml")
FITTED = "fitted"  # the workflow’s target
FIELD = Path("field/field.nc")
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
    experiment: str
    cores: int

    @property
    def results(self) -> Path:
        """Where the experiment's artifacts come to stand."""
        return self.folder / "results" / self.experiment

    @classmethod
    def of(cls, folder: Path, values: dict[str, Any], cores: int) -> Workspace:
        """Link what is here into a new folder, and other experiments' results, which a study may take from."""
        made = cls(folder, values["experiment"], cores)
        made.results.mkdir(parents=True)
        for entry in (*Path.cwd().iterdir(), *Path("results").glob("*")):
            link = folder / entry.absolute().relative_to(Path.cwd())
            if not entry.name.startswith(".") and not link.exists():
                link.symlink_to(entry.absolute())
        artifacts.write_text(folder / ".audit.yaml", yaml.safe_dump(values))
        return made

    def make(self, target: str) -> None:
        """Run Snakemake to a target. Raises ValueError with the end of its output where it fails."""
        # modification times alone: a harmed field has no record of what made it
        command = [sys.executable, "-m", "snakemake", "--cores", str(self.cores), "--rerun-triggers", "mtime"]
        done = subprocess.run(
            [*command, "--configfile", ".audit.yaml", "--", target],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ValueError(
                f"the audited experiment {self.experiment} does not run to {target}; mend what it says, and audit "
                f"again:\n{done.stdout[-TAIL:]}"
            )

    def artifacts(self, others: Sequence[str]) -> list[str]:
        """Paths of the artifacts, without those of other protocols, in the order in which they were made."""
        found = [path for path in self.results.rglob("*") if path.is_file() and self._counts(path, others)]
        return [str(path.relative_to(self.results)) for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def _counts(self, path: Path, others: Sequence[str]) -> bool:
        parts = path.relative_to(self.results).parts
        hidden = path.name.startswith(".") or path.name.endswith((".provenance.json", *NO_ARTIFACTS))
        return not hidden and parts[0] not in APART and not set(parts) & set(others)


def audit(
    files: Sequence[Path],
    chosen: Sequence[str],
    cores: int,
    report: Report,
    full: bool = False,
    until: str = FITTED,
) -> list[Finding]:
    """Run an experiment (configuration files laid over the default) unharmed and with each harm of each protocol.

    chosen: names of harms. Unless `full`, with small budgets, of which `report` is told. until: target of each run.
    Raises ValueError where a run fails, or where a harm does not reach the coefficients and so would prove nothing.
    """
    unknown = [name for name in chosen if name not in harms.HARMS]
    if unknown:
        raise ValueError(f"there is no harm {unknown[0]}; choose among {', '.join(harms.HARMS)}")
    config = merge(*dict.fromkeys([DEFAULT, *files]))
    whole = budget.repeatable(config)
    values = whole if full else budget.reduced(whole)
    report(f"audit of experiment {config.experiment}, protocols {', '.join(one.name for one in config.protocols)}")
    report(f"budgets: {'; '.join(budget.changes(whole, values)) or 'the experiment’s own'}")
    with TemporaryDirectory(prefix="podnas-audit-") as folder:
        return list(_audit(Path(folder), config, values, chosen, cores, report, until))


def _audit(
    folder: Path,
    config: ExperimentConfig,
    values: dict[str, Any],
    chosen: Sequence[str],
    cores: int,
    report: Report,
    until: str,
) -> Iterator[Finding]:
    clean = Workspace.of(folder / "clean", values, cores)
    report("unharmed: running")
    if (own := _field_at_hand(config)) is not None:
        (clean.results / FIELD).parent.mkdir()
        (clean.results / FIELD).symlink_to(own)
    clean.make(until)
    for protocol in config.protocols:
        others = [one.name for one in config.protocols if one.name != protocol.name]
        dump = protocol.model_dump(mode="json")
        for harm in chosen:
            report(f"{protocol.name}, {harm}: weeks after {protocol.train_last} harmed, running")
            work = Workspace.of(folder / "harmed", {**values, "protocols": [dump]}, cores)
            _harm(clean, work, config, protocol.train_last, harms.HARMS[harm])
            work.make(until)
            _check_reached(clean, work, config, protocol.train_last, harm)
            yield from _compare(clean, work, others, protocol.name, protocol.train_last, harm)
            shutil.rmtree(work.folder)


def _field_at_hand(config: ExperimentConfig) -> Path | None:
    """The experiment's own field, where a run has made it with these settings: nothing is fitted in it."""
    field = Path("results").absolute() / config.experiment / FIELD
    record = provenance.beside(field)
    if not (field.exists() and record.exists()):
        return None
    made = {"config": config.field.model_dump(mode="json"), "source": config.source.model_dump(mode="json")}
    return field if artifacts.read_json(record)["parameters"] == made else None


def _released(config: ExperimentConfig) -> bool:
    return config.pod.coefficients == "released"


def _coefficients(work: Workspace, config: ExperimentConfig) -> Path:
    return work.results / ("released" if _released(config) else "reduction") / "coefficients.nc"


def _harm(clean: Workspace, work: Workspace, config: ExperimentConfig, train_last: date, harm: harms.Harm) -> None:
    harms.field(clean.results / FIELD, work.results / FIELD, train_last, harm)
    if _released(config):
        path = _coefficients(work, config)
        work.make(os.fspath(path.relative_to(work.folder)))
        harms.coefficients(path, train_last, harm)


def _check_reached(clean: Workspace, work: Workspace, config: ExperimentConfig, train_last: date, harm: str) -> None:
    before, after = (artifacts.read_coefficients(_coefficients(one, config)) for one in (clean, work))
    later = before.time.values > np.datetime64(train_last)
    if not later.any() or np.array_equal(before.coefficient.values[later], after.coefficient.values[later]):
        raise ValueError(
            f"harm {harm} after {train_last} changed no coefficient ({int(later.sum())} of {len(later)} weeks are "
            "later), so an audit of it would prove nothing: give the experiment weeks after it (field.last, source)"
        )


def _compare(
    clean: Workspace, work: Workspace, others: Sequence[str], protocol: str, train_last: date, harm: str
) -> Iterator[Finding]:
    before, after = clean.artifacts(others), work.artifacts(others)
    for path in [*before, *(path for path in after if path not in before)]:
        differs: list[str] | None
        if path not in after or path not in before:
            differs = ["the file is missing" if path in before else "the file is new"]
        else:
            differs = contents.differences(clean.results / path, work.results / path, train_last)
        if differs is not None:
            yield Finding(path, protocol, harm, tuple(differs))


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
