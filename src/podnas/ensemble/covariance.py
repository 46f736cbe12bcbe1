"""The spread of an ensemble's coefficients in physical space.

With modes phi at a place and standardised coefficients of scale s, the variance there is

    phi^T S (Sigma_ale + Sigma_epi) S phi + r^2,   Sigma_epi = sum w_i (mu_i - mu)(mu_i - mu)^T,
    Sigma_ale = sum w_i D_i R D_i,                 D_i = diag(sigma_i), S = diag(s),

where R is the correlation of validation residuals of the modes at each lead (errors of modes are correlated, so that a
diagonal gives wrong maps), and r^2 the variance that the modes leave out (`reduction/truncation.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from podnas.ensemble.mixture import Mixture, Parts
from podnas.windows import Array

# ASSUME: what the modes leave out is uncorrelated with the errors of their coefficients (over the training weeks it is
# uncorrelated with the coefficients themselves, by construction)


class Covariances(Parts):
    """Covariances of modes (…, modes, modes), in the units of the coefficients squared."""

    def mean(self) -> Covariances:
        """Mean over the first dimension, windows: variances are linear in covariances, so its maps are mean maps."""
        return Covariances(self.aleatoric.mean(axis=0), self.epistemic.mean(axis=0))


@dataclass(frozen=True)
class Spread:
    """Variances in space and what each part adds; total is their sum."""

    aleatoric: Array
    epistemic: Array
    truncation: Array

    @property
    def total(self) -> Array:
        """Variance of the forecast field."""
        total: Array = self.aleatoric + self.epistemic + self.truncation
        return total


def residual_correlation(mixture: Mixture, truth: Array) -> Array:
    """Correlation (leads, modes, modes) of standardised validation errors, windows (n, leads, modes).

    Raises ValueError where there are too few windows for a matrix of full rank.
    """
    count, leads, modes = truth.shape
    if count <= modes + 1:
        raise ValueError(
            f"{count} validation windows cannot give the correlation of {modes} modes; take longer validation blocks"
        )
    errors = (truth - mixture.location) / np.sqrt(mixture.parts().total)
    return np.stack([np.corrcoef(errors[:, lead], rowvar=False).reshape(modes, modes) for lead in range(leads)])


def covariances(mixture: Mixture, correlation: Array, scale: Array) -> Covariances:
    """Covariances (n, leads, modes, modes) of a mixture of standardised coefficients (n, leads, modes).

    correlation: (leads, modes, modes). scale: of each mode (modes,), from standardised to the coefficients' units.
    """
    units = scale[:, None] * scale
    apart = mixture.mean - mixture.location
    within = np.einsum("i,i...a,i...b->...ab", mixture.weights, mixture.sigma, mixture.sigma, optimize=True)
    between = np.einsum("i,i...a,i...b->...ab", mixture.weights, apart, apart, optimize=True)
    return Covariances(within * correlation * units, between * units)


def in_space(found: Covariances, patterns: Array, truncation: Array) -> Spread:
    """Variances (…, places) at places where the modes have the values `patterns` (modes, places).

    Places are cells of a map, or regions, with the modes' means over them. truncation: variance that the modes leave
    out there, by the season of each forecast (…, places).
    """
    aleatoric, epistemic = (_quadratic(part, patterns) for part in (found.aleatoric, found.epistemic))
    return Spread(aleatoric, epistemic, np.broadcast_to(truncation, aleatoric.shape))


def _quadratic(matrices: Array, patterns: Array) -> Array:
    value: Array = np.einsum("...bp,bp->...p", np.einsum("...ab,ap->...bp", matrices, patterns), patterns)
    return value


def projected(mixture: Mixture, correlation: Array, scale: Array, pattern: Array, truncation: Array) -> Mixture:
    """The mixture (n, leads) at one place: each member's mean anomaly and its variance, truncation with it.

    pattern: value of each mode there (modes,). truncation: (n, leads). The mean is that of the anomaly that
    standardised coefficients give: add the place's mean and what the scaler's offset gives (offset @ pattern).
    """
    loading = scale * pattern
    weighted = mixture.sigma * loading
    variance = np.einsum("inla,lab,inlb->inl", weighted, correlation, weighted, optimize=True)
    return Mixture(mixture.mean @ loading, np.sqrt(variance + truncation), mixture.weights)
