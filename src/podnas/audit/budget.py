"""The experiment that an audit runs: the same rules with small budgets, and nothing that depends on a clock."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from podnas.config import ExperimentConfig, load

# at most so many of whatever a section counts by these names; searches need a few trials to choose from
MOST = {"epochs": 2, "lstm_epochs": 2, "trees": 10, "population": 2, "sample": 2, "initial": 2, "seeds": 2}
MEMBERS = 2

Values = dict[str, Any]


def repeatable(config: ExperimentConfig) -> Values:
    """The experiment's values without what would make two runs on the same data differ: clocks, races, measurements.

    Nothing is verified in an audit, so weeks and places to draw are left out.
    """
    values = config.model_dump(mode="json")
    values["verify"] = {**values["verify"], "events": []}
    values["pod"]["cluster"] = None
    search = values["search"]
    search |= {"ranks": 1, "time_limit_minutes": None, "trial_limit_minutes": None}
    if search["second_objective"] == "inference_seconds":
        search["second_objective"] = None
    if values["training"]["engine"] == "auto":
        values["training"]["engine"] = "kernels" if importlib.util.find_spec("numba") else "keras"
    return values


def reduced(values: Values) -> Values:
    """The same with few trials, epochs, members and trees."""
    small: Values = _lowered(values)
    studied = values["transfer"]["catalogue"] is not None  # a study holds each block out alike
    members = values["windows"]["validation_blocks"] if studied else min(MEMBERS, values["ensemble"]["members"])
    small["ensemble"]["members"] = members
    small["transfer"]["architectures"] = members if studied else values["transfer"]["architectures"]
    small["search"]["trials"] = min(values["search"]["trials"], 2 * members)
    if (steps := small["search"]["two_step"]) is not None:
        steps["top"] = max(steps["top"], 0.5)
    return load(small).model_dump(mode="json")


def _lowered(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _lowered(inner, key) for key, inner in value.items()}
    if name in MOST and isinstance(value, int):
        return min(value, MOST[name])
    return value


def changes(before: Values, after: Values, name: str = "") -> Iterator[str]:
    """What a budget was and what it is now, in words."""
    for key, value in before.items():
        if isinstance(value, Mapping):
            yield from changes(dict(value), after[key], f"{name}{key}.")
        elif value != after[key]:
            yield f"{name}{key} {value} → {after[key]}"
