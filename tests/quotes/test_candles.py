"""One-minute candles: what they record, how they merge, how they add up to longer intervals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import ProgrammingError, connection, transaction

from quotes.candles import Gatherer
from quotes.markets_selectors import bars
from quotes.models import Candle
from quotes.prices import Price

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def price(mid: str, at: datetime, symbol: str = "BTC-USD") -> Price:
    return Price(symbol, Decimal(mid) - 1, Decimal(mid) + 1, at)


def recorded(*prices: Price) -> None:
    gatherer = Gatherer()
    gatherer.add(prices)
    gatherer.write()


@transaction.atomic
def write_without_the_table(gatherer: Gatherer) -> None:
    """The rename is rolled back with the failure it causes."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE quotes_candle RENAME TO quotes_candle_away")
    gatherer.write()


def the_candle() -> tuple[str, str, str, str, int]:
    candle = Candle.objects.get()
    return (f"{candle.open:.1f}", f"{candle.high:.1f}", f"{candle.low:.1f}", f"{candle.close:.1f}", candle.trade_count)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def test_a_candle_has_the_first_highest_lowest_and_last_mid_price_of_its_minute():
    recorded(
        price("100", NOON),
        price("103", NOON + seconds(10)),
        price("98", NOON + seconds(20)),
        price("99.5", NOON + seconds(59.999)),
        price("500", NOON + seconds(60)),
    )

    Candle.objects.get(minute=NOON + minutes(1)).delete()
    assert the_candle() == ("100.0", "103.0", "98.0", "99.5", 4)


def test_a_minute_begun_before_a_restart_goes_on_where_it_was():
    recorded(price("100", NOON), price("103", NOON + seconds(10)))
    recorded(price("101", NOON + seconds(30)), price("97", NOON + seconds(40)), price("99", NOON + seconds(50)))

    assert the_candle() == ("100.0", "103.0", "97.0", "99.0", 5)


def test_writing_twice_counts_each_price_once():
    gatherer = Gatherer()
    gatherer.add([price("100", NOON)])
    assert gatherer.write() == 1
    assert gatherer.write() == 0

    gatherer.add([price("101", NOON + seconds(1))])
    gatherer.write()

    assert the_candle() == ("100.0", "101.0", "100.0", "101.0", 2)


def test_what_could_not_be_written_is_written_later_with_what_came_since():
    gatherer = Gatherer()
    gatherer.add([price("100", NOON), price("90", NOON + seconds(1))])
    with pytest.raises(ProgrammingError, match="quotes_candle"):
        write_without_the_table(gatherer)
    gatherer.add([price("95", NOON + seconds(2)), price("96", NOON + minutes(1))])

    assert gatherer.write() == 2

    Candle.objects.get(minute=NOON + minutes(1)).delete()
    assert the_candle() == ("100.0", "100.0", "90.0", "95.0", 3)


def test_a_price_of_an_instrument_that_is_gone_records_nothing():
    recorded(price("100", NOON, "GONE-USD"), price("100", NOON))

    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)


# --- longer intervals ------------------------------------------------------------------------------


@pytest.fixture
def nine_minutes() -> None:
    """12:00 to 12:08, open 100, 101 … 108, each closing half a unit above its open; 12:03 has no price."""
    for minute in (0, 1, 2, 4, 5, 6, 7, 8):
        at = NOON + minutes(minute)
        recorded(price(str(100 + minute), at), price(f"{100 + minute}.5", at + seconds(30)))


def read(interval: str, since: datetime | None, until: datetime, limit: int = 1000) -> list[tuple[str, ...]]:
    found = bars("BTC-USD", interval, since=since, until=until, limit=limit)
    return [(f"{b.time:%H:%M}", f"{b.open:.1f}", f"{b.high:.1f}", f"{b.low:.1f}", f"{b.close:.1f}") for b in found]


@pytest.mark.usefixtures("nine_minutes")
def test_five_minutes_are_the_first_open_the_highest_the_lowest_and_the_last_close():
    assert read("5m", None, NOON + minutes(60)) == [
        ("12:00", "100.0", "104.5", "100.0", "104.5"),
        ("12:05", "105.0", "108.5", "105.0", "108.5"),
    ]
    (first, second) = bars("BTC-USD", "5m", since=None, until=NOON + minutes(60), limit=10)
    assert (first.updates, second.updates) == (8, 8)


@pytest.mark.usefixtures("nine_minutes")
def test_from_is_inclusive_and_to_is_exclusive():
    assert [bar[0] for bar in read("1m", NOON + minutes(1), NOON + minutes(5))] == ["12:01", "12:02", "12:04"]
    assert read("1m", NOON + minutes(1), NOON + minutes(1)) == []


@pytest.mark.usefixtures("nine_minutes")
def test_a_candle_is_whole_wherever_the_range_ends():
    assert read("5m", NOON + minutes(2), NOON + minutes(6)) == [("12:05", "105.0", "108.5", "105.0", "108.5")]


@pytest.mark.usefixtures("nine_minutes")
def test_a_limit_takes_the_first_candles_after_from_and_without_from_the_last():
    assert [bar[0] for bar in read("1m", NOON, NOON + minutes(60), 2)] == ["12:00", "12:01"]
    assert [bar[0] for bar in read("1m", None, NOON + minutes(60), 2)] == ["12:07", "12:08"]
    assert read("5m", None, NOON + minutes(60), 1) == [("12:05", "105.0", "108.5", "105.0", "108.5")]
    assert read("5m", NOON, NOON + minutes(60), 1) == [("12:00", "100.0", "104.5", "100.0", "104.5")]


@pytest.mark.usefixtures("nine_minutes")
def test_days_and_hours_begin_at_utc_midnight():
    assert [bar[0] for bar in read("4h", None, NOON + minutes(60))] == ["12:00"]
    assert [bar[0] for bar in read("1d", None, NOON + minutes(60))] == ["00:00"]


@pytest.mark.usefixtures("nine_minutes")
@pytest.mark.parametrize("interval", ["5m", "15m", "30m", "1h", "4h", "1d"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_every_limit_shows_the_same_candles_as_all_of_them(interval, limit):
    everything = read(interval, None, NOON + minutes(600))

    assert read(interval, None, NOON + minutes(600), limit) == everything[-limit:]
    assert read(interval, NOON - minutes(1440), NOON + minutes(600), limit) == everything[:limit]
