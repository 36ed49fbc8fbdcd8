"""Races over batches: cuts against cuts, exits against the cut, confirm against cancel; see also test_settlers.py."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Transfer
from quotes import prices
from tests.given import (
    a_customer,
    a_cut,
    a_quote,
    a_settling_buy,
    a_trade,
    an_exit_quote,
    btc,
    btc_at,
    deposit,
    executes,
    price_at,
    settle_everything,
    settles,
    usd,
    what_the_audit_finds,
)
from tests.many_trades import many_exits, many_exits_in_storing, many_settling_buys, the_market
from tests.races.together import TIMEOUT_SECONDS, together, wait_until_waiting
from tests.sizes import size
from tests.windows import scheduled, windows_kept
from trades.errors import BatchStateForbids, LegStateForbids, NothingToCut
from trades.models import LeftOut, SettlementBatch, SettlementWindow, Trade
from trades.settlement.approval import cancel, confirm
from trades.settlement.cut import cut_due, cut_now, cut_window, hold_membership
from trades.settlement.legs import settle_leg
from trades.settlement.membership import figures_beside, fingerprint, held_back
from trades.settlement.settle import begin
from trades.spot.advance import advance

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)


def moves(*trades: Trade) -> None:
    """The storing step, tried again while originals are locked, as the task does it."""
    ids = [trade.pk for trade in trades]
    while left := advance(ids, at=timezone.now(), prices=the_market).left:
        if not Trade.objects.filter(pk__in=left, state="storing").exists():
            return
        time.sleep(0.005)


@pytest.mark.faults
def test_exits_racing_one_cut_are_each_in_their_originals_batch_or_wait_with_it():
    """Fault 8 with a cut-off. Guard: originals whose exit, accepted in time, is still storing are passed over. Else an
    exit fails that was accepted in time."""
    customers = [a_customer(f"customer{number}", with_usd="100_000.00") for number in range(10)]
    bought = many_settling_buys(customers, size(200, 5_000))
    many_settling_buys(customers, 10)
    exits = many_exits_in_storing(bought)
    calls = [partial(moves, trade) for trade in exits]
    calls.insert(len(calls) // 3, a_cut)

    results = together(calls)

    assert [result for result in results if isinstance(result, Exception)] == []
    batch, live = SettlementBatch.objects.get(), Trade.objects.filter(trade_type="exit", state="settling")
    assert live.count() == len(exits)
    of_original = dict(Trade.objects.filter(trade_type="platform").values_list("pk", "batch_id"))
    assert [of_original[one.exiting_trade_id] == one.batch_id for one in live] == [True] * len(exits)
    assert batch.trades_count == Trade.objects.filter(batch_id=batch.pk).count()
    assert batch.members_sha256 == fingerprint(batch)
    settles(batch, chunk=37)
    if Trade.objects.filter(batch_id=None).exists():
        settle_everything()
    assert what_the_audit_finds() == []


def test_an_exit_accepted_in_time_that_is_being_stored_while_a_cut_runs_keeps_its_original_for_the_next():
    """Guard: `still_storing` in `held_back_from`. Without it the cut waits for the original's row and takes it, with or
    without the exit by chance of who is faster."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    bought, other = a_settling_buy(alice, btc("0.1")), a_settling_buy(alice, btc("0.01"))
    sold = executes(an_exit_quote(bought))
    holds_its_original, is_cut = threading.Event(), threading.Event()

    def exits_slowly() -> None:
        with transaction.atomic():
            assert advance([sold.pk], at=timezone.now(), prices=prices.latest).settling == 1
            holds_its_original.set()
            assert is_cut.wait(30)

    def cuts_meanwhile() -> SettlementBatch:
        holds_its_original.wait(TIMEOUT_SECONDS)
        batch = a_cut()
        is_cut.set()
        return batch

    _, batch = together([exits_slowly, cuts_meanwhile])

    assert not isinstance(batch, Exception), batch
    assert [Trade.objects.get(pk=one.pk).batch_id for one in (bought, sold, other)] == [None, None, batch.pk]
    assert batch.members_sha256 == fingerprint(batch)
    again = a_cut()
    assert again.trades_count == 2
    settles(batch)
    settles(again)
    assert what_the_audit_finds() == []


def test_a_quiet_cut_believes_what_was_read_beside_it_and_that_is_what_its_members_say():
    """Guard: what is read beside the cut asks for the same trades in the same order as the audit does for members."""
    customers = [a_customer(f"customer{number}", with_usd="1_000.00") for number in range(4)]
    many_exits(many_settling_buys(customers, 20)[::4])

    batch = a_cut()

    given = {"low": UUID(int=0), "symbols": ["BTC-USD"], "cut_at": timezone.now(), **held_back().params()}
    assert together([partial(figures_beside, given)])[0][0].trades == 0  # they are batched now
    assert (batch.trades_count, batch.customers_count) == (25, 4)
    assert batch.members_sha256 == fingerprint(batch)
    assert what_the_audit_finds() == []


def test_a_cut_does_without_what_can_not_be_read_beside_it(caplog):
    given = {"low": "no id", "symbols": [], "cut_at": timezone.now(), **held_back().params()}

    assert together([partial(figures_beside, given)]) == [None]
    assert "counts its members itself" in caplog.text


def test_many_schedulers_cut_one_window_once():
    """Guard: (window, cut_at) is unique and claimed first. Without the constraint each scheduler makes a batch."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    for _ in range(5):
        a_settling_buy(alice, btc("0.01"))
    window, now = SettlementWindow.objects.get(asset_kind="crypto"), timezone.now()

    results = together([partial(cut_window, window, now, now)] * 8)

    assert [result for result in results if isinstance(result, Exception)] == []
    (batch,) = [result for result in results if result is not None]
    assert batch.trades_count == 5
    assert SettlementBatch.objects.count() == 1


@pytest.mark.faults
def test_two_beats_cut_every_due_window_once():
    """Guard: one batch per window and cut time is a constraint, and the claim comes first. (See the constraint's
    own test beside it.)"""
    btc_at("40_000.00")
    for symbol in ("EUR-USD", "XAU-USD"):
        price_at(symbol, "1.10" if symbol == "EUR-USD" else "2_000.00")
    alice = a_customer(with_usd="100_000.00")
    a_settling_buy(alice, btc("0.01"))
    for symbol in ("EUR-USD", "XAU-USD"):
        a_trade(alice, symbol=symbol, deliver=usd("100.00"))
    made = timezone.now() - timedelta(minutes=3)  # long enough for a cut to be due, too short to cost the cores
    with windows_kept():
        scheduled(cron="* * * * *", calendar="", since=made)
        now = timezone.now() + timedelta(minutes=1)  # its last cut time is after the trades
        results = together([partial(cut_due, now)] * 6)

    assert [result for result in results if isinstance(result, Exception)] == []
    assert sum(len(result) for result in results) == SettlementBatch.objects.count() == 3


def test_windows_and_an_operator_cutting_at_once_share_the_trades_out():
    """Guard: `batch_id IS NULL`, looked at again once a row's lock is got. Without it a trade changes its batch.
    (The advisory lock keeps cuts that scan in different orders from deadlocking; small tables don't show that.)"""
    btc_at("40_000.00")
    alice = a_customer(with_usd="100_000.00")
    for _ in range(40):
        a_settling_buy(alice, btc("0.01"))
    windows, now = list(SettlementWindow.objects.all()), timezone.now()

    results = together([*(partial(cut_window, window, now, now) for window in windows), a_cut, a_cut])

    assert {type(result) for result in results if isinstance(result, Exception)} <= {NothingToCut}
    assert sum(SettlementBatch.objects.values_list("trades_count", flat=True)) == 40
    assert what_the_audit_finds() == []


@pytest.mark.faults
def test_of_two_confirmers_one_wins_and_what_was_cancelled_stays_cancelled():
    """Fault 10. Guard: the batch's row is locked before its state is looked at. Without it both confirmers believe they
    won."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    a_settling_buy(alice, 10_000)
    for _ in range(size(10, 1_000)):
        batch, now = a_cut(), timezone.now()
        confirms = partial(confirm, batch.pk, by=SYSTEM, at=now)
        results = together([confirms] * 4)
        assert Counter(type(result) for result in results) == {SettlementBatch: 1, BatchStateForbids: 3}
        cancel(batch.pk, by=SYSTEM, at=now)

        batch = a_cut()
        confirmed, cancelled = together(
            [partial(confirm, batch.pk, by=SYSTEM, at=now), partial(cancel, batch.pk, by=SYSTEM, at=now)]
        )
        assert isinstance(cancelled, SettlementBatch)
        assert isinstance(confirmed, (SettlementBatch, BatchStateForbids))
        assert SettlementBatch.objects.get(pk=batch.pk).state == "cancelled"

    settle_everything()
    assert what_the_audit_finds() == []


@pytest.mark.parametrize("first", ["begins", "cancels"])
def test_of_a_first_part_and_a_cancel_at_once_one_wins(first):
    """Fault 10 with parts. Guards, one behind the other: whoever begins or cancels takes the membership lock, and locks
    the batch's row before its state is looked at. Without both the second one isn't told who won."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    a_settling_buy(alice, 10_000)
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False, completes_in_order=True)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    leg, is_done = batch.legs.get(asset="BTC"), threading.Event()

    def begins() -> None:
        begin(batch.pk, timezone.now())
        settle_leg(leg.pk, actual=4_000, reference="tx 1", by=SYSTEM, at=timezone.now())

    def cancels() -> None:
        cancel(batch.pk, by=SYSTEM, at=timezone.now())

    def takes_its_time(does: Callable[[], None]) -> None:
        with transaction.atomic():
            does()
            is_done.set()
            wait_until_waiting()

    def comes_meanwhile(does: Callable[[], None]) -> None:
        assert is_done.wait(TIMEOUT_SECONDS)
        does()

    one, other = (begins, cancels) if first == "begins" else (cancels, begins)
    results = together([partial(takes_its_time, one), partial(comes_meanwhile, other)])

    assert results[0] is None
    assert isinstance(results[1], BatchStateForbids if first == "begins" else LegStateForbids)
    batch.refresh_from_db()
    leg.refresh_from_db()
    found = batch.state, leg.status, Transfer.objects.filter(kind="leg_settled").count()
    assert found == (("settling", "partially_settled", 1) if first == "begins" else ("cancelled", "pending", 0))
    assert what_the_audit_finds() == []


def test_deposits_and_trades_go_on_while_a_batch_settles():
    """Guard: settling locks accounts in id order like everybody else. Locked as they are scanned, it deadlocks."""
    btc_at("40_000.00")
    customers = [a_customer(f"customer{number}", with_usd="5_000.00") for number in range(8)]
    many_settling_buys(customers, 40)
    fresh = []
    for _ in range(12):
        btc_at("40_000.00")  # a dozen rounds may take longer than a price lasts
        fresh.append([executes(a_quote(customer, deliver=usd("50.00"))) for customer in customers])
    batch = a_cut()
    batch = confirm(batch.pk, by=SYSTEM, at=timezone.now())

    calls = [partial(settles, batch, chunk=8), *(partial(moves, *trades) for trades in fresh)]
    calls += [partial(deposit, customer, "BTC", "0.01") for customer in reversed(customers)]
    results = together(calls)

    assert [result for result in results if isinstance(result, Exception)] == []
    assert what_the_audit_finds() == []


def test_a_window_that_is_edited_while_a_scheduler_waits_its_turn_is_not_cut_by_what_it_was():
    """Guard: a scheduler asks the window again under its lock. By what it had read it would cut one that is off."""
    btc_at("40_000.00")
    a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"))
    holds, edited = threading.Event(), threading.Event()

    def cuts_elsewhere() -> None:
        with transaction.atomic():
            hold_membership()
            holds.set()
            wait_until_waiting()
            SettlementWindow.objects.update(is_active=False)
            edited.set()

    def cuts_by_schedule() -> list[SettlementBatch]:
        holds.wait(TIMEOUT_SECONDS)
        return cut_due(timezone.now() + timedelta(minutes=1))

    with windows_kept():
        scheduled(cron="* * * * *", calendar="", since=timezone.now() - timedelta(minutes=3))
        _, batches = together([cuts_elsewhere, cuts_by_schedule])

    assert edited.is_set()
    assert batches == []


# --- the edge of a cut -----------------------------------------------------------------------------


@pytest.mark.faults
def test_twenty_exits_of_one_trade_accepted_around_a_cut_time_leave_one_live_in_its_originals_batch_or_none():
    """Fault 9 with a cut-off. Guard: the exits of what was taken are taken, too, in a statement after it
    (`_TAKE_EXITS`). What decides between in time and later has tests of its own, where nothing is left to chance."""
    alice = a_customer(with_usd="100_000.00")
    for _ in range(size(3, 100)):
        btc_at("40_000.00")
        bought, other = a_settling_buy(alice, btc("0.001")), a_settling_buy(alice, btc("0.001"))
        cut_at = timezone.now() + timedelta(milliseconds=50)
        around = [cut_at + timedelta(milliseconds=2 * number - 19) for number in range(20)]
        exits = [executes(an_exit_quote(bought), at=at) for at in around]
        calls = [partial(moves, trade) for trade in exits]
        calls.insert(7, partial(cut_now, at=cut_at, by=SYSTEM))

        results = together(calls)

        assert [result for result in results if isinstance(result, Exception)] == []
        live = Trade.objects.get(reference_trade=bought, state="settling")
        bought.refresh_from_db()
        other.refresh_from_db()
        assert other.batch_id is not None
        assert live.batch_id == bought.batch_id
        assert bought.batch_id in (None, other.batch_id)
        assert bought.batch_id is None or live.created_at < cut_at
    if Trade.objects.filter(batch_id=None, state="settling").exists():
        settle_everything()
    assert what_the_audit_finds() == []


def test_a_trade_accepted_in_time_and_committed_after_the_cut_time_is_in_the_cut():
    """Guard: `wait_for_commits`. Without it the scheduled cut goes without a trade that it can't see yet."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    cut_at = timezone.now().replace(second=0, microsecond=0)
    early = [executes(a_quote(alice, receive=10_000, at=cut_at - SECOND), at=cut_at - SECOND) for _ in range(2)]
    moves(early[0])
    late = a_quote(alice, receive=10_000, at=cut_at - SECOND)
    is_written = threading.Event()

    def accepts_slowly() -> Trade:
        with transaction.atomic():
            trade = executes(late, at=cut_at - timedelta(milliseconds=1))
            is_written.set()
            time.sleep(1)
        return trade

    def cuts_meanwhile() -> list[SettlementBatch]:
        is_written.wait(TIMEOUT_SECONDS)
        return cut_due(cut_at + SECOND)

    moves(early[1])
    with windows_kept():
        SettlementWindow.objects.exclude(asset_kind="crypto").update(is_active=False)
        crypto = SettlementWindow.objects.filter(asset_kind="crypto")
        scheduled(crypto, cron="* * * * *", time_zone="UTC", calendar="", since=cut_at - timedelta(hours=1))
        trade, batches = together([accepts_slowly, cuts_meanwhile])
        assert batches == []  # it was seen, in storing, and is waited for
        moves(trade)
        (batch,) = cut_due(cut_at + 11 * SECOND)

    assert batch.trades_count == 3
    assert Trade.objects.get(pk=trade.pk).batch_id == batch.pk


def test_accepting_trades_never_waits_for_a_cut_and_a_cut_not_for_those_that_come_later():
    """Guard: a cut waits for those whom it saw, not until nobody is accepting: there is always somebody."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    a_settling_buy(alice, btc("0.01"))
    quotes = [a_quote(alice, receive=10_000) for _ in range(80)]
    is_over = threading.Event()

    def accepts(some: list, seconds: float) -> int:
        for quote in some:
            with transaction.atomic():
                executes(quote)
                time.sleep(seconds)
        is_over.set()
        return len(some)

    def cuts() -> bool:
        time.sleep(0.1)
        a_cut()
        return is_over.is_set()

    calls = [partial(accepts, quotes[turn::4], 0.1 + 0.03 * turn) for turn in range(4)]
    results = together([*calls, cuts])

    assert results == [20, 20, 20, 20, False]


def test_an_original_whose_later_exit_begins_to_live_while_the_cut_runs_is_given_back():
    """Guard: `_GIVE_BACK`. Without it the exit, accepted after the cut time, is in the batch; and without reading the
    members again its fingerprint is of others."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    bought, other = a_settling_buy(alice, btc("0.1")), a_settling_buy(alice, btc("0.01"))
    cut_at = timezone.now()
    sold = executes(an_exit_quote(bought))
    holds_its_original = threading.Event()

    def exits_slowly() -> None:
        with transaction.atomic():
            assert advance([sold.pk], at=timezone.now(), prices=prices.latest).settling == 1
            holds_its_original.set()
            wait_until_waiting()
            time.sleep(0.3)

    def cuts_meanwhile() -> SettlementBatch:
        holds_its_original.wait(TIMEOUT_SECONDS)
        return cut_now(at=cut_at, by=SYSTEM)

    _, batch = together([exits_slowly, cuts_meanwhile])

    assert not isinstance(batch, Exception), batch
    assert [Trade.objects.get(pk=one.pk).batch_id for one in (bought, sold, other)] == [None, None, batch.pk]
    assert (batch.trades_count, batch.members_sha256) == (1, fingerprint(batch))
    assert list(LeftOut.objects.values_list("trade_id", "reason")) == [(bought.pk, "exited_later")]
    settles(batch)
    settle_everything()
    assert what_the_audit_finds() == []
