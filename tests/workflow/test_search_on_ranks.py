"""The search of the miniature experiment on MPI ranks: one is killed, and no trial is missing at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil

from podnas.search import log
from tests.workflow.conftest import SNAKEMAKE, TINY
from tests.workflow.test_kill_and_resume import LOGS, TRIALS, before_the_search

ON_RANKS = "search={ranks: 4, lanes: 2, trials: 40, epochs: 100, two_step: {fraction: 0.5, top: 0.1}}"


def a_rank() -> psutil.Process | None:
    """One of the ranks: what a guard of them waits for."""
    ours = [child for child in psutil.Process().children(recursive=True) if "search-networks" in _words(child)]
    return next((child for child in ours if child.parent() in ours and "mpiexec" not in _words(child.parent())), None)


def _words(process: psutil.Process | None) -> str:
    try:
        return " ".join(process.cmdline()) if process is not None else ""
    except psutil.NoSuchProcess:
        return ""


def finished(folder: Path) -> int:
    return sum(len(log.merge(place).outcomes) for place in (folder / LOGS).glob("*"))


def test_a_killed_rank_costs_no_trial(tiny, tmp_path):
    folder = before_the_search(tiny, tmp_path / "ranks")
    with (folder / "run.log").open("wb") as output:
        run = subprocess.Popen(
            [str(SNAKEMAKE), "-c2", TRIALS, *TINY, "--config", ON_RANKS], cwd=folder, stdout=output, stderr=output
        )
    deadline = time.monotonic() + 300
    while finished(folder) < 4:
        assert run.poll() is None, (folder / "run.log").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    rank = a_rank()
    assert rank is not None
    os.kill(rank.pid, signal.SIGKILL)
    assert run.wait(timeout=600) == 0, (folder / "run.log").read_text()[-3000:]
    (logs,) = (folder / LOGS).iterdir()
    kept = log.merge(logs)
    assert not kept.running
    trials = pd.read_parquet(folder / TRIALS)
    assert trials.number.is_unique
    assert set(trials.number) == {outcome.trial.number for outcome in kept.outcomes}
    assert (trials.step == 1).sum() >= 40
    assert (trials.step == 2).sum() >= 4
    assert trials.loss.notna().all()
