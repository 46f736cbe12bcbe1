"""config/README.md: a table of every configuration key, made from the models in config/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from podnas.cluster.site import SiteConfig
from podnas.config import ExperimentConfig

INTRODUCTION = """\
# Configuration

*Generated from `config/` and `cluster/site.py` in `src/podnas/` by `make generate`; a test fails where they differ.*

`config.yaml` is the default experiment. A file in `experiments/` is laid over it: it names only what it changes, and a
list replaces the whole list. Everything is validated before the first job starts, and an unknown key is an error.
Editors that know JSON schemas complete and check keys with `schema.json`. Dates are written 1981-10-29;
a name is lower-case letters, digits and _, a letter first. `site.yaml` is about your cluster, not about an experiment:
"The site", at the end.
"""
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

Schema = dict[str, Any]


def text() -> str:
    """The whole of config/README.md."""
    schema, site = ExperimentConfig.model_json_schema(), SiteConfig.model_json_schema()
    parts = [INTRODUCTION, *_section("The experiment", schema, schema["$defs"], "")]
    parts += _section("The site", site, site["$defs"], "")
    return "\n".join(parts)


def _section(title: str, section: Schema, definitions: Schema, prefix: str) -> Iterator[str]:
    """Heading and table of one section, then those of the sections inside it."""
    inner = {key: name for key, field in section["properties"].items() if (name := _reference(field))}
    yield f"## {title}\n\n{section['description']}\n"
    yield "| key | value | default | meaning (unit) |\n|---|---|---|---|"
    for key, field in section["properties"].items():
        yield _row(f"{prefix}{key}", field, definitions, required=key in section.get("required", ()))
    yield ""
    for key, name in inner.items():
        listed = "[]" if section["properties"][key].get("type") == "array" else ""
        yield from _section(f"`{prefix}{key}`", definitions[name], definitions, f"{prefix}{key}{listed}.")


def _reference(field: Schema) -> str | None:
    """Name of the section that a field holds, alone, in a list or as an alternative to null."""
    for choice in (field, field.get("items", {}), *field.get("anyOf", ())):
        if "$ref" in choice:
            return str(choice["$ref"]).rpartition("/")[2]
    return None


def _row(key: str, field: Schema, definitions: Schema, *, required: bool) -> str:
    name = _reference(field)
    meaning = field.get("description") or (definitions[name]["description"] if name else "")
    default = "required" if required else _default(field.get("default"), section=name is not None)
    return f"| `{key}` | {_value(field)} | {default} | {meaning} |"


def _default(value: Any, *, section: bool) -> str:
    if section and value:
        return "as below"
    return f"`{'null' if value is None else value}`"


def _value(field: Schema) -> str:
    """What a key takes: type, choices or bounds."""
    if "anyOf" in field:
        return " or ".join(_value(choice) for choice in field["anyOf"])
    if "$ref" in field:
        return "section"
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if "prefixItems" in field:
        return f"[{', '.join(_value(item) for item in field['prefixItems'])}]"
    if "items" in field:
        return f"list of {_value(field['items'])}"
    text_kind = "name" if "pattern" in field else field.get("format", "text")
    kind = {"integer": "whole number", "string": text_kind, "object": "sections by name"}.get(
        field["type"], field["type"]
    )
    bounds = [f"{sign} {field[key]:g}" for key, sign in BOUNDS.items() if key in field]
    return f"{kind} {', '.join(bounds)}".strip()
