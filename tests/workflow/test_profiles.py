"""Profiles of clusters: what is in force as typed, how many jobs are submitted, what is refused before any is."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_args

from podnas import locks
from podnas.cluster import layout, slurm
from tests import fake_slurm
from tests.workflow.conftest import ROOT, TINY, checkout, snakemake

EXECUTOR_NEUTRAL = {"rerun-triggers", "printshellcmds", "rerun-incomplete", "benchmark-extended"}
EIGHT = sorted(["data", "baselines", *["search", "retrain"] * 2, "results-short", "results-long"])
WIDE = """
account: climate
partition: main
poll_seconds: 5
together: 3
retraining_jobs: 4
gpu_partition: gpu
searches: {ranks: 8, nodes: 2, cores: 4, lanes: 16, gpus: 1}
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("fresh"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """No SLURM on the path and the neutral site file; a function that writes another and starts a fake SLURM."""
    monkeypatch.delenv("PODNAS_SITE", raising=False)
    monkeypatch.setenv("PATH", fake_slurm.without_slurm(tmp_path))

    def settings(text: str, **said) -> None:
        (tmp_path / "site.yaml").write_text(text)
        monkeypatch.setenv("PODNAS_SITE", str(tmp_path / "site.yaml"))
        monkeypatch.setenv("PATH", fake_slurm.answering(tmp_path, **said))

    yield settings
    slurm.forget()


def effective(*arguments: str):
    """Settings of Snakemake with all profiles laid over one another, as it parses them itself."""
    slurm.forget()
    return parse_args([*arguments, "-n"])[1]


def jobs(folder: Path, *arguments: str) -> list[str]:
    """Names of what a run would submit: rules, and groups of rules that run together."""
    done = snakemake(folder, *arguments, "-n", "--cores", "8")
    assert done.returncode == 0, done.stdout[-3000:]
    planned = done.stdout.partition("Job stats:")[2]
    submitted, group = [], False
    for line in planned.splitlines():
        if line.startswith("["):
            group = "Group job" in line
            submitted += re.findall(r"Group job ([\w-]+)", line)
        elif not line.strip():
            continue
        elif (found := re.match(r"(?:rule|localrule) (\w+):", line)) and not group:
            submitted.append(found[1])
    return sorted(name for name in submitted if name != "all")


def test_the_default_profile_is_executor_neutral() -> None:
    given = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    assert set(given) == EXECUTOR_NEUTRAL


def test_settings_in_force_with_the_slurm_profile(here, fresh, monkeypatch) -> None:
    monkeypatch.chdir(fresh)
    here(WIDE)
    given = effective("--profile", "slurm")
    assert given.executor == "slurm"
    assert given.jobs == 100
    assert given.retries == 2
    assert given.rerun_incomplete
    assert given.benchmark_extended
    assert given.slurm_status_command == "squeue"
    assert given.slurm_init_seconds_before_status_checks == 5
    assert given.slurm_status_attempts == 900
    assert given.max_status_checks_per_second == 1
    assert given.slurm_requeue
    assert given.slurm_efficiency_report
    assert given.slurm_jobname_prefix == f"podnas-{locks.name()}"
    assert given.slurm_array_jobs.split(",") == list(layout.ARRAYS)
    defaults = {name: given.default_resources[name].raw for name in given.default_resources}
    assert defaults["scheduler"] == "slurm"
    assert (defaults["slurm_account"], defaults["slurm_partition"]) == ("'climate'", "'main'")
    assert given.resources["beside"].value == 1  # of a group, one job at a time
    assert given.local_cores == 2
    assert {"mtime", "params", "input", "software-env"} == {str(trigger) for trigger in given.rerun_triggers}


def test_settings_follow_what_slurm_has(here, fresh, monkeypatch) -> None:
    monkeypatch.chdir(fresh)
    here(WIDE, accounting="accounting_storage/none", enforce="none")
    given = effective("--profile", "slurm")
    assert given.slurm_status_command == "squeue"
    assert given.slurm_efficiency_report is not True  # it reads the accounting database
    assert "slurm_account" not in given.default_resources  # Snakemake would ask that database whether it exists
    here(WIDE, age=60)
    assert effective("--profile", "slurm").slurm_status_command == "sacct"


def test_the_default_experiment_submits_eight_jobs(here, fresh) -> None:
    """Data and baselines; search, retraining and results of each of two protocols."""
    submitted = [name for name in jobs(fresh, "--profile", "slurm") if name not in layout.LIGHT]
    assert submitted == EIGHT


def test_light_rules_are_submitted_together_where_login_nodes_take_no_work(here, fresh) -> None:
    here("account: climate\nlight_rules: submitted\n")
    assert jobs(fresh, "--profile", "slurm") == sorted([*EIGHT, "results"])


def test_systems_and_refits_are_submitted_in_few_jobs(here, fresh) -> None:
    """A refit is a job or two, from networks to forecasts; a group that depended on itself would be an error."""
    submitted = jobs(fresh, "--profile", "slurm", "--configfile", "config/experiments/sst_thorough.yaml")
    refits = [f"results-rolling-{year}" for year in range(1990, 2019)]
    # pure networks, which the complete system does without, are apart from the others
    assert [name for name in submitted if name.startswith("results-rolling-")] == sorted(refits * 2)
    assert {"results-short", "results-long", "results-rolling"} <= set(submitted)
    once = [name for name in submitted if name not in {*layout.LIGHT, *refits}]
    # three systems of networks in two protocols; two rules of baselines at 31 origins, four in a job
    assert (once.count("search"), once.count("retrain"), once.count("baselines")) == (6, 6, 16)
    assert len(once) == 6 + 6 + 16 + 3 + 1


def test_every_rule_is_light_or_in_a_group_or_a_job_of_its_own() -> None:
    files = (ROOT / "workflow" / "rules").glob("*.smk")
    rules = {rule for file in files for rule in re.findall(r"rule (\w+):", file.read_text())}
    alone = {"search", "retrain_share", "transfer", "coarse", "download", "daymet_twin", "field_forecast"}
    alone |= {"leakage", "judged_search", "judged_ablation", "tabular_search", "outlook_search", "outlook_forecast"}
    alone |= {"classify"}
    alone |= {"candidates", "comparators", "selection", "mixture", "probabilistic_score", "spread_maps"}
    targets = {"fitted"}  # without jobs
    kinds = [layout.GROUPS.keys(), layout.LIGHT.keys(), layout.BY_ORIGIN, alone, targets]
    assert set().union(*kinds) == rules
    assert sum(map(len, kinds)) == len(rules)  # each is of one kind


def test_wide_searches_and_shared_retraining(here, fresh) -> None:
    here(WIDE)
    done = snakemake(fresh, "--profile", "slurm", "-n", "--cores", "8", "results/sst/networks/short/catalogue.json")
    assert done.returncode == 0, done.stdout[-3000:]
    (search,) = re.findall(r"rule search:.*?resources: (.*?)\n", done.stdout, flags=re.DOTALL)
    for part in ("tasks=8", "nodes=2", "lanes=16", "gpu=8", "tasks_per_gpu=1", "slurm_partition=gpu", "mpi=srun"):
        assert part in search
    assert "--cpus-per-task=4 --nodes=1-2 --gpus-per-task=1" in search
    assert done.stdout.count("rule retrain_share:") == 4


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ("partition: nosuch\naccount: climate", "partition is nosuch, but there is no partition nosuch here"),
        ("account: chemistry", "account is chemistry, but user"),
        ("account: climate\nmost_memory_mb: 999999", "set it to 128000 or null"),
        ("account: climate\nsearches: {rank: 2}", "did you mean searches.ranks?"),
        ("account: climate\nstatus: sacct", "Snakemake would wait for ever"),
    ],
)
def test_a_wrong_site_is_refused_before_any_job(here, fresh, site, words) -> None:
    here(site, accounting="accounting_storage/none" if "sacct" in site else "accounting_storage/slurmdbd")
    done = snakemake(fresh, "--profile", "slurm", *TINY)
    assert done.returncode != 0
    assert words in done.stdout
    assert not (fresh / "results" / "tiny").exists()


def test_more_memory_than_a_node_has_is_refused_before_any_job(here, fresh) -> None:
    here("account: climate", nodes="main*|up|1:00:00|4|2000|(null)|2\n")
    done = snakemake(fresh, "--profile", "slurm", *TINY)
    assert done.returncode != 0
    refused = r"rule \w+ asks for \d+ MB, but a job may have 2000 MB on a node of its partition; lower"
    assert re.search(refused, done.stdout), done.stdout[-3000:]
    assert not (fresh / "results" / "tiny").exists()


@pytest.mark.parametrize(
    ("site", "nodes", "words"),
    [
        # asked for by a job that comes after others
        (
            "searches: {cores: 3, ranks: 4, nodes: 1}",
            "16|8000",
            "rule search asks for 11600 MB, but a job may have 8",
        ),
        ("", "1|64000", r"rule \w+ asks for 2 cores on a node, but a job may have 1"),
        ("most_minutes: 20", "16|64000", "minutes in all, but a job may run for 20; choose a partition with a longer"),
        ("jobs: 3\nretraining_jobs: 2", "16|64000", "of rule retrain_share, as a job array, .* set jobs to"),
    ],
)
def test_what_no_first_job_shows_is_refused_before_any_is_submitted(here, fresh, tmp_path, site, nodes, words) -> None:
    here(f"account: climate\n{site}\n", nodes=f"main*|up|1:00:00|{nodes}|(null)|2\n")
    fake_slurm.program(tmp_path, "sbatch", f"echo submitted >> {tmp_path}/submitted; echo 17")
    many = ("--config", "ensemble={members: 2}", "search={trials: 4}") if "retraining_jobs" in site else ()
    done = snakemake(fresh, "--profile", "slurm", *TINY, *many)
    assert done.returncode != 0
    assert re.search(words, done.stdout), done.stdout[-3000:]
    assert not (tmp_path / "submitted").exists()


def test_without_slurm_a_run_says_where_to_start_it(here, fresh) -> None:
    done = snakemake(fresh, "--profile", "slurm", *TINY)
    assert done.returncode != 0
    assert "sbatch, which is not on the path here: start on a login node" in done.stdout


def test_scripts_of_the_generic_profile_hand_on_what_is_asked(tmp_path, monkeypatch) -> None:
    fake_slurm.program(tmp_path, "sbatch", 'echo "$@" > asked; echo "17;test"')
    fake_slurm.program(tmp_path, "qsub", 'echo "$@" > asked; cat > script; echo 18.head')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    scripts = ROOT / "profiles" / "generic"
    wide = ["podnas-search", "4", "12000", "90", "8", "2", "8", "gpu", "climate", "-", "job.sh"]
    assert run(scripts / "sbatch" / "submit", *wide, folder=tmp_path) == "17"
    asked = (tmp_path / "asked").read_text()
    for words in ("--mem 12000M", "--ntasks 8 --cpus-per-task 4", "--nodes 2", "--gpus 8", "--no-kill", "job.sh"):
        assert words in asked
    assert "--qos" not in asked
    assert run(scripts / "qsub" / "submit", *wide, folder=tmp_path) == "18.head"
    asked = (tmp_path / "asked").read_text()
    assert "select=2:ncpus=16:mpiprocs=4:mem=12000mb:ngpus=4" in asked
    assert "walltime=5400" in asked
    assert "sh 'job.sh'" in (tmp_path / "script").read_text()


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("COMPLETED", "success"),
        ("RUNNING", "running"),
        ("PENDING", "running"),
        ("TIMEOUT", "failed"),
        ("OUT_OF_MEMORY", "failed"),
    ],
)
def test_states_of_sbatch_jobs(tmp_path, monkeypatch, state, answer) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fake_slurm.program(tmp_path, "scontrol", f"echo 'JobId=7 JobName=x JobState={state} Reason=None'")
    assert run(ROOT / "profiles" / "generic" / "sbatch" / "status", "7", folder=tmp_path) == answer


def test_a_job_is_running_while_nobody_answers(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fake_slurm.program(tmp_path, "scontrol", "exit 1")
    fake_slurm.program(tmp_path, "qstat", "exit 1")
    for scheduler in ("sbatch", "qsub"):
        assert run(ROOT / "profiles" / "generic" / scheduler / "status", "7", folder=tmp_path) == "running"


@pytest.mark.parametrize(
    ("state", "status", "answer"), [("R", "", "running"), ("F", "0", "success"), ("F", "1", "failed")]
)
def test_states_of_qsub_jobs(tmp_path, monkeypatch, state, status, answer) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ended = f"; echo '    Exit_status = {status}'" if status else ""
    fake_slurm.program(tmp_path, "qstat", f"echo '    job_state = {state}'{ended}")
    assert run(ROOT / "profiles" / "generic" / "qsub" / "status", "7", folder=tmp_path) == answer


@pytest.mark.parametrize(
    ("ends", "answer"), [("exit 0", "success"), ("exit 3", "failed"), ('kill -9 "$PPID"', "failed")]
)
def test_a_qsub_job_that_is_forgotten_is_judged_by_what_it_left(tmp_path, monkeypatch, ends, answer) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    # the job runs at once, and the server keeps no history, as most do
    fake_slurm.program(tmp_path, "qsub", "cat > whole; PBS_JOBID=18.head sh whole; echo 18.head")
    fake_slurm.program(tmp_path, "qstat", 'test "$1" = -B')
    fake_slurm.program(tmp_path, "sleep", ":")
    (tmp_path / "job.sh").write_text(f"#!/bin/sh\n{ends}\n")
    scripts = ROOT / "profiles" / "generic" / "qsub"
    asked = ["podnas-search", "1", "500", "10", "1", "-", "-", "-", "-", "-", str(tmp_path / "job.sh")]
    assert run(scripts / "submit", *asked, folder=tmp_path) == "18.head"
    assert run(scripts / "status", "18.head", folder=tmp_path) == answer


def run(script: Path, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [str(script), *arguments], cwd=folder, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_slurm_profile_stands_in_the_root_by_a_link() -> None:
    assert (ROOT / "slurm").resolve() == ROOT / "profiles" / "slurm"
