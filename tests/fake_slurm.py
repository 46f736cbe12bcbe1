"""Programs that answer as SLURM's do, for a path on which no others are found."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from podnas.cluster import slurm

CONFIG = """Configuration data as of 2026-11-22T06:00:00
AccountingStorageEnforce = {enforce}
AccountingStorageType   = {accounting}
MaxArraySize            = 1001
MinJobAge               = {age} sec
"""
# partition|up|longest time|cores|memory|generic resources|nodes, as `sinfo -e -o "%P|%a|%l|%c|%m|%G|%D"`
NODES = """main*|up|1-00:00:00|16|64000|(null)|4
main*|up|1-00:00:00|32|128000|(null)|2
gpu|up|12:00:00|32|256000|gpu:a100:4|2
old|down|infinite|8|16000|(null)|1
"""
TOOLS = ("bash", "sh", "env", "which", "git", "cat", "uname", "tail")


def answering(
    folder: Path,
    *,
    nodes: str = NODES,
    accounting: str = "accounting_storage/slurmdbd",
    enforce: str = "associations,limits",
    age: int = 300,
    accounts: str = "climate\nocean\n",
) -> str:
    """Write scontrol, sinfo, sacctmgr and sbatch; return a path that has them and no others of SLURM."""
    said = {
        "scontrol": CONFIG.format(enforce=enforce, accounting=accounting, age=age),
        "sinfo": nodes,
        "sacctmgr": accounts,
        "squeue": "",
        "sbatch": "",
    }
    for name, text in said.items():
        (folder / f"{name}.txt").write_text(text)
        program(folder, name, f'exec cat "{folder}/{name}.txt"')
    slurm.forget()
    return without_slurm(folder)


def program(folder: Path, name: str, lines: str) -> None:
    """Write a shell program."""
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
    (folder / name).chmod(0o755)


def without_slurm(folder: Path) -> str:
    """A path with the few tools that Snakemake needs, where what stands in `folder` is found and no other SLURM."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name in TOOLS:
        found = shutil.which(name)
        if found and not (tools / name).exists():
            (tools / name).symlink_to(found)
    return os.pathsep.join(map(str, (folder, tools)))
