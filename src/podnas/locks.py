"""Who is alive in a working directory: locks whose Snakemake is gone are cleared, jobs without theirs end.

A killed Snakemake leaves two things: its lock files, which carry no process number, and the jobs it had started,
which go on writing. Each Snakemake therefore holds a file of its own under `.snakemake/podnas/` by flock(2), which the
system releases at its end, whatever that is. Where nobody holds one, Snakemake's locks are stale. A job waits for its
Snakemake's file to come free, and then ends, so that the next run finds no second writer.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

LOG = logging.getLogger(__name__)
HOLDER = "PODNAS_SNAKEMAKE"
HOST_LETTERS = 30  # of a host's name in that of its Snakemake
_held: dict[Path, IO[str]] = {}


def guard(mode: str, state: Path = Path(".snakemake")) -> None:
    """Called in the Snakefile, before Snakemake takes its lock, with the name of its execution mode.

    DEFAULT (the Snakemake that a user starts): clear stale locks and be known as alive until the end.
    REMOTE (on a node of a cluster): its jobs belong to the scheduler there and outlive the user's Snakemake.
    SUBPROCESS: nothing, the Snakemake that started it is known already.
    """
    if mode == "REMOTE":
        os.environ.pop(HOLDER, None)
    elif mode == "DEFAULT":
        try:
            os.environ[HOLDER] = f"{platform.node()}:{_enter(state.absolute())}"
        except PermissionError:
            place = state.absolute() if state.exists() else state.absolute().parent
            LOG.warning("%s belongs to user %s: to run something, use a checkout of your own", place, _owner(place))
        except OSError as error:
            LOG.warning(
                "%s cannot be held by flock (%s): clear stale locks by `snakemake --unlock`", state, error.strerror
            )


def name() -> str:
    """What the Snakemake of this process is known by: letters, digits, _ and -."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', platform.node())[:HOST_LETTERS]}-{os.getpid()}"


def living(state: Path = Path(".snakemake")) -> set[str]:
    """Names of the Snakemakes that live in a working directory; for one that holds its lock, and so is known."""
    folder = state.absolute() / "podnas"
    with _alone(folder / "gate"):
        return {holder.stem for holder in folder.glob("*.alive") if holder in _held or _alive(holder)}


def end_with_snakemake() -> None:
    """Called by a job: end this process and its children as soon as the Snakemake that started it on this host ends."""
    host, _, holder = os.environ.get(HOLDER, "").partition(":")
    if holder and host == platform.node():
        threading.Thread(target=_outlive, args=(Path(holder),), daemon=True, name="end_with_snakemake").start()


def _enter(state: Path) -> Path:
    folder = state / "podnas"
    holder = folder / f"{name()}.alive"
    if holder in _held:
        return holder
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "gate"):
        living = [other for other in folder.glob("*.alive") if _alive(other)]
        for other in living:
            host, _, process = other.stem.rpartition("-")
            LOG.warning("a Snakemake of user %s runs here already (process %s on %s)", _owner(other), process, host)
        if not living:
            _clear(state / "locks")
        stream = holder.open("w")
        fcntl.flock(stream, fcntl.LOCK_EX)
        _held[holder] = stream  # closed by the system at the end of the process, and by nothing before
    return holder


@contextmanager
def _alone(gate: Path) -> Iterator[None]:
    with gate.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _alive(holder: Path) -> bool:
    """Whether a process holds this file; if none does, remove it."""
    with holder.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    holder.unlink()
    return False


def _owner(path: Path) -> str:
    """Name of the user whose a file is, or his number where he has none here."""
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)


def _clear(locks: Path) -> None:
    if locks.is_dir() and any(locks.iterdir()):
        LOG.warning("%s: cleared the lock of a Snakemake that is gone", locks)
        shutil.rmtree(locks)


def _outlive(holder: Path) -> None:
    try:
        with holder.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
    except FileNotFoundError:
        pass  # already cleared away by the next Snakemake
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)
