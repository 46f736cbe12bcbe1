"""How many processes, cores, nodes and GPUs the jobs of an experiment get, here and on a cluster."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podnas.cluster.site import SiteConfig
from podnas.config import ExperimentConfig, SearchConfig

MARK = "scheduler"  # default resource by which a cluster's profile says so, and which scheduler it is

# rules whose jobs are submitted together where one makes what another needs, and the names of these groups
GROUPS = {
    "archive": "data",
    "field": "data",
    "pod": "data",
    "released": "data",
    "daymet_basis": "data",
    "baselines": "baselines",
    "manual_networks": "baselines",
    "rolling": "results-{protocol}",
    "score": "results-{protocol}",
    "differences": "results-{protocol}",
}
# rules whose group follows from the origin of the job, which may be a refit of a rolling protocol (`group`)
BY_ORIGIN = ("retrain", "ensemble", "complete_system")
REFIT = "/"  # stands in the names of refits (runs.py), and of no other origin
# rules of a few seconds, and their group where they are submitted
LIGHT = {
    "agreement": "data",
    "daymet_coefficients": "data",
    "windows": "data",
    "refit": "refits",
    "two_step": "results-{protocol}",
    "scorecard": "results",
    "costs": "results",
    "transfer_score": "results-{protocol}",
    "leakage_score": "results",
    "figure_leakage": "results",
    "judged_score": "results",
    "figure_judged": "results",
    "tabular_download": "data",
    "tabular_score": "results",
    "tabular_scorecard": "results",
    "figure_tabular": "results",
    "index": "data",
    "regional": "data",
    "latest_windows": "data",
    "outlook_score": "results",
    "outlook": "results",
    "figure_outlook": "results",
    "figure_outlook_record": "results",
    "gaussian_baselines": "data",
    "verification": "results",
    "figure_fan": "results-{protocol}",
    "figure_calibration": "results-{protocol}",
    "figure_spread_skill": "results-{protocol}",
    "figure_ensembles": "results-{protocol}",
    "figure_spread_maps": "results-{protocol}",
    "classified_score": "results",
    "figure_classified": "results",
    "figure_spectrum": "results",
    "figure_modes": "results",
    "figure_coefficients": "results-{protocol}",
    "figure_skill": "results-{protocol}",
    "figure_trajectory": "results-{protocol}",
    "figure_architectures": "results-{protocol}",
    "figure_two_step": "results-{protocol}",
    "figure_pareto": "results-{protocol}",
    "figure_events": "results-{protocol}",
    "figure_rmse_map": "results-{protocol}",
    "figure_probes": "results-{protocol}",
    "figure_differences": "results-{protocol}",
    "figure_methods": "results-{protocol}",
    "figure_transfer": "results-{protocol}",
}
# rules of many alike jobs, which are submitted as job arrays
ARRAYS = ("coarse", "daymet_twin", "download", "retrain_share")


@dataclass(frozen=True)
class Search:
    """Ranks of a search, cores of each, and what else its job asks for."""

    ranks: int
    cores: int  # of a rank, where ranks are started by a scheduler; of the whole job otherwise
    resources: Mapping[str, int | str]

    @property
    def by_scheduler(self) -> bool:
        """Whether the ranks are started by the scheduler's launcher, perhaps on several nodes."""
        return "mpi" in self.resources

    def on_a_node(self, cores: int | None) -> int:
        """Most ranks on one node, which has so many cores (None: as many as it takes)."""
        if not self.by_scheduler:
            return 1
        if "nodes" in self.resources:
            return math.ceil(self.ranks / int(self.resources["nodes"]))
        return self.ranks if cores is None else min(self.ranks, max(1, cores // self.cores))

    def memory(self, rank_mb: int, together: int) -> dict[str, int]:
        """Memory of the job, given that of a rank and the most ranks on a node: on each node, and for a core (MB)."""
        if not self.by_scheduler:
            return {"mem_mb": rank_mb}
        return {"mem_mb": rank_mb * together, "mem_mb_per_cpu": rank_mb // self.cores}


@dataclass(frozen=True)
class Place:
    """Where a search runs, as its job's resources say."""

    ranks: int
    workers: int  # of a rank
    lanes: int | None = None  # of a rank, where the site says so
    launcher: str | None = None  # of ranks, where a scheduler has one
    scheduler: str | None = None
    minutes: float | None = None  # that the job may run for

    def width(self, search: SearchConfig) -> dict[str, int]:
        """Settings of the search that the site decides."""
        return {"ranks": self.ranks, "lanes": search.lanes if self.lanes is None else self.lanes}


def place(threads: int, resources: Mapping[str, Any], ranks: int) -> Place:
    """Where the job with these threads and resources runs; `ranks`: what the experiment says."""
    ranks = int(resources.get("tasks", ranks))
    launcher = resources.get("mpi")
    return Place(
        ranks,
        max(1, threads if launcher else threads // ranks),
        resources.get("lanes"),
        launcher,
        resources.get(MARK),
        resources.get("runtime"),
    )


def scheduler(defaults: Mapping[str, Any] | None) -> str | None:
    """Name of the scheduler that jobs are given to (slurm, generic); None where they run in this machine."""
    if defaults is None or MARK not in defaults:
        return None
    return str(defaults[MARK].raw).strip("'\"")


def check_scripts(site: SiteConfig, folder: Path = Path("profiles/generic")) -> None:
    """Raise ValueError where the profile of other schedulers has no scripts for the site's."""
    known = sorted(script.parent.name for script in folder.glob("*/submit"))
    if site.scheduler not in known:
        raise ValueError(
            f"scheduler of the site file is {site.scheduler}, and {folder} has scripts for {', '.join(known)}; "
            "choose one of them, or copy its folder and change the scripts"
        )


def search(site: SiteConfig, experiment: ExperimentConfig, scheduler: str | None) -> Search:
    """Where and how wide the experiment's searches run."""
    ranks = experiment.search.ranks
    threads = experiment.resources.search_threads
    if scheduler is None:
        return Search(ranks, max(threads, ranks), {})
    wide = site.searches
    ranks, cores = wide.ranks or ranks, wide.cores or threads
    resources: dict[str, int | str] = {**on_gpus(site, ranks)}
    if ranks == 1:
        return Search(1, cores, resources | {"tasks": 1})
    nodes = None if wide.nodes is None else min(wide.nodes, ranks)
    resources |= {"tasks": ranks, "mpi": launcher(site, cores, nodes), "slurm_extra": "--no-kill"}
    resources |= {"nodes": nodes} if nodes else {}
    resources |= {"lanes": wide.lanes} if wide.lanes else {}
    resources |= {"tasks_per_gpu": 1} if wide.gpus else {}
    return Search(ranks, cores, resources)


def launcher(site: SiteConfig, cores: int, nodes: int | None) -> str:
    """The command that starts ranks inside a job; with srun, which is told nothing else there, with the layout."""
    given = site.launcher
    if shlex.split(given)[0].rpartition("/")[2] != "srun":
        return given
    parts = [given, f"--cpus-per-task={cores}"]
    # at least one: after a node's failure, fewer ranks are started on what is left of the job
    parts += [f"--nodes=1-{nodes}"] if nodes else []
    parts += ["--gpus-per-task=1"] if site.searches.gpus else []
    return " ".join(parts)


def groups(site: SiteConfig) -> dict[str, str]:
    """Group of each rule whose jobs are submitted together, but those in BY_ORIGIN."""
    return GROUPS if site.light_rules == "here" else GROUPS | LIGHT


def group(site: SiteConfig, rule: str, origin: str) -> str | None:
    """Group of a job of a rule in BY_ORIGIN: a protocol's forecasts and scores, or all that a refit is made of.

    Networks that are trained once have a job of their own, and so have those on GPUs, which forecasts do without.
    """
    if rule == "retrain" and (REFIT not in origin or site.searches.gpus):
        return None
    return f"results-{origin.replace(REFIT, '-')}"


def on_gpus(site: SiteConfig, count: int) -> dict[str, int | str]:
    """Resources of a job with so many GPUs, where the site has some for training."""
    if not site.searches.gpus:
        return {}
    partition = site.partition_of(1)
    return {"gpu": count} | ({"slurm_partition": partition} if partition else {})


def shares(site: SiteConfig, experiment: ExperimentConfig, scheduler: str | None) -> int:
    """Jobs that the members of an ensemble are shared among."""
    return 1 if scheduler is None else min(site.retraining_jobs, experiment.ensemble.members)
