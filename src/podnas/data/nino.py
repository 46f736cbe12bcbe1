"""CPC's weekly Niño 3.4 index: the committed table or CPC's own file, checked, as a series of one mode.

Weeks are centred on Wednesday, so they start on Sunday. Values have one decimal. CPC's anomalies are departures from a
climatology of 1991 to 2020, which includes weeks that forecasts are tested on: they define events and are never inputs.
"""

from __future__ import annotations

import csv
import logging
import re
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from podnas.artifacts import ArtifactError
from podnas.data.published import CPC_NINO

LOG = logging.getLogger(__name__)

HEADER = ["week", "sst_degC", "anomaly_degC"]
NUMBER = re.compile(r"-?\d+\.\d")  # negative anomalies of CPC's file touch the column before
NUMBERS_A_WEEK = 8  # of CPC's file: SST and anomaly of Niño 1+2, 3, 3.4, 4
PLACE = 4  # of Niño 3.4 among them
SST_DEGC = (20.0, 34.0)
ANOMALY_DEGC = (-6.0, 6.0)
WEDNESDAY = 2

ATTEMPTS, TIMEOUT_S = 2, 15  # the committed table is at hand, so that nobody waits long for a server
TO_CENTRE = np.timedelta64(3, "D")  # from Sunday, the start of a week, to Wednesday


def read(path: Path) -> pd.DataFrame:
    """The table: week (datetime64, Wednesday), sst and anomaly (degree_Celsius), a row a week, in order.

    Takes the committed table (.csv) and CPC's file. ArtifactError names file, line and rule where a row is damaged, a
    week is missing or no Wednesday, or a value is not possible.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); check the path, or get the file again") from error
    rows = _table(path, lines) if path.suffix == ".csv" else _cpc(path, lines)
    made = pd.DataFrame(rows, columns=["week", "sst", "anomaly"])
    made["week"] = made.week.astype("datetime64[s]")
    _check(path, made)
    return made


def _table(path: Path, lines: list[str]) -> list[tuple[date, float, float]]:
    rows = [(number, row) for number, row in enumerate(csv.reader(lines), 1) if row and not row[0].startswith("#")]
    if not rows or rows[0][1] != HEADER:
        raise ArtifactError(f"{path} has no header {','.join(HEADER)}; it is not the table of weekly Niño 3.4")
    return [_row(path, number, row[0], row[1:], "%Y-%m-%d", 2) for number, row in rows[1:]]


def _cpc(path: Path, lines: list[str]) -> list[tuple[date, float, float]]:
    rows = [(number, line.split(None, 1)) for number, line in enumerate(lines, 1) if re.match(r"\s*\d", line)]
    if not rows:
        raise ArtifactError(f"{path} has no line that begins with a day (02SEP1981); it is not CPC's weekly file")
    found = []
    for number, (day, *rest) in rows:
        values = NUMBER.findall(rest[0]) if rest else []
        left = NUMBER.sub("", rest[0]).strip() if rest else "nothing"
        if left or len(values) != NUMBERS_A_WEEK:
            raise ArtifactError(
                f"{path}, line {number}: {len(values)} numbers with one decimal, and {NUMBERS_A_WEEK} belong there; "
                "the file is truncated or damaged: get it again"
            )
        found.append(_row(path, number, day, values[PLACE : PLACE + 2], "%d%b%Y", 2))
    return found


def _row(path: Path, number: int, day: str, values: list[str], form: str, count: int) -> tuple[date, float, float]:
    try:
        week = datetime.strptime(day, form).date()
    except ValueError as error:
        raise ArtifactError(f"{path}, line {number}: {day!r} is no day; get the file again") from error
    if len(values) != count or not all(NUMBER.fullmatch(value) for value in values):
        raise ArtifactError(
            f"{path}, line {number}: {','.join(values)!r} should be SST and anomaly with one decimal; the file is "
            "truncated or damaged: get it again"
        )
    return week, float(values[0]), float(values[1])


def _check(path: Path, table: pd.DataFrame) -> None:
    days = table.week.diff().dt.days.iloc[1:]
    if (days != 7).any():
        place = int(np.argmax((days != 7).to_numpy())) + 1
        raise ArtifactError(
            f"{path}: the week after {table.week.iloc[place - 1]:%Y-%m-%d} is {table.week.iloc[place]:%Y-%m-%d}, not "
            "seven days later; no week may be missing or stand twice: get the file again"
        )
    if table.week.iloc[0].weekday() != WEDNESDAY:
        raise ArtifactError(f"{path}: weeks are centred on {table.week.iloc[0]:%A}, and CPC's on Wednesday")
    for name, (least, most) in (("sst", SST_DEGC), ("anomaly", ANOMALY_DEGC)):
        bad = ~table[name].between(least, most)
        if bad.any():
            first = table[bad].iloc[0]
            raise ArtifactError(
                f"{path}: {name} of {first.week:%Y-%m-%d} is {first[name]:g}, outside {least:g} to {most:g} degrees "
                "Celsius; is it a missing value? leave no week without one"
            )


def series(table: pd.DataFrame, origin: str) -> xr.Dataset:
    """SST as coefficients of one mode (time, mode), degree_Celsius; time is the start of the week. No anomaly in it."""
    weeks = table.week.to_numpy().astype("datetime64[ns]")
    return xr.Dataset(
        {
            "coefficient": (("time", "mode"), table[["sst"]].to_numpy(), {"units": "degree_Celsius"}),
            "segment": ("time", np.zeros(len(table), dtype=np.int32)),
        },
        {"time": weeks - TO_CENTRE, "mode": [1]},
        {"data_kind": origin, "title": "CPC weekly Niño 3.4"},
    )


def provide(committed: Path, folder: Path, newest: bool, address: str = CPC_NINO) -> tuple[Path, str]:
    """The file to read and what figures say of it: CPC's newest where a server gives it, else the committed table.

    What came from a server and is no such file is left aside with a warning, as is one that ends earlier.
    """
    table = read(committed)
    if newest:
        path = folder / Path(address).name
        try:
            _fetch(address, path)
            came = read(path)
        except ArtifactError as error:
            LOG.warning("CPC's newest file is not taken: %s", error)
        else:
            if came.week.iloc[-1] >= table.week.iloc[-1]:
                return path, f"CPC weekly Niño 3.4, {address} to {came.week.iloc[-1]:%Y-%m-%d}"
            LOG.warning("%s ends earlier than %s; it is not taken", path, committed)
    return committed, f"CPC weekly Niño 3.4, {committed} to {table.week.iloc[-1]:%Y-%m-%d}"


def _fetch(address: str, path: Path) -> None:
    from podnas.data import download  # with libraries that planning does not need
    from podnas.data.transfer import Policy

    policy = Policy(attempts=ATTEMPTS, timeout_s=TIMEOUT_S)
    path.unlink(missing_ok=True)  # an older one, which is no netCDF file that could be checked by its content
    download.fetch(address, path, path.name, policy, form="table")
