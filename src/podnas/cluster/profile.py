"""What the profiles of clusters take from the site file and from SLURM, when Snakemake reads them.

Nothing is refused here, where Snakemake would bury the reason under its usage: the Snakefile reads the same again, and
refuses it before any job.
"""

from __future__ import annotations

from podnas import locks
from podnas.cluster import left, site, slurm
from podnas.cluster.site import SiteConfig

NOT_GIVEN = "-"  # in what the scripts of profiles/generic are called with


def here() -> SiteConfig:
    """The site file; a neutral one where it is refused."""
    try:
        return site.load()
    except ValueError:
        return SiteConfig()


def status_command() -> str | None:
    """Command that Snakemake asks SLURM with; None where SLURM does not say what there is."""
    try:
        return slurm.status_command(here())
    except ValueError:
        return None


def accounting() -> bool:
    """Whether SLURM has an accounting database."""
    try:
        return slurm.accounting()
    except ValueError:
        return False


def job_names() -> str:
    """Beginning of the names of all jobs of this Snakemake, by which the next one knows those it left behind."""
    return left.PREFIX + locks.name()


def submit(here: SiteConfig) -> str:
    """Command that submits a job to a scheduler for which Snakemake has no plugin; Snakemake fills in the resources."""
    asked = ("mem_mb", "runtime", "tasks", "nodes", "gpu", "slurm_partition", "slurm_account")
    words = ["podnas-{name}", "{threads}", *(f"{{resources.{name}}}" for name in asked), here.qos or NOT_GIVEN]
    return f"profiles/generic/{here.scheduler}/submit {' '.join(words)}"
