"""Ranks, cores, nodes and GPUs of searches, here and on a cluster."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from podnas import config
from podnas.cluster import layout
from podnas.cluster.site import SearchSite, SiteConfig

ROOT = Path(__file__).parents[2]
EXPERIMENT = config.merge(ROOT / "config" / "config.yaml")
SRUN = "srun --mpi=pmi2 --no-kill --kill-on-bad-exit=0"


def site(**wide) -> SiteConfig:
    return SiteConfig(gpu_partition="gpu", searches=SearchSite(**wide))


def ranks_asked_for(number: int):
    search = EXPERIMENT.search.model_copy(update={"ranks": number})
    return EXPERIMENT.model_copy(update={"search": search})


def test_a_profile_of_a_cluster_says_which_scheduler_it_is() -> None:
    assert layout.scheduler(None) is None
    assert layout.scheduler({"mem_mb": SimpleNamespace(raw="1000")}) is None
    assert layout.scheduler({layout.MARK: SimpleNamespace(raw="'slurm'")}) == "slurm"


def test_without_a_scheduler_the_site_decides_nothing() -> None:
    wide = layout.search(site(ranks=8, gpus=1), ranks_asked_for(4), None)
    assert (wide.ranks, wide.cores, dict(wide.resources)) == (4, 4, {})
    assert layout.place(4, {}, 4) == layout.Place(4, 1)


def test_one_rank_is_no_mpi_job() -> None:
    wide = layout.search(site(cores=6), EXPERIMENT, "slurm")
    assert (wide.ranks, wide.cores, dict(wide.resources)) == (1, 6, {"tasks": 1})
    assert wide.on_a_node(32) == 1
    assert wide.memory(3000, 1) == {"mem_mb": 3000}


def test_ranks_over_nodes_with_a_gpu_each() -> None:
    wide = layout.search(site(ranks=8, nodes=2, cores=4, lanes=64, gpus=1), EXPERIMENT, "slurm")
    assert dict(wide.resources) == {
        "gpu": 8,
        "slurm_partition": "gpu",
        "tasks": 8,
        "mpi": f"{SRUN} --cpus-per-task=4 --nodes=1-2 --gpus-per-task=1",
        "slurm_extra": "--no-kill",
        "nodes": 2,
        "lanes": 64,
        "tasks_per_gpu": 1,
    }
    assert wide.on_a_node(32) == 4
    assert wide.memory(3000, 4) == {"mem_mb": 12_000, "mem_mb_per_cpu": 750}
    place = layout.place(wide.cores, {**wide.resources, "runtime": 90, layout.MARK: "slurm"}, EXPERIMENT.search.ranks)
    assert place == layout.Place(8, 4, 64, str(wide.resources["mpi"]), "slurm", 90)
    assert place.width(EXPERIMENT.search) == {"ranks": 8, "lanes": 64}


def test_the_experiments_ranks_run_by_the_scheduler_too() -> None:
    wide = layout.search(SiteConfig(), ranks_asked_for(4), "slurm")
    assert (wide.ranks, wide.by_scheduler) == (4, True)
    assert wide.resources["mpi"] == f"{SRUN} --cpus-per-task=2"
    place = layout.place(wide.cores, wide.resources, 4)
    assert place.width(EXPERIMENT.search) == {"ranks": 4, "lanes": EXPERIMENT.search.lanes}


@pytest.mark.parametrize(("cores", "together"), [(None, 8), (32, 8), (8, 2), (2, 1)])
def test_ranks_that_may_lie_anywhere_share_a_node_as_its_cores_allow(cores, together) -> None:
    assert layout.search(site(ranks=8, cores=4), EXPERIMENT, "slurm").on_a_node(cores) == together


def test_no_more_nodes_than_ranks() -> None:
    assert layout.search(site(ranks=2, nodes=4), EXPERIMENT, "slurm").resources["nodes"] == 2


@pytest.mark.parametrize("given", ["mpiexec --bind-to none", "/opt/bin/aprun"])
def test_another_launcher_is_left_as_it_is(given: str) -> None:
    assert layout.launcher(SiteConfig(launcher=given), 4, 2) == given


def test_members_are_shared_among_no_more_jobs_than_there_are() -> None:
    assert layout.shares(SiteConfig(retraining_jobs=40), EXPERIMENT, "slurm") == EXPERIMENT.ensemble.members
    assert layout.shares(SiteConfig(retraining_jobs=40), EXPERIMENT, None) == 1


def test_scripts_of_the_sites_scheduler_must_be_there() -> None:
    folder = ROOT / "profiles" / "generic"
    for known in ("sbatch", "qsub"):
        layout.check_scripts(SiteConfig(scheduler=known), folder)
    with pytest.raises(ValueError, match=r"scheduler of the site file is bsub, and .* has scripts for qsub, sbatch"):
        layout.check_scripts(SiteConfig(scheduler="bsub"), folder)


def test_forecasts_and_scores_of_a_protocol_are_one_group() -> None:
    for rule in ("ensemble", "complete_system"):
        assert layout.group(SiteConfig(), rule, "short") == "results-short"
    assert layout.GROUPS["score"].format(protocol="short") == "results-short"
    assert layout.group(SiteConfig(), "retrain", "short") is None


def test_all_of_a_refit_is_one_group_apart_from_its_protocols() -> None:
    for rule in layout.BY_ORIGIN:
        assert layout.group(SiteConfig(), rule, "rolling/1990") == "results-rolling-1990"
    # networks on GPUs have jobs of their own: forecasts would hold these for nothing
    assert layout.group(site(gpus=1), "retrain", "rolling/1990") is None
    assert layout.group(site(gpus=1), "ensemble", "rolling/1990") == "results-rolling-1990"
