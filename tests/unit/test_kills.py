"""SIGKILL at fifty random times: no finished trial is lost or made twice, and the search goes on as if undisturbed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from podnas.search import log
from podnas.search.protocol import Outcome
from tests import kills

ROOT = Path(__file__).parents[2]
KILLS = 50
TRIALS = 60
TWO_STEP = {"two_step": {"fraction": 0.5, "top": 0.2}}
HALVING = {"halving": {"reduction": 3, "least": 1 / 9}}
SEARCHES = {
    "evolution": {"population": 8, "sample": 3, **TWO_STEP},
    "bo": {},
    "adbo": {},
    "agebo": {"population": 8, "sample": 3},
    "asha": HALVING,
    "hyperband": HALVING,
}


def settings_of(name: str) -> dict[str, object]:
    return {"algorithm": name, "trials": TRIALS, "seed": 1, **SEARCHES[name]}


def run(folder: Path, settings: dict[str, object], runner: str, longest_s: float = 0.08) -> dict[str, int]:
    given = json.dumps({**settings, "runner": runner, "kills": KILLS, "longest_s": longest_s})
    ended = subprocess.run(
        [sys.executable, "-m", "tests.kills", str(folder), given], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, int] = json.loads(ended.stdout.splitlines()[-1])
    return found


def finished(folder: Path) -> Counter[int]:
    records = log.read_file(log.rank_path(folder, 0))
    return Counter(record.trial.number for record in records if isinstance(record, Outcome))


@pytest.mark.parametrize("name", SEARCHES)
def test_killed_at_fifty_random_times_a_search_ends_as_an_undisturbed_one(tmp_path, name):
    settings = settings_of(name)
    found = run(tmp_path, settings, "driver")
    assert found["kills"] >= KILLS
    undisturbed = json.loads((tmp_path / "whole/end.json").read_text())
    for number in range(found["searches"]):
        folder = tmp_path / str(number)
        # population, random state and what was under way: all of it is the undisturbed search's
        assert json.loads((folder / "end.json").read_text()) == undisturbed
        assert finished(folder) == dict.fromkeys((trial for trial, _ in undisturbed["trials"]), 1)


@pytest.mark.parametrize("name", ["evolution", "adbo", "asha"])
def test_a_rank_killed_at_fifty_random_times_makes_all_trials_once(tmp_path, name):
    settings = settings_of(name)
    found = run(tmp_path, settings, "decentralised")
    assert found["kills"] >= KILLS
    for number in range(found["searches"]):
        folder = tmp_path / str(number)
        ended = json.loads((folder / "end.json").read_text())
        assert finished(folder) == dict.fromkeys((trial for trial, _ in ended["trials"]), 1)
        assert len(ended["trials"]) >= TRIALS
        # what it knows is what a search knows that is told the log
        told = kills.search(settings)
        told.tell(log.merge(folder).outcomes)
        for part in {"population", "archive"} & ended["state"].keys():
            assert ended["state"][part] == json.loads(json.dumps(told.state()))[part]
