"""The DayMet experiment on a small part of its grid: what a changed year makes again; a missing catalogue."""

from __future__ import annotations

import re

import netCDF4
import pytest
import yaml

from tests.workflow.conftest import ROOT, checkout, snakemake

YEARS = (2001, 2002, 2003)
CATALOGUE = "results/sst/networks/long/catalogue.json"
# to the forecasts of the baselines, with coefficients that are released, and to the field's own basis
TARGETS = ("released/basis.nc", "reduction/basis.nc", "predictions/decade/climatology.nc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = checkout(tmp_path_factory.mktemp("daymet_twin"))
    values = yaml.safe_load((ROOT / "config/experiments/daymet.yaml").read_text())
    values["source"] |= {"years": [YEARS[0], YEARS[-1]], "rows": [4900, 4960], "columns": [2800, 2860]}
    values["pod"] |= {"modes": 2, "train_last": "2002-12-24"}
    values["protocols"] = [
        {
            "name": "decade",
            "train_first": "2001-01-01",
            "train_last": "2002-12-24",
            "test_first": "2003-01-01",
            "test_last": "2003-12-24",
        }
    ]
    values["windows"] = {"inputs": 4, "outputs": 4, "validation_blocks": 2}
    values["transfer"] = {"catalogue": None}
    values["baselines"] |= {"trees": 5}
    values["verify"] = {"reported": None, "regions": [], "events": [], "probes": [], "map_lead_weeks": 1}
    (folder / "small.yaml").write_text(yaml.safe_dump(values))
    done = run(folder, "-c2")
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def run(folder, *arguments):
    return snakemake(folder, *(f"results/daymet/{name}" for name in TARGETS), *arguments, "--configfile", "small.yaml")


def planned(text: str) -> dict[str, int]:
    """Jobs of a dry run: rule to number."""
    table = text.partition("Job stats:")[2].partition("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}


def test_nothing_is_left_to_do(folder):
    assert "Nothing to be done" in run(folder, "-n").stdout


def test_a_changed_year_makes_what_depends_on_it_again_and_nothing_else(folder):
    with netCDF4.Dataset(folder / "results/daymet/archive/daymet_v4_daily_na_tmax_2002.nc", "a") as data:
        data["tmax"][200] = data["tmax"][200] + 1
    listed = run(folder, "-n")
    # no other year; and no window nor baseline, since the released coefficients come from no field
    assert planned(listed.stdout) == {"coarse": 1, "field": 1, "pod": 1, "daymet_basis": 1}
    assert "coarse.2002.nc" in listed.stdout
    assert "output: results/daymet/field/coarse.2001.nc" not in listed.stdout


def test_a_missing_catalogue_is_named_with_its_remedy(folder):
    done = snakemake(folder, "-n", "--configfile", str(ROOT / "config/experiments/daymet.yaml"))
    assert done.returncode != 0
    assert f"transfer.catalogue {CATALOGUE} does not exist" in done.stdout
    assert "`make run`" in done.stdout
