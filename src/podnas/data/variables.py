"""The variables that podnas reads: their units, the spellings of these that files use, and values they cannot have."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from podnas.artifacts import UNITS

CELSIUS = {"degc", "deg c", "c", "celsius", "degree_c", "degrees_c", "degree_celsius", "degrees_celsius"}
CELSIUS |= {"degree celsius", "degrees celsius", "deg_c", "degrees c", "degree c"}
KELVIN = {"k", "kelvin", "degk", "deg k", "degree_kelvin", "degrees_kelvin", "degree kelvin", "degrees kelvin"}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Variable:
    """What is read: name and units in the field, spellings of the units in files (lower case), plausible range.

    Block means outside (lowest, highest) are in other units or a fill value that the file does not declare.
    """

    name: str
    long_name: str
    units: str
    spellings: frozenset[str]
    lowest: float
    highest: float
    standard_name: str | None = None
    abbreviation: str | None = None

    @property
    def symbol(self) -> str:
        """Short name in texts and on figures: SST, tmax, …"""
        return self.abbreviation or self.name

    @property
    def unit(self) -> str:
        """Units in texts and on figures."""
        return printed(self.units)

    @property
    def squared_units(self) -> str:
        """Units of a variance, as netCDF files have them."""
        return f"({self.units})2" if " " in self.units else f"{self.units}2"

    def check_units(self, path: Path, stored: str, units: str) -> None:
        """Refuse a file whose units are not this variable's; `stored`: the name that the variable has in the file."""
        if units.strip().lower() in self.spellings:
            return
        remedy = f"convert the file to {self.units} and set its units attribute"
        if self.units == "degree_Celsius" and units.strip().lower() in KELVIN:
            remedy = "subtract 273.15 and set the units attribute to degC"
        raise ValueError(f"{path}: {stored} has units {units!r}, but podnas needs {self.units}; {remedy}")

    def check_range(self, path: Path, lowest: float, highest: float) -> None:
        """Refuse block means that this variable cannot have."""
        if math.isinf(lowest) or math.isinf(highest):
            raise ValueError(
                f"{path} holds infinite values (inf), which are no {self.long_name}; set them to the file's _FillValue "
                "or to NaN, or get the file again"
            )
        if self.units == "degree_Celsius" and highest > self.highest:
            raise ValueError(
                f"{path} holds {highest:.1f}, which is Kelvin whatever its units attribute says; "
                "subtract 273.15 from the file"
            )
        if highest > self.highest or lowest < self.lowest:
            value = highest if highest > self.highest else lowest
            raise ValueError(
                f"{path} holds {value:g}, but {self.long_name} lies between {self.lowest:g} and {self.highest:g} "
                f"{self.units}: other units, or a fill value that its attributes _FillValue and missing_value do not "
                "name; mend or replace the file"
            )

    def attributes(self) -> dict[str, str]:
        """CF attributes of the weekly field."""
        named = {} if self.standard_name is None else {"standard_name": self.standard_name}
        return {
            **named,
            "long_name": f"weekly mean {self.long_name}",
            "units": self.units,
            "cell_methods": "time: mean area: mean",
            "cell_measures": "area: cell_area",
        }


SST = Variable(
    # the coldest sea water is -2 degrees; an undeclared -999 x 0.01 would be -9.99
    "sst",
    "sea surface temperature",
    UNITS["sst"],
    frozenset(CELSIUS),
    -9.9,
    100,
    "sea_surface_temperature",
    "SST",
)
DAYMET = {
    variable.name: variable
    for variable in (
        Variable("tmax", "daily maximum temperature", UNITS["tmax"], frozenset(CELSIUS), -90, 100),
        Variable("tmin", "daily minimum temperature", UNITS["tmin"], frozenset(CELSIUS), -90, 100),
        Variable("prcp", "daily precipitation", UNITS["prcp"], frozenset({"mm", "mm/day", "mm day-1"}), 0, 2000),
        Variable("vp", "water vapour pressure", UNITS["vp"], frozenset({"pa"}), 0, 20000),
        Variable("srad", "daylight shortwave radiation", UNITS["srad"], frozenset({"w/m2", "w m-2", "w/m^2"}), 0, 2000),
        Variable("dayl", "length of daylight", UNITS["dayl"], frozenset({"s", "s/day", "seconds"}), 0, 86401),
        Variable("swe", "snow water equivalent", UNITS["swe"], frozenset({"kg/m2", "kg m-2", "kg/m^2"}), 0, 100000),
    )
}


KNOWN = {SST.name: SST, **DAYMET}


def variable(stored: str) -> Variable:
    """The variable that has this name in the files; ValueError for a name that podnas does not know."""
    if stored not in KNOWN:
        raise ValueError(
            f"the variable {stored!r} is none that podnas knows: {', '.join(KNOWN)}; set source.variable to one of "
            "them (where the files have it under another name, rename it there: ncrename -v)"
        )
    return KNOWN[stored]


def of(dataset: xr.Dataset) -> Variable:
    """The variable of a basis, of coefficients or maps: attribute `variable`, without which they are of SST."""
    return variable(str(dataset.attrs.get("variable", SST.name)))


def printed(units: str) -> str:
    """Units as they stand in texts and on figures: degree_Celsius is °C, mm day-1 is mm day⁻¹."""
    if units.strip().lower() in CELSIUS:
        return "°C"
    return re.sub(r"(?<=[A-Za-z])-?\d+", lambda found: found[0].translate(RAISED), units)
