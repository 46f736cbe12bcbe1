"""What made what: content hashes of code, and a JSON record beside each artifact."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from podnas import artifacts, locks

PACKAGE = Path(__file__).parent
# where a workflow keeps hashes of code, by the bytes of the files
KNOWN = Path(".snakemake/podnas/code")
# modules that no value in an artifact comes from; the values of a configuration reach a rule as its parameters
BYSTANDERS = frozenset({"config", "provenance", "locks", "progress", "cluster"})
# resources of a job that tell what a scheduler ran it on
RANKS = ("scheduler", "tasks", "nodes", "lanes", "gpu")
LIBRARIES = (
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "netcdf4",
    "scikit-learn",
    "xgboost-cpu",
    "tensorflow-cpu",
    "keras",
    "numba",
    "jax",
    "configspace",
    "matplotlib",
    "snakemake",
    "pydantic",
)


def code_hash(script: Path, known: Path | None = None) -> str:
    """Hash of a script and of every podnas module it imports, directly or not.

    Comments, docstrings and the modules that only watch (BYSTANDERS) do not count. Under `known`, a folder, hashes are
    kept of what was seen before, by the bytes of the files: parsing them takes a second or two.
    """
    files = _closure(script, known)
    if known is None:
        return _code_hash(files)
    kept = known / f"code-{_bytes_hash(files)}"
    if not kept.exists():
        artifacts.write_text(kept, _code_hash(files))
    return kept.read_text(encoding="utf-8")


def _code_hash(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + _meaning(file).encode())
    return digest.hexdigest()[:16]


def _bytes_hash(files: Sequence[Path]) -> str:
    digest = hashlib.sha256(f"{platform.python_version()} {_file_hash(Path(__file__))}".encode())
    for file in files:
        digest.update(file.name.encode() + _file_hash(file).encode())
    return digest.hexdigest()[:24]


def _closure(script: Path, known: Path | None) -> list[Path]:
    seen: set[Path] = set()
    todo = [script]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            names = _imported(file) if known is None else _known_imports(file, known)
            todo += [path for name in names if (path := _module_file(name)) is not None]
    return sorted(seen)


def _known_imports(file: Path, known: Path) -> tuple[str, ...]:
    kept = known / f"imports-{_bytes_hash([file])}"
    if not kept.exists():
        artifacts.write_text(kept, " ".join(_imported(file)))
    return tuple(kept.read_text(encoding="utf-8").split())


@cache
def _tree(file: Path) -> ast.Module:
    """A file without comments and docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    for node in _statements(tree):
        body = getattr(node, "body", None)
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            del body[0]
    return tree


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """A module and all statements in it; expressions, which are most of a tree, are left out."""
    yield tree
    for _, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else ():
            if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
                yield from _statements(node)


@cache
def _imported(file: Path) -> tuple[str, ...]:
    """Names of podnas modules, and of what is in them, that a file imports; of their packages, too."""
    names: list[str] = []
    for node in _statements(_tree(file)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    parents = {name.rsplit(".", depth)[0] for name in names for depth in range(name.count(".") + 1)}
    return tuple(sorted(name for name in parents if name.partition(".")[0] == PACKAGE.name))


def _module_file(name: str) -> Path | None:
    first, *rest = name.split(".")
    if first != PACKAGE.name or not rest or rest[0] in BYSTANDERS:
        return None
    base = PACKAGE.joinpath(*rest)
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


@cache
def _meaning(file: Path) -> str:
    return ast.dump(_tree(file))


@cache
def _file_hash(file: Path) -> str:
    return file_hash(file)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def rule(snakemake: Any) -> Iterator[None]:
    """Run a rule's adaptor: log to the rule's log, then write a provenance record beside each output.

    An error that podnas raises knowingly (ValueError) is shown in one line; the log keeps the whole traceback.
    """
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(filename=log, filemode="w", level=logging.INFO, force=True, format=layout)
    locks.end_with_snakemake()
    started = time.time()
    try:
        yield
    except ValueError as error:
        logging.getLogger("podnas").exception("rule %s failed", snakemake.rule)
        sys.exit(f"rule {snakemake.rule}: {error}")
    except BaseException:
        logging.getLogger("podnas").exception("rule %s failed", snakemake.rule)
        raise
    record = _record(snakemake, seconds=time.time() - started)
    for output in map(Path, snakemake.output):
        artifacts.write_json(beside(output), {"artifact": output.name, **record})


def beside(artifact: Path) -> Path:
    """Path of the provenance record of an artifact."""
    return artifact.with_name(artifact.name + ".provenance.json")


def _record(snakemake: Any, seconds: float) -> dict[str, Any]:
    parameters = dict(snakemake.params.items())
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "rule": snakemake.rule,
        "wildcards": dict(snakemake.wildcards.items()),
        "code": parameters.pop("code", None),
        "parameters": json.loads(json.dumps(parameters, default=str)),
        "seeds": _seeds(parameters),
        "inputs": {str(path): file_hash(path) for path in map(Path, snakemake.input)},
        "threads": snakemake.threads,
        "resources": {name: value for name, value in snakemake.resources.items() if name in RANKS},
        "seconds": round(seconds, 3),
        **machine(),
    }


def _seeds(value: Any, prefix: str = "") -> dict[str, int]:
    if not isinstance(value, Mapping):
        return {}
    seeds: dict[str, int] = {}
    for key, inner in value.items():
        if str(key).endswith("seed"):
            seeds[f"{prefix}{key}"] = inner
        seeds |= _seeds(inner, f"{prefix}{key}.")
    return seeds


def machine() -> dict[str, Any]:
    """Git commit, Python, packages, BLAS, host and processor of this process."""
    return {
        "git": git_state(),
        "python": platform.python_version(),
        "packages": {name: version for name in LIBRARIES if (version := _version(name))},
        "blas": _blas(),
        "host": platform.node(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def versions(*names: str) -> dict[str, str | None]:
    """Versions of installed packages."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _blas() -> list[str]:
    from threadpoolctl import threadpool_info

    return [f"{info['internal_api']} {info['version']} ({info['num_threads']} threads)" for info in threadpool_info()]


def git_state() -> dict[str, Any]:
    """Commit of the checkout that this package stands in, and whether files differ from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.strip()
