"""The rows measured for this project on the released coefficients, short protocol (each ± .006)."""

from __future__ import annotations

import numpy as np
import pytest

from podnas import scores, windows
from podnas.baselines import methods
from podnas.config import BaselinesConfig, ProtocolConfig, WindowsConfig
from tests.unit.test_windows import PROTOCOLS, released

EXPECTED = {
    ("short", "persistence"): 0.478,
    ("short", "climatology"): 0.655,
    ("short", "least_squares"): 0.875,
    ("short", "seasonal_ridge"): 0.900,
    ("short", "linear_inverse_model"): 0.906,
    ("short", "damped_persistence"): 0.912,
    ("short", "mean_damped_inverse"): 0.9145,
    ("long", "persistence"): 0.462,
    ("long", "climatology"): 0.690,
    ("long", "least_squares"): 0.897,
    ("long", "seasonal_ridge"): 0.917,
    ("long", "linear_inverse_model"): 0.918,
    ("long", "damped_persistence"): 0.917,
    ("long", "mean_damped_inverse"): 0.921,
}
SKILL = {"damped_persistence": 0.76, "linear_inverse_model": 0.73, "seasonal_ridge": 0.69, "least_squares": 0.53}


@pytest.fixture(scope="module", params=["short", "long"])
def protocol(request):
    first, last, test_first, test_last = PROTOCOLS[request.param]
    dates = ProtocolConfig(
        name=request.param, train_first=first, train_last=last, test_first=test_first, test_last=test_last
    )
    training, inputs, targets = windows.split(released(), dates, WindowsConfig())
    standard = windows.scaler(training)
    data = windows.training(training)
    truth = standard.forward(targets.target.values)

    def forecast(name: str) -> np.ndarray:
        method = methods.build(name, BaselinesConfig(), WindowsConfig())
        return method.fit(data).predict(windows.inputs(inputs, standard))

    return request.param, forecast, truth


def test_r2_mean_of_the_baselines(protocol):
    name, forecast, truth = protocol
    for (wanted, method), expected in EXPECTED.items():
        if wanted == name:
            found = scores.r2(forecast(method), truth).mean()
            assert found == pytest.approx(expected, abs=0.006), method


def test_skill_against_climatology_of_the_short_protocol(protocol):
    name, forecast, truth = protocol
    if name == "short":
        climatology = forecast("climatology")
        for method, expected in SKILL.items():
            found = scores.skill_clim(forecast(method), truth, climatology).mean()
            assert found == pytest.approx(expected, abs=0.03), method
