"""Whether two runs of the miniature experiment came to the same, and how busy the workers of a search were."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tests.cluster.drill import COMPARED, LOGS, SCORES, TRIALS, Folder

# of one run and no other: times, folders, the ledger's looks
OWN = ("made", "seconds", "ledger", "cost", "git", "host")


def same_trials(one: Folder, other: Folder) -> None:
    """The searches of two runs gave the same trials with the same losses."""
    left, right = (pd.read_parquet(folder.path / TRIALS)[COMPARED] for folder in (one, other))
    pd.testing.assert_frame_equal(left, right)


def same_results(one: Folder, other: Folder, results: Path) -> None:
    """Two runs gave the same trials, scores and figures."""
    same_trials(one, other)
    left, right = (dict(scores(json.loads((folder.path / SCORES).read_text()))) for folder in (one, other))
    assert left == right
    figures = {file.name: file.read_bytes() for file in (other.path / results / "figures").glob("*.png")}
    assert figures
    for name, content in figures.items():
        assert (one.path / results / "figures" / name).read_bytes() == content, name


def scores(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All values of a nested record but those of one run only, each with its place."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not any(own in str(key) for own in OWN):
                yield from scores(inner, f"{prefix}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from scores(inner, f"{prefix}[{number}]")
    else:
        yield prefix, value


def utilisation(folder: Folder, workers: int) -> dict[str, float]:
    """Share of the workers' time from the first ask to the stop that went into evaluations, from the trial logs.

    The first trial was asked for when its evaluation began; the search stopped when the last one ended.
    """
    outcomes = folder.outcomes()
    first = min(outcome.ended - outcome.seconds for outcome in outcomes)
    spent = max(outcome.ended for outcome in outcomes) - first
    busy = sum(outcome.seconds for outcome in outcomes)
    assert len({file.name for file in (folder.path / LOGS).glob("*/rank-*.jsonl")}) == workers
    return {"utilisation": round(busy / (workers * spent), 4), "search_seconds": round(spent, 1), "workers": workers}
