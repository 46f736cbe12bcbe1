"""Sections of studies beside an experiment's scorecard: transfer, leakage, judged searches and ingredients."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from podnas.config.ensembles import EnsembleConfig
from podnas.config.section import FULL, MAX_SEED, RECURRENT, Name, Section, different
from podnas.config.training import TrainingConfig


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
    sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(different)] = Field(
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
    algorithms: Annotated[tuple[Literal["random", "evolution", "bo", "agebo"], ...], AfterValidator(different)] = Field(
        ("evolution", "random"),
        description="searches that are compared, with equal trials; random is what others are judged against",
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
