"""The evaluator of a search: budgets, pauses, settings in points, subsets, scalers, measures, limits."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest

from podnas import windows
from podnas.config import TrainingConfig
from podnas.ensemble import select
from podnas.networks import engines, evaluate, exact, population, retrain, space
from podnas.networks.evaluate import Paused, PopulationEvaluator, trial_seed
from podnas.networks.recipe import Recipe
from podnas.search.protocol import Outcome, Trial
from tests.populations import architecture, arrays, job
from tests.series import CONFIG, split

KERNELS = engines.named("kernels")
POINT = {"node_1": "16", "node_2": "identity", "skip_1_0": 1}
RECIPE = Recipe(TrainingConfig(batch_size=32), CONFIG, epochs=8, keep_best=False)


@pytest.fixture(scope="module")
def held() -> windows.Fold:
    return windows.fold(windows.training(split()[0]), CONFIG, -1)


def evaluator(held: windows.Fold, recipe: Recipe = RECIPE, **options) -> PopulationEvaluator:
    return PopulationEvaluator(held, recipe, 3, KERNELS, 1, **options)


def outcomes(held: windows.Fold, *trials: Trial, recipe: Recipe = RECIPE, **options) -> list[Outcome]:
    """Each trial's, made one after another by one evaluator."""
    with evaluator(held, recipe, **options) as one:
        return [made(one, trial) for trial in trials]


def made(one: PopulationEvaluator, trial: Trial) -> Outcome:
    one.submit(trial)
    return one.finished()


@pytest.fixture
def epochs_made(monkeypatch) -> list[tuple[int, int]]:
    """From which epoch to which the members were trained."""
    seen: list[tuple[int, int]] = []
    advance = exact.advance

    def watched(jobs):
        seen.extend((one.state.epochs, one.epochs) for one in jobs)
        return advance(jobs)

    monkeypatch.setattr(exact, "advance", watched)
    return seen


def test_a_budget_is_a_share_of_the_epochs(held, epochs_made):
    outcomes(held, *(Trial(number, POINT, budget) for number, budget in enumerate((1.0, 0.5, 0.3, 0.01))))
    # 0.3 of 8 epochs are 2.4, 0.01 less than one
    assert epochs_made == [(0, 8), (0, 4), (0, 2), (0, 1)]


RUNGS = (
    Trial(4, POINT, 0.25),
    Trial(9, POINT, 0.5, parent=4, continues=True),
    Trial(11, POINT, 1.0, parent=9, continues=True),
)


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.3, "input_noise": 0.1, "weight_decay": 0.1}], ids=str)
def test_a_paused_trial_is_gone_on_with_and_after_a_kill_made_again_alike(held, epochs_made, settings):
    recipe = dataclasses.replace(RECIPE, settings=TrainingConfig(batch_size=32, **settings))
    going_on = outcomes(held, *RUNGS, recipe=recipe)
    assert epochs_made == [(0, 2), (2, 4), (4, 8)]
    epochs_made.clear()
    # another process, which has none of the states
    anew = [outcomes(held, trial, recipe=recipe)[0] for trial in RUNGS]
    assert epochs_made == [(0, 2), (0, 4), (0, 8)]
    assert [one.loss for one in anew] == [one.loss for one in going_on]
    assert len({one.loss for one in going_on}) == 3


def test_a_state_that_was_dropped_is_made_again(held, epochs_made, monkeypatch):
    monkeypatch.setattr(evaluate, "PAUSED_BYTES", 0)
    outcomes(held, *RUNGS[:2])
    assert epochs_made == [(0, 2), (0, 4)]


def test_paused_states_are_bounded_and_the_oldest_go_first():
    state = population.start(job(architecture(0), arrays()).member, arrays())
    size = 3 * state.parameters.nbytes
    paused = Paused(2 * size)
    for number in (1, 2, 2, 3):
        paused.put(number, state)
    assert paused.take(1) is None
    assert paused.bytes == 2 * size
    assert paused.take(2) is paused.take(3) is state
    assert paused.take(3) is None
    assert paused.take(None) is None
    assert paused.bytes == 0


def test_seeds_of_trials():
    whole = [Trial(number, POINT) for number in range(3)]
    assert len({trial_seed(5, trial) for trial in whole}) == 3
    # the parts of one training have one seed, whatever their numbers; others have others
    assert len({trial_seed(5, trial) for trial in RUNGS}) == 1
    assert trial_seed(5, Trial(0, {**POINT, "node_1": "32"}, 0.5)) != trial_seed(5, RUNGS[0])
    assert trial_seed(6, RUNGS[0]) != trial_seed(5, RUNGS[0])
    assert trial_seed(5, Trial(0, dict(reversed(POINT.items())), 0.5)) == trial_seed(5, RUNGS[0])
    assert all(trial_seed(5, trial) < 2**32 for trial in (*whole, *RUNGS))


HYPERPARAMETERS = {
    "batch_size": 16,
    "learning_rate": 0.01,
    "weight_decay": 0.1,
    "clip_norm": 0.02,
    "dropout": 0.2,
    "input_noise": 0.1,
    "output_scale": 3.0,
}


def test_settings_in_a_point_are_those_it_is_trained_with(held):
    changed = dataclasses.replace(RECIPE, settings=TrainingConfig(**HYPERPARAMETERS))
    (expected,) = outcomes(held, Trial(0, POINT), recipe=changed)
    (joint,) = outcomes(held, Trial(0, {**POINT, **HYPERPARAMETERS}))
    (other,) = outcomes(held, Trial(0, POINT))
    assert joint.loss == expected.loss != other.loss
    assert joint.measures["parameters"] == other.measures["parameters"]


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_each_setting_matters(held, name):
    plain, joint = outcomes(held, Trial(0, POINT), Trial(0, {**POINT, name: HYPERPARAMETERS[name]}))
    assert plain.loss != joint.loss


def test_a_batch_larger_than_the_windows_is_cut(held):
    many, all_of_them = outcomes(
        held, Trial(0, {**POINT, "batch_size": 10_000}), Trial(0, {**POINT, "batch_size": len(held.fit.inputs)})
    )
    assert many.loss == all_of_them.loss


def test_engines_are_given_the_architecture_alone(held, monkeypatch):
    # the stacked engine knows the whole space by the names in a point, and compiles once for it
    with evaluator(held) as one:
        jobs = []
        monkeypatch.setattr(one.lanes, "submit", lambda _, job: jobs.append(job))
        one.submit(Trial(0, {**architecture(1), **HYPERPARAMETERS}))
    assert jobs[0].member.point == architecture(1)
    assert jobs[0].member.settings == TrainingConfig(**HYPERPARAMETERS)


def test_windows_as_networks_see_them_are_kept_for_a_few_scales_only(held):
    with evaluator(held) as one:
        first = one._arrays(1.0, 6.0)
        assert one._arrays(1.0, 6.0) is first
        for number in range(evaluate.KEPT_ARRAYS):
            one._arrays(0.5, 1.0 + number)
        assert len(one.arrays) == evaluate.KEPT_ARRAYS
        assert one._arrays(1.0, 6.0) is not first
        assert len(one.folds) == 2


@pytest.mark.parametrize("subset", ["latest", "whole_years", "core_set"])
@pytest.mark.parametrize("scaler", ["training", "subset"])
def test_the_first_step_sees_its_subset_with_its_scaler(held, subset, scaler):
    with evaluator(held, subset=subset, scaler=scaler) as one:
        part = one._fold(0.5)
        seen = part.fit.seen() if scaler == "subset" else part.fit.series
        np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(seen.std(axis=0), 1)
        expected = windows.subset(one.data.fit, 0.5, subset)
        np.testing.assert_array_equal(part.fit.inputs.init_time, expected.inputs.init_time)
        # the second step sees everything, scaled by all weeks that are fitted on
        np.testing.assert_allclose(one._fold(1.0).fit.series.std(axis=0), 1)
        assert made(one, Trial(0, POINT, share=0.5)).error is None


def test_the_score_does_not_depend_on_the_scaler(held):
    # a forecast in coefficients has one r2_mean, whichever scaler its network works with
    forecast = 0.7 * held.validate.targets + 0.1
    scaled = held.scaled(held.fit.series[:60])
    same = (forecast - held.fit.series[:60].mean(axis=0)) / held.fit.series[:60].std(axis=0)
    r2 = [
        float(population.scores.r2(one, fold.validate.targets).mean())
        for one, fold in ((forecast, held), (same, scaled))
    ]
    assert r2[0] == pytest.approx(r2[1], rel=1e-12)


def test_measures_and_the_end_are_told(held):
    before = time.time()
    (one,) = outcomes(held, Trial(0, POINT, 0.25))
    assert one.measures["parameters"] == space.parameter_count(POINT, 2 + 4, 2)
    assert 0 < one.measures["inference_seconds"] < 1
    assert before <= one.ended <= time.time()
    assert one.seconds > 0


def test_a_trial_past_its_limit_fails_when_an_epoch_ends(held):
    late, alone, well = outcomes(
        held, Trial(0, POINT), Trial(1, POINT, 1 / 8), Trial(2, {"node_1": "400000"}), limit_s=0.0
    )
    assert late.loss is None
    assert late.error == "took longer than search.trial_limit_minutes, 0, of which 1 of 8 epochs are done"
    assert late.measures == {"parameters": space.parameter_count(POINT, 2 + 4, 2)}
    # what is done with its last epoch is kept
    assert alone.error is None
    assert well.error.startswith("MemoryError")
    assert well.ended > 0


@pytest.mark.parametrize("name", ["kernels", "stacked", "keras"])
def test_every_engine_keeps_the_limit_and_times_forecasts(name):
    data = arrays()
    engine = engines.named(name).module()
    fast = dataclasses.replace(job({"node_1": "16"}, data, epochs=2), timings=2, limit_s=1e6)
    slow = dataclasses.replace(job({"node_1": "16"}, data, epochs=3), timings=2, limit_s=0.0)
    in_time, late = engine.advance([fast])[0], engine.advance([slow])[0]
    assert in_time.error is None
    assert in_time.inference_seconds > 0
    assert "1 of 3 epochs" in late.error
    assert late.epochs == 0
    np.testing.assert_array_equal(late.parameters, slow.state.parameters)


def test_timing_is_left_out_where_not_asked_for_and_changes_nothing():
    plain = job(architecture(1), arrays())
    untimed, timed = exact.advance([plain, dataclasses.replace(plain, timings=2)])
    assert np.isnan(untimed.inference_seconds)
    np.testing.assert_array_equal(untimed.parameters, timed.parameters)
    assert untimed.held_r2 == timed.held_r2


def test_keras_draws_the_same_dropout_and_noise_after_a_pause():
    engine = engines.named("keras").module()
    whole = job({"node_1": "16"}, arrays(), epochs=3, dropout=0.4, input_noise=0.3)
    paused = engine.advance([dataclasses.replace(whole, epochs=1)])[0]
    again = engine.advance([dataclasses.replace(whole, state=paused)])[0]
    np.testing.assert_array_equal(again.parameters, engine.advance([whole])[0].parameters)


def test_waiting_has_an_end(held, monkeypatch):
    with evaluator(held) as one:
        with pytest.raises(LookupError, match="no job is under way"):
            one.finished(timeout_s=0.0)
        monkeypatch.setattr(one.lanes, "_room", lambda: False)
        monkeypatch.setattr(one.lanes, "running", {one.lanes.pool.submit(time.sleep, 0.2): []})
        assert one.finished(timeout_s=0.0) is None


def test_members_are_retrained_with_the_settings_of_their_points(tmp_path):
    data = windows.training(split()[0])
    recipe = dataclasses.replace(RECIPE, epochs=1, keep_best=True)
    rows = [{"trial": 7, "point": {**POINT, **HYPERPARAMETERS}}, {"trial": 8, "point": POINT}]

    def retrained(rows, recipe, folder):
        return retrain.retrain(rows, data, recipe, 1, folder, {}, lambda _: None, KERNELS, workers=1)

    joint, plain = retrained(rows, recipe, tmp_path / "joint")
    settings = joint["recipe"]["settings"]
    assert {name: settings[name] for name in HYPERPARAMETERS} == HYPERPARAMETERS
    assert plain["recipe"] == recipe.record()
    changed = dataclasses.replace(recipe, settings=TrainingConfig(**HYPERPARAMETERS))
    (expected,) = retrained([{"trial": 7, "point": POINT}], changed, tmp_path / "changed")
    assert joint["validation_r2"] == expected["validation_r2"]


def test_only_trials_on_everything_become_members():
    columns = ("number", "step", "budget", "share", "loss", "point")
    rows = [
        (0, 1, 1.0, 1.0, 0.3, '{"a": 0}'),
        (1, 1, 0.25, 1.0, 0.1, '{"a": 1}'),
        (2, 1, 1.0, 0.5, 0.1, '{"a": 2}'),
        (3, 1, 1.0, 1.0, 0.2, '{"a": 3}'),
    ]
    table = pd.DataFrame(rows, columns=columns)
    assert [row["trial"] for row in select.top_k(table, 2, "ensemble.members")] == [3, 0]
    with pytest.raises(ValueError, match=r"ensemble\.members is 3, but the search finished only 2 different points"):
        select.top_k(table, 3, "ensemble.members")
