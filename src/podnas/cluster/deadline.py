"""When this process's job will be killed, so that a search stops before it, and goes on in another job."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from podnas import artifacts

RECORD = "stopped.json"  # a search left it that stopped because its job's time was over
ANSWER_S = 20
LEAST_SECONDS = 60.0  # kept for the last files, beside the trials that are under way


class OutOfTime(ValueError):
    """The job's time is over before the work is; submitted again, it goes on."""


def end_of_job(minutes: float | None, started: float) -> float | None:
    """Unix time at which the scheduler kills this job; None where it is not known.

    SLURM is asked where this is one of its jobs; else `minutes`, what was asked for, count from `started`.
    """
    left = _seconds_left()
    if left is not None:
        return time.time() + left
    return None if minutes is None else started + 60 * minutes


def _seconds_left() -> float | None:
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or shutil.which("squeue") is None:
        return None
    try:
        done = subprocess.run(
            ["squeue", "-h", "-j", job, "-o", "%L"], capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return seconds(done.stdout.strip()) if done.returncode == 0 else None


def seconds(time_left: str) -> float | None:
    """Seconds of a time as squeue writes it ([days-][[hours:]minutes:]seconds); None where it is no time."""
    if not re.fullmatch(r"(\d+-)?(\d+:){0,2}\d+", time_left):
        return None
    days, _, clock = time_left.rpartition("-")
    hours, minutes, whole = [0, 0, *map(int, clock.split(":"))][-3:]
    return float(int(days or 0) * 86400 + hours * 3600 + minutes * 60 + whole)


class Deadline:
    """Says when no trial may be begun any more, so that those under way end before the job does."""

    def __init__(self, end: float, rounds: int) -> None:
        """`end`: Unix time; `rounds`: trials that a worker has still before it when the last one is begun."""
        self.end, self.rounds = end, rounds
        self.longest = 0.0  # seconds of a trial

    def note(self, seconds: float) -> None:
        """Take note of what a trial took."""
        self.longest = max(self.longest, seconds)

    def passed(self) -> bool:
        """Whether a trial that begins now might not end before the job."""
        return time.time() + LEAST_SECONDS + self.rounds * self.longest >= self.end


def records(logs: Path) -> list[Path]:
    """Records of searches whose trial logs stand in folders of `logs`, and that stopped for the end of their job."""
    return sorted(logs.glob(f"*/{RECORD}"))


def spent_before(folder: Path) -> float:
    """Seconds that earlier jobs of the search with logs in `folder` took; all records beside it are taken away."""
    own = folder / RECORD
    spent = float(artifacts.read_json(own)["seconds"]) if own.exists() else 0.0
    for record in records(folder.parent):
        record.unlink()
    return spent


def leave(folder: Path, seconds: float, finished: int) -> None:
    """Record that a search stopped for the end of its job, after so many seconds in all its jobs."""
    artifacts.write_json(folder / RECORD, {"seconds": round(seconds, 1), "finished": finished})
