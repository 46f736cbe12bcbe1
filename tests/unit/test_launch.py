"""Starting ranks, and starting those that remain again: with a program in place of the launcher."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from podnas.parallel import launch
from podnas.parallel.exchange import Alone
from podnas.search import log
from podnas.search.log import Kept


@pytest.fixture
def starts(tmp_path, monkeypatch):
    """A launcher that notes how it is called; with the n-th call it says `words` and ends with the n-th status."""
    calls = tmp_path / "calls"

    def use(*statuses: int, words: str = "no space") -> Path:
        program = tmp_path / "launcher"
        cases = "\n".join(f"{place}) echo '{words}' >&2; exit {status};;" for place, status in enumerate(statuses, 1))
        program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncase $(wc -l < {calls}) in\n{cases}\nesac\nexit 9\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv(launch.LAUNCHER, f"{program} --quiet")
        return calls

    return use


def test_what_ends_well_is_started_once(starts):
    calls = starts(0)
    launch.mpiexec(4, ["-m", "podnas", "job.json"], lambda: 0)
    assert calls.read_text() == f"--quiet -n 4 {sys.executable} -m podnas job.json\n"


def test_after_each_failure_one_rank_fewer_is_started(starts):
    calls = starts(9, 1, 9, 0)
    finished = iter(range(10))
    launch.mpiexec(3, ["x"], lambda: next(finished))
    assert [line.split()[2] for line in calls.read_text().splitlines()] == ["3", "2", "1", "1"]


def test_without_progress_it_is_given_up_with_the_last_words(starts, capfd):
    calls = starts(1, 1, 1, 1, 0)
    with pytest.raises(ValueError, match=r"status 1 and without a finished trial, 4 times[^\n]*\nno space"):
        launch.mpiexec(8, ["x"], lambda: 5)
    assert len(calls.read_text().splitlines()) == launch.ATTEMPTS
    assert "no space" in capfd.readouterr().err


def test_progress_in_between_starts_the_count_anew(starts):
    calls = starts(1, 1, 1, 1, 1, 0)
    finished = iter([0, 0, 0, 0, 1, 1, 1])
    launch.mpiexec(8, ["x"], lambda: next(finished))
    assert len(calls.read_text().splitlines()) == 6


def test_what_a_dead_launcher_leaves_behind_is_not_waited_for(tmp_path, monkeypatch):
    """The next start follows though a process of the first lives on, with the first's standard error open."""
    program = tmp_path / "launcher"
    program.write_text(
        "#!/bin/sh\nif [ -e first ]; then touch second; exit 0; fi\ntouch first\n"
        "(for i in $(seq 100); do [ -e second ] && exit; sleep 0.1; done; touch late) &\nkill -9 $$\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(launch.LAUNCHER, str(program))
    monkeypatch.setattr(launch, "WORDS_S", 0.0)
    launch.mpiexec(4, ["x"], lambda: 0)
    assert (tmp_path / "second").exists()
    assert not (tmp_path / "late").exists()


def test_the_next_start_writes_within_thirty_seconds_of_the_launchers_death():
    """All that it waits for: the last words of the dead one, and for ranks that live on to leave their logs alone."""
    assert launch.WORDS_S + log.WRITER_S < 30


def test_where_nothing_is_left_a_failure_is_none(starts):
    calls = starts(1, 1, 1, 1)
    left = iter([False, True])
    launch.mpiexec(8, ["x"], lambda: 5, complete=lambda: next(left))
    assert len(calls.read_text().splitlines()) == 2


def test_what_a_lost_rank_left_is_done_by_another_start_though_the_launcher_ended_well(starts):
    """As srun --no-kill does after a node's failure."""
    calls = starts(0, 0, 1)
    left = iter([False, True])
    launch.mpiexec(2, ["x"], lambda: 5, complete=lambda: next(left))
    assert [line.split()[2] for line in calls.read_text().splitlines()] == ["2", "1"]


def test_what_no_other_start_can_help_is_started_once_and_says_why(starts):
    assert launch.HOPELESS | 1 == launch.HOPELESS  # beside ranks that failed in another way
    calls = starts(launch.HOPELESS, 0, words="no module")
    with pytest.raises(ValueError, match="ranks cannot do what they are started for; their last words:\nno module"):
        launch.mpiexec(8, ["x"], lambda: 5)
    assert len(calls.read_text().splitlines()) == 1


def test_where_others_left_nothing_one_that_cannot_be_helped_is_none(starts):
    calls = starts(launch.HOPELESS)
    launch.mpiexec(8, ["x"], lambda: 5, complete=lambda: True)
    assert len(calls.read_text().splitlines()) == 1


def test_no_launcher_is_said(monkeypatch):
    monkeypatch.delenv(launch.LAUNCHER, raising=False)
    monkeypatch.setattr(launch.sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match="no mpiexec is found to start 4 ranks: install the package mpich"):
        launch.command(4)


@pytest.mark.parametrize(("rank", "ranks"), launch.PLACES)
def test_each_launcher_tells_its_ranks_their_place(monkeypatch, rank, ranks):
    for names in launch.PLACES:
        for name in names:
            monkeypatch.delenv(name, raising=False)
    assert launch.place() == (0, 1)
    monkeypatch.setenv(rank, "2")
    monkeypatch.setenv(ranks, "5")
    assert launch.place() == (2, 5)


def test_without_a_launcher_a_rank_is_alone(tmp_path, monkeypatch):
    for names in launch.PLACES:
        for name in names:
            monkeypatch.delenv(name, raising=False)
    assert isinstance(launch.exchange("mpi", tmp_path, Kept()), Alone)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("sys.exit(0)", 0),
        ("sys.exit(7)", 1),
        ("sys.exit(launch.HOPELESS)", launch.HOPELESS),
        ("os.kill(os.getpid(), signal.SIGKILL)", 1),
        # cut off in the end of MPI, its work done
        ("os.kill(os.getpid(), signal.SIGALRM)", 0),
        # what the launcher sends to the others when one has died
        ("os.kill(os.getpid(), signal.SIGUSR1); print('goes on')", 0),
    ],
)
def test_a_guard_ends_with_an_error_but_no_signal(body, code):
    program = f"import os, signal, sys\nfrom podnas.parallel import launch\nlaunch.guard()\n{body}"
    environment = {**os.environ, "PMI_RANK": "0", "PMI_SIZE": "2"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert ("goes on" in done.stdout) == ("goes on" in body)


@pytest.mark.parametrize("number", launch.STOPS)
@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_an_interrupted_guard_interrupts_its_rank_once_and_waits_for_it(number, send):
    """Launchers send it to the guard, and some of them to the rank, too."""
    program = (
        "import time\nfrom podnas.parallel import launch\nlaunch.guard()\n"
        "try:\n    print('begun', flush=True)\n    time.sleep(600)\n"
        "except KeyboardInterrupt:\n    print('ending', flush=True)\n    input()\n    print('ended')\n    raise\n"
    )
    environment = {**os.environ, "PMI_RANK": "0", "PMI_SIZE": "2"}
    guard = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert guard.stdout.readline() == "begun\n"
    send(guard.pid, number)
    assert guard.stdout.readline() == "ending\n"
    send(guard.pid, number)
    output, errors = guard.communicate("\n")
    assert output == "ended\n", errors
    assert guard.returncode == 1


@pytest.fixture
def keyboard():
    """Processes that are started hear Ctrl-C, also where these tests run in the background of a shell and do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(tmp_path: Path, launcher: str) -> tuple[int, str]:
    """Status and output of a process that has started a launcher of these lines of Python, and gets SIGINT."""
    (tmp_path / "launcher.py").write_text(f"import signal, sys, time\nfrom pathlib import Path\n{launcher}")
    code = "from podnas.parallel import launch\nlaunch.STOP_S = 20\nlaunch.mpiexec(2, ['x'], lambda: 0)"
    command = shlex.join([sys.executable, str(tmp_path / "launcher.py")])
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, launch.LAUNCHER: command}, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while not (tmp_path / "begun").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.usefixtures("keyboard")
def test_who_interrupts_the_search_waits_for_what_the_ranks_still_have_to_do(tmp_path):
    code, output = interrupted(
        tmp_path,
        "def end(*_):\n    time.sleep(0.5)\n    print('released', file=sys.stderr)\n    Path('end').touch()\n"
        "    sys.exit(1)\nsignal.signal(signal.SIGTERM, end)\nPath('begun').touch()\ntime.sleep(600)\n",
    )
    assert (tmp_path / "end").exists()
    assert "released" in output
    assert code != 0
    assert "started again" not in output


def test_what_does_not_end_in_time_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "STOP_S", 0.1)
    program = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    monkeypatch.setenv(launch.LAUNCHER, shlex.join([sys.executable, "-c", program]))
    wait = subprocess.Popen.wait
    pids = []

    def interrupt(process, timeout=None):
        pids.append(process.pid)
        if len(pids) == 1:
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        launch.mpiexec(2, ["x"], lambda: 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
