"""Races over quotes, funds and exits. Each names its guard and was seen to fail without it."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from django.utils import timezone

from quotes import prices
from tests.given import (
    a_customer,
    a_quote,
    a_settling_buy,
    an_exit_quote,
    balance,
    btc,
    btc_at,
    executes,
    usd,
    what_the_audit_finds,
)
from tests.races.together import together
from tests.sizes import size
from trades.errors import QuoteUsed
from trades.models import Trade
from trades.spot.advance import Advanced, advance

pytestmark = pytest.mark.django_db(transaction=True)


def moves(*trades: Trade) -> Advanced:
    return advance([trade.pk for trade in trades], at=timezone.now(), prices=prices.latest)


def moves_the_rest() -> None:
    """What the sweeper does for trades that were locked."""
    moves(*Trade.objects.filter(state="storing"))


@pytest.mark.faults
def test_one_quote_executed_a_hundred_times_at_once_is_one_trade():
    """Guard: the trade's quote is unique. Without the constraint several trades are stored."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    quote = a_quote(alice, receive=btc("0.01"))

    results = together([partial(executes, quote)] * 100)

    assert Counter(type(result) for result in results) == {Trade: 1, QuoteUsed: 99}
    assert Trade.objects.count() == 1


@pytest.mark.faults
def test_funds_for_one_trade_and_fifty_that_want_them_is_one_settling():
    """Guard: the accounts are locked before the money is given out. Unlocked, several see the same balance and
    the table's floor breaks their whole set instead of failing the trade."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="100.00")
    trades = [executes(a_quote(alice, deliver=usd("100.00"))) for _ in range(50)]

    results = together([partial(moves, trade) for trade in trades])

    assert [result for result in results if isinstance(result, Exception)] == []
    found = Counter(Trade.objects.values_list("state", "failure_code"))
    assert found == {("settling", None): 1, ("failed", "non_sufficient_funds"): 49}
    assert balance(alice) == 0
    assert what_the_audit_finds() == []


def test_one_trade_advanced_by_many_workers_at_once_moves_once():
    """Guard: FOR NO KEY UPDATE SKIP LOCKED with the state looked at again under the lock. Without it the second
    worker comes to a trade that has moved, and the guarded UPDATE gives its whole set up."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    trades = [executes(a_quote(alice, receive=1000)) for _ in range(20)]

    results = together([partial(moves, *trades)] * 8)

    assert [result for result in results if isinstance(result, Exception)] == []
    assert sum(result.settling for result in results) == 20
    assert what_the_audit_finds() == []


@pytest.mark.faults
def test_twenty_exits_of_one_trade_at_once_leave_one_live():
    """Fault 9. Guard: the original's row is locked, and the live exits are read in a statement after the lock. Without
    it several find the original free, and the table breaks their sets instead of failing them with their code."""
    alice = a_customer(with_usd="10_000.00")
    for _ in range(size(1, 100)):
        btc_at("40_000.00")
        bought = a_settling_buy(alice, btc("0.001"))
        exits = [executes(an_exit_quote(bought)) for _ in range(20)]

        results = together([partial(moves, trade) for trade in exits])
        moves_the_rest()

        assert [result for result in results if isinstance(result, Exception)] == []
        found = Counter(Trade.objects.filter(reference_trade=bought).values_list("state", "failure_code"))
        assert found == {("settling", None): 1, ("failed", "invalid_reference_trade"): 19}
    assert what_the_audit_finds() == []


def test_opposite_trades_of_many_customers_at_once_never_deadlock():
    """Guard: accounts are locked in id order, whichever way the money goes. In the trades' own order they deadlock."""
    btc_at("40_000.00")
    customers = [a_customer(f"customer{number}", with_usd="1_000.00") for number in range(6)]
    bought = [a_settling_buy(customer, btc("0.01")) for customer in customers]
    sets = [
        [executes(a_quote(customer, receive=1000)) for customer in (customers if turn % 2 else customers[::-1])]
        + [executes(an_exit_quote(bought[turn % 6]))]
        for turn in range(16)
    ]

    results = together([partial(moves, *some) for some in sets])
    moves_the_rest()

    assert [result for result in results if isinstance(result, Exception)] == []
    assert not Trade.objects.filter(state="storing").exists()
    assert what_the_audit_finds() == []
