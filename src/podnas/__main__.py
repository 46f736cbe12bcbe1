"""Command line of podnas: `python -m podnas`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from podnas import artifacts, config, environments, reference
from podnas.cluster import site


class Archive(StrEnum):
    """Archives that `podnas download` knows."""

    oisst_daily = "oisst_daily"
    oisst_yearly = "oisst_yearly"
    daymet = "daymet"


app = typer.Typer(no_args_is_help=True, add_completion=False, help="Neural emulators of geophysical fields.")


@app.callback()
def main() -> None:
    """Neural emulators of geophysical fields."""


@app.command(hidden=True)
def search_networks(
    job: Annotated[Path, typer.Argument(help="Job that the rule `search` has written (JSON).")],
) -> None:
    """One rank of a search of networks; started by the rule `search` under mpiexec."""
    from podnas.networks import searching  # no other command trains networks

    try:
        searching.run_rank(job)
    except ValueError as error:
        typer.echo(f"podnas: {error}", err=True)
        raise typer.Exit(code=1) from None


@app.command()
def generate(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a file differs.")] = False,
) -> None:
    """Write the files made from the code and the lock: config/*schema.json, config/README.md, envs/podnas.yaml."""
    stale = [path for path, text in _generated().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            typer.echo(f"{path} differs from what it is made from; run `make generate` and commit it", err=True)
        else:
            artifacts.write_text(path, _generated()[path])
            typer.echo(f"wrote {path}")
    raise typer.Exit(code=1 if check and stale else 0)


@app.command()
def search(
    space: Annotated[Path, typer.Option(help="Search space: JSON as ConfigurationSpace.to_json writes it.")],
    folder: Annotated[Path, typer.Option(help="Where the trials are kept; a search that stands there is continued.")],
    objective: Annotated[
        str | None, typer.Option(help="package.module:function or file.py:function, f(point) -> loss.")
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="Program that reads a trial as JSON and prints its loss on the last line.")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="YAML file with keys of the section search.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="random, evolution, bo, adbo, agebo, asha, hyperband.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of the search, of all ranks together.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that evaluate, in each rank.")] = 1,
    ranks: Annotated[int | None, typer.Option(help="MPI ranks to start here, without mpiexec or srun.")] = None,
    exchange: Annotated[str | None, typer.Option(help="How ranks tell each other: mpi, or folder (logs).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search and of its trials.")] = None,
    time_limit_minutes: Annotated[float | None, typer.Option(help="End cleanly after so long.")] = None,
    trial_limit_minutes: Annotated[float | None, typer.Option(help="A trial that takes longer fails.")] = None,
    second_objective: Annotated[str | None, typer.Option(help="Measure that is lowered beside the loss.")] = None,
) -> None:
    """Search a space for the point with the least loss of your own objective; all ranks together."""
    from podnas import commands  # loads what other commands do not need

    with _refusals():
        if (objective is None) == (command is None):
            raise ValueError("give either --objective or --command")
        given = {
            "algorithm": algorithm,
            "trials": trials,
            "ranks": ranks,
            "seed": seed,
            "time_limit_minutes": time_limit_minutes,
            "trial_limit_minutes": trial_limit_minutes,
            "second_objective": second_objective,
            "exchange": exchange,
        }
        target = objective or shlex.split(command or "")
        commands.search(space, target, folder, workers, settings, given)


@app.command()
def export_optuna(
    trials: Annotated[Path, typer.Argument(help="Table of trials (.parquet), or folder of trial logs.")],
    study: Annotated[Path, typer.Argument(help="Journal file to write.")],
    space: Annotated[
        Path | None, typer.Option(help="Search space (JSON), for the ranges; without it, those of the values.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the study.")] = "podnas",
    second_objective: Annotated[str | None, typer.Option(help="Measure that is the second direction.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file where it exists.")] = False,
) -> None:
    """Write trials as an Optuna study, for optuna-dashboard or optuna.load_study."""
    from podnas import commands

    with _refusals():
        count = commands.export_optuna(trials, study, name, space, second_objective, overwrite)
        typer.echo(f"wrote {study}: study {name} with {count} trials; look at it with `optuna-dashboard {study}`")


@app.command()
def download(
    archive: Annotated[Archive, typer.Argument(help="Daily OISST V2.1, PSL's yearly files of it, or DayMet V4 R1.")],
    first: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day.")],
    folder: Annotated[Path, typer.Option(help="Where the files go; what is there already is kept.")],
    variable: Annotated[str, typer.Option(help="DayMet: tmax, tmin, prcp, srad, swe, vp or dayl.")] = "tmax",
    mirror: Annotated[
        list[str] | None,
        typer.Option(help="Address with {name}, perhaps {year} and {month}, tried before the publisher's; repeatable."),
    ] = None,
    publisher: Annotated[bool, typer.Option(help="Whether the publisher is asked, after your mirrors.")] = True,
    connections: Annotated[int, typer.Option(min=1, max=16, help="Files that are downloaded at once.")] = 4,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the SHA-256 of what is there, too.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server; fail where a file is missing.")] = False,
    show: Annotated[bool, typer.Option("--list", help="Show what is needed and what is missing, and end.")] = False,
) -> None:
    """Download what a range of days needs of an archive, verified; rerun to go on where it ended."""
    from podnas.data import download as downloads
    from podnas.data.transfer import Policy

    with _refusals():
        days = (first.date(), last.date())
        items = downloads.needed(archive.value, *days, variable, tuple(mirror or ()), publisher)
        if show:
            typer.echo(downloads.summary(items, folder))
            return
        if not (offline or downloads.offline()):
            items = downloads.with_checksums(items, archive.value, variable)
        paths = downloads.run(items, folder, Policy(connections), verify=verify, no_network=offline)
        typer.echo(f"{len(paths)} files in {folder}, from {paths[0].name} to {paths[-1].name}")


@app.command()
def audit(
    configfile: Annotated[
        list[Path] | None, typer.Option(help="Experiment laid over config/config.yaml; repeatable.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="The experiment's own budgets, not small ones.")] = False,
    harm: Annotated[list[str] | None, typer.Option(help="shift, permute or poison only; repeatable.")] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="Audit this protocol only; repeatable.")] = None,
    until: Annotated[str, typer.Option(help="Rule or file to run to, instead of all that is fitted.")] = "fitted",
    cores: Annotated[int, typer.Option(min=1, help="Cores for the workflow.")] = 2,
) -> None:
    """Harm the weeks after each protocol's training period, and fail where anything fitted or chosen changes."""
    from podnas.audit import harms, run

    with _refusals():
        chosen = harm or tuple(harms.HARMS)
        found = run.audit(configfile or (), chosen, cores, typer.echo, full, until, protocol or ())
        typer.echo(f"\n{run.table(found)}\n")
        changed = run.verdict(found)
        for line in changed:
            typer.echo(f"podnas: {line}", err=True)
        if changed:
            raise typer.Exit(code=1)
        typer.echo(
            f"nothing that is fitted or chosen has seen a week after its training period ({len(found)} compared)"
        )


@contextmanager
def _refusals() -> Iterator[None]:
    """What podnas raises knowingly is shown in one line, not as a traceback; errors may have a status of their own."""
    try:
        yield
    except ValueError as error:
        typer.echo(f"podnas: {error}", err=True)
        raise typer.Exit(code=getattr(error, "exit_status", 1)) from None


def _generated() -> dict[Path, str]:
    return {
        Path("config/schema.json"): config.schema(),
        Path("config/site.schema.json"): site.schema(),
        Path("config/README.md"): reference.text(),
        Path("envs/podnas.yaml"): environments.specification(Path("pyproject.toml"), Path("requirements.lock")),
    }


if __name__ == "__main__":
    app()
