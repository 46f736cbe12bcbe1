"""Command line of podnas: `python -m podnas`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from podnas import artifacts, config, environments, reference

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Neural emulators of geophysical fields.")


@app.callback()
def main() -> None:
    """Neural emulators of geophysical fields."""


@app.command()
def generate(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a file differs.")] = False,
) -> None:
    """Write the files made from the code and the lock: config/schema.json, config/README.md, envs/podnas.yaml."""
    stale = [path for path, text in _generated().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            typer.echo(f"{path} differs from what it is made from; run `make generate` and commit it", err=True)
        else:
            artifacts.write_text(path, _generated()[path])
            typer.echo(f"wrote {path}")
    raise typer.Exit(code=1 if check and stale else 0)


def _generated() -> dict[Path, str]:
    return {
        Path("config/schema.json"): config.schema(),
        Path("config/README.md"): reference.text(),
        Path("envs/podnas.yaml"): environments.specification(Path("pyproject.toml"), Path("requirements.lock")),
    }


if __name__ == "__main__":
    app()
