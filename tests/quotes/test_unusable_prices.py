"""Whatever nonsense the feed says, nothing executes on it: no order opens or closes, no quote is made."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts import streams
from quotes import prices
from quotes.errors import StalePrice
from quotes.judging import PriceLimits
from quotes.models import Quote
from tests.given import a_customer, a_quote, balance, btc, btc_at, price_at, usd
from tests.trades.engine_steps import closing, opening, opens, tick
from trades.models import Deal, Order

pytestmark = pytest.mark.django_db

NO_PRICE = "Price data not found for symbol: BTC-USD"
NONSENSE = {
    "nothing more": None,
    "ten times": ("420000", "420010"),
    "a tenth": ("4200", "4201"),
    "zero": ("0", "0"),
    "a bid of zero": ("0", "42000"),
    "crossed": ("42010", "42000"),
    "not a number": ("NaN", "NaN"),
    "half a number": ("42000", "NaN"),
    "infinite": ("Infinity", "Infinity"),
    "an infinite ask": ("42000", "Infinity"),
    "negative": ("-42000", "-41990"),
    "from before": ("42000", "42010", timedelta(minutes=-5)),
    "from tomorrow": ("42000", "42010", timedelta(days=1)),
}


def feed_says(bid: str, ask: str, later: timedelta | None = None) -> None:
    """As the feed would, with the instrument's own limit."""
    at = None if later is None else timezone.now() + later
    prices.publish([("BTC-USD", Decimal(bid), Decimal(ask))], limits={"BTC-USD": PriceLimits()}, at=at)


def in_redis() -> str | None:
    return streams.client().hget("prices", "BTC-USD")


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_the_last_good_price_stays_grows_old_and_then_nothing_executes(said):
    """Seen to fail: "ten times" and "a tenth" without the jump limit; "from before" and "from tomorrow" without the
    script's look at the time; a bid of zero, crossed and not a number without `is_sound` where a price is published
    and read. The others would be stopped by the jump limit, too."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    available = balance(alice)
    price_at("BTC-USD", "42_000.00", at=timezone.now() - timedelta(seconds=60))
    stood = in_redis()

    if said:
        feed_says(*said)

    assert in_redis() == stood
    for told in (*tick(opening(alice)), *tick(closing(alice, order.code))):
        assert (told.status, told.body) == (400, {"error": NO_PRICE, "message": NO_PRICE})
    with pytest.raises(StalePrice):
        a_quote(alice, receive=btc("0.1"))
    assert (Order.objects.get().status, Deal.objects.count(), Quote.objects.count()) == ("OPEN", 1, 0)
    assert balance(alice) == available


@pytest.mark.parametrize("said", [("420000", "420010"), ("4200", "4201")])
def test_while_the_last_good_price_is_fresh_it_is_the_one_that_executes(said):
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)

    feed_says(*said)
    (told,) = tick(closing(alice, order.code))

    assert told.status == 200
    assert Order.objects.get().close_price == 42_000
    assert balance(alice) == usd("10_000.00")


def test_after_an_operator_accepted_it_the_price_executes():
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, type="buy", quantity="0.01")

    feed_says("420000", "420010")
    prices.accept("BTC-USD")
    (told,) = tick(closing(alice, order.code))

    assert told.status == 200
    assert balance(alice) == usd("13_780.00")
