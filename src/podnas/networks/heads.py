"""What a network's outputs mean: a forecast, or a Gaussian (mean and sigma) for each lead and mode. No Keras here.

The output LSTM, whose values lie in (-1, 1), has a column for each mode and, with a Gaussian head, one more for each
sigma. In standardised units, with s = training.output_scale,

    mean = s o,   sigma = softplus(s r) + floor,

o and r the two columns: sigma reaches from the floor to about s. The floor (`training.sigma_floor`) keeps the
likelihood bounded where a network fits its training windows exactly. Trained by the Gaussian negative log likelihood,
each term multiplied by sigma^(2 beta), which is not differentiated: beta-NLL (Seitzer et al. 2022). With beta 0 it is
the likelihood itself, with 1 errors count as in least squares.
"""

from __future__ import annotations

import numpy as np

from podnas.config import TrainingConfig
from podnas.windows import Array

Pair = tuple[Array, Array]  # means and sigmas


def columns(settings: TrainingConfig) -> int:
    """Outputs of a network for each mode."""
    return 1 if settings.head is None else 2


def numbers(settings: TrainingConfig) -> Array:
    """Scale, floor and beta for the engines (3,); a scale of 0 stands for no head."""
    if settings.head is None:
        return np.zeros(3, np.float32)
    return np.array([settings.output_scale, settings.sigma_floor, settings.nll_beta], np.float32)


def gaussian(output: Array, settings: TrainingConfig) -> Pair:
    """Mean and sigma (n, leads, modes) in standardised units, of outputs (n, leads, 2 modes)."""
    mean, raw = np.split(output.astype(np.float64) * settings.output_scale, 2, axis=-1)
    sigma: Array = np.logaddexp(0, raw) + settings.sigma_floor
    return mean, sigma


def nll(output: Array, targets: Array, settings: TrainingConfig, weights: Array) -> float:
    """Weighted mean negative log likelihood (nats), for targets (n, leads, modes) divided by the output scale."""
    mean, sigma = gaussian(output, settings)
    z = (targets.astype(np.float64) * settings.output_scale - mean) / sigma
    return float((weights * (np.log(sigma) + 0.5 * (z**2 + np.log(2 * np.pi)))).mean())
