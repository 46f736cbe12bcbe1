"""States of members on disk: compressed NumPy archives without pickles, written whole or not at all."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from podnas import artifacts
from podnas.networks.population import State

RECORD = "record"


def save(path: Path, record: Mapping[str, Any], state: State) -> None:
    """Write a member's state, and the record of what it belongs to (JSON)."""
    values = {field.name: getattr(state, field.name) for field in fields(State)}
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in values.items() if value is not None}
    with artifacts.replacing(path) as temporary:
        np.savez(temporary, allow_pickle=False, **{RECORD: np.asarray(json.dumps(record))}, **arrays)


def load(path: Path) -> tuple[dict[str, Any], State]:
    """Read a record and a state; raises ArtifactError where the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        record: dict[str, Any] = json.loads(str(arrays.pop(RECORD)))
        state = State(**{name: _value(array) for name, array in arrays.items()})
    except FileNotFoundError as error:
        raise artifacts.ArtifactError(f"{path} does not exist") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise artifacts.ArtifactError(f"{path} cannot be read ({error}); delete it: its member starts anew") from error
    return record, state


def _value(array: np.ndarray[Any, np.dtype[Any]]) -> Any:
    if array.ndim == 0:
        return array.item()
    return array if array.dtype == np.float32 else tuple(array.tolist())
