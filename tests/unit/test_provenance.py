"""Provenance: the hash follows the meaning of code through its imports; a record stands beside each artifact."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from podnas import provenance

SCRIPT = "from podnas import artifacts\nfrom podnas.reduction.pod import fit\n\nprint(fit, artifacts)\n"


class Package:
    """A package of the same name in a temporary folder, with a script that imports it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "podnas"
        self.script = folder / "pod.py"
        self.script.write_text(SCRIPT)
        self.write("artifacts.py", "A = 1\n")
        self.write("reduction/__init__.py", "")
        self.write("reduction/pod.py", "def fit():\n    from podnas import scores\n    return scores\n")
        self.write("scores.py", "def r2():\n    return 1\n")
        self.write("provenance.py", "P = 1\n")
        self.write("unrelated.py", "U = 1\n")

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def hash(self, known: Path | None = None) -> str:
        for remembered in (provenance._tree, provenance._imported, provenance._meaning, provenance._file_hash):
            remembered.cache_clear()
        return provenance.code_hash(self.script, known)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    made = Package(tmp_path)
    monkeypatch.setattr(provenance, "PACKAGE", made.folder)
    return made


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """`rule` points the root logger to the rule's log; give it back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scores.py", "# why\ndef r2():\n    return 1  # one\n"),
        ("scores.py", '"""Scores."""\n\n\ndef r2():\n    """Coefficient of determination."""\n    return 1\n'),
        ("scores.py", "def r2():\n\n    return (1)\n"),
        ("unrelated.py", "U = 2\n"),
        ("provenance.py", "P = 2\n"),
    ],
    ids=["comment", "docstring", "layout", "module that is not imported", "module that only watches"],
)
def test_hash_stays_where_no_value_can_change(package: Package, name: str, text: str) -> None:
    before = package.hash()
    package.write(name, text)
    assert package.hash() == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("artifacts.py", "A = 2\n"),
        ("reduction/pod.py", "def fit():\n    return None\n"),
        ("scores.py", "def r2():\n    return 2\n"),
        ("reduction/__init__.py", "I = 1\n"),
    ],
    ids=["imported", "imported by name", "imported by an import, in a function", "package around a module"],
)
def test_hash_follows_code_through_imports(package: Package, name: str, text: str) -> None:
    before = package.hash()
    package.write(name, text)
    assert package.hash() != before


@pytest.mark.parametrize(
    "around",
    [
        "try:\n    pass\nexcept ValueError:\n    {}\n",
        "try:\n    pass\nfinally:\n    {}\n",
        "if False:\n    pass\nelse:\n    {}\n",
        "match 1:\n    case 1:\n        {}\n",
        "class C:\n    def f(self):\n        with open('x'):\n            {}\n",
        "async def f():\n    for x in ():\n        {}\n",
    ],
)
def test_hash_follows_imports_wherever_they_stand(package: Package, around: str) -> None:
    package.script.write_text(around.format("from podnas import scores"))
    before = package.hash()
    package.write("scores.py", "def r2():\n    return 2\n")
    assert package.hash() != before


def test_hash_follows_the_script(package: Package) -> None:
    before = package.hash()
    package.script.write_text(SCRIPT + "print(1)\n")
    assert package.hash() != before


def test_hash_of_a_module_moved_elsewhere_differs(package: Package) -> None:
    """Two modules of one name: swapping their contents is a change."""
    package.write("search/pod.py", "S = 1\n")
    package.script.write_text("import podnas.reduction.pod\nimport podnas.search.pod\n")
    before = package.hash()
    text = (package.folder / "reduction/pod.py").read_text()
    package.write("reduction/pod.py", "S = 1\n")
    package.write("search/pod.py", text)
    assert package.hash() != before


def job(tmp_path: Path) -> Any:
    """What Snakemake injects into a script, as far as `rule` uses it."""
    source = tmp_path / "in" / "table.csv"
    source.parent.mkdir()
    source.write_text("1\n")
    return SimpleNamespace(
        rule="pod",
        input=[str(source)],
        output=[str(tmp_path / "out" / "basis.nc"), str(tmp_path / "out" / "coefficients.nc")],
        log=[str(tmp_path / "logs" / "pod.log")],
        params={"config": {"modes": 5, "two_step": {"seed": 7}, "lstm_seed": 2}, "code": "abc"},
        wildcards={"protocol": "short"},
        threads=2,
        resources={"mem_mb": 3500, "scheduler": "slurm", "tasks": 8},
    )


def write_outputs(snakemake: Any) -> None:
    for output in map(Path, snakemake.output):
        output.parent.mkdir(exist_ok=True)
        output.write_text("made")


def test_record_beside_each_output_says_what_made_it(tmp_path: Path) -> None:
    snakemake = job(tmp_path)
    with provenance.rule(snakemake):
        write_outputs(snakemake)
    for output in map(Path, snakemake.output):
        record = json.loads(provenance.beside(output).read_text())
        assert record["artifact"] == output.name
        assert record["rule"] == "pod"
        assert record["code"] == "abc"
        assert record["wildcards"] == {"protocol": "short"}
        assert record["parameters"] == {"config": {"modes": 5, "two_step": {"seed": 7}, "lstm_seed": 2}}
        assert record["seeds"] == {"config.two_step.seed": 7, "config.lstm_seed": 2}
        assert record["resources"] == {"scheduler": "slurm", "tasks": 8}
        assert record["inputs"] == {snakemake.input[0]: hashlib.sha256(b"1\n").hexdigest()}
        assert set(record["git"]) == {"commit", "dirty"}
        assert record["packages"]["numpy"]
        assert record["blas"]


def test_inputs_of_one_name_in_two_folders_both_stand_in_the_record(tmp_path: Path) -> None:
    snakemake = job(tmp_path)
    other = tmp_path / "table.csv"
    other.write_text("2\n")
    snakemake.input.append(str(other))
    with provenance.rule(snakemake):
        write_outputs(snakemake)
    record = json.loads(provenance.beside(Path(snakemake.output[0])).read_text())
    assert set(record["inputs"]) == set(snakemake.input)


def test_known_error_is_one_line_on_the_terminal_and_whole_in_the_log(tmp_path: Path) -> None:
    snakemake = job(tmp_path)
    with pytest.raises(SystemExit) as caught, provenance.rule(snakemake):
        raise ValueError("pod.modes is 9, but only 5 snapshots exist; set pod.modes <= 4")
    assert caught.value.code == "rule pod: pod.modes is 9, but only 5 snapshots exist; set pod.modes <= 4"
    log = Path(snakemake.log[0]).read_text()
    assert "Traceback" in log
    assert "pod.modes is 9" in log
    assert not provenance.beside(Path(snakemake.output[0])).exists()


def test_unforeseen_error_keeps_its_type_and_is_logged(tmp_path: Path) -> None:
    snakemake = job(tmp_path)
    with pytest.raises(ZeroDivisionError), provenance.rule(snakemake):
        _ = 1 / 0
    assert "ZeroDivisionError" in Path(snakemake.log[0]).read_text()


def test_log_holds_what_the_rooms_say(tmp_path: Path) -> None:
    snakemake = job(tmp_path)
    with provenance.rule(snakemake):
        logging.getLogger("podnas.data").info("joined 2 files")
        write_outputs(snakemake)
    assert "INFO podnas.data: joined 2 files" in Path(snakemake.log[0]).read_text()


def test_a_hash_seen_before_is_kept_by_the_bytes_of_the_files(package: Package, tmp_path: Path) -> None:
    known = tmp_path / "known"
    first = package.hash(known)
    assert first == package.hash()
    for kept in known.glob("code-*"):
        kept.write_text("kept")
    assert package.hash(known) == "kept"
    package.write("scores.py", "def r2():\n    return 2\n")
    assert package.hash(known) == package.hash() != first
    package.write("reduction/pod.py", "def fit():\n    from podnas import unrelated\n    return unrelated\n")
    package.hash(known)
    package.write("unrelated.py", "U = 2\n")
    assert package.hash(known) == package.hash()
