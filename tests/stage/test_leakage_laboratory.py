"""Stage: the adaptors of the leakage laboratory, from coefficients to its table and its figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib import image

from podnas import artifacts, windows
from podnas.config import LeakageConfig, TrainingConfig
from tests.adaptors import adaptor
from tests.series import CONFIG, PROTOCOL, coefficients

ROOT = Path(__file__).parents[2]
LEAKAGE = LeakageConfig(weeks=60, architectures=2, epochs=1)
STAMP = {
    "experiment": "made_up",
    "coefficients": "made up",
    "protocol": "short",
    "train_period": "1990-01-07 to 1994-12-25",
    "test_period": "1995-01-01 to 1997-12-28",
    "seeds": "leakage 4",
}


def train(folder: Path) -> None:
    adaptor("leakage").main(
        folder / "coefficients.nc",
        folder / "train.nc",
        folder / "test_inputs.nc",
        (folder / "forecasts.nc", folder / "networks.json"),
        folder / "networks",
        LEAKAGE,
        PROTOCOL,
        TrainingConfig(batch_size=32, engine="kernels"),
        CONFIG,
        "code",
        1,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("laboratory")
    artifacts.write_coefficients(made / "coefficients.nc", coefficients())
    kinds = (artifacts.TRAINING, artifacts.INPUTS, artifacts.TARGETS)
    for name, part, kind in zip(
        ("train", "test_inputs", "test_targets"), windows.split(coefficients(), PROTOCOL, CONFIG), kinds, strict=True
    ):
        artifacts.write_windows(made / f"{name}.nc", part, kind)
    train(made)
    adaptor("leakage_score").main(
        made / "forecasts.nc",
        made / "networks.json",
        made / "train.nc",
        made / "test_targets.nc",
        (made / "leakage.json", made / "leakage.md", made / "leakage.html"),
        made / "ledger.jsonl",
        LEAKAGE,
        PROTOCOL,
        STAMP,
        "made up",
    )
    adaptor("figure_leakage").main(made / "leakage.json", made / "leakage.png")
    return made


def test_every_variant_is_scored_and_entered_in_the_ledger(folder):
    found = artifacts.read_json(folder / "leakage.json")
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    assert len(lines) == len(found["variants"]) == 8
    for line, one in zip(lines, found["variants"], strict=True):
        assert line["method"] == f"leakage:{one['variant']}"
        assert line["r2_mean_test"] == one["r2_mean"]["all"]
    assert "none enters a scorecard" in found["warning"]


def test_a_killed_laboratory_keeps_the_networks_that_it_has(folder):
    kept = folder / "networks" / "weeks_00.npz"
    lost = folder / "networks" / "clean_01.npz"
    before, when = (folder / "forecasts.nc").read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    train(folder)
    assert kept.stat().st_mtime_ns == when
    assert lost.exists()
    after = artifacts.read_leakage(folder / "forecasts.nc")
    (folder / "before.nc").write_bytes(before)
    assert (artifacts.read_leakage(folder / "before.nc").forecast == after.forecast).all()


def test_table_and_figure_are_made(folder):
    page = (folder / "leakage.md").read_text()
    assert "`weeks+scaler+split`" in page
    assert "1995-01-01 to 1997-12-28 (150 windows; 53 inside the leaked weeks, 90 after them)" in page
    picture = image.imread(folder / "leakage.png")
    assert picture.shape[1] == 1420
    assert picture.std() > 0
