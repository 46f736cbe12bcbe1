"""Stage: the adaptor of the rule `costs` on benchmark files of jobs, runs and refits."""

from pathlib import Path

import pandas as pd
import pytest

from tests.adaptors import adaptor

ROOT = Path(__file__).parents[2]


def main(*paths):
    adaptor("costs").main(*paths)


def test_refits_of_a_rolling_protocol_are_one_job(tmp_path):
    measured = {
        "search_short": (10, 20, 100),
        "search_short/recurrent_anomaly": (1, 2, 300),
        "retrain_rolling/1990": (3, 4, 500),
        "retrain_rolling/1991": (5, 6, 400),
        "retrain_rolling/1990/recurrent_anomaly": (7, 8, 50),
        "ensemble_rolling/1990.recurrent": (1, 1, 10),
    }
    for job, (seconds, cpu, memory) in measured.items():
        file = tmp_path / "benchmarks" / f"{job}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\tmax_rss\tcpu_time\n{seconds}\t{memory}\t{cpu}\n")
    main(tmp_path / "benchmarks", tmp_path / "costs.csv", tmp_path / "costs.html")
    table = pd.read_csv(tmp_path / "costs.csv").set_index("job")
    assert set(table.index) == {
        "search_short", "search_short/recurrent_anomaly", "retrain_rolling", "retrain_rolling/recurrent_anomaly",
        "ensemble_rolling",
    }  # fmt: skip
    assert table.loc["retrain_rolling"].tolist() == pytest.approx([8, 10, 500])
    assert table.loc["search_short", "wall_seconds"] == 10
