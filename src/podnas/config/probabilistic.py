"""Sections of forecasts with uncertainty: Niño outlook, AutoDEUQ, events as a classification."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from podnas.config.section import GAUSSIAN_BASELINES, MAX_SEED, MAY_BE_GAUSSIAN, Name, Section, different


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
        AfterValidator(different),
    ] = Field(
        ("top_k", "greedy", "sorted_greedy", "bagged", "learned_likelihood", "learned_crps"),
        min_length=1,
        description="selections that are compared by the blocks in turn: best alone, greedy with replacement (from the "
        "best on, from the best few on, bagged), weights by gradient of the likelihood or the CRPS",
    )
    sizes: Annotated[tuple[Annotated[int, Field(ge=2)], ...], AfterValidator(different)] = Field(
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
    baselines: Annotated[tuple[str, ...], AfterValidator(different)] = Field(
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
