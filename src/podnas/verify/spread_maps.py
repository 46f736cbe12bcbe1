"""The spread of a forecast in space beside its actual error: maps by part, and means of regions.

Variances are those of `ensemble/covariance.py`, with full covariances of modes and, by the season of the target week,
what the modes leave out (`reduction/truncation.py`). Intervals are those of `probabilistic.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from podnas import artifacts
from podnas.config import RegionConfig
from podnas.ensemble import covariance, forecast
from podnas.ensemble.mixture import Mixture
from podnas.reduction import truncation
from podnas.verify import physical, spread
from podnas.verify.physical import Truth
from podnas.verify.probabilistic import REFERENCE, interval, resampled
from podnas.windows import Array

PARTS = ("aleatoric", "epistemic", "truncation", "total")
CELLS = 1000  # of all resamples at once


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


def cells(artifact: xr.Dataset, left_out: xr.Dataset, truth: Truth, lead_weeks: int, drawn: Array) -> dict[str, Any]:
    """Of the two maps at a lead: the mean over cells of spread over skill, their correlation, and RMSE over all cells.

    Each with its interval over resamples of windows (resamples, n); `middle90`: what 90 % of the cells' ratios lie
    between, on the record.
    """
    mixture, place = forecast.mixture(artifact), list(artifact.lead.values).index(lead_weeks)
    found = _at(_covariances(mixture, artifact), place)
    found = covariance.Covariances(resampled(found.aleatoric, drawn), resampled(found.epistemic, drawn))
    share = resampled(np.eye(4)[_seasons(artifact)[:, place]], drawn)
    left, coefficients = left_out.variance.values[:, truth.ocean], _anomaly(mixture, artifact, place)
    weeks, count = truth.rows(_valid(artifact, place)), truth.modes.shape[1]
    sums, of_cells = np.zeros((6, len(drawn))), []
    for some in np.array_split(np.arange(count), -(-count // CELLS)):
        patterns = truth.modes[:, some].astype(np.float64)
        sigma = np.sqrt(covariance.in_space(found, patterns, share @ left[:, some]).total)
        error = coefficients @ patterns - truth.anomaly[weeks[:, None], some]
        rmse = np.sqrt(resampled(error**2, drawn))
        of_cells.append(sigma[0] / rmse[0])
        sums += np.stack([sigma / rmse, rmse**2, sigma, rmse, sigma**2, sigma * rmse]).sum(axis=2)
    ratio, squares, *moments = sums / count
    return {
        "spread_skill": interval(ratio),
        "middle90": np.quantile(np.concatenate(of_cells), [0.05, 0.95]).tolist(),
        "correlation": interval(_correlation(squares, *moments)),
        "rmse": interval(np.sqrt(squares)),
    }


def _correlation(rmse_squared: Array, sigma: Array, rmse: Array, sigma_squared: Array, product: Array) -> Array:
    """Correlation over cells (resamples,) from means over them; 0 where a map is flat."""
    spread_of = np.maximum((rmse_squared - rmse**2) * (sigma_squared - sigma**2), 0)
    together: Array = np.divide(
        product - sigma * rmse, np.sqrt(spread_of), out=np.zeros_like(product), where=spread_of > 0
    )
    return together


def regions(
    forecasts: Mapping[str, xr.Dataset],
    best: str,
    left_out: xr.Dataset,
    truth: Truth,
    of_region: Mapping[str, Array],
    drawn: Array,
) -> list[dict[str, Any]]:
    """Of each region's mean and forecast, by lead: root mean variances by part, and scores with their intervals.

    forecasts: on the same windows, the climatology and the `best` baseline among them; CRPS skill is against the
    first, `crps_less_best_baseline` is the paired difference from the second (below zero is better). drawn: how often
    each window stands in each resample (resamples, n).
    """
    rows = []
    for region, weight in of_region.items():
        share = weight[truth.ocean]
        r2 = left_out.region_variance.sel(region=region).values
        values = {name: _region(artifact, truth, share, r2) for name, artifact in forecasts.items()}
        simple, least = (resampled(values[name]["crps"], drawn) for name in (REFERENCE, best))
        rows += [
            {"region": region, "forecast": name, "lead": forecasts[name].lead.values.tolist()}
            | _scores({key: resampled(value, drawn) for key, value in one.items()}, simple, least)
            for name, one in values.items()
        ]
    return rows


def _region(artifact: xr.Dataset, truth: Truth, share: Array, r2: Array) -> dict[str, Array]:
    """Of a region's mean, values of each window and lead (n, leads); share: of its cells; r2: by season."""
    mixture = forecast.mixture(artifact)
    pattern, left = truth.modes.astype(np.float64) @ share, r2[_seasons(artifact)]
    parts = covariance.in_space(_covariances(mixture, artifact), pattern[:, None], left[..., None])
    at = covariance.projected(mixture, artifact.correlation.values, artifact.scale.values, pattern, left)
    one = Mixture(at.mean + artifact.offset.values @ pattern, at.sigma, at.weights)
    observed = (truth.anomaly @ share)[truth.rows(artifact.valid_time.values)]
    return {
        **{part: getattr(parts, part)[..., 0] for part in PARTS},
        "error": (observed - one.location) ** 2,
        "inside": spread.covered(spread.pit(one, observed), 0.9),
        "crps": one.crps(observed),
    }


def _scores(found: Mapping[str, Array], simple: Array, least: Array) -> dict[str, Any]:
    """By lead, from resampled means (resamples, leads); those of the references' CRPS beside them."""
    return {
        "sigma": {part: np.sqrt(found[part][0]).tolist() for part in PARTS},
        "rmse": interval(np.sqrt(found["error"])),
        "spread_skill": interval(np.sqrt(found["total"] / found["error"])),
        "coverage90": interval(found["inside"]),
        "crps": interval(found["crps"]),
        "crps_skill_climatology": interval(1 - found["crps"] / simple),
        "crps_less_best_baseline": interval(found["crps"] - least),
    }


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
