"""Jobs of a killed Snakemake are cancelled, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from podnas.cluster import left

UUID = "c67a72d1-6c5e-4a8f-9f57-0b3f8a1f2e11"
RUN = f"podnas-login1-4711_{UUID}"
# a queue in files: a job a file with its number as name; those that do not end are written again
SQUEUE = """#!/bin/sh
echo "$@" > "{folder}/asked"
cat "{folder}"/queue/* 2>/dev/null
exit 0
"""
SCANCEL = """#!/bin/sh
for number in "$@"; do rm "{folder}/queue/$number"; done
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with squeue and scancel, which are found first."""
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(text.format(folder=tmp_path))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(left, "LOOK_S", 0.01)
    return tmp_path


def queue(folder: Path, jobs: dict[int, tuple[str, Path]]) -> None:
    (folder / "queue").mkdir()
    for number, (name, where) in jobs.items():
        (folder / "queue" / str(number)).write_text(f"{number}|{name}|{where}\n")


def test_jobs_of_a_snakemake_that_is_gone_are_cancelled_and_told(
    commands: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here, elsewhere = commands / "here", commands / "elsewhere"
    jobs = {
        7: (RUN, here),
        12: (f"podnas-login-2-8_{UUID}", here),
        11: (f"podnas-login1-99_{UUID}", here),
        13: (UUID, here),
        8: (RUN, elsewhere),
        9: ("interactive", here),
        10: ("bash", here),
    }
    queue(commands, jobs)
    assert left.cancel(here, {"login1-99"}) == [7, 12]
    assert sorted(file.name for file in (commands / "queue").iterdir()) == ["10", "11", "13", "8", "9"]
    assert "SLURM jobs [7, 12] are of a Snakemake that is gone" in caplog.text
    assert "--user=" in (commands / "asked").read_text()


def test_folder_is_known_by_another_name(commands: Path) -> None:
    (commands / "here").mkdir()
    (commands / "link").symlink_to(commands / "here")
    queue(commands, {7: (RUN, commands / "link")})
    assert left.cancel(commands / "here", ()) == [7]


def test_jobs_that_do_not_end_are_an_error(commands: Path) -> None:
    queue(commands, {7: (RUN, commands / "here")})
    (commands / "scancel").write_text("#!/bin/sh\n")
    with pytest.raises(ValueError, match=r"SLURM jobs \[7\], of a Snakemake that is gone, .* see squeue"):
        left.cancel(commands / "here", (), gone_s=0.1)


def test_nothing_is_done_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert left.cancel(tmp_path, ()) == []


def test_queue_that_does_not_answer_is_told(commands: Path, caplog: pytest.LogCaptureFixture) -> None:
    (commands / "squeue").write_text("#!/bin/sh\nexit 1\n")
    assert left.cancel(commands, ()) == []
    assert "squeue does not answer" in caplog.text
