"""Kill everything in the middle of a search, start again: the same trials as an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil

from tests.workflow.conftest import SNAKEMAKE, TINY, checkout, snakemake

TRIALS = "results/tiny/search/short/trials.parquet"
LOGS = "results/tiny/search/short/trials"
# long enough to be killed in the middle, twice
LONGER = (*TINY, "--config", "search={trials: 40, epochs: 200, two_step: {fraction: 0.5, top: 0.1}}")
COMPARED = ["number", "step", "parent", "budget", "share", "point", "loss", "error", "parameters"]


def logged(folder: Path) -> bytes:
    """What the search has logged so far."""
    (*_, content) = [b"", *(log.read_bytes() for log in (folder / LOGS).glob("*/rank-0000.jsonl"))]
    return content


def finished(folder: Path) -> int:
    """Trials that have ended."""
    return logged(folder).count(b'{"trial": ')


def start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "killed.log").open("wb") as log:
        return subprocess.Popen(
            [str(SNAKEMAKE), "-c2", TRIALS, *LONGER], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )


def wait_for_trials(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if finished(folder) >= count:
            return
        assert process.poll() is None, (folder / "killed.log").read_text()[-3000:]
        time.sleep(0.1)
    raise AssertionError("the search finished no trial within five minutes")


def kill_all(process: subprocess.Popen[bytes]) -> None:
    family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    process.wait()


def before_the_search(tiny: Path, folder: Path) -> Path:
    """A checkout with what comes before the search, times and Snakemake's records included."""
    folder.mkdir()
    checkout(folder)
    for part in ("archive", "field", "reduction", "windows"):
        shutil.copytree(tiny / "results/tiny" / part, folder / "results/tiny" / part)
    shutil.copytree(tiny / ".snakemake" / "metadata", folder / ".snakemake" / "metadata")
    return folder


def test_killed_twice_a_run_ends_with_the_trials_of_an_undisturbed_one(tiny, tmp_path):
    undisturbed, folder = (before_the_search(tiny, tmp_path / name) for name in ("undisturbed", "killed"))
    assert snakemake(undisturbed, "-c1", TRIALS, *LONGER).returncode == 0
    everything = start(folder)
    wait_for_trials(folder, 1, everything)
    kill_all(everything)
    before, so_far = logged(folder), finished(folder)

    # the second time Snakemake alone is killed: its jobs end by themselves, its lock is cleared
    alone = start(folder)
    wait_for_trials(folder, so_far + 1, alone)
    alone.kill()
    alone.wait()

    done = snakemake(folder, "-c2", TRIALS, *LONGER)
    assert done.returncode == 0, done.stdout[-3000:]
    # what was finished is kept to the letter, not made again
    assert logged(folder).startswith(before[: before.rfind(b"\n") + 1])
    # the same on one core as on two
    resumed, whole = (pd.read_parquet(place / TRIALS) for place in (folder, undisturbed))
    pd.testing.assert_frame_equal(resumed[COMPARED], whole[COMPARED])
    assert len(whole) == 44
