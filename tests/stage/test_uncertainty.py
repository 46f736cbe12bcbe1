"""Stage: the adaptors from a search's trials to calibrated ensembles, their scores, their maps and their figures."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import image

from podnas import artifacts, windows
from podnas.audit.harms import shift
from podnas.config import BaselinesConfig, TrainingConfig, UncertaintyConfig, VerifyConfig
from podnas.ensemble import compared
from podnas.networks import population, space
from podnas.search import points
from podnas.verify import uncertainty
from tests.adaptors import adaptor
from tests.series import CONFIG as WINDOWS
from tests.series import PROTOCOL, coefficients

FEW = WINDOWS.model_copy(update={"validation_blocks": 3})
TRAINING = TrainingConfig(
    head="gaussian", corrects="damped_persistence", batch_size=32, dropout=0.3, output_scale=3, engine="kernels"
)
BASELINES = ("climatology", "damped_persistence", "seasonal_ridge")
CONFIG = UncertaintyConfig(
    candidates=3, epochs=2, sizes=(2,), initialisations=2, passes=3, baselines=BASELINES,
    methods=("top_k", "greedy", "bagged", "learned_likelihood", "learned_crps"),
)  # fmt: skip
STAMP = {
    "experiment": "made_up",
    "coefficients": "made up",
    "protocol": "short",
    "train_period": "1990-01-07 to 1994-12-25",
    "test_period": "1995-01-01 to 1997-12-28",
    "seeds": "search 0, candidates 8",
}
NAMES = [*compared.OURS, *BASELINES]


def trials(count: int) -> pd.DataFrame:
    drawn = space.architecture_space()
    chosen = [points.sample(drawn, points.stream(5, number)) for number in range(count)]
    same = {"step": 1, "budget": 1.0, "share": 1.0, "seconds": 1.0}
    return pd.DataFrame(
        [
            {"number": number, "loss": 0.1 * number, "point": json.dumps(dict(point)), **same}
            for number, point in enumerate(chosen)
        ]
    )


def pools(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "candidates.nc", folder / "baselines.nc", folder / "comparators.nc"


def candidates(folder: Path, config: UncertaintyConfig = CONFIG) -> None:
    adaptor("candidates").main(
        folder / "train.nc",
        folder / "test_inputs.nc",
        folder / "trials.parquet",
        (folder / "candidates.nc", folder / "candidates.json"),
        folder / "networks",
        config,
        TRAINING,
        FEW,
        "code",
        1,
    )


def chosen(made: Path, series: xr.Dataset) -> Path:
    """All that stands before a test target is read, from a series to selection.json."""
    kinds = (artifacts.TRAINING, artifacts.INPUTS, artifacts.TARGETS)
    for name, part, kind in zip(
        ("train", "test_inputs", "test_targets"), windows.split(series, PROTOCOL, FEW), kinds, strict=True
    ):
        artifacts.write_windows(made / f"{name}.nc", part, kind)
    artifacts.write_table(made / "trials.parquet", trials(4))
    candidates(made)
    given = (made / "train.nc", made / "test_inputs.nc")
    adaptor("gaussian_baselines").main(*given, made / "baselines.nc", BASELINES, BaselinesConfig(), FEW)
    adaptor("comparators").main(
        *given,
        (made / "candidates.nc", made / "candidates.json"),
        made / "comparators.nc",
        made / "deep",
        CONFIG,
        TRAINING,
        FEW,
        "code",
        1,
    )
    adaptor("selection").main(made / "train.nc", pools(made), made / "selection.json", CONFIG)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = chosen(tmp_path_factory.mktemp("uncertainty"), coefficients())
    given = (made / "train.nc", made / "test_inputs.nc")
    forecasts = {name: made / "forecasts" / f"{name}.nc" for name in NAMES}
    adaptor("mixture").main(*given, made / "selection.json", pools(made), forecasts)
    score(made)
    return made


def score(folder: Path) -> None:
    adaptor("probabilistic_score").main(
        folder / "train.nc",
        folder / "test_targets.nc",
        folder / "selection.json",
        {name: folder / "forecasts" / f"{name}.nc" for name in NAMES},
        (folder / "short.json", folder / "fan.nc"),
        folder / "ledger.jsonl",
        0,
        STAMP,
    )


def test_every_window_of_the_training_blocks_is_forecast_by_networks_that_held_it_out(folder):
    pool = artifacts.read_pool(folder / "candidates.nc")
    assert dict(pool.sizes) | {"lead": 4, "mode": 2, "member": 3, "network": 3} == dict(pool.sizes)
    training = artifacts.read_windows(folder / "train.nc", artifacts.TRAINING)
    held = [one.validate.inputs.init_time for one in windows.folds(windows.training(training), FEW)]
    np.testing.assert_array_equal(pool.held_time, np.concatenate(held))
    assert np.bincount(pool.block).tolist() == [len(one) for one in held]
    files = artifacts.read_json(folder / "candidates.json")["candidates"]
    assert [one["block"] for one in files[2]["networks"]] == [0, 1, 2]
    assert all((folder / "networks" / one["file"]).exists() for own in files for one in own["networks"])


def test_a_killed_job_keeps_the_networks_that_it_has(folder):
    before = {file.name: file.stat().st_mtime_ns for file in (folder / "networks").iterdir()}
    made = artifacts.read_pool(folder / "candidates.nc")
    (folder / "networks" / "candidate_001_02.npz").unlink()
    candidates(folder)
    after = {file.name: file.stat().st_mtime_ns for file in (folder / "networks").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"candidate_001_02.npz"}
    xr.testing.assert_equal(made, artifacts.read_pool(folder / "candidates.nc"))


def diverging(monkeypatch: pytest.MonkeyPatch, networks: set[tuple[int, int]], made: Path) -> None:
    """Let these networks, of a candidate and a block, begin with parameters that are no numbers; others are kept."""
    for candidate, block in networks:
        (made / "networks" / f"candidate_{candidate:03d}_{block:02d}.npz").unlink()
    begin = population.job

    def ill(*arguments: object) -> population.Job:
        job = begin(*arguments)
        return replace(job, state=replace(job.state, parameters=np.full_like(job.state.parameters, np.nan)))

    monkeypatch.setattr(population, "job", ill)


def copied(folder: Path, to: Path) -> Path:
    for name in ("train.nc", "test_inputs.nc", "trials.parquet"):
        shutil.copy(folder / name, to / name)
    shutil.copytree(folder / "networks", to / "networks")
    return to


def test_an_ensemble_goes_on_without_a_candidate_that_diverged(folder, tmp_path, monkeypatch):
    diverging(monkeypatch, {(1, 2)}, copied(folder, tmp_path))
    candidates(tmp_path)
    found = artifacts.read_json(tmp_path / "candidates.json")
    reason = "training diverged in epoch 1 (learning rate 0.003)"
    assert found["left_out"] == [{"candidate": 1, "block": 2, "trial": 1, "reason": reason}]
    assert [one["name"] for one in found["candidates"]] == ["candidate_000", "candidate_002"]
    made, before = (artifacts.read_pool(one / "candidates.nc") for one in (tmp_path, folder))
    xr.testing.assert_equal(made, before.sel(member=["candidate_000", "candidate_002"]))
    assert artifacts.read_json(folder / "candidates.json")["left_out"] == []
    given = (tmp_path / "candidates.nc", *pools(folder)[1:])
    adaptor("selection").main(folder / "train.nc", given, tmp_path / "selection.json", CONFIG)
    weights = artifacts.read_json(tmp_path / "selection.json")["forecasts"]["ensemble"]["weights"]
    assert set(weights) <= {"candidate_000", "candidate_002"}


def test_fewer_than_two_candidates_that_are_left_are_an_error(folder, tmp_path, monkeypatch):
    diverging(monkeypatch, {(1, 2), (2, 0)}, copied(folder, tmp_path))
    words = r"1 of 3 candidates are left, .* candidate 1 \(trial 1\), block 2: training diverged .* training\.clip_norm"
    with pytest.raises(ArithmeticError, match=words):
        candidates(tmp_path)


def test_the_chosen_selection_has_the_least_crps_on_held_out_blocks(folder):
    found = artifacts.read_json(folder / "selection.json")
    for name in ("ensemble", "complete"):
        table, one = found["choices"][name], found["forecasts"][name]
        assert len(table) == len(CONFIG.methods)
        assert one["held_out"]["crps"] == min(row["crps"] for row in table)
        assert sum(one["weights"].values()) == pytest.approx(1)
        assert len(one["weights"]) <= 2
    assert all(name.startswith("candidate") for name in found["forecasts"]["ensemble"]["weights"])
    assert found["forecasts"]["best_network"]["networks"] == 1
    chosen_on = {name: one["held_out"]["chosen_on"] for name, one in found["forecasts"].items()}
    assert [chosen_on[name] for name in compared.OURS] == ["other blocks"] * 4 + ["these blocks"] * 2
    assert {chosen_on[name] for name in BASELINES} == {None}


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_the_variance_add_up_to_the_second_moment_of_the_artifact(folder, name):
    # of the numbers in the file alone: sum w (sigma^2 + mu^2) - (sum w mu)^2
    made = xr.load_dataset(folder / "forecasts" / f"{name}.nc").astype(np.float64)
    location = (made.weight * made["mean"]).sum("member")
    apart = made["mean"] - location
    total = (made.weight * (made.sigma**2 + apart**2)).sum("member")
    np.testing.assert_allclose((made.aleatoric + made.epistemic), total, rtol=1e-12)
    if name in BASELINES:
        assert float(np.abs(made.epistemic).max()) == 0
    if name == "deep_ensemble":
        assert float(made.epistemic.min()) > 0


def test_scores_have_intervals_baselines_and_a_verdict(folder):
    found = artifacts.read_json(folder / "short.json")
    assert found["headline"] == "complete"
    for key in ("crps", "nll", "energy", "spread_skill_by_lead", "coverage90_by_lead", "crps_ratio_best_baseline"):
        assert set(found[key]) == {"value", "low", "high"}
    assert set(found["forecasts"]) == set(NAMES)
    for one in found["forecasts"].values():
        for key in ("energy", "energy_skill_climatology", "nll_gain_climatology", "pit_histogram", "rank_histogram"):
            assert set(one[key]) == {"value", "low", "high"}
    assert found["forecasts"]["climatology"]["energy_skill_climatology"]["value"] == 0
    best = found["best_baseline"]
    ratio = found["crps"]["value"] / found["forecasts"][best]["crps"]["value"]
    assert found["crps_ratio_best_baseline"]["value"] == pytest.approx(ratio)
    assert found["difference_from_best_baseline"]["verdict"] in ("better", "worse", "tie")
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    assert {line["method"] for line in lines} == set(NAMES)


def test_test_weeks_change_nothing_that_is_fitted_or_chosen(folder, tmp_path):
    # the adaptors see test inputs and could use them. Networks are copied: what they forecast is made anew, since it is
    # of other windows
    shutil.copytree(folder / "networks", tmp_path / "networks")
    series = coefficients()
    test = series.time.values > np.datetime64(PROTOCOL.train_last)
    series.coefficient.values[test] = shift(series.coefficient.values[test])
    chosen(tmp_path, series)
    assert artifacts.read_json(tmp_path / "selection.json") == artifacts.read_json(folder / "selection.json")
    two = zip(pools(tmp_path), pools(folder), strict=True)
    read = [(artifacts.read_pool(ours), artifacts.read_pool(before)) for ours, before in two]
    for name in ("held_mean", "held_sigma", "block"):
        for made, before in read:
            np.testing.assert_array_equal(made[name], before[name])
    # that they do see the test weeks: what candidates forecast from them is another
    assert float(abs(read[0][0]["mean"] - read[0][1]["mean"]).mean()) > 0.1


def test_test_targets_change_scores_and_nothing_else(folder, tmp_path):
    targets = artifacts.read_windows(folder / "test_targets.nc", artifacts.TARGETS)
    for name in ("train.nc", "selection.json", "forecasts"):
        (tmp_path / name).symlink_to(folder / name)
    artifacts.write_windows(tmp_path / "test_targets.nc", targets.assign(target=targets.target + 1), artifacts.TARGETS)
    score(tmp_path)
    here, there = (artifacts.read_json(one / "short.json") for one in (folder, tmp_path))
    assert here["crps"]["value"] != there["crps"]["value"]
    assert here["forecasts"].keys() == there["forecasts"].keys()


def drawn(path: Path) -> None:
    picture = image.imread(path)
    assert picture.shape[1] >= 1000
    assert picture[..., :3].std() > 0.03


@pytest.mark.parametrize("name", ["calibration", "spread_skill"])
def test_figures_of_scores(folder, name):
    adaptor(f"figure_{name}").main(folder / "short.json", folder / f"{name}.png")
    drawn(folder / f"{name}.png")


def test_figures_of_fan_and_ensembles(folder):
    adaptor("figure_fan").main(folder / "fan.nc", folder / "fan.png", 2)
    drawn(folder / "fan.png")
    adaptor("figure_ensembles").main(folder / "selection.json", folder / "short.json", folder / "ensembles.png")
    drawn(folder / "ensembles.png")


def test_the_page_says_what_the_scores_say(folder):
    outputs = tuple(folder / f"verification.{ending}" for ending in ("json", "md", "html"))
    adaptor("verification").main({"short": folder / "short.json"}, {}, folder / "ledger.jsonl", outputs, "made up")
    page, found = outputs[1].read_text(), artifacts.read_json(outputs[0])["short"]
    assert f"| {found['crps']['value']:.4f} [" in page
    assert "best Gaussian baseline on these weeks" in page
    assert found["looks"]["times"] == 1
    assert "<table>" in outputs[2].read_text()


# space


def field(series: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """A field of two modes on 3 x 4 cells and noise that they leave out, and its basis."""
    random = np.random.default_rng(3)
    modes = np.linalg.qr(random.normal(size=(12, 2)))[0].T.reshape(2, 3, 4)
    grid = {"lat": [0.0, 1.0, 2.0], "lon": [10.0, 11.0, 12.0, 13.0]}
    values = 20 + np.tensordot(series.coefficient.values, modes, axes=1)
    values += 0.1 * random.normal(size=values.shape)
    area = np.full((3, 4), 1e10)
    units = {"units": "degree_Celsius"}
    weekly = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values.astype(np.float32), units),
            "cell_area": (("lat", "lon"), area, {"units": "m2"}),
            "segment": ("time", series.segment.values),
        },
        {"time": series.time, **grid},
        {"data_kind": "real"},
    )
    basis = xr.Dataset(
        {
            "mean": (("lat", "lon"), np.full((3, 4), 20.0), units),
            "modes": (("mode", "lat", "lon"), modes),
            "weight": (("lat", "lon"), np.ones((3, 4))),
            "cell_area": (("lat", "lon"), area, {"units": "m2"}),
            "variance": ("mode", [2.0, 1.0]),
            "spectrum": ("rank", [0.6, 0.3]),
        },
        {"mode": [1, 2], "rank": [1, 2], **grid},
        {"data_kind": "real", "variable": "sst"},
    )
    return weekly, basis


def test_maps_of_the_spread_add_up_and_stand_beside_the_error(folder, tmp_path):
    series = coefficients()
    weekly, basis = field(series)
    artifacts.write_field(tmp_path / "field.nc", weekly)
    artifacts.write_basis(tmp_path / "basis.nc", basis)
    artifacts.write_coefficients(tmp_path / "coefficients.nc", series)
    box = {"lat": [-1, 1.5], "lon": [9, 12.5], "label": "a part"}
    config = VerifyConfig(map_lead_weeks=2, regions=({"name": "part", **box},))
    outputs = (tmp_path / "maps.nc", tmp_path / "short.json")
    adaptor("spread_maps").main(
        folder / "train.nc",
        folder / "short.json",
        {name: folder / "forecasts" / f"{name}.nc" for name in NAMES},
        *(tmp_path / f"{name}.nc" for name in ("field", "basis", "coefficients")),
        outputs,
        tmp_path / "ledger.jsonl",
        config,
        "1994-12-25",
        STAMP,
    )
    made, found = artifacts.read_spread_maps(outputs[0]), artifacts.read_json(outputs[1])
    parts = (made.sigma.sel(part=["aleatoric", "epistemic", "truncation"]).astype(float) ** 2).sum("part")
    np.testing.assert_allclose(parts, made.sigma.sel(part="total") ** 2, rtol=1e-5)
    # what is left out is noise of .1; the spread is about the error
    np.testing.assert_allclose(made.sigma.sel(part="truncation"), 0.1, rtol=0.15)
    best = artifacts.read_json(folder / "short.json")["best_baseline"]
    assert list(found["cells"]) == ["complete", best, "climatology"]
    ratio = found["cells"]["complete"]["spread_skill"]
    assert ratio["value"] == pytest.approx(float((made.sigma.sel(part="total") / made.rmse).mean()), rel=1e-5)
    assert ratio["value"] == pytest.approx(1, abs=0.25)
    correlation = np.corrcoef(made.sigma.sel(part="total").values.ravel(), made.rmse.values.ravel())[0, 1]
    assert found["cells"]["complete"]["correlation"]["value"] == pytest.approx(correlation, abs=1e-3)
    assert [one["forecast"] for one in found["regions"]] == list(found["cells"])
    for one in found["regions"]:
        assert one["lead"] == [1, 2, 3, 4]
        sigma = {part: np.array(values) for part, values in one["sigma"].items()}
        parts = sum(sigma[part] ** 2 for part in ("aleatoric", "epistemic", "truncation"))
        np.testing.assert_allclose(parts, sigma["total"] ** 2)
        for key in ("rmse", "spread_skill", "coverage90", "crps"):
            low, value, high = (np.array(one[key][end]) for end in ("low", "value", "high"))
            assert (low <= value).all(), key
            assert (value <= high).all(), key
    assert found["regions"][1]["crps_less_best_baseline"]["value"] == [0] * 4
    assert found["regions"][2]["crps_skill_climatology"]["value"] == [0] * 4
    page = uncertainty.in_space(found)
    assert f"| {found['regions'][0]['crps']['value'][0]:.3f} [" in page
    adaptor("figure_spread_maps").main(outputs[0], tmp_path / "maps.png")
    drawn(tmp_path / "maps.png")
    looks = [json.loads(line)["method"] for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert looks == [f"{name}, in space" for name in found["cells"]]


# bad input


def changed(folder: Path, to: Path, **values: float) -> Path:
    """The candidates' file with one value of the first member changed."""
    pool = xr.load_dataset(folder / "candidates.nc")
    for name, value in values.items():
        pool[name][0, 0, 0, 0] = value
    pool.to_netcdf(to)
    return to


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"held_mean": np.nan}, "member candidate_000 has 1 values that are not finite"),
        ({"held_sigma": 0.0}, "member candidate_000 has sigma 0"),
        ({"sigma": 0.0}, "member candidate_000 has sigma 0"),
        ({"sigma": np.nan}, "member candidate_000 has . values that are not finite"),
        ({"mean": np.nan}, "member candidate_000 has . values that are not finite"),
    ],
)
def test_members_that_are_no_gaussians_are_refused_by_name(folder, tmp_path, values, words):
    bad = changed(folder, tmp_path / "candidates.nc", **values)
    with pytest.raises(artifacts.ArtifactError, match=f"{bad}.*{words}"):
        adaptor("selection").main(folder / "train.nc", (bad, *pools(folder)[1:]), tmp_path / "selection.json", CONFIG)


def test_members_of_different_leads_are_refused(folder, tmp_path):
    pool = xr.load_dataset(folder / "baselines.nc").isel(lead=slice(3))
    pool.to_netcdf(tmp_path / "baselines.nc")
    given = (folder / "candidates.nc", tmp_path / "baselines.nc", folder / "comparators.nc")
    with pytest.raises(ValueError, match=r"member climatology forecasts shape .* must share windows, leads and modes"):
        adaptor("selection").main(folder / "train.nc", given, tmp_path / "selection.json", CONFIG)


def test_a_catalogue_of_one_is_refused(folder, tmp_path):
    xr.load_dataset(folder / "candidates.nc").isel(member=[0]).to_netcdf(tmp_path / "candidates.nc")
    given = (tmp_path / "candidates.nc", *pools(folder)[1:])
    with pytest.raises(ValueError, match=r"the catalogue has 1 member .* raise uncertainty\.candidates"):
        adaptor("selection").main(folder / "train.nc", given, tmp_path / "selection.json", CONFIG)


def test_held_out_windows_that_differ_are_refused(folder, tmp_path):
    xr.load_dataset(folder / "baselines.nc").isel(held_time=slice(1, None)).to_netcdf(tmp_path / "baselines.nc")
    given = (folder / "candidates.nc", tmp_path / "baselines.nc", folder / "comparators.nc")
    with pytest.raises(ValueError, match=r"forecast .* held-out windows"):
        adaptor("selection").main(folder / "train.nc", given, tmp_path / "selection.json", CONFIG)


def test_a_mixture_without_weights_is_refused(folder, tmp_path):
    made = xr.load_dataset(folder / "forecasts" / "ensemble.nc")
    made["weight"] = made.weight * 0.5
    made.to_netcdf(tmp_path / "ensemble.nc")
    with pytest.raises(artifacts.ArtifactError, match=r"with sum 0\.5; they must be ≥ 0 and sum to 1"):
        artifacts.read_probabilistic(tmp_path / "ensemble.nc")


def test_too_few_trials_are_refused(folder):
    more = CONFIG.model_copy(update={"candidates": 9})
    with pytest.raises(
        ValueError, match=r"uncertainty\.candidates is 9, but the search finished only 4 different points"
    ):
        candidates(folder, more)
