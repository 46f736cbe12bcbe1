"""Small made-up coefficient series for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from podnas import windows
from podnas.config import ProtocolConfig, WindowsConfig

PROTOCOL = ProtocolConfig(
    name="short", train_first="1990-01-07", train_last="1994-12-25", test_first="1995-01-01", test_last="1997-12-28"
)
CONFIG = WindowsConfig(inputs=4, outputs=4, harmonics=1, validation_blocks=2)


def coefficients(weeks: int = 418, modes: int = 2, join_after: int | None = None, seed: int = 0) -> xr.Dataset:
    """Seasonal cycle plus red noise, weekly from 1990-01-07; after `join_after` weeks a step of 3 days."""
    random = np.random.default_rng(seed)
    time = pd.date_range("1990-01-07", periods=weeks, freq="7D").values.astype("datetime64[ns]").copy()
    segment = np.zeros(weeks, dtype=np.int32)
    if join_after is not None:
        time[join_after:] -= np.timedelta64(4, "D")
        segment[join_after:] = 1
    noise = np.zeros((weeks, modes))
    for week in range(1, weeks):
        noise[week] = 0.9 * noise[week - 1] + random.normal(size=modes)
    season = 5 * windows.harmonics(time + windows.HALF_WEEK, 1)[:, [0] * modes] * np.linspace(1, 0.5, modes)
    return xr.Dataset(
        {
            "coefficient": (("time", "mode"), season + noise, {"units": "degree_Celsius"}),
            "segment": ("time", segment),
        },
        {"time": time, "mode": np.arange(1, modes + 1)},
        {"data_kind": "twin", "title": "made up"},
    )


def split(**changes: int) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Training windows, test inputs and test targets of a made-up series: 260 and 157 weeks."""
    series = coefficients(**changes)
    dates = series.time.values.astype("datetime64[D]")
    ends = {"train_first": dates[0], "train_last": dates[259], "test_first": dates[260], "test_last": dates[416]}
    protocol = ProtocolConfig.model_validate({"name": "short", **{key: str(day) for key, day in ends.items()}})
    return windows.split(series, protocol, CONFIG)
