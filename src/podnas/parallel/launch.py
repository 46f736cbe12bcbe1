"""Ranks under a launcher: which one this is, how it stays apart from the others' deaths, and starting all of them.

MPICH's launcher (Hydra) kills all ranks when one of them is killed by a signal, even with -disable-auto-cleanup. So
what it starts is a guard, which does nothing but wait for its only child: the rank itself. If that is killed, the guard
ends with an error and no signal, and the others go on; what the launcher then sends them (SIGUSR1) is ignored. A killed
guard takes its rank with it, and the launcher the rest: `mpiexec` then starts those that remain again.

Ctrl-C and SIGTERM end a search in good order: launchers pass them on to the guards, these to the ranks, and a rank that
is interrupted releases its trials before it ends.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn

from podnas.parallel.exchange import SILENT_S, Alone, Exchange, FolderExchange
from podnas.search.log import TRIES, Kept

LOG = logging.getLogger("podnas")

Kind = Literal["mpi", "folder"]
KINDS: tuple[Kind, ...] = ("mpi", "folder")

LAUNCHER = "PODNAS_MPIEXEC"  # command that starts ranks, for instance: srun --mpi=pmi2 --no-kill --kill-on-bad-exit=0
RUN = "PODNAS_RUN"  # the same for all ranks of one start, and different for each start
# Unix time after which no trial is begun, the same for all starts; who sets it makes the table of trials at the end
DEADLINE = "PODNAS_DEADLINE"
# rank and number of ranks, as MPICH, SLURM and Open MPI tell a process that they start
PLACES = (
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
PR_SET_PDEATHSIG = 1
# exit status of a rank that no other start can help. Launchers give the greatest of their ranks' or all bits of them:
# joined with the 1 of a rank that failed in another way, it stays what it is
HOPELESS = 65
STOPS = (signal.SIGINT, signal.SIGTERM)
WORDS_S = 5.0  # for the last words, after the launcher's end: what a dead one leaves behind may hold the pipe open
STOP_S = 15.0  # that ranks are given to end in good order; schedulers kill 30 s after SIGTERM
# starts after each other that finish no trial; one more than a trial that kills its rank is tried
ATTEMPTS = TRIES + 1
LINES = 20  # of the ranks' last words in an error


def place() -> tuple[int, int]:
    """This process's rank and the number of ranks; (0, 1) where no launcher started it."""
    for rank, ranks in PLACES:
        if rank in os.environ and ranks in os.environ:
            return int(os.environ[rank]), int(os.environ[ranks])
    return 0, 1


def exchange(kind: Kind, folder: Path, kept: Kept, silent_s: float = SILENT_S) -> Exchange:
    """This rank's way to the others, by MPI messages or through the trial logs in `folder`."""
    rank, ranks = place()
    if ranks == 1:
        return Alone()
    if kind == "folder":
        return FolderExchange(folder, rank, ranks, _run(), kept.ends, silent_s)
    from podnas.parallel.mpi import MpiExchange  # loads MPI, which nothing else needs

    return MpiExchange(silent_s)


def _run() -> str:
    names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    step = ".".join(os.environ[name] for name in names if name in os.environ)
    # the launcher's process on this host; the guard lies between
    return os.environ.get(RUN) or step or str(os.getpgid(os.getppid()) if os.getppid() > 1 else os.getpid())


def guard() -> None:
    """Go on in a child of this process, which waits for it and does nothing else; before MPI and threads are begun.

    Where no launcher started this process, nothing is done.
    """
    if place()[1] == 1:
        return
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    awaited = {*STOPS, signal.SIGCHLD}
    # waited for, not handled: a handler would not run for a signal that comes just before its process begins to wait
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        end_with_parent(parent)
        for number in STOPS:
            signal.signal(number, _interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
        return
    ended, status = 0, 0
    while not ended:
        heard = signal.sigwait(awaited)
        if heard in STOPS:
            os.kill(child, heard)
        ended, status = os.waitpid(child, os.WNOHANG)
    code = os.waitstatus_to_exitcode(status)
    # a rank that has done its work and is stuck in the end of MPI is ended by its alarm
    os._exit(0 if code == -signal.SIGALRM else code if code == HOPELESS else min(abs(code), 1))


def interruptible() -> None:
    """Have SIGTERM end this process in good order, as Ctrl-C does; for one that no guard stands before."""
    if place()[1] == 1:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    """Only once: a rank may get the same signal from its guard and from the launcher, and more while it ends."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent (of that number) ends, however it does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before
        os._exit(1)


def mpiexec(
    ranks: int,
    arguments: Sequence[str],
    finished: Callable[[], int],
    environment: Mapping[str, str] | None = None,
    complete: Callable[[], bool] | None = None,
) -> None:
    """Run `python arguments…` on so many ranks until `complete` says that nothing is left, or all end well.

    A launcher may lose a rank with its node and end well all the same (`srun --no-kill`); what that rank had under way
    is then left. Those that remain are started again at once, one rank fewer each time and at least one; what they do
    must therefore go on where it stopped. `finished` counts trials that are on the disk and were not given up.
    ValueError is raised with the last words of the ranks where it stands still for ATTEMPTS starts, and at once where
    one of them ended with status HOPELESS and something is left to do.
    """
    idle, count = 0, finished()
    while True:
        code, words = _start(ranks, arguments, environment or {})
        if code == 0 if complete is None else complete():
            if code:
                LOG.warning("the launcher of %d ranks ended with status %d, with nothing left to do", ranks, code)
            return
        if code == HOPELESS:
            raise ValueError("ranks cannot do what they are started for; their last words:\n" + "\n".join(words))
        before, count = count, finished()
        idle = 0 if count > before else idle + 1
        if idle == ATTEMPTS:
            raise ValueError(
                f"{ranks} ranks ended with status {code} and without a finished trial, {ATTEMPTS} times after each "
                "other; their last words:\n" + "\n".join(words)
            )
        LOG.warning("the launcher of %d ranks ended with status %d: what remains is started again", ranks, code)
        ranks = max(1, ranks - 1)


def command(ranks: int) -> list[str]:
    """What starts so many ranks: the command in PODNAS_MPIEXEC, or mpiexec beside this Python or on the path."""
    given = shlex.split(os.environ.get(LAUNCHER, ""))
    if given:
        return [*given, "-n", str(ranks)]
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise ValueError(f"no mpiexec is found to start {ranks} ranks: install the package mpich, or set {LAUNCHER}")
    return [found, "-disable-auto-cleanup", "-n", str(ranks)]


def _start(ranks: int, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run once; the status and the last lines, which go to the terminal as they come."""
    run = f"{os.getpid()}-{time.time_ns()}"
    parent = os.getpid()
    process = subprocess.Popen(
        [*command(ranks), sys.executable, *arguments],
        env={**os.environ, **environment, RUN: run},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        preexec_fn=lambda: end_with_parent(parent),
    )
    words: deque[str] = deque(maxlen=LINES)
    reader = threading.Thread(target=_pass_on, args=(process.stderr or (), words), daemon=True)
    reader.start()
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        raise
    finally:
        process.kill()
        process.wait()
        reader.join(WORDS_S)
    return code, list(words)


def _pass_on(lines: Iterable[str], words: deque[str]) -> None:
    """Write lines to the terminal as they come, and keep the last of them."""
    for line in lines:
        words.append(line.rstrip())
        sys.stderr.write(line)
        sys.stderr.flush()
