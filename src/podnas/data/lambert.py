"""The Lambert conformal conic projection of DayMet: latitudes, longitudes and areas of its cells.

Snyder (1987), Map Projections: A Working Manual, USGS Professional Paper 1395, equations 14-15, 15-1 to 15-11, 7-9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podnas.data import grid

Floats = NDArray[np.floating[Any]]
TURNS = 8  # iterations of 7-9: each gains two digits and more


@dataclass(frozen=True)
class Lambert:
    """Two standard parallels, origin (degrees) and ellipsoid (m)."""

    parallels: tuple[float, float] = (25.0, 60.0)
    lat_origin: float = 42.5
    lon_origin: float = -100.0
    semi_major_axis: float = 6_378_137.0
    inverse_flattening: float = 298.257223563

    @property
    def eccentricity(self) -> float:
        """First eccentricity of the ellipsoid."""
        flattening = 1 / self.inverse_flattening
        return float(np.sqrt(2 * flattening - flattening**2))

    @property
    def cone(self) -> tuple[float, float, float]:
        """n, F (15-8 to 15-10) and the radius of the origin's parallel, m (15-7)."""
        first, second = np.radians(self.parallels)
        n = np.log(self._m(first) / self._m(second)) / np.log(self._t(first) / self._t(second))
        scale = self._m(first) / (n * self._t(first) ** n)
        radius = self.semi_major_axis * scale * self._t(np.radians(self.lat_origin)) ** n
        return float(n), float(scale), float(radius)

    def _m(self, lat: Any) -> Any:
        """Radius of a parallel over the semi-major axis (14-15); lat in radians."""
        return np.cos(lat) / np.sqrt(1 - (self.eccentricity * np.sin(lat)) ** 2)

    def _t(self, lat: Any) -> Any:
        """Isometric co-latitude (15-9); lat in radians."""
        e = self.eccentricity
        return np.tan(np.pi / 4 - lat / 2) / ((1 - e * np.sin(lat)) / (1 + e * np.sin(lat))) ** (e / 2)

    def geographic(self, y: Floats, x: Floats) -> tuple[Floats, Floats]:
        """Latitude and longitude (degrees; -180 to 180) of points y, x (m)."""
        n, scale, origin = self.cone
        radius = np.hypot(x, origin - y)
        t = (radius / (self.semi_major_axis * scale)) ** (1 / n)
        e = self.eccentricity
        lat = np.pi / 2 - 2 * np.arctan(t)
        for _ in range(TURNS):
            lat = np.pi / 2 - 2 * np.arctan(t * ((1 - e * np.sin(lat)) / (1 + e * np.sin(lat))) ** (e / 2))
        lon = np.degrees(np.arctan2(x, origin - y) / n) + self.lon_origin
        return np.degrees(lat), np.mod(lon + 180, 360) - 180

    def cell_area(self, y: Floats, x: Floats) -> Floats:
        """Area (m2) on the ellipsoid of the cells around centres y, x (m), evenly spaced: side^2 / k^2 at the centre.

        k: scale at the centre (15-4); it changes by less than 1 % over 10 km. ValueError where there is one row or one
        column only, whose size is unknown.
        """
        height, width = (abs(float(edges[1] - edges[0])) for edges in (grid.edges("y", y), grid.edges("x", x)))
        n, _, origin = self.cone
        down, across = np.meshgrid(y, x, indexing="ij")
        radius = np.hypot(across, origin - down)
        lat = np.radians(self.geographic(down, across)[0])
        k = radius * n / (self.semi_major_axis * self._m(lat))
        area: Floats = height * width / k**2
        return area


def from_attributes(attributes: Mapping[str, Any]) -> Lambert:
    """The projection that a grid mapping's attributes (CF) describe."""
    first, second = np.ravel(attributes["standard_parallel"])
    return Lambert(
        parallels=(float(first), float(second)),
        lat_origin=float(attributes["latitude_of_projection_origin"]),
        lon_origin=float(attributes["longitude_of_central_meridian"]),
        semi_major_axis=float(attributes["semi_major_axis"]),
        inverse_flattening=float(attributes["inverse_flattening"]),
    )
