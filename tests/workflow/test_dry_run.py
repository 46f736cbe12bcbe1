"""Every experiment file plans its jobs; profiles work as typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fake_slurm
from tests.workflow.conftest import ROOT, TINY, checkout, snakemake

EXPERIMENTS = sorted((ROOT / "config" / "experiments").glob("*.yaml"))
LABORATORY = ROOT / "config" / "experiments" / "leakage.yaml"
JUDGED = ROOT / "config" / "experiments" / "judged.yaml"
TABULAR = tuple(ROOT / "config" / "experiments" / f"{name}.yaml" for name in ("uci", "uci_full"))
OUTLOOK = ROOT / "config" / "experiments" / "outlook.yaml"
AUTODEUQ = [ROOT / "config" / "experiments" / f"autodeuq_{name}.yaml" for name in ("sst", "indian_ocean")]
EVENTS, HEATWAVES = (ROOT / "config" / "experiments" / f"{name}.yaml" for name in ("events", "heatwaves"))
ALONE = (LABORATORY, JUDGED, OUTLOOK, EVENTS, HEATWAVES, *AUTODEUQ, *TABULAR)  # studies with plans of their own


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = checkout(tmp_path_factory.mktemp("fresh"))
    # what another experiment has made before: a dry run asks only whether it is there
    catalogue = folder / "results/sst/networks/long/catalogue.json"
    catalogue.parent.mkdir(parents=True)
    catalogue.write_text("{}")
    return folder


@pytest.mark.parametrize(
    "experiment",
    [
        None,
        *(
            file
            for file in EXPERIMENTS
            if file not in (LABORATORY, JUDGED, OUTLOOK, EVENTS, HEATWAVES, *AUTODEUQ, *TABULAR)
        ),
    ],
    ids=lambda file: file.stem if file else "default",
)
def test_every_experiment_plans_its_jobs(fresh, experiment):
    given = ("--configfile", str(experiment)) if experiment else ()
    done = snakemake(fresh, "-n", *given)
    if done.returncode and "set PODNAS_DATA" in done.stdout:
        pytest.skip("real data not found: set PODNAS_DATA")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "This was a dry-run" in done.stdout
    for rule in ("field", "pod", "windows", "baselines", "search", "retrain", "ensemble", "score", "scorecard"):
        assert f"rule {rule}:" in done.stdout


def test_the_laboratory_plans_its_table_and_no_scorecard(fresh):
    planned = snakemake(fresh, "-n", "--configfile", str(LABORATORY)).stdout
    for rule in ("windows", "leakage", "leakage_score", "figure_leakage"):
        assert f"rule {rule}:" in planned
    for rule in ("score", "scorecard", "search", "baselines"):
        assert f"rule {rule}:" not in planned


def test_judged_searches_plan_their_table_and_read_no_test_week(fresh, tmp_path):
    planned = snakemake(fresh, "-n", "--configfile", str(JUDGED)).stdout
    for rule in ("windows", "judged_search", "judged_ablation", "judged_score", "figure_judged"):
        assert f"rule {rule}:" in planned
    for rule in ("score", "scorecard", "search", "baselines"):
        assert f"rule {rule}:" not in planned
    read = [line for line in planned.splitlines() if line.strip().startswith("input:") and "judged" in line]
    assert read
    assert not any("test_" in line for line in read)
    over = tmp_path / "searches_only.yaml"
    over.write_text("experiment: searches_only\njudged: {ablation: null}\n")
    searches_only = snakemake(fresh, "-n", "--configfile", str(JUDGED), str(over)).stdout
    assert "rule judged_score:" in searches_only
    assert "rule judged_ablation:" not in searches_only


@pytest.mark.parametrize(("experiment", "splits"), [(TABULAR[0], 25), (TABULAR[1], 165)], ids=["minutes", "full"])
def test_the_tabular_benchmark_plans_a_job_a_split(fresh, experiment, splits):
    done = snakemake(fresh, "-n", "--configfile", str(experiment), PODNAS_DATA="")
    # the sets are not at hand: their downloads are planned, one each
    assert done.stdout.count("rule tabular_download:") == (5 if splits == 25 else 9), done.stdout[-3000:]
    assert done.stdout.count("rule tabular_search:") == splits, done.stdout[-3000:]
    for rule in ("tabular_score", "tabular_scorecard", "figure_tabular"):
        assert done.stdout.count(f"rule {rule}:") == 1
    for rule in ("score", "scorecard", "search", "field"):
        assert f"rule {rule}:" not in done.stdout


def test_the_outlook_plans_its_pages_and_leaves_the_sealed_weeks_closed(fresh, tmp_path):
    planned = snakemake(fresh, "-n", "--configfile", str(OUTLOOK)).stdout
    for rule in ("index", "latest_windows", "outlook_search", "outlook_forecast", "outlook_score", "outlook"):
        assert f"rule {rule}:" in planned
    for rule in ("score", "scorecard", "search", "baselines", "field", "pod"):
        assert f"rule {rule}:" not in planned
    assert "sealed" not in planned
    closed = snakemake(fresh, "-n", "results/outlook/sealed.md", "--configfile", str(OUTLOOK))
    assert closed.returncode != 0
    assert "No rule to produce results/outlook/sealed.md" in closed.stdout
    over = tmp_path / "open.yaml"
    over.write_text("experiment: outlook\noutlook: {open_sealed: true}\n")
    opened = snakemake(fresh, "-n", "results/outlook/sealed.md", "--configfile", str(OUTLOOK), str(over)).stdout
    assert "results/outlook/windows/sealed/test_targets.nc" in opened
    # even then it is made only where it is asked for
    assert "sealed" not in snakemake(fresh, "-n", "--configfile", str(OUTLOOK), str(over)).stdout


@pytest.mark.parametrize("experiment", AUTODEUQ, ids=lambda file: file.stem)
def test_autodeuq_plans_its_ensembles_and_no_scorecard(fresh, experiment):
    done = snakemake(fresh, "-n", "--configfile", str(experiment))
    if done.returncode and "set PODNAS_DATA" in done.stdout:
        pytest.skip("real data not found: set PODNAS_DATA")
    assert done.returncode == 0, done.stdout[-3000:]
    rules = ("search", "candidates", "gaussian_baselines", "comparators", "selection", "mixture", "probabilistic_score")
    for rule in (*rules, "verification", "figure_fan", "figure_calibration", "figure_spread_skill", "figure_ensembles"):
        assert f"rule {rule}:" in done.stdout
    assert ("rule spread_maps:" in done.stdout) == ("indian_ocean" in experiment.stem)
    for rule in ("score", "scorecard", "retrain", "ensemble"):
        assert f"rule {rule}:" not in done.stdout
    reads = [line for line in done.stdout.splitlines() if line.strip().startswith("input:") and "test_targets" in line]
    assert len(reads) == done.stdout.count("rule probabilistic_score:")


def test_events_plan_their_table(fresh):
    planned = snakemake(fresh, "-n", "--configfile", str(EVENTS)).stdout
    for rule in ("index", "windows", "classify", "classified_score", "figure_classified"):
        assert f"rule {rule}:" in planned
    for rule in ("score", "scorecard", "search", "baselines", "outlook"):
        assert f"rule {rule}:" not in planned


def test_heatwaves_plan_their_table_from_the_field(fresh):
    done = snakemake(fresh, "-n", "--configfile", str(HEATWAVES))
    if done.returncode and "set PODNAS_DATA" in done.stdout:
        pytest.skip("real data not found: set PODNAS_DATA")
    assert done.returncode == 0, done.stdout[-3000:]
    for rule in ("field", "regional", "windows", "classify", "classified_score", "figure_classified"):
        assert f"rule {rule}:" in done.stdout
    for rule in ("index", "pod", "score", "scorecard", "search", "baselines"):
        assert f"rule {rule}:" not in done.stdout
    # what networks learn from is asked of no week after their training
    inputs = [line for line in done.stdout.splitlines() if line.strip().startswith("input:")]
    assert sum("regional/coefficients.nc" in line for line in inputs) == 2  # windows and the score


def test_the_slurm_profile_works_as_typed_where_no_slurm_is_installed(fresh, tmp_path):
    done = snakemake(fresh, "--profile", "slurm", "-n", *TINY, PATH=fake_slurm.without_slurm(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:]
    assert "scheduler=slurm" in done.stdout
    assert "mem_mb=2500" in done.stdout


def test_an_unknown_key_is_refused_before_any_job(fresh):
    done = snakemake(fresh, "-n", "--config", "ensembles={}")
    assert done.returncode != 0
    assert "ensembles: unknown key; did you mean ensemble?" in done.stdout


@pytest.mark.parametrize("activated", [False, True], ids=["as .venv/bin/snakemake", "activated"])
def test_rules_use_the_running_interpreter(tmp_path, activated):
    folder = checkout(tmp_path)
    # a python that only fails stands first on the PATH
    decoy = tmp_path / "decoy"
    decoy.mkdir()
    for name in ("python", "python3"):
        (decoy / name).write_text("#!/bin/sh\nexit 42\n")
        (decoy / name).chmod(0o755)
    target = "results/tiny/archive/lsmask.nc"
    bin_folder = Path(sys.executable).parent
    command = f"{bin_folder / 'snakemake'} -c1 {target} {' '.join(TINY)}"
    path = f"{decoy}:/usr/bin:/bin"
    if activated:
        command = f"PATH={path}; . {bin_folder / 'activate'}; snakemake -c1 {target} {' '.join(TINY)}"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / target).exists()


def test_a_results_folder_that_is_a_file_is_named(tmp_path):
    folder = checkout(tmp_path)
    (folder / "results").write_text("in the way")
    done = snakemake(folder, "-n", *TINY)
    assert done.returncode != 0
    assert "results/tiny cannot be a folder" in done.stdout


def test_an_experiment_file_that_does_not_name_its_experiment_is_refused(fresh, tmp_path):
    nameless = tmp_path / "nameless.yaml"
    nameless.write_text("search: {trials: 20}\n")
    done = snakemake(fresh, "-n", "--configfile", str(nameless))
    assert done.returncode != 0
    assert "has no key `experiment`" in done.stdout
    assert snakemake(fresh, "-n", "--config", "search={trials: 500}").returncode == 0
