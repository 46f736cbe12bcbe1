"""What a range of days needs: names, addresses and sizes, by calendar alone."""

from __future__ import annotations

from datetime import date

import pytest

from podnas.data import published
from podnas.data.published import Item

TODAY = date(2023, 11, 20)


def test_daily_files_of_a_range_over_a_leap_day():
    items = published.oisst_daily(date(2020, 2, 28), date(2020, 3, 1), today=TODAY)
    assert [item.name for item in items] == [f"oisst-avhrr-v02r01.{day}.nc" for day in (20200228, 20200229, 20200301)]
    final = "202003/oisst-avhrr-v02r01.20200301.nc"
    assert items[2].addresses == (
        f"https://www.ncei.noaa.gov/data/sea-surface-temperature-optimum-interpolation/v2.1/access/avhrr/{final}",
        f"https://noaa-cdr-sea-surface-temp-optimum-interpolation-pds.s3.amazonaws.com/data/v2.1/avhrr/{final}",
    )
    assert items[2].stand_in.name == "oisst-avhrr-v02r01.20200301_preliminary.nc"
    assert all(address.endswith("_preliminary.nc") for address in items[2].stand_in.addresses)


def test_the_whole_record_is_one_file_a_day():
    items = published.oisst_daily(date(1981, 9, 1), date(2021, 12, 31), today=TODAY)
    assert len({item.name for item in items}) == 40 * 365 + 10 + 122  # 1982-2021 has ten leap days; 122 days of 1981
    assert 20e9 < sum(item.bytes_about for item in items) < 40e9


def test_yearly_files_grow_until_their_last_days_are_final():
    items = published.oisst_yearly(date(2021, 5, 1), date(2023, 2, 1), today=date(2023, 2, 10))
    assert [(item.name, item.growing) for item in items] == [
        ("sst.day.mean.2021.nc", False),
        ("sst.day.mean.2022.nc", True),
        ("sst.day.mean.2023.nc", True),
    ]
    assert not published.oisst_yearly(date(2022, 1, 1), date(2022, 2, 1), today=TODAY)[0].growing


def test_daymet_years_of_a_variable():
    items = published.daymet(date(2000, 6, 1), date(2001, 1, 1), "prcp", today=TODAY)
    assert [item.name for item in items] == [f"daymet_v4_daily_na_prcp_{year}.nc" for year in (2000, 2001)]
    assert items[0].addresses[0].startswith("https://data.ornldaac.earthdata.nasa.gov/protected/daymet/")


def test_mirrors_are_templates_and_may_be_buckets():
    mirrors = ("http://cache.example/{year}/{month}/{name}", "s3://bucket/x/{name}")
    (item,) = published.oisst_daily(date(1999, 12, 31), date(1999, 12, 31), mirrors, today=TODAY)
    assert item.addresses == (
        "http://cache.example/1999/199912/oisst-avhrr-v02r01.19991231.nc",
        "https://bucket.s3.amazonaws.com/x/oisst-avhrr-v02r01.19991231.nc",
    )


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2000, 1, 2), date(2000, 1, 1), "the first day 2000-01-02 is after the last day 2000-01-01; swap"),
        (date(1981, 8, 31), date(2000, 1, 1), "the archive begins on 1981-09-01"),
        (date(2000, 1, 1), TODAY, "the last day is 2023-11-20, but 2023-11-19 is the last that can be out"),
    ],
)
def test_ranges_that_cannot_be_had_are_refused(first, last, message):
    with pytest.raises(ValueError, match=message):
        published.oisst_daily(first, last, today=TODAY)


def test_a_daymet_year_that_is_not_over_is_refused():
    with pytest.raises(ValueError, match="2022-12-31 is the last that can be out"):
        published.daymet(date(2020, 1, 1), date(2023, 1, 1), today=TODAY)
    with pytest.raises(ValueError, match="no variable 'tmean'; choose one of dayl, prcp"):
        published.daymet(date(2020, 1, 1), date(2020, 1, 1), "tmean", today=TODAY)


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("http://cache.example/files", r"has no \{name\} in it"),
        ("http://cache.example/{day}/{name}", r"\{name\}, \{year\}, \{month\} only|and \{month\} only"),
        ("ftp://cache.example/{name}", "is no address of a file"),
        ("{name}", "is no address of a file"),
    ],
)
def test_mirrors_that_cannot_be_meant_are_refused(mirror, message):
    with pytest.raises(ValueError, match=message):
        published.oisst_daily(date(2000, 1, 1), date(2000, 1, 1), (mirror,), today=TODAY)


def test_an_address_with_a_password_is_refused_and_not_repeated():
    with pytest.raises(ValueError, match=r"an address at cache\.example holds a user name or password") as caught:
        Item("a.nc", ("https://me:s3cr3t@cache.example/a.nc",))
    assert "s3cr3t" not in str(caught.value)
