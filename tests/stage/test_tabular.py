"""Stage: the adaptors of the tabular benchmark, from a generated set to scorecard and figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib import image

from podnas import artifacts
from podnas.figures import style, tabular
from tests import tables
from tests.adaptors import adaptor
from tests.unit.test_tabular import SEARCH, SMALL

STAMP = {"scope": "Scored: made-up rows.", "footer": ["Data: made up", "seed 8"]}
SETS = {"boston": 0, "waves": 6}  # a published one, by name, and another with rows that stand twice


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tabular")
    data = {name: tables.write(made / "data", name, repeats=repeats) for name, repeats in SETS.items()}
    forecasts = []
    for name, path in data.items():
        for number in range(2):
            outputs = (made / name / f"split_{number}.npz", made / name / f"split_{number}_trials.parquet")
            adaptor("tabular_search").main(path, number, outputs, made / name / "trials", SMALL, SEARCH, "code", 1)
            forecasts.append(outputs[0])
    adaptor("tabular_score").main(data, forecasts, made / "scores.parquet", made / "ledger.jsonl", SMALL.floors)
    adaptor("tabular_score").main(data, forecasts, made / "pseudo.parquet", None, SMALL.floors)
    outputs = tuple(made / name for name in ("scorecard.json", "tabular.json", "scorecard.md", "scorecard.html"))
    adaptor("tabular_scorecard").main(made / "scores.parquet", outputs, STAMP, "Made-up sets")
    adaptor("figure_tabular").main(made / "tabular.json", made / "tabular.png")
    return made


def test_the_scorecard_has_every_set(folder):
    found = artifacts.read_json(folder / "scorecard.json")
    assert list(found) == ["boston", "waves"]
    assert {"splits", "rmse", "rmse_se", "nll", "nll_se"} <= set(found["boston"])
    assert found["boston"]["splits"] == 2
    assert found["boston"]["published"]["pbp"]["rmse"] == 3.01
    fewer = found["waves"]["without_duplicates"]
    assert fewer["training_rows"] < found["waves"]["training_rows"]
    assert found["boston"]["without_duplicates"] is None


def test_forecasts_hold_no_truth_and_trials_are_kept(folder):
    record, arrays = artifacts.read_arrays(folder / "waves" / "split_1.npz")
    assert set(record["variants"]) == {"published", "distinct"}
    assert {name.rpartition(".")[2] for name in arrays} == {"scored", "mean", "sigma", "weights"}
    trials = artifacts.read_table(folder / "waves" / "split_1_trials.parquet")
    assert trials.groupby("variant").size().to_dict() == {"published": 5, "distinct": 5}


def test_every_look_at_test_rows_is_in_the_ledger(folder):
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    scores = artifacts.read_table(folder / "scores.parquet")
    assert len(lines) == len(scores) == 2 * 4 + 2 * 8
    assert {line["protocol"] for line in lines} == {"boston_0", "boston_1", "waves_0", "waves_1"}
    assert scores.equals(artifacts.read_table(folder / "pseudo.parquet"))


def test_table_and_figure_are_made(folder):
    page = (folder / "scorecard.md").read_text()
    assert "| boston |" in page
    assert "## Without duplicate rows" in page
    assert "each for training in searches" in page
    assert "<table>" in (folder / "scorecard.html").read_text()
    drawn = tabular.draw(artifacts.read_json(folder / "tabular.json"))
    assert style.footer(drawn) == "Data: made up · seed 8"
    assert [text.get_text() for text in drawn.axes[0].get_yticklabels()] == ["boston", "waves"]
    picture = image.imread(folder / "tabular.png")
    assert picture.shape[1] == 1420
    assert picture[..., :3].std() > 0.05
