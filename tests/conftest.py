"""Order of the tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole workflows come first: their files take minutes, and a worker that begins one last would end alone."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)
