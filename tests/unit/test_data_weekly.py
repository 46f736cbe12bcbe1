"""Weeks: anchors, least number of days, joins and gaps."""

from datetime import date

import numpy as np
import pytest

from podnas.config import FieldConfig, JoinConfig
from podnas.data import weekly

JOIN = JoinConfig(before=date(1989, 12, 28), after=date(1989, 12, 31))


def days(first, count, step=1):
    return np.datetime64(first, "D") + np.arange(count) * np.timedelta64(step, "D")


def weeks(days, least_days, ends=(True, True), **config):
    return weekly.weeks(days, FieldConfig(least_days=least_days, **config), ends)


def test_weeks_start_on_the_anchor():
    # 1981-09-01 was a Tuesday
    span = days("1981-09-01", 7)
    assert weekly.week_starts(span, "sunday").astype(str).tolist() == ["1981-08-30"] * 5 + ["1981-09-06"] * 2
    assert set(weekly.week_starts(span, "tuesday").astype(str)) == {"1981-09-01"}


@pytest.mark.parametrize("anchor", weekly.WEEKDAYS)
def test_every_anchor_gives_weeks_that_start_on_that_day(anchor):
    starts = weekly.week_starts(days("1999-12-20", 30), anchor)
    assert {start.item().strftime("%A").lower() for start in starts} == {anchor}


def test_partial_ends_are_dropped():
    # Friday to the second Monday after: two days, one whole week, two days
    starts, places = weeks(days("2021-01-01", 11), 7)
    assert starts.astype(str).tolist() == ["2021-01-03"]
    np.testing.assert_array_equal(places, [np.arange(2, 9)])


def test_partial_ends_that_are_dropped_are_told(caplog):
    span, config = days("2021-01-01", 11), FieldConfig()
    starts, _ = weekly.weeks(span, config)
    lost = ["the week of 2020-12-27 (2 days)", "the week of 2021-01-10 (2 days)"]
    assert weekly.dropped(span, starts, config) == lost
    assert [record.message for record in caplog.records] == [
        f"{week} is left out: field.least_days is 7" for week in lost
    ]


def test_days_of_no_week_are_no_week_that_is_dropped(caplog):
    span, config = days("2000-01-01", 366), FieldConfig(weeks="of_year")
    assert weekly.dropped(span, weekly.weeks(span, config)[0], config) == []
    assert not caplog.records


@pytest.mark.parametrize(("count", "length"), [(365, 8), (366, 9), (364, 7)])
def test_the_last_week_ends_after_the_rest_of_the_year(count, length):
    span = days("2000-01-01", count)
    starts, places = weeks(span, 7, weeks="of_year", rest_of_year="in_last_week")
    made = weekly.bounds(starts, weekly.ends(starts, span, places))
    assert made.shape == (52, 2)
    assert (np.diff(made, axis=1)[:, 0] / weekly.DAY).tolist() == [7] * 51 + [length]


def test_a_week_that_lacks_days_has_seven_in_its_bounds():
    span = days("2021-01-03", 13)
    starts, places = weeks(span, 6)
    np.testing.assert_array_equal(weekly.ends(starts, span, places) - starts, weekly.WEEK)


def test_partial_ends_stay_when_they_have_enough_days():
    starts, places = weeks(days("2021-01-01", 11), 2)
    assert starts.astype(str).tolist() == ["2020-12-27", "2021-01-03", "2021-01-10"]
    assert [len(held) for held in places] == [2, 7, 2]


@pytest.mark.parametrize("ends", [(False, True), (True, False)])
def test_a_partial_end_is_dropped_only_where_the_record_ends(ends):
    with pytest.raises(ValueError, match="inside the record"):
        weeks(days("2021-01-01", 11), 7, ends)


def test_a_missing_day_inside_is_refused_unless_allowed():
    span = np.delete(days("2021-01-03", 21), 9)
    with pytest.raises(ValueError, match=r"1 week\(s\) inside .*least_days = 7: the week of 2021-01-10 has 6;.*to 6"):
        weeks(span, 7)
    assert len(weeks(span, 6)[0]) == 3


def test_no_week_with_enough_days_is_refused():
    with pytest.raises(ValueError, match="no week has 7 days"):
        weeks(days("2021-01-03", 6), 7)


def test_a_year_of_365_days_has_52_weeks_and_a_day_of_none():
    # DayMet: 2000 is a leap year without its 31 December, so its 365th day is the 30th
    span = np.concatenate([days("2000-01-01", 365), days("2001-01-01", 365)])
    starts, places = weeks(span, 7, (False, False), weeks="of_year")
    assert len(starts) == 104
    assert starts[[0, 8, 51, 52, 103]].astype(str).tolist() == [
        "2000-01-01", "2000-02-26", "2000-12-23", "2001-01-01", "2001-12-24",
    ]  # fmt: skip
    assert np.datetime64("2000-02-29") in span[places[8]]
    left_out = np.setdiff1d(span, span[np.concatenate(places)]).astype(str).tolist()
    assert left_out == ["2000-12-30", "2001-12-31"]
    np.testing.assert_array_equal(weekly.segments(starts, (), of_year=True), 0)
    with pytest.raises(ValueError, match="2 days are missing between the week of 2000-12-23 and that of 2001-01-01"):
        weekly.segments(starts, ())


def test_the_rest_of_the_year_may_go_into_the_last_week():
    places = weeks(days("2000-01-01", 365), 7, weeks="of_year", rest_of_year="in_last_week")[1]
    assert [len(held) for held in places] == [7] * 51 + [8]


def test_a_gap_inside_a_year_is_no_new_year():
    starts = np.delete(weeks(days("2000-01-01", 365), 7, weeks="of_year")[0], 20)
    with pytest.raises(ValueError, match="7 days are missing"):
        weekly.segments(starts, (), of_year=True)


def test_segments_count_up_at_accepted_joins_only():
    starts = np.concatenate([days("1989-12-14", 3, 7), days("1989-12-31", 2, 7)])
    np.testing.assert_array_equal(weekly.segments(starts, [JOIN]), [0, 0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"1989-12-31 overlaps the week of 1989-12-28 \(3 days later\).*source\.joins"):
        weekly.segments(starts, [])
    other = JoinConfig(before=date(1989, 12, 21), after=date(1989, 12, 31))
    with pytest.raises(ValueError, match="overlaps"):
        weekly.segments(starts, [other])


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        (["2000-01-02", "2000-01-09", "2000-01-09"], "the week of 2000-01-09 comes twice"),
        (["2000-01-02", "2000-01-09", "2000-01-30"], "14 days are missing between the week of 2000-01-09"),
        (["2000-01-02", "2000-01-09", "2000-01-19"], "3 days are missing"),
        (["2000-01-09", "2000-01-02"], "not in order"),
    ],
)
def test_any_other_step_is_named_and_refused(starts, message):
    with pytest.raises(ValueError, match=message):
        weekly.segments(np.array(starts, "datetime64[D]"), [JOIN])


def test_the_usual_step_tells_daily_from_weekly():
    assert weekly.is_daily(days("2000-01-01", 5))
    assert not weekly.is_daily(days("2000-01-01", 5, 7))
    with pytest.raises(ValueError, match="30 days"):
        weekly.is_daily(days("2000-01-01", 5, 30))
    with pytest.raises(ValueError, match=r"1 snapshot\(s\)"):
        weekly.is_daily(days("2000-01-01", 1))


@pytest.mark.parametrize(
    ("order", "message"), [([0, 2, 1], "comes after"), ([0, 1, 1], "comes twice")], ids=["unsorted", "duplicate"]
)
def test_times_of_a_file_must_increase(order, message):
    with pytest.raises(ValueError, match=f"a.nc: .*{message}"):
        weekly.check_order("a.nc", days("2000-01-01", 3)[order])
