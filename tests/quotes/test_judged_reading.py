"""A price is judged again when it is read: Redis may hold what no feed has said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Min
from django.test.utils import CaptureQueriesContext

from accounts import streams
from accounts.clock import uptime
from accounts.models import User
from quotes import candles, prices, references, symbols
from quotes.errors import NoRefusedPrice, StalePrice
from quotes.feeds.venue import VenueTick
from quotes.judging import Fault
from quotes.management.commands.run_feed import Feed
from quotes.models import Candle, Instrument, PriceHold
from quotes.prices import HoldState, Price, Prices
from quotes.services import accept_price, hold_price, release_price
from tests.given import a_customer, a_quote, balance, usd
from tests.trades.engine_steps import closing, opening, opens, refused
from trades.models import Deal

pytestmark = pytest.mark.django_db

BTC = "BTC-USD"
MINUTE = timedelta(minutes=1)


def writes(bid: str, ask: str, *, seconds: float = 0, more: str = "") -> None:
    """Somebody writes it into Redis, well-formed and so many seconds old."""
    at = prices.clock() - int(seconds * 1000)
    streams.client().hset("prices", BTC, f"{bid}|{ask}|{at}{more}")


def was_seen_at(bid: str, ask: str, *, ago: timedelta = timedelta(0)) -> None:
    """A feed has said so, and it is in the candle of its minute."""
    candles.note(Price(BTC, Decimal(bid), Decimal(ask), datetime.now(UTC) - ago))
    references.forget()


def read() -> Price | Fault | None:
    found = prices.latest()
    return found.by_symbol.get(BTC) or found.faults.get(BTC)


# --- what somebody writes --------------------------------------------------------------------------


def test_a_price_that_no_feed_has_said_pays_nothing():
    """Guard: `seen` in `_judge`. Without it the forged price pays 415.85 on 0.01 BTC."""
    alice = a_customer(with_usd="10_000.00")
    prices.publish([(BTC, Decimal("42000.00"), Decimal("42010.00"))])
    was_seen_at("42000.00", "42010.00")
    order = opens(alice, quantity="0.01")

    writes("83595.00", "83605.00")

    assert refused(closing(alice, order.code)) == "Price data not found for symbol: BTC-USD"
    with pytest.raises(StalePrice):
        a_quote(alice, receive=10_000)
    assert prices.latest().faults == {BTC: Fault.JUMP}
    assert Deal.objects.count() == 1
    assert balance(alice) == usd("10_000.00") - 4_201


@pytest.mark.parametrize(
    ("bid", "ask", "fault"),
    [
        ("20995", "20995", None),
        ("63000", "63000", None),
        ("20994.99", "20994.99", Fault.JUMP),
        ("63000.01", "63000.01", Fault.JUMP),
        ("40000", "42050", None),
        ("40000", "42110", Fault.SPREAD),
        ("42010", "42000", Fault.UNSOUND),
    ],
)
def test_beyond_either_limit_what_stands_in_redis_is_no_price(bid, ask, fault):
    was_seen_at("41990.00", "42010.00")
    was_seen_at("41980.00", "42000.00")

    writes(bid, ask)

    found = prices.latest()
    assert found.faults.get(BTC) == fault
    assert (BTC in found.by_symbol) == (fault is None)


def test_it_is_judged_by_the_candle_however_old_both_are():
    """So who forges a price's time isn't asked for less; a market that reopens far away waits for its own candle."""
    was_seen_at("42000", "42010", ago=timedelta(days=3))
    for seconds in (0, 60, 300_000):
        writes("100", "100", seconds=seconds)
        assert read() == Fault.JUMP

    was_seen_at("100", "100")
    assert isinstance(read(), Price)


def test_without_a_candle_only_the_sides_are_judged():
    writes("1", "1.01")
    assert isinstance(read(), Price)

    writes("1", "1.10")
    assert read() == Fault.SPREAD


def test_one_from_the_future_is_none():
    writes("100", "100", seconds=-5)

    assert read() == Fault.FUTURE


@pytest.mark.parametrize("name", ["A\0B", "", "btc-usd", "BTC"])
def test_under_a_name_that_is_no_instruments_nothing_is_a_price(name):
    """Guard: `reference is None` in `_judged`."""
    writes("42000", "42010")
    streams.client().hset("prices", name, f"1|1|{prices.clock()}")

    found = prices.latest()

    assert (found.by_symbol.keys(), found.faults) == ({BTC}, {})


def test_an_instrument_that_this_process_does_not_know_yet_has_its_price_after_another_look():
    """Guard: `is_final` before what is unknown is left out."""
    writes("42000", "42010")
    references.forget()
    streams.client().hset("prices", "BTC-EUR", f"1|1|{prices.clock()}")
    assert prices.latest().by_symbol.keys() == {BTC}
    row = Instrument.objects.get(pk=BTC)
    row.symbol = "BTC-EUR"
    row.counter_asset_id = "EUR"
    row.save(force_insert=True)
    time.sleep(references.LOOK_AGAIN_SECONDS)

    assert prices.latest().by_symbol.keys() == {BTC, "BTC-EUR"}


def test_what_the_feed_says_after_a_far_release_counts_as_soon_as_its_candle_is_written():
    was_seen_at("100", "100")
    writes("42000", "42010")
    assert read() == Fault.JUMP

    candles.note(Price(BTC, Decimal(42000), Decimal(42010), datetime.now(UTC)))
    time.sleep(references.LOOK_AGAIN_SECONDS)

    assert isinstance(read(), Price)


# --- holds -----------------------------------------------------------------------------------------


def test_a_hold_that_no_row_knows_is_judged_like_any_price():
    """Guard: `is_true` in `_judge`."""
    was_seen_at("42000", "42010")

    writes("100", "100", more="|7")

    assert read() == Fault.JUMP


@pytest.mark.parametrize("number", [0, 1, 77])
def test_a_hold_that_no_row_knows_is_no_price_where_a_price_might_be_either(number):
    """Guard: `Fault.HOLD` in `_judge`. Without it a deal says that an operator held its price."""
    alice = a_customer(with_usd="10_000.00")
    was_seen_at("42000", "42010")

    writes("42000", "42005", more=f"|{number}")

    assert read() == Fault.HOLD
    assert refused(opening(alice)) == "Price data not found for symbol: BTC-USD"


def test_the_price_of_a_hold_that_has_ended_stands_until_the_feeds_next_one_and_is_judged_like_any():
    """Guard: `ended` in `_judge`. Without it there is no price between a release, or the next hold, and a tick."""
    instrument = Instrument.objects.get(pk=BTC)
    was_seen_at("42000", "42010")
    first = hold_price(instrument, Decimal(42_500), Decimal(42_501)).hold
    release_price(instrument)
    price = read()
    assert isinstance(price, Price)
    assert (price.bid, price.hold) == (42_500, first.number)

    hold_price(instrument, Decimal(100), Decimal(100))
    writes("42500", "42501", more=f"|{first.number}")
    assert isinstance(read(), Price)

    second = PriceHold.objects.latest("number")
    release_price(instrument)
    writes("100", "100", more=f"|{second.number}")
    assert read() == Fault.JUMP


def test_a_hold_that_another_process_sets_is_a_price_at_once():
    """Guards: a price whose hold isn't known isn't certain; `_is_new_hold`, else it is none for a fifth of a second."""
    was_seen_at("42000", "42010")
    writes("42000", "42010")
    assert isinstance(read(), Price)
    PriceHold.objects.create(instrument_id=BTC, number=1, bid=42_100, ask=42_101, at=datetime.now(UTC))
    prices.hold(BTC, Decimal(42_100), Decimal(42_101), 1)

    assert isinstance(read(), Price)


def test_a_hold_that_never_was_is_looked_for_at_once_and_then_five_times_a_second_at_most():
    """Guard: `_sought`."""
    was_seen_at("42000", "42010")
    writes("42000", "42010")
    prices.latest()
    streams.client().hset("prices", BTC, f"42000|42010|{prices.clock()}|77")
    began = time.monotonic()

    asked = queries(lambda: [prices.latest() for _ in range(1000)])

    assert asked <= 2 + (time.monotonic() - began) / references.LOOK_AGAIN_SECONDS


@pytest.mark.parametrize("forged", ["99|99|{}|1", "100|100|{}|2"])
def test_nor_is_one_believed_that_says_another_price_or_number_than_its_row(forged):
    was_seen_at("42000", "42010")
    hold_price(Instrument.objects.get(pk=BTC), Decimal(100), Decimal(100))

    streams.client().hset("prices", BTC, forged.format(prices.clock()))

    assert read() == Fault.JUMP


def test_a_hold_is_trusted_wherever_it_is_and_at_once():
    """Guard: another look at the rows for a hold that they don't know yet; a moment later they are a second old."""
    was_seen_at("42000", "42010")
    writes("42000", "42010")
    assert isinstance(read(), Price)
    time.sleep(references.LOOK_AGAIN_SECONDS)

    hold_price(Instrument.objects.get(pk=BTC), Decimal(100), Decimal(101))

    price = read()
    assert isinstance(price, Price)
    assert (price.bid, price.is_held) == (100, True)
    assert PriceHold.objects.get().number == price.hold


def test_a_hold_whose_instruments_greatest_spread_is_lowered_is_no_price_any_more():
    hold_price(Instrument.objects.get(pk=BTC), Decimal(100), Decimal(104))
    assert isinstance(read(), Price)

    Instrument.objects.filter(pk=BTC).update(max_spread_percent=3)
    references.forget()

    assert read() == Fault.SPREAD


def test_forgetting_the_instruments_forgets_the_limits_of_their_prices():
    """Guard: `references.forget` in `symbols.forget`. Without it this process reads the price for a second more."""
    writes("100", "104")
    assert isinstance(read(), Price)

    Instrument.objects.filter(pk=BTC).update(max_spread_percent=3)
    symbols.forget()

    assert read() == Fault.SPREAD


def test_the_feed_makes_a_candle_of_what_it_said_and_of_a_hold_that_is_a_row_and_of_nothing_else():
    """Guard: `_is_ours`. A hold that somebody writes into Redis stands until the feed's next look at the rows."""
    feed = Feed(1, 0.25, threading.Event())
    feed._lease_keeper.epoch = 1

    def says(mid: str) -> Decimal:
        time.sleep(0.05)  # a price is dated rather too early: not before what stands
        feed._publish([VenueTick(BTC, Decimal(mid), Decimal(mid), uptime())])
        feed._candles.write()
        return Candle.objects.filter(instrument=BTC).aggregate(low=Min("low"))["low"]

    assert says("42000") == 42_000
    streams.client().hset("prices:held", BTC, "100|100|99")
    assert says("42000") == 42_000
    assert prices.latest().faults == {BTC: Fault.JUMP}

    streams.client().hdel("prices:held", BTC)
    hold = hold_price(Instrument.objects.get(pk=BTC), Decimal(41_000), Decimal(41_000)).hold
    feed._hold_states = {BTC: HoldState(hold.number, "41000|41000")}
    assert says("42000") == 41_000


# --- accepted jumps --------------------------------------------------------------------------------


def test_an_accepted_jump_is_in_its_minutes_candle_and_so_is_read():
    """Guard: `candles.note` in `services._recorded`."""
    ann = User.objects.create_user("ann@firm.example", "a long enough word", is_staff=True, is_superuser=True)
    was_seen_at("100", "100")
    prices.publish([(BTC, Decimal(100), Decimal(100))])
    prices.publish([(BTC, Decimal(1000), Decimal(1000))])
    assert isinstance(read(), Price)
    time.sleep(references.LOOK_AGAIN_SECONDS)

    accept_price(Instrument.objects.get(pk=BTC), seen=prices.refused()[BTC], by=ann.pk)

    price = read()
    assert isinstance(price, Price)
    assert price.bid == 1000


# --- times to come ---------------------------------------------------------------------------------

TO_COME = datetime(2190, 1, 1, tzinfo=UTC)
TO_COME_MILLISECONDS = int(TO_COME.timestamp()) * 1000


def test_a_refused_price_of_a_time_to_come_cannot_be_accepted():
    """Guard: `at > now + ahead` in ACCEPT."""
    ann = User.objects.create_user("ann@firm.example", "a long enough word", is_staff=True, is_superuser=True)
    was_seen_at("100", "100")
    streams.client().hset("prices:refused", BTC, f"1000|1000|{TO_COME_MILLISECONDS}")

    with pytest.raises(NoRefusedPrice):
        accept_price(Instrument.objects.get(pk=BTC), seen=prices.refused()[BTC], by=ann.pk)

    assert prices.refused() == {}
    assert read() is None
    assert Candle.objects.get().close == 100


def test_a_held_price_that_somebody_dates_in_the_future_is_in_no_candle():
    """Guard: `is_ahead` in `Gatherer.add`, for `_is_ours` looks at no time."""
    hold = hold_price(Instrument.objects.get(pk=BTC), Decimal(41_000), Decimal(41_000)).hold
    streams.client().hset("prices:held", BTC, f"||{hold.number + 1}")
    streams.client().hset("prices", BTC, f"41000|41000|{TO_COME_MILLISECONDS}|{hold.number}")
    feed = Feed(1, 0.25, threading.Event())
    feed._lease_keeper.epoch = 1
    feed._hold_states = {BTC: HoldState(hold.number, "41000|41000")}

    feed._publish([])
    feed._candles.write()

    assert feed._candles.early == 1
    assert not Candle.objects.exists()


def test_by_a_candle_of_a_time_to_come_that_is_there_already_nothing_is_judged():
    """Guard: `minute <= now()` in IS_SEEN."""
    was_seen_at("42000", "42010")
    candles.make_months([TO_COME])
    Candle.objects.create(instrument_id=BTC, minute=TO_COME, open=9, high=9, low=9, close=9, volume=0, trade_count=1)
    references.forget()

    writes("42000", "42010")
    assert isinstance(read(), Price)
    writes("9", "9")
    assert read() == Fault.JUMP


# --- what it costs ---------------------------------------------------------------------------------


def queries(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as done:
        work()
    return len(done)


def test_reading_a_thousand_times_asks_postgresql_once_for_limits_and_once_for_hours():
    writes("42000", "42010")
    references.forget()
    began = time.monotonic()

    asked = queries(lambda: [prices.latest() for _ in range(1000)])

    assert asked <= 2 * (1 + (time.monotonic() - began) / references.KEPT_SECONDS)


def test_a_forged_price_that_stands_there_is_looked_at_again_five_times_a_second_at_most():
    was_seen_at("42000", "42010")
    writes("100", "100")
    began = time.monotonic()

    asked = queries(lambda: [prices.latest() for _ in range(1000)])

    assert asked <= 2 + (time.monotonic() - began) * (1 / references.LOOK_AGAIN_SECONDS + 1 / symbols.KEPT_SECONDS)


def test_a_text_is_judged_once_until_it_or_the_reference_changes():
    """Guard: `_last`."""
    writes("42000", "42010")
    was_seen_at("42000", "42010")
    first = read()

    assert read() is first
    references.forget()
    assert read() == first


# --- the engine's memory ---------------------------------------------------------------------------


def test_who_reads_all_the_time_keeps_the_price_of_before_and_it_grows_old():
    now = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    good = Price(BTC, Decimal(100), Decimal(101), now)
    before = Prices(now, {BTC: good})

    after = Prices(now + MINUTE, {}, {BTC: Fault.SPREAD}).after(before)

    assert after.by_symbol == {BTC: good}
    assert after.usable(BTC, 60) == good
    assert after.usable(BTC, 59) is None
    assert Prices(now + MINUTE, {}, {}).after(before).by_symbol == {}


def test_every_command_that_shows_a_price_reads_it_judged(capsys):
    was_seen_at("42000", "42010")
    writes("100", "101")
    streams.client().hset("prices:refused", BTC, f"42000|42010|{prices.clock()}")

    call_command("accept_price", "BTC")

    assert "BTC-USD stands at no price" in capsys.readouterr().out
