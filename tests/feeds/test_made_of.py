"""What a price was made of goes with it through Redis, in one text; who reads it judges it first."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts import streams
from brokerage import settings as configured
from quotes import prices
from quotes.made_of import SourcePrice, is_written
from quotes.prices import PriceTick

pytestmark = pytest.mark.django_db

BTC = "BTC-USD"
SOURCES = "coinbase,100,101,1764493736123;kraken_2,99.5,101.25,1764493736000"


def publish(bid: str = "100", ask: str = "101", made_of: str = SOURCES) -> prices.Published:
    return prices.publish_ticks([PriceTick(BTC, Decimal(bid), Decimal(ask), made_of=made_of)], {})


@pytest.mark.parametrize("name", ["ccxt_coinbaseexchange", "ccxt_coinbaseinternational", "a" * 28])
def test_a_source_with_a_long_name_takes_no_price_away(name):
    """Guard: `_NAME`. By twenty characters the price that the feed had published was none to whoever read it."""
    made_of = f"{name},100,101,1764493736123;kraken,99.5,101.25,1764493736000"

    assert publish(made_of=made_of).faults == {}
    assert [one.source for one in prices.latest().by_symbol[BTC].sources] == [name, "kraken"]
    assert configured._sources(f"{name}=2,kraken") == {name: 2, "kraken": 1}


@pytest.mark.parametrize("name", ["a" * 29, "Coinbase", "9raken", "../etc", "coin base", "münzen", "_a"])
def test_a_source_that_no_price_could_name_is_no_setting(name):
    """Guard: `NAME` in `settings._sources`. Without it the feed begins, and there is never a price."""
    assert not is_written(f"{name},1,2,3")
    with pytest.raises(ImproperlyConfigured, match="can't name a source"):
        configured._sources(f"kraken,{name}=2")


def test_the_longest_that_sixteen_sources_can_say_fits_in_a_deal():
    """The CHECK `deal_sources_are_short` takes 2,000 characters."""
    price = "9" * 20 + "." + "9" * 18
    longest = ";".join([f"{'a' * 28},{price},{price},{'9' * 14}"] * 16)
    assert is_written(longest)
    assert len(longest) <= 2000


def in_redis(key: str = "prices") -> str:
    return streams.client().hget(key, BTC) or ""


def test_a_price_knows_its_sources_what_they_said_and_when_in_the_one_reading_of_all_prices():
    publish()

    price = prices.latest().by_symbol[BTC]

    assert price.sources == (
        SourcePrice("coinbase", Decimal(100), Decimal(101), datetime(2025, 11, 30, 9, 8, 56, 123000, UTC)),
        SourcePrice("kraken_2", Decimal("99.5"), Decimal("101.25"), datetime(2025, 11, 30, 9, 8, 56, tzinfo=UTC)),
    )
    assert publish().stands[BTC].sources == price.sources


def test_a_price_that_jumps_is_refused_and_accepted_with_its_sources_and_the_next_is_compared_with_it():
    """Guard: `read` in the script leaves out what stands behind `~`. Else no price has one before it."""
    publish()

    assert publish("1000", "1001").faults == {BTC: prices.Fault.JUMP}
    assert in_redis("prices:refused").endswith(f"~{SOURCES}")
    assert prices.accept(BTC).made_of == SOURCES
    assert publish("100", "101").faults == {BTC: prices.Fault.JUMP}


def test_a_held_price_is_made_of_nothing_and_the_feeds_own_comes_back_with_its_sources():
    publish()
    prices.hold(BTC, Decimal(200), Decimal(201))
    publish("102", "103")

    assert "~" not in in_redis()
    assert in_redis("prices:behind").endswith(f"~{SOURCES}")
    prices.release(BTC)
    publish("103", "104")
    assert in_redis().endswith(f"~{SOURCES}")


def test_a_hold_of_which_no_source_says_anything_is_as_fresh_as_the_feed_says_and_never_goes_back():
    """Guard: the time that goes with it. By the script's own, a call that lay in a socket would make it fresh."""
    prices.hold(BTC, Decimal(200), Decimal(201))
    now = prices.clock()

    def told(as_of: int) -> int:
        prices.publish_ticks([], {}, {}, held={BTC: as_of})
        return int(in_redis().split("|")[2])

    first = told(now - 60_000)
    assert now - 1000 < first <= now
    assert told(now + 60_000) == first
    prices.publish_ticks([], {}, {}, held={"ETH-USD": now})
    assert prices.latest().by_symbol.keys() <= {BTC}
    streams.client().hset("prices", BTC, f"200|201|{now - 90_000}|1")
    assert told(now - 60_000) == now - 60_000


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "coinbase",
        "coinbase,1,2",
        "Coinbase,1,2,3",
        "coinbase,1,2,3;",
        "coinbase,-1,2,3",
        "coinbase,1e5,2,3",
        "coinbase,NaN,2,3",
        "coinbase,1,2,3~coinbase,1,2,3",
        "coinbase,1,2," + "9" * 15,
        "coinbase," + "9" * 21 + ",2,3",
        "coinbase,１,2,3",
        "<script>,1,2,3",
        "coinbase,1,2,3\n",
        ";".join(["a,1,2,3"] * 17),
        "a" * 29 + ",1,2,3",
    ],
)
def test_what_no_feed_wrote_is_no_price(forged):
    """Guard: `is_written` in `prices._parsed`."""
    streams.client().hset("prices", BTC, f"100|101|1764493736123~{forged}")

    assert prices.latest().faults == {BTC: prices.Fault.UNSOUND}
    assert not is_written(forged)


def test_a_held_price_with_sources_is_no_price():
    streams.client().hset("prices", BTC, f"100|101|1764493736123|1~{SOURCES}")

    assert prices.latest().faults == {BTC: prices.Fault.UNSOUND}
