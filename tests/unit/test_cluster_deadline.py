"""A search stops before its job is killed, says so, and goes on in the next."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from podnas.cluster import deadline
from podnas.cluster.deadline import Deadline
from tests import fake_slurm


def test_the_scheduler_is_asked_where_it_is_known(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", fake_slurm.without_slurm(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    started = time.time()
    assert deadline.end_of_job(30, started) == started + 1800  # no squeue: what was asked for
    fake_slurm.program(tmp_path, "squeue", 'test "$3 $5" = "7 %L" && echo 10:05')
    assert deadline.end_of_job(30, started) == pytest.approx(time.time() + 605, abs=5)
    fake_slurm.program(tmp_path, "squeue", "exit 1")
    assert deadline.end_of_job(30, started) == started + 1800
    assert deadline.end_of_job(None, started) is None
    monkeypatch.delenv("SLURM_JOB_ID")
    fake_slurm.program(tmp_path, "squeue", "echo 1:00")
    assert deadline.end_of_job(30, started) == started + 1800


@pytest.mark.parametrize(
    ("time_left", "seconds"),
    [("45", 45), ("10:05", 605), ("3:00:00", 10_800), ("1-01:00:00", 90_000), ("UNLIMITED", None), ("INVALID", None)],
)
def test_times_as_squeue_writes_them(time_left, seconds) -> None:
    assert deadline.seconds(time_left) == seconds


def test_what_is_under_way_must_end_before_the_job() -> None:
    soon = Deadline(time.time() + deadline.LEAST_SECONDS + 100, rounds=4)
    assert not soon.passed()
    soon.note(20.0)
    assert not soon.passed()
    soon.note(30.0)  # four trials of 30 s may still lie before a worker
    assert soon.passed()
    soon.note(1.0)
    assert soon.passed()
    assert Deadline(time.time() + deadline.LEAST_SECONDS - 1, rounds=1).passed()


def test_time_spent_is_carried_over_once(tmp_path: Path) -> None:
    own, other = tmp_path / "abc", tmp_path / "def"
    for folder in (own, other):
        folder.mkdir()
        deadline.leave(folder, 125.0, 10)
    assert len(deadline.records(tmp_path)) == 2
    assert deadline.spent_before(own) == 125.0
    assert deadline.records(tmp_path) == []  # that of other settings says nothing of this search
    assert deadline.spent_before(own) == 0.0
