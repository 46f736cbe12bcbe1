"""DayMet's daily files: 365 days a year, and a Lambert grid in km or m.

DayMet V4 R1 (Thornton et al. 2022, doi 10.3334/ORNLDAAC/2129): every year has 365 days; a leap year keeps 29 February
and loses 31 December. So the n-th day of a file is the n-th day of its year, whatever calendar the file declares; a
file that calls this `noleap` would otherwise shift by a day after February.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from podnas.data import lambert, products

Floats = NDArray[np.floating[Any]]
Days = NDArray[np.datetime64]

DAYS = 365
METRES = {"m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0, "km": 1000.0}
METRES |= {"kilometer": 1000.0, "kilometers": 1000.0, "kilometre": 1000.0}


def days(path: Path, data: xr.Dataset) -> Days:
    """Days of a file opened without decoding times; ValueError where they are not days of one year."""
    time = data["time"]
    calendar = str(time.attrs.get("calendar", "standard")).lower()
    try:
        dates: Any = netCDF4.num2date(time.values, time.attrs["units"], calendar)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: its times cannot be decoded ({error}); mend or replace the file") from error
    years = {date.year for date in dates}
    named = products.year(path)
    if len(years) != 1 or named not in (None, *years):
        raise ValueError(f"{path} holds days of {sorted(years)}; DayMet has one file a year: get it again")
    # also in a calendar without leap days the n-th day of the year is the n-th day
    number = np.array([date.dayofyr for date in dates], np.int64)
    if "yearday" in data.variables and not np.array_equal(data["yearday"].values, number):
        raise ValueError(f"{path}: its variables yearday and time name different days; get the file again")
    if number.max() > DAYS:
        raise ValueError(
            f"{path} has a day {number.max()}; a year of DayMet has {DAYS} days, 31 December is left out of leap "
            "years; get the file again"
        )
    found: Days = np.datetime64(f"{years.pop()}-01-01", "D") + (number - 1).astype("m8[D]")
    return found


def in_metres(path: Path, data: xr.Dataset) -> dict[str, Floats]:
    """Coordinates y and x in m."""
    found: dict[str, Floats] = {}
    for name in ("y", "x"):
        units = str(data[name].attrs.get("units", "")).strip().lower()
        if units not in METRES:
            raise ValueError(f"{path}: {name} has units {units!r}; podnas reads m and km: mend the file")
        found[name] = data[name].values.astype("f8") * METRES[units]
    return found


def projection(path: Path, data: xr.Dataset) -> lambert.Lambert:
    """The projection of a file's grid."""
    for variable in data.variables.values():
        if variable.attrs.get("grid_mapping_name") == "lambert_conformal_conic":
            try:
                return lambert.from_attributes(variable.attrs)
            except KeyError as error:
                raise ValueError(f"{path}: its grid mapping has no {error}; get the file again") from error
    raise ValueError(f"{path} has y and x, but no grid mapping lambert_conformal_conic; get the file again")


def grid_mapping(projected: lambert.Lambert) -> Mapping[str, Any]:
    """CF attributes of the projection."""
    return {
        "grid_mapping_name": "lambert_conformal_conic",
        "standard_parallel": np.array(projected.parallels),
        "latitude_of_projection_origin": projected.lat_origin,
        "longitude_of_central_meridian": projected.lon_origin,
        "false_easting": 0.0,
        "false_northing": 0.0,
        "semi_major_axis": projected.semi_major_axis,
        "inverse_flattening": projected.inverse_flattening,
    }
