"""The same work on one machine or on the workers of a dask cluster."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from podnas.cluster import site, slurm
from podnas.cluster.limits import Limits
from podnas.cluster.site import SiteConfig
from podnas.config import PodConfig
from podnas.reduction.snapshots import Array

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

ANSWER_SECONDS = 30
WAIT_SECONDS = 600  # for the first worker
LIBRARIES_MB = 400  # of a worker without data
HEADROOM = 1.3
WORKER_MINUTES = 120  # of a job of workers, where the site file sets no bound; it ends with the rule


@contextmanager
def connect(config: PodConfig) -> Iterator[Client | None]:
    """A client of the cluster that `config.cluster` names, or None for this machine alone.

    Raises ValueError where no scheduler answers, or dask-jobqueue is missing.
    """
    if config.cluster is None:
        yield None
        return
    from distributed import Client  # half a second, which one machine need not wait

    with _scheduler(config) as address:
        try:
            client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError, ValueError) as error:
            raise ValueError(
                f"no dask scheduler answers at pod.cluster {config.cluster} ({error}); start one (dask scheduler) and "
                "give its address in the form tcp://host:port, or leave pod.cluster out to use this machine alone"
            ) from error
        with client:
            _wait(client, config)
            yield client


def _wait(client: Client, config: PodConfig) -> None:
    try:
        client.wait_for_workers(1, timeout=WAIT_SECONDS)
    except TimeoutError as error:
        remedy = (
            "see why the jobs named dask-worker wait (squeue --me) or fail (logs/dask), or lower pod.jobs"
            if config.cluster == "slurm"
            else "start workers (dask worker <address> --nthreads 1)"
        )
        raise ValueError(
            f"the scheduler of pod.cluster {config.cluster} has had no worker for {WAIT_SECONDS} s; {remedy}"
        ) from error


@contextmanager
def _scheduler(config: PodConfig) -> Iterator[Any]:
    if config.cluster != "slurm":
        yield config.cluster
        return
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError as error:
        raise ValueError("pod.cluster is slurm, which needs dask-jobqueue; pip install dask-jobqueue") from error
    here = site.load()
    with SLURMCluster(**workers_asked_for(config, here, slurm.check(here))) as workers:
        workers.scale(jobs=config.jobs)
        yield workers


def workers_asked_for(config: PodConfig, here: SiteConfig, limits: Limits) -> dict[str, Any]:
    """Arguments of dask-jobqueue for one job of workers: one a core, each with the memory that `config` gives it.

    Raises ValueError where that is more than a job may have.
    """
    process_mb = LIBRARIES_MB + 1000 * HEADROOM * config.memory_gb
    memory_mb = math.ceil(here.dask_cores * process_mb)
    minutes = here.most_minutes or min(WORKER_MINUTES, limits.minutes or WORKER_MINUTES)
    for asked, most, unit in ((memory_mb, limits.memory_mb, "MB"), (here.dask_cores, limits.cores, "cores")):
        if most is not None and asked > most:
            raise ValueError(
                f"a job of {here.dask_cores} workers for pod.cluster slurm asks for {asked} {unit}, but a job may have "
                f"{most}; lower dask_cores in {site.path()} or pod.memory_gb ({config.memory_gb})"
            )
    return {
        "cores": here.dask_cores,
        "processes": here.dask_cores,
        "memory": f"{memory_mb}MB",
        "queue": here.partition,
        "account": here.account,
        "walltime": f"{minutes // 60:02d}:{minutes % 60:02d}:00",
        "job_extra_directives": [f"--qos={here.qos}"] if here.qos else [],
        "log_directory": "logs/dask",
        "python": sys.executable,
    }


def size(client: Client | None) -> int:
    """Number of tasks that run at once."""
    if client is None:
        return 1
    threads: dict[str, int] = client.nthreads()  # type: ignore[no-untyped-call]
    return max(sum(threads.values()), 1)


def _sent(client: Client, shared: Sequence[Any]) -> Any:
    """What all tasks need, on every worker; under new keys, since those of the same data sent before may just go."""
    return client.scatter(list(shared), broadcast=True, hash=False)  # type: ignore[no-untyped-call]


def each(
    client: Client | None, function: Callable[..., Result], items: Iterable[Item], *shared: Any
) -> Iterator[Result]:
    """function(item, *shared) of each item, in their order."""
    if client is None:
        yield from (function(item, *shared) for item in items)
        return
    sent = _sent(client, shared)
    futures = [client.submit(function, item, *sent, pure=False) for item in items]
    while futures:
        yield futures.pop(0).result()


def total(
    client: Client | None, function: Callable[..., tuple[Array, list[Item]]], items: Sequence[Any], *shared: Any
) -> tuple[Array, list[Item]]:
    """Sum of the arrays, and the lists joined, of function(items, *shared), with the items shared among workers."""
    if client is None:
        return function(items, *shared)
    sent = _sent(client, shared)
    number = min(size(client), len(items))
    shares = [items[len(items) * k // number : len(items) * (k + 1) // number] for k in range(number)]
    pairs = [client.submit(function, share, *sent, pure=False) for share in shares]
    sums: list[Any] = [client.submit(operator.itemgetter(0), pair) for pair in pairs]
    lists = [client.submit(operator.itemgetter(1), pair) for pair in pairs]
    del pairs
    while len(sums) > 1:  # in pairs: a worker holds two and their sum
        odd = sums[len(sums) // 2 * 2 :]
        sums = [client.submit(operator.add, *pair) for pair in zip(sums[::2], sums[1::2], strict=False)] + odd
    found = [item for one in lists for item in one.result()]
    return sums[0].result(), found
