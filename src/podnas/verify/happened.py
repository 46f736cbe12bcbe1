"""Which events came in which weeks: warm and cold weeks of Niño 3.4, or heatwaves of a region."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr

from podnas.config import ClassificationConfig
from podnas.verify.heatwaves import Heatwaves
from podnas.verify.nino import EVENTS, Cpc
from podnas.windows import Array


class Happened(Protocol):
    """Outcomes by the start of the week."""

    names: tuple[str, ...]

    def events(self, starts: Array) -> dict[str, Array]:
        """Of each event, whether it came in weeks (…): 0 or 1."""

    def known(self, starts: Array) -> Array:
        """Whether all weeks (n, leads) of a window have an outcome (n,)."""

    def definition(self) -> str:
        """In words."""


class WarmAndCold:
    """Weeks of Niño 3.4 by CPC's anomaly."""

    names: tuple[str, ...] = EVENTS

    def __init__(self, table: pd.DataFrame, threshold: float) -> None:
        """table: as `data/nino.py` reads it; threshold in degree_Celsius."""
        self.cpc, self.threshold = Cpc(table), threshold

    def events(self, starts: Array) -> dict[str, Array]:
        """Whether weeks (…) are warm, and cold: 0 or 1."""
        return self.cpc.events(starts, self.threshold)

    def known(self, starts: Array) -> Array:
        """All are (n,)."""
        return np.ones(len(starts), bool)

    def definition(self) -> str:
        """In words."""
        return f"Warm: CPC's anomaly at least {self.threshold:g} degrees Celsius; cold: at most {-self.threshold:g}."


def outcomes(
    config: ClassificationConfig, training: xr.Dataset, table: pd.DataFrame | None, weeks: xr.Dataset | None
) -> Happened:
    """Outcomes of an experiment's events.

    table: CPC's, for warm and cold weeks; weeks: coefficients to look for heatwaves in, None: the training weeks alone.
    """
    if config.heatwaves is not None:
        return Heatwaves(config.heatwaves, training, weeks)
    if table is None:
        raise ValueError("classification.heatwaves is null, and warm and cold weeks need the table of Niño 3.4")
    return WarmAndCold(table, config.threshold)
