"""The audit's parts: what counts in an artifact, what is harmed, with what budget, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from podnas import artifacts, config, windows
from podnas.audit import budget, contents, harms
from podnas.audit.run import Finding, audit, table, verdict
from podnas.networks import build, store
from podnas.networks.space import stacked_lstm
from tests.series import CONFIG, PROTOCOL, coefficients

EXPERIMENTS = sorted(Path("config/experiments").glob("*.yaml"))
LAST = PROTOCOL.train_last


def written(folder: Path, series: xr.Dataset) -> Path:
    folder.mkdir()
    parts = windows.split(series, PROTOCOL, CONFIG)
    for name, part, kind in zip(("train", "test_inputs"), parts, (artifacts.TRAINING, artifacts.INPUTS), strict=False):
        artifacts.write_windows(folder / f"{name}.nc", part, kind)
    artifacts.write_coefficients(folder / "coefficients.nc", series)
    return folder


@pytest.mark.parametrize("harm", harms.HARMS.values())
def test_weeks_after_the_training_period_do_not_count(harm, tmp_path):
    series = coefficients()
    clean = written(tmp_path / "clean", series)
    changed = written(tmp_path / "harmed", harms.harmed(series, "coefficient", LAST, harm))
    for name in ("train.nc", "coefficients.nc"):
        assert contents.differences(clean / name, changed / name, LAST) == []
    # of test inputs there is nothing to compare, and nobody shall read that they are unchanged
    assert contents.differences(clean / "test_inputs.nc", changed / "test_inputs.nc", LAST) is None


def test_a_training_week_counts_and_so_does_what_has_no_date(tmp_path):
    series = coefficients()
    changed = series.copy(deep=True)
    last = int(np.flatnonzero(series.time.values == np.datetime64(LAST))[0])
    changed.coefficient.values[last] += 1
    clean, other = written(tmp_path / "clean", series), written(tmp_path / "other", changed)
    assert contents.differences(clean / "coefficients.nc", other / "coefficients.nc", LAST) == ["coefficient"]
    # the last training week is a target, a week of the series and in the scaler; it is no window's input
    found = contents.differences(clean / "train.nc", other / "train.nc", LAST)
    assert sorted(found) == ["offset", "scale", "series", "target"]


def test_gaps_stay_gaps_and_no_week_up_to_the_last_is_harmed():
    series = coefficients()
    series.coefficient.values[300, 0] = np.nan
    for harm in harms.HARMS.values():
        values = harms.harmed(series, "coefficient", LAST, harm).coefficient.values
        assert np.array_equal(np.isnan(values), np.isnan(series.coefficient.values))
        past = series.time.values <= np.datetime64(LAST)
        assert np.array_equal(values[past], series.coefficient.values[past])
        assert not np.allclose(values[~past], series.coefficient.values[~past], equal_nan=True)


def test_times_a_computation_took_do_not_count_and_losses_do(tmp_path):
    def made(name: str, seconds: float, loss: float | None) -> tuple[Path, Path, Path]:
        paths = tuple(tmp_path / f"{name}{end}" for end in (".json", ".parquet", ".jsonl"))
        record = {"members": [{"loss": loss, "training_seconds": seconds}], "search_seconds": seconds}
        artifacts.write_json(paths[0], record)
        trials = pd.DataFrame({"loss": [loss, 0.5], "seconds": seconds, "ended": seconds, "of": pd.array([None, 1])})
        artifacts.write_table(paths[1], trials)
        lines = [{"trial": {"number": 0}, "loss": loss, "seconds": seconds}, {"trial": {"number": 1}, "ended": seconds}]
        ordered = lines if seconds == 1 else lines[::-1]
        artifacts.write_text(paths[2], "".join(json.dumps(line) + "\n" for line in ordered))
        return paths

    before, later, other, failed = made("a", 1, 0.25), made("b", 2, 0.25), made("c", 1, 0.26), made("d", 1, None)
    assert [contents.differences(*two, LAST) for two in zip(before, later, strict=True)] == [[], [], []]
    for changed in (other, failed):
        found = [contents.differences(*two, LAST) for two in zip(before, changed, strict=True)]
        assert found == [["members[0].loss"], ["loss"], ["lines"]]


def test_a_weight_of_a_network_counts(tmp_path):
    network, same = (build.build(stacked_lstm(4, 1), 4, 6, 2) for _ in range(2))
    same.set_weights(network.get_weights())
    store.save(tmp_path / "one.keras", network)
    store.save(tmp_path / "same.keras", same)
    network.set_weights([*network.get_weights()[:-1], network.get_weights()[-1] + 1e-6])
    store.save(tmp_path / "other.keras", network)
    assert contents.differences(tmp_path / "one.keras", tmp_path / "same.keras", LAST) == []
    assert len(contents.differences(tmp_path / "one.keras", tmp_path / "other.keras", LAST)) == 1


@pytest.mark.parametrize("experiment", [None, *EXPERIMENTS], ids=lambda file: file.stem if file else "default")
def test_every_experiment_can_be_audited_with_a_small_budget(experiment):
    files = [Path("config/config.yaml"), *([experiment] if experiment else [])]
    whole = budget.repeatable(config.merge(*files))
    small = config.load(budget.reduced(whole))
    assert config.load(whole)  # with its own budget, too
    assert small.search.trials <= 10
    assert max(small.search.epochs, small.ensemble.epochs, small.transfer.epochs, small.baselines.lstm_epochs) <= 2
    assert small.search.ranks == 1
    assert (small.protocols, small.pod, small.field) == (
        config.load(whole).protocols, config.load(whole).pod, config.load(whole).field,
    )  # fmt: skip


def test_what_was_lowered_is_told():
    whole = budget.repeatable(config.merge(Path("config/config.yaml")))
    told = list(budget.changes(whole, budget.reduced(whole)))
    assert "search.trials 400 → 4" in told
    assert "ensemble.epochs 100 → 2" in told


def test_table_and_verdict_name_artifact_protocol_and_harm():
    found = [
        Finding("windows/short/train.nc", "short", "shift", ()),
        Finding("windows/short/train.nc", "short", "poison", ("offset", "scale", "a", "b")),
        Finding("reduction/basis.nc", "short", "poison", ()),
    ]
    assert verdict(found) == [
        "windows/short/train.nc of protocol short changed with harm poison: offset, scale, a and 1 more"
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(found).splitlines()]
    assert lines[0] == ["artifact", "protocol", "shift", "poison"]
    assert lines[2] == ["windows/short/train.nc", "short", "unchanged", "changed"]
    assert lines[3] == ["reduction/basis.nc", "short", "—", "unchanged"]


def test_an_unknown_harm_is_refused():
    with pytest.raises(ValueError, match="no harm burn; choose among shift, permute, poison"):
        audit((), ["burn"], 1, print)
