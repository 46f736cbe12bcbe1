"""Baselines with a spread fitted to held-out blocks."""

from __future__ import annotations

import numpy as np
import pytest

from podnas import windows
from podnas.baselines import held_out
from podnas.baselines.gaussian import Gaussian
from podnas.config import GAUSSIAN_BASELINES, BaselinesConfig
from tests.series import CONFIG, split

PLAIN = BaselinesConfig(climatology_harmonics=1)


def data() -> windows.Training:
    return windows.training(split()[0])


@pytest.mark.parametrize("name", GAUSSIAN_BASELINES)
def test_sigma_is_the_root_mean_square_of_the_errors_of_blocks_held_out(name):
    training = data()
    found = Gaussian(name, PLAIN, CONFIG).fit(training)
    held = held_out.forecasts(training, [name], PLAIN, CONFIG)
    expected = np.sqrt(((held.truth - held.forecasts[name]) ** 2).mean(axis=0))
    np.testing.assert_allclose(found.sigma, expected)
    assert found.predict(training.inputs).shape == training.targets.shape


def test_errors_grow_with_lead():
    sigma = Gaussian("damped_persistence", PLAIN, CONFIG).fit(data()).sigma
    assert (np.diff(sigma, axis=0) > 0).all()


def test_a_spread_fitted_to_the_weeks_themselves_would_be_too_small():
    # least squares on all lags overfits: errors of the fit are smaller than those of held-out blocks
    training = data()
    found = Gaussian("least_squares", PLAIN, CONFIG).fit(training)
    inside = np.sqrt(((found.predict(training.inputs) - training.targets) ** 2).mean(axis=0))
    assert (found.sigma > inside).mean() > 0.9


def test_sigma_of_a_held_out_block_knows_nothing_of_its_errors():
    data = windows.training(split()[0])
    fitted = Gaussian("climatology", BaselinesConfig(), CONFIG).fit(data)
    block = fitted.held.block
    expected = np.sqrt((fitted.errors[block == 1] ** 2).mean(axis=0))
    np.testing.assert_allclose(fitted.held_sigma()[block == 0], np.broadcast_to(expected, (sum(block == 0), 4, 2)))
