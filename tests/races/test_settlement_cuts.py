"""Races over batches: cuts against cuts, exits against the cut, confirm against cancel; see also test_settlers.py."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.identity import SYSTEM
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
from trades.errors import BatchStateForbids, NothingToCut
from trades.models import SettlementBatch, SettlementWindow, Trade
from trades.settlement.approval import cancel, confirm
from trades.settlement.cut import cut_due, cut_window
from trades.settlement.membership import figures_beside, fingerprint, held_back
from trades.spot.advance import advance

pytestmark = pytest.mark.django_db(transaction=True)


def moves(*trades: Trade) -> None:
    """The storing step, tried again while originals are locked, as the task does it."""
    ids = [trade.pk for trade in trades]
    while left := advance(ids, at=timezone.now(), prices=the_market).left:
        if not Trade.objects.filter(pk__in=left, state="storing").exists():
            return
        time.sleep(0.005)


@pytest.mark.faults
def test_exits_racing_one_cut_are_each_in_their_originals_batch_or_failed():
    """Guard: the cut takes the exits in a statement of its own, after the originals. In one statement an exit that
    committed while the cut waited for its original is missed, and stays behind unbatched."""
    customers = [a_customer(f"customer{number}", with_usd="100_000.00") for number in range(10)]
    bought = many_settling_buys(customers, size(200, 5_000))
    exits = many_exits_in_storing(bought)
    calls = [partial(moves, trade) for trade in exits]
    calls.insert(len(calls) // 3, a_cut)

    results = together(calls)

    assert [result for result in results if isinstance(result, Exception)] == []
    found = Counter(Trade.objects.filter(trade_type="exit").values_list("state", "failure_code"))
    assert set(found) <= {("settling", None), ("failed", "invalid_reference_trade")}
    batch = SettlementBatch.objects.get()
    in_time = Trade.objects.filter(trade_type="exit", state="settling")
    assert set(in_time.values_list("batch_id", flat=True)) <= {batch.pk}
    assert batch.trades_count == len(bought) + in_time.count()
    settles(batch, chunk=37)
    assert what_the_audit_finds() == []


def test_an_exit_that_holds_its_original_while_the_cut_waits_is_in_the_batch():
    """Guard: the same, made to happen: the exit commits exactly while the cut waits for the original's row.

    And the numbers that are compared: what was read beside the cut doesn't know the exit, and must not be believed.
    """
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"))
    sold = executes(an_exit_quote(bought))

    holds_its_original = threading.Event()

    def exits_slowly() -> None:
        with transaction.atomic():
            assert advance([sold.pk], at=timezone.now(), prices=prices.latest).settling == 1
            holds_its_original.set()
            wait_until_waiting()
            time.sleep(0.3)  # and until the reader beside the cut has read

    def cuts_meanwhile() -> SettlementBatch:
        holds_its_original.wait(TIMEOUT_SECONDS)
        return a_cut()

    _, batch = together([exits_slowly, cuts_meanwhile])

    assert not isinstance(batch, Exception), batch
    assert Trade.objects.get(pk=sold.pk).batch_id == batch.pk
    assert batch.trades_count == 2
    assert batch.members_sha256 == fingerprint(batch)
    settles(batch)
    assert what_the_audit_finds() == []


def test_a_quiet_cut_believes_what_was_read_beside_it_and_that_is_what_its_members_say():
    """Guard: what is read beside the cut asks for the same trades in the same order as the audit does for members."""
    customers = [a_customer(f"customer{number}", with_usd="1_000.00") for number in range(4)]
    many_exits(many_settling_buys(customers, 20)[::4])

    batch = a_cut()

    given = {"low": UUID(int=0), "symbols": ["BTC-USD"], **held_back().params()}
    assert together([partial(figures_beside, given)])[0][0].trades == 0  # they are batched now
    assert (batch.trades_count, batch.customers_count) == (25, 4)
    assert batch.members_sha256 == fingerprint(batch)
    assert what_the_audit_finds() == []


def test_a_cut_does_without_what_can_not_be_read_beside_it(caplog):
    given = {"low": "no id", "symbols": [], **held_back().params()}

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
    SettlementWindow.objects.update(cron="* * * * *", calendar="", created_at=made)
    try:
        now = timezone.now()
        results = together([partial(cut_due, now)] * 6)
    finally:
        SettlementWindow.objects.update(cron="0 9-17 * * *", calendar="NYSE", created_at=timezone.now())

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
    """Guard: the batch's row is locked before its state is looked at. Without it both confirmers believe they won."""
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


def test_deposits_and_trades_go_on_while_a_batch_settles():
    """Guard: settling locks accounts in id order like everybody else. Locked as they are scanned, it deadlocks."""
    btc_at("40_000.00")
    customers = [a_customer(f"customer{number}", with_usd="5_000.00") for number in range(8)]
    many_settling_buys(customers, 40)
    btc_at("40_000.00")
    fresh = [[executes(a_quote(customer, deliver=usd("50.00"))) for customer in customers] for _ in range(12)]
    batch = a_cut()
    batch = confirm(batch.pk, by=SYSTEM, at=timezone.now())

    calls = [partial(settles, batch, chunk=8), *(partial(moves, *trades) for trades in fresh)]
    calls += [partial(deposit, customer, "BTC", "0.01") for customer in reversed(customers)]
    results = together(calls)

    assert [result for result in results if isinstance(result, Exception)] == []
    assert what_the_audit_finds() == []
