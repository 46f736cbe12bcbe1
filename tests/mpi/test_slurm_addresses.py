"""Under SLURM ranks find each other by libfabric, whose short addresses SLURM can read whatever is in memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NETMOD = "MPIR_CVAR_CH4_NETMOD"
ASK = f"import os; from podnas.parallel import mpi; print(os.environ.get('{NETMOD}'))"


def netmod(**environment: str) -> str:
    """The network module that MPI is begun with."""
    env = {key: value for key, value in os.environ.items() if key != NETMOD and not key.startswith("SLURM_")}
    run = subprocess.run([sys.executable, "-c", ASK], env=env | environment, capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"SLURM_STEP_ID": "0"}, "ofi"), ({"SLURM_STEP_ID": "0", NETMOD: "ucx"}, "ucx"), ({}, "None")],
    ids=["under SLURM", "user's own", "elsewhere"],
)
def test_addresses_are_short_under_slurm(environment: dict[str, str], expected: str) -> None:
    assert netmod(**environment) == expected
