"""What a change must not break: a run as typed, a search over two nodes, a job that needs more memory, scancel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pandas as pd

from tests.cluster import drill
from tests.cluster.conftest import Record
from tests.cluster.drill import SCORES, TRIALS, Folder
from tests.cluster.results import same_trials, utilisation

# short trials, so that at the end no rank waits long for another's last one
ON_NODES = {"trials": 120, "epochs": 80, "lanes": 2, "ranks": 2, "two_step": None}


def test_miniature(miniature: Folder, record: Record) -> None:
    """The miniature experiment, `snakemake --profile slurm` as typed."""
    assert (miniature.path / SCORES).exists()
    again = miniature.run("-n", limit_s=120)
    assert "Nothing to be done" in again.text()
    local = Folder.before_search(miniature, miniature.path.with_name("local"))
    local.run(str(TRIALS), profile=None)
    same_trials(local, miniature)
    record(
        jobs_submitted=len({job.number for job in drill.queue(miniature)}), same_as="a run without SLURM (its trials)"
    )


def test_search_over_two_nodes(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A search on one rank of each of two nodes, by MPI."""
    folder = Folder.before_search(miniature, tmp_path / "nodes", ON_NODES)
    folder.site(searches={"ranks": 2, "nodes": 2, "cores": 1})
    folder.run(str(TRIALS))
    (job,) = drill.searches(folder)
    assert job.nodes == "n[1-2]"
    trials = pd.read_parquet(folder.path / TRIALS)
    assert trials.number.is_unique
    assert len(trials) >= ON_NODES["trials"]
    assert len(list((folder.path / drill.LOGS).glob("*/rank-*.jsonl"))) == 2
    record(trials=len(trials), **utilisation(folder, workers=2))


def test_out_of_memory(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A job out of memory, submitted again with more."""
    folder = Folder.before_search(miniature, tmp_path / "memory")
    folder.run(str(TRIALS), resources={"network_mem_mb": 300})
    first, *others = drill.searches(folder)
    assert first.state in ("OUT_OF_MEMORY", "FAILED"), first
    assert others[-1].state == "COMPLETED", others
    assert others[-1].memory_mb > first.memory_mb
    same_trials(folder, miniature)
    record(folder.finished(), folder, memory_mb=[first.memory_mb, others[-1].memory_mb], same_as="the undisturbed run")


def test_scancel(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """`scancel` of everything in the middle of a search, and a second `snakemake`."""
    folder = Folder.before_search(miniature, tmp_path / "scancel")
    folder.site(searches={"resubmissions": 0})
    run = folder.start(str(TRIALS), "--retries", "0")
    folder.wait_for_trials(5, run)
    subprocess.run(["scancel", "--user", "root"], check=True, timeout=60)
    assert run.wait() != 0
    disturbed = folder.finished()
    folder.run(str(TRIALS))
    same_trials(folder, miniature)
    record(disturbed, folder, same_as="the undisturbed run")
