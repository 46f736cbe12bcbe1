"""The miniature experiment from archive to figures, and what a user does with it afterwards."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from tests.workflow.conftest import ROOT, TINY, snakemake

NAMED = [
    "climatology",
    "persistence",
    "damped_persistence",
    "least_squares",
    "seasonal_ridge",
    "linear_inverse_model",
    "mean_linear",
    "random_forest",
    "xgboost",
    "lstm_8",
    "recurrent_ensemble",
]


def test_all_artifacts_are_made_with_provenance_beside_them(tiny):
    results = tiny / "results" / "tiny"
    made = [path for path in results.rglob("*") if path.suffix in (".nc", ".parquet", ".png", ".csv", ".md")]
    assert len(made) > 40
    for path in made:
        record = json.loads(path.with_name(path.name + ".provenance.json").read_text())
        assert record["artifact"] == path.name
        assert record["code"]
        assert record["packages"]["numpy"] == np.__version__
    search = json.loads((results / "search/short/trials.parquet.provenance.json").read_text())
    assert search["seeds"] == {"config.seed": 0}
    assert re.fullmatch("[0-9a-f]{64}", search["inputs"]["results/tiny/windows/short/train.nc"])


def test_nothing_is_left_half_written(tiny):
    assert not [path for path in (tiny / "results").rglob(".*") if path.is_file() and ".snakemake" not in str(path)]


def test_a_second_run_does_nothing(tiny):
    done = snakemake(tiny, "-c2", *TINY)
    assert "Nothing to be done" in done.stdout


def test_scorecard_has_every_method_with_every_score(tiny):
    entries = json.loads((tiny / "results/tiny/scorecard.json").read_text())
    assert {entry["method"] for entry in entries} >= set(NAMED)
    for entry in entries:
        assert set(entry) >= {
            "method", "protocol", "r2_mean_train", "r2_mean_test", "r2_pooled_test", "skill_clim_test", "source",
        }  # fmt: skip
        assert entry["protocol"] == "short"
        assert np.isfinite(entry["r2_mean_test"])


def test_scores_can_be_recomputed_from_the_forecast_files(tiny):
    entries = json.loads((tiny / "results/tiny/scorecard.json").read_text())
    for entry in entries:
        forecast = xr.open_dataset(tiny / "results/tiny/forecasts/short" / f"{entry['method']}.nc")
        assert forecast.forecast.dims == forecast.truth.dims == ("init_time", "lead", "mode")
        residual = ((forecast.forecast - forecast.truth) ** 2).sum("init_time")
        total = ((forecast.truth - forecast.truth.mean("init_time")) ** 2).sum("init_time")
        assert float((1 - residual / total).mean()) == pytest.approx(entry["r2_mean_test"], abs=1e-9)


def test_forecasts_know_their_times(tiny):
    forecast = xr.open_dataset(tiny / "results/tiny/forecasts/short/climatology.nc")
    lead = forecast.lead.values * np.timedelta64(7, "D")
    assert (forecast.valid_time.values == forecast.init_time.values[:, None] + lead).all()


def test_every_look_at_test_targets_is_in_the_ledger(tiny):
    lines = [json.loads(line) for line in (tiny / "results/tiny/ledger.jsonl").read_text().splitlines()]
    assert {line["method"] for line in lines} >= set(NAMED)
    page = (tiny / "results/tiny/scorecard.md").read_text()
    assert "were read 1 time(s)" in page


def test_costs_name_every_rule(tiny):
    costs = pd.read_csv(tiny / "results/tiny/costs.csv")
    assert {"archive", "field", "pod", "search_short", "retrain_short", "score_short"} <= set(costs.job)
    assert (costs.peak_memory_mb > 0).all()
    # the default experiment must peak below 6 GB; the miniature has no excuse
    assert costs.peak_memory_mb.max() < 6000


def test_the_report_opens_offline(tiny):
    report = tiny / "report.html"
    done = snakemake(tiny, "--report", str(report), *TINY)
    assert done.returncode == 0, done.stdout[-3000:]
    text = report.read_text()
    assert "Scores" in text
    # nothing is fetched: no script, style, font or image by address
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?://", text)


def test_fields_are_made_on_demand(tiny):
    target = "results/tiny/fields/short/climatology_lead2.nc"
    done = snakemake(tiny, "-c1", target, *TINY)
    assert done.returncode == 0, done.stdout[-3000:]
    field = xr.open_dataset(tiny / target)
    assert field.sst.dims == ("init_time", "lat", "lon")
    assert 10 < float(field.sst.mean()) < 25


def test_a_single_figure_can_be_made_again(tiny):
    target = tiny / "results/tiny/figures/spectrum.png"
    target.unlink()
    done = snakemake(tiny, "-c2", "results/tiny/figures/spectrum.png", *TINY)
    assert done.returncode == 0, done.stdout[-3000:]
    assert target.stat().st_size > 10_000
    assert "1 of 1 steps" in done.stdout


def test_only_one_rule_reads_test_targets():
    rules = "".join(file.read_text() for file in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    readers = re.findall(r"rule (\w+):(?:(?!\n *rule ).)*?input:(?:(?!output:).)*?test_targets\.nc", rules, re.DOTALL)
    # the leakage laboratory reads them on purpose, and nothing of it is an input of another rule; the records of
    # studies of an index are no inputs either, but of the outlook's page
    assert readers == ["classified_score", "leakage_score", "outlook_score", "probabilistic_score", "score"]


def test_a_changed_setting_reruns_only_what_depends_on_it(tiny):
    config = yaml.safe_load((tiny / "config/experiments/tiny.yaml").read_text())
    config["ensemble"]["epochs"] = 3
    changed = tiny / "changed.yaml"
    changed.write_text(yaml.safe_dump(config))
    planned = snakemake(tiny, "-n", "--configfile", str(changed)).stdout
    assert "rule retrain:" in planned
    assert "rule score:" in planned
    for untouched in ("archive", "field", "pod", "windows", "baselines", "search"):
        assert f"rule {untouched}:" not in planned


def test_edited_code_reruns_only_what_depends_on_it(tiny):
    script = tiny / "workflow/scripts/baselines.py"
    before = script.read_text()
    try:
        script.write_text(before.replace("def main(", "UNUSED = 1\n\n\ndef main("))
        planned = snakemake(tiny, "-n", *TINY).stdout
        assert "rule baselines:" in planned
        assert "rule search:" not in planned
        script.write_text(before.replace('"""Rule', '"""A rule, `baselines`. Rule'))
        planned = snakemake(tiny, "-n", *TINY).stdout
        assert "rule search:" not in planned
    finally:
        script.write_text(before)
