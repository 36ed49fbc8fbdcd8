"""A price with one side moved, a spread beyond the limit, one that no feed has said: in front of
an engine nothing executes on it, and what waits fires once there is a price again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts import streams
from quotes import candles, prices, references
from quotes.judging import PriceLimits
from quotes.prices import Price
from tests.faults.engine_alone import an_engine, send, turns
from tests.given import a_customer, balance, btc_at, price_at, usd, what_the_audit_finds
from tests.trades.engine_steps import closing, opening, opens
from trades.engine.process import Engine
from trades.models import Deal, Order

pytestmark = pytest.mark.django_db(transaction=True)

BTC = "BTC-USD"
NO_PRICE = "Price data not found for symbol: BTC-USD"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with an_engine() as engine:
        yield engine


def feed(bid: str, ask: str) -> Callable[[], object]:
    """As the feed says it, under limits of five percent."""
    quoted = [(BTC, Decimal(bid), Decimal(ask))]
    return lambda: prices.publish(quoted, limits={BTC: PriceLimits(Decimal(5), Decimal(5))})


def redis(bid: str, ask: str, more: str = "") -> Callable[[], object]:
    """As somebody writes it into Redis, as of now."""
    return lambda: streams.client().hset("prices", BTC, f"{bid}|{ask}|{prices.clock()}{more}")


FORGED = {
    "both sides moved apart": feed("20000", "60373.10"),
    "the bid moved": feed("38000", "40196.60"),
    "the ask moved": feed("40176.50", "42300"),
    "both sides moved apart, in Redis": redis("20000", "60373.10"),
    "a fall, in Redis": redis("20000", "20010"),
    "a rise, in Redis": redis("60400", "60410"),
    "a held fall, in Redis": redis("20000", "20010", "|1"),
    "a held rise, in Redis": redis("60400", "60410", "|99999999999999"),
}


@pytest.mark.parametrize("said", FORGED.values(), ids=FORGED)
def test_no_stop_of_either_side_fires_by_a_price_that_is_none(engine, said):
    """Guards: `jumps` and `is_wide` in the script; `fault_of` in `prices._judge`. Without them both are closed at
    nonsense: -20,181.57 and -20,212.21 by the first one."""
    btc_at("40_176.50", "40_196.60")
    candles.note(Price(BTC, Decimal("40176.50"), Decimal("40196.60"), datetime.now(UTC)))
    alice, bob = a_customer(with_usd="50_000.00"), a_customer(with_usd="50_000.00")
    opens(alice, quantity="1", stopLoss="39000", takeProfit="43000")
    opens(bob, quantity="1", type="sell", stopLoss="42000", takeProfit="37000")
    engine._start()
    references.forget()
    engine.turn()

    said()
    for _ in range(3):
        engine.turn()

    assert set(Order.objects.values_list("status", flat=True)) == {"OPEN"}
    assert Deal.objects.count() == 2
    assert what_the_audit_finds() == []


def test_a_stop_waits_while_the_spread_is_too_wide_orders_are_refused_and_then_it_fires(engine):
    alice = a_customer(with_usd="50_000.00")
    btc_at("40_176.50", "40_196.60")
    opens(alice, quantity="1", stopLoss="39000")
    engine._start()
    engine.turn()
    price_at(BTC, "40_176.50", "40_196.60", at=datetime.now(UTC) - timedelta(seconds=60))  # and it grew old

    for bid, ask in (("38000", "41500"), ("37990", "41510")):
        feed(bid, ask)()
        engine.turn()
    send(opening(alice, quantity="0.1"))
    send(closing(alice, Order.objects.get().code))
    told = turns(engine)

    assert [(one.status, NO_PRICE in one.body) for one in told] == [(400, True), (400, True)]
    assert Order.objects.get().status == "OPEN"

    feed("38900", "38920")()
    engine.turn()

    order = Order.objects.get()
    assert (order.status, order.close_reason, order.close_price) == ("CLOSED", "stop_loss", 38_900)
    assert balance(alice) == usd("50_000.00") - usd("1_296.60")
    assert what_the_audit_finds() == []


def test_a_price_in_redis_that_is_none_hides_no_loss_and_no_profit_from_the_margin_level(engine):
    """Guard: `Prices.after` in the engine's stream. A position without a price counts as unmoved, and the other's
    loss alone would stop out this customer, who is called only: 720 of 800."""
    price_at("ETH-USD", "2_000.00")
    btc_at("40_000.00")
    alice = a_customer(with_usd="3_000.00")
    opens(alice, quantity="0.1")
    opens(alice, symbol="ETH-USD", quantity="2")
    engine._start()
    btc_at("45_000.00")
    price_at("ETH-USD", "1_000.00")
    engine.turn()

    redis("20000", "60000")()
    price_at("ETH-USD", "610.00")
    for _ in range(3):
        engine.turn()

    assert set(Order.objects.values_list("status", flat=True)) == {"OPEN"}
