"""The audit's parts: what counts in an artifact, what is harmed, with what budget, and what is said."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from podnas import artifacts, config, windows
from podnas.audit import budget, contents, harms
from podnas.audit.cuts import Cut
from podnas.audit.run import Finding, Workspace, audit, table, verdict
from podnas.ensemble import select
from podnas.networks import build, space, store
from podnas.networks.space import stacked_lstm
from podnas.runs import refits
from podnas.search import build as build_search
from podnas.search import log
from podnas.search.protocol import Outcome
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


def merged(*over: Path) -> config.ExperimentConfig:
    return config.merge(Path("config/config.yaml"), *over)


@pytest.mark.parametrize("experiment", [None, *EXPERIMENTS], ids=lambda file: file.stem if file else "default")
def test_every_experiment_can_be_audited_with_a_small_budget(experiment):
    own = merged(*([experiment] if experiment else []))
    whole = config.load(budget.repeatable(own))  # with its own budget, too
    small = config.load(budget.reduced(budget.repeatable(own)))
    assert (small.pod, small.field, small.windows, small.stack) == (own.pod, own.field, own.windows, own.stack)
    assert max(small.transfer.epochs, small.baselines.lstm_epochs) <= 2
    for name in own.system_names():
        one, before = small.of_system(name), own.of_system(name)
        assert one.search.trials <= 20
        assert max(one.search.epochs, one.ensemble.epochs) <= 2
        assert one.search.ranks == 1
        # a system is what it is by what it does not share with the others
        assert one.training.corrects == before.training.corrects
        assert one.training.dropout == before.training.dropout
        assert (one.search.algorithm, one.ensemble.keep) == (before.search.algorithm, before.ensemble.keep)
        assert one.training.engine != "auto"
        if name in own.stacked_systems():
            assert one.ensemble.members == own.windows.validation_blocks
    for one, before in zip(small.protocols, own.protocols, strict=True):
        assert one.model_copy(update={"rolling": None}) == before.model_copy(update={"rolling": None})
        assert len(refits(one, small.windows)) == min(budget.REFITS, len(refits(before, own.windows)))
    assert whole.protocols == own.protocols
    assert whole.of_system(own.system_names()[-1]).search.trials == own.of_system(own.system_names()[-1]).search.trials


def test_clocks_of_a_system_are_left_out_too(tmp_path):
    over = tmp_path / "over.yaml"
    over.write_text(
        "systems: {a: {training: {engine: auto}, search: {time_limit_minutes: 1, second_objective: inference_seconds}}}"
    )
    system = config.load(budget.repeatable(merged(over))).of_system("a")
    assert system.training.engine in ("kernels", "keras")
    assert (system.search.time_limit_minutes, system.search.second_objective) == (None, None)


@pytest.mark.parametrize("system", [False, True], ids=["experiment", "system"])
@pytest.mark.parametrize("algorithm", ["asha", "hyperband", "evolution"])
def test_a_small_search_trains_enough_architectures_to_the_end(algorithm, system, tmp_path):
    asked = {"search": {"algorithm": algorithm, "trials": 400, "two_step": None}, "ensemble": {"members": 15}}
    changes = {"systems": {"a": asked}, "stack": {}} if system else asked
    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump(changes))
    small = config.load(budget.reduced(budget.repeatable(merged(over)))).of_system("a" if system else "recurrent")
    search = build_search.build(space.architecture_space(), small.search)
    random, outcomes, running = np.random.default_rng(0), [], []
    while running or not outcomes:
        running += search.ask(small.search.lanes - len(running))
        outcomes.append(Outcome(running.pop(0), loss=random.random(), seconds=0.0))
        search.tell(outcomes[-1:])
        running += search.ask(small.search.lanes - len(running))
    found = select.top_k(log.table(outcomes, None), small.ensemble.members, "ensemble.members")
    assert len(found) == (5 if system else 2)


def test_the_last_trials_of_a_small_search_depend_on_losses_of_the_first():
    search = config.load(budget.reduced(budget.repeatable(merged()))).search
    assert search.algorithm == "evolution"
    assert search.population + search.lanes < search.trials


def test_what_was_lowered_is_told():
    whole = budget.repeatable(merged(Path("config/experiments/sst_thorough.yaml")))
    told = list(budget.changes(whole, budget.reduced(whole)))
    assert "search.trials 400 → 20" in told
    assert "ensemble.epochs 100 → 2" in told
    assert "systems.correction.search.trials 100 → 20" in told
    assert "systems.correction.ensemble.members 20 → 5" in told
    assert "protocols.rolling.rolling.every_years 1 → 10" in told
    assert not any("halving" in line for line in told)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_rolling_protocol_is_cut_where_the_training_of_its_middle_refit_ends(count):
    series, years = coefficients(weeks=600), [1995, 1996, 1997, 1998, 1999][:count]
    experiment = rolling(years[-1])
    mine = experiment.protocol("rolling")
    assert refits(mine, CONFIG) == years
    (cut,) = Cut.of(experiment, "rolling", series.time.values)
    middle = years[count // 2]
    assert [one.name for one in cut.protocols] == ["short", "rolling"]
    assert refits(cut.protocols[1], CONFIG) == years[: count // 2 + 1]
    assert cut.apart == ("short", *(f"rolling/{year}" for year in years[count // 2 + 1 :]))
    test_inputs = windows.split(series, cut.protocols[1], CONFIG)[1]
    past, _ = windows.refit(series, test_inputs, mine, CONFIG, range(middle, middle + 1))
    # no week between the last that the refit is fitted on and the first that is harmed
    harmed = series.time.values > np.datetime64(cut.last)
    assert past.time.values.max() == series.time.values[~harmed].max()


def rolling(last_year: int) -> config.ExperimentConfig:
    end = date(last_year, 12, 31)
    sunday = end - timedelta(days=end.isoweekday() % 7)
    mine = {**PROTOCOL.model_dump(mode="json"), "test_last": str(sunday), "name": "rolling", "rolling": {"members": 2}}
    return config.load(
        {
            "experiment": "rolled",
            "title": "rolled",
            "pod": {"modes": 2, "train_last": "1994-12-25"},
            "windows": CONFIG.model_dump(),
            "protocols": [PROTOCOL.model_dump(mode="json"), mine],
            "verify": {"map_lead_weeks": 2},
        }
    )


def test_a_protocol_that_is_fitted_once_is_cut_where_its_training_ends_and_in_mid_test():
    end, middle = Cut.of(rolling(1997), "short", coefficients().time.values)
    assert (end.last, end.apart) == (PROTOCOL.train_last, ("rolling",))
    assert [one.name for one in end.protocols] == ["short"]
    assert PROTOCOL.test_first < middle.last < PROTOCOL.test_last
    assert (middle.protocols, middle.apart) == (end.protocols, end.apart)


def test_a_protocol_without_test_weeks_has_no_middle_of_them():
    weeks = coefficients().time.values
    with pytest.raises(ValueError, match=r"protocol short has no test week among the .*field\.last"):
        Cut.of(rolling(1997), "short", weeks[weeks < np.datetime64(PROTOCOL.test_first)])


def test_a_forecast_that_begins_before_the_cut_counts_though_it_ends_after_it(tmp_path):
    series = coefficients()
    _, middle = Cut.of(rolling(1997), "short", series.time.values)
    clean = written(tmp_path / "clean", series)
    changed = written(tmp_path / "harmed", harms.harmed(series, "coefficient", middle.last, harms.poison))
    assert contents.differences(clean / "test_inputs.nc", changed / "test_inputs.nc", middle.last) == []
    test = artifacts.read_windows(clean / "test_inputs.nc", artifacts.INPUTS)
    across = test.init_time.values == np.datetime64(middle.last)
    assert across.sum() == 1
    forecasts = np.zeros((*test.valid_time.shape, 2))
    for name in ("clean", "harmed"):
        training = artifacts.read_windows(clean / "train.nc", artifacts.TRAINING)
        periods = [np.zeros((*training.valid_time.shape, 2)), forecasts + (name == "harmed") * across[:, None, None]]
        artifacts.write_prediction(tmp_path / f"{name}.nc", windows.prediction(training, test, periods))
    assert contents.differences(tmp_path / "clean.nc", tmp_path / "harmed.nc", middle.last) == ["forecast"]


def test_only_what_a_cut_protocol_and_its_earlier_refits_made_is_compared(tmp_path):
    work = Workspace(tmp_path, {"experiment": "rolled"}, 1)
    names = (
        "reduction/basis.nc",
        "windows/rolling/train.nc",
        "windows/rolling/1996/train.nc",
        "windows/rolling/1997/train.nc",
        "windows/short/train.nc",
        "networks/rolling/1996/short/catalogue.json",  # of a system of that name
        "field/field.nc",
        "windows/rolling/train.nc.provenance.json",
    )
    for name in names:
        (work.results / name).parent.mkdir(parents=True, exist_ok=True)
        (work.results / name).touch()
    found = work.artifacts(("short", "rolling/1997"))
    assert sorted(found) == sorted([names[0], names[1], names[2], names[5]])


def test_joined_forecasts_are_compared_for_the_dates_inside(tmp_path):
    series = coefficients()
    (cut,) = Cut.of(rolling(1997), "rolling", series.time.values)
    assert str(cut.last) == "1995-12-31"
    before = joined(series)
    # the refit of 1996 forecasts from weeks that are harmed; that of 1995 from weeks that are not
    later, earlier = before.copy(deep=True), before.copy(deep=True)
    later.forecast.values[before.init_time.values >= np.datetime64("1996-01-01")] += 1
    # what it forecasts of 1996 was begun before
    inside = (before.init_time.values > np.datetime64("1995-12-01")) & (
        before.init_time.values < np.datetime64("1996-01-01")
    )
    earlier.forecast.values[inside] += 1
    for name, made in {"before": before, "later": later, "earlier": earlier}.items():
        artifacts.write_prediction(tmp_path / f"{name}.nc", made)
    assert contents.differences(tmp_path / "before.nc", tmp_path / "later.nc", cut.last) == []
    assert contents.differences(tmp_path / "before.nc", tmp_path / "earlier.nc", cut.last) == ["forecast"]
    # a later end of the test period is no difference either: the harmed run has no later refits
    shorter = before.isel(init_time=before.init_time.values < np.datetime64("1996-12-01"))
    artifacts.write_prediction(tmp_path / "shorter.nc", shorter)
    assert contents.differences(tmp_path / "before.nc", tmp_path / "shorter.nc", cut.last) == []


def joined(series: xr.Dataset) -> xr.Dataset:
    mine = rolling(1997).protocol("rolling")
    test_inputs, parts = windows.split(series, mine, CONFIG)[1], []
    for year in refits(mine, CONFIG):
        past, inputs = windows.refit(series, test_inputs, mine, CONFIG, range(year, year + 1))
        parts.append(windows.prediction(past, inputs, [np.zeros((*one.valid_time.shape, 2)) for one in (past, inputs)]))
    return windows.joined(parts)


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


@pytest.mark.parametrize(("experiment", "section"), [("heatwaves", "classification"), ("judged", "judged")])
def test_studies_of_which_nothing_would_be_compared_are_refused(experiment, section):
    file = Path(f"config/experiments/{experiment}.yaml")
    with pytest.raises(ValueError, match=rf"experiment {experiment} is a study of its own \(section {section}\)"):
        audit([file], ["poison"], 1, print)


def test_a_leakage_laboratory_is_refused():
    with pytest.raises(ValueError, match="experiment leakage is a leakage laboratory"):
        audit([Path("config/experiments/leakage.yaml")], ["poison"], 1, print)


@pytest.mark.parametrize("name", ["outlook", "events", "uci"])
def test_what_has_no_field_is_refused(name):
    with pytest.raises(ValueError, match=f"experiment {name} has no field that could be harmed"):
        audit([Path(f"config/experiments/{name}.yaml")], ["poison"], 1, print)


def test_an_unknown_harm_is_refused():
    with pytest.raises(ValueError, match="no harm burn; choose among shift, permute, poison"):
        audit((), ["burn"], 1, print)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match="no protocol middle; choose among short, long"):
        audit((), ["poison"], 1, print, protocols=["middle"])
