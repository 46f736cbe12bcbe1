"""Autoregressions: planted coefficients are found, those that vary with the season too; logistic damped persistence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from podnas import windows
from podnas.baselines import methods
from podnas.baselines.climatology import Climatology
from podnas.baselines.logistic import Logistic
from podnas.config import OF_AN_INDEX, BaselinesConfig, ProtocolConfig, WindowsConfig
from podnas.data import nino
from podnas.windows import Training
from tests import index

WINDOW = WindowsConfig(inputs=3, outputs=3, validation_blocks=3)
BASELINES = BaselinesConfig(climatology_harmonics=1)


def training(weeks: int = 900, seed: int = 0) -> Training:
    series = nino.series(index.table(weeks, seed), "made up")
    days = series.time.values.astype("datetime64[D]").astype(str)
    ends = {"train_first": days[0], "train_last": days[-31], "test_first": days[-30], "test_last": days[-1]}
    protocol = ProtocolConfig.model_validate({"name": "made_up", **ends})
    return windows.training(windows.split(series, protocol, WINDOW)[0])


def rmse(name: str, fitted: Training, others: Training) -> np.ndarray:
    made = methods.build(name, BASELINES, WINDOW).fit(fitted).predict(others.inputs)
    assert made.shape == others.targets.shape
    return np.sqrt(((made - others.targets) ** 2).mean(axis=(0, 2)))


def test_an_autoregression_finds_the_planted_memory():
    random = np.random.default_rng(1)
    data = training()
    climatology = Climatology(1).fit(data)
    anomalies = random.normal(size=data.inputs.values.shape)
    planted = 0.6 * anomalies[:, -1] - 0.3 * anomalies[:, -2]
    exact = replace(
        data,
        inputs=replace(data.inputs, values=anomalies + climatology.at(data.inputs.centres)),
        targets=planted[:, None] + climatology.predict(data.inputs),
    )
    made = methods.build("autoregression", BASELINES, WINDOW).fit(exact)
    assert np.allclose(made.weights[:, 0, 0], [0, -0.3, 0.6], atol=1e-9)
    assert np.allclose(made.predict(exact.inputs), exact.targets)


def test_each_is_better_than_what_it_generalises():
    fitted, others = training(2500, seed=0), training(2500, seed=5)
    found = {name: rmse(name, fitted, others) for name in ("persistence", "damped_persistence", *OF_AN_INDEX)}
    assert (found["damped_persistence"] < found["anomaly_persistence"]).all()
    # memory follows the season here
    assert (found["seasonal_autoregression"] < found["autoregression"]).all()
    assert (found["anomaly_persistence"] < found["persistence"]).all()


def test_anomaly_persistence_is_exact():
    data = training()
    made = methods.build("anomaly_persistence", BASELINES, WINDOW).fit(data)
    climatology = Climatology(1).fit(data)
    last = data.inputs.values[:, -1] - climatology.at(data.inputs.centres[:, -1])
    assert np.allclose(made.predict(data.inputs)[:, 2], climatology.predict(data.inputs)[:, 2] + last)


def test_logistic_chances_rise_with_the_anomaly_and_match_the_base_rate():
    data = training()
    outcome = (data.targets[..., 0] > 0.5).astype(int)
    made = Logistic(Climatology(1)).fit(data, outcome)
    chance = made.predict(data.inputs)
    assert np.allclose(chance.mean(axis=0), outcome.mean(axis=0), atol=1e-3)
    last = data.inputs.values[:, -1, 0] - Climatology(1).fit(data).at(data.inputs.centres[:, -1])[:, 0]
    assert (np.diff(chance[np.argsort(last)], axis=0) >= 0).all()


def test_one_class_is_refused():
    data = training()
    outcome = np.ones((len(data.inputs), 3), dtype=int)
    outcome[:5, :2] = 0
    with pytest.raises(ValueError, match="outcomes at lead 3 are 1"):
        Logistic(Climatology(1)).fit(data, outcome)
