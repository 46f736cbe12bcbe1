"""The outlook: what its configuration refuses, what is sealed, small networks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from podnas import config, windows
from podnas.config import TrainingConfig, WindowsConfig, section
from podnas.data import nino
from podnas.networks import exact, population, space
from podnas.networks.population import Arrays, Member
from podnas.networks.recipe import Recipe
from podnas.verify import ledger
from tests import index

ROOT = Path(__file__).parents[2]


def values() -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for file in ("config/config.yaml", "config/experiments/outlook.yaml"):
        section.update(merged, yaml.safe_load((ROOT / file).read_text(encoding="utf-8")))
    return copy.deepcopy(merged)


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("source", {"kind": "twin"}, "only an index has one"),
        ("outlook", None, "sections of an index are there: none"),
        ("outlook", {"protocol": "long"}, "outlook.protocol is long; protocols that are fitted once are"),
        ("outlook", {"sealed": "record"}, "they must not meet"),
        ("training", {"head": None}, "set it to gaussian"),
        ("search", {"ranks": 2}, "search.ranks is 2"),
        ("outlook", {"architectures": 40}, "outlook.architectures is 40, but search.trials is 32"),
    ],
)
def test_what_makes_no_outlook_is_refused(section, change, said):
    changed = values()
    changed[section] = None if change is None else {**changed[section], **change}
    with pytest.raises(ValueError, match=said):
        config.load(changed)


def test_the_sealed_weeks_are_scored_once(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger.check_once(path, "sealed", "a")
    ledger.append(path, [{"time": "now", "protocol": "sealed", "method": "outlook", "configuration": "a"}])
    ledger.check_once(path, "sealed", "a")
    ledger.check_once(path, "record", "b")
    with pytest.raises(ValueError, match=r"scored on now by forecast a .* and are scored once; this forecast is b"):
        ledger.check_once(path, "sealed", "b")


def test_the_newest_windows_end_with_the_last_week():
    series = nino.series(index.table(100), "made up")
    window = WindowsConfig(inputs=4, outputs=4)
    first = series.time.values[10].astype("datetime64[D]").item()
    training, last = windows.newest(series, first, window)
    assert training.sizes == {**training.sizes, "time": 90, "init_time": 90 - 7}
    assert np.array_equal(last.input.values[0, :, 0], series.coefficient.values[-4:, 0])
    assert last.init_time.values[0] == series.time.values[-1]
    assert np.array_equal(last.valid_time.values[0], series.time.values[-1] + np.timedelta64(7, "D") * np.arange(1, 5))


def test_small_networks_have_their_own_space():
    drawn = space.small_space()
    assert len(drawn) == 2 + 3
    assert drawn.estimate_size() == 4**2 * 2**3
    layers = space.graph({"node_1": "8", "node_2": "16", "skip_2_0": 1}, 9, 2)
    assert layers[-1].units == 2


def test_narrow_projections_train():
    # eight units leave places between bias and kernel: what lay in memory there must not enter the optimiser
    random = np.random.default_rng(0)
    values = [random.normal(size=(64, 4, width)).astype(np.float32) for width in (9, 1, 9, 1)]
    point = {"node_1": "16", "node_2": "8", "skip_2_1": 1, "skip_2_0": 1}
    recipe = Recipe(TrainingConfig(batch_size=32, head="gaussian"), WindowsConfig(inputs=4, outputs=4), 1, False)
    for seed in range(20):
        np.full(2000, np.nan, np.float32).sum()  # freed at once
        job = population.job(Member(point, seed, recipe.settings), Arrays(*values), recipe)
        assert exact.advance([job])[0].error is None
