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
    values["resources"] = {"coarse_threads": 1}  # to start processes takes longer than what they do
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


def test_a_year_more_makes_that_year_and_no_other(folder):
    longer = yaml.safe_load((folder / "small.yaml").read_text())
    longer["source"]["years"] = [YEARS[0], YEARS[-1] + 1]
    (folder / "longer.yaml").write_text(yaml.safe_dump(longer))
    listed = snakemake(folder, "-n", "results/daymet/field/field.nc", "--configfile", "longer.yaml")
    assert planned(listed.stdout) == {"daymet_twin": 1, "coarse": 1, "field": 1}, listed.stdout[-3000:]
    assert "output: results/daymet/field/coarse.2004.nc" in listed.stdout


def test_a_changed_year_makes_what_depends_on_it_again_and_nothing_else(folder):
    with netCDF4.Dataset(folder / "results/daymet/archive/daymet_v4_daily_na_tmax_2002.nc", "a") as data:
        data["tmax"][200] = data["tmax"][200] + 1
    listed = run(folder, "-n")
    # no other year; and no window nor baseline, since the released coefficients come from no field
    assert planned(listed.stdout) == {"coarse": 1, "field": 1, "pod": 1, "daymet_basis": 1}
    assert "coarse.2002.nc" in listed.stdout
    assert "output: results/daymet/field/coarse.2001.nc" not in listed.stdout


@pytest.fixture(scope="module")
def at_hand(folder):
    """Plans of the field from the same files, as files that one has, to June of the last year; made once."""
    values = yaml.safe_load((folder / "small.yaml").read_text())
    values |= {"experiment": "at_hand"}
    values["pod"] |= {"coefficients": "projected"}
    values["source"] = {"kind": "path", "files": ["results/daymet/archive/*.nc"], "variable": "tmax", "joins": []}
    values["field"] |= {"last": "2003-06-30"}

    def plan(source, field, *arguments):
        given = values | {"source": values["source"] | source, "field": values["field"] | field}
        (folder / "at_hand.yaml").write_text(yaml.safe_dump(given))
        return snakemake(folder, *arguments, "results/at_hand/field/field.nc", "--configfile", "at_hand.yaml")

    done = plan({}, {}, "-c2")
    assert done.returncode == 0, done.stdout[-5000:]
    return plan


@pytest.mark.parametrize(
    ("source", "field", "jobs", "years"),
    [
        ({"exclude": ["daymet_v4_daily_na_tmax_2001.nc"]}, {}, {"field": 1}, set()),
        ({}, {"last": "2003-09-30"}, {"coarse": 1, "field": 1}, {2003}),
        ({}, {"least_valid_share": 0.4}, {"coarse": 3, "field": 1}, {2001, 2002, 2003}),
    ],
    ids=["exclusion of a year", "longer", "other cells"],
)
def test_a_changed_choice_of_files_or_days_makes_the_years_that_it_touches(at_hand, source, field, jobs, years):
    listed = at_hand(source, field, "-n").stdout
    assert planned(listed) == jobs, listed[-3000:]
    made = {int(year) for year in re.findall(r"output: results/at_hand/field/coarse\.(\d+)\.nc", listed)}
    assert made == years


def test_a_missing_catalogue_is_named_with_its_remedy(folder):
    done = snakemake(folder, "-n", "--configfile", str(ROOT / "config/experiments/daymet.yaml"))
    assert done.returncode != 0
    assert f"transfer.catalogue {CATALOGUE} does not exist" in done.stdout
    assert "`make run`" in done.stdout
