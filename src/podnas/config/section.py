"""What all sections of the configuration share: the base of their models, names, bounds of numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, le=1)]


def _from_south_to_north(edges: tuple[float, float]) -> tuple[float, float]:
    if edges[0] >= edges[1]:
        raise ValueError(f"the southern edge {edges[0]} is not south of the northern edge {edges[1]}; swap them")
    return edges


def _first_before_last(years: tuple[int, int]) -> tuple[int, int]:
    if years[0] > years[1]:
        raise ValueError(f"{years[0]} is after {years[1]}; give the first year first")
    return years


def different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse values, or sections by their names, that stand in a list twice."""
    names = [getattr(value, "name", value) for value in values]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(map(str, twice))} stands here more than once; each must be different")
    return values


def a_scheduler(address: str) -> str:
    """Refuse what is neither slurm nor the address of a dask scheduler."""
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


def update(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Lay nested keys over those of `base`, in place."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            update(base[key], value)
        else:
            base[key] = value
