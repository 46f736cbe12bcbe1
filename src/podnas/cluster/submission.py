"""What is about to be submitted, looked at as a whole before the first job is: what no job's own request shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from podnas.cluster import site
from podnas.cluster.limits import Limits
from podnas.cluster.site import SiteConfig


@dataclass(frozen=True)
class Planned:
    """A job, or a group of jobs that are submitted as one."""

    name: str  # of its rule or its group
    memory_mb: int
    minutes: int
    jobs: int = 1  # that it consists of


def check(planned: Sequence[Planned], given: SiteConfig, limits: Limits, arrays: Collection[str] = ()) -> None:
    """Raise ValueError where a group asks for more than a job may have, or an array would wait for ever.

    `arrays`: rules whose jobs are submitted as arrays.
    """
    for one in planned:
        if one.jobs > 1:
            _check_group(one, limits)
    _check_arrays(planned, given, arrays)


def _check_group(group: Planned, limits: Limits) -> None:
    """Run times of jobs that run one after the other add up; memory does where they run side by side."""
    what = f"group {group.name} is one job for {group.jobs} of the workflow's and asks for"
    if limits.minutes is not None and group.minutes > limits.minutes:
        raise ValueError(
            f"{what} {group.minutes} minutes in all, but a job may run for {limits.minutes}; choose a partition with a "
            f"longer limit in {site.path()}, or lower resources.minutes and resources.small_minutes in the experiment"
        )
    if limits.memory_mb is not None and group.memory_mb > limits.memory_mb:
        raise ValueError(
            f"{what} {group.memory_mb} MB, but a job may have {limits.memory_mb} MB; lower `together` in {site.path()}"
        )


def _check_arrays(planned: Sequence[Planned], given: SiteConfig, arrays: Collection[str]) -> None:
    """Snakemake's plugin submits an array when all of it can be: with `jobs` too small it waits, and says nothing."""
    names = [one.name for one in planned]
    for rule in arrays:
        if names.count(rule) > 1 and len(names) > given.jobs:
            raise ValueError(
                f"{site.path()}: jobs is {given.jobs}, but {len(names)} are to be submitted, {names.count(rule)} of "
                f"them, of rule {rule}, as a job array, which must fit in as a whole; set jobs to {len(names)} or more"
            )
