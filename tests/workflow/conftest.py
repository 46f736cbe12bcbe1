"""A copy of the checkout to run workflows in, and the miniature experiment run once for all tests that read it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PARTS = ("Snakefile", "config", "envs", "workflow", "profiles", "slurm", "resources")
TINY = ("--configfile", "config/experiments/tiny.yaml")

Run = Callable[..., subprocess.CompletedProcess[str]]


def checkout(folder: Path) -> Path:
    """Everything Snakemake reads, without results."""
    for part in PARTS:
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / part)
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
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the miniature experiment has been run from archive to figures."""
    folder = checkout(tmp_path_factory.mktemp("tiny"))
    done = snakemake(folder, "-c2", *TINY)
    assert done.returncode == 0, done.stdout[-5000:]
    return folder
