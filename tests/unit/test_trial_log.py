"""The trial log and the driver: nothing finished is lost, nothing is mixed, workers' speed changes nothing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from podnas.config import SearchConfig
from podnas.networks.space import architecture_space
from podnas.search import build, driver, log
from podnas.search.log import Kept, TrialLog, table
from podnas.search.protocol import Outcome, Trial

CONFIG = SearchConfig(trials=12, population=4, sample=2, two_step={"fraction": 0.5, "top": 0.25})
IDENTITY = {"search": "a"}


def evaluate(trial: Trial) -> float:
    if trial.number == 3:
        raise MemoryError("too wide")
    if trial.number == 5:
        return float("nan")
    return float(len(json.dumps(dict(trial.point))) + trial.number / 100)


class Immediate:
    """Evaluates when asked for an outcome: the oldest trial first, or one drawn at random."""

    def __init__(self, loss, random: np.random.Generator | None = None) -> None:
        self.loss, self.random = loss, random
        self.waiting: list[Trial] = []
        self.most = 0

    def load(self, timeout_s: float | None = None) -> bool:
        return True

    def submit(self, trial: Trial) -> None:
        self.waiting.append(trial)
        self.most = max(self.most, len(self.waiting))

    def finished(self, timeout_s: float | None = None) -> Outcome:
        place = int(self.random.integers(len(self.waiting))) if self.random else 0
        trial = self.waiting.pop(place)
        try:
            return Outcome(trial, self.loss(trial))
        except MemoryError as error:
            return Outcome(trial, None, f"MemoryError: {error}")


def run(
    path, evaluate=evaluate, identity=IDENTITY, lanes=1, random=None, search=None, stop=driver.never
) -> list[Outcome]:
    search = search or build.build(architecture_space(), CONFIG)
    evaluator = Immediate(evaluate, random)
    outcomes = driver.run(search, evaluator, TrialLog(path, identity), lambda *_: None, lanes, stop)
    assert evaluator.most <= lanes
    return outcomes


def trials(outcomes: list[Outcome]) -> list[tuple]:
    return [(outcome.trial, outcome.loss, outcome.error) for outcome in outcomes]


def test_failed_trials_are_recorded_and_the_search_goes_on(tmp_path):
    outcomes = run(tmp_path / "log.jsonl")
    assert len(outcomes) == 15
    assert outcomes[3].error == "MemoryError: too wide"
    assert outcomes[5].error == "the loss is nan: training diverged"


@pytest.mark.parametrize("kill_at", [0, 1, 4, 6, 11, 12, 14])
def test_a_killed_search_ends_with_the_trials_of_an_undisturbed_one(tmp_path, kill_at):
    undisturbed = run(tmp_path / "one.jsonl")

    def killed(trial: Trial) -> float:
        if trial.number == kill_at:
            raise KeyboardInterrupt
        return evaluate(trial)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "two.jsonl", killed)
    made = []
    resumed = run(tmp_path / "two.jsonl", lambda trial: made.append(trial.number) or evaluate(trial))
    assert trials(resumed) == trials(undisturbed)
    assert made == list(range(kill_at, 15))


@pytest.mark.parametrize("lanes", [2, 4, 12, 100])
def test_trials_do_not_depend_on_which_worker_is_faster(tmp_path, lanes):
    first = run(tmp_path / "0.jsonl", lanes=lanes)
    for seed in range(1, 6):
        again = run(tmp_path / f"{seed}.jsonl", lanes=lanes, random=np.random.default_rng(seed))
        assert trials(again) == trials(first)
    assert trials(first) != trials(run(tmp_path / "serial.jsonl"))


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_trial_that_kills_its_process_fails_after_three_tries_and_no_other_with_it(tmp_path, lanes):
    path = tmp_path / "log.jsonl"

    def deadly(trial: Trial) -> float:
        if trial.number == 7:
            raise Killed
        return evaluate(trial)

    for _ in range(log.TRIES):
        with pytest.raises(Killed):
            run(path, deadly, lanes=lanes, random=np.random.default_rng(0))
    outcomes = {outcome.trial.number: outcome for outcome in run(path, deadly, lanes=lanes)}
    assert "begun 3 times and never finished" in outcomes[7].error
    assert {number for number, outcome in outcomes.items() if outcome.loss is None} == {3, 5, 7}
    # and for good
    again = run(path, lambda _: pytest.fail("made again"), lanes=lanes)
    assert trials(again) == trials(list(outcomes.values()))


def test_what_was_interrupted_three_times_is_made_all_the_same(tmp_path):
    undisturbed = run(tmp_path / "one.jsonl", lanes=4)

    def interrupted(trial: Trial) -> float:
        raise KeyboardInterrupt

    for _ in range(log.TRIES):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "two.jsonl", interrupted, lanes=4)
    assert trials(run(tmp_path / "two.jsonl", lanes=4)) == trials(undisturbed)


def two_trials(written: TrialLog) -> None:
    with written.releasing():
        written.begin([Trial(0, {})])
        written.append(Outcome(Trial(0, {}), 0.5))
        written.begin([Trial(1, {})])


@pytest.mark.parametrize(("write", "tries", "finished"), [(1, {0: 0}, []), (2, {}, [0]), (3, {1: 0}, [0])])
def test_an_interruption_while_the_disk_is_waited_for_loses_no_line_that_was_written(
    tmp_path, monkeypatch, write, tries, finished
):
    written = TrialLog(tmp_path / "log.jsonl", IDENTITY)
    written.read()
    calls = iter(range(1, 10))

    def interrupt(_: int) -> None:
        if next(calls) == write:
            raise KeyboardInterrupt

    monkeypatch.setattr(log.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        two_trials(written)
    kept = written.read_kept()
    assert [outcome.trial.number for outcome in kept.outcomes] == finished
    assert kept.tries == tries


def test_what_finished_before_its_turn_survives_a_kill(tmp_path):
    undisturbed = run(tmp_path / "one.jsonl", lanes=4)
    made: list[int] = []

    def killed(trial: Trial) -> float:
        if len(made) == 9:
            raise KeyboardInterrupt
        made.append(trial.number)
        return evaluate(trial)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "two.jsonl", killed, lanes=4, random=np.random.default_rng(3))
    assert made != sorted(made)
    again: list[int] = []
    resumed = run(tmp_path / "two.jsonl", lambda trial: again.append(trial.number) or evaluate(trial), lanes=4)
    assert trials(resumed) == trials(undisturbed)
    finished = {outcome.trial.number for outcome in undisturbed}
    # trials 3 and 5 fail: the one that raises is finished too
    assert set(again) == finished - set(made)


def test_a_half_written_last_line_is_cut_off_and_its_trial_made_again(tmp_path):
    path = tmp_path / "log.jsonl"
    undisturbed = run(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert trials(run(path)) == trials(undisturbed)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_log_of_another_search_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "log.jsonl"
    run(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"belongs to another search \(different: search\)"):
        run(path, identity={"search": "b"})
    assert path.read_bytes() == before


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    run(path)
    lines = path.read_text().splitlines()
    lines[4] = lines[4][:-5]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"log.jsonl, line 5 is damaged"):
        run(path)


def test_an_edited_log_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    run(path)
    begun, finished = path.read_text().splitlines(keepends=True)[1:3]
    assert '"begun"' in begun
    for edited in (finished, begun):
        whole = path.read_text()
        path.write_text(whole.replace(edited, edited.replace('"identity"', '"96"', 1)))
        assert path.read_text() != whole
        if edited is begun:  # as if the trial had been under way at a kill
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
        with pytest.raises(ValueError, match="is not what this search asks for"):
            run(path)
        path.write_text(whole)


def test_the_table_tells_steps_parents_and_failures(tmp_path):
    made = table(run(tmp_path / "log.jsonl"), CONFIG.two_step)
    assert list(made.step) == [1] * 12 + [2] * 3
    assert made.loss.isna().sum() == 2
    assert (made[made.step == 2].parent >= 0).all()
    assert set(json.loads(made.point[0])) >= {"node_1", "skip_5_3"}


def test_the_table_has_a_column_for_each_measure():
    done = Outcome(Trial(0, {"a": 1}), 0.5, measures={"parameters": 7, "inference_seconds": 0.25}, ended=3.0)
    failed = Outcome(Trial(1, {"a": 2}, parent=0, continues=True), None, "too wide", measures={"parameters": 9})
    made = table([done, failed])
    own = ["number", "step", "parent", "continues", "budget", "share", "point", "loss", "error", "seconds", "ended"]
    assert list(made.columns) == [*own, "inference_seconds", "parameters"]
    assert list(made.parameters) == [7, 9]
    assert made.parameters.dtype == np.int64
    assert made.inference_seconds.isna().tolist() == [False, True]
    assert made.continues.tolist() == [False, True]


def test_a_stopped_search_waits_for_what_is_under_way_and_goes_on_later(tmp_path):
    undisturbed = run(tmp_path / "one.jsonl", lanes=4)
    made: list[int] = []
    path = tmp_path / "two.jsonl"
    stopped = run(
        path, lambda trial: made.append(trial.number) or evaluate(trial), lanes=4, stop=lambda: len(made) >= 5
    )
    assert trials(stopped) == trials(undisturbed)[: len(stopped)]
    assert len(stopped) == len(made) == 8
    again: list[int] = []
    resumed = run(path, lambda trial: again.append(trial.number) or evaluate(trial), lanes=4)
    assert trials(resumed) == trials(undisturbed)
    assert not set(made) & set(again)


def test_what_the_log_holds_is_taken_after_the_end_of_time_too(tmp_path):
    undisturbed = run(tmp_path / "log.jsonl", lanes=3)
    taken = run(tmp_path / "log.jsonl", lambda _: pytest.fail("made again"), lanes=3, stop=lambda: True)
    assert trials(taken) == trials(undisturbed)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_gap_in_the_log_is_not_filled_after_the_end_of_time(tmp_path, lanes):
    path = tmp_path / "log.jsonl"
    undisturbed = run(path, lanes=lanes)
    lines = [line for line in path.read_text().splitlines(keepends=True) if '"number": 6,' not in line]
    path.write_text("".join(lines))
    taken = run(path, lambda _: pytest.fail("begun"), lanes=lanes, stop=lambda: True)
    # and those that were asked for beside the missing one
    assert trials(taken) == trials([undisturbed[number] for number in range(6 + lanes) if number != 6])
    assert path.read_text() == "".join(lines)
    assert trials(run(path, lanes=lanes)) == trials(undisturbed)


def test_a_measure_that_is_no_number_is_left_out(tmp_path):
    written = TrialLog(tmp_path / "log.jsonl", IDENTITY)
    written.append(Outcome(Trial(0, {}), 0.5, measures={"parameters": 3, "inference_seconds": float("nan")}))
    assert written.read()[0].measures == {"parameters": 3}


class Killed(BaseException):
    """The process is gone."""


class Disk:
    """Stands for os.write: dies or is full after so many calls, with a part of the last line written."""

    def __init__(self, monkeypatch, calls: int, part: float, error: BaseException | None) -> None:
        self.write, self.calls, self.part, self.error = os.write, calls, part, error
        monkeypatch.setattr(log.os, "write", self)
        monkeypatch.setattr(log.os, "fsync", lambda _: None)

    def __call__(self, file: int, data: bytes) -> int:
        self.calls -= 1
        if self.calls == 0 and self.error is not None:
            self.write(file, data[: int(self.part * len(data))])
            raise self.error
        return self.write(file, data)


def test_fifty_kills_in_the_middle_of_a_line_change_nothing(tmp_path, monkeypatch):
    # it is the disk that kills here, not a trial
    monkeypatch.setattr(log, "TRIES", 1000)
    whole = build.build(architecture_space(), CONFIG)
    undisturbed = run(tmp_path / "one.jsonl", lanes=3, search=whole)
    random = np.random.default_rng(0)
    for kill in range(50):
        path = tmp_path / f"{kill}.jsonl"
        resumed = None
        while resumed is None:
            search = build.build(architecture_space(), CONFIG)
            before = log.read_file(path)
            with monkeypatch.context() as patch:
                Disk(patch, int(random.integers(2, 20)), random.random(), Killed())
                try:
                    resumed = run(path, lanes=3, random=np.random.default_rng(kill), search=search)
                except Killed:
                    assert log.read_file(path)[: len(before)] == before
        assert trials(resumed) == trials(undisturbed)
        assert search.state() == whole.state()
        finished = [record.trial.number for record in log.read_file(path) if isinstance(record, Outcome)]
        assert Counter(finished) == dict.fromkeys(range(15), 1)


def test_a_full_disk_is_said_clearly_and_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    undisturbed = run(tmp_path / "one.jsonl")
    written = TrialLog(path, IDENTITY)
    written.append(undisturbed[0])
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        Disk(patch, 1, 0.5, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(ValueError, match=r"log.jsonl cannot be written \(No space left on device\); free space"):
            written.append(undisturbed[1])
    assert path.read_bytes() == before
    # the same writer goes on once there is space
    written.append(undisturbed[1])
    assert trials(written.read()) == trials(undisturbed[:2])


def test_a_half_line_that_could_not_be_removed_is_removed_before_the_next(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    undisturbed = run(tmp_path / "one.jsonl")
    written = TrialLog(path, IDENTITY)
    written.append(undisturbed[0])
    with monkeypatch.context() as patch:
        Disk(patch, 1, 0.5, OSError(errno.ENOSPC, "No space left on device"))
        patch.setattr(log.os, "truncate", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(ValueError, match="No space left on device"):
            written.append(undisturbed[1])
    assert not path.read_bytes().endswith(b"\n")
    written.append(undisturbed[1])
    assert trials(written.read()) == trials(undisturbed[:2])


def test_a_disk_that_is_really_full_is_said_clearly(tmp_path, monkeypatch):
    written = TrialLog(tmp_path / "log.jsonl", IDENTITY)
    written.read()
    before = written.path.read_bytes()
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(log.os, "open", lambda *_: full)
    with pytest.raises(ValueError, match="No space left on device"):
        written.append(Outcome(Trial(0, {}), 0.5))
    assert written.path.read_bytes() == before


def test_a_disk_that_is_full_only_when_flushed_is_said_clearly(tmp_path, monkeypatch):
    written = TrialLog(tmp_path / "log.jsonl", IDENTITY)
    written.read()
    before = written.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log.os, "fsync", full)
    with pytest.raises(ValueError, match="No space left on device"):
        written.append(Outcome(Trial(0, {}), 0.5))
    assert written.path.read_bytes() == before


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_whole_lines(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(log.os, "write", lambda file, data: write(file, data[:7]))
    written = TrialLog(tmp_path / "log.jsonl", IDENTITY)
    outcome = Outcome(Trial(0, {"a": 1}), 0.5)
    written.append(outcome)
    assert written.read() == [outcome]


def test_trials_that_were_given_up_are_no_progress():
    outcomes = [Outcome(Trial(0, {}), 0.5), Outcome(Trial(1, {}), None, "MemoryError")]
    given_up = Kept(tries={2: log.TRIES}).given_up(Trial(2, {}))
    assert given_up is not None
    assert Kept([*outcomes, given_up]).evaluated() == 2


def rank(folder: Path, number: int) -> TrialLog:
    return TrialLog(log.rank_path(folder, number), IDENTITY)


def test_logs_of_all_ranks_are_merged_in_the_order_that_trials_ended(tmp_path):
    one, two, three, four = (Trial(number, {"a": number}) for number in range(4))
    first, second = rank(tmp_path, 0), rank(tmp_path, 1)
    first.begin([one, three])
    first.append(Outcome(one, 0.1, ended=3.0))
    second.begin([two, four])
    second.append(Outcome(two, 0.2, ended=1.0))
    second.append(Outcome(one, 0.9, ended=4.0))  # again, by another rank
    kept = rank(tmp_path, 2).read_all()
    assert [(outcome.trial.number, outcome.loss) for outcome in kept.outcomes] == [(1, 0.2), (0, 0.1)]
    assert kept.running == [three, four]
    assert kept.ends[first.path] == first.path.stat().st_size


def test_a_reader_leaves_the_half_line_of_another_rank_alone(tmp_path):
    other = rank(tmp_path, 1)
    other.append(Outcome(Trial(1, {}), 0.1))
    with other.path.open("ab") as stream:
        stream.write(b'{"begun": {"number"')
    before = other.path.read_bytes()
    kept = rank(tmp_path, 0).read_all()
    assert len(kept.outcomes) == 1
    assert other.path.read_bytes() == before
    assert kept.ends[other.path] < len(before)


def test_the_log_of_another_search_beside_it_is_refused(tmp_path):
    TrialLog(log.rank_path(tmp_path, 1), {"search": "b"}).read()
    with pytest.raises(ValueError, match=r"rank-0001.jsonl belongs to another search \(different: search\)"):
        rank(tmp_path, 0).read_all()


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    held = TrialLog(path, IDENTITY)
    code = (
        "import sys; from pathlib import Path; from podnas.search.log import TrialLog\n"
        "TrialLog(Path(sys.argv[1]), {}, writer_s=0.0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert f"another process writes to {path}; wait for its end" in done.stderr
    del held
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
