"""AutoDEUQ in miniature, from archive to verification and figures; a second run does nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from podnas import artifacts
from tests.workflow.conftest import checkout, snakemake

EXPERIMENT = """
experiment: tiny_autodeuq
title: AutoDEUQ in miniature
windows: {validation_blocks: 3}
training: {head: gaussian, corrects: damped_persistence, dropout: 0.3, output_scale: 3}
search:
  algorithm: agebo
  trials: 4
  population: 2
  sample: 2
  epochs: 1
  bayes: {initial: 2}
  hyperparameters: {learning_rate: {low: 0.0003, high: 0.01, log: true}}
  two_step: null
uncertainty:
  candidates: 2
  epochs: 2
  sizes: [2]
  methods: [top_k, greedy, learned_likelihood]
  baselines: [climatology, damped_persistence]
  initialisations: 2
  passes: 2
verify: {regions: [], events: [], probes: []}
"""
RESULTS = Path("results/tiny_autodeuq")


def run(folder: Path, *arguments: str):
    files = ("--configfile", "config/experiments/tiny.yaml", "autodeuq.yaml")
    return snakemake(folder, "-c1", *arguments, *files, timeout=3000)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = checkout(tmp_path_factory.mktemp("autodeuq"))
    (folder / "autodeuq.yaml").write_text(EXPERIMENT)
    done = run(folder)
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def test_the_verification_has_every_forecast_with_its_provenance(made):
    found = json.loads((made / RESULTS / "verification.json").read_text())["short"]
    assert set(found["forecasts"]) == {
        "complete", "ensemble", "best_candidate", "best_network", "deep_ensemble", "mc_dropout",
        "climatology", "damped_persistence",
    }  # fmt: skip
    assert len(found["spread_skill_by_lead"]["value"]) == 4
    assert "damped_persistence" in found["stamp"]["experiment"]
    page = (made / RESULTS / "verification.md").read_text()
    assert f"{found['crps']['value']:.4f}" in page
    for name in ("verification.json", "uncertainty/short/forecasts/complete.nc"):
        assert (made / RESULTS / f"{name}.provenance.json").exists()


def test_the_ensemble_is_what_the_selection_says(made):
    folder = made / RESULTS / "uncertainty/short"
    chosen = json.loads((folder / "selection.json").read_text())["forecasts"]["ensemble"]["weights"]
    forecast = artifacts.read_probabilistic(folder / "forecasts/ensemble.nc")
    for name, weight in chosen.items():
        mine = [str(member).startswith(f"{name}:") for member in forecast.member.values]
        assert sum(mine) == 3
        np.testing.assert_allclose(forecast.weight.values[mine].sum(), weight, rtol=1e-6)


def test_the_ledger_has_one_look(made):
    lines = [json.loads(line) for line in (made / RESULTS / "ledger.jsonl").read_text().splitlines()]
    assert len({line["time"] for line in lines}) == 1


def test_a_second_run_does_nothing(made):
    done = run(made, "-n")
    assert "Nothing to be done" in done.stdout, done.stdout[-3000:]
