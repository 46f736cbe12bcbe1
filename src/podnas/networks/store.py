"""Trained networks on disk: `.keras` files, read in safe mode (no code runs from a file)."""

from __future__ import annotations

from pathlib import Path

import keras

from podnas import artifacts


def save(path: Path, model: keras.Model) -> None:
    """Write a network whole or not at all."""
    with artifacts.replacing(path) as temporary:
        model.save(temporary)


def load(path: Path) -> keras.Model:
    """Read a network; raises ArtifactError where the file is missing or damaged."""
    if not path.exists():
        raise artifacts.ArtifactError(f"{path} does not exist; rerun the rule that trains it")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError) as error:
        raise artifacts.ArtifactError(f"{path} cannot be read ({error}); delete it and rerun its rule") from error
