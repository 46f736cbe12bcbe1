"""Stage: the adaptors of the outlook, from a made-up index to pages and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from podnas import artifacts, windows
from podnas.baselines.gaussian import Gaussian
from podnas.config import (
    BaselinesConfig,
    OutlookConfig,
    ProtocolConfig,
    SearchConfig,
    TrainingConfig,
    WindowsConfig,
)
from tests import index
from tests.adaptors import adaptor

WEEKS, TRAINED = 760, 420
WINDOW = WindowsConfig(inputs=4, outputs=4, harmonics=1, validation_blocks=3)
TRAINING = TrainingConfig(
    batch_size=32, engine="kernels", head="gaussian", corrects="damped_persistence", climatology_harmonics=1
)
SEARCH = SearchConfig(trials=3, population=2, sample=1, epochs=2, lanes=1)
OUTLOOK = OutlookConfig(architectures=2, epochs=2, members=4)
BASELINES = BaselinesConfig(climatology_harmonics=1)
STAMP = {
    "experiment": "made_up",
    "coefficients": "none, the index itself",
    "protocol": "record",
    "train_period": "then",
    "test_period": "later",
    "seeds": "search 0",
}


def forecast(folder: Path, fitted: str, told: bool) -> None:
    adaptor("outlook_forecast").main(
        folder / f"{fitted}_train.nc",
        folder / f"{fitted}_inputs.nc",
        folder / "trials.parquet",
        (folder / f"{fitted}.nc", folder / f"{fitted}.json"),
        folder / f"networks_{fitted}",
        OUTLOOK,
        (TRAINING, WINDOW, BASELINES),
        "code",
        1,
        told,
    )


def score(folder: Path, sealed: bool = False) -> None:
    adaptor("outlook_score").main(
        folder / "record.nc",
        folder / "record.json",
        folder / "record_train.nc",
        folder / "record_targets.nc",
        folder / "table.parquet",
        (folder / "scored.json", folder / "scored.md", folder / "scored.html"),
        folder / "ledger.jsonl",
        0.5,
        1,
        STAMP,
        sealed,
        "made up",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("outlook")
    committed = index.write_table(made / "committed.csv", index.table(WEEKS))
    adaptor("index").main(committed, made / "coefficients.nc", made / "table.parquet", False)
    series = artifacts.read_coefficients(made / "coefficients.nc")
    days = series.time.values.astype("datetime64[D]").astype(str)
    ends = {"train_first": days[0], "train_last": days[TRAINED - 1], "test_first": days[TRAINED], "test_last": days[-1]}
    protocol = ProtocolConfig.model_validate({"name": "record", **ends})
    adaptor("windows").main(
        made / "coefficients.nc",
        made / "record_train.nc",
        made / "record_inputs.nc",
        made / "record_targets.nc",
        protocol,
        WINDOW,
    )
    adaptor("latest_windows").main(
        made / "coefficients.nc", made / "latest_train.nc", made / "latest_inputs.nc", protocol.train_first, WINDOW
    )
    adaptor("outlook_search").main(
        made / "record_train.nc", made / "trials.parquet", made / "logs", SEARCH, TRAINING, WINDOW, "code", 1
    )
    forecast(made, "record", True)
    forecast(made, "latest", False)
    score(made)
    adaptor("outlook").main(
        made / "latest.nc",
        made / "latest.json",
        made / "latest_train.nc",
        made / "table.parquet",
        made / "scored.json",
        (made / "outlook.json", made / "outlook.md", made / "outlook.html"),
        0.5,
        1,
        STAMP,
        "made up",
    )
    return made


def test_the_record_has_all_numbers(folder):
    found = artifacts.read_json(folder / "scored.json")
    assert found["windows"] == WEEKS - TRAINED - 7
    assert set(found["scores"]) == {
        "outlook", "climatology", "cpc_persistence", "anomaly_persistence", "damped_persistence", "autoregression",
        "seasonal_autoregression",
    }  # fmt: skip
    assert sum(found["weights"].values()) == pytest.approx(1)
    for event in ("warm", "cold"):
        assert [0 < one["brier"]["value"] < 0.25 for one in found["events"][event]] == [True] * 4
    # ours beats the climatology, which red noise makes easy, and the verdict says so
    assert found["against"]["climatology"]["crps"]["verdict"][0] == "better"
    assert all(0.6 < share <= 1 for share in found["shape"]["outlook"]["coverage90"]["value"])


def test_scores_can_be_recomputed_from_the_forecast_files(folder):
    made = artifacts.read_mixture(folder / "record.nc")
    truth = artifacts.read_windows(folder / "record_targets.nc", artifacts.TARGETS).target.values
    weighted = np.tensordot(made.weight.values, made["mean"].values, 1)
    found = artifacts.read_json(folder / "scored.json")["scores"]
    assert np.allclose(np.sqrt(((weighted - truth) ** 2).mean(axis=0))[:, 0], found["outlook"]["rmse"]["value"])
    simple = made.baseline_mean.sel({"method": "autoregression"}).values
    assert np.allclose(np.sqrt(((simple - truth) ** 2).mean(axis=0))[:, 0], found["autoregression"]["rmse"]["value"])


def test_the_variance_of_the_outlook_is_split_exactly(folder):
    made = artifacts.read_mixture(folder / "latest.nc")
    second = np.tensordot(made.weight.values, made["mean"].values ** 2 + made.sigma.values**2, 1)
    variance = (second - np.tensordot(made.weight.values, made["mean"].values, 1) ** 2)[0, :, 0]
    leads = artifacts.read_json(folder / "outlook.json")["leads"]
    assert np.allclose([sum(one["variance"].values()) for one in leads], variance, rtol=1e-9)
    assert all(one["variance"]["truncation"] == 0 for one in leads)
    # probabilities are exclusive, quantiles ordered
    assert all(one["probability"]["warm"] + one["probability"]["cold"] <= 1 for one in leads)
    assert all(np.diff(list(one["quantiles"].values())).min() > 0 for one in leads)


def test_held_out_scores_are_told_of_open_weeks_only(folder):
    assert set(artifacts.read_json(folder / "record.json")["held_out"]["rmse_by_lead"]) >= {"autoregression"}
    assert "held_out" not in artifacts.read_json(folder / "latest.json")


def test_linear_candidates_are_as_wide_as_their_errors_on_the_other_blocks(folder):
    whole = windows.training(artifacts.read_windows(folder / "record_train.nc", artifacts.TRAINING))
    fitted = Gaussian("autoregression", BASELINES, WINDOW).fit(whole)
    expected = np.sqrt(((fitted.errors / fitted.held_sigma()) ** 2).mean())
    found = {one["name"]: one["sigma_scale"] for one in artifacts.read_json(folder / "record.json")["candidates"]}
    assert found["autoregression"] == pytest.approx(expected, rel=1e-5)
    assert abs(expected - 1) > 1e-3
    assert artifacts.read_json(folder / "record.json")["left_out"] == []


def test_test_weeks_change_nothing_that_is_fitted(folder, tmp_path):
    harmed = index.table(WEEKS)
    harmed.loc[TRAINED + 20 :, "sst"] = 25.0
    committed = index.write_table(tmp_path / "committed.csv", harmed)
    adaptor("index").main(committed, tmp_path / "coefficients.nc", tmp_path / "table.parquet", False)
    days = artifacts.read_coefficients(tmp_path / "coefficients.nc").time.values.astype("datetime64[D]").astype(str)
    ends = {"train_first": days[0], "train_last": days[TRAINED - 1], "test_first": days[TRAINED], "test_last": days[-1]}
    adaptor("windows").main(
        tmp_path / "coefficients.nc",
        tmp_path / "record_train.nc",
        tmp_path / "record_inputs.nc",
        tmp_path / "record_targets.nc",
        ProtocolConfig.model_validate({"name": "record", **ends}),
        WINDOW,
    )
    (tmp_path / "trials.parquet").symlink_to(folder / "trials.parquet")
    forecast(tmp_path, "record", True)
    assert artifacts.read_json(tmp_path / "record.json") == artifacts.read_json(folder / "record.json")
    ours, before = (artifacts.read_mixture(one / "record.nc") for one in (tmp_path, folder))
    assert np.array_equal(ours["mean"].values[:, :10], before["mean"].values[:, :10])
    assert not np.array_equal(ours["mean"].values[:, 30:], before["mean"].values[:, 30:])


def test_every_look_is_in_the_ledger_and_sealed_weeks_are_scored_once(folder, tmp_path):
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    assert "outlook" in {line["method"] for line in lines}
    other = {**lines[0], "configuration": "another"}
    before = (folder / "ledger.jsonl").read_text()
    (folder / "ledger.jsonl").write_text(json.dumps(other) + "\n")
    with pytest.raises(ValueError, match="are scored once"):
        score(folder, sealed=True)
    (folder / "ledger.jsonl").write_text(before)


def test_pages_and_figures_are_made(folder):
    page = (folder / "outlook.md").read_text()
    assert "Truncation: none, since the index itself is forecast" in page
    assert "## Record over past years" in page
    assert "Paired circular block bootstrap" in (folder / "scored.md").read_text()
    assert "<table>" in (folder / "scored.html").read_text()
    for name, found in (("outlook", "outlook.json"), ("outlook_record", "scored.json")):
        adaptor(f"figure_{name}").main(folder / found, folder / f"{name}.png")
        picture = image.imread(folder / f"{name}.png")
        assert picture.shape[1] == 1420
        assert picture[..., :3].std() > 0.05
