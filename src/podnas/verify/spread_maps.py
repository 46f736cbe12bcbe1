"""The spread of a forecast in space beside its actual error: maps by part, and means of regions.

Variances are those of `ensemble/covariance.py`, with full covariances of modes and, by the season of the target week,
what the modes leave out (`reduction/truncation.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from podnas import artifacts
from podnas.config import RegionConfig
from podnas.ensemble import covariance, forecast
from podnas.ensemble.covariance import Spread
from podnas.ensemble.mixture import Mixture
from podnas.reduction import truncation
from podnas.verify import physical, spread
from podnas.verify.physical import Truth
from podnas.windows import Array

PARTS = ("aleatoric", "epistemic", "truncation", "total")


def weights(truth: Truth, regions: Sequence[RegionConfig]) -> dict[str, Array]:
    """Weight of each cell (row, column) in a region's mean: by area, summing to 1, NaN off the mask."""
    made = {}
    for region in regions:
        inside = physical.inside(truth, region)
        flat = np.where(inside, truth.area, 0.0)
        made[region.name] = physical.unpack(truth, flat / flat.sum()).astype(np.float64)
    return made


def maps(artifact: xr.Dataset, left_out: xr.Dataset, truth: Truth, lead_weeks: int) -> xr.Dataset:
    """Root mean variances of cells (part, row, column) at a lead over all windows, and the RMSE of the mean forecast.

    artifact: as `artifacts.read_probabilistic`; left_out: as `truncation.fit`.
    """
    mixture, place = forecast.mixture(artifact), list(artifact.lead.values).index(lead_weeks)
    seasons = _seasons(artifact)[:, place]
    found = _at(_covariances(mixture, artifact), place).mean()
    share = np.bincount(seasons, minlength=4) / len(seasons)
    r2 = np.tensordot(share, left_out.variance.values[:, truth.ocean], axes=1)
    parts = covariance.in_space(found, truth.modes.astype(np.float64), r2)
    error = _anomaly(mixture, artifact, place) @ truth.modes - truth.anomaly[truth.rows(_valid(artifact, place))]
    grid = artifacts.grid_dims(truth.basis)
    units = {"units": truth.variable.units}
    root = np.stack([physical.unpack(truth, np.sqrt(getattr(parts, part))) for part in PARTS])
    return xr.Dataset(
        {
            "sigma": (("part", *grid), root, units),
            "rmse": (grid, physical.unpack(truth, np.sqrt((error**2).mean(axis=0))), units),
            "truncation": (("season", *grid), np.sqrt(left_out.variance.values), units),
        },
        {"part": list(PARTS), "season": left_out.season.values, **artifacts.grid_coords(truth.basis)},
        {"variable": truth.variable.name, "map_lead_weeks": lead_weeks},
    )


def cells(made: xr.Dataset) -> dict[str, float]:
    """Spread over skill of cells: mean, and what 90 % of them lie between; correlation of both maps."""
    sigma, rmse = made.sigma.sel(part="total").values.ravel(), made.rmse.values.ravel()
    known = np.isfinite(rmse)
    ratio = sigma[known] / rmse[known]
    low, high = np.quantile(ratio, [0.05, 0.95])
    together = np.corrcoef(sigma[known], rmse[known])[0, 1] if known.sum() > 2 else np.nan
    return {
        "spread_skill": float(ratio.mean()), "low": float(low), "high": float(high),
        "correlation": float(np.nan_to_num(together)),
    }  # fmt: skip


def regions(
    artifact: xr.Dataset, left_out: xr.Dataset, truth: Truth, of_region: dict[str, Array]
) -> list[dict[str, Any]]:
    """Of each region's mean and lead: root mean variances by part, RMSE, spread over skill, coverage, CRPS."""
    mixture, seasons = forecast.mixture(artifact), _seasons(artifact)
    found = _covariances(mixture, artifact)
    rows = []
    for name, weight in of_region.items():
        share = weight[truth.ocean]
        pattern = truth.modes.astype(np.float64) @ share
        r2 = left_out.region_variance.sel(region=name).values[seasons]  # (n, leads)
        parts = covariance.in_space(found, pattern[:, None], r2[..., None])
        at = covariance.projected(mixture, artifact.correlation.values, artifact.scale.values, pattern, r2)
        for place, lead in enumerate(artifact.lead.values):
            observed = truth.anomaly[truth.rows(_valid(artifact, place))] @ share
            one = Mixture(at.mean[..., place] + artifact.offset.values @ pattern, at.sigma[..., place], at.weights)
            rows.append({"region": name, "lead": int(lead), **_region(one, observed, _taken(parts, place))})
    return rows


def _region(one: Mixture, observed: Array, parts: dict[str, Array]) -> dict[str, Any]:
    inside = spread.covered(spread.pit(one, observed), 0.9)
    return {
        "sigma": {part: float(np.sqrt(values.mean())) for part, values in parts.items()},
        "rmse": float(np.sqrt(((observed - one.location) ** 2).mean())),
        "spread_skill": float(spread.spread_skill(one, observed)),
        "coverage90": float(inside.mean()),
        "crps": float(one.crps(observed).mean()),
    }


def _taken(parts: Spread, place: int) -> dict[str, Array]:
    return {part: getattr(parts, part)[:, place, 0] for part in PARTS}


def _covariances(mixture: Mixture, artifact: xr.Dataset) -> covariance.Covariances:
    return covariance.covariances(mixture, artifact.correlation.values, artifact.scale.values)


def _at(found: covariance.Covariances, place: int) -> covariance.Covariances:
    return covariance.Covariances(found.aleatoric[:, place], found.epistemic[:, place])


def _seasons(artifact: xr.Dataset) -> Array:
    return truncation.season(artifact.valid_time.values + truncation.HALF_WEEK)


def _valid(artifact: xr.Dataset, place: int) -> Array:
    valid: Array = artifact.valid_time.values[:, place]
    return valid


def _anomaly(mixture: Mixture, artifact: xr.Dataset, place: int) -> Array:
    """Mean coefficients (n, modes) at a lead."""
    made: Array = mixture.location[:, place] * artifact.scale.values + artifact.offset.values
    return made
