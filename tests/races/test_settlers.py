"""Races of settlers: against each other, against deposits, and against whoever takes a completed trade back."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Customer, LedgerAccount, Transfer
from tests.given import (
    a_customer,
    a_cut,
    a_trade,
    balance,
    btc,
    btc_at,
    deposit,
    price_at,
    settles,
    states,
    usd,
    what_the_audit_finds,
)
from tests.many_trades import many_exits, many_settling_buys
from tests.races.together import TIMEOUT_SECONDS, together, wait_until_waiting
from tests.trades.corrections.staff import applies, why
from trades.corrections.propose import propose_trade_reversal
from trades.models import SettlementBatch, SettlementLeg, Trade
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import settle_leg
from trades.settlement.settle import _claim, settle_chunk

pytestmark = pytest.mark.django_db(transaction=True)


def some_customers(count: int) -> list[Customer]:
    return [a_customer(f"customer{number}", with_usd="1_000.00") for number in range(count)]


def a_confirmed_batch() -> SettlementBatch:
    return confirm(a_cut().pk, by=SYSTEM, at=timezone.now())


def test_four_settlers_of_one_batch_share_it_out_and_pay_once():
    """Guard: a slice that was claimed is looked for in `slices_done` once more. Without it a settler does a slice that
    another one did a moment ago, and a CHECK refuses the batch more slices than it has."""
    customers = some_customers(20)
    bought = many_settling_buys(customers, 60)
    many_exits(bought[::5])
    batch = a_confirmed_batch()

    results = together([partial(settles, batch, chunk=3)] * 4)

    assert [result for result in results if isinstance(result, Exception)] == []
    batch.refresh_from_db()
    assert (batch.state, batch.completed_count) == ("completed", 72)
    assert sum(balance(customer, asset="BTC") for customer in customers) == btc("0.0001") * 48
    assert what_the_audit_finds() == []


def test_while_a_settler_is_held_up_in_its_slice_another_does_the_others():
    """Guard: a claimed slice is passed over (the advisory lock is tried, not waited for). Without it the second
    settler waits behind the first one's first trade."""
    customers = some_customers(6)
    bought = many_settling_buys(customers, 6)
    batch = a_confirmed_batch()
    somebody_s_first = Trade.objects.filter(batch=batch).order_by("customer_id")[0]
    is_held, others_are_done = threading.Event(), threading.Event()

    def an_operator_forgets_a_lock() -> None:
        with transaction.atomic():
            Trade.objects.select_for_update().get(pk=somebody_s_first.pk)
            is_held.set()
            assert others_are_done.wait(TIMEOUT_SECONDS)

    def is_held_up() -> None:
        assert is_held.wait(TIMEOUT_SECONDS)
        settle_chunk(batch.pk, at=timezone.now(), chunk=1)

    def does_the_others() -> int:
        assert is_held.wait(TIMEOUT_SECONDS)
        wait_until_waiting()
        for _ in range(5):
            progress = settle_chunk(batch.pk, at=timezone.now(), chunk=1)
        others_are_done.set()
        return progress.completed

    results = together([an_operator_forgets_a_lock, is_held_up, does_the_others])

    assert results == [None, None, 5]
    assert settles(batch).completed_count == 6
    assert set(states(*bought)) == {"completed"}
    assert Transfer.objects.filter(kind="trade_settled").count() == 6
    assert what_the_audit_finds() == []


def test_a_settler_with_nothing_left_to_claim_waits_for_the_others_and_ends_with_them():
    """Guard: whoever finds every slice taken waits for one, and looks anew: it may have been given up."""
    bought = many_settling_buys(some_customers(1), 1)
    batch = a_confirmed_batch()
    is_held = threading.Event()

    def an_operator_forgets_a_lock() -> None:
        with transaction.atomic():
            Trade.objects.select_for_update().get(pk=bought[0].pk)
            is_held.set()
            wait_until_waiting(2)  # one for the trade, one for the other's slice

    def settles_in_turn() -> SettlementBatch:
        assert is_held.wait(TIMEOUT_SECONDS)
        return settles(batch)

    results = together([an_operator_forgets_a_lock, settles_in_turn, settles_in_turn])

    assert [getattr(result, "completed_count", result) for result in results] == [None, 1, 1]
    assert what_the_audit_finds() == []


def test_what_is_deposited_while_a_slice_waits_for_the_account_is_not_lost():
    """Guard: the posting adds to the balance as it is when its lock is got. Written from what the statement saw when
    it began, the deposit would be gone."""
    (alice,) = some_customers(1)
    deposit(alice, "BTC", "1")
    many_settling_buys([alice], 1)
    batch = a_confirmed_batch()
    is_deposited = threading.Event()

    def deposits_slowly() -> None:
        with transaction.atomic():
            deposit(alice, "BTC", "2")
            is_deposited.set()
            wait_until_waiting()

    def settles_meanwhile() -> None:
        assert is_deposited.wait(TIMEOUT_SECONDS)
        settles(batch)

    results = together([deposits_slowly, settles_meanwhile])

    assert results == [None, None]
    assert balance(alice, asset="BTC") == btc("3.0001")
    assert what_the_audit_finds() == []


def test_a_completed_trade_is_taken_back_while_the_rest_of_its_batch_settles():
    """Guard: a slice locks the batch's row before the accounts, as a reversal does. The other way round the two of
    them deadlock over a customer with trades in both."""
    btc_at("40_000.00")
    price_at("XAU-USD", "2_000.00")
    alice, bob = some_customers(2)
    gold = a_trade(alice, symbol="XAU-USD", deliver=usd("100.00"))
    for customer in (alice, bob):
        deposit(customer, "BTC", "1")
        a_trade(customer, "sell", deliver=btc("0.01"))
    batch = confirm(cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False).pk, by=SYSTEM, at=timezone.now())
    settle_chunk(batch.pk, at=timezone.now())
    for asset in ("USD", "XAU", "BTC"):
        leg = SettlementLeg.objects.get(batch=batch, asset_id=asset)
        settle_leg(leg.pk, actual=int(leg.expected), reference="", by=SYSTEM, at=timezone.now())
        if asset == "XAU":
            settle_chunk(batch.pk, at=timezone.now())
    assert states(gold) == ["completed"]
    reversal = propose_trade_reversal(gold.pk, **why())
    locks_accounts, is_held = threading.Event(), threading.Event()

    def somebody_holds_bob_s_account() -> None:
        with transaction.atomic():
            LedgerAccount.objects.select_for_update().get(customer=bob, asset="USD", type="settling")
            is_held.set()
            wait_until_waiting()  # the slice has alice's accounts and waits for this one
            locks_accounts.set()
            wait_until_waiting(2)

    def settles_the_rest() -> SettlementBatch:
        assert is_held.wait(TIMEOUT_SECONDS)
        return settles(batch)

    def takes_the_gold_back() -> None:
        assert locks_accounts.wait(TIMEOUT_SECONDS)
        applies(reversal)

    results = together([somebody_holds_bob_s_account, settles_the_rest, takes_the_gold_back])

    assert [result for result in results if isinstance(result, Exception)] == []
    assert SettlementBatch.objects.get(pk=batch.pk).state == "completed"
    assert balance(alice, asset="XAU") == 0
    assert what_the_audit_finds() == []


def test_a_slice_of_a_round_that_has_ended_is_claimed_by_nobody():
    """Guard: `_IS_UNDONE` asks whether the round still has slices. Without it a settler that looked before the other
    did the last slice does that one again: it moves nothing, and fails at the batch's row.
    """
    many_settling_buys(some_customers(4), 8)
    batch = a_confirmed_batch()
    settle_chunk(batch.pk, at=timezone.now(), chunk=2)
    seen = SettlementBatch.objects.get(pk=batch.pk)
    assert seen.slices_done
    assert len(seen.slices_done) < len(seen.slice_ends)
    settles(batch, chunk=2)

    with transaction.atomic():
        assert _claim(seen) is None


def test_two_settlers_and_a_third_that_dies_in_its_slice_leave_nothing_undone():
    """Guard: the claim ends with the transaction, whatever ends it. A claim written down would have to be cleared."""
    customers = some_customers(8)
    many_settling_buys(customers, 16)
    batch = a_confirmed_batch()

    def dies_in_its_slice() -> None:
        with transaction.atomic():
            settle_chunk(batch.pk, at=timezone.now(), chunk=2)
            raise ConnectionAbortedError

    results = together([dies_in_its_slice, partial(settles, batch, chunk=2), partial(settles, batch, chunk=2)])

    assert isinstance(results[0], ConnectionAbortedError)
    assert [getattr(result, "completed_count", result) for result in results[1:]] == [16, 16]
    assert what_the_audit_finds() == []


@pytest.mark.parametrize("chunk", [1, 7, 30, 1_000])
def test_slices_share_no_customer_and_are_of_a_size(chunk):
    """Not a race, but what keeps one from being lost: two settlers in two slices never meet at a row."""
    customers = some_customers(10)
    many_settling_buys(customers, 60)
    batch = a_confirmed_batch()
    settle_chunk(batch.pk, at=timezone.now(), chunk=chunk)

    batch.refresh_from_db()
    if chunk == 1_000:
        assert (batch.state, batch.slice_ends) == ("completed", [])
        return
    ends = batch.slice_ends
    assert ends == sorted(set(ends))
    assert len(ends) == {1: 10, 7: 10, 30: 2}[chunk]
