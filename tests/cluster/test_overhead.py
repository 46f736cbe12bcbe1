"""What SLURM adds to an experiment's time: the same checkout without it and through it, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.cluster import drill
from tests.cluster.conftest import ROWS
from tests.cluster.drill import SITE, SNAKEMAKE, Folder, checkout
from tests.workflow.conftest import TINY

EXPERIMENT = "PODNAS_OVERHEAD"  # sst (the default) or tiny; set by run.sh --overhead
MOST = 1.5  # times the local time: the aim, told and not asserted
LIMIT_S = 3600


def timed(folder: Path, *arguments: str) -> tuple[float, str]:
    """Seconds of a whole run, and what it said."""
    output = folder / "run.log"
    started = time.monotonic()
    with output.open("wb") as stream:
        done = subprocess.run(
            [str(SNAKEMAKE), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            timeout=LIMIT_S,
            check=False,
        )
    text = output.read_text(errors="replace")
    assert done.returncode == 0, text[-5000:]
    return time.monotonic() - started, text


def accounts(since: str) -> list[tuple[float, float]]:
    """Of each job since then: seconds in the queue and seconds of its run."""
    told = subprocess.run(
        ["sacct", "-X", "-n", "-P", "-S", since, "--format=Submit,Start,End"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    times = [[datetime.fromisoformat(word) for word in line.split("|")] for line in told.splitlines()]
    return [((start - submit).total_seconds(), (end - start).total_seconds()) for submit, start, end in times]


def test_overhead(miniature: Folder, tmp_path: Path) -> None:
    # once the miniature has run, all that is compiled is on the disk, for both
    experiment = os.environ.get(EXPERIMENT)
    if experiment is None:
        pytest.skip("takes as long as two runs of the default experiment: bash tests/cluster/run.sh --overhead")
    laid_over = TINY if experiment == "tiny" else ()
    folders = [tmp_path / name for name in ("local", "slurm")]
    for folder in folders:
        folder.mkdir()
        checkout(folder)
        (folder / "config/site.yaml").write_text(json.dumps(SITE))  # JSON is YAML
    drill.say(f"running {experiment} without SLURM")
    local_s, _ = timed(folders[0], "--cores", str(os.cpu_count()), *laid_over)
    drill.say(f"{local_s:.0f} s; running it through SLURM")
    since = f"{datetime.now():%Y-%m-%dT%H:%M:%S}"
    slurm_s, _ = timed(folders[1], "--profile", "slurm", *laid_over)
    jobs = accounts(since)
    row = {
        "experiment": experiment,
        "local_seconds": round(local_s, 1),
        "slurm_seconds": round(slurm_s, 1),
        "ratio": round(slurm_s / local_s, 3),
        "most": MOST,
        "jobs": len(jobs),
        "overhead_seconds_per_job": round((slurm_s - local_s) / len(jobs), 1),
        "queue_seconds_per_job": round(sum(queued for queued, _ in jobs) / len(jobs), 1),
        "run_seconds": [ran for _, ran in jobs],
        "load_before": round(os.getloadavg()[2], 2),
    }
    with Path(os.environ[ROWS]).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"overhead": row}) + "\n")
    drill.say(", ".join(f"{key} {value}" for key, value in row.items()))
