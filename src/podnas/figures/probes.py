"""Places through time: truth, and forecasts at the lead of the maps."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr
from matplotlib.figure import Figure

from podnas.data import variables
from podnas.figures import maps as grid
from podnas.figures import style, timelines


@style.journal
def draw(maps: xr.Dataset, methods: Sequence[str], stamps: Sequence[style.Stamp]) -> Figure:
    """One row a place.

    maps: as `artifacts.read_maps` gives them, with probe_truth and probe_forecast; methods: those drawn.
    """
    lead_weeks, variable = int(maps.attrs["map_lead_weeks"]), variables.of(maps)
    places = [maps.isel(probe=place) for place in range(maps.sizes["probe"])]
    return timelines.draw(
        [_series(place["probe_truth"]) for place in places],
        [{name: _series(place["probe_forecast"].sel({"method": name})) for name in methods} for place in places],
        labels=[f"{variable.symbol} ({variable.unit})"] * len(places),
        titles=[_title(place) for place in places],
        stamps=stamps,
        heading=f"Forecasts {lead_weeks} week{'s' * (lead_weeks > 1)} ahead",
        physical=True,
    )


def _series(values: xr.DataArray) -> xr.DataArray:
    return values.rename(valid_time="time").dropna("time")


def _title(place: xr.Dataset) -> str:
    lat, lon = (round(float(place[axis]), 3) for axis in ("probe_lat", "probe_lon"))
    where = f"{grid.parallel(lat)}, {grid.meridian(lon)}"
    return f"{place['probe_label'].item()} ({where})"
