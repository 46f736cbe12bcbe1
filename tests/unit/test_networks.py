"""Networks: what is built, that training is deterministic, learns, saves and resumes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from podnas import artifacts, windows
from podnas.config import TrainingConfig
from podnas.networks import checkpoint, exact, population, space, store, train
from podnas.networks import retrain as retraining
from podnas.networks.build import build, export, predict
from podnas.networks.engines import named
from podnas.networks.population import Member
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


def fit(held: windows.Fold, recipe: Recipe, seed: int) -> population.State:
    data = population.arrays(held, recipe)
    return exact.advance([population.job(Member(POINT, seed, recipe.settings), data, recipe)])[0]


def trained(held: windows.Fold, recipe: Recipe, seed: int) -> keras.Model:
    return export(POINT, fit(held, recipe, seed).chosen(), 4, 6, 2)


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
    quick = Recipe(TrainingConfig(batch_size=32, learning_rate=0.02), windows=CONFIG, epochs=15, keep_best=False)
    high = dataclasses.replace(held.fit, targets=np.full_like(held.fit.targets, 3.0))
    network = trained(dataclasses.replace(held, fit=high), quick, 1)
    assert predict(network, held.fit.inputs, CONFIG, 6.0).mean() == pytest.approx(3.0, abs=0.3)


def test_equal_seeds_give_equal_weights_and_others_do_not(held):
    one, two, other = (fit(held, RECIPE, seed).parameters for seed in (1, 1, 2))
    assert (one == two).all()
    assert not (one == other).any()


def test_training_learns(held):
    long = Recipe(TrainingConfig(batch_size=32, learning_rate=0.01), windows=CONFIG, epochs=15, keep_best=True)
    few = fit(held, RECIPE, 1).validation_r2()
    many = fit(held, long, 1)
    assert many.validation_r2() > few + 0.3
    assert 1 <= many.best_epoch <= 15


@pytest.mark.parametrize(("order", "seen"), [("newest_first", [3]), ("oldest_first", [0])])
def test_lead_one_sees_the_newest_week_and_in_the_order_of_sc20_only_the_oldest(held, order, seen):
    # step k of a recurrent network knows the first k weeks it reads, and lead k follows step k
    config = CONFIG.model_copy(update={"order": order})
    model = trained(held, Recipe(RECIPE.settings, config, epochs=1, keep_best=False), 1)
    before = predict(model, held.validate.inputs, config, 6.0)[:, 0]
    changed = []
    for week in range(4):
        values = held.validate.inputs.values.copy()
        values[:, week] += 1
        after = predict(model, dataclasses.replace(held.validate.inputs, values=values), config, 6.0)[:, 0]
        changed += [week] * bool(np.abs(after - before).max() > 1e-6)
    assert changed == seen


def test_saved_networks_forecast_the_same(held, tmp_path):
    model = trained(held, RECIPE, 1)
    store.save(tmp_path / "one.keras", model)
    again = store.load(tmp_path / "one.keras")
    inputs = held.validate.inputs
    np.testing.assert_array_equal(*(predict(network, inputs, CONFIG, 6.0) for network in (model, again)))


def test_damaged_and_missing_networks_are_named(tmp_path):
    with pytest.raises(artifacts.ArtifactError, match=r"gone\.keras does not exist"):
        store.load(tmp_path / "gone.keras")
    (tmp_path / "half.keras").write_bytes(b"PK\x03\x04 half a zip")
    with pytest.raises(artifacts.ArtifactError, match=r"half\.keras cannot be read"):
        store.load(tmp_path / "half.keras")


ROWS = [{"trial": 4, "point": POINT}, {"trial": 2, "point": {"node_1": "16"}}]


def retrain(data, folder, code="old", report=lambda _: None, rows=ROWS, recipe=RECIPE):
    identity = {"data": "hash", "code": code}
    return retraining.retrain(rows, data, recipe, 1, folder, identity, report, named("kernels"), workers=1)


def test_retraining_keeps_what_a_killed_run_finished(data, tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retrain(data, tmp_path, report=stop)
    first = (tmp_path / "member_00.keras").stat().st_mtime_ns
    catalogue = retrain(data, tmp_path)
    assert (tmp_path / "member_00.keras").stat().st_mtime_ns == first
    assert [record["trial"] for record in catalogue] == [4, 2]
    assert [record["held_out_block"] for record in catalogue] == [0, 1]
    # edited code: nothing is kept
    retrain(data, tmp_path, code="edited", rows=ROWS[:1])
    assert (tmp_path / "member_00.keras").stat().st_mtime_ns > first


def test_retraining_goes_on_from_the_checkpoint_of_a_killed_run(data, tmp_path, monkeypatch):
    long = dataclasses.replace(RECIPE, epochs=5)
    whole = retrain(data, tmp_path / "whole", recipe=long)
    monkeypatch.setattr(retraining, "CHECKPOINT_EPOCHS", 2)
    epochs_made = []

    def advance(jobs, until=99):
        epochs_made.extend((job.state.epochs, job.epochs) for job in jobs)
        if len(epochs_made) > until:
            raise KeyboardInterrupt
        return exact_advance(jobs)

    exact_advance = exact.advance
    monkeypatch.setattr(exact, "advance", lambda jobs: advance(jobs, until=3))
    with pytest.raises(KeyboardInterrupt):
        retrain(data, tmp_path / "killed", recipe=long)
    assert (tmp_path / "killed" / "member_00.npz").exists()
    epochs_made.clear()
    monkeypatch.setattr(exact, "advance", advance)
    resumed = retrain(data, tmp_path / "killed", recipe=long)
    assert (2, 4) in epochs_made
    assert (0, 2) not in epochs_made[:1]
    changing = {"training_seconds", "milliseconds_per_forecast"}
    assert [{k: v for k, v in one.items() if k not in changing} for one in resumed] == [
        {k: v for k, v in one.items() if k not in changing} for one in whole
    ]
    weights = [store.load(tmp_path / name / "member_00.keras").get_weights() for name in ("whole", "killed")]
    assert all((a == b).all() for a, b in zip(*weights, strict=True))
    assert not list(tmp_path.glob("*/*.npz"))


def test_checkpoints_hold_everything_and_damaged_ones_are_named(held, tmp_path):
    state = fit(held, RECIPE, 3)
    checkpoint.save(tmp_path / "member.npz", {"seed": 3}, state)
    record, again = checkpoint.load(tmp_path / "member.npz")
    assert record == {"seed": 3}
    for field in dataclasses.fields(state):
        np.testing.assert_array_equal(getattr(state, field.name), getattr(again, field.name), err_msg=field.name)
    whole = (tmp_path / "member.npz").read_bytes()
    (tmp_path / "member.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(artifacts.ArtifactError, match=r"member\.npz cannot be read .* delete it"):
        checkpoint.load(tmp_path / "member.npz")


def test_a_diverging_member_of_an_ensemble_is_an_error(data, tmp_path):
    wild = dataclasses.replace(RECIPE, settings=TrainingConfig(batch_size=32, weight_decay=1.0, learning_rate=1.0))
    blown = dataclasses.replace(data, targets=data.targets * 1e38)
    with pytest.raises(ArithmeticError, match=r"training diverged in epoch 1 \(learning rate 1\.0\)"):
        retrain(blown, tmp_path, recipe=wild)


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
