"""The lock, the conda specification made from it, and set-up: same versions, no addresses, nothing half-made."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from podnas import environments

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "requirements.lock", ROOT / "bootstrap.lock"]
TRACKED = [*LOCKS, ROOT / "pyproject.toml", ROOT / "Makefile", *(ROOT / "envs").glob("*.yaml")]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("file", TRACKED, ids=lambda file: file.name)
def test_no_address_stands_in_what_is_installed_from(file: Path) -> None:
    assert "://" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.name)
def test_every_package_of_a_lock_has_a_version_and_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[^]]*\])?==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


def test_what_runs_here_has_the_locked_versions() -> None:
    locked = environments.locked_versions(ROOT / "requirements.lock")
    for name in environments.dependencies(ROOT / "pyproject.toml"):
        assert metadata.version(name) == locked[name], f"{name}: `make setup` brings .venv to requirements.lock"


def test_conda_specification_agrees_with_the_lock() -> None:
    """Read back by itself, not by the code that wrote it."""
    specification = yaml.safe_load((ROOT / "envs" / "podnas.yaml").read_text(encoding="utf-8"))
    asked = dict(entry.split("=") for entry in specification["dependencies"] if "=" in entry)
    assert asked.pop("python") == "3.11"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pairs = re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", lock, flags=re.MULTILINE)
    locked = {canonical(name): version for name, version in pairs}
    for name, version in asked.items():
        wheel = canonical(name.removeprefix("py-") if name.startswith("py-xgboost") else name)
        assert locked[wheel].removesuffix(".post1") == version, name
    assert len(asked) == len(environments.dependencies(ROOT / "pyproject.toml"))


def test_dependency_without_a_locked_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["numpy>=2", "nosuch[extra]"]\n')
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6 \\\n    --hash=sha256:00\n")
    with pytest.raises(ValueError, match=r"nosuch is in pyproject\.toml, but requirements\.lock has no version of it"):
        environments.specification(tmp_path / "pyproject.toml", tmp_path / "requirements.lock")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_python_of_another_version_is_refused_with_the_remedy(tmp_path: Path) -> None:
    other = tmp_path / "python3.9"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    for name in ("requirements.lock", "bootstrap.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    done = make(tmp_path, "setup", f"PYTHON={other}")
    assert done.returncode != 0
    assert "podnas needs Python 3.11" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_interrupted_set_up_is_begun_anew(tmp_path: Path) -> None:
    """A .venv without its stamp is thrown away; one with an old stamp loses it before anything is installed."""
    for name in ("requirements.lock", "bootstrap.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    uv = tmp_path / ".tools" / "uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text('#!/bin/sh\necho "$@" >> calls\n[ "$2" != sync ]\n')
    uv.chmod(0o755)
    (tmp_path / ".tools" / "uv" / ".stamp").touch()
    (tmp_path / ".venv").mkdir()
    assert make(tmp_path, "setup").returncode != 0
    assert (tmp_path / "calls").read_text().startswith("venv --quiet --clear")
    (tmp_path / ".venv" / ".stamp").touch()
    (tmp_path / "calls").unlink()
    (tmp_path / "requirements.lock").write_text("newer")
    done = make(tmp_path, "setup", "-W", "requirements.lock")
    assert done.returncode != 0
    assert (tmp_path / "calls").read_text().startswith("pip sync")
    assert not (tmp_path / ".venv" / ".stamp").exists()
