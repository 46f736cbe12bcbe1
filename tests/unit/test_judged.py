"""Searches and ingredients judged: what blocks are apart, that one is untouched, and what the numbers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from podnas import config, windows
from podnas.config import (
    AblationConfig,
    BlocksConfig,
    IngredientConfig,
    JudgedConfig,
    ProtocolConfig,
    SearchConfig,
    TrainingConfig,
    WindowsConfig,
    merge,
)
from podnas.networks import ablation as networks_ablation
from podnas.networks import apart, engines, judged
from podnas.networks.apart import Apart
from podnas.networks.recipe import Recipe
from podnas.search.protocol import Outcome
from podnas.verify import ablation, repeated
from podnas.verify import judged as verify
from tests.series import CONFIG, PROTOCOL, coefficients

FIVE = CONFIG.model_copy(update={"validation_blocks": 5})
ENDS = BlocksConfig(validated=0, untouched=4)
SEARCH = SearchConfig(trials=10, population=3, sample=2, epochs=2, lanes=2)
RECIPE = Recipe(TrainingConfig(batch_size=32, engine="kernels"), FIVE, 2, keep_best=False)


def training(series: xr.Dataset, window: WindowsConfig = FIVE) -> xr.Dataset:
    return windows.split(series, PROTOCOL, window)[0]


def held_apart(series: xr.Dataset) -> Apart:
    return Apart.of(apart.unscaled(training(series)), FIVE, ENDS)


def test_blocks_are_apart_by_two_windows_counted_by_hand():
    series = coefficients(weeks=500)
    dates = series.time.values.astype("datetime64[D]")
    ends = {"train_first": dates[0], "train_last": dates[426], "test_first": dates[427], "test_last": dates[-1]}
    protocol = ProtocolConfig.model_validate({"name": "short", **{key: str(day) for key, day in ends.items()}})
    window = WindowsConfig()  # 8 + 8 weeks: 15 windows fewer than weeks, a gap of 32
    whole = apart.unscaled(windows.split(series, protocol, window)[0])
    far = Apart.of(whole, window, BlocksConfig(validated=0, untouched=4))
    # blocks begin at weeks 0, 85, 170, 256, 341; fitted on are weeks 85 + 32 to 341 - 32
    assert far.counts() == {"fitted_windows": 177, "validated_windows": 70, "untouched_windows": 71}
    assert far.fold.fit.series_centres[0] == whole.series_centres[117]
    assert far.fold.fit.series_centres[-1] == whole.series_centres[308]
    near = Apart.of(whole, window, BlocksConfig(validated=1, untouched=0))
    # validated are weeks 85 + 32 to 170 only, fitted on those from 170 + 32
    assert near.counts() == {"fitted_windows": 225 - 15, "validated_windows": 53 - 15, "untouched_windows": 70}
    gap = near.fold.validate.series_centres[0] - near.untouched.series_centres[-1]
    assert gap == np.timedelta64(7 * 33, "D")


def test_everything_is_scaled_by_the_weeks_fitted_on():
    one = held_apart(coefficients())
    np.testing.assert_allclose(one.fold.fit.series.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(one.fold.fit.series.std(axis=0), 1)
    raw = coefficients().coefficient.values[208:260]
    np.testing.assert_allclose(one.scaler.backward(one.untouched.series), raw)


def test_blocks_that_leave_nothing_to_fit_on_are_refused():
    whole = apart.unscaled(training(coefficients()))
    with pytest.raises(ValueError, match="0 windows are left to fit on"):
        Apart.of(whole, FIVE.model_copy(update={"validation_blocks": 2}), BlocksConfig(validated=0, untouched=1))


def run(series: xr.Dataset, folder: Path, algorithm: str = "evolution") -> tuple[list[Outcome], Path, Apart]:
    one = judged.Planned(algorithm, 0, 3, ENDS)
    data = held_apart(series)
    engine = engines.named("kernels")
    outcomes, logs = judged.run(one, data, SEARCH, RECIPE, folder, {}, engine, 1, lambda outcome, kept: None)
    return outcomes, logs, data


def trials(outcomes: list[Outcome]) -> list[tuple[int, dict, int | None, float | None]]:
    return [(one.trial.number, dict(one.trial.point), one.trial.parent, one.loss) for one in outcomes]


def poisoned(first: int, last: int) -> xr.Dataset:
    series = coefficients()
    series.coefficient.values[first:last] *= 1e6
    return series


def test_what_is_in_the_untouched_block_changes_no_trial_of_a_search(tmp_path):
    clean, logs, data = run(coefficients(), tmp_path / "clean")
    # the last of five blocks of 260 weeks
    harmed, harmed_logs, harmed_data = run(poisoned(208, 260), tmp_path / "harmed")
    assert trials(clean) == trials(harmed)
    assert any(one.trial.parent is not None for one in clean)
    plan = judged.Planned("evolution", 0, 3, ENDS)
    table, _ = judged.scored(plan, clean, data, logs, 3)
    other, _ = judged.scored(plan, harmed, harmed_data, harmed_logs, 3)
    assert table.validation_r2.equals(other.validation_r2)
    assert not table.untouched_r2.equals(other.untouched_r2)


def test_what_is_in_the_other_blocks_changes_them(tmp_path):
    clean, *_ = run(coefficients(), tmp_path / "clean")
    for first, last in ((0, 52), (100, 110)):
        harmed, *_ = run(poisoned(first, last), tmp_path / f"harmed_{first}")
        assert trials(clean) != trials(harmed)


def test_searches_of_one_number_begin_with_the_same_trials(tmp_path):
    plan = judged.planned(JudgedConfig(searches=3))
    assert [(one.algorithm, one.number) for one in plan[:3]] == [("evolution", 0), ("random", 0), ("evolution", 1)]
    assert plan[0].seed == plan[1].seed != plan[2].seed
    assert [one.blocks.untouched for one in plan[::2]] == [4, 0, 4]
    evolved, *_ = run(coefficients(), tmp_path)
    drawn, *_ = run(coefficients(), tmp_path, "random")
    # lanes: two are asked for before the third has been told
    assert trials(evolved)[:3] == trials(drawn)[:3]
    assert trials(evolved)[-1] != trials(drawn)[-1]


def test_a_trial_is_scored_as_the_search_was_told(tmp_path):
    outcomes, folder, data = run(coefficients(), tmp_path)
    plan = judged.Planned("evolution", 0, 3, ENDS)
    table, about = judged.scored(plan, outcomes, data, folder, 2)
    np.testing.assert_allclose(1 - table.loss, table.validation_r2, atol=1e-5)
    best = table.sort_values(["loss", "number"]).number.tolist()[:2]
    assert about["best"] == best
    made = [apart.kept(judged.forecast_path(folder, number))[1]["untouched"].astype(float) for number in best]
    mean, truth = (made[0] + made[1]) / 2, data.untouched.targets
    expected = 1 - ((mean - truth) ** 2).sum(axis=0) / ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    assert about["averaged"]["untouched"] == pytest.approx(expected.mean(), abs=1e-6)


def test_lost_forecasts_of_finished_trials_are_named(tmp_path):
    outcomes, folder, data = run(coefficients(), tmp_path)
    judged.forecast_path(folder, 4).unlink()
    with pytest.raises(ValueError, match=r"forecast_00004\.npz does not exist"):
        judged.scored(judged.Planned("evolution", 0, 3, ENDS), outcomes, data, folder, 2)


def test_no_network_of_an_ablation_sees_the_block_that_it_is_scored_on():
    asked = AblationConfig(members=2, sizes=(1, 2))
    clean = networks_ablation.cut(apart.unscaled(training(coefficients())), FIVE, asked)
    assert list(clean) == [0, 1, 2, 3, 4]
    for block, one in clean.items():
        first, last = 52 * block, 52 * (block + 1)
        harmed = networks_ablation.cut(apart.unscaled(training(poisoned(first, last))), FIVE, asked)[block]
        assert harmed.hashes()[:2] == one.hashes()[:2]
        assert harmed.hashes()[2] != one.hashes()[2]


def test_settings_of_an_ablation_have_the_same_architectures_and_seeds():
    asked = AblationConfig(members=2, sizes=(1, 2))
    data = networks_ablation.cut(apart.unscaled(training(coefficients())), FIVE, asked)
    sections = {"training": {}, "windows": FIVE.model_dump(), "ensemble": {"epochs": 3}}
    last = {**sections, "ensemble": {"epochs": 3, "keep": "last"}}
    settings = networks_ablation.recipes({"full": sections, "no_stopping": last})
    assert (settings["full"].keep_best, settings["no_stopping"].keep_best) == (True, False)
    plan = networks_ablation.plans(settings, data, asked, {})
    assert len(plan) == 2 * 5 * 2
    by_setting = {
        name: [(one["block"], one["point"], one["seed"]) for one in plan if one["setting"] == name] for name in settings
    }
    assert by_setting["full"] == by_setting["no_stopping"]
    assert len({seed for *_, seed in by_setting["full"]}) == 10


def test_intervals_and_tests_of_repetitions():
    # ten differences of one sign: the exact two-sided p is 2 / 2^10
    found = repeated.compared(np.arange(1.0, 11.0), np.zeros(10))
    assert found["p_wilcoxon"] == pytest.approx(2 / 1024)
    assert (found["mean"], found["more"], found["of"], found["verdict"]) == (5.5, 10, 10, "better")
    assert 0 < found["low"] < 5.5 < found["high"] < 10
    even = repeated.compared(np.array([1.0, -1.1, 0.9, -1.0, 1.05, -0.95]), np.zeros(6))
    assert even["verdict"] == "tie"
    assert even["p_wilcoxon"] > 0.5
    same = repeated.compared(np.ones(4), np.ones(4))
    assert (same["low"], same["high"], same["p_wilcoxon"], same["verdict"]) == (0, 0, 1, "tie")


def test_the_interval_holds_the_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        one = repeated.described(random.normal(size=20))
        held += one["low"] <= 0 <= one["high"]
    assert 0.8 < held / 200 < 0.96


def test_gains_by_hand():
    found = verify.gains(
        {"validation": np.array([0.9, 0.92]), "untouched": np.array([0.8, 0.76])},
        {"validation": np.array([0.7, 0.7]), "untouched": np.array([0.75, 0.75])},
    )
    means = {name: round(one["mean"], 6) for name, one in found.items()}
    assert means == {
        "validation": 0.91,
        "untouched": 0.78,
        "optimism": 0.13,  # .1 and .16
        "apparent_gain": 0.21,  # .2 and .22
        "real_gain": 0.03,  # .05 and .01
        "curse": 0.18,
    }


def planted(validation: np.ndarray, untouched: np.ndarray) -> tuple[pd.DataFrame, list[dict]]:
    """Random searches with these scores (search, trial); their mean forecasts are as good as the best."""
    rows = [
        {"algorithm": "random", "search": search, "number": trial, "loss": 1 - score, "seconds": 0.5,
         "validation_r2": score, "untouched_r2": untouched[search, trial]}
        for search, scores in enumerate(validation)
        for trial, score in enumerate(scores)
    ]  # fmt: skip
    about = [
        {"algorithm": "random", "search": search, "validated": 0, "untouched": 4, "fitted_windows": 9,
         "averaged": {"validation": float(scores.max()), "untouched": float(untouched[search, scores.argmax()])}}
        for search, scores in enumerate(validation)
    ]  # fmt: skip
    return pd.DataFrame(rows), about


def test_of_luck_alone_all_gain_is_curse():
    random = np.random.default_rng(0)
    noise = random.normal(size=(2, 300, 20))
    found = verify.summary(*planted(0.8 + 0.01 * noise[0], 0.7 + 0.01 * noise[1]), top=5)
    best = found["algorithms"]["random"]["best"]
    # the expected largest of 20 standard normal numbers is 1.867
    assert best["apparent_gain"]["mean"] == pytest.approx(0.01867, abs=0.001)
    assert best["real_gain"]["low"] < 0 < best["real_gain"]["high"]
    assert best["curse"]["mean"] == pytest.approx(best["apparent_gain"]["mean"], abs=0.002)
    assert best["optimism"]["mean"] == pytest.approx(0.1 + 0.01867, abs=0.002)
    correlation = found["random_architecture"]["rank_correlation"]
    assert correlation["low"] < 0 < correlation["high"]


def test_where_blocks_agree_all_gain_is_real():
    random = np.random.default_rng(1)
    skill = 0.01 * random.normal(size=(30, 20))
    found = verify.summary(*planted(0.8 + skill, 0.7 + skill), top=5)
    best = found["algorithms"]["random"]["best"]
    assert best["real_gain"]["mean"] == pytest.approx(best["apparent_gain"]["mean"])
    assert best["curse"]["mean"] == pytest.approx(0, abs=1e-12)
    assert best["optimism"]["mean"] == pytest.approx(0.1)
    assert found["random_architecture"]["rank_correlation"]["mean"] == pytest.approx(1)
    assert found["algorithms"]["random"]["top"]["real_gain"]["mean"] < best["real_gain"]["mean"]


def test_a_better_search_is_told_from_random_search():
    random = np.random.default_rng(2)
    skill = 0.8 + 0.01 * random.normal(size=(2, 10, 20))
    rows, about = planted(skill[0], skill[0])
    better, more = planted(skill[1] + 0.03, skill[1] + 0.03)
    failed = better.iloc[:1].assign(number=20, loss=np.nan, validation_r2=np.nan, untouched_r2=np.nan)
    both = pd.concat([rows, better.assign(algorithm="evolution"), failed.assign(algorithm="evolution")])
    found = verify.summary(both, [*about, *({**one, "algorithm": "evolution"} for one in more)], top=5)
    against = found["against_random"]["evolution"]["best"]["untouched"]
    assert against["verdict"] == "better"
    assert against["p_wilcoxon"] == pytest.approx(2 / 1024)
    assert (against["more"], against["of"]) == (10, 10)
    assert against["mean"] == pytest.approx(0.03, abs=0.01)
    assert list(found["against_random"]) == ["evolution"]
    by_name = {(one["algorithm"], one["search"]): one for one in found["searches"]}
    assert (by_name["evolution", 0]["trials"], by_name["evolution", 0]["failed"]) == (21, 1)
    assert (by_name["random", 0]["trials"], by_name["random", 0]["failed"]) == (20, 0)
    text = verify.page(found)
    assert "| a random architecture" in text
    assert "10 of 10" in text
    assert "1 of all failed" in text
    assert "401 networks" in text


def test_trajectories_by_hand():
    one = pd.DataFrame(
        {"number": [3, 0, 1, 2], "loss": [0.1, 0.5, 0.5, 0.7], "validation_r2": [0.9, 0.5, 0.5, 0.3],
         "untouched_r2": [0.2, 0.6, 0.1, 0.9]}
    )  # fmt: skip
    found = verify.trajectory([one])
    # of equal trials the first stands
    assert found == {"validation": [0.5, 0.5, 0.5, 0.9], "untouched": [0.6, 0.6, 0.6, 0.2]}
    shorter = one[one.number < 2].assign(validation_r2=0.7, untouched_r2=0.0)
    assert verify.trajectory([one, shorter])["validation"] == pytest.approx([0.6, 0.6])


def test_ranks_of_trials_that_are_all_alike_do_not_correlate():
    alike = pd.DataFrame({"validation_r2": [0.5, 0.5, 0.5], "untouched_r2": [0.1, 0.2, 0.3]})
    assert verify.rank_correlation(alike) == 0
    assert verify.rank_correlation(alike.assign(validation_r2=[0.3, 0.2, 0.1])) == pytest.approx(-1)


def made(forecasts: dict[str, np.ndarray], truth: np.ndarray) -> xr.Dataset:
    each = ("init_time", "lead", "mode")
    return xr.Dataset(
        {
            "forecast": (("group", "replicate", *each), np.stack(list(forecasts.values()))),
            "baseline": (("method", *each), np.stack([np.zeros_like(truth), truth / 2])),
            "truth": (each, truth),
            "block": ("init_time", np.arange(len(truth)) * 2 // len(truth)),
        },
        {"group": list(forecasts), "method": ["climatology", "damped_persistence"]},
    )


def test_what_an_ingredient_brings_is_full_less_changed():
    random = np.random.default_rng(0)
    truth = random.normal(size=(120, 2, 1))
    error = random.normal(size=(4, 120, 2, 1))
    forecasts = {"full": truth + 0.3 * error, "worse": truth + 0.6 * error, "same": truth + 0.3 * error}
    networks = [{"setting": name, "best_epoch": 2 + place, "seconds": 1.5} for name in forecasts for place in range(4)]
    found = ablation.summary(made(forecasts, truth), networks, (1, 2, 4))
    by_name = {one["setting"]: one for one in found["settings"]}
    assert "brings" not in by_name["full"]
    worse, same = by_name["worse"]["brings"], by_name["same"]["brings"]
    expected = by_name["full"]["ensemble"]["r2_mean"] - by_name["worse"]["ensemble"]["r2_mean"]
    assert worse["ensemble"]["r2_mean"]["difference"] == pytest.approx(expected)
    assert worse["ensemble"]["r2_mean"]["verdict"] == worse["single"]["r2_mean"]["verdict"] == "better"
    # single networks have errors of variance .09 and .36
    assert worse["single"]["r2_mean"]["mean"] == pytest.approx(0.27, abs=0.05)
    nothing = same["ensemble"]["r2_mean"]
    assert (nothing["difference"], nothing["low"], nothing["high"], nothing["verdict"]) == (0, 0, 0, "tie")
    assert same["single"]["r2_mean"]["p_wilcoxon"] == 1
    assert by_name["full"]["mean_epoch"] == 3.5
    assert by_name["full"]["by_size"]["4"] == pytest.approx(by_name["full"]["ensemble"]["r2_mean"])
    assert by_name["full"]["by_size"]["1"] == pytest.approx(by_name["full"]["single"]["r2_mean"])
    assert by_name["full"]["by_size"]["1"] < by_name["full"]["by_size"]["2"] < by_name["full"]["by_size"]["4"]
    assert found["baselines"]["damped_persistence"]["skill_clim"] == pytest.approx(0.75)
    text = ablation.page(found)
    assert "| `worse` " in text
    assert "24 networks, 18 core-seconds" in text


def test_members_that_err_against_one_another_are_perfect_together():
    truth = np.random.default_rng(0).normal(size=(50, 2, 1))
    error = np.random.default_rng(1).normal(size=(50, 2, 1))
    values = np.stack([truth + error, truth - error])
    assert ablation.by_size(values, truth, 2) == pytest.approx(1)
    assert ablation.by_size(values, truth, 1) < 0.5


def judged_experiment(tmp_path: Path, change: dict) -> config.ExperimentConfig:
    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump(change))
    return merge(Path("config/config.yaml"), Path("config/experiments/judged.yaml"), over)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"judged": {"protocol": "long"}}, "name one of them"),
        ({"judged": {"top": 61}}, "judged.top is 61"),
        ({"judged": {"algorithms": ["evolution"]}}, "random must be one"),
        ({"judged": {"blocks": [{"validated": 1, "untouched": 5}]}}, "judged.blocks has block 5"),
        ({"judged": {"blocks": [{"validated": 1, "untouched": 1}]}}, "name two blocks"),
        ({"windows": {"validation_blocks": 4}}, "blocks are numbered from 0 to 3"),
        ({"training": {"corrects": "climatology"}}, "set training.corrects to null"),
        ({"training": {"head": "gaussian"}}, "set training.head to null"),
        ({"search": {"two_step": {"fraction": 0.5}}}, "search.two_step is .* equal trials"),
        ({"search": {"ranks": 2}}, "set it to 1"),
        ({"search": {"time_limit_minutes": 1}}, "equal trials"),
        ({"judged": {"ablation": {"ingredients": {"full": {"harmonics": 1}}}}}, "choose another"),
        ({"judged": {"ablation": {"ingredients": {"nothing": {"harmonics": None}}}}}, "nothing is changed"),
        ({"judged": {"ablation": {"ingredients": {"nothing": {"ensemble": {"members": 3}}}}}}, "nothing is changed"),
        ({"judged": {"ablation": {"members": 5}}}, "sizes has 10"),
        (
            {"judged": {"ablation": {"ingredients": {"leads": {"training": {"lead_weights": [1, 2]}}}}}},
            "leads.training.lead_weights has 2 weights",
        ),
    ],
)
def test_settings_that_cannot_be_judged_are_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        judged_experiment(tmp_path, change)


def test_an_ingredient_changes_what_it_says_and_nothing_else(tmp_path):
    made = judged_experiment(tmp_path, {}).ingredients()
    training, window, ensemble = made["full"]
    assert training.dropout == training.input_noise == 0.3
    assert made["no_dropout"] == (training.model_copy(update={"dropout": 0.0}), window, ensemble)
    assert made["no_harmonics"] == (training, window.model_copy(update={"harmonics": 0}), ensemble)
    assert made["no_early_stopping"] == (training, window, ensemble.model_copy(update={"keep": "last"}))


def test_an_ingredient_must_change_something():
    with pytest.raises(ValueError, match="nothing is changed"):
        IngredientConfig()
