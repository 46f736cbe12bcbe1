"""Small DayMet archives in the published layout: a part of the real grid, on whose sea side nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from podnas.data import synthetic_daymet
from podnas.data.synthetic_daymet import COARSE_SHAPE, DAYS, TILE, Land, Part

PART = Part(rows=(4200, 4320), columns=(6000, 6160))
YEARS = 18  # that the model's coefficients are given for


def model(seed: int = 1) -> Land:
    """Three waves that swing with the season and with noise; the sea begins where a wavy coast ends."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices(COARSE_SHAPE, dtype="f4")
    waves = [np.cos((rows + k * columns) * k / 9 + k) for k in (1, 2, 3)]
    day = np.arange(YEARS * DAYS)
    noise = np.cumsum(random.normal(size=(len(day), 3)), axis=0) / 6
    weights = 3 * np.cos(2 * np.pi * day[:, None] / DAYS + np.arange(3)) / np.arange(1, 4) + noise
    return Land(
        seed=seed,
        land=(columns < 611 + 2 * np.sin(rows / 2)).astype("f4"),
        mean=20 - (rows - 300).astype("f4") / 3,
        modes=np.stack(waves).astype("f4"),
        relief=np.zeros((TILE, TILE), "f4"),
        weather=random.standard_normal((TILE, TILE), "f4"),
        coefficients=weights.reshape(YEARS, DAYS, 3),
    )


def write(folder: Path, years: Sequence[int], variable: str) -> None:
    """A file of each year."""
    synthetic_daymet._MODEL[:] = [model()]
    folder.mkdir(parents=True, exist_ok=True)
    for year in years:
        synthetic_daymet._write_year(year, folder, variable, PART, "m")
