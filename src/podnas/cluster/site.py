"""The one file about a cluster that its users edit: accounts, partitions, bounds of a job, where searches run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from podnas.config import Section, explain

FILE = Path("config/site.yaml")
ELSEWHERE = "PODNAS_SITE"  # names another file, which takes the place of FILE

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,@:+-]*$")]


class SearchSite(Section):
    """Where and how wide searches run; none of it changes what an experiment asks for."""

    ranks: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="MPI ranks of a search on the cluster, instead of search.ranks; null: as the experiment says. What "
        "several ranks find depends on who was faster; a search on one rank is repeatable",
    )
    nodes: int | None = Field(
        None, ge=1, description="nodes that these ranks are spread over evenly; null: the scheduler spreads them"
    )
    lanes: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="trials under way at once in a rank, of searches on several ranks; null: search.lanes",
    )
    cores: int | None = Field(None, ge=1, description="cores of a rank; null: resources.search_threads")
    gpus: Literal[0, 1] = Field(0, description="GPUs of a rank, and of a job that retrains networks")
    resubmissions: int = Field(
        20, ge=0, description="times that a search which its time limit cut short is submitted again"
    )


class SiteConfig(Section):
    """What your cluster is like. `--profile slurm`, `--profile profiles/generic` and pod.cluster: slurm read it."""

    account: Label | None = Field(None, description="account that jobs are charged to; null: your default account")
    partition: Label | None = Field(None, description="partition (queue) of jobs; null: the cluster's default")
    gpu_partition: Label | None = Field(None, description="partition of jobs with a GPU; null: partition")
    qos: Label | None = Field(None, description="quality of service (SLURM); null: your default")
    launcher: str = Field(
        "srun --mpi=pmi2 --no-kill --kill-on-bad-exit=0",
        min_length=1,
        description="command that starts MPI ranks inside a job; with srun, nodes, cores and GPUs of a rank follow, "
        "and `-n` with the number of ranks",
    )
    most_memory_mb: int | None = Field(
        None, ge=400, description="most memory of a job on a node (MB); null: that of the partition's largest node"
    )
    most_minutes: int | None = Field(
        None, ge=2, description="longest run time of a job (minutes); null: that of the partition"
    )
    most_cores: int | None = Field(
        None, ge=1, description="most cores of a job on a node; null: those of the partition's largest node"
    )
    jobs: int = Field(100, ge=1, description="jobs that are queued or running at once")
    together: int = Field(
        4,
        ge=1,
        description="--profile profiles/generic only: cores of a submitted job in which short jobs run side by side",
    )
    light_rules: Literal["here", "submitted"] = Field(
        "here",
        description="where rules of a few seconds run (figures, tables, windows): here, on Snakemake's machine, two "
        "at once, or together in a submitted job, which starts Snakemake anew for each",
    )
    retraining_jobs: int = Field(
        1, ge=1, le=1000, description="jobs that the members of an ensemble are shared among, as a job array"
    )
    dask_cores: int = Field(2, ge=1, description="cores of a job of workers that pod.cluster slurm starts")
    status: Literal["auto", "squeue", "sacct"] = Field(
        "auto",
        description="how Snakemake asks for jobs: squeue needs MinJobAge of 4 minutes or more, sacct an accounting "
        "database that never stops; auto: squeue where it is good enough, else sacct",
    )
    poll_seconds: int = Field(10, ge=1, le=180, description="seconds between two questions, at first")
    scheduler: Label = Field(
        "sbatch",
        description="--profile profiles/generic only: folder in it with the scripts that submit, ask and cancel",
    )
    searches: SearchSite = SearchSite()

    def partition_of(self, gpus: int) -> str | None:
        """Partition of a job with or without GPUs."""
        return self.gpu_partition or self.partition if gpus else self.partition


def path() -> Path:
    """The file that is read: the one that $PODNAS_SITE names, or config/site.yaml of the working directory."""
    return Path(os.environ.get(ELSEWHERE) or FILE)


def load(file: Path | None = None) -> SiteConfig:
    """Read and validate the site file; raise ValueError that names file, key, value and remedy."""
    file = file or path()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"the site file {file} cannot be read ({error.strerror}); start in the root of the repository, or set "
            f"{ELSEWHERE} to your own file (config/README.md lists its keys)"
        ) from None
    try:
        return SiteConfig.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise ValueError(f"the site file {file} is no YAML: {error}") from None
    except ValidationError as error:
        raise ValueError(f"the site file {file} is refused:\n  " + "\n  ".join(explain(error, SiteConfig))) from None


def schema() -> str:
    """JSON schema of a site file, as committed in config/site.schema.json."""
    return json.dumps(SiteConfig.model_json_schema(), indent=2) + "\n"
