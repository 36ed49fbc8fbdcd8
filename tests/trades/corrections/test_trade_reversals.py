"""A completed trade is taken back by opposite movements: the money is where it was, and the history is whole."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone

from accounts import services
from accounts.errors import ActorRequired, InsufficientFunds, Malformed
from accounts.identity import SYSTEM
from accounts.models import Transfer
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
from tests.trades.corrections.staff import a_completed_batch, all_balances, applies, movements_of, somebody, why
from trades.corrections.errors import AlreadyProposed, AlreadyReversed, NotCompleted
from trades.corrections.propose import propose_trade_reversal
from trades.corrections.selectors import reversal_of
from trades.errors import TradeNotFound
from trades.models import Correction, TradeEvent

pytestmark = pytest.mark.django_db

A_QUARTER = FeeTerms(25)


def test_a_buy_is_reversed_and_every_balance_is_as_before_while_the_history_stays_whole():
    alice = a_customer(with_usd="10_000.00")
    btc_at("40_000.00")
    trade = a_trade(alice, "buy", receive=btc("0.1"), fees=A_QUARTER)
    a_completed_batch()
    before = {pk: (amount, at) for pk, amount, at in Transfer.objects.values_list("pk", "amount", "at")}

    done = applies(propose_trade_reversal(trade.pk, **why()))

    assert (balance(alice), balance(alice, asset="BTC")) == (usd("10_000.00"), 0)
    assert movements_of(done) == [
        ("reversal", "fees", "available", usd("10.00"), "USD"),
        ("reversal", "liquidity", "available", usd("4_000.00"), "USD"),
        ("reversal", "available", "liquidity", btc("0.1"), "BTC"),
    ]
    assert states(trade) == ["completed"]
    assert list(TradeEvent.objects.filter(trade=trade).order_by("pk").values_list("became", flat=True)) == [
        "storing",
        "settling",
        "completed",
        "reversed",
    ]
    assert reversal_of(trade.pk) == done.pk
    assert (done.state, done.movements_count) == ("applied", 3)
    still = Transfer.objects.filter(pk__in=before)
    assert {pk: (amount, at) for pk, amount, at in still.values_list("pk", "amount", "at")} == before
    assert what_the_audit_finds() == []


def test_each_movement_of_a_reversal_names_the_movement_that_it_reverses():
    alice = a_customer(with_usd="10_000.00")
    btc_at("40_000.00")
    trade = a_trade(alice, "buy", receive=btc("0.1"), fees=A_QUARTER)
    a_completed_batch()

    done = applies(propose_trade_reversal(trade.pk, **why()))

    for reversal in Transfer.objects.filter(subject=done.pk):
        reversed_one = Transfer.objects.get(customer=alice, key=reversal.key.removeprefix("reversal:"))
        assert (reversed_one.subject, reversed_one.amount) == (trade.pk, reversal.amount)


def test_a_sell_is_reversed_with_its_fee():
    alice = a_customer()
    deposit(alice, "BTC", "0.5")
    before = all_balances()
    btc_at("42_000.00")
    trade = a_trade(alice, "sell", deliver=btc("0.1"), fees=A_QUARTER)
    batch = a_completed_batch()

    done = applies(propose_trade_reversal(trade.pk, **why()))

    assert (balance(alice), balance(alice, asset="BTC")) == (0, btc("0.5"))
    assert ("reversal", "fees", "liquidity", usd("10.50"), "USD") in movements_of(done)
    # What moved between the firm and its providers stays until the leg or the batch is reversed.
    firms = {"external", "liquidity"}
    assert {at: amount for at, amount in all_balances().items() if at[3] not in firms} == {
        at: amount for at, amount in before.items() if at[3] not in firms
    }
    assert batch.legs.filter(status="settled").count() == 2
    assert what_the_audit_finds() == []


@pytest.mark.parametrize("named", ["the original", "the exit"])
@pytest.mark.parametrize(("side", "price"), [("buy", "41_000.00"), ("sell", "41_000.00"), ("sell", "43_000.00")])
def test_a_trade_and_its_exit_are_reversed_together_whichever_is_named(side, price, named):
    alice = a_customer(with_usd="10_000.00")
    deposit(alice, "BTC", "0.5")
    btc_at("42_000.00")
    original = a_trade(alice, side, **{"receive" if side == "buy" else "deliver": btc("0.1")}, fees=A_QUARTER)
    btc_at(price)
    the_exit = exits(original)
    a_completed_batch()

    proposed = propose_trade_reversal((original if named == "the original" else the_exit).pk, **why())
    done = applies(proposed)

    assert done.subject == original.pk
    assert (balance(alice), balance(alice, asset="BTC")) == (usd("10_000.00"), btc("0.5"))
    assert reversal_of(original.pk) == reversal_of(the_exit.pk) == done.pk
    assert what_the_audit_finds() == []


def test_a_trade_is_reversed_once():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    the_exit = exits(bought)
    a_completed_batch()
    applies(propose_trade_reversal(bought.pk, **why()))

    for trade in (bought, the_exit):
        with pytest.raises(AlreadyReversed):
            propose_trade_reversal(trade.pk, **why())
    assert what_the_audit_finds() == []


def test_a_proposal_that_was_overtaken_is_refused_when_it_is_applied():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    a_completed_batch()
    first = propose_trade_reversal(bought.pk, **why())
    Correction.objects.filter(pk=first.pk).update(state="rejected", decided_at=timezone.now())
    second = propose_trade_reversal(bought.pk, **why())
    applies(second)

    with pytest.raises(Exception, match="rejected already"):
        applies(first)


def test_one_proposal_at_a_time():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    the_exit = exits(bought)
    a_completed_batch()
    propose_trade_reversal(bought.pk, **why())

    with pytest.raises(AlreadyProposed):
        propose_trade_reversal(the_exit.pk, **why())
    assert Correction.objects.count() == 1


def test_a_customer_who_spent_it_can_not_be_made_to_give_it_back_and_nothing_changes():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    a_completed_batch()
    services.withdraw(alice, "BTC", btc("0.00000001"), "out", timezone.now(), "test")
    before = all_balances()
    proposed = propose_trade_reversal(bought.pk, **why())

    with pytest.raises(InsufficientFunds, match="available balance of BTC"):
        applies(proposed)

    proposed.refresh_from_db()
    assert (proposed.state, all_balances()) == ("proposed", before)
    assert reversal_of(bought.pk) is None
    assert what_the_audit_finds() == []


def test_what_has_not_completed_is_not_reversed():
    alice = a_customer(with_usd="10_000.00")
    settling = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")

    with pytest.raises(NotCompleted, match="settling"):
        propose_trade_reversal(settling.pk, **why())
    a_cut()
    with pytest.raises(NotCompleted):
        propose_trade_reversal(settling.pk, **why())
    with pytest.raises(TradeNotFound):
        propose_trade_reversal(uuid.uuid4(), **why())


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "two\nlines", "\x00"])
def test_a_proposal_says_why_on_one_line(reason):
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    a_completed_batch()

    with pytest.raises(Malformed):
        propose_trade_reversal(bought.pk, reason=reason, by=somebody(), at=timezone.now())
    assert not Correction.objects.exists()


def test_the_system_proposes_nothing():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    a_completed_batch()

    with pytest.raises(ActorRequired):
        propose_trade_reversal(bought.pk, **why(by=SYSTEM))
