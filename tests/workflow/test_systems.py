"""Systems of networks, a rolling protocol and the complete system, from archive to scorecard in miniature."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from podnas import artifacts
from tests.workflow.conftest import checkout, snakemake

EXPERIMENT = """
experiment: tiny_systems
title: Systems of networks, refitted and stacked, in miniature
protocols:
  - {name: short, train_first: 1981-10-29, train_last: 1989-12-28, test_first: 1989-12-31, test_last: 1993-12-26}
  - name: rolling
    train_first: 1981-10-29
    train_last: 1989-12-28
    test_first: 1989-12-31
    test_last: 1993-12-26
    rolling: {every_years: 2, members: 2}
search: {trials: 4}
ensemble: {members: 2}
systems:
  correction:
    corrects: mean_damped_inverse
    training: {learning_rate: 0.001, dropout: 0.2}
    search: {trials: 2, algorithm: random, two_step: null}
    ensemble: {keep: last, epochs: 1}
stack: {}
"""
RESULTS = Path("results/tiny_systems")
TARGETS = [str(RESULTS / name) for name in ("scorecard.md", "figures/differences_rolling.png")]
OURS = ("recurrent_ensemble", "correction_ensemble", "complete_system")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = checkout(tmp_path_factory.mktemp("systems"))
    (folder / "systems.yaml").write_text(EXPERIMENT)
    done = run(folder)
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def run(folder: Path, *arguments: str):
    files = ("--configfile", "config/experiments/tiny.yaml", "systems.yaml")
    return snakemake(folder, "-c2", *TARGETS, *arguments, *files, timeout=3000)


def forecast(folder: Path, protocol: str, method: str) -> xr.Dataset:
    return artifacts.read_forecast(folder / RESULTS / "forecasts" / protocol / f"{method}.nc")


def test_every_protocol_has_every_method(made):
    entries = json.loads((made / RESULTS / "scorecard.json").read_text())
    by_protocol = {name: {one["method"] for one in entries if one["protocol"] == name} for name in ("short", "rolling")}
    assert by_protocol["short"] == by_protocol["rolling"]
    assert by_protocol["short"] >= {*OURS, "recurrent_best", "lstm_8", "anomaly_regression", "climatology"}


def test_ours_stand_against_every_baseline_with_intervals(made):
    for entry in json.loads((made / RESULTS / "scorecard.json").read_text()):
        assert ("differences" in entry) == (entry["method"] in OURS)
        for by_weeks in entry.get("differences", {}).values():
            one = by_weeks[str(entry["block_weeks"])]["r2_mean"]
            assert one["low"] <= one["high"]
            assert one["verdict"] in ("better", "worse", "tie")
            assert "linear_stack" in entry["differences"]
    page = (made / RESULTS / "scorecard.md").read_text()
    assert "`complete_system`" in page
    windows = forecast(made, "short", "climatology").sizes["init_time"]
    assert f"Refitted, on the {windows} test windows of protocol short" in page
    for fit in ("short", "rolling/1990", "rolling/1992"):
        assert f"| {fit} " in page
    assert "refitted every 2 years" in page


def test_the_first_refit_is_the_fit_of_the_training_period_and_later_ones_know_more(made):
    once, again = (forecast(made, protocol, "climatology") for protocol in ("short", "rolling"))
    np.testing.assert_array_equal(once.init_time, again.init_time)
    early = once.init_time.values < np.datetime64("1992-01-01")
    np.testing.assert_allclose(again.forecast[early], once.forecast[early])
    assert np.abs((again.forecast - once.forecast).values[~early]).max() > 0


def test_networks_of_refits_have_the_architectures_that_the_search_found(made):
    for system in ("", "correction/"):
        first, later = (
            json.loads((made / RESULTS / "networks" / origin / system / "catalogue.json").read_text())["members"]
            for origin in ("short", "rolling/1992")
        )
        assert [one["point"] for one in later] == [one["point"] for one in first][:2]
        assert [one["data"] for one in later] != [one["data"] for one in first]
    assert later[0]["recipe"]["settings"]["corrects"] == "mean_damped_inverse"
    assert (later[0]["recipe"]["epochs"], later[0]["recipe"]["keep_best"]) == (1, False)


def test_the_complete_system_is_what_its_weights_say(made):
    folder = made / RESULTS / "predictions" / "short"
    record = json.loads((folder / "complete_system.json").read_text())
    weights = record["weights"]
    assert set(weights) - set(record["linear"]["weights"]) == {"correction_ensemble"}
    assert set(weights) == {"damped_persistence", "linear_inverse_model", "anomaly_regression", "correction_ensemble"}
    read = {name: artifacts.read_prediction(folder / f"{name}.nc").forecast for name in (*weights, "climatology")}
    expected = read["climatology"] + sum(
        np.array(weight) * (read[name] - read["climatology"]) for name, weight in weights.items()
    )
    complete = artifacts.read_prediction(folder / "complete_system.nc").forecast
    # weights are written with six digits
    np.testing.assert_allclose(complete, expected, rtol=0, atol=1e-4 * float(np.abs(expected).max()))


def test_what_a_kill_took_is_made_again_for_its_years_alone(made):
    (made / RESULTS / "predictions/rolling/1992/climatology.nc").unlink()
    # as after a kill: what was made of it is not there either
    (made / RESULTS / "predictions/rolling/climatology.nc").unlink()
    shutil.rmtree(made / RESULTS / "forecasts/rolling")
    for path in (*(made / RESULTS / "scores").glob("rolling*"), *(made / RESULTS).glob("scorecard.*")):
        path.unlink()
    done = run(made, "-n")
    assert "rule baselines:" in done.stdout
    assert "origin=rolling/1992" in done.stdout
    assert "origin=rolling/1990" not in done.stdout
    assert "rule search:" not in done.stdout
