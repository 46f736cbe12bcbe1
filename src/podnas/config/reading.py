"""A configuration from its files: merged, validated, its errors explained; its JSON schema."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from podnas.config.experiment import ExperimentConfig
from podnas.config.section import Section, update


def load(values: Mapping[str, Any]) -> ExperimentConfig:
    """Validate a merged configuration; raise ValueError that names each key, its value and the remedy."""
    try:
        return ExperimentConfig.model_validate(values)
    except ValidationError as error:
        lines = explain(error, ExperimentConfig)
        raise ValueError("the configuration is refused:\n  " + "\n  ".join(lines)) from None


def explain(error: ValidationError, model: type[Section]) -> list[str]:
    """A line for each thing that a model refuses: key, value, rule, and the nearest key for an unknown one."""
    return [_explain(problem, model) for problem in error.errors()]


def _explain(problem: Any, model: type[Section]) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "configuration"
    if problem["type"] == "extra_forbidden":
        near = _nearest((key for key in problem["loc"] if isinstance(key, str)), model)
        return f"{key}: unknown key; {f'did you mean {near}?' if near else 'config/README.md lists the keys there are'}"
    if problem["type"] == "missing":
        return f"{key}: missing; {problem['msg']}"
    shown = f" (value: {problem['input']!r})" if not isinstance(problem["input"], dict) else ""
    return f"{key}: {problem['msg'].removeprefix('Value error, ')}{shown}"


def _nearest(unknown: Iterable[str], model: type[Section]) -> str | None:
    """The key most like an unknown one, in its own section or else in any."""
    *section, name = unknown
    keys = {key: key.rpartition(".")[2] for key in _keys(model)}
    siblings = {key: last for key, last in keys.items() if key == ".".join([*section, last])}
    for candidates in (siblings, keys):
        near = difflib.get_close_matches(name, candidates.values(), n=1)
        if near:
            # sections of sections last: a system's are those of the experiment
            return min((key for key, last in candidates.items() if last == near[0]), key=lambda key: key.count("."))
    return None


def _keys(model: type[Section], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in _sections(field.annotation):
            yield from _keys(inner, f"{prefix}{name}.")


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def schema() -> str:
    """JSON schema of an experiment, as committed in config/schema.json."""
    return json.dumps(ExperimentConfig.model_json_schema(), indent=2) + "\n"


def merge(*files: Path) -> ExperimentConfig:
    """Lay YAML files over one another, as Snakemake does with --configfile, and validate."""
    import yaml

    merged: dict[str, Any] = {}
    for file in files:
        update(merged, yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return load(merged)
