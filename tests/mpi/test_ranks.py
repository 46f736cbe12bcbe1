"""Real ranks under a real launcher, on a cheap function: all know everything, and who is killed harms nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from podnas.parallel import launch
from podnas.search import log
from podnas.search.protocol import Outcome, Trial

ROOT = Path(__file__).parents[2]
LIMIT_S = 600  # after which something hangs; machines that are shared stand still for minutes


def start(folder: Path, ranks: int = 4, **settings: object) -> subprocess.Popen[str]:
    """Ranks under the launcher alone, without what starts them again."""
    folder.mkdir(exist_ok=True)
    command = [*launch.command(ranks), sys.executable, "-m", "tests.mpi.ranks", str(folder), json.dumps(settings)]
    environment = {**os.environ, launch.RUN: str(time.time_ns())}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        raise
    return process.returncode, output


def run(folder: Path, ranks: int = 4, **settings: object) -> str:
    code, output = end(start(folder, ranks, **settings))
    assert code == 0, output
    return output


def known(folder: Path, rank: int) -> dict[int, float | None]:
    content = json.loads((folder / f"known-{rank}.json").read_text())
    return {int(number): loss for number, loss in content["known"].items()}


def logged(folder: Path) -> Counter[int]:
    records = [record for file in folder.glob(log.LOGS) for record in log.read_file(file)]
    return Counter(record.trial.number for record in records if isinstance(record, Outcome))


def wait_for(folder: Path, trials: int, process: subprocess.Popen[str]) -> None:
    """Until so many have finished and every rank has something under way."""
    deadline = time.monotonic() + LIMIT_S
    while sum(logged(folder).values()) < trials or len(list(folder.glob("rank-*.pid"))) < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pid(folder: Path, rank: int) -> int:
    return int((folder / f"rank-{rank}.pid").read_text())


def gone(folder: Path, process: int) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + LIMIT_S
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("exchange", launch.KINDS)
def test_all_ranks_know_all_trials_and_each_logs_its_own(tmp_path, exchange):
    run(tmp_path, exchange=exchange)
    everything = known(tmp_path, 0)
    assert len(everything) >= 60
    assert all(known(tmp_path, rank) == everything for rank in range(4))
    assert logged(tmp_path) == dict.fromkeys(everything, 1)
    for rank in range(4):
        begun = [record for record in log.read_file(log.rank_path(tmp_path, rank)) if isinstance(record, Trial)]
        assert begun
        assert {trial.number % 4 for trial in begun} == {rank}


@pytest.mark.parametrize(("exchange", "victim"), [("mpi", 0), ("folder", 2)])
def test_a_killed_rank_takes_only_what_it_had_under_way(tmp_path, exchange, victim):
    process = start(tmp_path, exchange=exchange, trials=120)
    wait_for(tmp_path, 12, process)
    os.kill(pid(tmp_path, victim), signal.SIGKILL)
    code, output = end(process)
    assert code != 0, output  # whoever has started it learns that something is missing
    kept = log.merge(tmp_path)
    others = [rank for rank in range(4) if rank != victim]
    for rank in others:
        assert known(tmp_path, rank) == {outcome.trial.number: outcome.loss for outcome in kept.outcomes}
    assert {trial.number % 4 for trial in kept.running} <= {victim}
    assert len(kept.running) <= 2
    assert len(kept.outcomes) + len(kept.running) >= 120
    # the next run, on fewer ranks, makes these and nothing else
    before = logged(tmp_path)
    run(tmp_path, 3, exchange=exchange, trials=120)
    assert logged(tmp_path) == before + Counter(trial.number for trial in kept.running)


TELLS_AND_DIES = """
import os, sys, time
from pathlib import Path
import psutil
from podnas.parallel import launch
launch.guard()
from podnas.parallel.mpi import MpiExchange
from podnas.search.protocol import Trial
exchange, pid = MpiExchange(silent_s=600), Path(sys.argv[1])
if exchange.rank == 0:
    exchange.send([Trial(number, {"x": 0.5, "y": "a" * 100}) for number in range(200)])
    pid.with_suffix(".new").write_text(str(os.getpid()))
    pid.with_suffix(".new").rename(pid)
    os.kill(os.getpid(), 9)
while not pid.exists() or psutil.pid_exists(int(pid.read_text())):
    time.sleep(0.02)
print([message.number for _ in range(50) for _, message in exchange.receive() or time.sleep(0.02) or ()], flush=True)
os._exit(0)
"""


def test_what_a_rank_told_before_it_died_arrives_whole(tmp_path):
    command = [*launch.command(2), sys.executable, "-c", TELLS_AND_DIES, str(tmp_path / "pid")]
    _, output = end(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    assert json.loads(output) == list(range(200))


def test_a_second_step_does_not_wait_for_a_killed_rank(tmp_path):
    process = start(tmp_path, trials=24, steps=2, stuck=3)
    wait_for(tmp_path, 8, process)
    os.kill(pid(tmp_path, 3), signal.SIGKILL)
    end(process)
    table = log.table(log.merge(tmp_path).outcomes, two_steps=True)
    assert (table.step == 2).sum() == 8


def test_what_a_killed_rank_had_paused_is_promoted_by_the_others(tmp_path):
    process = start(tmp_path, trials=240, seconds=0.1, ladder=True)  # for longer than a silent rank counts
    wait_for(tmp_path, 40, process)
    os.kill(pid(tmp_path, 3), signal.SIGKILL)
    end(process)
    records = [record for rank in range(3) for record in log.read_file(log.rank_path(tmp_path, rank))]
    assert any(isinstance(one, Trial) and one.continues and one.parent % 4 == 3 for one in records)


def test_all_ranks_killed_the_search_goes_on_with_any_number_of_them(tmp_path):
    process = start(tmp_path, trials=100)
    wait_for(tmp_path, 20, process)
    for rank in range(4):
        os.kill(pid(tmp_path, rank), signal.SIGKILL)
    end(process)
    before, running = logged(tmp_path), log.merge(tmp_path).running
    run(tmp_path, 3, trials=100)
    after = logged(tmp_path)
    assert before <= after
    assert set(after.values()) == {1}
    assert {trial.number for trial in running} <= set(after)
    assert not log.merge(tmp_path).running


def test_a_rank_whose_disk_is_full_says_so_and_the_others_go_on(tmp_path):
    code, output = end(start(tmp_path, trials=60, full=1))
    assert code != 0
    assert "rank-0001.jsonl cannot be written (No space left on device); free space" in output
    kept = log.merge(tmp_path)
    assert log.rank_path(tmp_path, 1).read_bytes().endswith(b"\n")
    for rank in (0, 2, 3):
        assert known(tmp_path, rank) == {outcome.trial.number: outcome.loss for outcome in kept.outcomes}
    before = logged(tmp_path)
    run(tmp_path, trials=60)
    assert logged(tmp_path) == before + Counter(trial.number for trial in kept.running)


def test_a_killed_launcher_leaves_no_rank_behind(tmp_path):
    process = start(tmp_path, trials=10_000)
    wait_for(tmp_path, 8, process)
    process.kill()
    process.communicate()
    for rank in range(4):
        gone(tmp_path, pid(tmp_path, rank))
    before = logged(tmp_path)
    run(tmp_path, 2, trials=100)
    assert before <= logged(tmp_path)
    assert set(logged(tmp_path).values()) == {1}


def test_a_killed_guard_ends_its_rank(tmp_path):
    process = start(tmp_path, trials=10_000)
    wait_for(tmp_path, 8, process)
    rank = pid(tmp_path, 1)
    psutil.Process(rank).parent().kill()
    gone(tmp_path, rank)
    end(process)
    assert set(logged(tmp_path).values()) == {1}


def test_ranks_end_together_at_the_limit(tmp_path):
    process = start(tmp_path, trials=10_000, deadline=time.time() + 10)
    code, output = end(process)
    assert code == 0, output
    kept = log.merge(tmp_path)
    assert not kept.running
    assert not json.loads((tmp_path / "known-0.json").read_text())["over"]


def test_trials_that_raise_hang_or_give_no_number_are_recorded_once(tmp_path):
    objective = f"{Path(__file__).with_name('objectives.py')}:troublesome"
    run(tmp_path, 2, trials=16, objective=objective, limit_s=2.0, lanes=1)
    outcomes = {outcome.trial.number: outcome for outcome in log.merge(tmp_path).outcomes}
    assert len(outcomes) >= 16
    assert set(logged(tmp_path).values()) == {1}
    causes = {0: "out of range", 2: "2 s", 4: "nan"}  # of this number and the next, the other rank's
    for first, cause in causes.items():
        for number in {first, first + 1} & outcomes.keys():
            assert cause in outcomes.pop(number).error
    assert all(outcome.loss is not None for outcome in outcomes.values())


def all_ranks(_: subprocess.Popen[str], folder: Path) -> list[int]:
    return [pid(folder, rank) for rank in range(4)]


def the_launcher(driver: subprocess.Popen[str], _: Path) -> list[int]:
    return [child.pid for child in psutil.Process(driver.pid).children()]


@pytest.mark.parametrize("victims", [all_ranks, the_launcher])
def test_what_is_started_again_goes_on_where_it_stopped(tmp_path, victims):
    """All ranks are killed and the launcher ends, or it is killed itself; one rank fewer begins without a pause."""
    settings = json.dumps({"trials": 100})
    code = (
        "import sys; from pathlib import Path; from podnas.parallel import launch; from podnas.search import log\n"
        "launch.mpiexec(4, ['-m', 'tests.mpi.ranks', *sys.argv[1:]],"
        " lambda: len(log.merge(Path(sys.argv[1])).outcomes))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), settings],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_for(tmp_path, 10, process)
    for victim in victims(process, tmp_path):
        os.kill(victim, signal.SIGKILL)
    status, output = end(process)
    assert status == 0, output
    assert output.count("what remains is started again") == 1
    assert len(logged(tmp_path)) >= 100
    assert set(logged(tmp_path).values()) == {1}
    assert not log.merge(tmp_path).running
    assert known(tmp_path, 2)
    assert not (tmp_path / "known-3.json").exists()
