"""The leakage laboratory: what each variant has seen, and what its prices say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from podnas import windows
from podnas.audit.harms import HARMS, harmed
from podnas.config import LeakageConfig, ProtocolConfig, TrainingConfig, WindowsConfig, merge
from podnas.networks import leaks as made_leaks
from podnas.networks.leaks import VARIANTS, Variant, name
from podnas.networks.recipe import Recipe
from podnas.verify import leaks
from tests.series import CONFIG, PROTOCOL, coefficients

LEAKAGE = LeakageConfig(weeks=60, architectures=2, epochs=1)


def variant(some: tuple[str, ...], series: xr.Dataset) -> Variant:
    return Variant.of(some, series, PROTOCOL, CONFIG, LEAKAGE)


def same(one: Variant, other: Variant) -> dict[str, bool]:
    """Whether two variants have the same scaler, windows to fit on, and windows to validate by."""
    return {
        "scaler": np.array_equal(one.scaler.offset, other.scaler.offset)
        and np.array_equal(one.scaler.scale, other.scaler.scale),
        "fit": np.array_equal(one.fold.fit.targets, other.fold.fit.targets),
        "validate": np.array_equal(one.fold.validate.targets, other.fold.validate.targets),
    }


def test_all_eight_combinations_are_variants():
    assert len(VARIANTS) == len(set(VARIANTS)) == 8
    assert (name(VARIANTS[0]), name(VARIANTS[-1])) == ("clean", "weeks+scaler+split")


@pytest.mark.parametrize("harm", HARMS.values())
@pytest.mark.parametrize("some", VARIANTS, ids=name)
def test_a_variant_has_seen_test_weeks_where_it_says_so_and_nowhere_else(some, harm):
    series = coefficients()
    found = same(variant(some, series), variant(some, harmed(series, "coefficient", PROTOCOL.train_last, harm)))
    if not {"weeks", "scaler"} & set(some):
        assert all(found.values())
    else:
        # with a blocked split the leaked weeks of this short series validate, and are not fitted on
        assert not all(found.values())
        assert not found["scaler"] or some == ("weeks",)
    if some == ("scaler",):
        # what it is scaled by has changed; unscaled, the windows are those of the clean protocol
        one, clean = variant(some, series), variant((), series)
        for side in ("fit", "validate"):
            unscaled = one.scaler.backward(getattr(one.fold, side).targets)
            np.testing.assert_allclose(unscaled, clean.scaler.backward(getattr(clean.fold, side).targets), atol=1e-12)


@pytest.mark.parametrize("harm", HARMS.values())
def test_no_variant_sees_the_weeks_after_those_that_leak(harm):
    series = coefficients()
    first = int(np.flatnonzero(series.time.values == np.datetime64(PROTOCOL.test_first))[0])
    last = series.time.values[first + LEAKAGE.weeks - 1].astype("datetime64[D]").item()
    changed = harmed(series, "coefficient", last, harm)
    for some in VARIANTS:
        assert all(same(variant(some, series), variant(some, changed)).values())


def test_as_released_there_are_900_and_211_windows():
    # 427 + 700 weeks in one series, 8 + 8 weeks a window: 1,127 − 16 + 1 windows, of which the last is left out
    series = coefficients(weeks=1914, join_after=427)
    dates = series.time.values.astype("datetime64[D]")
    ends = {"train_first": dates[0], "train_last": dates[426], "test_first": dates[427], "test_last": dates[-1]}
    protocol = ProtocolConfig.model_validate({"name": "short", **{key: str(day) for key, day in ends.items()}})
    leaky = Variant.of(made_leaks.LEAKS, series, protocol, WindowsConfig(), LeakageConfig())
    assert (len(leaky.fold.fit.inputs), len(leaky.fold.validate.inputs)) == (900, 211)
    whole = series.coefficient.values[:1127]
    np.testing.assert_allclose(leaky.scaler.offset, whole.mean(axis=0))
    np.testing.assert_allclose(leaky.scaler.scale, whole.std(axis=0))
    clean = Variant.of((), series, protocol, WindowsConfig(), LeakageConfig())
    # blocks of 427 // 5 weeks: the last begins at week 341, less the gap of 32 and 15 weeks of a window's length
    assert len(clean.fold.fit.inputs) == 341 - 32 - 15
    assert len(clean.fold.validate.inputs) == 427 - 341 - 15
    fitted = series.coefficient.values[: 341 - 32]
    np.testing.assert_allclose(clean.scaler.offset, fitted.mean(axis=0))


def test_the_same_networks_stand_in_each_variant():
    variants = [variant(some, coefficients()) for some in VARIANTS]
    recipe = Recipe(TrainingConfig(batch_size=32), CONFIG, 3, keep_best=True)
    trained = made_leaks.recipes(variants, recipe, LEAKAGE)
    # of 107 windows 3 whole batches, of 253 windows 7: 3 epochs of these are 21 steps
    assert (variants[0].updates(recipe), variants[-1].updates(recipe)) == (3, 7)
    assert (trained[0].epochs, trained[-1].epochs) == (7, 3)
    as_long = made_leaks.recipes(variants, recipe, LEAKAGE.model_copy(update={"budget": "epochs"}))
    assert {one.epochs for one in as_long} == {3}
    plan = made_leaks.plans(variants, trained, LEAKAGE, {})
    by_variant = {one: [p for p in plan if p["variant"] == one] for one in map(name, VARIANTS)}
    assert len(plan) == 16
    first = [(one["point"], one["seed"]) for one in by_variant["clean"]]
    assert all([(one["point"], one["seed"]) for one in part] == first for part in by_variant.values())
    assert first[0] != first[1]


def test_windows_seen_and_unseen_by_hand():
    # 40 weeks, 4 + 4: the window with its last target in week k begins in week k − 7 (from 0)
    _, _, targets = windows.split(coefficients(), PROTOCOL, CONFIG)
    chosen = leaks.parts(targets.valid_time, np.datetime64(PROTOCOL.test_first), 20)
    assert chosen["all"].all()
    assert chosen["seen"].sum() == 20 - 8 + 1
    assert chosen["unseen"].sum() == len(chosen["all"]) - 20
    assert not (chosen["seen"] & chosen["unseen"]).any()


@pytest.fixture(scope="module")
def study() -> tuple[xr.Dataset, xr.DataArray, dict, dict]:
    """120 windows of 2 leads and 1 mode: networks forecast the truth but for an error that each leak takes away."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(120, 2, 1))
    error = random.normal(size=(2, 120, 2, 1))
    each = ("init_time", "lead", "mode")
    names = [name(some) for some in VARIANTS]
    left = {"weeks": 0.2, "scaler": 0.0, "split": 0.1}
    forecast = np.stack([truth + (0.6 - sum(left[one] for one in some)) * error for some in VARIANTS])
    time = np.datetime64("1995-01-01", "ns") + np.arange(120) * np.timedelta64(7, "D")
    made = xr.Dataset(
        {
            "forecast": (("variant", "network", *each), forecast),
            "baseline": (("method", *each), np.stack([np.zeros_like(truth), truth / 2])),
            "offset": ("mode", [0.0]),
            "scale": ("mode", [2.0]),
        },
        {"variant": names, "method": ["climatology", "damped_persistence"], "init_time": time, "lead": [1, 2]},
    )
    networks = {
        "variants": [
            {"variant": one, "leaks": list(some), "epochs": 3, "fitted_windows": 10, "validation_windows": 5}
            for one, some in zip(names, VARIANTS, strict=True)
        ],
        "networks": [
            {"variant": one, "network": number, "validation_r2": 0.5 + 0.1 * number}
            for one in names
            for number in range(2)
        ],
    }
    rows = np.arange(120)
    chosen = {"all": rows >= 0, "seen": rows < 50, "unseen": rows >= 60}
    return made, xr.DataArray(truth, dims=each), networks, chosen


def test_prices_are_differences_of_the_variants_scores(study):
    found = leaks.summary(*study)
    score = {one["variant"]: one["r2_mean"] for one in found["variants"]}
    told = {(price["leak"], price["how"]): price for price in found["prices"]}
    assert len(told) == 7
    for (leak, how), (with_it, without) in {
        ("weeks", "added"): ("weeks", "clean"),
        ("split", "removed"): ("weeks+scaler+split", "weeks+scaler"),
        ("scaler", "removed"): ("weeks+scaler+split", "weeks+split"),
        ("all", "together"): ("weeks+scaler+split", "clean"),
    }.items():
        for part in ("all", "seen", "unseen"):
            expected = score[with_it][part] - score[without][part]
            assert leaks.usual(told[leak, how], part)["difference"] == pytest.approx(expected, abs=1e-12)
    assert leaks.usual(told["weeks", "added"], "all")["verdict"] == "better"
    nothing = leaks.usual(told["scaler", "added"], "all")
    assert (nothing["difference"], nothing["low"], nothing["high"], nothing["verdict"]) == (0, 0, 0, "tie")
    assert told["scaler", "added"]["sd_over_networks"] == 0
    # 120 windows: blocks of at most 40 weeks, so that those of 52 and 104 weeks are one, and those of 26 another
    assert list(told["all", "together"]["r2_mean"]["all"]) == ["40", "26"]


def test_variants_have_their_apparent_scores_and_the_network_these_would_choose(study):
    made, truth, *_ = study
    found = leaks.summary(*study)
    clean = found["variants"][0]
    assert clean["apparent_validation_r2"] == pytest.approx(0.55)
    assert clean["chosen_network"]["network"] == 1
    error = ((made.forecast[0, 1] - truth) ** 2).sum("init_time")
    share = error / ((truth - truth.mean("init_time")) ** 2).sum("init_time")
    assert clean["chosen_network"]["r2_mean"] == pytest.approx(float((1 - share).mean()))
    assert found["baselines"]["damped_persistence"]["all"] > found["baselines"]["climatology"]["all"]


def test_the_page_says_that_it_leaks_and_prices_each_leak(study):
    stamp = {"coefficients": "made up", "train_period": "a to b", "test_period": "b to c"}
    whole = {"stamp": stamp, "recipe": {"epochs": 3}, "budget": "updates", "leaked_weeks": 60, **leaks.summary(*study)}
    text = leaks.page("made up", whole)
    assert "Made to leak, on purpose" in text
    assert "none enters a scorecard" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert sum("| added " in line for line in rows) == 3
    assert sum("| removed " in line for line in rows) == 3
    assert sum(line.startswith("| `weeks+scaler+split`") for line in rows) == 1
    assert "the first 60 test weeks" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leakage": {"protocol": "long"}}, "name one"),
        ({"leakage": {"weeks": 1480}}, "set it from 32 to 1455"),
        ({"training": {"corrects": "climatology"}}, "set it to null"),
        ({"training": {"head": "gaussian"}}, "training.head is gaussian"),
    ],
)
def test_settings_that_are_no_laboratory_are_refused(change, message, tmp_path):
    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump(change))
    with pytest.raises(ValueError, match=message):
        merge(Path("config/config.yaml"), Path("config/experiments/leakage.yaml"), over)
