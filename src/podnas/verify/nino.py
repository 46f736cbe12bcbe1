"""CPC's anomalies of Niño 3.4: what they call warm and cold, and the comparators that need them.

They rest on a climatology of 1991 to 2020, hence on weeks that forecasts are tested on. They define events, and their
persistence stands beside our forecasts; no forecast of ours sees them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from podnas.baselines.climatology import Climatology
from podnas.baselines.logistic import Logistic
from podnas.ensemble.mixture import Mixture, gaussian
from podnas.windows import HALF_WEEK, Array, Inputs, Training, harmonics

HARMONICS = 6  # CPC's climatology is smooth: these give SST less anomaly to the rounding of both
HALF_DIGIT = 0.05  # anomalies have one decimal: from .5 on are those from .45 on
TO_CENTRE = np.timedelta64(3, "D")
EVENTS = ("warm", "cold")


class Cpc:
    """SST and anomalies by the start of the week, and the climatology behind them."""

    def __init__(self, table: pd.DataFrame) -> None:
        """table: as `data/nino.py` reads it."""
        starts = table.week.to_numpy().astype("datetime64[D]") - TO_CENTRE
        self.place = {start: row for row, start in enumerate(starts)}
        self.sst, self._anomaly = table.sst.to_numpy(), table.anomaly.to_numpy()
        self.weights = np.linalg.lstsq(self._season(starts), self.sst - self._anomaly, rcond=None)[0]
        self.starts = starts

    def anomaly(self, starts: Array) -> Array:
        """Anomalies (…) of weeks by their starts (…); ValueError where the table has no such week."""
        days = starts.astype("datetime64[D]")
        missing = [day for day in days.ravel() if day not in self.place]
        if missing:
            raise ValueError(f"the week from {missing[0]} is not in the table of Niño 3.4; make the index anew")
        found: Array = np.array([self._anomaly[self.place[day]] for day in days.ravel()])
        return found.reshape(days.shape)

    def climatology(self, starts: Array) -> Array:
        """CPC's climatology (…) of weeks by their starts, past or to come."""
        flat: Array = self._season(starts.ravel()) @ self.weights
        return flat.reshape(starts.shape)

    def events(self, starts: Array, threshold: float) -> dict[str, Array]:
        """Whether weeks (…) are warm, and cold: 0 or 1."""
        anomaly = self.anomaly(starts)
        slack = HALF_DIGIT / 10  # one decimal, in binary
        return {
            "warm": (anomaly >= threshold - slack).astype(int),
            "cold": (anomaly <= -threshold + slack).astype(int),
        }

    def probabilities(self, mixture: Mixture, starts: Array, threshold: float) -> dict[str, Array]:
        """Probabilities (…) of warm and cold weeks by a mixture of SST (members, …), degree_Celsius."""
        normal, edge = self.climatology(starts), threshold - HALF_DIGIT
        return {"warm": 1 - mixture.cdf(normal + edge), "cold": mixture.cdf(normal - edge)}

    def persistence(self, init: Array, starts: Array) -> Array:
        """CPC's climatology plus CPC's last anomaly: SST (n, leads); init (n,), starts (n, leads)."""
        return self.climatology(starts) + self.anomaly(init)[:, None]

    @staticmethod
    def _season(starts: Array) -> Array:
        centres = starts.astype("datetime64[ns]") + HALF_WEEK
        return np.column_stack([np.ones(len(starts)), harmonics(centres, HARMONICS)])


def persistence(cpc: Cpc, training: Training, truth: Array, init: Array, starts: Array) -> Mixture:
    """CPC persistence with its spread over the training windows; truth: their SST (n, leads)."""
    valid = training.inputs.target_centres - HALF_WEEK
    error = truth - cpc.persistence(training.inputs.init_time, valid)
    return gaussian(cpc.persistence(init, starts), np.sqrt((error**2).mean(axis=0)))


def logistic(
    cpc: Cpc, training: Training, inputs: Inputs, threshold: float, count: int
) -> dict[str, tuple[Array, Array]]:
    """Of each event, probabilities (n, leads) by logistic damped persistence, and by the training base rate."""
    outcomes = cpc.events(training.inputs.target_centres - HALF_WEEK, threshold)
    made = {}
    for event, outcome in outcomes.items():
        probability = Logistic(Climatology(count)).fit(training, outcome).predict(inputs)
        made[event] = probability, np.broadcast_to(outcome.mean(axis=0), probability.shape)
    return made
