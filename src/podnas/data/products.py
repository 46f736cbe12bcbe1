"""What the names and attributes of archive files tell: day, year, product, preliminary or final."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from podnas.config import FieldConfig, SourceConfig
from podnas.data import weekly

LOG = logging.getLogger(__name__)

PRELIMINARY = r"_preliminary(?=\.nc$)"
# attributes that name a product's version, those that tell most first
TELLING = ("product_version", "Version_data", "title", "source", "dataset_title")
PRODUCTS = (
    (r"daymet.*(v|version )4|daymet_v4", "Daymet V4"),
    (r"daymet.*(v|version )3|daymet_v3", "Daymet V3"),
    (r"v02r01|version 2\.1|v2\.1", "OISST V2.1"),
    (r"oi-daily-v2|(optimum interpolation|oisst).*v(ersion )?2\b|avhrr-only-v2|\.v2\.nc", "OISST V2"),
)
OTHER = "not named"
ENDS = ("01-01", "12-31")


def day(path: Path) -> np.datetime64 | None:
    """The day in a file's name (…20211025.nc, …20211025_preliminary.nc); None where there is none."""
    found = re.search(r"(?<!\d)(\d{4})(\d{2})(\d{2})(_preliminary)?\.nc$", path.name)
    if found is None:
        return None
    try:
        return np.datetime64(f"{found[1]}-{found[2]}-{found[3]}", "D")
    except ValueError as error:
        raise ValueError(f"{path}: {found[1]}{found[2]}{found[3]} in its name is no day; rename it") from error


def year(path: Path) -> int | None:
    """The one year in a file's name (sst.day.mean.1982.nc, daymet_v4_daily_na_tmax_1982.nc); None where there is none.

    A span of years is none.
    """
    found = re.findall(r"[._](\d{4})(?=[._])", path.name)
    return int(found[0]) if len(found) == 1 else None


def years(files: Sequence[str], config: FieldConfig) -> dict[int, tuple[str, ...]]:
    """The files that the weeks which start in each year are made of, by the dates in their names.

    A day belongs to the year in which its week starts; a yearly file also to the year before, whose last week ends in
    it. ValueError where a name has no date, or no file lies between config.first and config.last.
    """
    dated = [(file, _year(Path(file))) for file in files]
    chosen = [(file, own) for file, own in dated if _inside(Path(file), own, config)]
    if not chosen:
        raise ValueError(f"no file has a date between field.first {config.first} and field.last {config.last}")
    found: dict[int, list[str]] = {own: [] for own in sorted({own for _, own in chosen})}
    for file, own in chosen:
        for number in _years(Path(file), own, config) & found.keys() or {own}:
            found[number].append(file)
    found = {number: held for number, held in found.items() if held}
    _merge_thin_ends(found, config)
    return {number: tuple(held) for number, held in found.items()}


def part(years: Mapping[int, Sequence[str]], year: int, config: FieldConfig) -> dict[str, int | bool]:
    """A year, and whether the record begins or ends with it: the fields of `field.Part`.

    A yearly file of weeks that begin anew each year shares no week with its neighbours, so it is a record of its own.
    """
    alone = config.weeks == "of_year" and all(day(Path(file)) is None for file in years[year])
    return {"year": year, "first": alone or year == min(years), "last": alone or year == max(years)}


def settings(
    years: Mapping[int, Sequence[str]], year: int, source: SourceConfig, config: FieldConfig
) -> dict[str, dict[str, Any]]:
    """What the weekly field of a year depends on beside its files, by section: a change of anything else leaves it.

    field.first and field.last count where they cut into the year's weeks, source.joins where they touch the year.
    """
    begin, end = _span(years[year], config, part(years, year, config))
    cuts = {
        "first": config.first if config.first and config.first > begin else None,
        "last": config.last if config.last and config.last < end else None,
    }
    joins = tuple(join for join in source.joins if join.after >= begin and join.before <= end)
    chosen = source.model_copy(update={"joins": joins}).model_dump(mode="json", include={"variable", "ice", "joins"})
    return {"source": chosen, "field": config.model_copy(update=cuts).model_dump(mode="json")}


def _span(files: Sequence[str], config: FieldConfig, part: Mapping[str, int | bool]) -> tuple[date, date]:
    """First and last day that a week of a year may have; at an end of the record, also those that the files have."""
    rest = timedelta(days=6 if config.weeks == "running" else 0)
    begin, end = date(part["year"], 1, 1), date(part["year"], 12, 31) + rest
    spans = [[date.fromisoformat(str(one)) for one in _days(Path(file))] for file in files]
    begin = min(begin, *(span[0] for span in spans)) if part["first"] else begin
    return begin, max(end, *(span[1] for span in spans)) if part["last"] else end


def _merge_thin_ends(found: dict[int, list[str]], config: FieldConfig) -> None:
    """A first or last year whose days make no whole week goes to its neighbour, which drops them as its own end."""
    for end, neighbour in ((0, 1), (-1, -2)):
        years = sorted(found)
        if len(years) > 1 and not _has_week(found[years[end]], config):
            found[years[neighbour]] = sorted({*found[years[neighbour]], *found.pop(years[end])})


def _has_week(files: Sequence[str], config: FieldConfig) -> bool:
    days = [day(Path(file)) for file in files]
    known = np.array([named for named in days if named is not None], "datetime64[D]")
    if len(known) < len(files):
        return True  # a yearly file
    starts = weekly.starts_of(np.unique(known), config)
    counts = np.unique(starts[~np.isnat(starts)], return_counts=True)[1]
    return bool((counts >= config.least_days).any())


def _year(path: Path) -> int:
    named = day(path)
    own = year(path) if named is None else int(str(named)[:4])
    if own is None:
        raise ValueError(f"{path} has no date in its name, so field.by_year cannot tell its year; set it to false")
    return own


def _inside(path: Path, own: int, config: FieldConfig) -> bool:
    first, last = _days(path, own)
    late = config.first is None or last >= np.datetime64(config.first, "D")
    return bool(late and (config.last is None or first <= np.datetime64(config.last, "D")))


def _days(path: Path, own: int | None = None) -> tuple[np.datetime64, np.datetime64]:
    """First and last day that a file can hold by its name."""
    named = day(path)
    if named is not None:
        return named, named
    number = _year(path) if own is None else own
    return np.datetime64(f"{number}-{ENDS[0]}", "D"), np.datetime64(f"{number}-{ENDS[1]}", "D")


def _years(path: Path, own: int, config: FieldConfig) -> set[int]:
    """Years in which the weeks of a file start."""
    named = day(path)
    if named is None:
        return {own - 1, own} if config.weeks == "running" else {own}
    start = weekly.starts_of(np.array([named]), config)[0]
    return {own if np.isnat(start) else int(str(start)[:4])}


def final(paths: Sequence[Path]) -> list[Path]:
    """The files without the preliminary ones whose final one is there, too."""
    names = {path.name for path in paths}
    kept = [path for path in paths if path.name == _final_name(path) or _final_name(path) not in names]
    if len(kept) < len(paths):
        LOG.info("%d preliminary files are left out: the final ones are there", len(paths) - len(kept))
    return kept


def _final_name(path: Path) -> str:
    return re.sub(PRELIMINARY, "", path.name)


def product(path: Path, attribute: Callable[[str], Any]) -> str:
    """Product and version by the first that tells it of a file's attributes (given by name) and the file's name."""
    for text in chain((str(attribute(name)) for name in TELLING), [path.name]):
        for pattern, name in PRODUCTS:
            if re.search(pattern, text, re.IGNORECASE):
                return name
    return OTHER
