"""Scores and maps in physical space: forecasts of coefficients against the field itself.

Squared errors are expanded, |x - Phi c|^2 = |x|^2 - 2 c . Phi^T x + c^T (Phi^T Phi) c, with x the field less the
basis's mean: one pass over the field serves every method and lead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from podnas import artifacts
from podnas.config import EventConfig, ProbeConfig, RegionConfig, VerifyConfig
from podnas.data import grid, variables
from podnas.verify.coefficients import COLUMNS
from podnas.windows import WEEK, Array

Forecasts = Mapping[str, xr.DataArray]  # method to forecast (init_time, lead, mode), coordinate valid_time
Errors = dict[str, list[Array]]  # metric to squared errors (weeks,) at each lead


class Truth:
    """The field of the weeks that forecasts are verified on, less the basis's mean, over its cells with values.

    field: in memory or opened by `artifacts.open_field`; only those weeks are read.
    """

    def __init__(self, field: xr.Dataset, basis: xr.Dataset, valid_time: Array) -> None:
        self.basis, self.variable = basis, variables.of(basis)
        self.lat, self.lon = grid.places(basis)
        self.ocean = np.isfinite(basis["mean"].values)
        weeks = field.sel(time=slice(valid_time.min(), valid_time.max()))
        missing = np.setdiff1d(valid_time, weeks.time.values)
        if missing.size:
            raise ValueError(
                f"the field lacks the week {missing[0].astype('datetime64[D]')} that forecasts are scored on"
            )
        self.time = weeks.time.values
        mean = basis["mean"].values[self.ocean].astype(np.float32)
        self.anomaly = weeks[self.variable.name].values[:, self.ocean] - mean
        self.modes = basis.modes.values[:, self.ocean]
        self.area = basis.cell_area.values[self.ocean]

    def rows(self, valid_time: Array) -> Array:
        """Positions of weeks."""
        return np.searchsorted(self.time, valid_time)

    def cell(self, lat: float, lon: float) -> int:
        """Position of the cell with values that is nearest to a place."""
        east = (self.lon - lon + 180) % 360 - 180
        distance = (self.lat - lat) ** 2 + (east * np.cos(np.deg2rad(lat))) ** 2
        return int(distance[self.ocean].argmin())


def errors(truth: Truth, forecasts: Forecasts, regions: Sequence[RegionConfig]) -> dict[str, dict[str, Errors]]:
    """Squared errors in the field's units: by region, method, metric and lead, (weeks,).

    Metrics: `rmse_area_mean`, of the area mean, and `rmse_field`, of the field (area-weighted mean over cells).
    """
    return {
        region.name: {method: _region(truth, forecast, region) for method, forecast in forecasts.items()}
        for region in regions
    }


def region_table(errors: Mapping[str, Mapping[str, Errors]], leads: Array) -> pd.DataFrame:
    """RMSE in the field's units by region, method, metric and lead, from what `errors` gives."""
    rows = [
        (method, "test", int(lead), 0, metric, np.sqrt(squared.mean()), region)
        for region, of_region in errors.items()
        for method, of_method in of_region.items()
        for metric, by_lead in of_method.items()
        for lead, squared in zip(leads, by_lead, strict=True)
    ]
    names = ["method", "period", "lead", "mode", "metric", "value", "region"]
    return pd.DataFrame(rows, columns=names)[COLUMNS]


def _region(truth: Truth, forecast: xr.DataArray, region: RegionConfig) -> Errors:
    here = inside(truth, region)
    weight = truth.area[here] / truth.area[here].sum()
    anomaly, modes = truth.anomaly[:, here], truth.modes[:, here]
    energy, projected = (anomaly.astype(np.float64) ** 2) @ weight, anomaly @ (modes * weight).T
    gram, area_mean, mode_mean = (modes * weight) @ modes.T, anomaly @ weight, modes @ weight
    made: Errors = {"rmse_field": [], "rmse_area_mean": []}
    for position in range(forecast.sizes["lead"]):
        scored = _scored(forecast.valid_time.values[:, position], region)
        c = forecast.values[scored, position]
        at = truth.rows(forecast.valid_time.values[scored, position])
        squared = energy[at] - 2 * (c * projected[at]).sum(axis=1) + np.einsum("nm,mk,nk->n", c, gram, c)
        of_mean = c @ mode_mean - area_mean[at]
        made["rmse_field"].append(np.maximum(squared, 0.0))
        made["rmse_area_mean"].append(of_mean**2)
    return made


def _scored(valid_time: Array, region: RegionConfig) -> Array:
    first = np.datetime64(region.first) if region.first else valid_time.min()
    last = np.datetime64(region.last) if region.last else valid_time.max()
    chosen: Array = (valid_time >= first) & (valid_time <= last)
    if not chosen.any():
        raise ValueError(
            f"verify.regions, {region.name}: no target week lies between {first} and {last}; the test weeks run from "
            f"{valid_time.min().astype('datetime64[D]')} to {valid_time.max().astype('datetime64[D]')}"
        )
    return chosen


def inside(truth: Truth, region: RegionConfig) -> Array:
    """Which cells with values have their centre in a region's box; raises ValueError where none has."""
    try:
        found: Array = grid.inside(truth.lat, truth.lon, region.lat, region.lon)[truth.ocean]
    except ValueError as error:
        raise ValueError(f"verify.regions, {region.name}: {error}") from error
    if not found.any():
        raise ValueError(
            f"verify.regions, {region.name}: no cell of the box {region.lat}, {region.lon} has values; choose another"
        )
    return found


def maps(truth: Truth, forecasts: Forecasts, config: VerifyConfig) -> xr.Dataset:
    """RMSE maps, event weeks and probes of the given methods at `config.map_lead_weeks`."""
    at_lead = {method: forecast.sel(lead=config.map_lead_weeks) for method, forecast in forecasts.items()}
    axes = {**artifacts.grid_coords(truth.basis), "method": list(at_lead)}
    rmse = np.stack([_rmse_map(truth, forecast) for forecast in at_lead.values()])
    dims = ("method", *artifacts.grid_dims(truth.basis))
    made = xr.Dataset({"rmse": (dims, rmse, {"units": truth.variable.units})}, axes)
    made = made.merge(_probes(truth, at_lead, config.probes)).merge(_events(truth, at_lead, config.events))
    return made.assign_attrs(variable=truth.variable.name, map_lead_weeks=config.map_lead_weeks)


def _rmse_map(truth: Truth, forecast: xr.DataArray) -> Array:
    at = truth.rows(forecast.valid_time.values)
    c, modes = forecast.values, truth.modes
    anomaly = truth.anomaly[at]
    square = np.einsum("nc,nc->c", anomaly, anomaly, dtype=np.float64) / len(c)
    cross = (c.T.astype(np.float32) @ anomaly) / len(c)
    own = np.einsum("mc,mk,kc->c", modes, c.T @ c / len(c), modes)
    return unpack(truth, np.sqrt(np.clip(square - 2 * (modes * cross).sum(axis=0) + own, 0, None)))


def unpack(truth: Truth, values: Array) -> Array:
    """Values (…, cells with values) on the grid (…, row, column), NaN elsewhere."""
    full = np.full((*values.shape[:-1], *truth.ocean.shape), np.nan, dtype=np.float32)
    full[..., truth.ocean] = values
    return full


def _events(truth: Truth, forecasts: Forecasts, events: Sequence[EventConfig]) -> xr.Dataset:
    if not events:
        return xr.Dataset()
    weeks = [_week(truth, forecasts, event) for event in events]
    truths = [_field(truth, anomaly) for anomaly in truth.anomaly[truth.rows(np.array(weeks))]]
    forecast = [
        [_field(truth, one.values[_row(one, week)] @ truth.modes) for one in forecasts.values()] for week in weeks
    ]
    units, dims = {"units": truth.variable.units}, artifacts.grid_dims(truth.basis)
    return xr.Dataset(
        {
            "event_truth": (("event", *dims), np.stack(truths).astype(np.float32), units),
            "event_forecast": (("event", "method", *dims), np.array(forecast, dtype=np.float32), units),
            "event_valid_time": ("event", np.array(weeks)),
        },
        {"event": [event.name for event in events], "event_label": ("event", [event.label for event in events])},
    )


def _week(truth: Truth, forecasts: Forecasts, event: EventConfig) -> np.datetime64:
    """Start of the forecast week that holds the event's date."""
    valid = next(iter(forecasts.values())).valid_time.values
    date = np.datetime64(event.week)
    holding = valid[(valid <= date) & (date < valid + WEEK)]
    if holding.size == 0:
        raise ValueError(
            f"event {event.name}: {event.week} is not forecast at this lead; the test weeks run from "
            f"{valid.min().astype('datetime64[D]')} to {valid.max().astype('datetime64[D]')}: choose another week"
        )
    week: np.datetime64 = holding[0]
    return week


def _row(forecast: xr.DataArray, week: np.datetime64) -> int:
    return int(np.flatnonzero(forecast.valid_time.values == week)[0])


def _field(truth: Truth, anomaly: Array) -> Array:
    field: Array = unpack(truth, anomaly) + truth.basis["mean"].values
    return field


def _probes(truth: Truth, forecasts: Forecasts, probes: Sequence[ProbeConfig]) -> xr.Dataset:
    if not probes:
        return xr.Dataset()
    cells = [truth.cell(probe.lat, probe.lon) for probe in probes]
    mean = truth.basis["mean"].values[truth.ocean][cells]
    valid = next(iter(forecasts.values())).valid_time.values
    observed = truth.anomaly[truth.rows(valid)][:, cells] + mean
    forecast = np.stack([one.values @ truth.modes[:, cells] + mean for one in forecasts.values()])
    units = {"units": truth.variable.units}
    return xr.Dataset(
        {
            "probe_truth": (("probe", "valid_time"), observed.T.astype(np.float32), units),
            "probe_forecast": (
                ("probe", "method", "valid_time"),
                forecast.transpose(2, 0, 1).astype(np.float32),
                units,
            ),
        },
        {
            "probe": [probe.name for probe in probes],
            "probe_label": ("probe", [probe.label for probe in probes]),
            "probe_lat": ("probe", truth.lat[truth.ocean][cells]),
            "probe_lon": ("probe", truth.lon[truth.ocean][cells]),
            "valid_time": valid,
        },
    )
