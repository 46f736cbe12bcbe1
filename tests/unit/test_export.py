"""Trials as an Optuna study, read back by Optuna itself."""

from __future__ import annotations

import builtins
import json
import logging
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    Integer,
    OrdinalHyperparameter,
)

from podnas.artifacts import ArtifactError
from podnas.search import export
from podnas.search.log import table
from podnas.search.protocol import Outcome, Trial

ENDED = 1_700_000_000.0  # Unix time


def space() -> ConfigurationSpace:
    made = ConfigurationSpace(seed=0)
    made.add([Float("rate", (1e-4, 0.1), log=True), Integer("width", (8, 64)), Float("shift", (-1, 1))])
    made.add([CategoricalHyperparameter("kind", ["lstm", "gru"]), OrdinalHyperparameter("depth", [1, 2, 4])])
    made.add([Constant("version", 3)])
    made.add(EqualsCondition(made["shift"], made["kind"], "gru"))
    return made


def drawn(count: int) -> list[Outcome]:
    of = space()
    points = [dict(of.sample_configuration()) for _ in range(count)]
    plain = [{k: v.item() if isinstance(v, np.generic) else v for k, v in point.items()} for point in points]
    return [
        Outcome(
            Trial(number, point), 1.0 / (number + 1), seconds=2.0, measures={"parameters": 10.0 * number}, ended=ENDED
        )
        for number, point in enumerate(plain)
    ]


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna")


@pytest.fixture
def load(optuna, tmp_path):
    def read(outcomes, **settings):
        file = tmp_path / "study.log"
        export.to_optuna(outcomes, file, "mine", **settings)
        backend = optuna.storages.journal.JournalFileBackend(str(file))
        return optuna.load_study(study_name="mine", storage=optuna.storages.JournalStorage(backend))

    return read


def test_optuna_reads_back_what_was_tried(load, optuna):
    made = drawn(30)
    study = load(made, space=space())
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.metric_names == ["loss"]
    assert len(study.trials) == 30
    for trial, outcome in zip(study.trials, made, strict=True):
        assert trial.state == optuna.trial.TrialState.COMPLETE
        assert trial.params == dict(outcome.trial.point)
        assert trial.value == outcome.loss
        assert trial.user_attrs["parameters"] == outcome.measures["parameters"]
        assert trial.datetime_complete == datetime.fromtimestamp(ENDED)
        assert trial.duration.total_seconds() == 2.0
    assert study.best_trial.number == 29


def test_distributions_are_those_of_the_space(load, optuna):
    found = {}
    for trial in load(drawn(30), space=space()).trials:
        found |= trial.distributions
    of = optuna.distributions
    assert found == {
        "rate": of.FloatDistribution(1e-4, 0.1, log=True),
        "width": of.IntDistribution(8, 64),
        "shift": of.FloatDistribution(-1.0, 1.0),
        "kind": of.CategoricalDistribution(["lstm", "gru"]),
        "depth": of.CategoricalDistribution([1, 2, 4]),
        "version": of.CategoricalDistribution([3]),
    }


def test_what_is_inactive_is_no_parameter(load):
    for trial in load(drawn(30), space=space()).trials:
        assert ("shift" in trial.params) == (trial.params["kind"] == "gru")


def test_without_a_space_distributions_follow_the_values(load, optuna):
    points = [{"x": 1, "y": 0.5, "z": "a", "w": 1}, {"x": 4, "y": 2, "z": "b", "w": True}]
    study = load([Outcome(Trial(n, point), 0.0, ended=ENDED) for n, point in enumerate(points)])
    of = optuna.distributions
    assert study.trials[0].distributions == {
        "x": of.IntDistribution(1, 4),
        "y": of.FloatDistribution(0.5, 2.0),
        "z": of.CategoricalDistribution(["a", "b"]),
        "w": of.CategoricalDistribution([1]),
    }


def test_a_failed_trial_fails_there_too(load, optuna):
    study = load([Outcome(Trial(0, {"x": 1}), None, "ValueError: too wide", ended=ENDED), *drawn(2)[1:]])
    assert study.trials[0].state == optuna.trial.TrialState.FAIL
    assert study.trials[0].user_attrs["error"] == "ValueError: too wide"
    assert study.trials[0].value is None


def test_the_first_of_two_steps_is_no_rival_of_the_second(load, optuna):
    """Half of the data gives lower losses here; the best is that of all data all the same."""
    states = optuna.trial.TrialState
    first = [Outcome(Trial(n, {"x": n}, share=0.5), 0.1 * n, ended=ENDED) for n in range(4)]
    second = [Outcome(Trial(4 + n, {"x": n}, parent=n), 1.0 + n, ended=ENDED) for n in range(2)]
    study = load([*first, *second])
    assert [trial.state for trial in study.trials] == [states.PRUNED] * 4 + [states.COMPLETE] * 2
    assert [trial.intermediate_values for trial in study.trials[:5]] == [
        {500: 0.0}, {500: 0.1}, {500: 0.2}, {500: pytest.approx(0.3)}, {1000: 1.0}
    ]  # fmt: skip
    assert study.best_trial.number == 4
    alone = load(first)
    assert {trial.state for trial in alone.trials} == {states.COMPLETE}  # nothing has gone further yet


def test_parents_and_shares_are_attributes(load):
    made = [
        Outcome(Trial(0, {"x": 1}, share=0.5), 0.2, ended=ENDED),
        Outcome(Trial(5, {"x": 1}, parent=0), 0.1, ended=ENDED),
    ]
    first, second = load(made).trials
    assert (first.user_attrs["share"], second.user_attrs["share"]) == (0.5, 1.0)
    assert (second.user_attrs["number"], second.user_attrs["parent"]) == (5, 0)
    assert "parent" not in first.user_attrs


def halved() -> list[Outcome]:
    """Three trainings: one to the end, one that stopped after a quarter, one that failed when it went on."""
    budgets = {0: 0.25, 1: 0.25, 2: 0.25, 3: 0.5, 4: 0.5, 5: 1.0}
    parents = {3: 0, 4: 2, 5: 3}
    points = {0: 0, 3: 0, 5: 0, 1: 1, 2: 2, 4: 2}
    losses = {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.5, 4: None, 5: 0.3}
    return [
        Outcome(
            Trial(n, {"x": points[n]}, budgets[n], parent=parents.get(n), continues=n in parents),
            losses[n],
            None if n != 4 else "broken",
            seconds=1.0,
            ended=ENDED + 10 * n,
        )
        for n in budgets
    ]


def check_halved(study, state) -> None:
    to_the_end, stopped, failed = study.trials
    assert to_the_end.intermediate_values == {250: 0.9, 500: 0.5, 1000: 0.3}
    assert (to_the_end.state, to_the_end.value) == (state.COMPLETE, 0.3)
    assert to_the_end.user_attrs["continued_as"] == [3, 5]
    assert to_the_end.user_attrs["seconds"] == 3.0
    assert to_the_end.duration.total_seconds() == 51.0
    assert (stopped.state, stopped.value, stopped.intermediate_values) == (state.PRUNED, 0.8, {250: 0.8})
    assert (failed.state, failed.intermediate_values) == (state.FAIL, {250: 0.7})
    assert study.best_trial.number == 0


def test_a_training_that_was_gone_on_with_is_one_trial(load, optuna):
    check_halved(load(halved()), optuna.trial.TrialState)


def test_a_table_of_trials_says_the_same(load, optuna):
    check_halved(load(export.outcomes(table(halved(), None))), optuna.trial.TrialState)


def test_a_table_gives_its_outcomes_back():
    made = [
        Outcome(Trial(0, {"x": "a"}, 0.5), 0.25, seconds=3.0, measures={"parameters": 7.0}, ended=ENDED),
        Outcome(Trial(4, {"x": "b"}, share=0.25, parent=0, continues=True), None, "broken", ended=ENDED + 1),
    ]
    assert export.outcomes(table(made, None)) == made


def test_old_tables_have_no_end_and_call_the_share_budget(load):
    old = pd.DataFrame({"number": [0, 1], "parent": [-1, 0], "budget": [0.5, 1.0], "point": [json.dumps({"x": 1})] * 2})
    old["seconds"], old["loss"], old["error"] = 5.0, 0.5, pd.array([None, None], dtype="string")
    first, second = load(export.outcomes(old), ended=ENDED).trials
    assert first.datetime_complete == datetime.fromtimestamp(ENDED)
    assert [trial.user_attrs["share"] for trial in (first, second)] == [0.5, 1.0]
    assert [trial.state.name for trial in (first, second)] == ["PRUNED", "COMPLETE"]


def test_two_objectives_are_two_directions(load, optuna):
    made = [*drawn(5), Outcome(Trial(9, {"width": 8}), 0.1, ended=ENDED)]
    study = load(made, space=space(), second_objective="parameters")
    assert study.metric_names == ["loss", "parameters"]
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert study.trials[3].values == [0.25, 30.0]
    # a trial without the measure has not two values
    assert study.trials[5].state == optuna.trial.TrialState.FAIL
    assert len(study.best_trials) == 5


def test_with_two_objectives_a_stopped_training_is_pruned(load, optuna):
    made = [Outcome(o.trial, o.loss, o.error, measures={"size": 1.0}, ended=ENDED) for o in halved()]
    states = [trial.state.name for trial in load(made, second_objective="size").trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL"]


def test_a_value_a_hair_outside_its_range_is_its_end(load):
    (trial,) = load([Outcome(Trial(0, {"rate": 0.1 * (1 + 1e-15)}), 0.0, ended=ENDED)], space=space()).trials
    assert trial.params == {"rate": 0.1}


@pytest.mark.parametrize("point", [{"rate": 0.2}, {"width": 65}, {"kind": "rnn"}])
def test_a_point_of_another_space_is_refused_and_nothing_is_written(optuna, tmp_path, point):
    with pytest.raises(ValueError, match=r"trial 7: .* outside .*; give the space it was drawn from"):
        export.to_optuna([Outcome(Trial(7, point), 0.0, ended=ENDED)], tmp_path / "study.log", "mine", space())
    assert list(tmp_path.iterdir()) == []


def test_optuna_says_nothing_and_keeps_its_verbosity(load, optuna, capfd):
    before = optuna.logging.get_verbosity()
    load(drawn(3))
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    assert logging.getLogger("optuna").level == before


def test_a_folder_that_cannot_be_written_is_named(optuna, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="cannot be made"):
        export.to_optuna(drawn(1), tmp_path / "file" / "study.log", "mine")


def test_without_optuna_the_remedy_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("optuna"):
            raise ImportError("No module named 'optuna'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"pip install 'podnas\[optuna\]'"):
        export.to_optuna(drawn(1), tmp_path / "study.log", "mine")
