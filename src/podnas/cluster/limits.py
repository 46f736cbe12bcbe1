"""Bounds of one job on a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from podnas.cluster.site import SiteConfig


@dataclass(frozen=True)
class Limits:
    """The most that a job may ask for on a node; None: no bound is known."""

    memory_mb: int | None = None
    minutes: int | None = None
    cores: int | None = None
    with_gpus: Limits | None = None  # of jobs that have GPUs, where these run on a partition of their own

    @classmethod
    def of(cls, given: SiteConfig) -> Limits:
        """Those that the site file sets."""
        return cls(given.most_memory_mb, given.most_minutes, given.most_cores)
