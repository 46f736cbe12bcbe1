"""The Lambert projection against Snyder's worked example and the published header of a DayMet subset."""

import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from podnas.data.lambert import Lambert


def test_snyders_worked_example():
    """Snyder 1987, p. 296: Clarke 1866, parallels 33 and 45, origin 23 N 96 W; the point 35 N 75 W."""
    example = Lambert((33, 45), 23, -96, 6_378_206.4, 1 / (1 - np.sqrt(1 - 0.00676866)))
    lat, lon = example.geographic(np.array(1_564_649.5), np.array(1_894_410.9))
    assert (float(lat), float(lon)) == (pytest.approx(35, abs=1e-6), pytest.approx(-75, abs=1e-6))


def test_a_published_subset_lies_where_its_header_says():
    """geospatial_lat_min … lon_max of the header sample are those of the corners of its outer cells."""
    folder = os.environ.get("PODNAS_DATA")
    path = Path(folder or "") / "daymet_v4_header_sample.nc"
    if not folder or not path.is_file():
        pytest.skip("header sample of DayMet not found: set PODNAS_DATA")
    with netCDF4.Dataset(path) as data:
        assert (data["x"].units, data["y"].units) == ("km", "km")
        x, y = (1000 * data[name][:].filled().astype("f8") for name in ("x", "y"))
        stated = [data.getncattr(f"geospatial_{name}") for name in ("lat_min", "lat_max", "lon_min", "lon_max")]
    north, east = np.array([[y[0] + 500], [y[-1] - 500]]), np.array([[x[0] - 500, x[-1] + 500]])
    lat, lon = Lambert().geographic(north, east)
    np.testing.assert_allclose([lat.min(), lat.max(), lon.min(), lon.max()], stated, rtol=0, atol=1e-9)
