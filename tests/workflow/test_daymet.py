"""Other variables than sea-surface temperature on a projected grid: tmax from archive to figures, prcp to its POD.

Networks know nothing of grids and variables, and take longest: what follows them is given the forecasts of baselines.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from matplotlib import image

from podnas import artifacts, config
from podnas.windows import PROJECTED
from tests import daymet_archive
from tests.adaptors import adaptor
from tests.workflow.conftest import ROOT, checkout, snakemake

FIGURES = ("rmse_map", "events", "probes")
IN_THE_PLACE_OF_NETWORKS = {"recurrent_ensemble": "mean_linear", "recurrent_best": "least_squares"}
NORTH = 44.95
PLACES = {"lat": [0, 90], "lon": [-180, 0]}


def experiment(variable: str) -> dict[str, object]:
    """The miniature experiment on DayMet files: three years of weeks, two of them for training."""
    tiny = yaml.safe_load((ROOT / "config/experiments/tiny.yaml").read_text())
    return {
        **tiny,
        "experiment": variable,
        "title": f"Miniature of DayMet's {variable}",
        "source": {"kind": "path", "files": [f"files/*_{variable}_*.nc"], "variable": variable, "joins": []},
        "field": {"coarsen": 10, "weeks": "of_year"},
        "pod": {"modes": 3, "weights": "area", "coefficients": "projected", "train_last": "2002-12-24"},
        "protocols": [
            {
                "name": "weekly",
                "train_first": "2001-01-01",
                "train_last": "2002-12-24",
                "test_first": "2003-01-01",
                "test_last": "2003-12-24",
            }
        ],
        "verify": {
            "reported": None,
            "regions": [
                {"name": "whole", **PLACES, "label": "Whole"},
                {"name": "north", "lat": [NORTH, 50], "lon": [-80, -50], "label": "North"},
            ],
            "events": [{"name": "warm_2003", "week": "2003-07-16", "label": "A week of July"}],
            "probes": [{"name": "coast", "lat": NORTH, "lon": -68.5, "label": "Coast"}],
            "map_lead_weeks": 2,
        },
    }


def run(folder: Path, variable: str, *targets: str) -> Path:
    """The results of a variable after files were made and the workflow was run to these targets."""
    checkout(folder)
    daymet_archive.write(folder / "files", (2001, 2002, 2003), variable)
    (folder / "mine.yaml").write_text(yaml.safe_dump(experiment(variable)))
    done = snakemake(folder, "-c1", *(f"results/{variable}/{name}" for name in targets), "--configfile", "mine.yaml")
    assert done.returncode == 0, done.stdout[-5000:]
    return folder / "results" / variable


@pytest.fixture(scope="module")
def daymet(tmp_path_factory):
    """Results of tmax: from files to baselines by the workflow, from there to scorecard and figures here."""
    folder = tmp_path_factory.mktemp("tmax")
    results = run(folder, "tmax", "predictions/weekly/climatology.nc", "figures/modes.png")
    score(results, config.merge(folder / "config/config.yaml", folder / "mine.yaml"))
    return results


def score(results: Path, experiment: config.ExperimentConfig) -> None:
    """What the rules score, field_forecast, scorecard and figure_* do."""
    names = {name: name for name in config.BASELINES} | IN_THE_PLACE_OF_NETWORKS
    predictions = {name: results / f"predictions/weekly/{of}.nc" for name, of in names.items()}
    forecasts = {name: results / f"forecasts/weekly/{name}.nc" for name in names}
    windows, scores, maps, basis = (
        results / name for name in ("windows/weekly", "scores.parquet", "maps.nc", "reduction/basis.nc")
    )
    stamp = {"experiment": "tmax", "coefficients": PROJECTED, "protocol": "weekly", "seeds": "none"}
    stamp |= {"train_period": "2001 to 2002", "test_period": "2003"}
    adaptor("score").main(
        windows / "train.nc", windows / "test_targets.nc", results / "field/field.nc", basis, predictions,
        ["recurrent_ensemble"], config.BASELINES, scores, results / "regions.json", maps, forecasts,
        results / "ledger.jsonl", experiment.verify, stamp,
    )  # fmt: skip
    adaptor("field_forecast").main(forecasts["climatology"], basis, results / "climatology.nc", 2)
    member = {"milliseconds_per_forecast": 1.0, "training_seconds": 1.0}
    artifacts.write_json(results / "catalogue.json", {"members": [member], "search_seconds": 1.0, "trials": 2})
    differences, compared = results / "differences.json", [*config.BASELINES, "recurrent_ensemble"]
    adaptor("differences").main(
        windows / "train.nc", {name: forecasts[name] for name in compared}, {}, ["recurrent_ensemble"], differences
    )
    catalogues = {"weekly": {"recurrent_ensemble": [results / "catalogue.json"]}}
    adaptor("scorecard").main(
        {"weekly": scores}, {"weekly": maps}, {"weekly": differences}, {"weekly": results / "regions.json"},
        {"weekly": {}}, catalogues, None, results / "ledger.jsonl",
        *(results / f"scorecard.{ending}" for ending in ("json", "md", "html")), experiment.title, False,
    )  # fmt: skip
    for name in FIGURES:
        adaptor(f"figure_{name}").main(maps, results / f"figures/{name}.png")


def test_the_whole_experiment_is_planned(daymet):
    listed = snakemake(daymet.parents[1], "-n", "--configfile", "mine.yaml").stdout
    for rule in ("search", "manual_networks", "retrain", "ensemble", "score", "scorecard", "figure_coefficients"):
        assert f"rule {rule}:" in listed
    assert "rule field:" not in listed  # it is there


def test_basis_and_forecasts_lie_on_the_projected_grid(daymet):
    field = xr.open_dataset(daymet / "field/field.nc")
    assert field["tmax"].dims == ("time", "y", "x")
    basis = xr.open_dataset(daymet / "reduction/basis.nc")
    assert basis["modes"].dims == ("mode", "y", "x")
    assert basis["lat"].dims == basis["lon"].dims == ("y", "x")
    assert (basis["mean"].attrs["units"], basis["variance"].attrs["units"]) == ("degree_Celsius", "degree_Celsius2")
    forecast = xr.open_dataset(daymet / "climatology.nc")
    assert forecast["tmax"].dims == ("init_time", "y", "x")
    assert forecast["tmax"].attrs["units"] == "degree_Celsius"
    np.testing.assert_array_equal(forecast["lat"], field["lat"])


def test_scores_of_a_region_are_those_of_its_cells(daymet):
    """RMSE of lead 2 over the cells whose two-dimensional places lie in the box, from the files alone."""
    table = pd.read_parquet(daymet / "scores.parquet")
    forecast = xr.open_dataset(daymet / "climatology.nc")
    field = xr.open_dataset(daymet / "field/field.nc")
    truth = field["tmax"].sel(time=forecast["valid_time"].values).values
    inside = (field["lat"] >= NORTH).values & np.isfinite(truth[0])
    assert 0 < inside.sum() < np.isfinite(truth[0]).sum()
    error = (forecast["tmax"].values - truth)[:, inside]
    weight = field["cell_area"].values[inside] / field["cell_area"].values[inside].sum()
    chosen = table[(table.region == "north") & (table.method == "climatology") & (table.lead == 2)]
    found = chosen.set_index("metric")["value"]
    assert found["rmse_field"] == pytest.approx(np.sqrt(((error**2) @ weight).mean()), rel=1e-4)
    assert found["rmse_area_mean"] == pytest.approx(np.sqrt(((error @ weight) ** 2).mean()), rel=1e-4)


def test_the_scorecard_knows_the_variable_and_that_its_files_are_synthetic(daymet):
    page = (daymet / "scorecard.md").read_text()
    assert "Fields: twin." in page
    assert "projected from the twin field" in page
    assert "RMSE of the field (°C)" in page
    assert not re.search("SST|HYCOM|ocean", page)
    entries = json.loads((daymet / "scorecard.json").read_text())
    assert all(np.isfinite(entry["r2_mean_test"]) for entry in entries)


@pytest.mark.parametrize("name", ["modes", *FIGURES])
def test_figures_are_drawn(daymet, name):
    assert image.imread(daymet / f"figures/{name}.png")[..., :3].std() > 0.05


def test_rain_goes_the_same_way_by_configuration(tmp_path):
    """prcp, which is never below 0 and often 0, from files to its POD: weekly means of blocks, in mm a day."""
    made = run(tmp_path, "prcp", "reduction/coefficients.nc")
    field = xr.open_dataset(made / "field/field.nc")["prcp"]
    assert (field.dims, field.attrs["units"]) == (("time", "y", "x"), "mm day-1")
    with netCDF4.Dataset(tmp_path / "files/daymet_v4_daily_na_prcp_2002.nc") as data:
        daily = data["prcp"][14:21].filled(np.nan)  # the third week of 2002
    blocks = daily.reshape(7, 8, 10, 8, 10)
    valid = np.isfinite(blocks)
    with np.errstate(invalid="ignore"):
        means = np.where(valid, blocks, 0).sum(axis=(0, 2, 4)) / valid.sum(axis=(0, 2, 4))
    enough = valid[0].mean(axis=(1, 3)) >= 0.5
    week = field.sel(time="2002-01-15").values
    np.testing.assert_array_equal(np.isfinite(week), enough)
    np.testing.assert_allclose(week[enough], means[enough], rtol=1e-5)
    assert 0 < enough.sum() < enough.size
    assert field.min() >= 0
    basis = xr.open_dataset(made / "reduction/basis.nc")
    assert basis.attrs["variable"] == "prcp"
    assert basis["variance"].attrs["units"] == "(mm day-1)2"
    coefficients = xr.open_dataset(made / "reduction/coefficients.nc")["coefficient"]
    assert coefficients.shape == (3 * 52, 3)
    # what the leading modes give back of the field is at least what is known of their variance
    train = field.sel(time=slice("2001-01-01", "2002-12-24")).values[:, enough]
    weight = basis["weight"].values[enough]
    given = coefficients.values[:104] @ basis["modes"].values[:, enough]
    left = (((train - basis["mean"].values[enough] - given) ** 2) @ weight).sum()
    whole = (((train - train.mean(axis=0)) ** 2) @ weight).sum()
    spectrum = basis["spectrum"].values
    assert 1 - left / whole == pytest.approx(spectrum[:3].sum() / spectrum.sum(), rel=1e-3)
