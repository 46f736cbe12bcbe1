"""What names and attributes of archive files tell."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from podnas.config import FieldConfig, JoinConfig, SourceConfig
from podnas.data import products


@pytest.mark.parametrize(
    ("name", "day", "year"),
    [
        ("oisst-avhrr-v02r01.20211025.nc", "2021-10-25", None),
        ("oisst-avhrr-v02r01.20211025_preliminary.nc", "2021-10-25", None),
        ("sst.day.mean.1982.nc", None, 1982),
        ("subset.sst.day.mean.1981.v2.nc", None, 1981),
        ("daymet_v4_daily_na_tmax_2000.nc", None, 2000),
        ("sst.wkmean.1981-1989.nc", None, None),
        ("sst.wkmean.1990-present.nc", None, None),
    ],
)
def test_names_tell_day_or_year(name, day, year):
    found = products.day(Path(name))
    assert (None if found is None else str(found), products.year(Path(name))) == (day, year)


def test_a_name_with_an_impossible_day_is_refused():
    with pytest.raises(ValueError, match=r"20210230 in its name is no day; rename it"):
        products.day(Path("oisst-avhrr-v02r01.20210230.nc"))


def test_a_final_file_takes_the_place_of_the_preliminary_one():
    names = ["a.20210101.nc", "a.20210101_preliminary.nc", "a.20210102_preliminary.nc"]
    assert [path.name for path in products.final([Path(name) for name in names])] == [names[0], names[2]]


@pytest.mark.parametrize(
    ("attributes", "name", "product"),
    [
        ({"product_version": "Version v02r01"}, "a.nc", "OISST V2.1"),
        (
            {"title": "NOAA/NCEI 1/4 Degree Daily Optimum Interpolation (OISST) Analysis, Version 2.1"},
            "a.nc",
            "OISST V2.1",
        ),
        ({"source": "NOAA/NCDC  ftp://eclipse.ncdc.noaa.gov/pub/OI-daily-v2/"}, "a.nc", "OISST V2"),
        ({"title": "NOAA Optimum Interpolation (OI) SST V2"}, "a.nc", "OISST V2"),
        ({"Version_data": "Daymet Data Version 4.0"}, "a.nc", "Daymet V4"),
        ({}, "oisst-avhrr-v02r01.20211025.nc", "OISST V2.1"),
        ({}, "daymet_v4_daily_na_tmax_2000.nc", "Daymet V4"),
        ({}, "a.nc", "not named"),
    ],
)
def test_attributes_then_the_name_tell_the_product(attributes, name, product):
    assert products.product(Path(name), lambda key: attributes.get(key, "")) == product


def named(first, count):
    days = np.datetime64(first, "D") + np.arange(count)
    return [f"a.{str(day).replace('-', '')}.nc" for day in days]


def test_a_day_belongs_to_the_year_in_which_its_week_starts():
    # weeks start on Sunday: 2000-12-31 was one, so the first six days of 2001 belong to 2000
    files = named("2000-01-01", 366 + 365)
    years = products.years(files, FieldConfig())
    assert list(years) == [2000, 2001]
    assert (years[2000][0], years[2000][-1]) == ("a.20000101.nc", "a.20010106.nc")
    assert (years[2001][0], years[2001][-1]) == ("a.20010107.nc", "a.20011231.nc")
    assert len(years[2000]) + len(years[2001]) == len(files)


def test_days_at_an_end_that_make_no_week_of_their_year_go_to_the_next():
    # two days of the week of 1999-12-26; and one of that of 2001-01-07
    years = products.years(named("1999-12-31", 2 + 366 + 7), FieldConfig())
    assert list(years) == [2000]
    assert len(years[2000]) == 375


def test_a_yearly_file_belongs_to_the_year_before_too_unless_weeks_begin_anew():
    files = [f"tmax_{year}.nc" for year in (2000, 2001, 2002)]
    assert products.years(files, FieldConfig()) == {
        2000: ("tmax_2000.nc", "tmax_2001.nc"), 2001: ("tmax_2001.nc", "tmax_2002.nc"), 2002: ("tmax_2002.nc",)
    }  # fmt: skip
    assert products.years(files, FieldConfig(weeks="of_year"))[2000] == ("tmax_2000.nc",)
    chosen = products.years(files, FieldConfig(first=date(2001, 5, 1), last=date(2001, 9, 1)))
    assert chosen == {2001: ("tmax_2001.nc",)}


def test_files_without_a_date_or_outside_the_period_are_refused():
    with pytest.raises(ValueError, match=r"b\.nc has no date in its name, so field\.by_year cannot"):
        products.years(["a.2000.nc", "b.nc"], FieldConfig())
    with pytest.raises(ValueError, match=r"no file has a date between field\.first 2010-01-01"):
        products.years(["a.2000.nc"], FieldConfig(first=date(2010, 1, 1)))


YEARLY = {year: (f"a/tmax_{year}.nc",) for year in (2000, 2001, 2002)}
SOURCE = SourceConfig(kind="path", files=("a/*.nc",), variable="tmax")
DAYMET = FieldConfig(weeks="of_year", by_year=True)


def depends(years, year, config=DAYMET, source=SOURCE):
    """All that a year's job is given."""
    return years[year], products.part(years, year, config), products.settings(years, year, source, config)


def test_a_year_depends_on_its_own_files_alone():
    before = depends(YEARLY, 2002)
    more = YEARLY | {2003: ("a/tmax_2003.nc",)}
    assert depends(more, 2002) == before
    left_out = SOURCE.model_copy(update={"exclude": ("tmax_2000.nc",), "files": ("a/*.nc", "b/*.nc")})
    assert depends({2001: YEARLY[2001], 2002: YEARLY[2002]}, 2002, source=left_out) == before


def test_the_first_and_last_day_count_for_the_years_that_they_cut():
    cut = DAYMET.model_copy(update={"first": date(2000, 3, 1), "last": date(2002, 6, 30)})
    assert depends(YEARLY, 2001, cut) == depends(YEARLY, 2001)
    assert depends(YEARLY, 2000, cut)[2]["field"]["first"] == "2000-03-01"
    assert depends(YEARLY, 2000, cut)[2]["field"]["last"] is None
    assert depends(YEARLY, 2002, cut)[2]["field"]["last"] == "2002-06-30"
    whole = DAYMET.model_copy(update={"first": date(2000, 1, 1), "last": date(2002, 12, 31)})
    assert [depends(YEARLY, year, whole) == depends(YEARLY, year) for year in YEARLY] == [True] * 3


def test_the_last_day_counts_in_the_week_that_runs_over_the_end_of_the_year():
    running = FieldConfig(by_year=True)
    years = products.years([f"a/tmax_{year}.nc" for year in YEARLY], running)
    for last, cuts in ((date(2002, 1, 5), True), (date(2002, 1, 6), False), (date(2002, 9, 1), False)):
        cut = running.model_copy(update={"last": last})
        assert (depends(years, 2001, cut) != depends(years, 2001, running)) == cuts


def test_days_of_another_year_that_a_record_begins_with_are_cut_with_it():
    running = FieldConfig(by_year=True)
    years = products.years(named("1999-12-31", 2 + 366 + 7), running)  # two days of 1999 go to 2000
    cut = running.model_copy(update={"first": date(2000, 1, 1)})
    assert depends(years, 2000, cut) != depends(years, 2000, running)


def test_a_join_counts_for_the_years_that_it_touches():
    join = JoinConfig(before=date(2001, 12, 24), after=date(2002, 1, 1))
    joined = SOURCE.model_copy(update={"joins": (join,)})
    assert [depends(YEARLY, year, source=joined) != depends(YEARLY, year) for year in YEARLY] == [False, True, True]


def test_daily_files_tell_the_ends_of_their_record():
    # a hole in the first or last week is dropped at an end of the record, refused elsewhere
    years = products.years(named("2000-01-01", 366 + 365), DAYMET)
    assert products.part(years, 2000, DAYMET) == {"year": 2000, "first": True, "last": False}
    assert products.part(YEARLY, 2001, DAYMET) == {"year": 2001, "first": True, "last": True}
    running = FieldConfig(by_year=True)
    assert products.part(YEARLY, 2001, running) == {"year": 2001, "first": False, "last": False}
