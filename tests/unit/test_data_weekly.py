"""Weeks: anchors, least number of days, joins and gaps."""

from datetime import date

import numpy as np
import pytest

from podnas.config import JoinConfig
from podnas.data import weekly

JOIN = JoinConfig(before=date(1989, 12, 28), after=date(1989, 12, 31))


def days(first, count, step=1):
    return np.datetime64(first, "D") + np.arange(count) * np.timedelta64(step, "D")


def as_field(values):
    return np.asarray(values, "f4")[:, None, None] * np.ones((1, 2, 3), "f4")


def test_weeks_start_on_the_anchor():
    # 1981-09-01 was a Tuesday
    span = days("1981-09-01", 7)
    assert weekly.week_starts(span, "sunday").astype(str).tolist() == ["1981-08-30"] * 5 + ["1981-09-06"] * 2
    assert set(weekly.week_starts(span, "tuesday").astype(str)) == {"1981-09-01"}


@pytest.mark.parametrize("anchor", weekly.WEEKDAYS)
def test_every_anchor_gives_weeks_that_start_on_that_day(anchor):
    starts = weekly.week_starts(days("1999-12-20", 30), anchor)
    assert {start.item().strftime("%A").lower() for start in starts} == {anchor}


def test_weekly_mean_by_hand_and_partial_ends_dropped():
    # Friday to the second Monday after: two days, one whole week (2 .. 8, mean 5), two days
    span = days("2021-01-01", 11)
    starts, means = weekly.means(as_field(range(11)), span, "sunday", 7)
    assert starts.astype(str).tolist() == ["2021-01-03"]
    np.testing.assert_allclose(means, 5.0)


def test_partial_ends_stay_when_they_have_enough_days():
    span = days("2021-01-01", 11)
    starts, means = weekly.means(as_field(range(11)), span, "sunday", 2)
    assert starts.astype(str).tolist() == ["2020-12-27", "2021-01-03", "2021-01-10"]
    np.testing.assert_allclose(means[:, 0, 0], [0.5, 5.0, 9.5])


def test_a_missing_day_inside_is_refused_unless_allowed():
    span = np.delete(days("2021-01-03", 21), 9)
    values = as_field(np.ones(20))
    with pytest.raises(ValueError, match=r"1 week\(s\) inside .*least_days = 7: the week of 2021-01-10 has 6;.*to 6"):
        weekly.means(values, span, "sunday", 7)
    assert len(weekly.means(values, span, "sunday", 6)[0]) == 3


def test_a_cell_needs_the_least_number_of_days_with_data():
    values = as_field(np.arange(7.0))
    values[:3, 0, 0] = np.nan
    mean = weekly.means(values, days("2021-01-03", 7), "sunday", 4)[1]
    assert mean[0, 0, 0] == pytest.approx(4.5)  # of 3, 4, 5, 6
    assert np.isnan(weekly.means(values, days("2021-01-03", 7), "sunday", 5)[1][0, 0, 0])


def test_no_week_with_enough_days_is_refused():
    with pytest.raises(ValueError, match="no week has 7 days"):
        weekly.means(as_field(np.ones(6)), days("2021-01-03", 6), "sunday", 7)


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
