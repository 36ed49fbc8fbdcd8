"""What is a price, what is none, and how an operator holds one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts import streams
from quotes import prices, symbols
from quotes.errors import StalePrice, UnknownSymbol
from quotes.price_scripts import AHEAD
from quotes.prices import Prices, is_sound, parsed
from quotes.services import hold_price, release_price

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_prices():
    prices.forget()
    yield
    prices.forget()


def known(text: str) -> bool:
    return bool(parsed({"BTC-USD": f"{text}|1000"}))


# --- what is a price -------------------------------------------------------------------------------


def test_a_finite_positive_uncrossed_pair_is_a_price():
    assert known("100|100")
    assert known("99.99|100.01")


@pytest.mark.parametrize(
    "text",
    ["101|100", "0|100", "0|0", "-1|100", "NaN|NaN", "1|Infinity", "1e400|1e400", "|", "1", "a|b", "1|1e-19", "1_0|11"],
)
def test_crossed_zero_negative_and_non_finite_pairs_are_no_price(text):
    assert not known(text)


def test_a_price_without_a_time_is_no_price():
    assert not parsed({"BTC-USD": "100|101"})
    assert not parsed({"BTC-USD": "100|101|yesterday"})


@pytest.mark.parametrize("pair", [("2", "1"), ("0", "1"), ("NaN", "NaN"), ("1", "Infinity")])
def test_an_unsound_tick_is_never_published(pair):
    prices.publish([("BTC-USD", Decimal(pair[0]), Decimal(pair[1])), ("ETH-USD", Decimal("9.9"), Decimal(10))])

    assert set(prices.latest().by_symbol) == {"ETH-USD"}
    assert not is_sound(None, Decimal(1))


def test_a_price_exactly_at_the_age_limit_is_fresh_and_a_millisecond_later_stale():
    prices.publish([("BTC-USD", Decimal(100), Decimal(101))], at=MOMENT)
    found = prices.latest().by_symbol

    at_the_limit = Prices(MOMENT + timedelta(seconds=10), found)
    past_it = Prices(MOMENT + timedelta(seconds=10, milliseconds=1), found)

    assert at_the_limit.require("BTC-USD", 10).bid == 100
    assert past_it.usable("BTC-USD", 10) is None
    with pytest.raises(StalePrice):
        past_it.require("BTC-USD", 10)


def test_a_price_a_second_ahead_is_fresh_and_one_further_ahead_is_none():
    """Guard: `AHEAD` in `Prices.usable`. Without it whoever keeps a price has it fresh for as long as Redis' clock was
    set back."""
    prices.publish([("BTC-USD", Decimal(100), Decimal(101))], at=MOMENT)
    found = prices.latest().by_symbol

    assert Prices(MOMENT - AHEAD, found).usable("BTC-USD", 10) is not None
    assert Prices(MOMENT - AHEAD - timedelta(milliseconds=1), found).usable("BTC-USD", 10) is None


def test_a_price_is_dated_and_judged_by_the_clock_of_redis():
    prices.publish([("BTC-USD", Decimal(100), Decimal(101))])

    seen = prices.latest()

    assert seen.usable("BTC-USD", 1) is not None
    assert timedelta(0) <= seen.now - seen.by_symbol["BTC-USD"].at < timedelta(seconds=1)


def test_a_price_comes_back_digit_for_digit():
    least = ("0.000000000000000001", "0.000000000000000001")
    most = ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345679")
    prices.publish([("BTC-USD", *map(Decimal, least)), ("ETH-USD", *map(Decimal, most))])

    known = prices.latest().by_symbol

    assert (f"{known['BTC-USD'].bid:f}", f"{known['BTC-USD'].ask:f}") == least
    assert (f"{known['ETH-USD'].bid:f}", f"{known['ETH-USD'].ask:f}") == most


def test_rubbish_in_redis_hides_no_other_symbols_price():
    streams.client().hset("prices", mapping={"BTC-USD": "rubbish", "ETH-USD": "9.9|10|1000"})

    assert set(prices.latest().by_symbol) == {"ETH-USD"}


# --- holding ---------------------------------------------------------------------------------------


def test_a_held_price_takes_effect_at_once_and_outlasts_every_tick_until_released():
    prices.publish([("BTC-USD", Decimal(100), Decimal(101))])

    hold_price(symbols.instrument("BTC-USD"), Decimal(200), Decimal(201))
    assert prices.latest().by_symbol["BTC-USD"].bid == 200

    prices.publish([("BTC-USD", Decimal(100), Decimal(101)), ("ETH-USD", Decimal("9.9"), Decimal(10))])
    assert prices.latest().by_symbol["BTC-USD"].ask == 201
    assert prices.latest().by_symbol["ETH-USD"].ask == 10

    release_price(symbols.instrument("BTC-USD"))
    prices.publish([("BTC-USD", Decimal(100), Decimal(101))])
    assert prices.latest().by_symbol["BTC-USD"].ask == 101


def test_ticks_keep_a_held_price_fresh():
    hold_price(symbols.instrument("BTC-USD"), Decimal(200), Decimal(201))
    held_at = prices.latest().by_symbol["BTC-USD"].at
    a_moment_later = held_at + timedelta(milliseconds=1)
    while prices.latest().now < a_moment_later:
        pass

    prices.publish([("BTC-USD", Decimal(100), Decimal(101))], at=a_moment_later)

    price = prices.latest().by_symbol["BTC-USD"]
    assert (price.bid, price.at) == (200, a_moment_later)


def set_price(*words: str) -> str:
    out = StringIO()
    call_command("set_price", *words, stdout=out)
    return out.getvalue().strip()


def test_set_price_holds_and_releases_by_any_name_of_the_symbol():
    assert set_price("btcusdt", "43000.5", "43001") == "BTC-USD is held at 43000.5 / 43001 until it is released."
    assert prices.latest().by_symbol["BTC-USD"].bid == Decimal("43000.5")

    assert json.loads(set_price("BTC", "--release", "--json")) == {"symbol": "BTC-USD", "held": False}
    prices.publish([("BTC-USD", Decimal(100), Decimal(101))])
    assert prices.latest().by_symbol["BTC-USD"].bid == 100


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("DOGE", "1", "2"), "Unknown symbol: DOGE"),
        (("BTC", "2", "1"), "must not be above"),
        (("BTC", "0", "1"), "greater than 0"),
        (("BTC", "NaN", "1"), "greater than 0"),
        (("BTC", "1e400", "1e400"), "greater than 0"),
        (("BTC",), "greater than 0"),
        (("BTC", "1", "2.001"), "at most 2 decimals"),
        (("BTC", "1", "2", "--release"), "not both"),
    ],
)
def test_set_price_refuses_what_is_no_price_and_changes_nothing(words, complaint):
    with pytest.raises(CommandError, match=complaint):
        set_price(*words)

    assert not prices.latest().by_symbol


# --- symbols ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["btc", "BTC", "BTCUSD", "BTCUSDT", "btc-usd", "BTC-USDT", "BTC-USD"])
def test_a_symbol_is_known_by_all_its_names(name):
    symbols.forget()

    assert symbols.canonical(name) == "BTC-USD"


@pytest.mark.parametrize(
    "name", ["", "DOGE", "BTC-EUR", "USD", "BTC USD", "\x00", "\ud800", "x" * 10_000, None, 7, True]
)
def test_anything_else_is_no_symbol(name):
    symbols.forget()

    assert symbols.canonical(name) is None
    with pytest.raises(UnknownSymbol):
        symbols.instrument(name)


def test_a_base_asset_alone_means_its_pair_in_the_home_currency():
    names = symbols.aliases(["BTC-EUR", "BTC-USD", "ETH-BTC"], "USD")

    assert names["BTC"] == "BTC-USD"
    assert names["BTCEUR"] == "BTC-EUR"
    assert "ETH" not in names


def test_asking_for_symbols_again_within_a_second_asks_the_database_nothing(django_assert_num_queries):
    symbols.forget()
    with django_assert_num_queries(1):
        assert len(symbols.instruments()) == 9
        assert [row.base_asset.decimals for row in symbols.instruments().values()]
        assert symbols.canonical("eth") == "ETH-USD"
