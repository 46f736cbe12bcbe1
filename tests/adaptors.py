"""The scripts of rules as modules, whose `main` tests call without Snakemake."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"


def adaptor(rule: str) -> ModuleType:
    """The adaptor of a rule, loaded anew."""
    spec = importlib.util.spec_from_file_location(f"adaptor_{rule}", SCRIPTS / f"{rule}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
