"""Text files of numbers in columns: pages, cut rows and words in the place of numbers are refused by name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from podnas.artifacts import ArtifactError
from podnas.data.files import AGAIN

Array = np.ndarray[Any, np.dtype[Any]]
NUMBER = b"+-.0123456789"


def begins(chunk: bytes) -> bool:
    """Whether such a file may begin so: not HTML, nor anything else that is no number."""
    return chunk.lstrip()[:1] in NUMBER


def read(path: Path) -> Array:
    """All numbers, float64 (rows, columns); ArtifactError names the file and what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty file, which is refused below
            found = np.loadtxt(path, ndmin=2, comments=None)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be opened ({error.strerror}); check path and permissions") from error
    except ValueError as error:
        raise ArtifactError(f"{path} is truncated, or no text of numbers ({error}); {AGAIN}") from error
    if not found.size:
        raise ArtifactError(f"{path} is empty; {AGAIN}")
    if not np.isfinite(found).all():
        raise ArtifactError(f"{path} has {int((~np.isfinite(found)).sum())} numbers that are not finite; {AGAIN}")
    return found
