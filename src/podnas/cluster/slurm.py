"""What SLURM says of itself (scontrol, sinfo, sacctmgr), and whether a site file fits it, before anything is submitted.

Where SLURM is not installed or does not answer, nothing is known and nothing is refused before a submission: a dry run,
`snakemake --profile slurm -n`, works there too.
"""

from __future__ import annotations

import getpass
import logging
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from podnas.cluster import site
from podnas.cluster.limits import Limits
from podnas.cluster.site import SiteConfig

LOG = logging.getLogger(__name__)
ANSWER_S = 20
# Snakemake asks again after up to 180 s, and squeue forgets a job MinJobAge after its end
LEAST_JOB_AGE_S = 240
NODES = "%P|%a|%l|%c|%m|%G|%D"


class Silence(ValueError):
    """A command of SLURM is missing, fails or does not answer."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind in a partition, as `sinfo -e` has a line for them."""

    partition: str
    default: bool
    up: bool
    minutes: int | None  # longest run time; None: no limit
    cores: int
    memory_mb: int
    gpus: int  # of a node
    count: int


def installed() -> bool:
    """Whether SLURM's commands are on the path."""
    return shutil.which("sinfo") is not None


def accounting() -> bool:
    """Whether there is an accounting database. Raises Silence where SLURM does not answer."""
    return installed() and not _config().get("AccountingStorageType", "").endswith(("none", "(null)"))


def status_command(given: SiteConfig) -> str | None:
    """What Snakemake asks for its jobs with: squeue or sacct; None where no SLURM is installed.

    squeue is taken where it remembers jobs for long enough: sacct answers only while the accounting database runs, and
    Snakemake then waits for ever. Raises ValueError where neither would do.
    """
    if not installed():
        return None
    age, least = _job_age(), max(LEAST_JOB_AGE_S, 3 * given.poll_seconds)
    if given.status == "sacct" and not accounting():
        raise ValueError(
            f"{site.path()}: status is sacct, but this SLURM keeps no accounts (AccountingStorageType is none), and "
            "Snakemake would wait for ever; set status: auto"
        )
    if given.status != "sacct" and age >= least:
        return "squeue"
    if given.status == "squeue" or not accounting():
        raise ValueError(
            f"{site.path()}: squeue forgets a job {age} s after its end (MinJobAge), and Snakemake needs {least} s; "
            + ("set status: auto" if accounting() else "ask for a larger MinJobAge, or use --profile profiles/generic")
        )
    return "sacct"


def check(given: SiteConfig) -> Limits:
    """Refuse what this SLURM would refuse or leave in the queue for ever; return the bounds of a job.

    Where SLURM does not answer, the bounds are the site's. Raises ValueError that names file, key, value and remedy.
    """
    if not installed():
        return Limits.of(given)
    try:
        return _checked(given)
    except Silence as silence:
        LOG.warning("nothing is known of this cluster: %s", silence)
        return Limits.of(given)


def check_answers() -> None:
    """Raise Silence where no job can be submitted because SLURM is not installed or does not answer."""
    if shutil.which("sbatch") is None:
        raise Silence(
            "--profile slurm submits jobs by sbatch, which is not on the path here: start on a login node of your "
            "cluster (module load slurm?), or leave the profile out: snakemake --cores all"
        )
    _ask("scontrol", "show", "config")


def _checked(given: SiteConfig) -> Limits:
    status_command(given)
    nodes = _nodes()
    kinds = _partition(given, "partition", given.partition, nodes)
    _check_account(given)
    _check_bounds(given, kinds)
    limits = _limits(given, kinds)
    if given.searches.gpus:
        key = "gpu_partition" if given.gpu_partition else "partition"
        kinds = _partition(given, key, given.partition_of(1), nodes)
        _check_gpus(given, kinds)
        limits = replace(limits, with_gpus=_limits(given, kinds))
    _check_search(given, kinds)
    return limits


def _partition(given: SiteConfig, key: str, name: str | None, nodes: Sequence[Nodes]) -> list[Nodes]:
    names = sorted({kind.partition for kind in nodes})
    found = [kind for kind in nodes if (kind.default if name is None else kind.partition in name.split(","))]
    if name is None and not found:
        _refuse(f"{key} is null, but this cluster has no default; set {key} to one of: {', '.join(names)}")
    missing = sorted(set((name or "").split(",")) - set(names)) if name else []
    if missing:
        _refuse(
            f"{key} is {name}, but there is no partition {', '.join(missing)} here; set it to one of: "
            f"{', '.join(names)}"
        )
    if not any(kind.up for kind in found):
        _refuse(f"{key} {found[0].partition} is not up (sinfo -p {found[0].partition}); set another, or wait for it")
    return found


def _check_account(given: SiteConfig) -> None:
    if not accounting() or shutil.which("sacctmgr") is None:
        return
    user = getpass.getuser()
    said = _ask("sacctmgr", "-n", "-P", "show", "associations", f"user={user}", "format=account")
    accounts = sorted({line.strip() for line in said.splitlines() if line.strip()})
    enforced = "associations" in _config().get("AccountingStorageEnforce", "")
    if given.account is None:
        if not accounts and enforced:
            _refuse(f"SLURM takes jobs of known accounts only, and user {user} has none; ask for one, and set account")
        return
    # where none is needed and none is told, any may be right: sites hide accounts, too
    if (accounts or enforced) and given.account.lower() not in {account.lower() for account in accounts}:
        _refuse(
            f"account is {given.account}, but user {user} has: {', '.join(accounts) or 'none'} "
            f"(sacctmgr show associations user={user}); set account to one of these"
        )


def _there(kinds: Sequence[Nodes]) -> Limits:
    """What nodes of these kinds give."""
    minutes = None if any(kind.minutes is None for kind in kinds) else max(kind.minutes or 0 for kind in kinds)
    return Limits(max(kind.memory_mb for kind in kinds), minutes, max(kind.cores for kind in kinds))


def _check_bounds(given: SiteConfig, kinds: Sequence[Nodes]) -> None:
    there, where = _there(kinds), kinds[0].partition
    for key, asked, most, what in (
        ("most_memory_mb", given.most_memory_mb, there.memory_mb, "MB on its largest node"),
        ("most_cores", given.most_cores, there.cores, "cores on its largest node"),
        ("most_minutes", given.most_minutes, there.minutes, "minutes for a job"),
    ):
        if asked is not None and most is not None and asked > most:
            _refuse(f"{key} is {asked}, but partition {where} has {most} {what}; set it to {most} or null")


def _limits(given: SiteConfig, kinds: Sequence[Nodes]) -> Limits:
    """Bounds of a job on these nodes, no wider than the site's."""
    there, own = _there(kinds), Limits.of(given)
    return Limits(
        _least(there.memory_mb, own.memory_mb), _least(there.minutes, own.minutes), _least(there.cores, own.cores)
    )


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _check_gpus(given: SiteConfig, kinds: Sequence[Nodes]) -> None:
    """One GPU a rank: there must be as many in the partition, and on a node as many as it has ranks."""
    wide, where = given.searches, kinds[0].partition
    total, on_a_node = sum(kind.count * kind.gpus for kind in kinds), max(kind.gpus for kind in kinds)
    ranks = wide.ranks or 1
    together = math.ceil(ranks / wide.nodes) if wide.nodes else 1
    if not total:
        _refuse(f"searches.gpus is 1, but partition {where} has no GPUs (sinfo -o %G); set gpu_partition")
    if ranks > total:
        _refuse(f"searches.ranks is {ranks}, each with a GPU, but partition {where} has {total}; lower searches.ranks")
    if together > on_a_node:
        _refuse(
            f"searches.ranks {ranks} on {wide.nodes} nodes need {together} GPUs on a node, but those of partition "
            f"{where} have {on_a_node} at most; raise searches.nodes"
        )


def _check_search(given: SiteConfig, kinds: Sequence[Nodes]) -> None:
    wide, where = given.searches, kinds[0].partition
    count, cores = sum(kind.count for kind in kinds), max(kind.cores for kind in kinds)
    if wide.nodes is not None and wide.nodes > count:
        _refuse(f"searches.nodes is {wide.nodes}, but partition {where} has {count}; set it to {count} or less")
    if wide.cores is not None and wide.cores > cores:
        _refuse(f"searches.cores is {wide.cores}, but nodes of partition {where} have {cores} at most; lower it")
    total, asked = sum(kind.count * kind.cores for kind in kinds), (wide.ranks or 1) * (wide.cores or 1)
    if asked > total:
        _refuse(
            f"searches.ranks {wide.ranks} of {wide.cores or 1} cores are {asked} cores, but partition {where} has "
            f"{total}; lower searches.ranks"
        )


def _refuse(words: str) -> None:
    raise ValueError(f"{site.path()}: {words}")


def _nodes() -> list[Nodes]:
    said = _ask("sinfo", "-h", "-e", "-o", NODES)
    return [_kind(line.split("|")) for line in said.splitlines() if line.count("|") == NODES.count("|")]


def _kind(words: Sequence[str]) -> Nodes:
    name, state, limit, cores, memory, gres, count = (word.strip() for word in words)
    return Nodes(
        partition=name.removesuffix("*"),
        default=name.endswith("*"),
        up=state == "up",
        minutes=minutes(limit),
        cores=int(cores.removesuffix("+")),
        memory_mb=int(memory.removesuffix("+")),
        gpus=_gpus(gres),
        count=int(count),
    )


def _gpus(generic: str) -> int:
    """GPUs of a node, from its generic resources as sinfo writes them: gpu:a100:4(S:0-1),gpu:v100:2."""
    fields = [part.partition("(")[0].split(":") for part in generic.split(",")]
    return sum(int(field[-1]) if field[-1].isdigit() else 1 for field in fields if field[0] == "gpu")


def minutes(time: str) -> int | None:
    """Whole minutes of a time as sinfo writes it ([days-][hours:]minutes:seconds); None where it is infinite."""
    if not re.fullmatch(r"(\d+-)?(\d+:){1,2}\d+", time):
        return None
    days, _, clock = time.rpartition("-")
    hours, whole, _ = [0, *map(int, clock.split(":"))][-3:]
    return int(days or 0) * 1440 + hours * 60 + whole


@cache
def _config() -> dict[str, str]:
    pairs = (line.partition("=") for line in _ask("scontrol", "show", "config").splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def forget() -> None:
    """Ask anew: another SLURM may answer."""
    _config.cache_clear()


def _job_age() -> int:
    found = re.match(r"\d+", _config().get("MinJobAge", ""))
    return int(found.group()) if found else 0


def _ask(*command: str) -> str:
    """What a command of SLURM prints. Raises Silence where it fails or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Silence(f"{' '.join(command)} does not answer ({error}); is SLURM running? (scontrol ping)") from None
    if done.returncode:
        words = done.stderr.strip() or done.stdout.strip()
        raise Silence(f"{' '.join(command)} fails: {words}; is SLURM running? (scontrol ping)")
    return done.stdout
