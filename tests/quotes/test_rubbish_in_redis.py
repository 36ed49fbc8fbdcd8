"""Whatever stands in Redis in place of prices, holds or the epoch: feed and readers go on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounts import streams
from quotes import prices
from quotes.errors import NoRefusedPrice
from quotes.price_scripts import EPOCH, KEYS
from quotes.prices import PriceTick

pytestmark = pytest.mark.django_db

BTC, ETH = "BTC-USD", "ETH-USD"
OTHER_TYPES: dict[str, Callable[[str], object]] = {
    "string": lambda key: streams.client().set(key, "x"),
    "list": lambda key: streams.client().rpush(key, "x"),
    "set": lambda key: streams.client().sadd(key, "x"),
    "zset": lambda key: streams.client().zadd(key, {"x": 1}),
    "hash": lambda key: streams.client().hset(key, "x", "y"),
    "stream": lambda key: streams.client().xadd(key, {"x": "y"}),
}


def becomes(key: str, type_: str) -> None:
    streams.client().delete(key)
    OTHER_TYPES[type_](key)


def stands() -> Decimal:
    """Also of a hold that no row says, which nobody reads as a price."""
    return prices.parsed(streams.client().hgetall("prices"))[BTC].bid


def says(price: str) -> None:
    prices.publish_ticks([PriceTick(BTC, Decimal(price), Decimal(price))], {}, {BTC: prices.HoldState(0)}, 1)


@pytest.mark.parametrize("type_", OTHER_TYPES)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_another_type_stops_neither_the_feed_nor_a_hold_nor_accepting(key, type_):
    """Seen to fail without the scripts' look at the types: WRONGTYPE, until somebody deletes the key."""
    if OTHER_TYPES[type_] is OTHER_TYPES["string" if key == EPOCH else "hash"]:
        return

    becomes(key, type_)
    says("100")
    assert prices.latest().by_symbol[BTC].bid == 100

    becomes(key, type_)
    prices.hold(BTC, Decimal(200), Decimal(200))
    assert stands() == 200

    becomes(key, type_)
    with pytest.raises(NoRefusedPrice):
        prices.accept(BTC)

    says("100")
    assert stands() in (100, 200)


@pytest.mark.parametrize("type_", sorted(set(OTHER_TYPES) - {"hash"}))
def test_a_key_of_another_type_stops_no_reader(type_):
    for key in KEYS:
        becomes(key, type_)

    assert prices.latest().by_symbol == {}
    assert prices.refused() == {}
    assert prices.hold_numbers() == {}


RUBBISH = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[0-9.|]{0,30}", fullmatch=True),
    st.lists(st.sampled_from(["100", "1e400", "-1", "²", "0", "9" * 20, "9" * 5000, "1.2.3", ""]), max_size=6).map(
        "|".join
    ),
    st.binary(max_size=20),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KEYS), RUBBISH)
@example("prices", "100|101|²")
@example("prices", "100|101|" + "9" * 20)
@example("prices", "100|101|" + "9" * 5000)
@example("prices", "100|101|1000|" + "9" * 5000)
@example("prices:held", "1.2.3|4|5")
@example("prices:held", "100|101|" + "9" * 400)
@example("prices:behind", "1|1|" + "9" * 400)
def test_no_text_in_any_field_stops_the_feed_or_a_reader(key, rubbish):
    """Seen to fail: a time that is a digit to Python and no number, or one past the year 9999."""
    prices.forget()
    prices.publish([(ETH, Decimal("9.9"), Decimal(10))])
    if key == EPOCH:
        streams.client().set(key, rubbish)
    else:
        streams.client().hset(key, BTC, rubbish)

    assert prices.latest().by_symbol[ETH].bid == Decimal("9.9")
    assert set(prices.refused()) <= {BTC}
    prices.hold_numbers()
    ticks = [PriceTick(BTC, Decimal(100), Decimal(100))]
    found = prices.publish_ticks(ticks, {}, {BTC: prices.HoldState(0)}, 10**14 - 1)
    assert set(found.faults) <= {BTC}
    assert set(prices.latest().by_symbol) <= {BTC, ETH}
    prices.release(BTC)
    prices.forget(BTC)
