"""The NumPy trainer: held to Keras on the same weights and batches, to finite differences, and to its seed."""

from __future__ import annotations

import numpy as np
import pytest

from podnas.config import MlpSpaceConfig, MlpTrainingConfig, RecipeConfig
from podnas.search import points
from podnas.tabular import network, space

FLOOR = 0.01
DEEP = {
    "node_1": "8_swish",
    "node_2": "identity",
    "node_3": "6_relu",
    "skip_1_0": 1,
    "skip_2_0": 1,
    "skip_2_1": 1,
    "skip_3_0": 1,
    "skip_3_2": 1,
}
POINTS = {
    "deep": DEEP,
    "plain": {"node_1": "5_tanh", "node_2": "5_sigmoid", "skip_2_1": 1},
    "linear": {"node_1": "identity"},
    "identity": {"node_1": "4_identity"},
}
SETTINGS = {
    "adam": MlpTrainingConfig(learning_rate=0.01, updates=20, clip_norm=None, decays=False),
    "all": MlpTrainingConfig(learning_rate=0.02, updates=20, weight_decay=0.1, nll_beta=0.5, clip_norm=1.0),
}


def batches(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows (count, 16, 3) and targets (count, 16)."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 16, 3)).astype(np.float32)
    noise = random.normal(size=(count, 16)).astype(np.float32)
    return features, np.sin(features[..., 0]) + features[..., 1] ** 2 + 0.3 * noise


def keras_model(layers: list[space.Layer], made: network.Network, parameters: np.ndarray):
    import keras

    values = {"input": keras.Input((layers[0].units,))}
    for layer in layers[1:]:
        before = [values[name] for name in layer.inputs]
        values[layer.name] = (
            keras.layers.Add()(before)
            if layer.kind == "sum"
            else keras.layers.Dense(layer.units, layer.activation.replace("identity", "linear"), name=layer.name)(
                *before
            )
        )
    model = keras.Model(values["input"], values["output"])
    for name, place in made.places.items():
        model.get_layer(name).set_weights([place.kernel(parameters)[0], place.bias(parameters)[0, 0]])
    return model


def keras_loss(beta: float):
    from keras import ops

    def loss(target, output):
        sigma = ops.softplus(output[:, 1]) + FLOOR
        terms = ops.log(sigma) + 0.5 * ((target[:, 0] - output[:, 0]) / sigma) ** 2
        import tensorflow as tf

        return ops.mean(tf.stop_gradient(sigma ** (2 * beta)) * terms)

    return loss


def keras_trained(layers, made, parameters, settings, features, target) -> np.ndarray:
    """What Keras predicts (rows, 2) after a step on each batch."""
    import keras

    model = keras_model(layers, made, parameters)
    shared = {"global_clipnorm": settings.clip_norm}
    optimizer = (
        keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, **shared)
        if settings.weight_decay
        else keras.optimizers.Adam(settings.learning_rate, **shared)
    )
    model.compile(optimizer, keras_loss(settings.nll_beta))
    rates = network.Adam(parameters, settings)
    for rows, wanted in zip(features, target, strict=True):
        optimizer.learning_rate.assign(rates.rate())
        rates.steps += 1
        model.train_on_batch(rows, wanted[:, None])
    return model.predict(features.reshape(-1, 3), verbose=0)


@pytest.mark.parametrize(("point", "settings"), [("deep", "all"), ("plain", "adam"), ("identity", "all")])
def test_training_agrees_with_keras(point, settings):
    chosen, layers = SETTINGS[settings], space.graph(POINTS[point], 3)
    made = network.Network(layers, FLOOR)
    parameters = made.initial(1, np.random.default_rng(1))
    features, target = batches(chosen.updates)
    theirs = keras_trained(layers, made, parameters, chosen, features, target)
    adam, gradient = network.Adam(parameters, chosen), np.empty_like(parameters)
    before = made.forecast(parameters, features.reshape(1, -1, 3))[0]
    for rows, wanted in zip(features, target, strict=True):
        made.gradient(parameters, rows[None], wanted[None], chosen.nll_beta, {}, gradient)
        adam.step(parameters, gradient)
    mean, sigma = made.forecast(parameters, features.reshape(1, -1, 3))
    assert np.abs(mean - before).max() > 0.05  # it has learnt something
    np.testing.assert_allclose(mean[0], theirs[:, 0], atol=1e-4)
    np.testing.assert_allclose(sigma[0], network.softplus(theirs[:, 1]) + FLOOR, atol=1e-4)


@pytest.mark.parametrize("point", POINTS)
def test_gradients_are_those_of_finite_differences(point):
    made = network.Network(space.graph(POINTS[point], 3), FLOOR)
    parameters = made.initial(2, np.random.default_rng(2)).astype(np.float64)
    features, target = (values.astype(np.float64) for values in batches(2))
    masks = {layer.name: np.ones((2, 16, layer.units)) for layer in made.layers if layer.hidden}
    for mask in masks.values():
        mask[:, ::3] = 0
    gradient = np.empty_like(parameters)
    made.gradient(parameters, features, target, 0.0, masks, gradient)

    def loss(place: int, step: float) -> np.ndarray:
        moved = parameters.copy()
        moved[:, place] += step
        return made.gradient(moved, features, target, 0.0, masks, np.empty_like(parameters))

    for place in np.linspace(0, made.count - 1, 12).astype(int):
        slope = (loss(place, 1e-5) - loss(place, -1e-5)) / 2e-5
        np.testing.assert_allclose(gradient[:, place], slope, rtol=1e-4, atol=1e-6)


def test_training_depends_on_the_seed_alone_and_lanes_differ():
    made = network.Network(space.graph(DEEP, 3), FLOOR)
    features, target = batches(2)
    settings = MlpTrainingConfig(updates=5, dropout=0.2, batch_size=8)
    trained = [network.train(made, settings, features, target, (seed,)) for seed in (1, 1, 2)]
    assert (trained[0] == trained[1]).all()
    assert not np.allclose(trained[0], trained[2])
    alike = network.train(made, settings, features[[0, 0]], target[[0, 0]], (1,))
    assert not np.allclose(alike[0], alike[1])


def test_a_network_learns_mean_and_spread():
    """y = x + e, e with deviation .2 left of 0 and .8 right of it."""
    random = np.random.default_rng(3)
    features = random.uniform(-1, 1, (1, 800, 1)).astype(np.float32)
    sigma = np.where(features[..., 0] < 0, 0.2, 0.8)
    target = (features[..., 0] + sigma * random.normal(size=(1, 800))).astype(np.float32)
    made = network.Network(space.graph({"node_1": "32_tanh"}, 1), FLOOR)
    parameters = network.train(made, MlpTrainingConfig(updates=500, learning_rate=0.01), features, target, (0,))
    mean, spread = made.forecast(parameters, np.array([[[-0.6], [0.6]]], np.float32))
    np.testing.assert_allclose(mean[0], [-0.6, 0.6], atol=0.2)
    np.testing.assert_allclose(spread[0], [0.2, 0.8], rtol=0.25)


def test_sigma_never_falls_below_the_floor_and_forecasts_come_in_chunks(monkeypatch):
    made = network.Network(space.graph(DEEP, 3), 0.05)
    parameters = made.initial(2, np.random.default_rng(0)) * 100
    features = np.repeat(batches(1)[0], 2, axis=0)
    mean, sigma = made.forecast(parameters, features)
    assert sigma.min() >= np.float32(0.05)
    monkeypatch.setattr(network, "CHUNK_ROWS", 5)
    np.testing.assert_allclose(made.forecast(parameters, features)[0], mean, rtol=1e-5)


def test_training_that_diverges_is_said():
    made = network.Network(space.graph({"node_1": "4_identity"}, 3), FLOOR)
    features, target = batches(1)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="training diverged"):
        network.train(made, MlpTrainingConfig(updates=30, clip_norm=None), features * 1e30, target, (0,))


def test_every_point_of_the_space_has_a_network():
    made = space.space(MlpSpaceConfig(layers=3, widths=(4, 8)))
    for number in range(30):
        point = points.sample(made, points.stream(0, number))
        layers = space.graph(point, 3)
        known: set[str] = set()
        for layer in layers:
            assert set(layer.inputs) <= known
            assert layer.name not in known
            known.add(layer.name)
        assert layers[-1].units == 2
        settings = space.settings(point)
        assert settings.batch_size == point["batch_size"]
        mean, sigma = network.Network(layers, FLOOR).forecast(
            network.Network(layers, FLOOR).initial(1, np.random.default_rng(0)), np.ones((1, 2, 3), np.float32)
        )
        assert mean.shape == sigma.shape == (1, 2)


def test_skips_from_layers_that_are_the_same_count_once():
    """Node 1 is an Identity without a skip: anchors 0 and 1 are both the input."""
    layers = space.graph({"node_1": "identity", "node_2": "4_relu", "skip_2_0": 1, "skip_2_1": 1}, 3)
    assert [layer.name for layer in layers] == ["input", "node_2", "project_2_input", "sum_2", "output"]


def test_the_recipe_is_fifty_relu_units_for_forty_epochs():
    layers, settings = space.recipe(RecipeConfig(), 13, 455)
    assert [(layer.units, layer.activation) for layer in layers[1:]] == [(50, "relu"), (2, "identity")]
    assert (settings.batch_size, settings.updates) == (100, 40 * 4)
