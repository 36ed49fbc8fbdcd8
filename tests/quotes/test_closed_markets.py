"""A closed market's price is what PostgreSQL has: whoever writes into Redis moves nothing by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts import clock, streams
from quotes import candles, prices, references, symbols
from quotes.candle_files import CandleFile, CandleFiles
from quotes.candles import Gatherer
from quotes.errors import MarketClosed
from quotes.hours import MarketHours
from quotes.judging import Fault
from quotes.models import Candle, Instrument
from quotes.prices import Price
from quotes.services import accept_price, hold_price, release_price
from tests.given import a_customer
from tests.hours import ALWAYS, FRIDAY, FX, NEARLY, SATURDAY, SUNDAY, closes, has_opened, keeps, moment, opens_soon
from tests.quotes.test_judged_reading import BTC, writes
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.engine_steps import opens
from trades.reads.figures import figures_of
from trades.spendable import held_by_positions

pytestmark = pytest.mark.django_db

SIDES = (Decimal("42000.00"), Decimal("42010.00"))
HOUR = timedelta(hours=1)


def said(bid: Decimal, ask: Decimal, *, ago: timedelta = timedelta(0)) -> datetime:
    """A feed has said so, to Redis and into its candle."""
    at = datetime.fromtimestamp(prices.clock() / 1000, UTC) - ago
    prices.publish([(BTC, bid, ask)], at=at)
    candles.note(Price(BTC, bid, ask, at))
    references.forget()
    return at


def read() -> Price | Fault | None:
    found = prices.latest()
    return found.by_symbol.get(BTC) or found.faults.get(BTC)


def test_what_somebody_writes_while_it_is_closed_is_worth_nothing_and_buys_nothing():
    """Guard: `symbol in closed` in `_judged`. Without it a price within the jump limit, as fresh as its writer says,
    takes away what the customer can spend, or gives it back, and calls their margin."""
    alice = a_customer(with_usd="10_000.00")
    at = said(*SIDES)
    opens(alice, quantity="0.1")
    closes(BTC)
    before = figures_of([alice.pk], prices.latest())[alice.pk]
    lost = held_by_positions([alice.pk], prices.latest().by_symbol)

    for bid, ask in (("30000.00", "30010.00"), ("60000.00", "60010.00"), ("41950.00", "42060.00")):
        writes(bid, ask)
        found = prices.latest()
        assert found.by_symbol[BTC] == Price(BTC, *SIDES, at)
        assert figures_of([alice.pk], found)[alice.pk] == before
        assert held_by_positions([alice.pk], found.by_symbol) == lost


def test_its_age_is_its_candles_whatever_time_somebody_writes():
    """Guard: `closing` in `_made_of_rows`. Fresh, it would make a rate by which other markets' orders are converted."""
    said(*SIDES, ago=HOUR)
    closes(BTC)

    writes("42000.00", "42010.00")

    assert prices.latest().usable(BTC, 60) is None
    assert isinstance(read(), Price)


def test_an_emptied_redis_takes_no_closed_markets_price_away():
    at = said(*SIDES)
    closes(BTC)
    prices.forget()

    assert read() == Price(BTC, *SIDES, at)


def test_rubbish_in_its_place_is_not_looked_at():
    at = said(*SIDES)
    closes(BTC)
    streams.client().hset("prices", BTC, "rubbish")

    assert read() == Price(BTC, *SIDES, at)


def test_without_any_candle_there_is_none():
    """Guard: `Fault.CLOSED`. A market that nobody has ever seen would be worth what somebody writes."""
    writes("42000.00", "42010.00")
    assert isinstance(read(), Price)

    closes(BTC)

    assert read() == Fault.CLOSED


def test_once_it_opens_what_the_feed_says_counts():
    said(*SIDES)
    closes(BTC)
    writes("42100.00", "42110.00")

    keeps(BTC, "always")

    price = read()
    assert isinstance(price, Price)
    assert price.bid == Decimal("42100.00")


def test_the_price_of_a_candle_that_knows_no_spread_is_its_middle_rounded_outward():
    at = said(Decimal("42000.00"), Decimal("42000.01"))
    Candle.objects.update(close_spread=None)
    closes(BTC)

    assert read() == Price(BTC, Decimal("42000.00"), Decimal("42000.01"), at)


def test_before_the_opening_only_what_a_feed_has_said_since_the_bell_counts():
    """Guard: `_kept_until_said` in `_judged`. Without it what somebody has written over the weekend counts, and stops
    out other markets, until the feed's first price."""
    at = said(*SIDES, ago=HOUR * 2)
    opens_soon(BTC)
    writes("30000.00", "30010.00")

    assert read() == Price(BTC, *SIDES, at)

    said(Decimal("42100.00"), Decimal("42110.00"))
    price = read()
    assert isinstance(price, Price)
    assert price.bid == Decimal("42100.00")


def test_a_market_that_opens_before_anything_was_said_keeps_its_closing_price():
    """Guard: the last loop of `_judged`. Without it its positions are worth nothing for as long."""
    at = said(*SIDES, ago=HOUR * 3)
    has_opened(BTC)
    prices.forget(BTC)

    assert read() == Price(BTC, *SIDES, at)
    assert prices.latest().usable(BTC, 60) is None
    writes("42100.00", "42110.00")
    price = read()
    assert isinstance(price, Price)
    assert price.bid == Decimal("42100.00")
    said(Decimal("42100.00"), Decimal("42110.00"))
    prices.forget(BTC)
    assert read() is None


def test_who_reads_all_the_time_keeps_no_price_of_a_market_that_has_closed():
    """Guard: `Fault.CLOSED` in `after`. The engine would value by what the web doesn't."""
    prices.publish([(BTC, *SIDES)])
    before = prices.latest()
    closes(BTC)

    found = prices.latest().after(before)

    assert (found.by_symbol.get(BTC), found.faults[BTC]) == (None, Fault.CLOSED)


def test_a_refused_price_of_a_closed_market_is_not_accepted():
    """Guard: `market_rests` in `accept_price`. It would become a candle, and so the closed market's price."""
    said(*SIDES, ago=HOUR)
    closes(BTC)
    streams.client().hset(prices.REFUSED, BTC, f"90000|90010|{prices.clock()}")

    with pytest.raises(MarketClosed):
        accept_price(Instrument.objects.get(pk=BTC), seen=prices.refused()[BTC], by=a_member_of_staff("ops").pk)

    references.forget()
    price = read()
    assert isinstance(price, Price)
    assert price.bid == SIDES[0]


# --- holds -----------------------------------------------------------------------------------------


def test_a_hold_that_is_a_row_counts_whatever_stands_in_redis_and_is_as_fresh_as_redis_says():
    """Guards: `done.is_certain`, and `reference.hold` in `_made_of_rows`."""
    at = said(*SIDES, ago=HOUR)
    closes(BTC)
    hold = hold_price(Instrument.objects.get(pk=BTC), Decimal(41_000), Decimal(41_010)).hold
    price = read()
    assert isinstance(price, Price)
    assert (price.bid, price.hold, price.at > at) == (41_000, hold.number, True)

    for text in (f"30000|30010|{prices.clock()}", f"30000|30010|{prices.clock()}|{hold.number}", "", "41000|41010|x"):
        streams.client().hset("prices", BTC, text)
        assert read() == Price(BTC, Decimal(41_000), Decimal(41_010), at, hold.number)
    streams.client().hset("prices", BTC, f"41000|41010|{prices.clock() + 60_000}|{hold.number}")
    assert read() == Price(BTC, Decimal(41_000), Decimal(41_010), at, hold.number)


@pytest.mark.parametrize("number", [1, 77])
def test_one_that_has_ended_or_never_was_does_not(number):
    at = said(*SIDES)
    hold_price(Instrument.objects.get(pk=BTC), Decimal(41_000), Decimal(41_010))
    release_price(Instrument.objects.get(pk=BTC))
    closes(BTC)

    writes("41000", "41010", more=f"|{number}")

    assert read() == Price(BTC, *SIDES, at)


# --- when it is closed -----------------------------------------------------------------------------


def test_whose_market_is_closed_is_known_until_the_hours_change_it(monkeypatch):
    hours = {"EUR-USD": MarketHours(FX), BTC: MarketHours(ALWAYS)}
    monkeypatch.setattr(symbols, "market_hours", lambda: hours)

    found = [symbols.closed(moment(at)) for at in (FRIDAY, SATURDAY, NEARLY, SUNDAY, SATURDAY, FRIDAY)]

    assert found == [frozenset(), {"EUR-USD"}, frozenset(), frozenset(), {"EUR-USD"}, frozenset()]


# --- the spread of a close -------------------------------------------------------------------------


def test_the_spread_is_that_of_the_latest_price_in_whatever_order_they_come(tmp_path):
    """Guard: `close_spread` in `_ADD`, whose candle closes by the later time; and in the files of a feed that died."""
    at = clock.now().replace(microsecond=0, second=30)
    first, second = (Price(BTC, *SIDES, at), Price(BTC, Decimal(42_000), Decimal(42_001), at + timedelta(seconds=1)))
    for order in ((first, second), (second, first)):
        Candle.objects.all().delete()
        for price in order:
            gatherer = Gatherer()
            gatherer.add([price])
            gatherer.write()
        assert Candle.objects.get().close_spread == 1

    file = CandleFiles(tmp_path).append(None, [candles._said(first), candles._said(second)._replace(spread=None)])
    assert isinstance(file, CandleFile)
    assert [(said.mid, said.spread) for said in file.read()] == [(42_005, 10), (Decimal("42000.5"), None)]
