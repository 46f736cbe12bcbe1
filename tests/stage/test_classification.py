"""Stage: classifiers, from a made-up index or field to the table and the figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib import image

from podnas import artifacts, windows
from podnas.config import ClassificationConfig, HeatwavesConfig, ProtocolConfig, RegionConfig, WindowsConfig
from podnas.networks import apart, classifier
from tests import index
from tests.adaptors import adaptor

WEEKS, TRAINED = 1000, 700
WINDOW = WindowsConfig(inputs=8, outputs=3, validation_blocks=3)
CONFIG = ClassificationConfig(trials=2, top=2, members=2, trial_limit_seconds=60)
SMALL = {
    "batch": (64,),
    "dense_size": (8, 16),
    "dropout": (0.0, 0.1),
    "length": (4, 8),
    "lr": (1e-2, 3e-3),
    "lr_decay": (0.96, 1.0),
    "momentum": (0.9, 0.93),
    "filters": (8, 16),
    "conv_layers": (1, 2),
    "epochs": (3, 4),
    "regularisation": (0.0, 1e-4),
    "rnn_layers": (1,),
    "rnn_size": (8, 16),
}
STAMP = {
    "experiment": "made_up",
    "coefficients": "none, the index itself",
    "protocol": "record",
    "train_period": "then",
    "test_period": "later",
    "seeds": "networks 9",
}


HEATWAVES = HeatwavesConfig(region="box", percentile=80, window_weeks=4, least_weeks=2)
BOX = RegionConfig(name="box", lat=(0, 10), lon=(0, 10), label="Box")


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "CHOICES", SMALL)
        patch.setattr(classifier, "PLAIN", {**{name: one[0] for name, one in SMALL.items()}, "loss": "cross"})
        yield


def cut(folder: Path) -> None:
    days = artifacts.read_coefficients(folder / "coefficients.nc").time.values.astype("datetime64[D]").astype(str)
    ends = {"train_first": days[0], "train_last": days[TRAINED - 1], "test_first": days[TRAINED], "test_last": days[-1]}
    adaptor("windows").main(
        folder / "coefficients.nc",
        folder / "train.nc",
        folder / "inputs.nc",
        folder / "targets.nc",
        ProtocolConfig.model_validate({"name": "record", **ends}),
        WINDOW,
    )


def classify(folder: Path, config: ClassificationConfig, table: Path | None) -> None:
    adaptor("classify").main(
        folder / "train.nc",
        folder / "inputs.nc",
        table,
        (folder / "chances.npz", folder / "trials.json"),
        folder / "networks",
        config,
        WINDOW,
        1,
        "code",
    )


def score(folder: Path, config: ClassificationConfig, table: Path | None, weeks: Path | None) -> None:
    adaptor("classified_score").main(
        folder / "chances.npz",
        folder / "trials.json",
        folder / "train.nc",
        folder / "targets.nc",
        table,
        weeks,
        (folder / "classified.json", folder / "classified.md", folder / "classified.html"),
        folder / "ledger.jsonl",
        config,
        STAMP,
        "made up",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("classified")
    committed, table = index.write_table(made / "committed.csv", index.table(WEEKS)), made / "table.parquet"
    adaptor("index").main(committed, made / "coefficients.nc", table, False)
    cut(made)
    classify(made, CONFIG, table)
    before = {path.name: path.stat().st_mtime_ns for path in (made / "networks").iterdir()}
    (made / "networks" / "trial_+001.npz").unlink()
    classify(made, CONFIG, table)
    after = {path.name: path.stat().st_mtime_ns for path in (made / "networks").iterdir()}
    assert [name for name in before if before[name] != after[name]] == ["trial_+001.npz"]
    score(made, CONFIG, table, None)
    return made


@pytest.fixture(scope="module")
def regional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cells about the made-up index."""
    made = tmp_path_factory.mktemp("regional")
    sst = index.table(WEEKS).sst.to_numpy()[:, None, None] + np.array([[0.0, 1.0], [-1.0, 0.0]])
    times = np.datetime64("1981-08-30", "ns") + windows.WEEK * np.arange(WEEKS)
    field = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), sst.astype(np.float32), {"units": "degree_Celsius"}),
            "cell_area": (("lat", "lon"), np.ones((2, 2)), {"units": "m2"}),
            "segment": ("time", np.zeros(WEEKS, int)),
        },
        {"time": times, "lat": [1.0, 2.0], "lon": [1.0, 2.0]},
        {"data_kind": "made up"},
    )
    artifacts.write_field(made / "field.nc", field)
    adaptor("regional").main(made / "field.nc", made / "coefficients.nc", BOX)
    cut(made)
    config = CONFIG.model_copy(update={"heatwaves": HEATWAVES})
    classify(made, config, None)
    score(made, config, None, made / "coefficients.nc")
    return made


def test_every_method_has_chances_and_costs(folder):
    arrays = apart.kept(folder / "chances.npz")[1]
    found = artifacts.read_json(folder / "classified.json")
    for event in ("warm", "cold"):
        table = found["events"][event]["table"]
        assert set(table) == {"plain", "best", "top_k", "caruana", "gradient", "logistic", "trend"}
        assert table["best"]["models"] == 1
        assert table["top_k"]["models"] == 2
        assert table["trend"]["parameters"] == 4
        assert table["top_k"]["parameters"] > table["best"]["parameters"]
        for name in table:
            chance = arrays[f"{event}_{name}"]
            assert chance.shape == (WEEKS - TRAINED - 10, 3)
            assert ((chance > 0) & (chance < 1)).all()
        # the last anomaly tells much of a red series, and a network that learned sees it
        assert table["logistic"]["auc"] > 0.8
        assert max(one["auc"] for one in table.values()) > 0.75


def test_events_of_the_test_weeks_change_no_chance(folder, tmp_path):
    """All that is fitted, chosen and calibrated, once more from a table whose test weeks are other weeks."""
    table = artifacts.read_table(folder / "table.parquet")
    table.loc[table.index[TRAINED:], ["sst", "anomaly"]] *= -3
    artifacts.write_table(tmp_path / "table.parquet", table)
    for name in ("train.nc", "inputs.nc"):
        (tmp_path / name).symlink_to(folder / name)
    classify(tmp_path, CONFIG, tmp_path / "table.parquet")
    before, after = (apart.kept(one / "chances.npz")[1] for one in (folder, tmp_path))
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_scores_can_be_recomputed(folder):
    arrays = apart.kept(folder / "chances.npz")[1]
    table = index.table(WEEKS)
    anomaly = table.anomaly.to_numpy()
    rows = TRAINED + 7 + np.arange(WEEKS - TRAINED - 10)[:, None] + np.arange(1, 4)
    brier = ((arrays["cold_caruana"] - (anomaly[rows] <= -0.5)) ** 2).mean()
    found = artifacts.read_json(folder / "classified.json")["events"]["cold"]["table"]["caruana"]["brier"]
    assert found == pytest.approx(brier)


def test_page_figure_and_ledger_are_made(folder):
    page = (folder / "classified.md").read_text()
    assert "| | test AUC | balanced cross-entropy |" in page
    assert "base rate" in page
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    assert {line["method"] for line in lines} >= {"warm:caruana", "cold:logistic"}
    adaptor("figure_classified").main(folder / "classified.json", folder / "classified.png")
    picture = image.imread(folder / "classified.png")
    assert picture.shape[1] == 1420
    assert picture[..., :3].std() > 0.05


def test_heatwaves_are_classified_from_a_field(regional):
    arrays = apart.kept(regional / "chances.npz")[1]
    found = artifacts.read_json(regional / "classified.json")
    one = found["events"]["heatwave"]
    # the last window ends with a week that nothing after it tells of
    assert len(arrays["heatwave_trend"]) == WEEKS - TRAINED - 10
    assert one["windows"] == WEEKS - TRAINED - 11
    assert one["table"]["logistic"]["auc"] > 0.7
    page = (regional / "classified.md").read_text()
    assert "above the 80th percentile of the training weeks within 4 weeks" in page
    assert f"base rate {one['base_rate_test']:.3f} (training {one['base_rate_train']:.3f})" in page
    trials = artifacts.read_json(regional / "trials.json")
    assert trials["blocks"] == 3
    assert trials["held_windows"] == sum(TRAINED * (n + 1) // 3 - TRAINED * n // 3 - 10 for n in range(3)) - 1
    adaptor("figure_classified").main(regional / "classified.json", regional / "classified.png")
    assert image.imread(regional / "classified.png").shape[1] == 1420


def test_scores_of_heatwaves_can_be_recomputed(regional):
    arrays = apart.kept(regional / "chances.npz")[1]
    mean = index.table(WEEKS).sst.to_numpy()
    times = np.datetime64("1981-08-30", "ns") + windows.WEEK * np.arange(WEEKS) + windows.HALF_WEEK
    day = ((times - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")) % 365.2425
    gap = np.abs(day[:, None] - day[None, :TRAINED])
    near = np.minimum(gap, 365.2425 - gap) <= 31.5
    above = mean > np.array([np.percentile(mean[:TRAINED][row], 80) for row in near])
    beside = np.r_[above[1:], False] | np.r_[False, above[:-1]]
    rows = TRAINED + 7 + np.arange(WEEKS - TRAINED - 11)[:, None] + np.arange(1, 4)
    brier = ((arrays["heatwave_best"][:-1] - (above & beside)[rows]) ** 2).mean()
    found = artifacts.read_json(regional / "classified.json")["events"]["heatwave"]
    assert found["table"]["best"]["brier"] == pytest.approx(brier)
    assert found["base_rate_train"] == pytest.approx(
        np.mean((above & beside)[8 + np.arange(TRAINED - 11)[:, None] + np.arange(3)])
    )
