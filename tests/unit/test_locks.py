"""Locks of a killed Snakemake are cleared, those of a living one are not, and jobs end with their Snakemake."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from podnas import locks

GUARD = "from podnas import locks; locks.guard('DEFAULT'); print('on', flush=True); input()"
JOB = """
import subprocess, sys
from podnas import locks
locks.end_with_snakemake()
child = subprocess.Popen(['sleep', '60'])
print(child.pid, flush=True)
child.wait()
"""
# as Snakemake does: hold the guard, start a job through a shell, wait
RUN = f"""
import subprocess, sys
from podnas import locks
locks.guard('DEFAULT')
subprocess.run([sys.executable, '-c', {JOB!r}])
"""


@pytest.fixture(autouse=True)
def of_no_snakemake(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known ends with it: a job that came later in this process would end with that Snakemake."""
    monkeypatch.setenv(locks.HOLDER, "")
    monkeypatch.delenv(locks.HOLDER)


@contextmanager
def process(code: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process in a folder, alive until the end of the block; its first line is read before."""
    env = {key: value for key, value in os.environ.items() if key != locks.HOLDER} | environment
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=folder, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as made:
        try:
            yield made
        finally:
            made.kill()


def first_line(made: subprocess.Popen[str]) -> str:
    assert made.stdout is not None
    line = made.stdout.readline().strip()
    if not line:
        assert made.stderr is not None
        raise AssertionError(made.stderr.read())
    return line


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A working directory with the lock files that a Snakemake leaves when it is killed."""
    folder = tmp_path / ".snakemake" / "locks"
    folder.mkdir(parents=True)
    (folder / "0.input.lock").write_text("field.nc\n")
    (folder / "0.output.lock").write_text("basis.nc\n")
    return tmp_path


def has_locks(folder: Path) -> bool:
    return (folder / ".snakemake" / "locks" / "0.output.lock").exists()


def test_lock_of_a_snakemake_that_is_gone_is_cleared_and_told(locked: Path) -> None:
    with process(GUARD, locked) as run:
        first_line(run)
        assert not has_locks(locked)
        _, told = run.communicate("\n")
    assert "cleared the lock of a Snakemake that is gone" in told


def test_lock_of_a_living_snakemake_stays(tmp_path: Path, locked: Path) -> None:
    saved = (locked / ".snakemake" / "locks").rename(tmp_path / "saved")
    with process(GUARD, locked) as living:
        first_line(living)
        saved.rename(locked / ".snakemake" / "locks")
        with process(GUARD, locked) as second:
            first_line(second)
            assert has_locks(locked)
        with process(GUARD, locked) as third:
            first_line(third)
            assert has_locks(locked)


def test_who_runs_already_is_told(locked: Path) -> None:
    with process(GUARD, locked) as living:
        first_line(living)
        with process(GUARD, locked) as second:
            first_line(second)
            _, told = second.communicate("\n")
    owner = locked.owner()
    assert f"user {owner} runs here already (process {living.pid} on {platform.node()})" in told


def test_owner_of_a_directory_that_another_user_runs_in_is_told(
    locked: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    locks.guard("DEFAULT", locked / ".snakemake")
    assert f"belongs to user {locked.owner()}" in caplog.text
    assert "checkout of your own" in caplog.text
    assert "--unlock" not in caplog.text
    assert has_locks(locked)


def test_lock_is_cleared_after_the_living_one_is_killed(locked: Path, tmp_path: Path) -> None:
    saved = (locked / ".snakemake" / "locks").rename(tmp_path / "saved")
    with process(GUARD, locked) as living:
        first_line(living)
        saved.rename(locked / ".snakemake" / "locks")
        living.send_signal(signal.SIGKILL)
        living.wait()
        with process(GUARD, locked) as second:
            first_line(second)
            assert not has_locks(locked)
            assert len(list((locked / ".snakemake" / "podnas").glob("*.alive"))) == 1


def test_of_many_started_at_once_all_come_up_and_one_clears(locked: Path) -> None:
    with ExitStack() as stack:
        runs = [stack.enter_context(process(GUARD, locked)) for _ in range(4)]
        assert [first_line(run) for run in runs] == ["on"] * 4
        assert not has_locks(locked)
        told = [run.communicate("\n")[1] for run in runs]
    assert sum("cleared the lock" in text for text in told) == 1


@pytest.mark.parametrize("mode", ["SUBPROCESS", "REMOTE"])
def test_snakemake_of_a_single_job_touches_no_lock(locked: Path, mode: str) -> None:
    with process(GUARD.replace("DEFAULT", mode), locked) as run:
        first_line(run)
        assert has_locks(locked)
        assert not (locked / ".snakemake" / "podnas").exists()


def test_second_guard_in_one_process_does_nothing(locked: Path) -> None:
    with process("from podnas import locks; locks.guard('DEFAULT'); " + GUARD, locked) as run:
        assert first_line(run) == "on"


def test_job_and_its_children_end_with_their_snakemake(tmp_path: Path) -> None:
    with process(RUN, tmp_path) as run:
        sleeper = psutil.Process(int(first_line(run)))
        job = sleeper.parent()
        assert job is not None
        run.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs([sleeper, job], timeout=60)
    assert alive == []


def test_job_whose_snakemake_was_cleared_away_ends(tmp_path: Path) -> None:
    holder = f"{platform.node()}:{tmp_path / 'gone.alive'}"
    with process(JOB, tmp_path, **{locks.HOLDER: holder}) as run:
        assert run.wait(timeout=60) == 1


@pytest.mark.parametrize("environment", [{}, {locks.HOLDER: "another-host:/gone.alive"}], ids=["none", "other host"])
def test_job_of_no_snakemake_on_this_host_goes_on(tmp_path: Path, environment: dict[str, str]) -> None:
    code = "import threading; from podnas import locks; locks.end_with_snakemake(); print(threading.active_count())"
    with process(code, tmp_path, **environment) as run:
        assert first_line(run) == "1"


def test_remote_jobs_outlive_the_snakemake_that_sent_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locks.HOLDER, f"{platform.node()}:{tmp_path / 'gone.alive'}")
    locks.guard("REMOTE", tmp_path)
    assert locks.HOLDER not in os.environ


def test_file_system_without_flock_is_told(
    locked: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    locks.guard("DEFAULT", locked / ".snakemake")
    assert "clear stale locks by `snakemake --unlock`" in caplog.text
    assert has_locks(locked)
    assert locks.HOLDER not in os.environ


def test_living_snakemakes_are_told_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_held", {})
    locks.guard("DEFAULT", tmp_path)
    (tmp_path / "podnas" / "login1-4711.alive").touch()  # held by nobody
    assert locks.living(tmp_path) == {locks.name()}
    assert re.fullmatch(r"[A-Za-z0-9_-]{3,50}", locks.name())
