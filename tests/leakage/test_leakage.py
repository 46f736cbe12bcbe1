"""Changing the test years changes no fitted artifact and no chosen configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from podnas import windows
from podnas.baselines import methods
from podnas.config import BASELINES, BaselinesConfig, PodConfig, SearchConfig, TrainingConfig
from podnas.ensemble import select
from podnas.networks import train
from podnas.networks.recipe import Recipe
from podnas.networks.space import architecture_space
from podnas.reduction import pod
from podnas.search import build, driver, log
from podnas.search.protocol import Trial
from tests.series import CONFIG, PROTOCOL, coefficients
from tests.unit.test_pod import field


def poison(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, 1e6)


def permute(values: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(values)


def shift(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 26, axis=0) + 3


HARMS = pytest.mark.parametrize("harm", [poison, permute, shift])


def harmed(series: xr.Dataset, harm) -> xr.Dataset:
    changed = series.copy(deep=True)
    test = changed.time.values > np.datetime64(PROTOCOL.train_last)
    changed.coefficient.values[test] = harm(changed.coefficient.values[test])
    return changed


def training(series: xr.Dataset) -> xr.Dataset:
    return windows.split(series, PROTOCOL, CONFIG)[0]


@HARMS
def test_training_windows_and_scaler_do_not_change(harm):
    xr.testing.assert_identical(training(coefficients()), training(harmed(coefficients(), harm)))


@HARMS
def test_the_basis_does_not_change(harm):
    values = np.random.default_rng(1).normal(size=(60, 3, 4))
    config = PodConfig(modes=3, weights="area", train_last="2000-08-06")
    clean, changed = field(values), field(values)
    test = changed.time.values > np.datetime64("2000-08-06")
    changed.sst.values[test] = harm(changed.sst.values[test])
    xr.testing.assert_identical(pod.fit(clean, config), pod.fit(changed, config))


@HARMS
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_do_not_change(name, harm):
    def forecast(series: xr.Dataset) -> np.ndarray:
        data = windows.training(training(series))
        return methods.build(name, BaselinesConfig(trees=5), CONFIG).fit(data).predict(data.inputs)

    np.testing.assert_array_equal(forecast(coefficients()), forecast(harmed(coefficients(), harm)))


def chosen(series: xr.Dataset, log_file: Path) -> tuple[list, list]:
    """The architecture that a small search chooses, and the weights it gets."""
    recipe = Recipe(TrainingConfig(batch_size=64), harmonics=1, epochs=1, keep_best=True)
    data = windows.training(training(series))
    held = windows.fold(data, CONFIG, -1)
    search = build.build(architecture_space(), SearchConfig(trials=2, population=2, sample=1, algorithm="random"))

    def evaluate(trial: Trial) -> float:
        return 1 - train.train(trial.point, held, recipe, trial.number).validation_r2

    outcomes = driver.run(search, evaluate, log.TrialLog(log_file, {}), lambda _: None)
    best = select.top_k(log.table(outcomes, None), 1)
    return best, train.train(best[0]["point"], held, recipe, 0).model.get_weights()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list, list]:
    return chosen(coefficients(), tmp_path_factory.mktemp("clean") / "log.jsonl")


@HARMS
def test_the_chosen_architecture_and_its_weights_do_not_change(harm, undisturbed, tmp_path):
    best, weights = chosen(harmed(coefficients(), harm), tmp_path / "log.jsonl")
    assert best == undisturbed[0]
    assert all((a == b).all() for a, b in zip(weights, undisturbed[1], strict=True))
