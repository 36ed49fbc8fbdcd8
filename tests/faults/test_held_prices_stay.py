"""A hold outlives a Redis that is emptied or starts anew, the feed, and all of it; and ends when PostgreSQL says so."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from accounts import streams
from accounts.errors import Unavailable
from accounts.models import User
from quotes import prices, symbols
from quotes.models import PriceHold
from quotes.services import accept_price, hold_price, release_price
from tests.faults.feeds import feeds, soon
from tests.faults.own_redis import own_redis

BTC = "BTC-USD"


def stands() -> tuple[Decimal, bool]:
    price = prices.latest().by_symbol[BTC]
    return price.bid, price.is_held


def is_held_at(price: int) -> bool:
    return stands() == (price, True)


@pytest.mark.django_db(transaction=True)
def test_a_hold_outlives_flushall_a_new_redis_a_new_feed_and_all_of_them_together(settings):
    """Guard: the hold states that the feed sends."""
    with own_redis(settings) as server:
        with feeds(7):
            soon(stands)
            hold_price(symbols.instrument(BTC), Decimal(43000), Decimal(43001))
            soon(lambda: is_held_at(43000))

            streams.client().flushall()
            soon(lambda: is_held_at(43000), 3)

            server.stop()
            server.start()
            soon(lambda: is_held_at(43000), 8)

            time.sleep(0.3)
            assert is_held_at(43000)
        server.stop()
        server.start()
        with feeds(8):
            soon(lambda: is_held_at(43000), 5)
            assert prices.latest().usable(BTC, 10) is not None

            release_price(symbols.instrument(BTC))
            soon(lambda: not stands()[1], 2)
            streams.client().flushall()
            soon(stands)
            time.sleep(1.5)
            assert not stands()[1]


@pytest.mark.django_db(transaction=True)
def test_within_two_seconds_of_a_restore_redis_holds_only_what_postgresql_knows(settings):
    """The dump is of before the hold. Guard: a hold state that names the number which PostgreSQL doesn't know."""
    with own_redis(settings), feeds(7):
        soon(stands)
        hold_price(symbols.instrument(BTC), Decimal(43000), Decimal(43001))
        soon(lambda: is_held_at(43000))
        time.sleep(1.2)

        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE quotes_pricehold DISABLE TRIGGER append_only")
            cursor.execute("DELETE FROM quotes_pricehold")
            cursor.execute("ALTER TABLE quotes_pricehold ENABLE TRIGGER append_only")

        soon(lambda: not stands()[1], 3)


# --- accepting -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_price_whose_accepting_was_answered_with_503_is_not_accepted_when_valkey_wakes(settings):
    """Guard: the moment up to which the script accepts. Without it the price counts after "Redis can't be reached"."""
    ann = User.objects.create_user("ann@firm.example", "a long enough word", is_staff=True, is_superuser=True)
    instrument = symbols.instrument(BTC)
    with own_redis(settings) as server:
        prices.publish([(BTC, Decimal(100), Decimal(100))])
        prices.publish([(BTC, Decimal(1000), Decimal(1000))])
        seen = prices.refused()[BTC]
        asked = prices.clock
        prices_clock = asked()

        frozen = threading.Event()

        def freeze_after_the_clock_was_read() -> int:
            server.freeze()
            frozen.set()
            return prices_clock

        prices.clock = freeze_after_the_clock_was_read
        try:
            with pytest.raises(Unavailable):
                accept_price(instrument, seen=seen, by=ann.pk)
        finally:
            prices.clock = asked
            server.thaw()
        soon(prices.clock)

        assert frozen.is_set()
        assert stands() == (100, False)
        assert prices.refused()[BTC].bid == 1000
        assert LogEntry.objects.count() == 1, "what nobody could answer for stays written down"


@pytest.mark.django_db
def test_a_price_that_nobody_accepts_is_told_as_such():
    ann = User.objects.create_user("ann@firm.example", "a long enough word", is_staff=True, is_superuser=True)
    prices.publish([(BTC, Decimal(100), Decimal(100))])
    prices.publish([(BTC, Decimal(1000), Decimal(1000))])
    seen = prices.refused()[BTC]
    prices.publish([(BTC, Decimal(100), Decimal(100))])

    with pytest.raises(Exception, match="No price of this symbol"):
        accept_price(symbols.instrument(BTC), seen=seen, by=ann.pk)

    assert LogEntry.objects.latest("pk").change_message.startswith("Not accepted after all")
    assert not PriceHold.objects.exists()
