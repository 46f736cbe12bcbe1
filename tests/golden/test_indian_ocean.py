"""The rows measured for this project on the entirely real region: modes for a share of variance, area-mean RMSE."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from podnas import config, windows
from podnas.baselines import methods
from podnas.data import archive, field
from podnas.reduction import pod
from podnas.verify import physical

EXPERIMENT = config.merge(Path("config/config.yaml"), Path("config/experiments/indian_ocean.yaml"))
# area-mean RMSE at leads 1 and 8, degree_Celsius
EXPECTED = {
    "climatology": (0.44, 0.44),
    "damped_persistence": (0.26, 0.40),
    "linear_inverse_model": (0.25, 0.42),
    "seasonal_ridge": (0.25, 0.37),
}


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    plan = archive.plan(EXPERIMENT.source, str(tmp_path_factory.mktemp("archive")))
    if plan.template is not None:
        pytest.skip("real data not found: set PODNAS_DATA")
    return field.build([Path(file) for file in plan.files], None, EXPERIMENT.source, EXPERIMENT.field)


@pytest.fixture(scope="module")
def basis(weekly: xr.Dataset) -> xr.Dataset:
    return pod.fit(weekly, EXPERIMENT.pod)


def test_modes_for_90_95_and_99_percent_of_the_variance(basis):
    captured = basis.spectrum.values.cumsum()
    assert [int((captured < share).sum()) + 1 for share in (0.90, 0.95, 0.99)] == [3, 7, 26]


def test_area_mean_errors_of_the_baselines(weekly, basis):
    coefficients = pod.project(weekly, basis)
    training, inputs, targets = windows.split(coefficients, EXPERIMENT.protocol("long"), EXPERIMENT.windows)
    assert (training.sizes["time"], targets.sizes["init_time"]) == (1218, 611)
    table = score(weekly, basis, training, inputs, targets)
    for method, (first, last) in EXPECTED.items():
        assert table[method, 1] == pytest.approx(first, abs=0.015), method
        assert table[method, 8] == pytest.approx(last, abs=0.015), method


def score(
    weekly: xr.Dataset, basis: xr.Dataset, training: xr.Dataset, inputs: xr.Dataset, targets: xr.Dataset
) -> pd.Series:
    """Area-mean RMSE by method and lead."""
    data, standard = windows.training(training), windows.scaler(training)
    seen = windows.inputs(inputs, standard)
    forecasts = {
        name: targets.target.copy(data=standard.backward(fitted.predict(seen)))
        for name in EXPECTED
        for fitted in [methods.build(name, EXPERIMENT.baselines, EXPERIMENT.windows).fit(data)]
    }
    truth = physical.Truth(weekly, basis, targets.valid_time.values)
    errors = physical.errors(truth, forecasts, EXPERIMENT.verify.regions)
    table = physical.region_table(errors, targets.lead.values)
    return table[table.metric == "rmse_area_mean"].set_index(["method", "lead"])["value"]
