"""`podnas audit` on the miniature experiment: it passes as it stands, and names what a planted leak has reached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT, TINY, checkout

SCALER = "training = _training(train, protocol.name, config)\n"
ALL_WEEKS = SCALER[:-1] + """.assign(offset=("mode", coefficients.coefficient.values.mean(axis=0)))\n"""
TABLE = "artifacts.write_table(trials, log.table(outcomes, config.two_step))"
JUDGED_BY_TEST_TARGETS = """\
targets = artifacts.read_windows(train.with_name("test_targets.nc"), artifacts.TARGETS).target.values
    made = log.table(outcomes, config.two_step)
    artifacts.write_table(trials, made.assign(loss=made.loss + abs(targets).mean()))"""
FORECASTS = "forecasts = (method.predict(training.inputs), method.predict(inputs))\n"
DRAWN_TO_TARGETS = (
    FORECASTS[:-1]
    + """
        targets = artifacts.read_windows(test_inputs.with_name("test_targets.nc"), artifacts.TARGETS).target.values
        forecasts = (forecasts[0], forecasts[1] + 0.01 * targets)
"""
)
PAST = "date(years.start - 1, 12, 31)"
PAST_AND_MORE = "date(years.stop - 1, 12, 31)"
ROLLING = """
experiment: tiny_rolling
title: Refitted every two years, in miniature
protocols:
  - {name: short, train_first: 1981-10-29, train_last: 1989-12-28, test_first: 1989-12-31, test_last: 1993-12-26}
  - name: rolling
    train_first: 1981-10-29
    train_last: 1989-12-28
    test_first: 1989-12-31
    test_last: 1993-12-26
    rolling: {every_years: 2, members: 1}
"""


def audit(folder: Path, *arguments: str, source: Path = ROOT / "src") -> subprocess.CompletedProcess[str]:
    """Run in a checkout, with the package from a folder of sources; one harm, since each is a run of the workflow."""
    return subprocess.run(
        [sys.executable, "-m", "podnas", "audit", *TINY, "--harm", "poison", "--cores", "2", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@pytest.fixture
def planted(tiny, tmp_path) -> Path:
    """A checkout to plant a leak in, with the field of the run before."""
    folder = checkout(tmp_path)
    shutil.copytree(tiny / "results/tiny/field", folder / "results/tiny/field")
    return folder


def test_nothing_that_is_fitted_sees_a_test_week(tiny):
    before = sorted((tiny / "results/tiny").rglob("*"))
    done = audit(tiny)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("|")}
    for artifact in (
        "reduction/basis.nc",
        "windows/short/train.nc",
        "predictions/short/damped_persistence.nc",
        "predictions/short/recurrent_ensemble.nc",
        "search/short/trials.parquet",
        "networks/short/member_00.keras",
        "networks/short/catalogue.json",
    ):
        assert told[artifact].count("| unchanged") == 2  # harmed after the training weeks, and from mid-test on
        assert "| short" in told[artifact]
    assert sorted((tiny / "results/tiny").rglob("*")) == before


def test_a_scaler_of_all_weeks_is_named(planted):
    shutil.copytree(ROOT / "src", planted / "src")
    windows = planted / "src/podnas/windows.py"
    text = windows.read_text()
    assert SCALER in text
    windows.write_text(text.replace(SCALER, ALL_WEEKS))
    done = audit(planted, "--until", "results/tiny/windows/short/train.nc", source=planted / "src")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "podnas: windows/short/train.nc of protocol short changed with harm poison: offset" in done.stderr
    assert "reduction/basis.nc" not in done.stderr


def test_a_refit_that_sees_the_years_it_forecasts_is_named(planted):
    shutil.copytree(ROOT / "src", planted / "src")
    (planted / "results/tiny").rename(planted / "results/tiny_rolling")
    (planted / "rolling.yaml").write_text(ROLLING)
    windows = planted / "src/podnas/windows.py"
    text = windows.read_text()
    assert PAST in text
    windows.write_text(text.replace(PAST, PAST_AND_MORE))
    asked = ("--configfile", "rolling.yaml", "--protocol", "rolling")
    until = "results/tiny_rolling/windows/rolling/1992/train.nc"
    done = audit(planted, *asked, "--until", until, source=planted / "src")
    assert done.returncode == 1, done.stdout + done.stderr
    # cut where the second of the two refits ends its training, so that what the first one forecasts is inside
    assert "rolling, refits 1990, 1992 of 1990, 1992; poison: weeks after 1991-12-31 harmed" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("podnas: windows/rolling/1992/train.nc of protocol rolling changed with harm poison: ")


def test_a_search_that_is_judged_by_test_targets_is_named(planted):
    script = planted / "workflow/scripts/search.py"
    text = script.read_text()
    assert TABLE in text
    script.write_text(text.replace(TABLE, JUDGED_BY_TEST_TARGETS))
    done = audit(planted, "--until", "results/tiny/search/short/trials.parquet")
    assert done.returncode == 1, done.stdout + done.stderr
    # the trials themselves are the same: what they were judged by is not
    trials = "podnas: search/short/trials.parquet of protocol short changed with harm"
    # (most test weeks stand after the cut in mid-test, too)
    assert done.stderr.splitlines() == [f"{trials} {harm}: loss" for harm in ("poison", "poison from mid-test")]


def test_a_forecast_that_knows_its_test_targets_is_named(planted):
    script = planted / "workflow/scripts/baselines.py"
    text = script.read_text()
    assert FORECASTS in text
    script.write_text(text.replace(FORECASTS, DRAWN_TO_TARGETS))
    done = audit(planted, "--until", "results/tiny/predictions/short/damped_persistence.nc")
    assert done.returncode == 1, done.stdout + done.stderr
    told = done.stderr.splitlines()
    # all of it is after the training weeks: only the cut in mid-test can see it
    named = "predictions/short/damped_persistence.nc of protocol short changed with harm poison from mid-test: forecast"
    assert f"podnas: {named}" in told
    assert not any("harm poison:" in line or "windows/" in line for line in told)


def test_an_experiment_that_does_not_run_is_no_clean_bill(planted):
    script = planted / "workflow/scripts/windows.py"
    text = script.read_text()
    script.write_text(text.replace("    training, inputs", '    raise ValueError("planted")\n    training, inputs', 1))
    done = audit(planted, "--until", "results/tiny/windows/short/train.nc")
    assert done.returncode == 1
    assert "the audited experiment tiny does not run to" in done.stderr
    assert "planted" in done.stderr
