"""The test cluster, brought up and taken down, and the miniature experiment run on it undisturbed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import drill
from tests.cluster.drill import Finished, Folder

ROWS = "PODNAS_CLUSTER_ROWS"  # file that takes a line of JSON for each drill; set by run.sh

HERE = Path(__file__).parent

Record = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without run.sh there is no cluster: `make test` tells that it leaves these out."""
    if ROWS in os.environ:
        return
    needed = pytest.mark.skip(reason="needs a SLURM of its own here: bash tests/cluster/run.sh --core (or --all)")
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(needed)


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A SLURM of two nodes with an accounting database."""
    drill.say("starting two nodes with an accounting database")
    drill.cluster("start", "--accounting")
    yield
    drill.cluster("stop")


@pytest.fixture(scope="session")
def miniature(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A checkout in which the miniature experiment has been run by `snakemake --profile slurm`."""
    folder = Folder.make(tmp_path_factory.mktemp("miniature") / "checkout")
    drill.say("running the miniature experiment, undisturbed")
    started = time.monotonic()
    run = folder.run()
    drill.say(f"done, {run.submitted()} jobs submitted, {time.monotonic() - started:.0f} s")
    return folder


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    """Takes what a drill shows, once it has passed: what was done to which run, and what that lost."""
    title = (request.function.__doc__ or "").strip().rstrip(".")
    drill.say(f"drill: {title}")
    started = time.monotonic()
    rows = []

    def take(disturbed: Finished | None = None, folder: Folder | None = None, **more: object) -> None:
        lost = disturbed.lost(folder) if disturbed and folder else {}
        nothing = {"trials_lost": 0, "trials_repeated": 0, "jobs_lost": 0, "jobs_repeated": 0}
        assert lost == {**lost, **nothing} if lost else True, lost
        rows.append({"drill": request.node.name.removeprefix("test_"), "what": title, **lost, **more})

    yield take
    for row in rows:
        row["seconds"] = round(time.monotonic() - started)
        with Path(os.environ[ROWS]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        drill.say(f"passed: {', '.join(f'{key} {value}' for key, value in row.items() if key != 'what')}")
