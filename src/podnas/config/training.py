"""Sections of how networks are trained, and of the ranges of their hyperparameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from podnas.config.section import Correctable, Section


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
        "from anomalies (for test weeks they correct one that is fitted on all training weeks; in transfer and under "
        "uncertainty their own); null: they forecast the coefficients themselves",
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
