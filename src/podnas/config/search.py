"""Sections of searches."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from podnas.config.section import MAX_SEED, Fraction, Section
from podnas.config.training import HyperparametersConfig


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
