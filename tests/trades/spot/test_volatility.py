"""How far a market may move between a quote and its trade's storing step; the way out when a symbol is switched off."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Customer, Transfer
from quotes import prices, symbols
from quotes.errors import StalePrice, SymbolNotTraded
from quotes.models import Instrument
from tests.given import (
    a_customer,
    a_cut,
    a_quote,
    a_settling_buy,
    a_trade,
    an_exit_quote,
    balance,
    btc,
    btc_at,
    deposit,
    executes,
    exits,
    price_at,
    settles,
    states,
    stores,
    usd,
    what_the_audit_finds,
)
from trades.spot.advance import advance

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    someone = a_customer(with_usd="10_000.00")
    deposit(someone, "BTC", "0.1")
    return someone


# --- the limit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(
    ("price", "state"),
    [("40_400.00", "settling"), ("40_400.01", "failed"), ("39_600.00", "settling"), ("39_599.99", "failed")],
)
def test_a_price_that_moved_more_than_one_percent_either_way_fails_the_trade(alice, side, price, state):
    """Guard: `abs` in `_has_moved`, and the default of one percent."""
    amount = {"receive": btc("0.01")} if side == "buy" else {"deliver": btc("0.01")}
    trade = executes(a_quote(alice, side, **amount))

    btc_at(price)
    stores(trade)

    assert (trade.state, trade.failure_code or "") == (state, "market_volatility" if state == "failed" else "")
    assert Transfer.objects.filter(subject=trade.pk).exists() == (state == "settling")


def test_each_symbol_has_a_limit_of_its_own(alice):
    Instrument.objects.filter(pk="BTC-USD").update(volatility_limit_percent=Decimal("0.1"))
    trade = executes(a_quote(alice, receive=btc("0.01")))

    btc_at("40_040.01")
    stores(trade)

    assert trade.failure_code == "market_volatility"


def test_every_instrument_comes_with_one_percent():
    assert set(Instrument.objects.values_list("volatility_limit_percent", flat=True)) == {Decimal(1)}


def test_the_most_that_waiting_can_bring_is_the_limit_less_what_the_trade_costs(alice):
    """Whoever executes their quote only once the market has risen buys 1 % below it, and no more."""
    before = balance(alice)
    quote = a_quote(alice, receive=btc("0.1"))
    btc_at("40_400.00")
    bought = executes(quote)
    stores(bought)
    sold = exits(bought)
    settles(a_cut())

    assert states(bought, sold) == ["completed", "completed"]
    assert balance(alice) - before == usd("40.00") - usd("10.00") - usd("10.10")  # a percent, less both fees


# --- without a price -------------------------------------------------------------------------------


def gone() -> None:
    prices.forget()


def old() -> None:
    price_at("BTC-USD", "40_000.00", at=timezone.now() - timedelta(seconds=11))


def too_wide() -> None:
    prices.hold("BTC-USD", Decimal(38_000), Decimal(42_000))


@pytest.mark.parametrize("happens", [gone, old, too_wide])
def test_a_trade_waits_in_storing_for_a_fresh_price_and_is_judged_by_it(alice, happens):
    """Guard: `waits` in `_judged`. Without it the trade settles at whatever was quoted."""
    first, second = (executes(a_quote(alice, receive=btc("0.01"))) for _ in range(2))
    happens()

    told = advance([first.pk, second.pk], prices=prices.latest)
    assert (told.settling, told.failed, set(told.left)) == (0, 0, {first.pk, second.pk})
    assert advance([first.pk], prices=lambda: None).left == (first.pk,)  # Redis is away

    prices.forget()
    btc_at("40_400.00")
    stores(first)
    btc_at("40_400.01")
    stores(second)
    assert [first.state, second.failure_code] == ["settling", "market_volatility"]
    assert what_the_audit_finds() == []


def test_what_fails_whatever_the_price_does_not_wait_for_one(alice):
    late = executes(a_quote(alice, receive=1000), at=timezone.now() + timedelta(minutes=1))
    asked = executes(a_quote(alice, receive=1000), expected_error="non_sufficient_funds")
    gone()

    stores(late, asked)

    assert [late.failure_code, asked.failure_code] == ["expired_quote", "non_sufficient_funds"]


def test_an_exit_that_waits_keeps_no_other_from_its_original(alice):
    bought = a_settling_buy(alice, btc("0.01"))
    first, second = executes(an_exit_quote(bought)), executes(an_exit_quote(bought))
    gone()
    stores(first)

    btc_at("40_000.00")
    stores(second)
    stores(first)

    assert [first.failure_code, second.state] == ["invalid_reference_trade", "settling"]


# --- switched off ----------------------------------------------------------------------------------


def switches_off(symbol: str = "BTC-USD") -> None:
    Instrument.objects.filter(pk=symbol).update(is_active=False)
    symbols.forget()


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_way_out_stays_open_when_a_symbol_is_switched_off(alice, side):
    """Guards: `is_exit` in `failure_of`, the reference in `issue`."""
    amount = {"receive": btc("0.01")} if side == "buy" else {"deliver": btc("0.01")}
    original = a_trade(alice, side, **amount)
    switches_off()
    btc_at("40_100.00")

    out = exits(original)
    settles(a_cut())

    assert states(original, out) == ["completed", "completed"]
    assert balance(alice, asset="BTC") == btc("0.1")
    assert what_the_audit_finds() == []


def test_while_it_is_switched_off_there_is_no_new_risk(alice):
    trade = executes(a_quote(alice, receive=1000))
    switches_off()

    with pytest.raises(SymbolNotTraded):
        a_quote(alice, receive=1000)
    stores(trade)

    assert trade.failure_code == "unsupported"


def test_nor_is_an_exit_without_a_fresh_price(alice):
    bought = a_settling_buy(alice, btc("0.01"))
    switches_off()
    offered = executes(an_exit_quote(bought))
    old()

    with pytest.raises(StalePrice):
        an_exit_quote(bought)
    stores(offered)

    assert offered.state == "storing"
