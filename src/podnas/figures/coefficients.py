"""POD coefficients through time: truth over the whole record, forecasts at one lead over the test period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr
from matplotlib.figure import Figure

from podnas.data import variables
from podnas.figures import style, timelines

MOST_MODES = 6


@style.journal
def draw(
    coefficients: xr.Dataset, forecasts: Mapping[str, xr.Dataset], lead_weeks: int, stamps: Sequence[style.Stamp]
) -> Figure:
    """One row a mode (the first six of many).

    coefficients: as `artifacts.read_coefficients` gives them; forecasts: method → as `artifacts.read_forecast`.
    """
    truth = coefficients["coefficient"]
    numbers = [int(mode) for mode in truth["mode"].values[:MOST_MODES]]
    unit = truth.attrs.get("units", "1")
    heading = f"Forecasts {lead_weeks} week{'s' * (lead_weeks > 1)} ahead"
    if len(numbers) < truth.sizes["mode"]:
        heading += f", first {len(numbers)} of {truth.sizes['mode']} modes"
    return timelines.draw(
        [truth.sel(mode=mode) for mode in numbers],
        [{name: _at(forecast, lead_weeks, mode) for name, forecast in forecasts.items()} for mode in numbers],
        labels=[f"coefficient ({variables.printed(unit)})"] * len(numbers),
        titles=[f"mode {mode}" for mode in numbers],
        stamps=stamps,
        heading=heading,
    )


def _at(forecast: xr.Dataset, lead_weeks: int, mode: int) -> xr.DataArray:
    chosen = forecast.sel(lead=lead_weeks, mode=mode)
    return xr.DataArray(chosen["forecast"].values, coords={"time": chosen["valid_time"].values}, dims="time")
