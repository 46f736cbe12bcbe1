"""Where Numba keeps what it compiled: a folder of this user's, whether or not the package's own can be written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numba
import pooch


def keep(name: str, *sources: Path) -> None:
    """Let functions that are decorated from now on be kept in a folder of these sources' content.

    Numba looks at the file of a function only to tell whether what it compiled is stale, not at what the function
    calls. Raises ValueError where the folder cannot be made.
    """
    content = b"".join(path.read_bytes() for path in sources)
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or pooch.os_cache("podnas"))
    folder = base / name / hashlib.sha256(content).hexdigest()[:12]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be made ({error.strerror}); set NUMBA_CACHE_DIR to a folder for compiled code"
        ) from error
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
