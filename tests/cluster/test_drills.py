"""What else happens on clusters: nodes, limits, login nodes, databases, files and users."""

from __future__ import annotations

import signal
from pathlib import Path

import pandas as pd

from podnas.cluster import deadline
from tests.cluster import drill
from tests.cluster.conftest import Record
from tests.cluster.drill import RESULTS, TRIALS, Folder
from tests.cluster.results import same_results, same_trials
from tests.cluster.test_core import ON_NODES


def test_node_down(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A node down in the middle of a search on two nodes."""
    folder = Folder.before_search(miniature, tmp_path / "down", ON_NODES)
    folder.site(searches={"ranks": 2, "nodes": 2, "cores": 1})
    run = folder.start(str(TRIALS))
    folder.wait_for_trials(10, run)
    drill.cluster("node-down", "n2")
    disturbed = folder.finished()
    try:
        assert run.wait() == 0, run.text()[-5000:]
    finally:
        drill.cluster("node-up", "n2")
    trials = pd.read_parquet(folder.path / TRIALS)
    assert trials.number.is_unique
    assert trials.loss.notna().all()
    assert disturbed.trials.keys() <= set(trials.number)
    assert len(trials) >= ON_NODES["trials"]
    record(disturbed, folder, trials=len(trials), same_as="not compared: several ranks")


def test_node_down_under_job(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A node down under a search on one rank, which goes back into the queue."""
    folder = Folder.before_search(miniature, tmp_path / "requeued")
    run = folder.start(str(TRIALS))
    folder.wait_for_trials(5, run)
    (job,) = drill.searches(folder)
    drill.cluster("node-down", job.nodes)
    disturbed = folder.finished()
    try:
        assert run.wait() == 0, run.text()[-5000:]
    finally:
        drill.cluster("node-up", job.nodes)
    (again,) = drill.searches(folder)
    assert again.number == job.number
    assert again.nodes != job.nodes
    same_trials(folder, miniature)
    record(disturbed, folder, same_as="the undisturbed run")


def test_time_limit(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A job that hangs past its time limit and is killed, resumed by the next."""
    folder = Folder.before_search(miniature, tmp_path / "time")
    run = folder.start(str(TRIALS))
    folder.wait_for_trials(5, run)
    (job,) = drill.searches(folder)
    drill.send(job, signal.SIGSTOP)
    drill.limit(job, minutes=1)
    disturbed = folder.finished()
    assert run.wait() == 0, run.text()[-5000:]
    assert [one.state for one in drill.searches(folder)] == ["TIMEOUT", "COMPLETED"]
    same_trials(folder, miniature)
    record(disturbed, folder, same_as="the undisturbed run")


def test_search_stops_in_time(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A search that its time limit does not suffice for: it stops before it, and is resumed by the next job."""
    folder = Folder.before_search(miniature, tmp_path / "stops")
    run = folder.start(str(TRIALS))
    drill.wait_for(lambda: drill.searches(folder), "a search", run)
    (job,) = drill.searches(folder)
    drill.limit(job, minutes=3)
    folder.wait_for_trials(1, run)
    drill.send(job, signal.SIGSTOP)
    disturbed = folder.finished()
    drill.wait_for(lambda: drill.seconds_left(job) < deadline.LEAST_SECONDS, "the time limit", run)
    drill.send(job, signal.SIGCONT)
    assert run.wait() == 0, run.text()[-5000:]
    assert [one.state for one in drill.searches(folder)] == ["FAILED", "COMPLETED"]
    same_trials(folder, miniature)
    record(disturbed, folder, same_as="the undisturbed run")


def test_login_node(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """The login node's Snakemake killed in the middle of a search, and started again."""
    folder = Folder.before_search(miniature, tmp_path / "login")
    run = folder.start()
    folder.wait_for_trials(5, run)
    run.kill()
    disturbed = folder.finished()
    assert any((folder.path / ".snakemake/locks").iterdir())
    again = folder.run()
    assert "cleared the lock of a Snakemake that is gone" in again.text()
    left, *others = drill.searches(folder)
    assert left.state == "CANCELLED", left
    assert [job.state for job in others] == ["COMPLETED"]
    same_results(folder, miniature, RESULTS)
    record(disturbed, folder, same_as="the undisturbed run (trials, scores, figures)")


def test_accounting_stopped(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """The accounting database stopped in the middle of a search, and back after its end."""
    folder = Folder.before_search(miniature, tmp_path / "accounting")
    run = folder.start(str(TRIALS))
    folder.wait_for_trials(5, run)
    disturbed = folder.finished()
    drill.cluster("accounting-down")
    try:
        assert run.wait() == 0, run.text()[-5000:]
    finally:
        drill.cluster("accounting-up")
    assert [job.state for job in drill.searches(folder)] == ["COMPLETED"]
    same_trials(folder, miniature)
    record(disturbed, folder, same_as="the undisturbed run")


def test_truncated_file(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A results file truncated behind the workflow's back: told, removed, made again."""
    folder = Folder.copy(miniature, tmp_path / "truncated")
    table = folder.path / TRIALS
    before = folder.finished()
    content = table.read_bytes()
    table.write_bytes(content[: len(content) // 2])
    run = folder.start("--retries", "0")
    assert run.wait() != 0
    assert "trials.parquet" in run.text() + _logs(folder), run.text()[-3000:]
    table.unlink()
    folder.run()
    assert table.read_bytes() == content
    same_results(folder, miniature, RESULTS)
    trials = drill.Finished(before.trials, {})
    record(trials, folder, same_as="the undisturbed run (trials, scores, figures)")


def _logs(folder: Folder) -> str:
    return "".join(file.read_text() for file in (folder.path / RESULTS / "logs").glob("*.log"))


def test_two_users(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A second run from a checkout in which one is under way, by the same user and by another."""
    folder = Folder.before_search(miniature, tmp_path / "users")
    run = folder.start(str(TRIALS))
    folder.wait_for_trials(5, run)
    disturbed = folder.finished()
    same_user = folder.start(str(TRIALS))
    assert same_user.wait() != 0
    assert "a Snakemake of user root runs here already" in same_user.text()
    assert "Directory cannot be locked" in same_user.text()
    another = folder.start(str(TRIALS), prefix=drill.as_another_user(tmp_path / "home"))
    assert another.wait() != 0
    assert "belongs to user root: to run something, use a checkout of your own" in another.text()
    assert run.wait() == 0, run.text()[-5000:]
    same_trials(folder, miniature)
    record(disturbed, folder, same_as="the undisturbed run")
