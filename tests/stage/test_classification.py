"""Stage: classifiers of warm and cold weeks, from a made-up index to the table and the figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from podnas import artifacts
from podnas.config import ClassificationConfig, ProtocolConfig, WindowsConfig
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


def classify(folder: Path) -> None:
    adaptor("classify").main(
        folder / "train.nc",
        folder / "inputs.nc",
        folder / "table.parquet",
        (folder / "chances.npz", folder / "trials.json"),
        folder / "networks",
        CONFIG,
        WINDOW,
        1,
        "code",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("classified")
    committed = index.write_table(made / "committed.csv", index.table(WEEKS))
    adaptor("index").main(committed, made / "coefficients.nc", made / "table.parquet", False)
    days = artifacts.read_coefficients(made / "coefficients.nc").time.values.astype("datetime64[D]").astype(str)
    ends = {"train_first": days[0], "train_last": days[TRAINED - 1], "test_first": days[TRAINED], "test_last": days[-1]}
    adaptor("windows").main(
        made / "coefficients.nc",
        made / "train.nc",
        made / "inputs.nc",
        made / "targets.nc",
        ProtocolConfig.model_validate({"name": "record", **ends}),
        WINDOW,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "CHOICES", SMALL)
        patch.setattr(classifier, "PLAIN", {**{name: one[0] for name, one in SMALL.items()}, "loss": "cross"})
        classify(made)
        before = {path.name: path.stat().st_mtime_ns for path in (made / "networks").iterdir()}
        (made / "networks" / "trial_+001.npz").unlink()
        classify(made)
    after = {path.name: path.stat().st_mtime_ns for path in (made / "networks").iterdir()}
    assert [name for name in before if before[name] != after[name]] == ["trial_+001.npz"]
    adaptor("classified_score").main(
        made / "chances.npz",
        made / "trials.json",
        made / "train.nc",
        made / "targets.nc",
        made / "table.parquet",
        (made / "classified.json", made / "classified.md", made / "classified.html"),
        made / "ledger.jsonl",
        0.5,
        STAMP,
        "made up",
    )
    return made


def test_every_method_has_chances_and_costs(folder):
    arrays = apart.kept(folder / "chances.npz")[1]
    found = artifacts.read_json(folder / "classified.json")
    for event in ("warm", "cold"):
        table = found["events"][event]["table"]
        assert set(table) == {"plain", "best", "top_k", "caruana", "gradient", "logistic"}
        assert table["best"]["models"] == 1
        assert table["top_k"]["models"] == 2
        assert table["top_k"]["parameters"] > table["best"]["parameters"]
        for name in table:
            chance = arrays[f"{event}_{name}"]
            assert chance.shape == (WEEKS - TRAINED - 10, 3)
            assert ((chance > 0) & (chance < 1)).all()
        # the last anomaly tells much of a red series, and a network that learned sees it
        assert table["logistic"]["auc"] > 0.8
        assert max(one["auc"] for one in table.values()) > 0.75


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
