"""Members' forecasts to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from podnas.windows import Array


def mean(forecasts: Sequence[Array]) -> Array:
    """Equal-weight mean of members' forecasts (n, leads, modes); raises ValueError where they do not match."""
    shapes = {forecast.shape for forecast in forecasts}
    if len(shapes) != 1:
        raise ValueError(
            f"members forecast different shapes {sorted(shapes)}; they must share windows, leads and modes"
        )
    average: Array = np.mean(forecasts, axis=0)
    bad = int((~np.isfinite(average)).sum())
    if bad:
        raise ValueError(f"{bad} values of the ensemble's forecast are not finite; retrain the member that diverged")
    return average
