"""Changing the test years changes no fitted artifact and no chosen configuration."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from podnas import artifacts, windows
from podnas.audit.harms import permute, poison, shift
from podnas.cluster import layout
from podnas.config import (
    BASELINES,
    BaselinesConfig,
    EnsembleConfig,
    PodConfig,
    SearchConfig,
    StackConfig,
    TrainingConfig,
    TransferConfig,
)
from podnas.networks import engines
from podnas.networks.evaluate import PopulationEvaluator
from podnas.networks.population import Arrays
from podnas.networks.recipe import Recipe
from podnas.reduction import pod
from tests.adaptors import adaptor
from tests.series import CONFIG, PROTOCOL, coefficients
from tests.unit.test_pod import field

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
@pytest.mark.parametrize("scaler", ["training", "subset"])
@pytest.mark.parametrize("subset", ["latest", "whole_years", "core_set"])
def test_what_a_search_fits_on_does_not_change_with_the_validation_weeks(harm, subset, scaler):
    # the block that trials are judged by is the last of the training period
    series = coefficients()
    weeks = training(series).sizes["time"]
    validated = np.arange(weeks) >= (CONFIG.validation_blocks - 1) * weeks // CONFIG.validation_blocks
    changed = series.copy(deep=True)
    changed.coefficient.values[:weeks][validated] = harm(series.coefficient.values[:weeks][validated])
    before, after = (fitted_on(one, subset, scaler) for one in (series, changed))
    for name in ("inputs", "targets"):
        # to rounding: the windows come scaled by all training weeks, which is undone
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-6, atol=1e-6)
    assert not np.allclose(after.held_targets, before.held_targets)


def fitted_on(series: xr.Dataset, subset: windows.Subset, scaler: str) -> Arrays:
    """Windows of the first step as networks see them."""
    held = windows.fold(windows.training(training(series)), CONFIG, -1)
    recipe = Recipe(TrainingConfig(), CONFIG, 1, keep_best=False)
    with PopulationEvaluator(held, recipe, 0, engines.named("kernels"), 1, subset=subset, scaler=scaler) as one:
        return one._arrays(0.5, recipe.settings.output_scale)


@HARMS
def test_the_basis_does_not_change(harm):
    values = np.random.default_rng(1).normal(size=(60, 3, 4))
    config = PodConfig(modes=3, weights="area", train_last="2000-08-06")
    clean, changed = field(values), field(values)
    test = changed.time.values > np.datetime64("2000-08-06")
    changed.sst.values[test] = harm(changed.sst.values[test])
    xr.testing.assert_identical(pod.fit(clean, config), pod.fit(changed, config))


def test_no_adaptor_lets_the_test_years_into_what_is_fitted(tmp_path):
    # the adaptors see test inputs and could use them: all that they learn must be the same without. One harm, since
    # each trains everything; the one that changes most
    for name in ("undisturbed", "harmed"):
        (tmp_path / name).mkdir()
    undisturbed = learnt(coefficients(), tmp_path / "undisturbed")
    assert learnt(harmed(coefficients(), poison), tmp_path / "harmed") == undisturbed


def learnt(series: xr.Dataset, folder: Path) -> dict[str, object]:
    """Forecasts of the training windows by every method, trials, chosen architectures and their validation scores."""
    artifacts.write_coefficients(folder / "coefficients.nc", series)
    train, test_inputs = folder / "train.nc", folder / "test_inputs.nc"
    adaptor("windows").main(
        folder / "coefficients.nc", train, test_inputs, folder / "test_targets.nc", PROTOCOL, CONFIG
    )
    paths = {name: folder / f"{name}.nc" for name in (*BASELINES, "recurrent_ensemble", "recurrent_best", "lstm_8")}
    simple = {name: paths[name] for name in BASELINES}
    adaptor("baselines").main(train, test_inputs, simple, BaselinesConfig(trees=5), CONFIG, 1)
    settings = TrainingConfig(batch_size=64)
    manual = BaselinesConfig(lstm_units=(8,), lstm_layers=1, lstm_epochs=1)
    adaptor("manual_networks").main(train, test_inputs, {8: paths["lstm_8"]}, manual, settings, CONFIG, "test", 1)
    searched = SearchConfig(trials=2, population=2, sample=1, epochs=1, algorithm="random")
    adaptor("search").main(
        train,
        folder / "trials.parquet",
        folder / "logs",
        searched,
        settings,
        CONFIG,
        "test",
        "code",
        layout.Place(ranks=1, workers=1),
        time.time(),
    )
    catalogue, few = folder / "catalogue.json", EnsembleConfig(members=2, epochs=1)
    adaptor("retrain").main(train, folder / "trials.parquet", catalogue, few, settings, CONFIG, "test", "code", 1)
    held_out = folder / "recurrent_held_out.nc"
    ensemble = (paths["recurrent_ensemble"], paths["recurrent_best"], held_out)
    adaptor("ensemble").main(train, test_inputs, catalogue, *ensemble)
    paths |= {name: folder / f"{name}.nc" for name in ("complete_system", "linear_stack")}
    adaptor("complete_system").main(
        train,
        test_inputs,
        {name: paths[name] for name in ("climatology", "damped_persistence", "recurrent_ensemble")},
        {"recurrent_ensemble": held_out},
        paths["complete_system"],
        paths["linear_stack"],
        folder / "complete_system.json",
        StackConfig(methods=("damped_persistence",), systems=("recurrent",)),
        BaselinesConfig(),
        CONFIG,
    )
    study = (folder / "transfer.nc", folder / "transfer_validation.nc", folder / "transfer_networks.json")
    adaptor("transfer").main(
        train,
        test_inputs,
        (catalogue, catalogue),
        study,
        folder / "transferred",
        TransferConfig(architectures=2, seeds=2, epochs=1),
        settings.model_copy(update={"corrects": "damped_persistence"}),
        CONFIG,
        BaselinesConfig(),
        "test",
        "code",
        1,
    )
    validated = artifacts.read_transfer_validation(study[1])
    networks = [
        {key: one[key] for key in ("group", "seed", "validation_r2", "best_epoch")}
        for one in artifacts.read_json(study[2])["networks"]
    ]
    trials = artifacts.read_table(folder / "trials.parquet")[["point", "loss"]]
    members = artifacts.read_json(catalogue)["members"]
    chosen = [{key: one[key] for key in ("point", "seed", "validation_r2", "best_epoch")} for one in members]
    transfer = {name: validated[name].values.tolist() for name in ("forecast", "baseline")} | {"networks": networks}
    stacked = artifacts.read_json(folder / "complete_system.json")
    return {"trials": trials.to_dict("list"), "members": chosen, "transfer": transfer, "stacked": stacked} | {
        name: fitted(path) for name, path in paths.items()
    }


def fitted(prediction: Path) -> list[float]:
    """Forecasts of the training windows."""
    made = artifacts.read_prediction(prediction)
    return made.forecast.values[made.period.values == 0].ravel().tolist()
