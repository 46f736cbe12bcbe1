"""Jobs that a killed Snakemake has left with SLURM: the next one cancels them before it submits its own.

They would write beside its jobs, and Snakemake cannot take them over. What they had finished is kept: trials in their
logs, networks and checkpoints on the disk.
"""

from __future__ import annotations

import getpass
import logging
import re
import shutil
import subprocess
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

LOG = logging.getLogger(__name__)
PREFIX = "podnas-"  # of the names of jobs, then the name of their Snakemake (locks.py) and the identity of its run
NAME = re.compile(PREFIX + r"([\w-]+)_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANSWER_S = 60
GONE_S = 120.0  # that cancelled jobs are given to end: SLURM kills them KillWait after it has asked them to
LOOK_S = 1.0


def cancel(folder: Path, living: Collection[str], gone_s: float = GONE_S) -> list[int]:
    """Cancel this user's jobs that a Snakemake in `folder` has submitted, wait for their end, return their numbers.

    Jobs of the Snakemakes in `living` are let be: two may run in one folder, on different experiments. Called before
    anything is submitted. Nothing is done where no SLURM is installed or it does not answer: nothing can be submitted
    then, either. Raises ValueError where the jobs do not end.
    """
    if shutil.which("squeue") is None or not (left := _jobs(folder, living)):
        return []
    numbers = sorted(left)
    LOG.warning("SLURM jobs %s are of a Snakemake that is gone: cancelled, what they finished is kept", numbers)
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(["scancel", *map(str, numbers)], capture_output=True, timeout=ANSWER_S, check=False)
    until = time.monotonic() + gone_s
    while left := _jobs(folder, living):
        if time.monotonic() > until:
            raise ValueError(
                f"SLURM jobs {sorted(left)}, of a Snakemake that is gone, write to {folder} and are still there "
                f"{gone_s:.0f} s after scancel; see squeue, and start again when they have ended"
            )
        time.sleep(LOOK_S)
    return numbers


def _jobs(folder: Path, living: Collection[str]) -> set[int]:
    """Numbers of jobs waiting, running or ending that were submitted from a folder by a Snakemake that is gone."""
    asked = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%A|%j|%Z"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        LOG.warning("squeue does not answer (%s): jobs of a Snakemake that is gone may be left", error)
        return set()
    rows = [line.split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2]
    return {
        int(number)
        for number, name, where in rows
        if (owned := NAME.fullmatch(name)) and owned[1] not in living and Path(where).resolve() == folder.resolve()
    }
