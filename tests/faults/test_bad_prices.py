"""A nonsensical price while orders of every kind wait for one: nothing executes on it.

That a price of the feed like this does not even become the latest one is tested in tests/quotes; here some stand in
Redis all the same, written past the feed's own guard.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts import streams
from quotes import prices
from quotes.judging import PriceLimits
from tests.faults.engine_alone import an_engine
from tests.given import a_customer, balance, btc_at, what_the_audit_finds
from tests.trades.engine_steps import opens, places
from trades.models import Deal, Order, OrderEvent

pytestmark = pytest.mark.django_db(transaction=True)


def feed(bid: str, ask: str, *, later: timedelta | None = None) -> Callable[[], object]:
    """As the feed says it, under the instrument's own limit."""
    quoted = [("BTC-USD", Decimal(bid), Decimal(ask))]
    limits = {"BTC-USD": PriceLimits()}
    return lambda: prices.publish(quoted, limits=limits, at=None if later is None else timezone.now() + later)


def redis(bid: str, ask: str, *, seconds: float = 0) -> Callable[[], object]:
    """As somebody writes it into Redis, so many seconds old."""

    def write() -> object:
        clock: tuple[int, int] = streams.client().time()  # type: ignore[assignment]
        at = clock[0] * 1000 + clock[1] // 1000 - int(seconds * 1000)
        return streams.client().hset("prices", "BTC-USD", f"{bid}|{ask}|{at}")

    return write


NONSENSE = {
    "ten times": feed("420000", "420010"),
    "a tenth": feed("4200", "4201"),
    "crossed": feed("42010", "38000"),
    "zero": feed("0", "0"),
    "not a number": feed("NaN", "NaN"),
    "infinite": feed("Infinity", "Infinity"),
    "negative": feed("-42000", "-41990"),
    "old": feed("38000", "38010", later=timedelta(minutes=-5)),
    "of tomorrow": feed("46000", "46010", later=timedelta(days=1)),
    "old, in Redis": redis("38000", "38010", seconds=60),
    "old and high, in Redis": redis("46000", "46010", seconds=60),
    "of tomorrow, in Redis": redis("38000", "38010", seconds=-86_400),
    "crossed, in Redis": redis("46000", "38000"),
    "zero, in Redis": redis("0", "0"),
    "a bid of zero, in Redis": redis("0", "42000"),
    "not a number, in Redis": redis("NaN", "NaN"),
    "infinite, in Redis": redis("Infinity", "Infinity"),
    "an infinite ask, in Redis": redis("42000", "Infinity"),
    "negative, in Redis": redis("-5", "-4"),
    "no price at all, in Redis": redis("", ""),
    "a text, in Redis": redis("forty", "two"),
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_no_order_fires_closes_or_is_cancelled_by_a_price_that_is_none(said: Callable[[], object]) -> None:
    """Guards: `prices.parsed` and `Prices.usable` behind the feed's; `tick.is_priced` in `fire` and in the stop-out."""
    with an_engine() as engine:
        btc_at("42_000.00")
        alice, bob = a_customer(with_usd="10_000.00"), a_customer(with_usd="500.00")
        opens(alice, quantity="0.01", stopLoss="40000", takeProfit="44000")
        opens(alice, quantity="0.01", type="sell", stopLoss="44000", takeProfit="40000")
        opens(alice, quantity="0.01", trailingStop="1000")
        for kind, price in (
            ("buy limit", "40000"),
            ("sell limit", "44000"),
            ("buy stop", "44000"),
            ("sell stop", "40000"),
        ):
            places(alice, kind, price, quantity="0.01")
        places(bob, "buy limit", "30000", quantity="0.01")
        opens(bob, quantity="0.1", leverage=10)  # 420 of 500 reserved: at 38,000 nothing is left of it
        engine._start()
        engine.turn()
        before = everything()

        said()
        for _ in range(3):
            engine.turn()

        assert everything() == before
        btc_at("39_000.00")  # a price that is one: what has waited for it fires
        for _ in range(3):
            engine.turn()
        assert sorted(set(Order.objects.values_list("status", "close_reason"))) == [
            ("CANCELLED", "stop_out"),
            ("CLOSED", "stop_loss"),
            ("CLOSED", "stop_out"),
            ("CLOSED", "take_profit"),
            ("CLOSED", "trailing_stop"),
            ("OPEN", ""),
            ("PENDING", ""),
        ]
        assert [balance(one) >= 0 for one in (alice, bob)] == [True, True]
        assert what_the_audit_finds() == []


def everything() -> tuple[object, ...]:
    """What nobody may have changed; a margin call is a notice and not an action, so it is left out."""
    orders = list(Order.objects.order_by("id").values_list("id", "status", "stop_loss", "quantity", "margin"))
    events = OrderEvent.objects.exclude(kind__startswith="margin_call").count()
    return orders, Deal.objects.count(), events
