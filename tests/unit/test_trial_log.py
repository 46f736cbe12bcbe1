"""The trial log and the driver: nothing finished is lost, nothing is mixed, workers' speed changes nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from podnas.config import SearchConfig
from podnas.networks.space import architecture_space
from podnas.search import build, driver
from podnas.search.log import TrialLog, table
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

    def submit(self, trial: Trial) -> None:
        self.waiting.append(trial)
        self.most = max(self.most, len(self.waiting))

    def finished(self) -> Outcome:
        place = int(self.random.integers(len(self.waiting))) if self.random else 0
        trial = self.waiting.pop(place)
        try:
            return Outcome(trial, self.loss(trial))
        except MemoryError as error:
            return Outcome(trial, None, f"MemoryError: {error}")


def run(path, evaluate=evaluate, identity=IDENTITY, lanes=1, random=None) -> list[Outcome]:
    search = build.build(architecture_space(), CONFIG)
    evaluator = Immediate(evaluate, random)
    outcomes = driver.run(search, evaluator, TrialLog(path, identity), lambda *_: None, lanes)
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
    path.write_text(path.read_text().replace('"identity"', '"96"', 1))
    with pytest.raises(ValueError, match="is not what this search asks for"):
        run(path)


def test_the_table_tells_steps_parents_and_failures(tmp_path):
    made = table(run(tmp_path / "log.jsonl"), first_step=12)
    assert list(made.step) == [1] * 12 + [2] * 3
    assert made.loss.isna().sum() == 2
    assert (made[made.step == 2].parent >= 0).all()
    assert set(json.loads(made.point[0])) >= {"node_1", "skip_5_3"}
