"""The transfer study: how groups are paired, what goes on after a kill, what its table says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from podnas import artifacts, windows
from podnas.config import BaselinesConfig, TrainingConfig, TransferConfig
from podnas.networks import engines, planned, retrain, transfer
from podnas.networks.recipe import Recipe
from podnas.networks.space import stacked_lstm
from podnas.verify import transfer as verified
from podnas.windows import Scaler
from tests.series import CONFIG, split

LABELS = {"transferred": "found on SST", "searched": "searched here", "random": "random"}
STUDY = TransferConfig(architectures=2, seeds=10, epochs=1)
RECIPE = Recipe(TrainingConfig(corrects="climatology", climatology_harmonics=1), CONFIG, 1, keep_best=True)
SMALL = {group: [stacked_lstm(4 + n, 1) for n in range(2)] for group in transfer.GROUPS}


def catalogue(path: Path, widths: tuple[int, ...]) -> Path:
    members = [{"point": {**stacked_lstm(width, 1), "learning_rate": 0.1 * n}} for n, width in enumerate(widths)]
    artifacts.write_json(path, {"members": members})
    return path


def test_groups_are_the_best_different_architectures_without_their_settings(tmp_path):
    one, other = catalogue(tmp_path / "one.json", (16, 16, 32, 48)), catalogue(tmp_path / "other.json", (8, 4))
    chosen = transfer.groups(one, other, STUDY)
    assert chosen["transferred"] == [{"node_1": "16"}, {"node_1": "32"}]
    assert chosen["searched"] == [{"node_1": "8"}, {"node_1": "4"}]
    assert chosen["random"] == transfer.groups(other, one, STUDY)["random"]
    with pytest.raises(ValueError, match=r"other\.json has 2 different architectures, transfer\.architectures is 3"):
        transfer.groups(one, other, TransferConfig(architectures=3))


def test_networks_of_the_same_place_are_paired_and_architectures_take_turns():
    planned = transfer.plans(SMALL, STUDY, RECIPE, {})
    assert len(planned) == 60
    paired = {}
    for plan in planned:
        paired.setdefault((plan["replicate"], plan["member"]), []).append((plan["seed"], plan["held_out_block"]))
    assert all(len(same) == 3 and len(set(same)) == 1 for same in paired.values())
    assert len({same[0][0] for same in paired.values()}) == 20
    held = {(plan["architecture"], plan["held_out_block"]) for plan in planned if plan["group"] == "random"}
    assert held == {(a, b) for a in range(2) for b in range(2)}


@pytest.fixture(scope="module")
def data() -> windows.Training:
    return windows.training(split()[0])


def run(data: windows.Training, folder: Path, study: TransferConfig, report=lambda plan, state: None):
    planned = transfer.plans(SMALL, study, RECIPE, {"code": "1"})
    return planned, transfer.train(planned, data, RECIPE, folder, engines.named("kernels"), 1, report)


def test_a_network_that_diverges_ends_a_study_by_its_name_with_the_remedy(data, tmp_path):
    def ill(plan):
        begun = retrain.job(plan["point"], 0, retrain.held_out(data, RECIPE, 0), RECIPE)
        nothing = np.full_like(begun.state.parameters, np.nan)
        return dataclasses.replace(begun, state=dataclasses.replace(begun.state, parameters=nothing))

    plan, engine = [{"point": stacked_lstm(4, 1)}], engines.named("kernels")
    with pytest.raises(ArithmeticError, match=r"network_7: training diverged in epoch 1 .* set training\.clip_norm"):
        planned.train(plan, ill, lambda _: tmp_path / "network_7.npz", engine, 1, print)


def test_a_killed_study_goes_on_with_what_it_has(data, tmp_path):
    counted = []
    _, states = run(data, tmp_path, STUDY, lambda plan, state: counted.append(plan))
    assert len(counted) == 60
    (tmp_path / "random_003_01.npz").unlink()
    _, again = run(data, tmp_path, STUDY, lambda plan, state: counted.append(plan))
    assert [plan["group"] for plan in counted[60:]] == ["random"]
    for one, other in zip(states, again, strict=True):
        np.testing.assert_array_equal(one.chosen(), other.chosen())


def test_each_window_of_the_blocks_is_forecast_by_the_network_that_held_it_out(data, tmp_path):
    planned, states = run(data, tmp_path, STUDY)
    test = windows.inputs(split()[1], windows.scaler(split()[0]))
    forecast, validated = transfer.forecasts(planned, states, data, test, RECIPE)
    assert forecast.shape == (3, 10, 2, len(test), 4, 2)
    held = [windows.fold(data, CONFIG, block).validate for block in range(2)]
    assert validated.shape == (3, 10, sum(len(one.inputs) for one in held), 4, 2)
    # what the second block holds changes no forecast of the first: neither network nor climatology has seen it
    harmed = dataclasses.replace(
        data, series=np.where(np.arange(len(data.series))[:, None] < len(data.series) // 2, 50.0, data.series)
    )
    first = len(held[0].inputs)
    _, other = transfer.forecasts(planned, states, harmed, test, RECIPE)
    np.testing.assert_array_equal(other[:, :, :first], validated[:, :, :first])
    assert not np.allclose(other[:, :, first:], validated[:, :, first:])


def made_up(weeks: int = 120) -> tuple[xr.Dataset, xr.DataArray, dict[str, xr.DataArray], xr.Dataset]:
    """Random networks err by 1.0, transferred ones by .5, searched ones by .52; damped persistence by .8."""
    random = np.random.default_rng(0)
    shape, window = (weeks, 4, 2), ("init_time", "lead", "mode")
    truth = random.normal(size=shape)
    error = {"transferred": 0.5, "searched": 0.52, "random": 1.0}
    nets = np.stack([truth + e * random.normal(size=(10, 2, *shape)) for e in error.values()])
    coords = {"group": list(error)}
    test = xr.Dataset({"forecast": (("group", "replicate", "member", *window), nets)}, coords)
    simple = {"climatology": np.zeros(shape), "damped_persistence": truth + 0.8 * random.normal(size=shape)}
    arrays = {name: xr.DataArray(values, dims=window) for name, values in simple.items()}
    held = xr.Dataset(
        {
            "forecast": (("group", "replicate", *window), nets[:, :, 0]),
            "baseline": (("method", *window), np.stack(list(simple.values()))),
            "truth": (window, truth),
        },
        {**coords, "method": list(simple)},
    )
    return test, xr.DataArray(truth, dims=window), arrays, held


def study(weeks: int = 120) -> dict[str, object]:
    found = verified.summary(*made_up(weeks), Scaler(np.zeros(2), np.ones(2)))
    architectures = {group: [dict(point) for point in points] for group, points in SMALL.items()}
    return {"labels": LABELS, "recipe": RECIPE.record(), "architectures": architectures, **found}


def test_the_better_group_is_told_and_so_are_baselines_that_are_beaten():
    found = study()
    assert found["best_baseline"] == "damped_persistence"
    between = {tuple(one["groups"]): one for one in found["between_groups"]}
    single = between["transferred", "random"]["single"]["skill_clim"]
    # errors of variance .25 and 1 against a truth of variance 1, on 120 weeks
    assert single["difference"] == pytest.approx(0.75, abs=0.1)
    assert single["verdict"] == "better"
    assert single["p_wilcoxon"] < 0.01
    assert found["from_baselines"]["transferred"]["damped_persistence"]["skill_clim"]["verdict"] == "better"
    ensemble = found["test"]["ensemble"]["random"]["skill_clim"]
    # the mean of 20 networks that err by 1 independently errs by a variance of 1 / 20
    assert ensemble == pytest.approx(0.95, abs=0.02)
    assert set(found["from_best_baseline"]["random"]) == {"26", "52", "104"}


def test_pooled_skill_counts_modes_by_their_errors():
    """Mode 1 (sigma 3) misses one of four weeks by 1, mode 2 (sigma 1) none: 1 - 9·1 / (9·4 + 1·4)."""
    truth = np.array([1.0, -1.0, 1.0, -1.0])[:, None, None] * np.ones((1, 1, 2))
    forecast = truth.copy()
    forecast[0, 0, 0] = 0.0
    found = verified.score(forecast, truth, np.zeros((4, 1, 2)), np.array([3.0, 1.0]))
    assert found["pooled_by_lead"] == pytest.approx([1 - 9 / 40])
    assert found["by_lead"] == pytest.approx([(0.75 + 1) / 2])


def test_a_short_record_has_intervals_of_some_width():
    found = study(weeks=20)["from_best_baseline"]["random"]
    assert set(found) == {"26", "52", "104"}
    assert all(of_score["low"] < of_score["high"] for one in found.values() for of_score in one.values())


def test_the_page_has_every_forecast_and_no_minus_zero():
    stamp = {"coefficients": "real", "data_kind": "twin", "train_period": "a to b", "train_windows": "9"}
    text = verified.page(
        "made up", {"stamp": {**stamp, "test_period": "c to d", "test_windows": "120"}, **study()}, LABELS
    )
    for name in ("found on SST: ensemble", "random: single networks, mean", "`climatology`", "`damped_persistence`"):
        assert text.count(f"| {name}") == 2 + (name[0] == "`")
    assert "-0.000 " not in text.split("## Groups")[0]
    assert "Worse in skill_clim than: none" in text
    assert "pooled, lead 1" in text
    damped = study()["test"]["baselines"]["damped_persistence"]["pooled_by_lead"][0]
    assert f"({damped:.3f})." in text


def test_baselines_are_fitted_without_the_block_they_forecast(data):
    made, held = transfer.baselines(data, RECIPE, BaselinesConfig(climatology_harmonics=1))
    assert set(made) == set(transfer.VALIDATED)
    assert "xgboost" not in made
    total = sum(len(one.validate.inputs) for one in held)
    assert {values.shape for values in made.values()} == {(total, 4, 2)}
