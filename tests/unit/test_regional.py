"""RMSE of regions: differences by lead, with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from podnas.verify import paired, regional

WEEKS = 300


@pytest.fixture(scope="module")
def errors():
    """Squared errors at two leads; `near` errs as ours do at lead 1 and more at lead 2, `far` more at both."""
    random = np.random.default_rng(0)
    ours, other = (random.normal(size=(2, WEEKS)) ** 2 for _ in range(2))
    made = {"complete_system": ours, "near": other * [[1.0], [3.0]], "far": other * 9}
    return {name: {"rmse_area_mean": list(one), "rmse_field": list(2 * one)} for name, one in made.items()}


def test_differences_are_of_the_root_mean_square_by_lead(errors):
    found = regional.of_all(errors, ["complete_system"], ["far", "near"])["rmse_area_mean"]
    assert found["best_baseline"] == "near"
    by_lead = found["differences"]["complete_system"]["near"]
    assert [one["verdict"] for one in by_lead] == ["tie", "better"]
    ours, theirs = (errors[name]["rmse_area_mean"][1] for name in ("complete_system", "near"))
    assert by_lead[1]["difference"] == pytest.approx(np.sqrt(ours.mean()) - np.sqrt(theirs.mean()))
    drawn = paired.counts(WEEKS, 52)
    apart = np.sqrt(drawn @ ours / WEEKS) - np.sqrt(drawn @ theirs / WEEKS)
    assert [by_lead[1]["low"], by_lead[1]["high"]] == pytest.approx(np.quantile(apart, [0.05, 0.95]))


def test_the_table_begins_with_the_hardest_baseline(errors):
    found = regional.of_all(errors, ["complete_system"], ["far", "near"])["rmse_field"]
    rows = regional.table(found, "complete_system")
    assert [row["baseline"] for row in rows] == ["`near`", "`far`"]
    assert rows[0]["1"].endswith("] tie")
    assert rows[1]["2"].endswith("] better")
