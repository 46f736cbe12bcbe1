"""What `make report` prints: the page of scores that an experiment makes, whatever it is called."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["scorecard", "verification", "classified", "outlook", "leakage", "judged"]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_of_scores_is_found(tmp_path: Path, page: str) -> None:
    folder = tmp_path / "results/some"
    folder.mkdir(parents=True)
    (folder / f"{page}.md").touch()
    (folder / "record.md").touch()
    command = ["make", "-f", str(ROOT / "Makefile"), "-n", "-o", ".venv/.stamp", "report", "EXPERIMENT=some"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"results/some/{page}.md;" in done.stdout
    assert f"scores: results/some/{page}.md, report: results/some/report.html" in done.stdout
