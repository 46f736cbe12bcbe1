"""A SLURM that keeps no accounts: sacct knows nothing there, so Snakemake has to ask squeue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import drill
from tests.cluster.conftest import Record
from tests.cluster.drill import TRIALS, Folder
from tests.cluster.results import same_trials


@pytest.fixture
def plain(miniature: Folder) -> Iterator[None]:
    """The same nodes without slurmdbd; at the end with it again."""
    drill.cluster("start")
    yield
    drill.cluster("start", "--accounting")


def test_without_accounting(miniature: Folder, plain: None, tmp_path: Path, record: Record) -> None:
    """A search on a SLURM without an accounting database."""
    folder = Folder.before_search(miniature, tmp_path / "plain")
    folder.site(account=None)
    folder.run(str(TRIALS))
    assert [job.state for job in drill.searches(folder)] == ["COMPLETED"]
    same_trials(folder, miniature)
    record(folder.finished(), folder, same_as="the undisturbed run")
