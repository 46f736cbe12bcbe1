"""From the lines that drills wrote: results/bench/cluster.json, the table on the terminal and in docs/reliability.md.

`python -m tests.cluster.report ROWS COMMAND [--keep]`: show what is in the file ROWS; with --keep, write it, too. A
drill that has passed replaces its own earlier row, so each row is of its last pass, at the commit that it names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "results/bench/cluster.json"
PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- drills: written by tests/cluster/run.sh -->\n", "<!-- end of drills -->\n"
DEFINITIONS = {
    "trials_before": "finished trials in the logs at the moment of the disturbance",
    "trials_lost": "of these, missing at the end",
    "trials_repeated": "trials that stand more than once in the logs at the end",
    "jobs_before": "benchmark files of finished jobs at the moment of the disturbance",
    "jobs_lost": "of these, missing at the end",
    "jobs_repeated": "of these, written again",
    "utilisation": "seconds of all evaluations over workers times seconds from the first ask to the last trial's end",
    "overhead_seconds_per_job": "(seconds through SLURM - seconds without) over jobs submitted",
    "queue_seconds_per_job": "mean seconds from submission to start (sacct)",
}

Rows = Sequence[Mapping[str, Any]]


def parts(rows: Rows, origin: Mapping[str, Any]) -> dict[str, Any]:
    """What the lines say, each part with its origin: the drills that passed, the overhead."""
    found: dict[str, Any] = {}
    drills = [{**row, "origin": origin} for row in rows if "drill" in row]
    if drills:
        found["drills"] = drills
    for row in rows:
        if "overhead" in row:
            found["overhead"] = {**row["overhead"], "origin": origin}
    return found


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the overhead and single drills replaced; new drills stand at the end."""
    drills = {row["what"]: row for record in (old, new) for row in record.get("drills", [])}
    return {**old, **new, "definitions": DEFINITIONS, "drills": list(drills.values())}


def table(drills: Rows) -> str:
    """The drills in Markdown: what was done, what it lost, what the end was compared with, at which commit."""
    lines = [
        "| drill | finished before | lost | made again | end equals | commit |",
        "|---|---|---|---|---|---|",
    ]
    for row in drills:
        before, lost, again = _counts(row) if "trials_before" in row else ("not disturbed", "—", "—")
        end = row.get("same_as", "not compared")
        lines.append(f"| {row['what']} | {before} | {lost} | {again} | {end} | {_commit(row['origin'])} |")
    return "\n".join(lines) + "\n"


def _counts(row: Mapping[str, Any]) -> tuple[str, str, str]:
    lost, again = (_both(row, f"trials_{what}", f"jobs_{what}") for what in ("lost", "repeated"))
    return f"{row['trials_before']} trials, {row['jobs_before']} jobs", lost, again


def _both(row: Mapping[str, Any], *names: str) -> str:
    counts = [(row[name], name.partition("_")[0]) for name in names]
    return ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing"


def _commit(origin: Mapping[str, Any]) -> str:
    state = origin["git"]
    return f"{(state['commit'] or 'unknown')[:7]}{', edited' if state['dirty'] else ''}"


def page(text: str, drills: Rows) -> str:
    """A page with the table between its two marks."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"{PAGE} lacks the lines {BEGIN.strip()} and {END.strip()} that hold the drills' table")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table(drills) + END + rest.partition(END)[2]


def read() -> dict[str, Any]:
    """The record as it is on the disk."""
    return json.loads(BENCH.read_text(encoding="utf-8")) if BENCH.exists() else {}


def main(rows_file: Path, command: str, keep: bool) -> None:
    rows = [json.loads(line) for line in rows_file.read_text(encoding="utf-8").splitlines()]
    origin = {"made": datetime.now(UTC).isoformat(timespec="seconds"), "command": command, **provenance.machine()}
    new = parts(rows, origin)
    if "drills" in new:
        print(table(new["drills"]))
    for row in new.get("drills", []):
        if "utilisation" in row:
            print(f"{row['what']}: {100 * row['utilisation']:.1f} % of {row['workers']} workers' time in evaluations")
    if "overhead" in new:
        over = new["overhead"]
        print(
            f"{over['experiment']}: {over['slurm_seconds']} s through SLURM, {over['local_seconds']} s without: "
            f"{over['ratio']} times (at most {over['most']}); {over['jobs']} jobs, "
            f"{over['overhead_seconds_per_job']} s of overhead a job"
        )
    if keep and new:
        record = merged(read(), new)
        artifacts.write_json(BENCH, record)
        artifacts.write_text(PAGE, page(PAGE.read_text(encoding="utf-8"), record["drills"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], "--keep" in sys.argv[3:])
