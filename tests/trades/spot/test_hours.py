"""Quotes and spot trades outside a market's hours, and while an operator has switched it."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from accounts import clock
from accounts.identity import SYSTEM
from accounts.models import Customer
from quotes import prices, symbols
from quotes.errors import MarketClosed, MarketCloseOnly, MarketHalted, StalePrice
from quotes.hours import Switch
from quotes.models import Quote
from quotes.prices import Prices
from quotes.services import quote_trading
from quotes.switching import switch_market
from tests.given import a_customer, a_quote, executes, price_at
from tests.hours import FRIDAY, SATURDAY, SUNDAY, keeps, market, moment, switched
from trades.models import Trade
from trades.spot.advance import advance
from trades.spot.exit_quotes import quote_exit

pytestmark = pytest.mark.django_db
CLOSING = "2026-11-27 22:00"


@pytest.fixture
def alice() -> Customer:
    keeps("EUR-USD", "fx")
    return a_customer(with_usd="10_000.00")


def quoted(customer: Customer, at: str, said: str = "", symbol: str = "EUR-USD") -> Quote:
    return quote_trading(
        customer_id=customer.pk,
        symbol=symbol,
        side="buy",
        receive=100_00,
        deliver=None,
        fees=None,
        prices=market(at, said=said),
        at=moment(at),
    )


def exit_quoted(original: Trade, at: str) -> Quote:
    return quote_exit(
        customer_id=original.customer_id,
        reference_trade_id=original.pk,
        fees=None,
        prices=market(at),
        at=moment(at),
    )


def stored(trade: Trade, at: str, said: str = "") -> tuple[str, str | None]:
    advance([trade.pk], prices=lambda: market(at, said=said), at=moment(at))
    trade.refresh_from_db()
    return trade.state, trade.failure_code


def a_trade(customer: Customer, symbol: str = "EUR-USD") -> Trade:
    trade = executes(quoted(customer, FRIDAY, symbol=symbol), at=moment(FRIDAY))
    assert stored(trade, FRIDAY) == ("settling", None)
    return trade


def test_outside_the_hours_no_price_is_offered(alice: Customer) -> None:
    """Guard: the state in `issue`."""
    with pytest.raises(MarketClosed) as refused:
        quoted(alice, SATURDAY)
    assert refused.value.text == "Market closed for symbol: EUR-USD. Next opening: 2026-11-29T22:00:00.000Z"
    assert quoted(alice, SUNDAY).price > 1


@pytest.mark.parametrize(
    ("at", "became"),
    [("2026-11-27 21:59:59.999", ("settling", None)), (CLOSING, ("failed", "unsupported"))],
)
def test_a_quote_of_before_the_closing_is_not_executed_after_it(alice: Customer, at: str, became: object) -> None:
    """Guard: the state in `failure_of`. Its price would be an option on the opening, while a worker is away."""
    before = moment(CLOSING) - timedelta(seconds=5)
    trade = executes(quoted(alice, f"{before:%Y-%m-%d %H:%M:%S}"), at=before)
    assert stored(trade, at) == became


def test_no_quote_is_given_at_a_price_of_before_the_opening(alice: Customer) -> None:
    """Guard: `is_after_gap` in `issue`."""
    with pytest.raises(StalePrice):
        quoted(alice, "2026-11-29 22:00:02", said="2026-11-29 21:59:59")
    assert quoted(alice, "2026-11-29 22:00:02", said=SUNDAY).price > 1


def test_nor_is_a_trade_judged_by_one(alice: Customer) -> None:
    """Guard: `is_after_gap` in `markets`. It waits for a price of since."""
    trade = executes(quoted(alice, "2026-11-29 22:00:01"), at=moment("2026-11-29 22:00:01"))
    assert stored(trade, "2026-11-29 22:00:02", said="2026-11-29 21:59:59") == ("storing", None)
    assert stored(trade, "2026-11-29 22:00:02", said=SUNDAY) == ("settling", None)


@pytest.mark.parametrize("symbol", ["EUR-USD", "BTC-USD"])
def test_a_quote_of_before_a_halt_is_not_executed_after_it(alice: Customer, symbol: str) -> None:
    """Guards: `quoted_at` in `failure_of`; `has_gaps`, of a market that keeps no hours and is open again."""
    original = a_trade(alice, symbol)
    at, later = "2026-11-27 13:00", "2026-11-27 13:00:03"
    before = [executes(one, at=moment(at)) for one in (quoted(alice, at, symbol=symbol), exit_quoted(original, at))]
    switched(symbol, Switch.HALTED, "2026-11-27 13:00:01")
    switched(symbol, Switch.NONE, "2026-11-27 13:00:02")
    assert [stored(trade, later) for trade in before] == [("failed", "unsupported")] * 2
    since = executes(quoted(alice, "2026-11-27 13:00:02", symbol=symbol), at=moment(later))
    assert stored(since, later) == ("settling", None)


def test_a_market_that_is_resumed_while_prices_are_on_their_way_waits_for_the_next_ones(alice: Customer) -> None:
    """Guard: `read_at` is of when the prices were asked for, not of when the trades were locked."""
    price_at("BTC-USD", "42000")
    soon = clock.firm_now() + timedelta(seconds=2)
    trade = executes(a_quote(alice, receive=1000, at=soon))

    def slowly() -> Prices:
        read = prices.latest()
        for to in (Switch.HALTED, Switch.NONE):
            switch_market("BTC-USD", to, by=SYSTEM, reason="a test", at=clock.firm_now())
        symbols.forget()
        time.sleep(0.5)
        return read

    assert advance([trade.pk], prices=slowly).left == (trade.pk,)
    price_at("BTC-USD", "42000")
    assert advance([trade.pk], prices=prices.latest).settling == 1


def test_for_closing_only_exits_are_quoted_and_carried_out(alice: Customer) -> None:
    original = a_trade(alice)
    switched("EUR-USD", Switch.CLOSE_ONLY)
    with pytest.raises(MarketCloseOnly):
        quoted(alice, "2026-11-27 13:00")
    leaving = executes(exit_quoted(original, "2026-11-27 13:00"), at=moment("2026-11-27 13:00"))
    assert stored(leaving, "2026-11-27 13:00:01") == ("settling", None)


def test_halted_nothing_is_quoted_and_what_was_accepted_fails(alice: Customer) -> None:
    original = a_trade(alice)
    at = "2026-11-27 13:00"
    opening, leaving = quoted(alice, at), exit_quoted(original, at)
    trades = [executes(one, at=moment(at)) for one in (opening, leaving)]
    switched("EUR-USD", Switch.HALTED, "2026-11-27 13:00:01")
    assert [stored(trade, "2026-11-27 13:00:02") for trade in trades] == [("failed", "unsupported")] * 2
    for asks in (lambda: quoted(alice, at), lambda: exit_quoted(original, at)):
        with pytest.raises(MarketHalted):
            asks()
    original.refresh_from_db()
    assert original.state == "settling"
