"""Sections of verification and of the resources of jobs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from podnas.config.section import Latitudes, Longitudes, Name, Section, different


class RegionConfig(Section):
    """A box over which scores are given in physical units."""

    name: Name = Field(description="name in the scores")
    lat: Latitudes = Field(description="southern and northern edge (degrees_north)")
    lon: Longitudes = Field(description="western and eastern edge (degrees_east)")
    first: date | None = Field(None, description="start of the first target week scored (null: of the test period)")
    last: date | None = Field(None, description="start of the last target week scored (null: of the test period)")
    label: str = Field(description="words on figures and the scorecard")


class EventConfig(Section):
    """A week drawn as maps of truth, forecast and error."""

    name: Name = Field(description="name in the maps")
    week: date = Field(description="any day of the week")
    label: str = Field(description="words on figures")


class ProbeConfig(Section):
    """A place drawn through time."""

    name: Name = Field(description="name in the maps")
    lat: float = Field(ge=-90, le=90, description="degrees_north")
    lon: float = Field(ge=-180, le=360, description="degrees_east")
    label: str = Field(description="words on figures")


class VerifyConfig(Section):
    """What is scored and drawn in physical space."""

    regions: Annotated[tuple[RegionConfig, ...], AfterValidator(different)] = ()
    events: Annotated[tuple[EventConfig, ...], AfterValidator(different)] = ()
    probes: Annotated[tuple[ProbeConfig, ...], AfterValidator(different)] = ()
    reported: Literal["sc20"] | None = Field(None, description="sc20: set the figures that SC20 reported beside ours")
    map_lead_weeks: int = Field(4, ge=1, description="lead of the maps and probes")

    def region(self, name: str) -> RegionConfig:
        """The region of this name; ValueError where there is none."""
        by_name = {one.name: one for one in self.regions}
        if name not in by_name:
            raise ValueError(f"the region {name} is none of verify.regions, which are {list(by_name)}")
        return by_name[name]


class ResourcesConfig(Section):
    """What each kind of job asks of a scheduler, until an earlier run has measured it (docs/cluster.md)."""

    search_threads: int = Field(2, ge=1, description="cores of a job that searches or retrains networks")
    network_mem_mb: int = Field(2500, ge=200, description="memory of jobs that train networks (MB)")
    coarse_threads: int = Field(2, ge=1, description="processes of a job that coarsens the archive, or a year of it")
    field_mem_mb: int = Field(3500, ge=200, description="memory of jobs that hold the field (MB)")
    small_mem_mb: int = Field(1000, ge=200, description="memory of all other jobs (MB)")
    search_minutes: int = Field(
        120, ge=1, description="least run time of jobs that search or retrain (minutes); more work asks for more"
    )
    minutes: int = Field(30, ge=1, description="least run time of jobs that hold the field or train networks (minutes)")
    small_minutes: int = Field(10, ge=1, description="run time of all other jobs (minutes)")
