"""Sections of what is made of a search's networks: ensembles, systems of networks, the complete system."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from podnas.config.search import SearchConfig
from podnas.config.section import BASELINES, MAX_SEED, Correctable, Name, Section, different
from podnas.config.training import TrainingConfig


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

    methods: Annotated[tuple[str, ...], AfterValidator(different)] = Field(
        ("damped_persistence", "linear_inverse_model", "anomaly_regression"),
        description="baselines that enter; each is refitted without each validation block",
    )
    systems: Annotated[tuple[Name, ...], AfterValidator(different)] | None = Field(
        None, description="systems of networks whose ensembles enter (recurrent: the pure ones); null: all but the pure"
    )
    by: Literal["r2_mean", "r2_field"] = Field(
        "r2_mean",
        description="score on held-out blocks that chooses methods and weights: r2_mean counts all modes alike, "
        "r2_field by their share in the squared error of the field",
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
