"""Candidates to a calibrated mixture: who gets weight, what is scaled, and whose members the mixture has."""

from __future__ import annotations

import numpy as np
import pytest

from podnas.ensemble import calibrated
from podnas.ensemble.members import Gaussians
from podnas.verify import spread


def candidates(seed: int, count: int = 600) -> Gaussians:
    """Two that are right in halves, one that is wrong, all too sure of themselves; (count, 2 leads, 1 mode)."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(count, 2, 1)) * np.array([1.0, 2.0])[:, None]
    errors = [random.normal(size=truth.shape) * one * np.array([1.0, 2.0])[:, None] for one in (0.5, 0.5, 3.0)]
    sigma = np.full(truth.shape, 0.1)
    return Gaussians(["one", "two", "wrong"], [truth + error for error in errors], [sigma] * 3, truth)


def test_the_mixture_is_calibrated_on_other_windows():
    found = calibrated.fit(candidates(0), 3)
    assert found.weights[2] < 0.05
    assert found.weights.sum() == pytest.approx(1)
    others = candidates(1)
    made = [[(mean, sigma)] for mean, sigma in zip(others.means, others.sigmas, strict=True)]
    mixture, numbers = found.mixture(made)
    held = spread.covered(spread.pit(mixture, others.truth), 0.9).mean(axis=0)[:, 0]
    assert np.allclose(held, 0.9, atol=0.04)
    assert numbers == [number for number in range(3) if found.weights[number] > 0]


def test_several_forecasts_of_one_candidate_share_its_weight():
    held = candidates(0)
    found = calibrated.fit(held, 2)
    made = [[(mean, sigma)] * (3 if name == "one" else 1) for name, mean, sigma in zip(
        held.names, held.means, held.sigmas, strict=True
    )]  # fmt: skip
    mixture, numbers = found.mixture(made)
    assert numbers.count(0) == 3
    assert mixture.weights[np.array(numbers) == 0].sum() == pytest.approx(found.weights[0])
    once, _ = found.mixture([one[:1] for one in made])
    assert np.allclose(mixture.location, once.location)
    assert np.allclose(mixture.parts().total, once.parts().total)
