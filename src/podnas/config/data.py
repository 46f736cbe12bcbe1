"""Sections of the data: archive files, the weekly field, its POD."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from podnas.config.section import MAX_SEED, Cells, Fraction, Latitudes, Longitudes, Section, Years, a_scheduler


class JoinConfig(Section):
    """A step between two weeks that is not seven days, accepted by name; no window crosses it."""

    before: date = Field(description="start of the last week before the step")
    after: date = Field(description="start of the first week after the step")


class SourceConfig(Section):
    """Where the archive files come from."""

    kind: Literal["twin", "daymet_twin", "psl", "path", "nino34"] = Field(
        "twin",
        description="twin: made from resources/sst_twin.nc; daymet_twin: synthetic yearly DayMet files; psl: "
        "downloaded; path: files you have; nino34: no field, but CPC's weekly index",
    )
    newest: bool = Field(
        True,
        description="nino34 only: ask CPC for its newest file; where no server gives it, and with PODNAS_OFFLINE, "
        "resources/nino34_weekly.csv is taken",
    )
    files: tuple[str, ...] = Field(
        (), description="path only: files or glob patterns, relative to the working directory, then to $PODNAS_DATA"
    )
    exclude: tuple[str, ...] = Field((), description="path only: file names to leave out although a pattern matches")
    mask: str | None = Field(None, description="path only: land mask file (1 = ocean); null: the field's own gaps")
    download: str | None = Field(
        None,
        description="path only: address where the files are published; with {year} in it (a query to the publisher's "
        "subset service), the years missing here are downloaded, without it, it is named in the error",
    )
    download_years: Years | None = Field(
        None, description="path only: first and last year to download; the * in source.files stands for the year"
    )
    variable: str = Field("sst", description="name of the variable in the files")
    residual_seed: int = Field(
        1981,
        ge=0,
        le=MAX_SEED,
        description="twins only: seed of the spatially correlated residual; of DayMet's modes, relief and weather",
    )
    years: Years | None = Field(None, description="daymet_twin only: first and last year made")
    rows: Cells | None = Field(
        None, description="daymet_twin only: first and last-plus-one row of the 1 km grid, from the north (null: all)"
    )
    columns: Cells | None = Field(
        None, description="daymet_twin only: first and last-plus-one column of it, from the west (null: all)"
    )
    captured_variance: Fraction = Field(0.92, description="twin only: share of variance the five modes hold")
    ice: Fraction | None = Field(
        None,
        description="path only, files with a variable ice: concentration above which a cell counts as missing; null: "
        "kept as the product has it (sea water under ice near its freezing point)",
    )
    joins: tuple[JoinConfig, ...] = Field((), description="accepted steps between weeks that are not seven days")

    @model_validator(mode="after")
    def _files_only_for_path(self) -> SourceConfig:
        if (self.kind == "path") != bool(self.files):
            raise ValueError(f"source.files must be given for kind: path and only for it (kind is {self.kind})")
        return self

    @model_validator(mode="after")
    def _years_to_download(self) -> SourceConfig:
        if ("{year}" in (self.download or "")) != (self.download_years is not None):
            raise ValueError("source.download with {year} in it and source.download_years go together; give both")
        if self.download_years is None:
            return self
        if len(self.files) != 1 or self.files[0].count("*") != 1 or "*" not in Path(self.files[0]).name:
            raise ValueError(
                "source.download_years needs one pattern in source.files, its name with one * for the year"
            )
        return self

    @model_validator(mode="after")
    def _what_a_daymet_twin_covers(self) -> SourceConfig:
        given = [name for name in ("years", "rows", "columns") if getattr(self, name) is not None]
        if self.kind != "daymet_twin" and given:
            raise ValueError(f"source.{given[0]} goes with kind: daymet_twin only (kind is {self.kind}); remove it")
        if self.kind == "daymet_twin" and self.years is None:
            raise ValueError("kind: daymet_twin needs source.years: [first, last]")
        return self


class FieldConfig(Section):
    """Archive to weekly field on the chosen grid."""

    lat: Latitudes | None = Field(None, description="southern and northern edge of the region (degrees_north)")
    lon: Longitudes | None = Field(None, description="western and eastern edge of the region (degrees_east)")
    first: date | None = Field(None, description="first day used (null: all)")
    last: date | None = Field(None, description="last day used (null: all)")
    coarsen: int = Field(1, ge=1, le=90, description="cells of the input per side of a cell of the field")
    beyond_edge: bool = Field(
        False,
        description="whether the last cells may reach beyond the edge of the input, where coarsen does not divide it; "
        "what lies beyond counts as missing",
    )
    cell_size: float | None = Field(
        None,
        gt=0,
        description="side of a cell of the field, instead of coarsen (degrees; km where the input has y and x): "
        "remapped conservatively",
    )
    least_valid_share: Fraction = Field(0.5, description="share of valid input area that a coarse cell needs")
    week_anchor: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        "sunday", description="first day of the week when daily input is averaged (PSL: Sunday to Saturday)"
    )
    least_days: int = Field(7, ge=1, le=7, description="days with data that a weekly mean of daily input needs")
    by_year: bool = Field(
        False,
        description="whether each year of the archive is coarsened by a job of its own, so that a changed file makes "
        "its year again and no other; needs dates in the names of the files",
    )
    weeks: Literal["running", "of_year"] = Field(
        "running",
        description="weeks of daily input: running on through the years from week_anchor, or 52 in each year from "
        "1 January on (Daymet, whose years have 365 days)",
    )
    rest_of_year: Literal["left_out", "in_last_week"] = Field(
        "left_out",
        description="of_year only: days from the 365th on belong to no week, or to the 52nd, which then has more days",
    )

    @model_validator(mode="after")
    def _one_size_of_cells(self) -> FieldConfig:
        if self.cell_size is not None and self.coarsen > 1:
            raise ValueError(
                f"field.cell_size is {self.cell_size:g} and field.coarsen {self.coarsen}, but each alone gives the "
                "size of the cells; leave one out"
            )
        return self

    @model_validator(mode="after")
    def _first_day_before_the_last(self) -> FieldConfig:
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError(f"field.first {self.first} is after field.last {self.last}; swap them")
        return self

    @model_validator(mode="after")
    def _running_weeks_have_no_rest_of_the_year(self) -> FieldConfig:
        if self.weeks == "running" and self.rest_of_year == "in_last_week":
            raise ValueError(
                "field.rest_of_year: in_last_week goes with field.weeks: of_year only, since running weeks have every "
                "day; set field.weeks: of_year, or leave field.rest_of_year out"
            )
        return self


class PodConfig(Section):
    """Proper orthogonal decomposition."""

    modes: int | None = Field(None, ge=1, le=1000, description="number of modes; null: by captured_variance")
    captured_variance: Fraction | None = Field(None, description="least share of training variance the modes hold")
    weights: Literal["area", "none"] = Field("area", description="inner product: cell area, or none as in SC20")
    train_last: date = Field(description="start of the last week that the mean and the modes may see")
    coefficients: Literal["projected", "released"] = Field(
        "projected",
        description="projected: on this basis; released: those that the twin was made "
        "from (SC20's own of resources/sst_twin.nc; DayMet's of $PODNAS_DATA, or of a seasonal model without it)",
    )
    precision: Literal["float64", "float32"] = Field(
        "float64",
        description="of the products; float32 takes half the time, and its sums of 8192 cells add in float64",
    )
    memory_gb: float = Field(
        2.0, gt=0, description="memory for the field (GB), in each process, beyond one Gram matrix and the modes"
    )
    cluster: Annotated[str, AfterValidator(a_scheduler)] | None = Field(
        None, description="dask scheduler that shares the work (tcp://host:port), or slurm (dask-jobqueue); null: none"
    )
    jobs: int = Field(2, ge=1, le=1000, description="jobs of workers that pod.cluster slurm asks for")

    @model_validator(mode="after")
    def _one_rule_for_the_number_of_modes(self) -> PodConfig:
        if (self.modes is None) == (self.captured_variance is None):
            raise ValueError("give exactly one of pod.modes and pod.captured_variance")
        return self
