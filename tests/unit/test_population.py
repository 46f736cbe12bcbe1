"""The population trainer: members equal their stand-alone Keras models, pause exactly, fail alone, compile nothing."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from podnas import windows
from podnas.config import TrainingConfig
from podnas.networks import build, engines, exact, kernels, parameters, population, space, train
from podnas.networks.evaluate import PopulationEvaluator
from podnas.networks.lanes import Lanes
from podnas.networks.population import Job, State
from podnas.networks.recipe import Recipe
from podnas.search.protocol import Trial
from podnas.windows import Array
from tests.dying import DYING, POISON
from tests.populations import ALL_IDENTITY, CHANNELS, MODES, STEPS, architecture, arrays, job
from tests.series import CONFIG, split

train.make_deterministic()
EXACT = 1e-5  # of each tensor's largest magnitude
DATA = arrays()


def advance(one: Job) -> State:
    return exact.advance([one])[0]


def tensors(one: Job, vector: Array) -> list[Array]:
    return [array for _, arrays in parameters.split(one.layers(), vector) for array in arrays]


def assert_close(ours: Array, theirs: Array, what: str) -> None:
    assert np.abs(ours - theirs).max() <= EXACT * np.abs(theirs).max(), what


def keras_model(one: Job) -> keras.Model:
    steps, channels, modes = *one.arrays.inputs.shape[1:], one.arrays.targets.shape[2]
    return build.export(one.member.point, one.state.parameters, steps, channels, modes)


def keras_gradient(one: Job) -> tuple[list[Array], float]:
    """Gradient of the loss on the first batch, by layer in the order of the parameters."""
    model, rows = keras_model(one), one.batches(0)[0]
    layers = [model.get_layer(layer.name) for layer, _ in parameters.split(one.layers(), one.state.parameters)]
    variables = [variable for layer in layers for variable in layer.trainable_variables]
    with tf.GradientTape() as tape:
        error = model(one.arrays.inputs[rows]) - one.arrays.targets[rows]
        loss = tf.reduce_mean(one.loss_weights() * error**2)
    return [np.asarray(gradient) for gradient in tape.gradient(loss, variables)], float(loss)


CASES = [*map(architecture, range(10)), ALL_IDENTITY, space.stacked_lstm(40, 2), space.stacked_lstm(7, 1)]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_outputs_and_gradients_are_those_of_the_keras_model(number):
    weights = (1.0, 2.0, 0.0, 1.0) if number % 2 else None
    one = job(CASES[number], arrays(windows=16), seed=number, epochs=1, lead_weights=weights)
    assert_close(exact.forecast(one, DATA.inputs), np.asarray(keras_model(one)(DATA.inputs)), "outputs")
    gradients, loss = keras_gradient(one)
    state = advance(one)
    assert state.losses[0] == pytest.approx(loss, rel=1e-5)
    # after one step, Adam's first moment is a tenth of the gradient
    for ours, theirs in zip(tensors(one, state.first * 10), gradients, strict=True):
        assert_close(ours, theirs, str(theirs.shape))


def test_several_tiles_and_the_widest_layers_have_the_gradient_of_keras():
    # 64 windows are two tiles or more; 72 units leave a rest of four after whole tiles of eight
    random = np.random.default_rng(5)
    draw = [random.standard_normal((64, 8, width)).astype(np.float32) for width in (13, 5)]
    data = population.Arrays(*draw, *draw)
    point = {"node_1": "96", "node_2": "96", "node_3": "20", "skip_1_0": 1, "skip_2_1": 1, "skip_3_1": 1}
    one = job(point, data, epochs=1, batch_size=64)
    for ours, theirs in zip(tensors(one, advance(one).first * 10), keras_gradient(one)[0], strict=True):
        assert_close(ours, theirs, str(theirs.shape))


nodes = st.sampled_from([space.IDENTITY, "4", "8", *map(str, space.WIDTHS[:4])])
some_points = st.builds(
    lambda widths, chosen: {
        **{f"node_{node}": width for node, width in enumerate(widths, start=1)},
        **{f"skip_{node}_{anchor}": flag for (node, anchor), flag in zip(space.skips(), chosen, strict=True)},
    },
    st.lists(nodes, min_size=5, max_size=5),
    st.lists(st.integers(0, 1), min_size=len(space.skips()), max_size=len(space.skips())),
)


@given(some_points, st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_any_point_of_the_space_has_the_outputs_and_gradients_of_its_keras_model(point, seed):
    one = job(point, arrays(windows=16), seed=seed, epochs=1)
    assert_close(exact.forecast(one, DATA.inputs), np.asarray(keras_model(one)(DATA.inputs)), "outputs")
    for ours, theirs in zip(tensors(one, advance(one).first * 10), keras_gradient(one)[0], strict=True):
        assert_close(ours, theirs, str(theirs.shape))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_decay": 0.3, "learning_rate": 0.02},
        {"clip_norm": 0.02},
        {"lead_weights": (4.0, 1.0, 1.0, 0.0), "weight_decay": 0.1, "clip_norm": 0.05},
    ],
    ids=str,
)
def test_optimiser_steps_are_those_of_keras(changes):
    one = job(architecture(3), DATA, seed=4, epochs=3, keep_best=True, **changes)
    ours, theirs = advance(one), train.advance([one])[0]
    assert ours.steps == theirs.steps == 9
    for a, b in zip(tensors(one, ours.parameters), tensors(one, theirs.parameters), strict=True):
        # Adam divides by gradients near zero, which magnifies rounding
        assert np.abs(a - b).max() < 1e-3 * np.abs(b).max()
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-5)
    assert ours.best_epoch == theirs.best_epoch
    assert ours.validation_r2() == pytest.approx(theirs.validation_r2(), abs=1e-4)


def test_both_engines_keep_the_best_epoch_and_pause_exactly():
    one = job(architecture(1), DATA, epochs=6, keep_best=True, learning_rate=0.05)
    half = dataclasses.replace(one, epochs=2)
    for engine in (exact, train):
        whole = engine.advance([one])[0]
        paused = engine.advance([half])[0]
        again = engine.advance([dataclasses.replace(one, state=paused)])[0]
        np.testing.assert_array_equal(whole.parameters, again.parameters)
        np.testing.assert_array_equal(whole.chosen(), again.chosen())
        assert (whole.losses, whole.best_epoch, whole.steps) == (again.losses, again.best_epoch, again.steps)
        assert whole.best_epoch < 6
        assert not np.array_equal(whole.chosen(), whole.parameters)


def test_members_have_different_budgets():
    jobs = [job(architecture(number), DATA, seed=number, epochs=number) for number in range(4)]
    assert [state.epochs for state in exact.advance(jobs)] == [0, 1, 2, 3]
    assert [len(state.losses) for state in exact.advance(jobs)] == [0, 1, 2, 3]


def test_initial_weights_are_distributed_as_those_of_keras():
    point = space.stacked_lstm(64, 1)
    ours = parameters.initial(space.graph(point, 32, MODES), seed=1)
    (kernel, recurrent, bias), *_ = [arrays for _, arrays in parameters.split(space.graph(point, 32, MODES), ours)]
    layer = keras.layers.LSTM(64)
    layer.build((None, STEPS, 32))
    theirs = layer.get_weights()
    np.testing.assert_array_equal(bias, theirs[2])
    for initial in (kernel, theirs[0]):
        # Glorot: uniform within sqrt(6 / (32 + 256)) = 0.1443, so of standard deviation 0.0833
        assert np.abs(initial).max() <= np.sqrt(6 / 288)
        assert initial.std() == pytest.approx(0.0833, rel=0.03)
    for initial in (recurrent, theirs[1]):
        np.testing.assert_allclose(initial @ initial.T, np.eye(64), atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"dropout": 0.4}, {"input_noise": 0.5}, {"dropout": 0.2, "input_noise": 0.2}], ids=str
)
def test_dropout_and_noise_have_the_gradient_of_the_loss_they_make(changes):
    # central difference along the gradient: (f(x + e d) - f(x - e d)) / 2e = |g| where d = g / |g|; a chosen
    # architecture, since with many merges kinks of their ReLU lie in between
    widths = ("identity", "16", "96", "80", "64")
    point = {f"node_{node}": width for node, width in enumerate(widths, 1)} | {"skip_2_0": 1, "skip_2_1": 1}
    one = job(point, arrays(windows=16), epochs=1, **changes)
    gradient = advance(one).first.astype(float) * 10
    direction = gradient / np.linalg.norm(gradient)

    def loss(distance: float) -> float:
        moved = (one.state.parameters + distance * direction).astype(np.float32)
        return advance(dataclasses.replace(one, state=dataclasses.replace(one.state, parameters=moved))).losses[0]

    assert loss(0.0) != loss_without(one)
    assert (loss(0.02) - loss(-0.02)) / 0.04 == pytest.approx(np.linalg.norm(gradient), rel=0.01)


def loss_without(one: Job) -> float:
    calm = one.member.settings.model_copy(update={"dropout": 0.0, "input_noise": 0.0})
    return advance(dataclasses.replace(one, member=dataclasses.replace(one.member, settings=calm))).losses[0]


def test_random_numbers_of_the_kernels_are_uniform_and_unrelated():
    drawn = np.array([[kernels.uniform(np.uint32(key), index) for index in range(2000)] for key in range(5)])
    assert ((drawn > 0) & (drawn < 1)).all()
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.var() == pytest.approx(1 / 12, abs=0.003)
    assert np.abs(np.corrcoef(drawn) - np.eye(5)).max() < 0.08
    assert abs(np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]) < 0.03


def test_dropout_is_off_when_forecasting():
    one = job(architecture(2), DATA, dropout=0.5)
    assert_close(exact.forecast(one, DATA.inputs), np.asarray(keras_model(one)(DATA.inputs)), "outputs")


def test_an_exported_member_is_an_ordinary_network(tmp_path):
    one = job(architecture(5), DATA, epochs=2, dropout=0.3, input_noise=0.1)
    state = advance(one)
    model = build.export(one.member.point, state.parameters, STEPS, CHANNELS, MODES)
    model.save(tmp_path / "member.keras")
    again = keras.saving.load_model(tmp_path / "member.keras", safe_mode=True)
    kinds = {type(layer).__name__ for layer in again.layers}
    assert kinds <= {"InputLayer", "LSTM", "Dense", "Add", "ReLU"}
    ours = exact.forecast(dataclasses.replace(one, state=state), DATA.inputs)
    assert_close(ours, np.asarray(again(DATA.inputs)), "outputs")


def test_a_diverging_member_is_reported_and_touches_no_other():
    calm, wild = job(architecture(1), DATA), job(architecture(1), DATA)
    blown = np.full_like(wild.state.parameters, np.float32(3e38))
    wild = dataclasses.replace(wild, state=dataclasses.replace(wild.state, parameters=blown))
    states = exact.advance([wild, calm])
    assert states[0].error == "training diverged in epoch 1 (learning rate 0.003)"
    np.testing.assert_array_equal(states[1].parameters, advance(calm).parameters)
    with Lanes(engines.named("kernels"), workers=2) as lanes:
        lanes.submit("wild", wild)
        lanes.submit("calm", calm)
        done = {one.key: one.state for one in (lanes.finished(), lanes.finished())}
    assert done["wild"].error is not None
    np.testing.assert_array_equal(done["calm"].parameters, states[1].parameters)


def test_a_population_of_none_and_of_one():
    assert exact.advance([]) == []
    one = job(ALL_IDENTITY, DATA)
    with Lanes(engines.named("kernels"), workers=2) as lanes:
        lanes.submit(0, one)
        np.testing.assert_array_equal(lanes.finished().state.parameters, advance(one).parameters)
        with pytest.raises(LookupError, match="no job is under way"):
            lanes.finished()


def test_a_member_that_diverges_later_is_as_it_came():
    whole = job(architecture(1), DATA, epochs=5, learning_rate=1.0, weight_decay=1.0, keep_best=True)
    paused = advance(dataclasses.replace(whole, epochs=2))
    # from the third epoch on its second moments are not finite
    ill = dataclasses.replace(paused, second=np.full_like(paused.second, np.nan))
    after = advance(dataclasses.replace(whole, state=ill))
    assert after.error == "training diverged in epoch 3 (learning rate 1.0)"
    assert (after.epochs, after.losses) == (2, paused.losses)
    np.testing.assert_array_equal(after.parameters, paused.parameters)


def test_what_is_not_finite_stays_so():
    one = job(architecture(1), DATA)
    holed = DATA.inputs.copy()
    holed[3, 2, 1] = np.nan
    forecast = exact.forecast(one, holed)
    assert np.isnan(forecast[3]).any()
    assert np.isfinite(np.delete(forecast, 3, axis=0)).all()


def test_weights_of_leads_must_be_as_many_as_leads():
    with pytest.raises(ValueError, match="lead_weights has 2 weights for 4 leads"):
        advance(job(architecture(1), DATA, lead_weights=(1.0, 2.0)))


def test_a_folder_where_nothing_can_be_kept_is_named():
    code = "import podnas.networks.vectors"
    environment = {**os.environ, "NUMBA_CACHE_DIR": "/proc/none"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "ValueError: /proc/none/kernels" in done.stderr
    assert "set NUMBA_CACHE_DIR to a folder" in done.stderr


@pytest.mark.parametrize("count", [1, 5, 15])
def test_fewer_windows_than_a_batch_are_one_batch(count):
    one = job(architecture(0), arrays(windows=count), epochs=1)
    assert one.batches(0).shape == (1, count)
    state = advance(one)
    for ours, theirs in zip(tensors(one, state.first * 10), keras_gradient(one)[0], strict=True):
        assert_close(ours, theirs, str(theirs.shape))


def test_a_ragged_last_batch_is_dropped_and_is_another_each_epoch():
    one = job(architecture(0), arrays(windows=50))
    first, second = one.batches(0), one.batches(1)
    assert first.shape == second.shape == (3, 16)
    assert len(set(first.ravel())) == 48
    assert set(first.ravel()) != set(second.ravel())


def test_windows_that_are_not_finite_are_named():
    data = windows.training(split()[0])
    held = windows.fold(data, CONFIG, -1)
    held.fit.targets[7, 0, 0] = np.nan
    recipe = Recipe(TrainingConfig(batch_size=32), CONFIG, 1, False)
    with pytest.raises(ValueError, match=r"1 of \d+ windows \(targets\) hold values that are not finite, .* window 7"):
        population.arrays(held, recipe)


def test_a_layer_that_does_not_fit_in_memory_fails_its_trial_only():
    held = windows.fold(windows.training(split()[0]), CONFIG, -1)
    recipe = Recipe(TrainingConfig(batch_size=32), CONFIG, 1, False)
    with PopulationEvaluator(held, recipe, 0, engines.named("kernels"), workers=1) as evaluator:
        evaluator.submit(Trial(0, {"node_1": "400000"}))
        evaluator.submit(Trial(1, {"node_1": "16"}))
        outcomes = {outcome.trial.number: outcome for outcome in (evaluator.finished(), evaluator.finished())}
    assert "MemoryError: an architecture whose widest layer has 400000 units" in outcomes[0].error
    assert "narrower layers" in outcomes[0].error
    assert outcomes[1].error is None


def test_nothing_is_compiled_for_another_architecture_batch_or_number_of_windows():
    advance(job(architecture(0), DATA))
    before = [len(function.signatures) for function in (kernels.train_epoch, kernels.predict)]
    for number in range(6):
        advance(job(architecture(number), arrays(windows=20 + 7 * number), batch_size=10 + number, dropout=0.1))
    after = [len(function.signatures) for function in (kernels.train_epoch, kernels.predict)]
    assert after == before == [1, 1]


def test_what_is_compiled_is_found_again_by_another_process(tmp_path):
    code = (
        "from tests.populations import *; from podnas.networks import exact, kernels;"
        "exact.advance([job(architecture(0), arrays())]);"
        "stats = kernels.train_epoch.stats;"
        "print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said == ["0 1\n", "1 0\n"]


def test_processors_with_shorter_registers_give_the_same(tmp_path):
    code = (
        "import sys; import numpy as np; from tests.populations import *; from podnas.networks import exact, vectors;"
        "assert vectors.LANES == 8;"
        "np.save(sys.argv[1], exact.advance([job(architecture(3), arrays(), epochs=1)])[0].first)"
    )
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma",
    }
    subprocess.run([sys.executable, "-c", code, tmp_path / "first.npy"], env=environment, check=True)
    one = job(architecture(3), DATA, epochs=1)
    for theirs, ours in zip(
        tensors(one, np.load(tmp_path / "first.npy")), tensors(one, advance(one).first), strict=True
    ):
        assert np.abs(theirs - ours).max() < 1e-4 * np.abs(ours).max()


def test_memory_does_not_grow_with_the_architectures_trained():
    small = arrays(windows=16)

    def train_some(first: int, count: int) -> int:
        for number in range(first, first + count):
            advance(job(architecture(number), small, epochs=1))
        return psutil.Process().memory_info().rss

    before = train_some(0, 100)
    # 2,000 may grow it by 100 MB (benchmarks/population.py): 300 by 15
    assert train_some(100, 300) - before < 15e6


def losses(engine: engines.Engine, workers: int, trials: range) -> list[float | None]:
    held = windows.fold(windows.training(split()[0]), CONFIG, -1)
    recipe = Recipe(TrainingConfig(batch_size=32), CONFIG, 1, False)
    with PopulationEvaluator(held, recipe, 5, engine, workers) as evaluator:
        for number in trials:
            evaluator.submit(Trial(number, architecture(number), share=0.5))
        done = [evaluator.finished() for _ in trials]
    assert [outcome.error for outcome in done] == [None] * len(done)
    return [outcome.loss for outcome in sorted(done, key=lambda outcome: outcome.trial.number)]


def test_losses_do_not_depend_on_the_number_of_workers_nor_much_on_the_engine():
    one, two = (losses(engines.named("kernels"), workers, range(6)) for workers in (1, 2))
    assert one == two
    np.testing.assert_allclose(losses(engines.named("keras"), 1, range(2)), one[:2], atol=1e-4)


def test_a_killed_worker_is_replaced_and_its_trial_made_again():
    expected = losses(engines.named("kernels"), 1, range(1))[0]
    held = windows.fold(windows.training(split()[0]), CONFIG, -1)
    recipe = Recipe(TrainingConfig(batch_size=32), CONFIG, 1, False)
    with PopulationEvaluator(held, recipe, 5, engines.named("keras"), workers=1) as evaluator:
        evaluator.submit(Trial(0, architecture(0), share=0.5))
        while not (workers := list(evaluator.lanes.pool._processes)):
            time.sleep(0.01)
        os.kill(workers[0], signal.SIGKILL)
        assert evaluator.finished().loss == pytest.approx(expected, abs=1e-4)


def test_a_member_that_kills_its_workers_fails_alone():
    # os._exit in place of training: the pool breaks as when the system kills a worker
    jobs = [job(architecture(number), DATA, epochs=1) for number in range(4)]
    poison = dataclasses.replace(jobs[1], member=dataclasses.replace(jobs[1].member, point=POISON))
    with Lanes(DYING, workers=2) as lanes:
        for number, one in enumerate([jobs[0], poison, *jobs[2:]]):
            lanes.submit(number, one)
        states = {done.key: done.state for done in (lanes.finished() for _ in jobs)}
    assert "killed 2 times" in states[1].error
    assert [states[number].error for number in (0, 2, 3)] == [None] * 3


def test_workers_are_replaced_and_jobs_that_wait_go_on(monkeypatch):
    monkeypatch.setattr(engines, "JOBS_PER_PROCESS", 2)
    with Lanes(DYING, workers=2) as lanes:
        for number in range(11):
            lanes.submit(number, job(architecture(number), DATA, epochs=0))
        assert {lanes.finished().key for _ in range(11)} == set(range(11))


def test_members_of_one_architecture_differ_by_their_seeds():
    jobs = [job(architecture(0), DATA, seed=seed) for seed in range(3)]
    states = exact.advance(jobs)
    assert len({state.held_r2 for state in states}) == 3


def test_it_runs_on_tensorflow_alone(tmp_path):
    script = tmp_path / "alone.py"
    script.write_text(
        "import sys\n"
        "sys.modules['numba'] = sys.modules['jax'] = None\n"
        "from podnas.networks import engines\n"
        "from podnas.networks.lanes import Lanes\n"
        "from tests.populations import architecture, arrays, job\n"
        "if __name__ == '__main__':\n"
        "    jobs = [job(architecture(0), arrays())]\n"
        "    engine = engines.choose(jobs[0].member.settings, 1, lambda: jobs)\n"
        "    with Lanes(engine, 1) as lanes:\n"
        "        lanes.submit(0, jobs[0])\n"
        "        print(engine.name, lanes.finished().state.held_r2)\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=True,
    )
    name, r2 = done.stdout.split()
    assert name == "keras"
    assert float(r2) == pytest.approx(advance(job(architecture(0), DATA)).held_r2, abs=1e-4)


def test_an_engine_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"training\.engine is stacked, but jax is not installed; install it, or set"):
        engines.choose(TrainingConfig(engine="stacked"), 2, list)


def test_where_there_is_a_choice_the_cheapest_by_measurement_is_taken(monkeypatch):
    cost = {"kernels": 2.0, "stacked": 1.0}
    monkeypatch.setattr(engines, "_accelerator", lambda: True)
    monkeypatch.setattr(engines, "epoch_seconds", lambda engine, *_: cost[engine.name])
    assert engines.choose(TrainingConfig(), 2, list).name == "stacked"
    cost["stacked"] = 3.0
    assert engines.choose(TrainingConfig(), 2, list).name == "kernels"
    monkeypatch.setattr(engines, "_accelerator", lambda: False)
    assert engines.choose(TrainingConfig(), 2, list).name == "kernels"


def test_engines_are_measured_on_the_probe_and_the_workers_count():
    jobs = [job(architecture(0), DATA, epochs=1)]
    monkeypatched = engines.advance

    def advance(engine, given):
        assert given == jobs
        return monkeypatched(engine, given)[0], 3.0

    engines.advance = advance
    try:
        assert engines.epoch_seconds(engines.named("kernels"), 2, jobs) == 1.5
    finally:
        engines.advance = monkeypatched
