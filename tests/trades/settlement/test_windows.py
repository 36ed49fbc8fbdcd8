"""When a window is cut: cron in a time zone, business days, clock changes, outages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.windows import scheduled
from trades.errors import BadSchedule
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.cut import cut_due
from trades.settlement.windows import due_cut, next_cuts, schedules

pytestmark = pytest.mark.django_db


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_window(cron: str, *, zone: str = "America/New_York", calendar: str = "", made: str = "2026-01-01T00:00"):
    window = SettlementWindow.objects.create(
        name=f"{cron} {zone} {calendar}", asset_kind="crypto", cron=cron, time_zone=zone, calendar=calendar
    )
    scheduled(SettlementWindow.objects.filter(pk=window.pk), since=utc(made))
    window.refresh_from_db()
    return window


def cuts(window: SettlementWindow, after: str, count: int) -> list[str]:
    return [cut.isoformat()[:16] for cut in next_cuts(window, utc(after), count)]


def was_cut(window: SettlementWindow, at: str) -> None:
    moment = utc(at)
    SettlementBatch.objects.create(
        window=window, asset_kinds="crypto", cut_at=moment, created_at=moment, updated_at=moment
    )


def test_nine_in_new_york_is_an_hour_earlier_in_utc_once_summer_time_begins():
    window = a_window("0 9 * * *")

    assert cuts(window, "2026-03-07T00:00", 3) == ["2026-03-07T14:00", "2026-03-08T13:00", "2026-03-09T13:00"]


def test_a_cut_in_the_hour_that_is_skipped_runs_once_right_after_it():
    window = a_window("30 2 * * *")  # there is no 02:30 on the 8th of March

    assert cuts(window, "2026-03-07T12:00", 3) == ["2026-03-08T07:00", "2026-03-09T06:30", "2026-03-10T06:30"]


def test_a_cut_in_the_hour_that_comes_twice_runs_once():
    window = a_window("30 1 * * *")  # 01:30 happens twice on the 1st of November

    assert cuts(window, "2026-10-31T12:00", 2) == ["2026-11-01T05:30", "2026-11-02T06:30"]


def test_an_hourly_cut_runs_in_both_of_the_hours_that_have_one_name():
    window = a_window("0 * * * *")

    assert cuts(window, "2026-11-01T04:30", 3) == ["2026-11-01T05:00", "2026-11-01T06:00", "2026-11-01T07:00"]


@pytest.mark.faults
def test_a_market_calendar_leaves_out_weekends_and_holidays():
    window = a_window("0 12 * * *", calendar="NYSE")

    # Thanksgiving is Thursday the 26th; then Friday, a weekend, Monday.
    assert cuts(window, "2026-11-25T00:00", 3) == ["2026-11-25T17:00", "2026-11-27T17:00", "2026-11-30T17:00"]


@pytest.mark.faults
def test_ten_cuts_across_the_end_of_summer_time_are_told_in_the_windows_own_hours():
    """Fault 32: 2026-11-01, a Sunday. Summer's 09:00 in New York is 13:00 UTC, winter's is 14:00."""
    window = a_window("0 9,17 * * *")

    assert cuts(window, "2026-10-30T00:00", 10) == [
        *("2026-10-30T13:00", "2026-10-30T21:00", "2026-10-31T13:00", "2026-10-31T21:00"),
        *("2026-11-01T14:00", "2026-11-01T22:00", "2026-11-02T14:00", "2026-11-02T22:00"),
        *("2026-11-03T14:00", "2026-11-03T22:00"),
    ]


@pytest.mark.faults
def test_ten_cuts_across_the_beginning_of_summer_time_with_one_at_an_hour_that_is_skipped():
    """Fault 32: 2027-03-14 has no 02:30 in New York; that cut comes right after the gap, and comes once."""
    window = a_window("30 2 * * *")

    assert cuts(window, "2027-03-09T00:00", 10) == [
        *(f"2027-03-{day:02}T07:30" for day in range(9, 14)),
        "2027-03-14T07:00",  # 03:00 in New York, the first moment after the clocks were put forward
        *(f"2027-03-{day:02}T06:30" for day in range(15, 19)),
    ]


@pytest.mark.faults
def test_ten_cuts_at_half_past_one_across_the_night_in_which_it_comes_twice():
    window = a_window("30 1 * * *")

    assert cuts(window, "2026-10-28T00:00", 10) == [
        *(f"2026-10-{day:02}T05:30" for day in range(28, 32)),
        "2026-11-01T05:30",  # the first of the two
        *(f"2026-11-{day:02}T06:30" for day in range(2, 7)),
    ]


@pytest.mark.parametrize("skipped", ["2027-03-14T06:59:59", "2027-03-14T07:00"])
@pytest.mark.faults
def test_a_cut_at_an_hour_that_is_skipped_is_due_once(skipped):
    """Whether the scheduler looks right before the gap or right after it: one cut, and never two."""
    window = a_window("30 2 * * *", made="2027-03-13T12:00")
    due = due_cut(window, utc(skipped))
    assert due == (utc("2027-03-14T07:00") if skipped.endswith("07:00") else None)

    was_cut(window, "2027-03-14T07:00")
    assert due_cut(window, utc("2027-03-14T23:00")) is None
    assert due_cut(window, utc("2027-03-15T06:30")) == utc("2027-03-15T06:30")


@pytest.mark.faults
def test_half_trading_days_are_business_days():
    """The exchange closes at 13:00 on the 27th of November and on Christmas Eve: still days with a cut."""
    window = a_window("0 16 * * *", calendar="NYSE")

    assert cuts(window, "2026-11-25T00:00", 2) == ["2026-11-25T21:00", "2026-11-27T21:00"]
    assert cuts(window, "2026-12-23T00:00", 3) == ["2026-12-23T21:00", "2026-12-24T21:00", "2026-12-28T21:00"]


def test_a_clock_change_on_a_day_that_is_no_business_day_brings_no_cut_of_its_own():
    """Fault 32: the skipped 02:30 is not made up for on Sunday where the calendar has no Sundays."""
    window = a_window("30 2 * * *", calendar="NYSE")

    assert cuts(window, "2027-03-12T00:00", 2) == ["2027-03-12T07:30", "2027-03-15T06:30"]


def test_the_day_that_counts_is_the_windows_own():
    tokyo = a_window("0 8 * * *", zone="Asia/Tokyo", calendar="NYSE")

    # Monday 08:00 in Tokyo is still Sunday in UTC.
    assert cuts(tokyo, "2026-06-06T00:00", 1) == ["2026-06-07T23:00"]


def test_the_cut_itself_is_due_and_a_moment_before_it_is_not():
    window = a_window("0 9 * * *", zone="UTC", made="2026-06-01T09:30")

    assert due_cut(window, utc("2026-06-02T08:59:59.999999")) is None
    assert due_cut(window, utc("2026-06-02T09:00")) == utc("2026-06-02T09:00")


def test_what_was_cut_is_not_due_again():
    window = a_window("0 9 * * *", zone="UTC", made="2026-06-01T09:30")
    was_cut(window, "2026-06-02T09:00")

    assert due_cut(window, utc("2026-06-03T08:00")) is None


def test_after_an_outage_only_the_latest_cut_is_due():
    window = a_window("0 9-17 * * *", zone="UTC", made="2026-06-01T00:00")
    was_cut(window, "2026-06-02T09:00")

    assert due_cut(window, utc("2026-06-02T12:40")) == utc("2026-06-02T12:00")
    assert due_cut(window, utc("2026-09-02T12:40")) == utc("2026-09-02T12:00")


@pytest.mark.parametrize(
    "broken", [{"cron": "every now and then"}, {"time_zone": "Mars/Olympus"}, {"calendar": "MARSEX"}]
)
def test_a_window_that_nobody_can_read_holds_up_no_other(broken):
    SettlementWindow.objects.update(is_active=False)
    bad = a_window("0 * * * *", zone="UTC")
    good = a_window("30 * * * *", zone="UTC")
    scheduled(SettlementWindow.objects.filter(pk=bad.pk), since=utc("2026-01-01T00:00"), **broken)
    bad.refresh_from_db()
    with pytest.raises(BadSchedule):
        due_cut(bad, utc("2026-06-02T12:40"))

    cut_due(utc("2026-06-02T12:40"))

    good.refresh_from_db()
    assert good.last_cut_at == utc("2026-06-02T12:30")


# --- schedules, as they are shown ------------------------------------------------------------------


def test_a_window_that_is_off_or_cannot_be_read_has_no_next_cuts_and_holds_up_no_other():
    on = SettlementWindow(name="on", cron="0 * * * *", time_zone="UTC")
    off = SettlementWindow(name="off", cron="0 * * * *", time_zone="UTC", is_active=False)
    unreadable = SettlementWindow(name="unreadable", cron="every hour", time_zone="UTC")

    told = schedules([unreadable, off, on], utc("2026-01-05 10:30"), 2)

    assert [(one.window.name, [cut.isoformat()[11:16] for cut in one.next_cuts]) for one in told] == [
        ("unreadable", []),
        ("off", []),
        ("on", ["11:00", "12:00"]),
    ]
