"""Records in results/bench that a run of some methods or cases makes a part of again."""

from typing import Any


def merge(old: Any, new: Any) -> Any:
    """The old values with the new ones laid over them."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merge(old.get(key), value) for key, value in new.items()}}
    return new
