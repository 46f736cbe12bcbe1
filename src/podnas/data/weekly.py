"""The time axis: one snapshot a week, each week named by its first day."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podnas.config import JoinConfig

Days = NDArray[np.datetime64]

WEEK = np.timedelta64(7, "D")
DAY = np.timedelta64(1, "D")
# numpy counts days from 1970-01-01, a Thursday
EPOCH_WEEKDAY = 3
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHOWN = 3


def is_daily(days: Days) -> bool:
    """Whether the usual step between snapshots is a day (True) or a week (False); ValueError for any other."""
    if len(days) < 2:
        raise ValueError(f"the files hold {len(days)} snapshot(s); a series needs two or more: widen first and last")
    step = int(np.median(np.diff(days) / DAY))
    if step not in (1, 7):
        raise ValueError(f"the usual step between snapshots is {step} days; podnas reads daily and weekly files")
    return step == 1


def means(
    values: NDArray[np.floating[Any]], days: Days, anchor: str, least_days: int
) -> tuple[Days, NDArray[np.float32]]:
    """Weekly means of daily values (day, lat, lon); weeks start on the weekday `anchor`.

    A cell's mean needs `least_days` days with data. A first or last week with fewer days is dropped; a week inside the
    record with fewer is an error, since a silent hole would shift every window.
    """
    starts = week_starts(days, anchor)
    weeks, first, count = np.unique(starts, return_index=True, return_counts=True)
    kept = _drop_partial_ends(weeks, count, least_days)
    _refuse_thin_weeks(weeks[kept], count[kept], least_days)
    out = np.empty((len(weeks[kept]), *values.shape[1:]), "f4")
    for week, (begin, days_held) in enumerate(zip(first[kept], count[kept], strict=True)):
        out[week] = _mean(values[begin : begin + days_held], least_days)
    return weeks[kept], out


def week_starts(days: Days, anchor: str) -> Days:
    """First day of the week that each day lies in."""
    weekday = (days.astype("datetime64[D]").astype("i8") + EPOCH_WEEKDAY) % 7
    since = (weekday - WEEKDAYS.index(anchor)) % 7
    starts: Days = days.astype("datetime64[D]") - since.astype("timedelta64[D]")
    return starts


def _drop_partial_ends(weeks: Days, count: NDArray[np.intp], least_days: int) -> slice:
    begin = int(count[0] < least_days)
    end = len(weeks) - int(count[-1] < least_days)
    if end - begin < 1:
        raise ValueError(f"no week has {least_days} days with data; widen field.first and field.last, or add files")
    return slice(begin, end)


def _refuse_thin_weeks(weeks: Days, count: NDArray[np.intp], least_days: int) -> None:
    thin = np.flatnonzero(count < least_days)
    if len(thin):
        shown = ", ".join(f"{weeks[k]} has {count[k]}" for k in thin[:SHOWN])
        raise ValueError(
            f"{len(thin)} week(s) inside the record have fewer days than field.least_days = {least_days}: the week of "
            f"{shown}; add the missing days, or set field.least_days to {count.min()} if that is enough"
        )


def _mean(days: NDArray[np.floating[Any]], least_days: int) -> NDArray[np.float64]:
    valid = np.isfinite(days)
    held = valid.sum(axis=0)
    total = np.where(valid, days, 0.0).sum(axis=0, dtype="f8")
    mean: NDArray[np.float64] = np.divide(total, held, out=np.full(total.shape, np.nan), where=held >= least_days)
    return mean


def segments(starts: Days, joins: Sequence[JoinConfig]) -> NDArray[np.int32]:
    """Number of the run of consecutive weeks that each week lies in; a new one begins after each accepted join.

    ValueError at any other step that is not seven days: an overlap, a duplicate or a gap.
    """
    accepted = {(np.datetime64(join.before, "D"), np.datetime64(join.after, "D")) for join in joins}
    breaks = np.flatnonzero(np.diff(starts) != WEEK) + 1
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
