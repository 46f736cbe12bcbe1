"""Stage: the adaptors of the figure rules on a temporary folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import image

from podnas import artifacts
from podnas.config import VerifyConfig, WindowsConfig
from tests import figure_inputs as made
from tests.adaptors import adaptor

ROOT = Path(__file__).parents[2]
SHAPE = made.BOX
DRAWN = ("recurrent_ensemble", "damped_persistence")
KNOWN = {key: value for key, value in made.STAMP.items() if not key.endswith("_windows")}


def windows(kind, number):
    """Windows of one kind, empty but for their shape."""
    sizes = {"init_time": number, "step": 8, "lead": 8, "mode": SHAPE.modes, "time": 427}
    dated = {"input_centre", "target_centre", "valid_time"}
    variables = {
        name: (dims, np.zeros([sizes[dim] for dim in dims], "datetime64[ns]" if name in dated else float))
        for name, dims in kind.items()
    }
    axes = {dim for dims in kind.values() for dim in dims if dim != "step"}
    known = {"windows_across_joins": 0, "data_kind": "twin"}
    return xr.Dataset(variables, coords={dim: np.arange(sizes[dim]) for dim in axes}, attrs=known)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every artifact that a figure reads."""
    folder = tmp_path_factory.mktemp("figures")
    known = made.coefficients(SHAPE)
    artifacts.write_basis(folder / "basis.nc", made.basis(SHAPE))
    artifacts.write_coefficients(folder / "coefficients.nc", known)
    for seed, name in enumerate(DRAWN):
        artifacts.write_forecast(folder / f"{name}.nc", made.forecasts(known, SHAPE.leads, seed=seed))
    artifacts.write_table(folder / "scores.parquet", made.scores(SHAPE))
    artifacts.write_table(folder / "trials.parquet", made.trials())
    artifacts.write_maps(folder / "maps.nc", made.maps(SHAPE))
    artifacts.write_json(folder / "transfer.json", made.transfer(SHAPE))
    artifacts.write_json(folder / "differences.json", made.differences())
    artifacts.write_windows(folder / "train.nc", windows(artifacts.TRAINING, 412), artifacts.TRAINING)
    artifacts.write_windows(folder / "test_inputs.nc", windows(artifacts.INPUTS, 270), artifacts.INPUTS)
    return folder


def arguments(folder, name):
    counted = (folder / "train.nc", folder / "test_inputs.nc")
    scored = (folder / "scores.parquet", folder / f"{DRAWN[0]}.nc")
    figure = folder / f"{name}.png"
    return {
        "spectrum": lambda: (folder / "basis.nc", counted[:1], counted[1:], figure, [KNOWN]),
        "modes": lambda: (folder / "basis.nc", counted[:1], counted[1:], figure, [KNOWN]),
        "coefficients": lambda: (
            folder / "coefficients.nc",
            {name: folder / f"{name}.nc" for name in DRAWN},
            figure,
            VerifyConfig(map_lead_weeks=4),
        ),
        "skill": lambda: (*scored, figure),
        "methods": lambda: (*scored, figure, True),
        "trajectory": lambda: (folder / "trials.parquet", *counted, figure, KNOWN),
        "architectures": lambda: (folder / "trials.parquet", *counted, figure, WindowsConfig(), 0, KNOWN),
        "two_step": lambda: (folder / "trials.parquet", *counted, figure, 0.5, KNOWN),
        "pareto": lambda: (
            folder / "trials.parquet",
            *counted,
            figure,
            folder / "pareto.csv",
            "parameters",
            KNOWN,
        ),
        "events": lambda: (folder / "maps.nc", figure),
        "rmse_map": lambda: (folder / "maps.nc", figure),
        "probes": lambda: (folder / "maps.nc", figure),
        "transfer": lambda: (folder / "transfer.json", figure),
        "differences": lambda: (folder / "differences.json", figure),
    }[name]()


NAMES = sorted(path.stem.removeprefix("figure_") for path in (ROOT / "workflow" / "scripts").glob("figure_*.py"))
DRAWN_ELSEWHERE = (
    "classified",
    "judged",
    "leakage",
    "fan",
    "calibration",
    "spread_skill",
    "ensembles",
    "spread_maps",
    "outlook",
    "outlook_record",
    "tabular",
)  # beside these studies' own tests


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DRAWN_ELSEWHERE])
def test_adaptor_writes_a_picture_that_is_not_blank(folder, name):
    adaptor(f"figure_{name}").main(*arguments(folder, name))
    picture = image.imread(folder / f"{name}.png")
    assert (folder / f"{name}.png").stat().st_size > 20_000
    assert picture.shape[1] >= 1000
    assert picture[..., :3].std() > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_caption_and_a_rule(name):
    files = (ROOT / "workflow" / "rules").glob("*.smk")
    rules = "".join(file.read_text(encoding="utf-8") for file in files)
    assert f"rule figure_{name}:" in rules
    assert f'caption="../report/{name}.rst"' in rules
    assert (ROOT / "workflow" / "report" / f"{name}.rst").read_text(encoding="utf-8").strip()


def test_the_table_of_the_pareto_set_stands_beside_its_figure(folder):
    adaptor("figure_pareto").main(*arguments(folder, "pareto"))
    table = pd.read_csv(folder / "pareto.csv")
    assert set(table["step"]) == {2}
    assert (np.diff(table["parameters"]) > 0).all()
    assert (np.diff(table["loss"]) < 0).all()


def test_two_steps_are_reported(folder):
    adaptor("two_step").main(folder / "trials.parquet", folder / "two_step.json", folder / "two_step.html", "short")
    found = artifacts.read_json(folder / "two_step.json")
    trials = made.trials()
    assert found["cost"]["trials"] == [24, 6]
    assert found["spearman"]["within_top"]["n"] == 6
    assert found["top_models"][0]["loss"] == trials.loc[trials["step"] == 2, "loss"].min()
    page = (folder / "two_step.html").read_text(encoding="utf-8")
    assert "over the repeated trials only" in page
    assert page.count("<table>") == 2
