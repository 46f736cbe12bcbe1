"""What drills share: a checkout with a site file, Snakemake runs, SLURM's queue, what is finished."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from podnas.cluster import deadline
from podnas.search import log
from podnas.search.protocol import Outcome
from tests.workflow.conftest import SNAKEMAKE, TINY, checkout

HERE = Path(__file__).parent
SITE = {"account": "podnas", "partition": "main", "poll_seconds": 2}
# long enough to be disturbed in the middle
SEARCH = {"trials": 40, "epochs": 100, "two_step": {"fraction": 0.5, "top": 0.1}}
OVER = "config/drill.yaml"  # laid over the miniature experiment
RESULTS = Path("results/tiny")
TRIALS = RESULTS / "search/short/trials.parquet"
LOGS = RESULTS / "search/short/trials"
SCORES = RESULTS / "scorecard.json"
COMPARED = ["number", "step", "parent", "budget", "share", "point", "loss", "error", "parameters"]
# no result: when, where, how long
BESIDE_RESULTS = ("costs", "logs", "benchmarks")
LIMIT_S = 2700
_begun = time.monotonic()


def say(text: str) -> None:
    """A line of progress on the terminal, with the seconds since the start."""
    print(f"[{time.monotonic() - _begun:6.0f} s] {text}", flush=True)


def cluster(*arguments: str) -> None:
    """Run cluster.sh; what it prints is shown where it fails."""
    done = subprocess.run(
        ["bash", str(HERE / "cluster.sh"), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"cluster.sh {' '.join(arguments)} failed:\n{done.stdout}")


@dataclass(frozen=True)
class Run:
    """A Snakemake under way; its output goes to a file."""

    process: subprocess.Popen[bytes]
    output: Path

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Status at its end; after the limit it is killed, and the test fails."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {limit_s:.0f} s:\n{self.text()[-3000:]}") from None

    def kill(self) -> None:
        """End Snakemake alone and at once; its jobs are SLURM's."""
        self.process.kill()
        self.process.wait()

    def submitted(self) -> int:
        """Jobs that it has given to SLURM; an array counts once."""
        return self.text().count("SLURM jobid") + self.text().count("SLURM job ID")


@dataclass(frozen=True)
class Folder:
    """A checkout in which the miniature experiment runs on the test cluster."""

    path: Path
    search: Mapping[str, Any] = field(default_factory=lambda: SEARCH)

    @classmethod
    def make(cls, path: Path, search: Mapping[str, Any] = SEARCH) -> Folder:
        path.mkdir()
        folder = cls(checkout(path), search)
        folder.site()
        return folder

    @classmethod
    def before_search(cls, done: Folder, path: Path, search: Mapping[str, Any] | None = None) -> Folder:
        """With all that the search of a finished run needs, times and Snakemake's records included."""
        folder = cls.make(path, done.search if search is None else search)
        for part in ("archive", "field", "reduction", "windows"):
            shutil.copytree(done.path / RESULTS / part, path / RESULTS / part)
        for job in ("archive", "field", "pod", "windows_short"):
            (path / RESULTS / "benchmarks").mkdir(exist_ok=True)
            shutil.copy2(done.path / RESULTS / "benchmarks" / f"{job}.tsv", path / RESULTS / "benchmarks")
        shutil.copytree(done.path / ".snakemake/metadata", path / ".snakemake/metadata")
        return folder

    @classmethod
    def copy(cls, done: Folder, path: Path) -> Folder:
        """A finished run."""
        folder = cls.make(path, done.search)
        shutil.copytree(done.path / RESULTS, path / RESULTS)
        shutil.copytree(done.path / ".snakemake/metadata", path / ".snakemake/metadata")
        return folder

    def site(self, **more: Any) -> None:
        """Write the site file, with `more` than account and partition."""
        (self.path / "config/site.yaml").write_text(yaml.safe_dump({**SITE, **more}))

    def start(
        self,
        *arguments: str,
        profile: str | None = "slurm",
        prefix: Sequence[str] = (),
        **settings: Mapping[str, Any],
    ) -> Run:
        """Start Snakemake; `settings` are sections of the configuration beside `search`."""
        output = self.path / f"run-{time.time_ns()}.log"
        (self.path / OVER).write_text(yaml.safe_dump({"search": dict(self.search), **settings}))
        run = ["--profile", profile] if profile else ["--cores", "2"]
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [*prefix, str(SNAKEMAKE), *run, *arguments, *TINY, OVER],
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        return Run(process, output)

    def run(self, *arguments: str, limit_s: float = LIMIT_S, **options: Any) -> Run:
        """Run Snakemake to its end, which has to be a good one."""
        run = self.start(*arguments, **options)
        assert run.wait(limit_s) == 0, run.text()[-5000:]
        return run

    def outcomes(self) -> list[Outcome]:
        """Every finished trial in the logs, as often as it stands there."""
        files = sorted((self.path / LOGS).glob(f"*/{log.LOGS}"))
        return [record for file in files for record in log.read_file(file) if isinstance(record, Outcome)]

    def wait_for_trials(self, count: int, run: Run) -> None:
        """Until so many trials are finished."""
        wait_for(lambda: len(self.outcomes()) >= count, f"{count} trials", run)

    def finished(self) -> Finished:
        """What is finished now."""
        files = (self.path / RESULTS / "benchmarks").glob("*.tsv")
        return Finished(
            {outcome.trial.number: outcome.ended for outcome in self.outcomes()},
            {file.stem: file.stat().st_mtime_ns for file in files},
        )


@dataclass(frozen=True)
class Finished:
    """Trials in the logs, and jobs by their benchmark files."""

    trials: Mapping[int, float]  # number: Unix time of its end
    jobs: Mapping[str, int]  # name: time of its benchmark file

    def lost(self, folder: Folder) -> dict[str, int]:
        """How much of this is gone, or has been made again, in what is there now."""
        now = folder.finished()
        counted = Counter(outcome.trial.number for outcome in folder.outcomes())
        return {
            "trials_before": len(self.trials),
            "trials_lost": len(self.trials.keys() - now.trials.keys()),
            "trials_repeated": sum(counted.values()) - len(counted),
            "jobs_before": len(self.jobs),
            "jobs_lost": len(self.jobs.keys() - now.jobs.keys()),
            "jobs_repeated": sum(time != now.jobs.get(name, time) for name, time in self.jobs.items()),
        }


@dataclass(frozen=True)
class Job:
    """A job as squeue shows it, within MinJobAge of its end."""

    number: int
    array: int  # number of the array that it is of; its own where it is of none
    name: str
    state: str
    comment: str
    memory_mb: float
    nodes: str


def queue(folder: Folder) -> list[Job]:
    """All jobs from a folder that SLURM remembers, oldest first."""
    told = subprocess.run(
        ["squeue", "--states=all", "--noheader", "--format=%A|%F|%j|%T|%k|%m|%N|%Z"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    rows = [line.split("|") for line in told.splitlines() if line.endswith(f"|{folder.path}")]
    jobs = [Job(int(row[0]), int(row[1]), row[2], row[3], row[4], _megabytes(row[5]), row[6]) for row in rows]
    return sorted(jobs, key=lambda job: job.number)


def _megabytes(text: str) -> float:
    units = {"K": 1 / 1024, "M": 1, "G": 1024}
    return float(text[:-1]) * units[text[-1]] if text[-1] in units else float(text)


def searches(folder: Folder) -> list[Job]:
    """The jobs that search, of those."""
    return [job for job in queue(folder) if job.comment.startswith("rule_search")]


def processes_of(job: Job) -> list[psutil.Process]:
    """Processes of a job's tasks, on all nodes."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLURM_JOB_ID") == str(job.number) and "slurmstepd" not in process.name():
                found.append(process)
        except psutil.Error:
            pass
    return found


def send(job: Job, number: signal.Signals) -> None:
    """A signal to all processes of a job; SLURM does not know."""
    for process in processes_of(job):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def limit(job: Job, minutes: int) -> None:
    """Give a running job another time limit."""
    subprocess.run(["scontrol", "update", f"JobId={job.number}", f"TimeLimit={minutes}"], check=True, timeout=60)


def seconds_left(job: Job) -> float:
    """Until a job's time limit; 0 where it has ended."""
    asked = ["squeue", "--noheader", f"--jobs={job.number}", "--format=%L"]
    told = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout.strip()
    return deadline.seconds(told) or 0.0


def wait_for(condition: Callable[[], object], what: str, run: Run | None = None, limit_s: float = LIMIT_S) -> None:
    """Until a condition holds, as long as a run goes on."""
    until = time.monotonic() + limit_s
    while not condition():
        told = run.text()[-5000:] if run else ""
        assert run is None or run.process.poll() is None, f"Snakemake ended before {what}:\n{told}"
        assert time.monotonic() < until, f"no {what} after {limit_s:.0f} s:\n{told}"
        time.sleep(0.2)


def as_another_user(home: Path) -> list[str]:
    """Prefix of a command run as user nobody, who may read all files here and write in `home` only."""
    home.mkdir()
    home.chmod(0o777)
    who = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    may_read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["env", f"HOME={home}", f"XDG_CACHE_HOME={home}", "setpriv", *who, *may_read]
