"""Sections of windows, training and test periods, and of forecasts without a network."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from podnas.config.section import MAX_SEED, Name, Section, different


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
    lstm_units: Annotated[tuple[Annotated[int, Field(ge=1, le=2048)], ...], AfterValidator(different)] = Field(
        (40, 80, 120, 200), min_length=1, description="widths of the manual networks"
    )
    lstm_layers: int = Field(2, ge=1, le=8, description="stacked LSTM layers of the manual networks")
    lstm_epochs: int = Field(100, ge=1, description="epochs of the manual networks")
    lstm_seed: int = Field(2, ge=0, le=MAX_SEED, description="seed of the manual networks")
