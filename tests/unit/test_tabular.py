"""Sets, splits and folds of the tabular benchmark, ensembles of trials, and the scorecard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from podnas import artifacts, config
from podnas.artifacts import ArtifactError
from podnas.config import MlpSpaceConfig, RangeConfig, RecipeConfig, SearchConfig, TabularConfig
from podnas.ensemble.mixture import gaussian
from podnas.tabular import members, sets, study
from podnas.tabular.evaluate import Forecast
from podnas.tabular.folds import Folds, Lanes
from podnas.verify import tabular
from tests import tables

ROOT = Path(__file__).parents[2]
SMALL = TabularConfig(
    sets=("waves",),
    folds=3,
    members=2,
    space=MlpSpaceConfig(layers=1, widths=(4, 8), updates=RangeConfig(choices=(10, 20))),
    recipe=RecipeConfig(epochs=2),
)
SEARCH = SearchConfig(algorithm="agebo", trials=5, population=2, sample=1, lanes=1, bayes={"initial": 2, "trees": 3})


def quiet(outcome, kept) -> None:
    """A report that says nothing."""


@pytest.fixture
def table(tmp_path):
    return sets.read(tables.write(tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test": None}, "has no test, only X, y"),
        ({"y": np.zeros(3)}, r"X \(60, 3\), y \(3,\) and test"),
        ({"y": np.full(60, np.nan)}, "60 values in y that are not finite"),
        ({"test": np.full((1, 60), 2)}, "neither true nor false"),
        ({"test": np.zeros((2, 60), bool)}, "a split without test rows"),
        ({"X": np.array([[None] * 3] * 60, dtype=object)}, "truncated or damaged"),
    ],
)
def test_files_that_are_no_set_are_refused(tmp_path, changes, words):
    with pytest.raises(ArtifactError, match=words):
        sets.read(tables.write(tmp_path, **changes))


def test_a_cut_file_is_refused(tmp_path):
    path = tables.write(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ArtifactError, match="truncated or damaged"):
        sets.read(path)


def test_splits_that_are_not_there_or_too_small_are_refused(table):
    assert list(sets.first_splits("waves", 2, None)) == [0, 1]
    with pytest.raises(ValueError, match=r"tabular.splits is 3, but set waves has 2"):
        sets.first_splits("waves", 2, 3)
    with pytest.raises(ValueError, match=r"54 training rows, but tabular.folds = 20 blocks need 80"):
        sets.split(table, 0, 20)
    flat = sets.Table("flat", table.features, np.ones(60), table.test)
    with pytest.raises(ValueError, match="all training targets are 1"):
        sets.split(flat, 0, 3)


def test_a_split_holds_no_test_target(table):
    made = sets.split(table, 0, 3)
    assert set(made.scored) == set(np.flatnonzero(table.test[0]))
    changed = table.target.copy()
    changed[table.test[0]] += 1e6
    other = sets.split(sets.Table("waves", table.features, changed, table.test), 0, 3)
    assert other.content_hash() == made.content_hash()


def test_pseudo_test_rows_come_from_the_training_rows(table):
    made = sets.split(table, 0, 3, pseudo=True)
    assert len(made.scored) == 5
    assert not table.test[0][made.scored].any()
    assert len(made.target) == 54 - 5
    assert not set(made.target) & set(table.target[table.test[0]]) - set(table.target[~table.test[0]])


def test_duplicates_are_left_out_of_training_and_scored_rows(tmp_path):
    """Rows 0 to 5 are repeated as rows 54 to 59; row 0 is tested, row 54 trained on; rows 1 and 55 are both tested."""
    test = np.zeros((1, 60), bool)
    test[0, [0, 1, 55, 20]] = True
    table = sets.read(tables.write(tmp_path, test=test))
    assert sets.repeated(table) == 6
    made = sets.split(table, 0, 3, distinct=True)
    assert made.scored.tolist() == [1, 20]
    # 56 training rows, of which 56 to 59 repeat 2 to 5
    assert len(made.target) == 52
    assert len(sets.split(table, 0, 3).target) == 56
    assert study.variants(table) == ("published", "distinct")
    assert study.variants(sets.read(tables.write(tmp_path, repeats=0))) == ("published",)


def test_a_split_of_which_nothing_is_left_is_said(tmp_path):
    test = np.zeros((1, 60), bool)
    test[0, 0] = True
    with pytest.raises(ValueError, match="no row is left to be scored"):
        sets.split(sets.read(tables.write(tmp_path, test=test)), 0, 3, distinct=True)


def test_each_network_is_scaled_by_its_own_rows_and_forecasts_rows_it_has_not_seen(table):
    split = sets.split(table, 0, 3)
    folds = Folds.of(split, 3, seed=1)
    assert np.bincount(folds.block).tolist() == [18, 18, 18]
    np.testing.assert_allclose(folds.lanes.features.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(folds.lanes.target.std(axis=1), 1, rtol=1e-5)
    for lane in range(3):
        seen = folds.lanes.target[lane] * folds.lanes.target_scale[lane] + folds.lanes.target_offset[lane]
        held = split.target[folds.block == lane]
        apart = np.abs(seen[:, None] - held[None]).min(axis=0)
        assert len(seen) == 36
        # but for rows that stand twice
        assert (apart > 1e-4).sum() >= 18 - 6
    values = np.arange(3)[:, None] * np.ones(54)
    assert (folds.held_out(values) == folds.block).all()


def test_a_constant_feature_stays_zero():
    made = Lanes.of(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]), np.arange(3.0), np.array([[0, 1, 2]]))
    assert (made.features[0, :, 1] == 0).all()


def forecasts(count: int = 3) -> tuple[dict[str, Forecast], np.ndarray]:
    """Members whose errors have deviation 2 and which believe in 1; the last one is worthless."""
    random = np.random.default_rng(4)
    target = random.normal(size=400)
    made = {}
    for number in range(count):
        wrong = 50.0 if number == count - 1 else 0.0
        mean = target + 2 * random.normal(size=400) + wrong
        ahead = np.full((3, 5), wrong) + np.arange(3)[:, None]
        made[f"trial {number}"] = Forecast(mean, np.ones(400), ahead, np.full((3, 5), 1e-6))
    return made, target


def test_ensembles_leave_the_worthless_out_and_are_calibrated_above_the_floor():
    made, target = forecasts()
    found = members.choose(made, target, 10, least=0.5)
    assert set(found.record["members"]) == {"trial 0", "trial 1"}
    assert sum(found.record["members"].values()) == pytest.approx(1)
    # two members with independent errors of deviation 2: their mean errs by 1.4, and believes in some 1.7
    assert 0.6 < found.record["sigma_factor"] < 1.2
    # the networks of both members, none below the floor
    assert found.ahead.mean.shape == (6, 5)
    assert found.ahead.sigma.min() >= 0.5
    assert found.ahead.weights.sum() == pytest.approx(1)


def test_one_trial_is_no_ensemble_to_choose_from():
    made, target = forecasts(1)
    with pytest.raises(ValueError, match="the catalogue has 1 member"):
        members.choose(made, target, 10, 0.5)


def run(table, folder, **changes) -> study.Made:
    given = SMALL.model_copy(update=changes)
    return study.run(study.rows(table, 0, given, "published"), 0, given, SEARCH, folder, {"code": "x"}, quiet)


def test_a_killed_search_goes_on_from_its_log(table, tmp_path):
    first = run(table, tmp_path / "a")
    log = next((tmp_path / "a").glob("*/rank-0000.jsonl"))
    lines = log.read_bytes().splitlines(keepends=True)
    # the last trial was under way when its process was killed, and a forecast was lost with the machine
    log.write_bytes(b"".join(lines[:-1]))
    (log.parent / "forecast_00001.npz").unlink()
    kept = (log.parent / "forecast_00002.npz").stat().st_mtime_ns
    again = run(table, tmp_path / "a")
    assert (log.parent / "forecast_00002.npz").stat().st_mtime_ns == kept
    for name, mixture in first.mixtures.items():
        np.testing.assert_array_equal(mixture.mean, again.mixtures[name].mean)
        np.testing.assert_array_equal(mixture.sigma, again.mixtures[name].sigma)
    assert first.trials.loss.tolist() == again.trials.loss.tolist()
    # another seed is another search
    run(table, tmp_path / "a", seed=9)
    assert len(list((tmp_path / "a").glob("*/rank-0000.jsonl"))) == 2


def test_forecasts_do_not_depend_on_test_targets(table, tmp_path):
    first = run(table, tmp_path / "a")
    changed = np.where(table.test[0], -1e3, table.target)
    other = run(sets.Table("waves", table.features, changed, table.test), tmp_path / "b")
    for name, mixture in first.mixtures.items():
        np.testing.assert_array_equal(mixture.mean, other.mixtures[name].mean)


def test_every_mixture_keeps_its_floor(table, tmp_path):
    made = run(table, tmp_path, floors=(0.2, 0.5))
    spread = study.rows(table, 0, SMALL, "published").target.std()
    assert set(made.mixtures) == {f"{method}_{floor}" for method in ("searched", "recipe") for floor in (0.2, 0.5)}
    for name, mixture in made.mixtures.items():
        assert mixture.sigma.min() >= float(name.rpartition("_")[2]) * spread * (1 - 1e-9)


def test_a_search_without_a_network_is_said(table, tmp_path, monkeypatch):
    def diverges(*arguments):
        raise ValueError("training diverged: its parameters are not finite")

    monkeypatch.setattr("podnas.tabular.network.train", diverges)
    with pytest.raises(ValueError, match=r"0 of 5 trials have finished.*first that failed: training diverged"):
        run(table, tmp_path)


def test_scores_are_those_of_a_gaussian():
    """Errors 3 and 4, sigma 2: RMSE sqrt(12.5); NLL log 2 + (9 + 16) / 16 + log(2 pi) / 2."""
    found = tabular.scores(gaussian(np.zeros(2), np.full(2, 2.0)), np.array([3.0, -4.0]))
    assert found["rmse"] == pytest.approx(12.5**0.5)
    assert found["nll"] == pytest.approx(np.log(2) + 25 / 16 + 0.5 * np.log(2 * np.pi))


def rows(name: str = "boston", variants: tuple[str, ...] = ("published",)) -> pd.DataFrame:
    shared = {"set": name, "training_rows": 455, "scored_rows": 51, "search_seconds": 2.0, "recipe_seconds": 0.5}
    return pd.DataFrame(
        [
            {
                **shared,
                "split": split,
                "variant": variant,
                "method": method,
                "floor": floor,
                "rmse": 3.0 + split + (method == "recipe"),
                "nll": 2.0 + 0.2 * split + floor + (method == "recipe"),
            }
            for variant in variants
            for method in ("searched", "recipe")
            for floor in (0.01, 0.05)
            for split in (0, 1)
        ]
    )


def test_the_scorecard_has_means_standard_errors_and_what_is_published():
    found = tabular.scorecard(pd.concat([rows(variants=("published", "distinct")), rows("waves")]))
    mine = found["boston"]
    assert (mine["splits"], mine["rmse"], mine["nll"]) == (2, 3.5, pytest.approx(2.11))
    # of two splits the standard error is half their distance
    assert (mine["rmse_se"], mine["nll_se"]) == (pytest.approx(0.5), pytest.approx(0.1))
    assert mine["floors"]["0.05"]["nll"] == pytest.approx(2.15)
    assert mine["recipe"]["rmse"] == 4.5
    assert mine["less_recipe"]["rmse"] == {"mean": -1.0, "se": 0.0}
    assert mine["published"]["deep_ensembles"] == {"rmse": 3.28, "nll": 2.41}
    assert mine["verdicts"]["rmse"] == {"deep_ensembles": "above", "best": "above"}
    assert mine["verdicts"]["nll"] == {"deep_ensembles": "below", "best": "below"}
    assert mine["without_duplicates"]["rmse"] == 3.5
    assert found["waves"]["published"] is found["waves"]["verdicts"] is found["waves"]["without_duplicates"] is None
    assert tabular.won(found)["nll"]["deep_ensembles"] == {"below": ["boston"], "level": [], "above": []}


def test_one_split_has_no_standard_error():
    found = tabular.scorecard(rows().query("split == 0"))
    assert found["boston"]["rmse_se"] is None
    page = tabular.page("t", {"scope": "s", "won": tabular.won(found), "sets": found})
    assert "| 3.000 " in page
    assert "3.000 ±" not in page


def test_scores_are_compared_at_the_published_rounding():
    assert [tabular.verdict(value, 0.64) for value in (0.634, 0.636, 0.644, 0.646)] == [
        "below",
        "level",
        "level",
        "above",
    ]


def test_the_published_table_is_that_of_science():
    science = {"boston": (3.28, 2.41), "naval": (0.0, -5.63), "protein": (4.71, 2.83), "yacht": (1.58, 1.18)}
    for name, (rmse, nll) in science.items():
        assert tabular.published(name)["deep_ensembles"] == {"rmse": rmse, "nll": nll}
    assert len(tabular.PUBLISHED) == 9


@pytest.mark.parametrize("name", ["uci", "uci_full"])
def test_the_experiments_are_those_of_the_benchmark(name):
    made = config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / f"{name}.yaml")
    assert made.tabular.scored == "test"
    assert set(made.tabular.sets) <= set(tabular.PUBLISHED)
    assert (len(made.tabular.sets), made.tabular.splits) == {"uci": (5, 5), "uci_full": (9, None)}[name]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": {"trials": 1}}, "search.trials is 1, but an ensemble"),
        ({"search": {"algorithm": "asha"}}, "search.algorithm is asha"),
        ({"search": {"ranks": 2}}, "search.ranks is 2"),
        ({"tabular": {"floors": [0]}}, "tabular.floors.0"),
        ({"tabular": {"download": "ftp://a/b"}}, "tabular.download"),
        ({"tabular": {"space": {"dropout": {"choices": [1.5]}}}}, "dropout"),
        ({"tabular": {"spaces": {}}}, "did you mean tabular.space"),
        ({"tabular": {"sets": ["wine", "wine"]}}, "wine stands here more than once"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, changes, words):
    import yaml

    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump(changes))
    with pytest.raises(ValueError, match=words):
        config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / "uci.yaml", over)


def test_arrays_keep_their_record_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    artifacts.write_arrays(path, {"mean": np.arange(3.0)}, {"set": "waves"})
    record, arrays = artifacts.read_arrays(path)
    assert record == {"set": "waves"}
    assert arrays["mean"].tolist() == [0, 1, 2]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ArtifactError, match="remove it and start again"):
        artifacts.read_arrays(path)
