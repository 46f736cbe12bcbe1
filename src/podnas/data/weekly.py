"""The time axis: one snapshot a week, each week named by its first day."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from podnas.config import FieldConfig, JoinConfig

Days = NDArray[np.datetime64]
Steps = NDArray[np.intp]

LOG = logging.getLogger(__name__)

WEEK = np.timedelta64(7, "D")
DAY = np.timedelta64(1, "D")
# numpy counts days from 1970-01-01, a Thursday
EPOCH_WEEKDAY = 3
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKS_OF_YEAR = 52
SHOWN = 3


def is_daily(days: Days) -> bool:
    """Whether the usual step between snapshots is a day (True) or a week (False); ValueError for any other."""
    if len(days) < 2:
        raise ValueError(f"the files hold {len(days)} snapshot(s); a series needs two or more: widen first and last")
    step = int(np.median(np.diff(days) / DAY))
    if step not in (1, 7):
        raise ValueError(f"the usual step between snapshots is {step} days; podnas reads daily and weekly files")
    return step == 1


def weeks(days: Days, config: FieldConfig, ends: tuple[bool, bool] = (True, True)) -> tuple[Days, list[Steps]]:
    """Starts of the weeks that daily input is averaged to, and the places in `days` of each.

    A first or last week with fewer than config.least_days days is dropped, with a warning, where the record ends there
    (`ends`); any other is an error, since a silent hole would shift every window.
    """
    starts = starts_of(days, config)
    held = np.flatnonzero(~np.isnat(starts))
    found, first, count = np.unique(starts[held], return_index=True, return_counts=True)
    if not len(found):
        raise ValueError("no day lies in a week; widen field.first and field.last, or add files")
    kept = _drop_partial_ends(found, count, config.least_days, ends)
    _refuse_thin_weeks(found[kept], count[kept], config, days)
    for left_out in dropped(days, found[kept], config):
        LOG.warning("%s is left out: field.least_days is %d", left_out, config.least_days)
    places = [held[begin : begin + size] for begin, size in zip(first[kept], count[kept], strict=True)]
    return found[kept], places


def dropped(days: Days, starts: Days, config: FieldConfig) -> list[str]:
    """Weeks that some of the days lie in and that are not among `starts`, in words."""
    found, count = np.unique(starts_of(days, config), return_counts=True)
    lost = ~np.isin(found, starts) & ~np.isnat(found)
    return [f"the week of {week} ({size} days)" for week, size in zip(found[lost], count[lost], strict=True)]


def ends(starts: Days, days: Days, places: Sequence[Steps]) -> Days:
    """First day after each week: seven days after its start, or later where it has the rest of the year."""
    last = days[[held[-1] for held in places]]
    after: Days = np.maximum(starts + WEEK, last + DAY)
    return after


def bounds(starts: Days, ends: Days) -> NDArray[np.datetime64]:
    """Bounds of weeks (time, 2) as fields and coefficients have them."""
    return np.stack([starts, ends], axis=1).astype("datetime64[ns]")


def starts_of(days: Days, config: FieldConfig) -> Days:
    """First day of the week that each day lies in, NaT for a day of no week."""
    if config.weeks == "running":
        return week_starts(days, config.week_anchor)
    return year_week_starts(days, config.rest_of_year == "in_last_week")


def year_week_starts(days: Days, keep_rest: bool) -> Days:
    """First day of the week, of 52 a year from 1 January on, that each day lies in.

    Days from the 365th on lie in no week (NaT), or in the 52nd (`keep_rest`).
    """
    years = days.astype("datetime64[Y]").astype("datetime64[D]")
    number = (days.astype("datetime64[D]") - years) // WEEK
    starts: Days = years + np.minimum(number, WEEKS_OF_YEAR - 1) * WEEK
    if not keep_rest:
        starts[number >= WEEKS_OF_YEAR] = np.datetime64("NaT")
    return starts


def week_starts(days: Days, anchor: str) -> Days:
    """First day of the week that each day lies in."""
    weekday = (days.astype("datetime64[D]").astype("i8") + EPOCH_WEEKDAY) % 7
    since = (weekday - WEEKDAYS.index(anchor)) % 7
    starts: Days = days.astype("datetime64[D]") - since.astype("timedelta64[D]")
    return starts


def _drop_partial_ends(weeks: Days, count: NDArray[np.intp], least_days: int, ends: tuple[bool, bool]) -> slice:
    begin = int(ends[0] and count[0] < least_days)
    end = len(weeks) - int(ends[1] and count[-1] < least_days)
    if end - begin < 1:
        raise ValueError(f"no week has {least_days} days with data; widen field.first and field.last, or add files")
    return slice(begin, end)


def _refuse_thin_weeks(weeks: Days, count: NDArray[np.intp], config: FieldConfig, days: Days) -> None:
    thin = np.flatnonzero(count < config.least_days)
    if len(thin):
        shown = ", ".join(f"{weeks[k]} has {count[k]}" for k in thin[:SHOWN])
        remedy = f"add the missing days, or set field.least_days to {count.min()} if that is enough"
        if config.weeks == "running" and _lack_new_years_eve(weeks[thin], days).any():
            remedy = "31 December is missing, as in the leap years of DayMet's files: set field.weeks: of_year"
        raise ValueError(
            f"{len(thin)} week(s) inside the record have fewer days than field.least_days = {config.least_days}: the "
            f"week of {shown}; {remedy}"
        )


def _lack_new_years_eve(weeks: Days, days: Days) -> NDArray[np.bool_]:
    """Which weeks lack a 31 December although the days before and after it are there."""
    new_year = (weeks.astype("datetime64[Y]") + 1).astype("datetime64[D]")
    eve, before = new_year - DAY, new_year - 2 * DAY
    around = np.isin(before, days) & np.isin(new_year, days)
    lacking: NDArray[np.bool_] = (new_year - weeks <= WEEK) & ~np.isin(eve, days) & around
    return lacking


def segments(starts: Days, joins: Sequence[JoinConfig], of_year: bool = False) -> NDArray[np.int32]:
    """Number of the run of consecutive weeks that each week lies in; a new one begins after each accepted join.

    `of_year`: 52 weeks a year, so the first week of a year follows the last one of the year before by eight or nine
    days. ValueError at any other step that is not seven days: an overlap, a duplicate or a gap.
    """
    accepted = {(np.datetime64(join.before, "D"), np.datetime64(join.after, "D")) for join in joins}
    even = np.diff(starts) == WEEK
    if of_year:
        even |= _new_year(starts[:-1], starts[1:])
    breaks = np.flatnonzero(~even) + 1
    refused = [k for k in breaks if (starts[k - 1], starts[k]) not in accepted]
    if refused:
        shown = "; ".join(_explain(starts[k - 1], starts[k]) for k in refused[:SHOWN])
        raise ValueError(
            f"{len(refused)} step(s) between weeks are not seven days: {shown}. Mend the files, or accept a step by "
            f"name: source.joins: [{{before: {starts[refused[0] - 1]}, after: {starts[refused[0]]}}}]"
        )
    number = np.zeros(len(starts), "i4")
    number[breaks] = 1
    return np.cumsum(number, dtype="i4")


def _new_year(before: Days, after: Days) -> NDArray[np.bool_]:
    """Where the 52nd week of a year is followed by the first of the next."""
    last = before.astype("datetime64[Y]").astype("datetime64[D]") + (WEEKS_OF_YEAR - 1) * WEEK
    first = (before.astype("datetime64[Y]") + 1).astype("datetime64[D]")
    following: NDArray[np.bool_] = (before == last) & (after == first)
    return following


def _explain(before: np.datetime64, after: np.datetime64) -> str:
    step = int((after - before) / DAY)
    if step == 0:
        return f"the week of {after} comes twice"
    if step < 0:
        return f"{after} comes after {before}: not in order"
    if step < 7:
        return f"the week of {after} overlaps the week of {before} ({step} days later)"
    return f"{step - 7} days are missing between the week of {before} and that of {after}"


def check_order(name: str, days: Days) -> None:
    """Refuse times that do not increase within a file."""
    for before, after in pairwise(days):
        if after <= before:
            problem = "comes twice" if after == before else f"comes after {before}"
            raise ValueError(f"{name}: {after} {problem}; its times must increase: mend or replace the file")
