"""A wrong batch is taken back as a whole: every account is where it was before its trades, or nothing changes."""

from __future__ import annotations

import uuid
from functools import partial

import pytest
from django.utils import timezone

from accounts import services
from accounts.models import Break, Transfer
from quotes.quoting import FeeTerms
from tests.given import (
    a_customer,
    a_cut,
    a_settling_buy,
    a_trade,
    balance,
    btc,
    btc_at,
    deposit,
    exits,
    states,
    usd,
    what_the_audit_finds,
)
from tests.trades.corrections.staff import a_break, a_completed_batch, all_balances, applies, somebody, the_leg, why
from trades.corrections.errors import AlreadyReversed, CannotPayBack, NotCompleted
from trades.corrections.propose import (
    propose_batch_reversal,
    propose_break_resolution,
    propose_leg_reversal,
    propose_trade_reversal,
)
from trades.corrections.selectors import batch_is_reversed, reversal_of
from trades.errors import BatchNotFound, LegStateForbids
from trades.models import Correction, SettlementLeg, TradeEvent
from trades.settlement.legs import fail_leg, settle_leg

pytestmark = pytest.mark.django_db

A_QUARTER = FeeTerms(25)


@pytest.fixture
def customers():
    """Three customers with dollars and bitcoins."""
    customers = [a_customer(name, with_usd="20_000.00") for name in ("alice", "bob", "carol")]
    for customer in customers:
        deposit(customer, "BTC", "0.5")
    return customers


def mixed_trades(customers):
    """Buys, sells and exits of all kinds, with fees."""
    alice, bob, carol = customers
    btc_at("42_000.00")
    trades = [
        a_trade(alice, "buy", receive=btc("0.1"), fees=A_QUARTER),
        a_trade(alice, "buy", receive=btc("0.05")),
        a_trade(alice, "sell", deliver=btc("0.02"), fees=A_QUARTER),
        a_trade(bob, "sell", deliver=btc("0.1"), fees=A_QUARTER),
        a_trade(carol, "buy", receive=btc("0.01"), fees=A_QUARTER),
    ]
    btc_at("43_000.00")
    trades += [exits(trades[1]), exits(trades[3])]
    assert set(states(*trades)) == {"settling"}
    return trades


def test_every_balance_is_what_it_was_before_the_trades_existed(customers):
    before = all_balances()
    trades = mixed_trades(customers)
    batch = a_completed_batch()
    history = Transfer.objects.count()
    assert all_balances() != before

    done = applies(propose_batch_reversal(batch.pk, **why()))

    assert all_balances() == before
    assert {reversal_of(trade.pk) for trade in trades} == {done.pk}
    assert set(states(*trades)) == {"completed"}
    assert done.movements_count == Transfer.objects.count() - history
    assert batch_is_reversed(batch.pk)
    assert set(SettlementLeg.objects.filter(batch=batch).values_list("status", flat=True)) == {"pending"}
    assert what_the_audit_finds() == []


def test_what_moved_after_the_batch_stays(customers):
    alice, *_ = customers
    mixed_trades(customers)
    batch = a_completed_batch()
    services.deposit(alice, "USD", usd("5.00"), "later", timezone.now(), "test")
    later = a_settling_buy(alice, btc("0.001"), at_price="40_000.00")

    applies(propose_batch_reversal(batch.pk, **why()))

    assert balance(alice) == usd("20_005.00") - later.deliver_amount
    assert (balance(alice, "settling", "BTC"), states(later)) == (btc("0.001"), ["settling"])
    assert what_the_audit_finds() == []


def test_a_member_that_was_reversed_before_is_not_reversed_again(customers):
    before = all_balances()
    trades = mixed_trades(customers)
    batch = a_completed_batch()
    alone = applies(propose_trade_reversal(trades[3].pk, **why()))

    done = applies(propose_batch_reversal(batch.pk, **why()))

    assert all_balances() == before
    assert [reversal_of(trade.pk) for trade in (trades[3], trades[6], trades[0])] == [alone.pk, alone.pk, done.pk]
    assert TradeEvent.objects.filter(became="reversed").count() == len(trades)
    assert what_the_audit_finds() == []


def test_a_batch_whose_trades_were_all_reversed_one_by_one_still_gives_its_legs_back(customers):
    before = all_balances()
    btc_at("40_000.00")
    trade = a_trade(customers[0], "buy", receive=btc("0.1"), fees=A_QUARTER)
    batch = a_completed_batch()
    applies(propose_trade_reversal(trade.pk, **why()))

    done = applies(propose_batch_reversal(batch.pk, **why()))

    assert (all_balances(), done.movements_count) == (before, 2)
    assert what_the_audit_finds() == []


def test_a_leg_s_open_difference_goes_back_with_the_batch(customers):
    before = all_balances()
    mixed_trades(customers)
    batch = a_completed_batch()
    applies(propose_leg_reversal(the_leg(batch, "BTC").pk, **why()))
    found = a_break(batch, "BTC", missing=btc("0.001"))

    applies(propose_batch_reversal(batch.pk, **why()))

    assert all_balances() == before
    assert Break.objects.get(pk=found.pk).state == "resolved"
    assert what_the_audit_finds() == []


def test_a_leg_of_a_reversed_batch_is_not_reported_any_more(customers):
    """Guard: `_must_be_able` in legs.py. Without it money would move for trades that are all taken back."""
    mixed_trades(customers)
    batch = a_completed_batch()
    applies(propose_batch_reversal(batch.pk, **why()))

    for report in (partial(settle_leg, actual=1, reference=""), partial(fail_leg, failure="no answer")):
        with pytest.raises(LegStateForbids, match="has been reversed"):
            report(the_leg(batch, "BTC").pk, by=somebody(), at=timezone.now())


def test_a_batch_whose_leg_s_difference_was_resolved_stays_and_so_does_everything(customers):
    mixed_trades(customers)
    batch = a_completed_batch()
    applies(propose_leg_reversal(the_leg(batch, "BTC").pk, **why()))
    found = a_break(batch, "BTC", missing=btc("0.001"))
    applies(propose_break_resolution(found.pk, Correction.Kind.BREAK_WRITTEN_OFF, **why()))
    before = all_balances()

    with pytest.raises(LegStateForbids, match="difference has been resolved"):
        applies(propose_batch_reversal(batch.pk, **why()))

    assert all_balances() == before
    assert not TradeEvent.objects.filter(became="reversed").exists()
    assert what_the_audit_finds() == []


def test_where_customers_can_not_pay_back_nothing_is_reversed_and_the_refusal_says_who(customers):
    alice, bob, _ = customers
    mixed_trades(customers)
    batch = a_completed_batch()
    for customer in (alice, bob):
        for asset in ("BTC", "USD"):
            services.withdraw(
                customer, asset, balance(customer, asset=asset), f"{customer.pk}{asset}", timezone.now(), "test"
            )
    before = all_balances()
    proposed = propose_batch_reversal(batch.pk, **why())

    with pytest.raises(CannotPayBack) as refused:
        applies(proposed)

    # Alice owes bitcoins; Bob, whose sell was bought back, gets a little of everything.
    assert refused.value.text.endswith(f": 1, among them BTC of {alice.pk.hex}.")
    proposed.refresh_from_db()
    assert (proposed.state, all_balances()) == ("proposed", before)
    assert not TradeEvent.objects.filter(became="reversed").exists()
    assert set(SettlementLeg.objects.filter(batch=batch).values_list("status", flat=True)) == {"settled"}
    assert what_the_audit_finds() == []


def test_a_batch_is_reversed_once_and_only_when_completed(customers):
    mixed_trades(customers)
    with pytest.raises(BatchNotFound):
        propose_batch_reversal(uuid.uuid4(), **why())
    cut = a_cut()
    with pytest.raises(NotCompleted, match="cut"):
        propose_batch_reversal(cut.pk, **why())
    btc_at("40_000.00")
    a_trade(customers[0], "buy", receive=btc("0.1"))
    batch = a_completed_batch()
    applies(propose_batch_reversal(batch.pk, **why()))

    with pytest.raises(AlreadyReversed):
        propose_batch_reversal(batch.pk, **why())
