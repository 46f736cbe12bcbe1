"""A made-up weekly Niño 3.4: red noise on a season, with a memory that follows it; as a table and as CPC's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

FIRST = "1981-09-02"


def table(weeks: int = 900, seed: int = 0) -> pd.DataFrame:
    """Week (Wednesday), sst, anomaly, all with one decimal; the climatology of the anomalies is known."""
    random = np.random.default_rng(seed)
    week = pd.date_range(FIRST, periods=weeks, freq="7D")
    season = 2 * np.pi * week.day_of_year.to_numpy() / 365.25
    departure = np.zeros(weeks)
    for place in range(1, weeks):
        memory = 0.93 + 0.05 * np.sin(season[place])
        departure[place] = memory * departure[place - 1] + 0.25 * random.normal()
    sst = 27 + 0.8 * np.cos(season) + departure
    return pd.DataFrame(
        {"week": week.astype("datetime64[s]"), "sst": sst.round(1), "anomaly": departure.clip(-5.9, 5.9).round(1)}
    )


def write_table(path: Path, made: pd.DataFrame) -> Path:
    """As resources/nino34_weekly.csv."""
    rows = [f"{one.week:%Y-%m-%d},{one.sst:.1f},{one.anomaly:.1f}" for one in made.itertuples()]
    path.write_text("\n".join(["# made up", "week,sst_degC,anomaly_degC", *rows]) + "\n", encoding="utf-8")
    return path


def write_cpc(path: Path, made: pd.DataFrame) -> Path:
    """As CPC publishes it: fixed columns, in which negative anomalies touch the SST; other regions are nonsense."""
    head = [
        " Weekly SST data starts week centered on 2Sept1981",
        "",
        "   Nino1+2  Nino3  Nino34  Nino4",
        " Week  SST SSTA",
    ]
    rows = [
        f" {f'{one.week:%d%b%Y}'.upper()}     20.6-0.1     24.8 0.1     {one.sst:4.1f}{one.anomaly:4.1f}     28.3-0.3"
        for one in made.itertuples()
    ]
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
    return path
