"""The experiment that an audit runs: the same rules with small budgets, and nothing that depends on a clock."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Mapping
from typing import Any

from podnas.config import ExperimentConfig, ProtocolConfig, load
from podnas.runs import refits

# at most so many of whatever a section counts by these names; with two lanes the later trials of a search depend on the
# losses of the first
MOST = {"epochs": 2, "lstm_epochs": 2, "trees": 10, "population": 2, "sample": 2, "initial": 2, "seeds": 2, "lanes": 2}
MEMBERS = 2
FEW = {"initialisations": 2, "passes": 2}  # networks of a deep ensemble, forecasts with dropout
REFITS = 3  # of a rolling protocol
HALVING = {"reduction": 2, "least": 0.5}  # two rungs: a trial in three is trained to the end
HALVED = (None, "asha", "hyperband")  # algorithms that it is for; None: a system that has the experiment’s

Values = dict[str, Any]


def repeatable(config: ExperimentConfig) -> Values:
    """The experiment's values without what would make two runs on the same data differ: clocks, races, measurements.

    Nothing is verified in an audit, so weeks and places to draw are left out.
    """
    values = _values(config)
    values["verify"] = {**values["verify"], "events": []}
    values["pod"]["cluster"] = None
    values["search"]["ranks"] = 1
    for sections in (values, *values["systems"].values()):
        _timeless(sections.get("search", {}), sections.get("training", {}))
    return values


def _values(config: ExperimentConfig) -> Values:
    """All values of an experiment; of a system only those that it changes, since the others are the experiment's."""
    systems = {name: one.model_dump(mode="json", exclude_unset=True) for name, one in config.systems.items()}
    return {**config.model_dump(mode="json"), "systems": systems}


def _timeless(search: Values, training: Values) -> None:
    """Change the sections of an experiment or of a system, which may lack keys."""
    search |= {key: None for key in ("time_limit_minutes", "trial_limit_minutes") if key in search}
    if search.get("second_objective") == "inference_seconds":
        search["second_objective"] = None
    if training.get("engine") == "auto":
        training["engine"] = "kernels" if importlib.util.find_spec("numba") else "keras"


def reduced(values: Values) -> Values:
    """The same with few trials, epochs, members, trees and refits."""
    experiment, small = load(values), _lowered(values)
    studied = experiment.transfer.catalogue is not None
    # a study and a stack hold each block out
    members = experiment.windows.validation_blocks if studied or experiment.stacked_systems() else MEMBERS
    for sections in (small, *small["systems"].values()):
        _few(sections.get("search", {}), sections.get("ensemble", {}), members)
    if experiment.uncertainty is not None:
        small["uncertainty"] |= {"candidates": MEMBERS, "sizes": [MEMBERS], **FEW}
    small["transfer"]["architectures"] = members if studied else experiment.transfer.architectures
    small["protocols"] = [_few_refits(one, experiment, members) for one in experiment.protocols]
    return _values(load(small))


def _lowered(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _lowered(inner, key) for key, inner in value.items()}
    if name in MOST and isinstance(value, int):
        return min(value, MOST[name])
    return value


def _few(search: Values, ensemble: Values, members: int) -> None:
    """Change the sections of an experiment or of a system, which may lack keys, so that members can be chosen."""
    if "members" in ensemble:
        ensemble["members"] = min(members, ensemble["members"])
    if "trials" in search:
        # of two steps, the second has half; of two rungs, the upper has a third and comes late
        search["trials"] = min(4 * members, search["trials"])
    if "population" in search:
        search.setdefault("sample", MOST["sample"])
    if search.get("algorithm") in HALVED and ("algorithm" in search or "halving" in search):
        search["halving"] = {**search.get("halving", {}), **HALVING}
    if search.get("two_step") is not None:
        search["two_step"]["top"] = max(search["two_step"].get("top", 0), 0.5)


def _few_refits(protocol: ProtocolConfig, experiment: ExperimentConfig, members: int) -> Values:
    values = protocol.model_dump(mode="json")
    if protocol.rolling is not None:
        every, count = protocol.rolling.every_years, len(refits(protocol, experiment.windows))
        values["rolling"] |= {
            "every_years": every * math.ceil(count / REFITS),
            "members": min(members, protocol.rolling.members),
        }
    return values


def changes(before: Values, after: Values, name: str = "") -> Iterator[str]:
    """What a budget was and what it is now, in words."""
    for key, value in before.items():
        was, now = _by_name(value), _by_name(after[key])
        if isinstance(was, Mapping):
            yield from changes(dict(was), now, f"{name}{key}.")
        elif was != now:
            yield f"{name}{key} {was} → {now}"


def _by_name(value: Any) -> Any:
    """A list of sections that have names, such as protocols, as a mapping."""
    named = isinstance(value, list) and value and all(isinstance(one, Mapping) and "name" in one for one in value)
    return {one["name"]: one for one in value} if named else value
