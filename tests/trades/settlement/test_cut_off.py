"""A batch holds what was accepted before its cut time, whenever the cut runs, and says why of whatever it left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import clock
from accounts.identity import SYSTEM
from accounts.models import Customer
from tests.caller import a_firm
from tests.given import (
    a_customer,
    a_cut,
    a_quote,
    a_settling_buy,
    an_exit_quote,
    btc,
    btc_at,
    executes,
    exits,
    price_at,
    settles,
    states,
    stores,
    what_the_audit_finds,
)
from tests.moved_clock import moved_ahead
from tests.windows import scheduled
from tests.without_guards import without_guards
from trades.models import LeftOut, SettlementBatch, SettlementWindow, Trade
from trades.settlement.cut import cut_due, cut_now, cut_window, preview

pytestmark = pytest.mark.django_db

MILLISECOND, MICROSECOND, A_MINUTE = timedelta(milliseconds=1), timedelta(microseconds=1), timedelta(minutes=1)


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


@pytest.fixture(params=[timedelta(0), timedelta(hours=1)], ids=["real time", "an hour ahead"])
def cut_time(request: pytest.FixtureRequest) -> Iterator[datetime]:
    """A moment some seconds ago, and whole seconds: what comes right after it is no time to come either.

    By the firm's time, which is the real one or was moved ahead of it.
    """
    with moved_ahead(request.param):
        yield clock.firm_now().replace(microsecond=0) - timedelta(seconds=15)


@pytest.fixture
def crypto() -> SettlementWindow:
    return SettlementWindow.objects.get(asset_kind="crypto")


@pytest.fixture
def every_minute(crypto: SettlementWindow) -> SettlementWindow:
    """Crypto's window, of every minute, for an hour; the others are off."""
    SettlementWindow.objects.exclude(pk=crypto.pk).update(is_active=False)
    only = SettlementWindow.objects.filter(pk=crypto.pk)
    scheduled(only, cron="* * * * *", time_zone="UTC", calendar="", since=timezone.now() - timedelta(hours=1))
    return only.get()


def accepted(customer: Customer, at: datetime) -> Trade:
    """A trade in storing that was accepted at this moment."""
    return executes(a_quote(customer, receive=10_000, at=at - timedelta(seconds=1)), at=at)


def settling(customer: Customer, at: datetime) -> Trade:
    trade = accepted(customer, at)
    stores(trade)
    assert trade.state == "settling", trade.failure_code
    return trade


def exit_accepted(original: Trade, at: datetime) -> Trade:
    return executes(an_exit_quote(original), at=at)


def batch_of(trade: Trade) -> Any:
    return Trade.objects.get(pk=trade.pk).batch_id


def left_out_of(batch: SettlementBatch) -> dict[Any, str]:
    return dict(LeftOut.objects.filter(batch=batch).values_list("trade_id", "reason"))


# --- the edge --------------------------------------------------------------------------------------


def test_what_was_accepted_a_microsecond_before_is_in_and_what_was_at_the_very_moment_is_in_the_next(
    alice, crypto, cut_time
):
    """Guard: `created_at < cut_at` in the statement that takes originals."""
    times = (-MILLISECOND, -MICROSECOND, timedelta(0), MICROSECOND, MILLISECOND)
    trades = [settling(alice, cut_time + one) for one in times]

    batch = cut_window(crypto, cut_time, clock.firm_now())

    assert [batch_of(trade) == batch.pk for trade in trades] == [True, True, False, False, False]
    assert (batch.trades_count, left_out_of(batch)) == (2, {})
    again = cut_window(crypto, cut_time + 2 * MILLISECOND, clock.firm_now())
    assert again.trades_count == 3
    assert what_the_audit_finds() == []


def test_a_batch_can_be_computed_from_what_is_shown_of_trades_and_batch(alice, cut_time):
    """A cut by hand has its time to the millisecond, as trades are shown theirs; either way cut off."""
    asked = cut_time + timedelta(microseconds=500_700)
    trades = [settling(alice, cut_time + timedelta(microseconds=499_500 + 300 * turn)) for turn in range(6)]

    cut_now(at=asked, by=SYSTEM)

    firm = a_firm()
    (batch,) = firm.get("/api/settlement_batches")[1]["objects"]
    shown = firm.get("/api/trades", per_page="100")[1]["objects"]
    members = {one["guid"] for one in shown if one.get("settlement_batch_guid")}
    assert members == {one["guid"] for one in shown if one["created_at"] < batch["cut_at"]}
    assert 0 < len(members) < len(trades)


def test_a_job_that_runs_late_takes_what_the_job_in_time_would_have_taken(alice, every_minute):
    """A trade of 21:10 was in the batch of 20:00."""
    cut_at = clock.now().replace(second=0, microsecond=0)
    early, late = settling(alice, cut_at - MILLISECOND), settling(alice, cut_at + MILLISECOND)

    (batch,) = cut_due(cut_at + timedelta(seconds=59))

    assert batch.cut_at == cut_at
    assert (batch_of(early), batch_of(late)) == (batch.pk, None)


def test_after_an_outage_the_one_cut_takes_what_the_missed_ones_would_have_taken_and_no_more(alice, every_minute):
    cut_at = clock.now().replace(second=0, microsecond=0)
    trades = [settling(alice, cut_at + one) for one in (-2 * A_MINUTE, -A_MINUTE, -MILLISECOND, timedelta(0))]

    (batch,) = cut_due(cut_at + timedelta(seconds=30))

    assert [batch_of(trade) == batch.pk for trade in trades] == [True, True, True, False]


# --- exits around the cut --------------------------------------------------------------------------


def test_an_exit_accepted_in_time_is_in_its_originals_batch_and_a_later_one_keeps_it_for_the_next(
    alice, crypto, cut_time
):
    """Guard: `created_at >= cut_at` in `_EXITED_LATER`; the audit names the exit that was taken too early."""
    one, other, plain = (settling(alice, cut_time - timedelta(seconds=2)) for _ in range(3))
    in_time, later = exit_accepted(one, cut_time - MICROSECOND), exit_accepted(other, cut_time)
    stores(in_time, later)
    assert states(in_time, later) == ["settling", "settling"]

    batch = cut_window(crypto, cut_time, clock.firm_now())

    assert {batch_of(trade) for trade in (one, in_time, plain)} == {batch.pk}
    assert (batch_of(other), batch_of(later)) == (None, None)
    assert left_out_of(batch) == {other.pk: "exited_later"}
    again = cut_window(crypto, cut_time + timedelta(seconds=1), clock.firm_now())
    assert {batch_of(other), batch_of(later)} == {again.pk}
    settles(batch)
    settles(again)
    assert what_the_audit_finds() == []


def test_an_exit_accepted_later_that_does_not_live_when_the_cut_runs_finds_its_original_batched(
    alice, crypto, cut_time
):
    original = settling(alice, cut_time - MILLISECOND)
    sold = exit_accepted(original, cut_time + MILLISECOND)

    batch = cut_window(crypto, cut_time, clock.firm_now())
    stores(sold)

    assert batch_of(original) == batch.pk
    assert (sold.state, sold.failure_code, batch_of(sold)) == ("failed", "invalid_reference_trade", None)
    assert left_out_of(batch) == {}


def test_who_exits_at_the_edge_postpones_settlement_once_and_not_again(alice, crypto, cut_time):
    """A thief's: a partner who would have a trade never settle, by an exit after each cut time."""
    original = settling(alice, cut_time - MILLISECOND)
    sold = exit_accepted(original, cut_time + MILLISECOND)
    stores(sold)
    assert cut_window(crypto, cut_time, clock.firm_now()) is None

    another = exit_accepted(original, cut_time + timedelta(seconds=10))
    stores(another)
    assert another.failure_code == "invalid_reference_trade"
    batch = cut_window(crypto, cut_time + timedelta(seconds=5), clock.firm_now())

    assert {batch_of(original), batch_of(sold)} == {batch.pk}


# --- storing at the cut ----------------------------------------------------------------------------


def test_what_is_still_storing_at_a_cut_by_hand_is_told_and_goes_into_the_next_batch(alice):
    """With it an original whose exit was accepted in time: the exit isn't refused because we were slow."""
    bought, other = a_settling_buy(alice, btc("0.1")), a_settling_buy(alice, btc("0.1"))
    stored, sold = executes(a_quote(alice, receive=1000)), executes(an_exit_quote(bought))
    assert [preview(["crypto"], clock.now()).trades, preview(["crypto"], clock.now()).left_out] == [
        1,
        [("still_storing", 3)],
    ]

    batch = a_cut()

    assert batch.trades_count == 1
    assert batch_of(other) == batch.pk
    assert left_out_of(batch) == dict.fromkeys((stored.pk, sold.pk, bought.pk), "still_storing")
    stores(stored, sold)
    again = a_cut()
    assert {batch_of(trade) for trade in (stored, sold, bought)} == {again.pk}
    assert what_the_audit_finds() == []


def test_a_scheduled_cut_waits_until_nothing_accepted_in_time_is_storing(alice, every_minute):
    """Guard: `_waits`. Without it the trade, accepted in time, is in the next batch."""
    cut_at = clock.now().replace(second=0, microsecond=0)
    early = settling(alice, cut_at - timedelta(seconds=1))
    stored, after = accepted(alice, cut_at - MILLISECOND), accepted(alice, cut_at + MILLISECOND)

    assert cut_due(cut_at + timedelta(seconds=1)) == []
    assert batch_of(early) is None
    stores(stored)
    (batch,) = cut_due(cut_at + timedelta(seconds=11))

    assert {batch_of(early), batch_of(stored)} == {batch.pk}
    assert (batch_of(after), left_out_of(batch)) == (None, {})


def test_a_scheduled_cut_waits_for_some_minutes_and_no_longer_from_when_it_first_looked(
    alice, every_minute, settings, caplog
):
    """After an outage as well: what has stood in storing for an hour can't have been swept before the workers came."""
    cut_at = clock.now().replace(second=0, microsecond=0)
    only = SettlementWindow.objects.filter(pk=every_minute.pk)
    minute = f"{cut_at.minute} {cut_at.hour} * * *"
    scheduled(only, cron=minute, since=cut_at - timedelta(hours=1))
    settings.CUT_WAIT_SECONDS = 60
    early, stored = settling(alice, cut_at - MILLISECOND), accepted(alice, cut_at - MILLISECOND)
    looked = cut_at + timedelta(minutes=50)

    assert cut_due(looked) == cut_due(looked + timedelta(seconds=59)) == []
    (batch,) = cut_due(looked + timedelta(seconds=60))

    assert batch_of(early) == batch.pk
    assert left_out_of(batch) == {stored.pk: "still_storing"}
    assert "goes without trades that are still storing" in caplog.text
    stores(stored)
    tomorrow = cut_at + timedelta(days=1)
    assert [one.first_trade_id for one in cut_due(tomorrow)] == [stored.pk]


def test_each_cut_waits_anew_and_a_clock_that_was_ahead_makes_none_wait_for_ever(alice, every_minute, settings):
    settings.CUT_WAIT_SECONDS = 30
    cut_at = clock.now().replace(second=0, microsecond=0)
    only = SettlementWindow.objects.filter(pk=every_minute.pk)
    settling(alice, cut_at - MILLISECOND)
    accepted(alice, cut_at - MILLISECOND)
    for before in (cut_at - timedelta(days=1), cut_at + timedelta(days=365)):
        only.update(waits_since=before)
        assert cut_due(cut_at + timedelta(seconds=5)) == []
        assert only.get().waits_since == cut_at + timedelta(seconds=5)

    assert len(cut_due(cut_at + timedelta(seconds=35))) == 1


def test_a_trade_of_another_kind_in_storing_holds_up_no_cut(alice, every_minute):
    price_at("XAU-USD", "2_000.00")
    cut_at = clock.now().replace(second=0, microsecond=0)
    settling(alice, cut_at - MILLISECOND)
    executes(
        a_quote(alice, receive=10_000, symbol="XAU-USD", at=cut_at - timedelta(seconds=5)), at=cut_at - MILLISECOND
    )

    assert len(cut_due(cut_at + timedelta(seconds=1))) == 1


# --- told, and compared ----------------------------------------------------------------------------


def test_the_audit_names_a_member_that_was_not_accepted_before_the_cut_time(alice):
    """Also one that was moved there behind the guards."""
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_cut()
    without_guards("trades_settlementbatch", "UPDATE trades_settlementbatch SET cut_at = %s", bought.created_at)

    named = [one for one in what_the_audit_finds() if one.startswith("cut-offs")]
    assert named == [
        f"cut-offs: Trade {bought.pk.hex} is in batch {batch.pk.hex}, whose cut time,"
        f" {bought.created_at:%Y-%m-%d %H:%M:%S.%f}"[:-3]
        + " UTC, is no later."
    ]
    without_guards("trades_settlementbatch", "UPDATE trades_settlementbatch SET has_cut_off = false")
    assert not [one for one in what_the_audit_finds() if one.startswith("cut-offs")]


def test_the_reasons_are_told_by_the_api(alice, crypto, cut_time):
    original = settling(alice, cut_time - MILLISECOND)
    settling(alice, cut_time - MILLISECOND)
    stores(exit_accepted(original, cut_time + MILLISECOND))
    batch = cut_window(crypto, cut_time, clock.firm_now())

    told = a_firm().get(f"/api/settlement_batches/{batch.pk.hex}/left_out", reason="exited_later")[1]["objects"]

    assert [(one["trade_guid"], one["stage"], one["detail"]) for one in told] == [(original.pk.hex, "cut", "")]
    assert exits(settling(alice, cut_time)).state == "settling"
