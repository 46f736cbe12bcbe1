"""Typed configuration: one frozen model a section, unknown keys refused, validated once before any job starts."""

from podnas.config.data import FieldConfig, JoinConfig, PodConfig, SourceConfig
from podnas.config.ensembles import EnsembleConfig, StackConfig, SystemConfig
from podnas.config.experiment import ExperimentConfig
from podnas.config.probabilistic import ClassificationConfig, HeatwavesConfig, OutlookConfig, UncertaintyConfig
from podnas.config.protocols import BaselinesConfig, ProtocolConfig, RollingConfig, WindowsConfig
from podnas.config.reading import explain, load, merge, schema
from podnas.config.search import BayesConfig, HalvingConfig, SearchConfig, TwoStepConfig
from podnas.config.section import (
    BASELINES,
    FULL,
    GAUSSIAN_BASELINES,
    INDEX,
    LINEAR,
    OF_AN_INDEX,
    RECURRENT,
    TWINS,
    Cells,
    Latitude,
    Longitude,
    Longitudes,
    Name,
    Section,
    Years,
)
from podnas.config.studies import (
    AblationConfig,
    BlocksConfig,
    IngredientConfig,
    JudgedConfig,
    LeakageConfig,
    TransferConfig,
)
from podnas.config.tabular import MlpSpaceConfig, MlpTrainingConfig, RecipeConfig, TabularConfig
from podnas.config.training import HyperparametersConfig, RangeConfig, TrainingConfig
from podnas.config.verify import EventConfig, ProbeConfig, RegionConfig, ResourcesConfig, VerifyConfig

__all__ = [
    "BASELINES",
    "FULL",
    "GAUSSIAN_BASELINES",
    "INDEX",
    "LINEAR",
    "OF_AN_INDEX",
    "RECURRENT",
    "TWINS",
    "AblationConfig",
    "BaselinesConfig",
    "BayesConfig",
    "BlocksConfig",
    "Cells",
    "ClassificationConfig",
    "EnsembleConfig",
    "EventConfig",
    "ExperimentConfig",
    "FieldConfig",
    "HalvingConfig",
    "HeatwavesConfig",
    "HyperparametersConfig",
    "IngredientConfig",
    "JoinConfig",
    "JudgedConfig",
    "Latitude",
    "LeakageConfig",
    "Longitude",
    "Longitudes",
    "MlpSpaceConfig",
    "MlpTrainingConfig",
    "Name",
    "OutlookConfig",
    "PodConfig",
    "ProbeConfig",
    "ProtocolConfig",
    "RangeConfig",
    "RecipeConfig",
    "RegionConfig",
    "ResourcesConfig",
    "RollingConfig",
    "SearchConfig",
    "Section",
    "SourceConfig",
    "StackConfig",
    "SystemConfig",
    "TabularConfig",
    "TrainingConfig",
    "TransferConfig",
    "TwoStepConfig",
    "UncertaintyConfig",
    "VerifyConfig",
    "WindowsConfig",
    "Years",
    "explain",
    "load",
    "merge",
    "schema",
]
