"""Networks: what is built, that training is deterministic, learns, saves and resumes."""

from __future__ import annotations

import os
import signal

import keras
import numpy as np
import pytest

from podnas import artifacts, windows
from podnas.config import TrainingConfig, WindowsConfig
from podnas.networks import retrain as retraining
from podnas.networks import space, store, train
from podnas.networks.build import build
from podnas.networks.evaluate import KerasEvaluator
from podnas.networks.recipe import Recipe
from podnas.search import points
from tests.series import CONFIG, PROTOCOL, coefficients, split

RECIPE = Recipe(TrainingConfig(batch_size=32), harmonics=1, epochs=2, keep_best=True)
POINT = {"node_1": "16", "node_2": "identity", "skip_1_0": 1}


@pytest.fixture(scope="module")
def data() -> windows.Training:
    return windows.training(split()[0])


@pytest.fixture(scope="module")
def held(data) -> windows.Fold:
    return windows.fold(data, CONFIG, -1)


@pytest.mark.parametrize("seed", range(12))
def test_every_sampled_point_builds_with_the_counted_parameters(seed):
    point = points.sample(space.architecture_space(), points.stream(seed, 0))
    model = build(point, 8, 13, 5, 6.0)
    assert model.count_params() == space.parameter_count(point, 13, 5)
    assert model.output_shape == (None, 8, 5)


def test_manual_networks_are_stacked_lstms():
    model = build(space.stacked_lstm(40, 2), 8, 13, 5, 6.0)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.LSTM)] == [40, 40, 5]


def test_outputs_reach_beyond_one_standard_deviation(held):
    # the output LSTM ends at 1: without the factor, peaks of the coefficients would be cut off
    targets = held.fit.targets
    targets_before = targets.copy()
    targets[:] = 3.0
    try:
        quick = Recipe(TrainingConfig(batch_size=32, learning_rate=0.02), harmonics=1, epochs=15, keep_best=False)
        forecast = train.predict(train.train(POINT, held, quick, 1).model, held.fit.inputs, 1)
    finally:
        targets[:] = targets_before
    assert forecast.mean() == pytest.approx(3.0, abs=0.3)


def test_equal_seeds_give_equal_weights_and_others_do_not(held):
    one, two, other = (train.train(POINT, held, RECIPE, seed).model.get_weights() for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert not all((a == b).all() for a, b in zip(one, other, strict=True))


def test_training_learns(held):
    long = Recipe(TrainingConfig(batch_size=32, learning_rate=0.01), harmonics=1, epochs=15, keep_best=True)
    few = train.train(POINT, held, RECIPE, 1).validation_r2
    many = train.train(POINT, held, long, 1)
    assert many.validation_r2 > few + 0.3
    assert 1 <= many.best_epoch <= 15


def test_divergence_is_an_error(held):
    held.fit.targets[0, 0, 0] = np.nan
    wild = Recipe(TrainingConfig(batch_size=32), harmonics=1, epochs=2, keep_best=False)
    try:
        with pytest.raises(ArithmeticError, match="diverged"):
            train.train(POINT, held, wild, 1)
    finally:
        held.fit.targets[0, 0, 0] = 0.0


def test_windows_with_other_leads_than_steps_are_refused():
    config = WindowsConfig(inputs=4, outputs=3, validation_blocks=2)
    training = windows.training(windows.split(coefficients(), PROTOCOL, config)[0])
    with pytest.raises(ValueError, match="4 inputs and 3 outputs"):
        train.train(POINT, windows.fold(training, config, -1), RECIPE, 0)


def test_saved_networks_forecast_the_same(held, tmp_path):
    model = train.train(POINT, held, RECIPE, 1).model
    store.save(tmp_path / "one.keras", model)
    again = store.load(tmp_path / "one.keras")
    inputs = held.validate.inputs
    np.testing.assert_array_equal(train.predict(model, inputs, 1), train.predict(again, inputs, 1))


def test_damaged_and_missing_networks_are_named(tmp_path):
    with pytest.raises(artifacts.ArtifactError, match=r"gone\.keras does not exist"):
        store.load(tmp_path / "gone.keras")
    (tmp_path / "half.keras").write_bytes(b"PK\x03\x04 half a zip")
    with pytest.raises(artifacts.ArtifactError, match=r"half\.keras cannot be read"):
        store.load(tmp_path / "half.keras")


def test_retraining_keeps_what_a_killed_run_finished(data, tmp_path):
    rows = [{"trial": 4, "point": POINT}, {"trial": 2, "point": {"node_1": "16"}}]

    def run(stop_after: int | None = None) -> tuple[list, list]:
        made = []

        def report(record):
            made.append(record["file"])
            if stop_after == len(made):
                raise KeyboardInterrupt

        return retraining.retrain(rows, data, CONFIG, RECIPE, 1, tmp_path, "hash", report), made

    with pytest.raises(KeyboardInterrupt):
        run(stop_after=1)
    first = (tmp_path / "member_00.keras").stat().st_mtime_ns
    catalogue, _ = run()
    assert (tmp_path / "member_00.keras").stat().st_mtime_ns == first
    assert [record["trial"] for record in catalogue] == [4, 2]
    assert [record["held_out_block"] for record in catalogue] == [0, 1]
    # other data: nothing is kept
    retraining.retrain(rows[:1], data, CONFIG, RECIPE, 1, tmp_path, "other", lambda _: None)
    assert (tmp_path / "member_00.keras").stat().st_mtime_ns > first


def test_a_killed_worker_fails_its_trial_and_nothing_else(held):
    recipe = Recipe(RECIPE.settings, 1, epochs=1, keep_best=False)
    with KerasEvaluator(held, recipe, seed=0) as evaluator:
        before = evaluator(POINT, 1.0, 0)
        (worker,) = evaluator.pool._processes
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="worker process was killed"):
            evaluator(POINT, 1.0, 1)
        assert evaluator(POINT, 1.0, 0) == before
