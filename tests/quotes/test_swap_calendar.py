"""Nights across changes of the clocks, after outages, and how often each counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotes.swap_calendar import cutoff, nights, times_counted

NEW_YORK = ZoneInfo("America/New_York")
FIVE = time(17, 0)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_night_is_due_from_its_cut_off_on():
    wednesday = date(2026, 7, 1)

    assert nights(date(2026, 6, 30), utc("2026-07-01 20:59:59.999"), FIVE, NEW_YORK) == []
    assert nights(date(2026, 6, 30), utc("2026-07-01 21:00"), FIVE, NEW_YORK) == [(wednesday, utc("2026-07-01 21:00"))]
    assert nights(wednesday, utc("2026-07-02 20:59"), FIVE, NEW_YORK) == []


def test_after_an_outage_every_night_that_was_missed_is_due_oldest_first():
    due = nights(date(2026, 6, 30), utc("2026-07-04 12:00"), FIVE, NEW_YORK)

    assert [night.day for night, _ in due] == [1, 2, 3]


def test_before_the_first_night_only_the_latest_is_due():
    assert nights(None, utc("2026-07-01 20:00"), FIVE, NEW_YORK) == [(date(2026, 6, 30), utc("2026-06-30 21:00"))]


@pytest.mark.parametrize(
    ("after", "until", "cutoffs"),
    [
        (date(2026, 3, 6), "2026-03-09 23:00", ["2026-03-07 22:00", "2026-03-08 21:00", "2026-03-09 21:00"]),
        (date(2026, 10, 30), "2026-11-02 23:00", ["2026-10-31 21:00", "2026-11-01 22:00", "2026-11-02 22:00"]),
    ],
)
def test_the_cut_off_keeps_its_local_time_when_the_clocks_change(after, until, cutoffs):
    assert [at for _, at in nights(after, utc(until), FIVE, NEW_YORK)] == [utc(text) for text in cutoffs]


def test_an_hour_that_is_skipped_comes_an_hour_later_and_one_that_comes_twice_comes_once():
    half_past = time(2, 30)
    assert cutoff(date(2026, 3, 8), half_past, NEW_YORK) == utc("2026-03-08 07:30")  # 03:30 by the new clock

    fall = nights(date(2026, 10, 31), utc("2026-11-01 23:00"), time(1, 30), NEW_YORK)
    assert fall == [(date(2026, 11, 1), utc("2026-11-01 05:30"))]  # the first 01:30
    assert nights(date(2026, 11, 1), utc("2026-11-01 06:30"), time(1, 30, fold=1), NEW_YORK) == []


@given(
    begin=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    pauses=st.lists(st.timedeltas(timedelta(0), timedelta(days=5)), max_size=20),
    at=st.times().map(lambda given: given.replace(second=0, microsecond=0)),
    zone=st.sampled_from(["America/New_York", "Europe/London", "UTC", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_however_often_one_looks_every_night_comes_once_in_order_and_not_before_its_cut_off(begin, pauses, at, zone):
    place = ZoneInfo(zone)
    seen = nights(None, begin, at, place)
    now = begin
    for pause in pauses:
        now += pause
        seen += nights(seen[-1][0], now, at, place)

    days = [night for night, _ in seen]
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert [moment for _, moment in seen] == sorted({moment for _, moment in seen})
    assert seen[-1][1] <= now < cutoff(days[-1] + timedelta(days=1), at, place)


MONDAY = date(2026, 6, 29)
WEEK = [MONDAY + timedelta(days=number) for number in range(7)]


def test_without_a_triple_day_every_night_counts_once():
    assert [times_counted(night, None) for night in WEEK] == [1] * 7


def test_the_triple_day_counts_the_weekend_and_a_week_is_seven_nights_whichever_it_is():
    assert [times_counted(night, 2) for night in WEEK] == [1, 1, 3, 1, 1, 0, 0]
    for triple in range(5):
        assert sum(times_counted(night, triple) for night in WEEK) == 7
