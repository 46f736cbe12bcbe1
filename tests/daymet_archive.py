"""Small synthetic DayMet archives in the published layout: a part of the real grid, on a coast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from podnas.data import synthetic_daymet

TABLE = Path(__file__).parents[1] / "resources" / "sst_twin.nc"
SEED = 1
# the Gulf of Maine by the mask of the bundled table: half of it is sea; 44.5 to 45.4 degrees north, 68.7 to 67.6 west
PART = synthetic_daymet.Part(rows=(4240, 4320), columns=(6840, 6920))


def write(folder: Path, years: Sequence[int], variable: str) -> None:
    """A file of each year, of a seasonal model."""
    folder.mkdir(parents=True, exist_ok=True)
    synthetic_daymet.write_years(TABLE, None, folder, years, SEED, variable, PART)
