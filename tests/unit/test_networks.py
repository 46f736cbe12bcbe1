"""Networks: what is built, that training is deterministic, learns, saves and resumes."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import keras
import numpy as np
import pytest

from podnas import artifacts, windows
from podnas.config import TrainingConfig
from podnas.networks import evaluate, space, store, train
from podnas.networks import retrain as retraining
from podnas.networks.build import build
from podnas.networks.evaluate import KerasEvaluator
from podnas.networks.recipe import Recipe, network_seed
from podnas.search import points
from tests.series import CONFIG, split

train.make_deterministic()

RECIPE = Recipe(TrainingConfig(batch_size=32), windows=CONFIG, epochs=2, keep_best=True)
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
    model = build(point, 8, 13, 5)
    assert model.count_params() == space.parameter_count(point, 13, 5)
    assert model.output_shape == (None, 8, 5)


def test_manual_networks_are_stacked_lstms():
    model = build(space.stacked_lstm(40, 2), 8, 13, 5)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.LSTM)] == [40, 40, 5]


def test_outputs_reach_beyond_one_standard_deviation(held):
    # the output LSTM ends at 1: without the factor, peaks of the coefficients would be cut off
    targets = held.fit.targets
    targets_before = targets.copy()
    targets[:] = 3.0
    try:
        quick = Recipe(TrainingConfig(batch_size=32, learning_rate=0.02), windows=CONFIG, epochs=15, keep_best=False)
        forecast = train.predict(train.train(POINT, held, quick, 1).model, held.fit.inputs, CONFIG, 6.0)
    finally:
        targets[:] = targets_before
    assert forecast.mean() == pytest.approx(3.0, abs=0.3)


def test_equal_seeds_give_equal_weights_and_others_do_not(held):
    one, two, other = (train.train(POINT, held, RECIPE, seed).model.get_weights() for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert not all((a == b).all() for a, b in zip(one, other, strict=True))


def test_training_learns(held):
    long = Recipe(TrainingConfig(batch_size=32, learning_rate=0.01), windows=CONFIG, epochs=15, keep_best=True)
    few = train.train(POINT, held, RECIPE, 1).validation_r2
    many = train.train(POINT, held, long, 1)
    assert many.validation_r2 > few + 0.3
    assert 1 <= many.best_epoch <= 15


def test_divergence_is_an_error(held):
    held.fit.targets[0, 0, 0] = np.nan
    wild = Recipe(TrainingConfig(batch_size=32), windows=CONFIG, epochs=2, keep_best=False)
    try:
        with pytest.raises(ArithmeticError, match="diverged"):
            train.train(POINT, held, wild, 1)
    finally:
        held.fit.targets[0, 0, 0] = 0.0


@pytest.mark.parametrize(("order", "seen"), [("newest_first", [3]), ("oldest_first", [0])])
def test_lead_one_sees_the_newest_week_and_in_the_order_of_sc20_only_the_oldest(held, order, seen):
    # step k of a recurrent network knows the first k weeks it reads, and lead k follows step k
    config = CONFIG.model_copy(update={"order": order})
    model = train.train(POINT, held, Recipe(RECIPE.settings, config, epochs=1, keep_best=False), 1).model
    before = train.predict(model, held.validate.inputs, config, 6.0)[:, 0]
    changed = []
    for week in range(4):
        values = held.validate.inputs.values.copy()
        values[:, week] += 1
        after = train.predict(model, dataclasses.replace(held.validate.inputs, values=values), config, 6.0)[:, 0]
        changed += [week] * bool(np.abs(after - before).max() > 1e-6)
    assert changed == seen


def test_saved_networks_forecast_the_same(held, tmp_path):
    model = train.train(POINT, held, RECIPE, 1).model
    store.save(tmp_path / "one.keras", model)
    again = store.load(tmp_path / "one.keras")
    inputs = held.validate.inputs
    np.testing.assert_array_equal(*(train.predict(network, inputs, CONFIG, 6.0) for network in (model, again)))


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

        return retraining.retrain(rows, data, RECIPE, 1, tmp_path, {"data": "hash", "code": "old"}, report), made

    with pytest.raises(KeyboardInterrupt):
        run(stop_after=1)
    first = (tmp_path / "member_00.keras").stat().st_mtime_ns
    catalogue, _ = run()
    assert (tmp_path / "member_00.keras").stat().st_mtime_ns == first
    assert [record["trial"] for record in catalogue] == [4, 2]
    assert [record["held_out_block"] for record in catalogue] == [0, 1]
    # edited code: nothing is kept
    retraining.retrain(rows[:1], data, RECIPE, 1, tmp_path, {"data": "hash", "code": "edited"}, lambda _: None)
    assert (tmp_path / "member_00.keras").stat().st_mtime_ns > first


def test_a_killed_worker_is_replaced_and_its_trial_made_again(held):
    recipe = Recipe(RECIPE.settings, CONFIG, epochs=1, keep_best=False)
    with KerasEvaluator(held, recipe, seed=0) as evaluator:
        before = evaluator(POINT, 1.0, 0)
        (worker,) = evaluator.pool._processes
        os.kill(worker, signal.SIGKILL)
        assert evaluator(POINT, 1.0, 0) == before


class DyingPool:
    def submit(self, *_: object) -> Future[float]:
        future: Future[float] = Future()
        future.set_exception(BrokenProcessPool())
        return future

    def shutdown(self, **_: object) -> None:
        pass


def test_a_trial_whose_workers_always_die_fails(held, monkeypatch):
    monkeypatch.setattr(evaluate, "_new_pool", DyingPool)
    with KerasEvaluator(held, RECIPE, seed=0) as evaluator, pytest.raises(RuntimeError, match="killed 2 times"):
        evaluator(POINT, 1.0, 0)


def test_seeds_of_networks_differ_and_fit_keras():
    seeds = {network_seed(seed, number) for seed in (0, 1, 4295, 20261121, 2**32 - 1) for number in range(100)}
    assert len(seeds) == 500
    assert max(seeds) < 2**32


def test_tensorflow_is_told_what_to_do_before_it_is_imported():
    code = "import podnas.networks.train, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
    assert "oneDNN" not in done.stderr
