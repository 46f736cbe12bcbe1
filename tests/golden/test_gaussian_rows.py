"""The CRPS measured for this project of Gaussian baselines on the released coefficients (test weeks; each ± .001).

Best of damped persistence and its mean with the LIM: .0998 short, .1079 long.
Divided per mode by the training sigma and averaged.
"""

from __future__ import annotations

import numpy as np
import pytest

from podnas import windows
from podnas.baselines.gaussian import Gaussian
from podnas.config import BaselinesConfig, ProtocolConfig, WindowsConfig
from podnas.ensemble.mixture import gaussian
from tests.unit.test_windows import PROTOCOLS, released

EXPECTED = {"short": 0.0998, "long": 0.1079}


@pytest.mark.parametrize("name", ["short", "long"])
def test_crps_of_the_best_gaussian_baseline(name):
    first, last, test_first, test_last = PROTOCOLS[name]
    dates = ProtocolConfig(name=name, train_first=first, train_last=last, test_first=test_first, test_last=test_last)
    training, inputs, targets = windows.split(released(), dates, WindowsConfig())
    standard = windows.scaler(training)
    truth, data = standard.forward(targets.target.values), windows.training(training)
    found = {}
    for method in ("damped_persistence", "mean_damped_inverse"):
        fitted = Gaussian(method, BaselinesConfig(), WindowsConfig()).fit(data)
        forecast = gaussian(fitted.predict(windows.inputs(inputs, standard)), fitted.sigma)
        found[method] = float(np.mean(forecast.crps(truth)))
    assert min(found.values()) == pytest.approx(EXPECTED[name], abs=0.001), found
