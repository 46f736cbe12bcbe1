"""Gaussian heads: what outputs mean, the likelihood and its gradient in all engines, and what is learned."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from podnas import windows
from podnas.config import TrainingConfig
from podnas.networks import (
    build,
    corrections,
    engines,
    exact,
    heads,
    parameters,
    population,
    retrain,
    space,
    stacked,
    train,
)
from podnas.networks.evaluate import PopulationEvaluator
from podnas.networks.population import Arrays, Job, State
from podnas.networks.recipe import Recipe, network_seed
from podnas.search.protocol import Trial
from tests.populations import CHANNELS, MODES, STEPS, architecture, arrays, job
from tests.series import CONFIG, split

train.make_deterministic()
DATA = arrays()
HEAD = {"head": "gaussian", "output_scale": 3.0}
VARIANTS = [
    HEAD,
    {**HEAD, "nll_beta": 0.5},
    {**HEAD, "nll_beta": 1.0, "sigma_floor": 0.2, "lead_weights": (1.0, 2.0, 0.0, 1.0)},
]


def tensors(one: Job, vector: np.ndarray) -> list[np.ndarray]:
    return [array for _, some in parameters.split(one.layers(), vector) for array in some]


def test_outputs_by_hand():
    # scale 6, floor .01: mean 6 * .5; sigma softplus(6 * -.5) = log(1 + e^-3) = .04859
    mean, sigma = heads.gaussian(np.array([[[0.5, -0.5]]]), TrainingConfig(head="gaussian"))
    assert mean.item() == pytest.approx(3.0)
    assert sigma.item() == pytest.approx(0.04859 + 0.01, abs=1e-5)


def test_likelihood_is_that_of_the_normal_distribution():
    random, settings = np.random.default_rng(0), TrainingConfig(**HEAD)
    output, targets = random.uniform(-1, 1, size=(9, 4, 6)), random.normal(size=(9, 4, 3))
    mean, sigma = heads.gaussian(output, settings)
    weights = random.uniform(0, 2, size=(4, 3))
    expected = -(weights * norm.logpdf(3.0 * targets, mean, sigma)).mean()
    assert heads.nll(output, targets, settings, weights) == pytest.approx(expected)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_loss_and_gradient_are_those_of_the_keras_model(number, changes):
    one = job(architecture(number), arrays(windows=16), seed=number, epochs=1, **changes)
    model = build.export(one.member.point, one.state.parameters, STEPS, CHANNELS, 2 * MODES)
    layers = [model.get_layer(layer.name) for layer, _ in parameters.split(one.layers(), one.state.parameters)]
    variables = [variable for layer in layers for variable in layer.trainable_variables]
    rows, loss = one.batches(0)[0], train._Likelihood(one)
    with tf.GradientTape() as tape:
        value = loss(one.arrays.targets[rows], model(one.arrays.inputs[rows]))
    theirs = tape.gradient(value, variables)
    state = exact.advance([one])[0]
    assert state.losses[0] == pytest.approx(float(value), rel=1e-5)
    # after one step, Adam's first moment is a tenth of the gradient
    for ours, gradient in zip(tensors(one, state.first * 10), theirs, strict=True):
        assert np.abs(ours - gradient).max() <= 2e-5 * np.abs(gradient).max()


def test_without_beta_the_loss_is_the_likelihood_and_its_gradient_that_of_differences():
    one = job(space.stacked_lstm(16, 1), arrays(windows=16), epochs=1, **HEAD)
    gradient = exact.advance([one])[0].first.astype(float) * 10
    direction = gradient / np.linalg.norm(gradient)

    def loss(distance: float) -> float:
        moved = (one.state.parameters + distance * direction).astype(np.float32)
        there = dataclasses.replace(one, state=dataclasses.replace(one.state, parameters=moved))
        output = exact.forecast(there, one.arrays.inputs)
        return heads.nll(output, one.arrays.targets, one.member.settings, one.loss_weights())

    assert exact.advance([one])[0].losses[0] == pytest.approx(loss(0.0) - 0.5 * np.log(2 * np.pi), rel=1e-5)
    assert (loss(0.01) - loss(-0.01)) / 0.02 == pytest.approx(np.linalg.norm(gradient), rel=0.01)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_the_engines_agree(changes):
    jobs = [job(architecture(n), DATA, seed=n, epochs=3, keep_best=True, **changes) for n in range(3)]
    for one, ours, theirs in zip(jobs, exact.advance(jobs), stacked.advance(jobs), strict=True):
        np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-4)
        assert ours.held_nll == pytest.approx(theirs.held_nll, rel=1e-3)
        for a, b in zip(tensors(one, ours.parameters), tensors(one, theirs.parameters), strict=True):
            assert np.abs(a - b).max() < 2e-3 * np.abs(b).max()
    keras_state = train.advance(jobs[:1])[0]
    np.testing.assert_allclose(keras_state.losses, exact.advance(jobs[:1])[0].losses, rtol=1e-4)


def test_heads_and_none_are_trained_side_by_side():
    jobs = [job(architecture(1), DATA), job(architecture(1), DATA, **HEAD)]
    plain, head = stacked.advance(jobs)
    np.testing.assert_array_equal(plain.losses, stacked.advance(jobs[:1])[0].losses)
    assert np.isnan(plain.held_nll)
    assert np.isfinite(head.held_nll)


def test_two_epochs_and_two_more_are_four():
    one = job(architecture(1), DATA, epochs=4, keep_best=True, **HEAD)
    whole = exact.advance([one])[0]
    paused = exact.advance([dataclasses.replace(one, epochs=2)])[0]
    again = exact.advance([dataclasses.replace(one, state=paused)])[0]
    for field in dataclasses.fields(State):
        if field.name != "seconds":
            np.testing.assert_array_equal(getattr(whole, field.name), getattr(again, field.name), err_msg=field.name)


def noisy(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets whose mean and spread depend on the first input: mean .5 x, sigma .2 or .8 by the sign of the second."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((count, STEPS, CHANNELS)).astype(np.float32)
    sigma = np.where(inputs[..., 1] > 0, 0.8, 0.2)
    targets = 0.5 * inputs[..., 0] + sigma * random.standard_normal((count, STEPS))
    return inputs, (targets[..., None] / 3.0).astype(np.float32)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_a_network_learns_how_sure_it_can_be(beta):
    data = Arrays(*noisy(8000, 0), *noisy(500, 1))
    one = job(space.stacked_lstm(16, 1), data, epochs=15, learning_rate=0.005, batch_size=64, nll_beta=beta, **HEAD)
    state = exact.advance([one])[0]
    _, sigma = heads.gaussian(
        exact.forecast(dataclasses.replace(one, state=state), data.held_inputs), one.member.settings
    )
    wide = data.held_inputs[..., 1] > 0
    assert sigma[wide].mean() == pytest.approx(0.8, rel=0.15)
    assert sigma[~wide].mean() == pytest.approx(0.2, rel=0.3)
    # the best that can be said is the mean entropy of the two Gaussians, with one sigma for all that of their variance
    entropy = 0.5 * np.log(2 * np.pi * np.e)
    assert entropy + np.log([0.8, 0.2]).mean() - 0.05 < state.held_nll < entropy + 0.5 * np.log((0.64 + 0.04) / 2)


def test_the_best_epoch_has_the_least_likelihood_loss():
    one = job(architecture(2), DATA, epochs=8, keep_best=True, learning_rate=0.05, **HEAD)
    state = exact.advance([one])[0]
    assert state.best_loss == state.best_nll == state.validation_nll() == state.validation_loss()
    assert state.best_nll <= state.held_nll
    chosen = dataclasses.replace(state, parameters=state.chosen())
    output = exact.forecast(dataclasses.replace(one, state=chosen), DATA.held_inputs)
    found = heads.nll(output, DATA.held_targets, one.member.settings, one.loss_weights())
    assert state.best_nll == pytest.approx(found, rel=1e-6)


def test_without_a_head_a_search_lowers_one_less_r2():
    state = exact.advance([job(architecture(0), DATA)])[0]
    assert np.isnan(state.validation_nll())
    assert state.validation_loss() == 1 - state.validation_r2()


def held() -> windows.Fold:
    return windows.fold(windows.training(split()[0]), CONFIG, -1)


def test_a_search_is_told_the_likelihood_and_counts_the_parameters():
    recipe = Recipe(TrainingConfig(batch_size=32, head="gaussian"), CONFIG, 2, False)
    with PopulationEvaluator(held(), recipe, 0, engines.named("kernels"), workers=1) as evaluator:
        evaluator.submit(Trial(0, space.stacked_lstm(16, 1)))
        outcome = evaluator.finished()
    arrays_seen = population.arrays(held().scaled(held().fit.series), recipe)
    state = exact.advance([retrain.job(space.stacked_lstm(16, 1), network_seed(0, 0), arrays_seen, recipe)])[0]
    assert outcome.loss == pytest.approx(state.held_nll)
    assert outcome.measures["r2_mean"] == pytest.approx(state.held_r2)
    # LSTM 4 * 16 * (6 + 16 + 1), output 4 * 4 * (16 + 4 + 1): 2 modes, 4 channels of the season, 2 columns a mode
    assert outcome.measures["parameters"] == 4 * 16 * 23 + 4 * 4 * 21


@pytest.mark.parametrize("corrects", [None, "damped_persistence"])
def test_an_exported_network_gives_means_and_sigmas(corrects):
    data = windows.training(split()[0])
    recipe = Recipe(TrainingConfig(batch_size=32, head="gaussian", corrects=corrects), CONFIG, 2, False)
    seen = retrain.held_out(data, recipe, -1)
    one = retrain.job(space.stacked_lstm(16, 1), 3, seen, recipe)
    state = exact.advance([one])[0]
    network = retrain.model(one.member.point, state, data, recipe)
    correction = corrections.of_block(data, recipe, -1)
    validate = windows.fold(data, CONFIG, -1).validate.inputs
    mean, sigma = corrections.gaussian(network, validate, recipe, correction)
    expected, spread = heads.gaussian(
        exact.forecast(dataclasses.replace(one, state=state), seen.held_inputs), recipe.settings
    )
    if correction is not None:
        expected, spread = correction.add(expected, validate), spread * correction.scale
    np.testing.assert_allclose(mean, expected, atol=1e-4)
    np.testing.assert_allclose(sigma, spread, rtol=1e-4)
    np.testing.assert_allclose(corrections.predict(network, validate, recipe, correction), mean, atol=1e-6)
    assert (sigma > 0).all()
