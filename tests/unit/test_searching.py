"""What makes a search of networks the same one, and what is said at its end."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from podnas import artifacts
from podnas.cluster import deadline
from podnas.config import SearchConfig, TrainingConfig, WindowsConfig
from podnas.networks import searching
from podnas.networks.recipe import Recipe
from podnas.search.protocol import Outcome, Trial
from podnas.search.report import Report


def identity(**search: object) -> dict[str, object]:
    data = SimpleNamespace(recipe=Recipe(TrainingConfig(), WindowsConfig(), 1, False), hash="0")
    return searching.identity(data, SearchConfig(**search), code="c")


def test_another_number_of_ranks_or_another_limit_goes_on_with_the_same_logs():
    assert identity(ranks=4, lanes=2) == identity(ranks=7, lanes=3, time_limit_minutes=5)
    assert identity(ranks=4) != identity(ranks=4, seed=1)


def test_one_rank_is_another_search_whose_lanes_count():
    assert identity(ranks=1) != identity(ranks=2)
    assert identity(lanes=2) != identity(lanes=3)
    assert identity() == identity(time_limit_minutes=5)


def test_a_job_is_the_same_after_its_file(tmp_path):
    config = SearchConfig(ranks=2, two_step={"fraction": 0.5, "top": 0.5})
    job = searching.Job(
        name="short",
        train=tmp_path / "train.nc",
        logs=tmp_path,
        identity=identity(ranks=2),
        search=config,
        training=TrainingConfig(),
        windows=WindowsConfig(),
        engine="kernels",
        workers=1,
    )
    again = searching.Job.model_validate_json(job.model_dump_json())
    assert again == job
    assert again.folder == job.folder
    assert not job.stopped()
    assert job.model_copy(update={"deadline": 1.0}).stopped()


class Instant:
    """Evaluates at once, and says that each trial took 50 s; stands in for the data, too."""

    def __init__(self):
        self.waiting, self.evaluated = [], []

    def evaluator(self, engine, workers):
        return nullcontext(self)

    def load(self):
        """Nothing is to be loaded."""

    def submit(self, trial):
        self.waiting.append(trial)

    def finished(self, timeout_s=None):
        trial = self.waiting.pop(0)
        self.evaluated.append(trial.number)
        return Outcome(trial, trial.number / 100, seconds=50.0, ended=time.time())


def job_in(folder, **changes):
    given = {
        "name": "short",
        "train": folder / "train.nc",
        "logs": folder,
        "identity": identity(),
        "search": SearchConfig(algorithm="random", trials=9, lanes=2),
        "training": TrainingConfig(),
        "windows": WindowsConfig(),
        "engine": "kernels",
        "workers": 1,
    }
    return searching.Job(**given | changes)


def test_a_search_stops_before_its_job_and_goes_on_in_the_next(tmp_path):
    # after a trial of 50 s, two in its lanes need 100 s and the last files 60: more than the 150 that are left
    first, started = Instant(), time.time()
    job = job_in(tmp_path, end=started + deadline.LEAST_SECONDS + 90)
    with pytest.raises(deadline.OutOfTime, match=r"search short stopped before its job's time was over, with 2 trials"):
        searching.run_in_time(job, first, started - 30)
    assert first.evaluated == [0, 1]
    (left,) = deadline.records(tmp_path)
    assert artifacts.read_json(left)["seconds"] == pytest.approx(30, abs=5)
    second = Instant()
    outcomes = searching.run_in_time(job_in(tmp_path, end=time.time() + 3600), second, time.time())
    assert second.evaluated == [2, 3, 4, 5, 6, 7, 8]
    assert [outcome.trial.number for outcome in outcomes] == list(range(9))
    assert not deadline.records(tmp_path)


def test_the_searchs_own_limit_counts_what_earlier_jobs_took(tmp_path):
    limited = SearchConfig(algorithm="random", trials=9, lanes=2, time_limit_minutes=10)
    job = job_in(tmp_path, search=limited, end=time.time() + 3600)
    job.folder.mkdir(parents=True)
    deadline.leave(job.folder, 601.0, 0)
    assert searching.run_in_time(job, Instant(), time.time()) == []  # its time is over, and no other job is needed
    deadline.leave(job.folder, 500.0, 0)
    assert len(searching.run_in_time(job, Instant(), time.time())) == 9


def test_a_search_without_a_finished_trial_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"before search.time_limit_minutes; raise it"):
        searching.check_any_finished([], tmp_path)
    with pytest.raises(ValueError, match="all 1 trials failed, the first with: too wide"):
        searching.check_any_finished([Outcome(Trial(0, {}), None, "too wide")], tmp_path)


def test_the_end_tells_how_busy_workers_were_and_that_time_was_over(capfd):
    report = Report("search short", 10, "loss", str)
    report.started -= 10
    report(Outcome(Trial(0, {}), 0.5, seconds=5.0), False)
    report(Outcome(Trial(1, {}), 0.5, seconds=7.0), True)  # of an earlier run
    report.finish(2, stopped=True)
    shown = " ".join(capfd.readouterr().err.split())
    assert "1 trials in 10 s, 2 workers 25 % busy; stopped by search.time_limit_minutes after 2 of 10 trials" in shown


def test_more_trials_than_were_asked_for_are_never_counted_beyond_the_total(capfd):
    """As of ranks, each of which began one while the others' news was on its way, or of a log with more."""
    report = Report("search short", 1, "loss", str)
    for number in range(3):
        report(Outcome(Trial(number, {}), 1.0 - number), kept=number == 0)
    report.finish(workers=2, stopped=True)
    told = capfd.readouterr().err
    assert [line.split()[2] for line in told.splitlines()[:3]] == ["1/1", "2/2", "3/3"]
    assert "stopped by" not in told


def test_a_search_on_the_kernels_imports_no_keras():
    # which each of its ranks would have to wait for, and to hold
    code = (
        "import sys; from podnas.networks import engines, searching; engines.named('kernels').module()\n"
        "sys.exit(' '.join({'keras', 'tensorflow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
