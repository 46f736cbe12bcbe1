"""Heatwaves of a weekly series: above a percentile of the same time of the year, for several weeks on end.

After Hobday et al. (2016), whose days are weeks here. The percentiles are those of the training weeks alone.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from podnas.config import HeatwavesConfig
from podnas.windows import HALF_WEEK, WEEK, YEAR_DAYS, Array

EVENTS = ("heatwave",)


class Heatwaves:
    """Which of the weeks of a series belong to a heatwave."""

    names: tuple[str, ...] = EVENTS

    def __init__(self, config: HeatwavesConfig, training: xr.Dataset, weeks: xr.Dataset | None = None) -> None:
        """training: windows, whose series alone gives the thresholds; weeks: coefficients of the weeks to look at.

        Without `weeks`, those of the training period: no later week then decides what lasts. Raises ValueError where a
        time of the year has fewer training weeks than a percentile needs.
        """
        self.config = config
        self.trained = training.time.values + HALF_WEEK
        self.values = training.series.values[:, 0]
        values = self.values if weeks is None else weeks.coefficient.values[:, 0]
        source = training if weeks is None else weeks
        self.starts = source.time.values.astype("datetime64[D]")
        self.above = values > self.threshold(source.time.values)
        self.came = lasting(self.above, source.segment.values, config.least_weeks).astype(int)

    def threshold(self, starts: Array) -> Array:
        """Percentile (n,) of the training weeks within `window_weeks` of the same time of the year, by starts (n,)."""
        apart = np.abs(_day_of_year(starts + HALF_WEEK)[:, None] - _day_of_year(self.trained))
        near = np.minimum(apart, YEAR_DAYS - apart) <= 7 * (self.config.window_weeks + 0.5)
        least = int(near.sum(axis=1).min())
        if least < 1 / (1 - self.config.percentile / 100):
            raise ValueError(
                f"the {self.config.percentile:g}th percentile of the {least} training weeks at one time of the year is "
                "their maximum; raise classification.heatwaves.window_weeks or take a longer training period"
            )
        return np.array([np.percentile(self.values[row], self.config.percentile) for row in near])

    def events(self, starts: Array) -> dict[str, Array]:
        """Whether weeks (…) by their starts belong to one: 0 or 1; ValueError where the series has no such week."""
        days = starts.astype("datetime64[D]")
        place = np.searchsorted(self.starts, days).clip(max=len(self.starts) - 1)
        missing = days[self.starts[place] != days]
        if missing.size:
            raise ValueError(f"the week from {missing[0]} is not in the series of the region; make the index anew")
        return {EVENTS[0]: self.came[place]}

    def known(self, starts: Array) -> Array:
        """Whether the weeks after those of each window (n, leads) tell how long it stayed warm: (n,).

        They do not for the last `least_weeks` - 1 weeks of the series, whatever these are.
        """
        last = self.starts[-1] - (self.config.least_weeks - 1) * WEEK
        told: Array = starts.astype("datetime64[D]").max(axis=1) <= last
        return told

    def definition(self) -> str:
        """In words, with the range of the thresholds through a year."""
        asked, edges = self.config, self.threshold(np.datetime64("2001-01-01", "ns") + WEEK * np.arange(52))
        return (
            f"A heatwave: the area mean of {asked.region} above the {asked.percentile:g}th percentile of the training "
            f"weeks within {asked.window_weeks} weeks of the same time of the year ({edges.min():.2f} to "
            f"{edges.max():.2f} degrees Celsius), for {asked.least_weeks} weeks on end or longer. Of the weeks from "
            f"{self.starts[0]} to {self.starts[-1]}, {self.above.mean():.3f} are above it, {self.came.mean():.3f} in "
            "heatwaves."
        )


def lasting(above: Array, segment: Array, least_weeks: int) -> Array:
    """Of weeks (n,), those in a run of at least so many that are above (n,); no run goes on across missing weeks."""
    ends = np.flatnonzero((np.diff(above.astype(int)) != 0) | (np.diff(segment) != 0)) + 1
    runs = np.split(np.arange(len(above)), ends)
    kept = [np.full(len(run), bool(above[run[0]]) and len(run) >= least_weeks) for run in runs]
    return np.concatenate(kept)


def _day_of_year(centres: Array) -> Array:
    days: Array = ((centres - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")) % YEAR_DAYS
    return days
