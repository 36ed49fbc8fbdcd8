"""Editing a window moves no money: a schedule counts from when it was made, changed or switched on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import clock
from accounts.models import Customer
from tests.given import a_customer, a_settling_buy, btc, btc_at, states
from tests.windows import scheduled
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.cut import cut_due
from trades.settlement.windows import _cuts, due_cut

pytestmark = pytest.mark.django_db

EDITS = [
    {"cron": "*/2 * * * *"},
    {"time_zone": "Asia/Tokyo"},
    {"calendar": "NYSE"},
    {"is_automatic": False},
    {"legs_are_automatic": False},
]


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def window() -> SettlementWindow:
    """Crypto's, of every minute, for an hour; the others are off."""
    SettlementWindow.objects.exclude(asset_kind="crypto").update(is_active=False)
    crypto = SettlementWindow.objects.filter(asset_kind="crypto")
    scheduled(crypto, cron="* * * * *", time_zone="UTC", calendar="", since=timezone.now() - timedelta(hours=1))
    return crypto.get()


def read_again(window: SettlementWindow) -> SettlementWindow:
    return SettlementWindow.objects.get(pk=window.pk)


# --- an edit counts from then ----------------------------------------------------------------------


@pytest.mark.parametrize("edit", EDITS)
def test_whatever_is_edited_of_a_schedule_no_cut_time_of_before_is_due(window, edit):
    """Guard: the trigger `schedule_counts_from_its_change`, also for whoever goes around the form."""
    assert due_cut(window, clock.now()) is not None
    began = clock.now()

    SettlementWindow.objects.filter(pk=window.pk).update(**edit)

    edited = read_again(window)
    assert began < edited.schedule_since < clock.now()
    assert due_cut(edited, clock.now()) is None


def test_what_was_missed_while_a_window_was_off_is_not_due_when_it_is_on_again(window, alice):
    bought = a_settling_buy(alice, btc("0.1"))
    for is_active in (False, True):
        SettlementWindow.objects.filter(pk=window.pk).update(is_active=is_active)

    assert cut_due(clock.now()) == []
    assert states(bought) == ["settling"]
    (batch,) = cut_due(clock.now() + timedelta(minutes=1))
    assert batch.cut_at > read_again(window).schedule_since


def test_another_name_changes_nothing_about_what_is_due(window):
    SettlementWindow.objects.filter(pk=window.pk).update(name="Another")

    assert read_again(window).schedule_since == window.schedule_since
    assert due_cut(read_again(window), clock.now()) is not None


def test_nobody_says_since_when_a_schedule_counts_but_the_database(window):
    """A thief's: an operator who would have a past cut made, or the next one skipped."""
    for moment in (timezone.now() - timedelta(days=9), timezone.now() + timedelta(days=9)):
        SettlementWindow.objects.filter(pk=window.pk).update(schedule_since=moment)
        assert read_again(window).schedule_since == window.schedule_since

    made = SettlementWindow.objects.create(
        name="New", asset_kind="metal", cron="* * * * *", schedule_since=timezone.now() - timedelta(days=9)
    )
    assert due_cut(read_again(made), clock.now()) is None


@pytest.mark.parametrize("change", [{"asset_kind": "metal"}, {"created_at": timezone.now() - timedelta(days=9)}])
def test_the_kind_of_a_window_and_when_it_was_made_are_fixed(window, change):
    """Guard: the trigger `never_changed`, from which follows that the application may not even name the columns."""
    with pytest.raises(IntegrityError), transaction.atomic():
        SettlementWindow.objects.filter(pk=window.pk).update(**change)

    window.asset_kind, window.name = "metal", "Another"
    window.save()
    assert (read_again(window).asset_kind, read_again(window).name) == ("crypto", "Another")


# --- a missed cut is found, however long ago -------------------------------------------------------


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "calendar", "missed"),
    [
        ("0 20 1 * *", "", "2026-06-01T20:00"),  # monthly
        ("0 20 31 1 *", "", "2026-01-31T20:00"),  # yearly
        ("0 20 29 2 *", "", "2024-02-29T20:00"),  # every fourth year
        ("0 20 4 7 *", "NYSE", None),  # a holiday every year
        ("* * * * *", "NYSE", "2026-06-16T03:59"),
    ],
)
def test_a_missed_cut_is_found_however_long_ago_and_it_is_one(window, cron, calendar, missed):
    only = SettlementWindow.objects.filter(pk=window.pk)
    scheduled(only, cron=cron, calendar=calendar, time_zone="UTC", since=utc("2022-01-01T00:00"))

    assert due_cut(read_again(window), utc("2026-06-16T03:59:59")) == (missed and utc(missed))


def test_after_a_year_without_a_scheduler_there_is_one_cut(window, alice):
    only = SettlementWindow.objects.filter(pk=window.pk)
    a_settling_buy(alice, btc("0.1"))
    scheduled(only, cron="0 0 1 * *", since=timezone.now() - timedelta(days=400))
    later = clock.now() + timedelta(days=365)

    assert [len(cut_due(later)) for _ in range(3)] == [1, 0, 0]
    assert SettlementBatch.objects.get().cut_at == later.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("cron", ["30 2 * * *", "30 1 * * 0", "0 * * * *", "*/7 1-3 * * *", "0 0 * * *", "59 23 * * 5"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Beirut", "Australia/Lord_Howe", "UTC"])
def test_looking_backwards_finds_what_looking_forwards_finds(window, cron, zone):
    """Across both changes of the clocks, weekends and holidays, at odd moments."""
    window.cron, window.time_zone, window.calendar = cron, zone, "NYSE" if zone == "America/New_York" else ""
    window.schedule_since = utc("2026-10-20T00:00")
    cuts = list(_cuts(window, window.schedule_since, utc("2027-04-12T00:00")))
    for hours in range(0, 170 * 24, 131):
        at = window.schedule_since + timedelta(hours=hours, minutes=hours % 60, microseconds=hours)
        assert due_cut(window, at) == max((cut for cut in cuts if cut <= at), default=None), at
