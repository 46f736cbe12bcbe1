"""A variable that is not sea-surface temperature on a grid that is projected, from archive to figures."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from matplotlib import image

from tests import daymet_archive
from tests.workflow.conftest import ROOT, checkout, snakemake

FIGURES = ("modes", "coefficients_weekly", "rmse_map_weekly", "events_weekly", "probes_weekly")
PLACES = {"lat": [0, 90], "lon": [-180, 0]}


def experiment(variable: str) -> dict[str, object]:
    """The miniature experiment on DayMet files: three years of weeks, two of them for training."""
    tiny = yaml.safe_load((ROOT / "config/experiments/tiny.yaml").read_text())
    return {
        **tiny,
        "experiment": variable,
        "title": f"Miniature of DayMet's {variable}",
        "source": {"kind": "path", "files": ["files/*.nc"], "variable": variable, "joins": []},
        "field": {"coarsen": 10, "weeks": "of_year", "by_year": True},
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
                {"name": "north", "lat": [47.5, 50], "lon": [-80, -50], "label": "North"},
            ],
            "events": [{"name": "warm_2003", "week": "2003-07-16", "label": "A week of July"}],
            "probes": [{"name": "coast", "lat": 47.5, "lon": -78.7, "label": "Coast"}],
            "map_lead_weeks": 2,
        },
    }


@pytest.fixture(scope="module")
def daymet(tmp_path_factory):
    """A checkout in which tmax has gone from files to scorecard and figures."""
    folder = checkout(tmp_path_factory.mktemp("daymet"))
    daymet_archive.write(folder / "files", (2001, 2002, 2003), "tmax")
    (folder / "tmax.yaml").write_text(yaml.safe_dump(experiment("tmax")))
    targets = ["scorecard.md", "fields/weekly/climatology_lead2.nc", *(f"figures/{name}.png" for name in FIGURES)]
    done = snakemake(folder, "-c2", *(f"results/tmax/{name}" for name in targets), "--configfile", "tmax.yaml")
    assert done.returncode == 0, done.stdout[-5000:]
    return folder / "results" / "tmax"


def test_basis_and_forecasts_lie_on_the_projected_grid(daymet):
    field = xr.open_dataset(daymet / "field/field.nc")
    assert field["tmax"].dims == ("time", "y", "x")
    basis = xr.open_dataset(daymet / "reduction/basis.nc")
    assert basis["modes"].dims == ("mode", "y", "x")
    assert basis["lat"].dims == basis["lon"].dims == ("y", "x")
    assert (basis["mean"].attrs["units"], basis["variance"].attrs["units"]) == ("degree_Celsius", "degree_Celsius2")
    forecast = xr.open_dataset(daymet / "fields/weekly/climatology_lead2.nc")
    assert forecast["tmax"].dims == ("init_time", "y", "x")
    assert forecast["tmax"].attrs["units"] == "degree_Celsius"
    np.testing.assert_array_equal(forecast["lat"], field["lat"])


def test_scores_of_a_region_are_those_of_its_cells(daymet):
    """RMSE of lead 2 over the cells whose two-dimensional places lie in the box, from the files alone."""
    table = pd.read_parquet(daymet / "scores/weekly.parquet")
    forecast = xr.open_dataset(daymet / "fields/weekly/climatology_lead2.nc")
    field = xr.open_dataset(daymet / "field/field.nc")
    truth = field["tmax"].sel(time=forecast["valid_time"].values).values
    inside = (field["lat"] >= 47.5).values & np.isfinite(truth[0])
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


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn(daymet, name):
    assert image.imread(daymet / f"figures/{name}.png")[..., :3].std() > 0.05
