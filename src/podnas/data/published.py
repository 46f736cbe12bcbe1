"""What a range of days needs of the published archives: names, addresses in order, sizes.

By calendar alone, without asking a server. Addresses are templates of {name}, {year} and {month} (YYYYMM), tried in
their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal
from urllib.parse import urlsplit

Form = Literal["netCDF", "text", "table"]  # text: numbers in columns; table: checked by whoever reads it

MEGABYTE = 10**6
OISST_FIRST = date(1981, 9, 1)
OISST_DAILY = (
    "https://www.ncei.noaa.gov/data/sea-surface-temperature-optimum-interpolation/v2.1/access/avhrr/{month}/{name}",
    "s3://noaa-cdr-sea-surface-temp-optimum-interpolation-pds/data/v2.1/avhrr/{month}/{name}",
)
PRELIMINARY = "_preliminary"
OISST_DAILY_BYTES = int(1.8 * MEGABYTE)  # the real ones at hand: 1.64 to 1.72 MB
OISST_YEARLY = (
    "https://downloads.psl.noaa.gov/Datasets/noaa.oisst.v2.highres/{name}",
    "https://psl.noaa.gov/thredds/fileServer/Datasets/noaa.oisst.v2.highres/{name}",
)
OISST_YEARLY_BYTES = 600 * MEGABYTE
SETTLED_DAYS = 60  # a year's file is asked for again until so long after its end: final days replace preliminary ones
DAYMET_FIRST = date(1980, 1, 1)
DAYMET = (
    "https://data.ornldaac.earthdata.nasa.gov/protected/daymet/Daymet_Daily_V4R1/data/{name}",
    "https://tds.gdex.ucar.edu/thredds/fileServer/files/d682806/{name}",
)
CPC_NINO = "https://www.cpc.ncep.noaa.gov/data/indices/wksst9120.for"
ADDRESSES = {"oisst_daily": OISST_DAILY, "oisst_yearly": OISST_YEARLY, "daymet": DAYMET}
# a year of North America, the largest of the years whose sizes are known (2020 and later are the larger ones)
DAYMET_BYTES = {
    "dayl": 1_500 * MEGABYTE,
    "prcp": 4_500 * MEGABYTE,
    "srad": 19_000 * MEGABYTE,
    "swe": 9_500 * MEGABYTE,
    "tmax": 14_500 * MEGABYTE,
    "tmin": 14_500 * MEGABYTE,
    "vp": 22_000 * MEGABYTE,
}


@dataclass(frozen=True)
class Checksum:
    """A published digest: its algorithm as hashlib calls it, and its value in hexadecimal."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"


@dataclass(frozen=True)
class Item:
    """A file to download.

    `bytes_about`: for the disk-space check; `size`: exact bytes, where published. `growing`: the publisher adds to it,
    so it is asked each time whether there is a newer one. `stand_in`: what is taken until it is published. `form`: what
    it must be to be believed.
    """

    name: str
    addresses: tuple[str, ...]
    bytes_about: int = 0
    size: int | None = None
    checksum: Checksum | None = None
    growing: bool = False
    stand_in: Item | None = None
    form: Form = "netCDF"

    def __post_init__(self) -> None:
        for address in self.addresses:
            parts = urlsplit(address)
            if parts.username or parts.password:
                raise ValueError(f"an address at {parts.hostname} holds a user name or password; take them out of it")
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{address!r} is no address of a file; it begins with http://, https:// or s3://")


def oisst_daily(first: date, last: date, mirrors: Sequence[str] = OISST_DAILY, today: date | None = None) -> list[Item]:
    """One file a day of OISST V2.1 (NCEI; the same on S3): the preliminary one until the final is out, in two weeks."""
    last_possible = (today or date.today()) - timedelta(days=1)
    _check_range(first, last, OISST_FIRST, last_possible, "a day's preliminary file is out a day later")
    return [_oisst_day(day, mirrors) for day in _days(first, last)]


def oisst_yearly(
    first: date, last: date, mirrors: Sequence[str] = OISST_YEARLY, today: date | None = None
) -> list[Item]:
    """PSL's yearly files of the same daily product, the current one growing."""
    today = today or date.today()
    _check_range(first, last, OISST_FIRST, today - timedelta(days=1), "a day is out a day later")
    growing_from = (today - timedelta(days=SETTLED_DAYS)).year
    return [
        replace(
            _item(f"sst.day.mean.{year}.nc", date(year, 1, 1), mirrors, OISST_YEARLY_BYTES),
            growing=year >= growing_from,
        )
        for year in range(first.year, last.year + 1)
    ]


def daymet(
    first: date, last: date, variable: str = "tmax", mirrors: Sequence[str] = DAYMET, today: date | None = None
) -> list[Item]:
    """DayMet V4 R1 of North America, one file a year and variable (ORNL DAAC, doi 10.3334/ORNLDAAC/2129; login needed).

    The second address is NCAR's open copy.
    """
    if variable not in DAYMET_BYTES:
        raise ValueError(f"DayMet has no variable {variable!r}; choose one of {', '.join(DAYMET_BYTES)}")
    last_possible = date((today or date.today()).year - 1, 12, 31)
    _check_range(first, last, DAYMET_FIRST, last_possible, "a year is published after its end")
    return [
        _item(f"daymet_v4_daily_na_{variable}_{year}.nc", date(year, 1, 1), mirrors, DAYMET_BYTES[variable])
        for year in range(first.year, last.year + 1)
    ]


def https_address(address: str) -> str:
    """The HTTPS address of an object in an open S3 bucket; other addresses as they are."""
    parts = urlsplit(address)
    return f"https://{parts.netloc}.s3.amazonaws.com{parts.path}" if parts.scheme == "s3" else address


def _oisst_day(day: date, mirrors: Sequence[str]) -> Item:
    final, preliminary = (
        _item(f"oisst-avhrr-v02r01.{day:%Y%m%d}{ending}.nc", day, mirrors, OISST_DAILY_BYTES)
        for ending in ("", PRELIMINARY)
    )
    return replace(final, stand_in=preliminary)


def _item(name: str, day: date, mirrors: Sequence[str], bytes_about: int) -> Item:
    addresses = (https_address(_filled(mirror, name, day)) for mirror in mirrors)
    return Item(name, tuple(addresses), bytes_about)


def _filled(template: str, name: str, day: date) -> str:
    if "{name}" not in template:
        raise ValueError(f"the mirror {template!r} has no {{name}} in it; write where the file's name stands")
    try:
        return template.format(name=name, year=day.year, month=f"{day:%Y%m}")
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"the mirror {template!r} may hold {{name}}, {{year}} and {{month}} only ({error!r})"
        ) from None


def _check_range(first: date, last: date, earliest: date, latest: date, why: str) -> None:
    if first > last:
        raise ValueError(f"the first day {first} is after the last day {last}; swap them")
    if first < earliest:
        raise ValueError(f"the first day is {first}, but the archive begins on {earliest}; begin there or later")
    if last > latest:
        raise ValueError(f"the last day is {last}, but {latest} is the last that can be out ({why}); end there")


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=day) for day in range((last - first).days + 1))
