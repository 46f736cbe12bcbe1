"""Synthetic archives on disk: what benchmarks/data.py reads, or any other length, for trials by hand.

python benchmarks/archives.py oisst FOLDER --first 2016-01-03 --days 735
python benchmarks/archives.py psl FOLDER --first-year 1982 --last-year 1983
python benchmarks/archives.py daymet FOLDER --first-year 2016 --last-year 2016 --days 63
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from podnas.data import archive, synthetic_daymet, synthetic_oisst

TABLE = Path(__file__).parents[1] / "resources" / "sst_twin.nc"
SEED = 1

app = typer.Typer(help=__doc__)
Folder = Annotated[Path, typer.Argument(help="where the files are put; those already there are left alone")]
Seed = Annotated[int, typer.Option(help="seed of everything random")]
Workers = Annotated[int, typer.Option(min=1, help="processes")]
CORES = len(os.sched_getaffinity(0))


@app.command()
def oisst(
    folder: Folder,
    first: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="first day")] = datetime(2016, 1, 3),
    days: Annotated[int, typer.Option(min=1, help="days")] = 735,
    seed: Seed = SEED,
    workers: Workers = CORES,
) -> list[Path]:
    """Files of one day each, as NCEI has them (1.7 MB a day)."""
    dates = np.datetime64(first, "D") + np.arange(days)
    paths = [folder / synthetic_oisst.DAY_NAME.format(date, "") for date in dates.tolist()]
    missing = dates[[not path.exists() for path in paths]]
    if len(missing):
        synthetic_oisst.write_days(TABLE, folder, missing, seed, workers)
    return paths


@app.command()
def psl(
    folder: Folder,
    first_year: int = 1982,
    last_year: int = 1983,
    product: Annotated[str, typer.Option(help="v2 or v2.1")] = "v2",
    seed: Seed = SEED,
    workers: Workers = CORES,
) -> list[Path]:
    """Yearly files of OISST, as PSL has them."""
    years = range(first_year, last_year + 1)
    paths = {year: folder / synthetic_oisst.PSL_NAMES[product].format(year) for year in years}
    missing = [year for year, path in paths.items() if not path.exists()]
    if missing:
        synthetic_oisst.write_years(TABLE, folder, missing, seed, workers, product)
    return list(paths.values())


@app.command()
def daymet(
    folder: Folder,
    first_year: int = 2016,
    last_year: int = 2016,
    days: Annotated[int, typer.Option(min=1, max=365, help="days of each year, from 1 January")] = 63,
    variable: str = "tmax",
    rows: tuple[int, int] = (0, synthetic_daymet.ROWS),
    columns: tuple[int, int] = (0, synthetic_daymet.COLUMNS),
    seed: Seed = SEED,
    workers: Workers = CORES,
) -> list[Path]:
    """Yearly files of DayMet on the 1 km grid (34 MB a day, and 470 MB of positions), or on a part of it."""
    years = range(first_year, last_year + 1)
    paths = {year: folder / synthetic_daymet.name(variable, year) for year in years}
    missing = [year for year, path in paths.items() if not path.exists()]
    part = synthetic_daymet.Part(rows, columns, days)
    if missing:
        workers, data = min(workers, len(missing)), archive.data_folder()
        synthetic_daymet.write_years(TABLE, data, folder, missing, seed, variable, part, workers=workers)
    return list(paths.values())


if __name__ == "__main__":
    app()
