"""A copy of the checkout to run workflows in, and the miniature experiment run once for all tests that read it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from podnas import provenance

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PARTS = ("Snakefile", "config", "envs", "workflow", "profiles", "slurm", "resources")
TINY = ("--configfile", "config/experiments/tiny.yaml")

Run = Callable[..., subprocess.CompletedProcess[str]]


def checkout(folder: Path) -> Path:
    """Everything Snakemake reads, without results; hashes of code, which are kept by content, are shared by all."""
    for part in PARTS:
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / part)
    (ROOT / provenance.KNOWN).mkdir(parents=True, exist_ok=True)
    (folder / provenance.KNOWN).parent.mkdir(parents=True)
    (folder / provenance.KNOWN).symlink_to(ROOT / provenance.KNOWN)
    return folder


def snakemake(
    folder: Path, *arguments: str, timeout: int = 900, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run this environment's snakemake in a folder; output is stdout and stderr together."""
    return subprocess.run(
        [str(SNAKEMAKE), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A checkout in which the miniature experiment has been run from archive to figures.

    Of several workers of pytest-xdist one runs it, and each has a copy.
    """
    folder = tmp_path_factory.mktemp("tiny")
    if worker_id == "master":
        return run_tiny(folder)
    shared = tmp_path_factory.getbasetemp().parent / "tiny"
    with shared.with_name("tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            run_tiny(shared.with_name("unfinished_tiny")).rename(shared)
    shutil.copytree(shared, folder, symlinks=True, dirs_exist_ok=True)
    return folder


def run_tiny(folder: Path) -> Path:
    """Run the miniature experiment in a new checkout."""
    folder.mkdir(exist_ok=True)
    done = snakemake(checkout(folder), "-c2", *TINY)
    assert done.returncode == 0, done.stdout[-5000:]
    return folder
