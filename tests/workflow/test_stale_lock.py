"""Real Snakemakes over a workflow of one job: after a kill the next run goes on; a living one keeps its lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from podnas import locks

SNAKEFILE = """
from podnas import locks
locks.guard(workflow.exec_mode.name)
rule job:
    output: "done.txt"
    log: "job.log"
    script: "job.py"
"""
JOB = """
import os, time
from pathlib import Path
from podnas import provenance
with provenance.rule(snakemake):
    Path("started.txt").write_text(str(os.getpid()))
    while not Path("go").exists():
        time.sleep(0.05)
    Path("done.txt").write_text("done")
"""


def snakemake(folder: Path) -> subprocess.Popen[str]:
    """Snakemake as started from the environment, not activated: `.venv/bin/python -m snakemake`."""
    env = {key: value for key, value in os.environ.items() if key != locks.HOLDER}
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "job.py").write_text(JOB)
    return tmp_path


@pytest.fixture
def running(workflow: Path) -> Iterator[subprocess.Popen[str]]:
    """A Snakemake in the middle of its job."""
    run = snakemake(workflow)
    wait_for(lambda: (workflow / "started.txt").exists() and bool((workflow / "started.txt").read_text()))
    yield run
    run.kill()
    run.communicate()


def test_killed_snakemake_takes_its_job_along_and_the_next_one_runs(
    workflow: Path, running: subprocess.Popen[str]
) -> None:
    job = psutil.Process(int((workflow / "started.txt").read_text()))
    running.send_signal(signal.SIGKILL)
    assert psutil.wait_procs([job], timeout=60)[1] == []
    assert list((workflow / ".snakemake" / "locks").iterdir()), "Snakemake leaves its lock otherwise than it did"
    (workflow / "go").touch()
    second = snakemake(workflow)
    told, _ = second.communicate(timeout=120)
    assert second.returncode == 0, told
    assert "cleared the lock of a Snakemake that is gone" in told
    assert (workflow / "done.txt").read_text() == "done"


def test_second_snakemake_is_told_by_snakemake_that_the_first_is_alive(
    workflow: Path, running: subprocess.Popen[str]
) -> None:
    second = snakemake(workflow)
    told, _ = second.communicate(timeout=120)
    assert second.returncode != 0
    assert "Directory cannot be locked" in told
    (workflow / "go").touch()
    assert running.wait(timeout=120) == 0
