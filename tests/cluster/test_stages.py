"""What is submitted in other ways than one job a time: job arrays, workers of dask, scripts of the generic profile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from podnas import artifacts
from tests.cluster import drill
from tests.cluster.conftest import Record
from tests.cluster.drill import RESULTS, TRIALS, Folder
from tests.cluster.results import same_trials, scores

CATALOGUE = RESULTS / "networks/short/catalogue.json"
BASIS = RESULTS / "reduction/basis.nc"


def test_array(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """The members of an ensemble retrained by a job array."""
    members = {"ensemble": {"members": 2}}
    alone = Folder.copy(miniature, tmp_path / "alone")
    alone.run(str(CATALOGUE), profile=None, **members)
    folder = Folder.copy(miniature, tmp_path / "array")
    folder.site(retraining_jobs=2)
    folder.run(str(CATALOGUE), **members)
    shares = [job for job in drill.queue(folder) if job.comment.startswith("rule_retrain_share")]
    assert len({job.array for job in shares}) == 1, shares
    assert [job.state for job in shares] == ["COMPLETED"] * 2
    found, expected = (
        dict(scores(json.loads((one.path / CATALOGUE).read_text())["members"])) for one in (folder, alone)
    )
    assert found == expected
    record(jobs_of_array=len(shares), same_as="one job without SLURM (its networks)")


def test_dask(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """The POD on dask's workers, which are jobs that the job of the POD submits."""
    folder = Folder.copy(miniature, tmp_path / "dask")
    folder.run(str(BASIS), pod={"cluster": "slurm", "jobs": 2, "memory_gb": 0.3})
    workers = [job for job in drill.queue(folder) if job.name == "dask-worker"]
    assert len(workers) == 2, workers
    assert any("dask-worker" in file.name for file in (folder.path / "logs/dask").iterdir())
    one, other = (artifacts.read_basis(run.path / BASIS) for run in (folder, miniature))
    for name, values in other.data_vars.items():
        np.testing.assert_allclose(one[name].values, values.values, rtol=1e-6, atol=1e-6, err_msg=str(name))
    record(jobs_of_workers=len(workers), same_as="the POD of one job, to 1e-6")


def test_generic(miniature: Folder, tmp_path: Path, record: Record) -> None:
    """A search by `--profile profiles/generic`, with its scripts for sbatch."""
    folder = Folder.before_search(miniature, tmp_path / "generic")
    run = folder.run(str(TRIALS), profile="profiles/generic")
    (number,) = re.findall(r"external jobid '(\d+)'", run.text())
    (job,) = drill.queue(folder)
    assert (job.number, job.name, job.state) == (int(number), "podnas-search", "COMPLETED")
    same_trials(folder, miniature)
    record(same_as="the undisturbed run")
