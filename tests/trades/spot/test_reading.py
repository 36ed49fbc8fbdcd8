"""The prices that the storing step judges by are of now: read for each set, and too old for none that is committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from accounts import clock
from accounts.models import Customer
from quotes import prices
from quotes.models import Instrument
from quotes.prices import Price, Prices
from tests.given import a_customer, a_quote, btc_at, executes, price_at, states, what_the_audit_finds
from tests.races.together import together
from trades import tasks
from trades.models import Trade, TradeEvent
from trades.spot import advance as storing
from trades.spot.advance import advance
from trades.spot.reading import PriceReading
from trades.spot.sweep import sweep

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT_SECONDS = 1


@pytest.fixture
def alice() -> Iterator[Customer]:
    btc_at("40_000.00")
    before = Instrument.objects.get(pk="BTC-USD").price_age_limit_seconds
    yield a_customer(with_usd="100_000.00")
    Instrument.objects.filter(pk="BTC-USD").update(price_age_limit_seconds=before)


def some_stored(alice: Customer, count: int = 1) -> list[Trade]:
    trades = [executes(a_quote(alice, receive=10_000)) for _ in range(count)]
    Instrument.objects.filter(pk="BTC-USD").update(price_age_limit_seconds=LIMIT_SECONDS)
    return trades


def failures(*trades: Trade) -> set[str]:
    return set(Trade.objects.filter(pk__in=[t.pk for t in trades]).values_list("failure_code", flat=True))


class Market:
    """A feed that has just ticked whenever somebody reads."""

    bid = "40_000.00"

    def latest(self) -> Prices:
        btc_at(self.bid)
        return prices.latest()


@contextmanager
def standing_still(market: Market, when: Callable[[str], bool], seconds: float) -> Iterator[list[str]]:
    """This process stands still once, after the first statement of which `when` is true; meanwhile the market moves."""
    stops: list[str] = []

    def stops_once(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if not stops and when(sql):
            stops.append(sql)
            time.sleep(seconds)
            market.bid = "50_000.00"
        return answer

    with connection.execute_wrapper(stops_once):
        yield stops


# --- how long a reading is good for ----------------------------------------------------------------


def test_a_reading_is_good_until_the_oldest_price_in_use_reaches_its_limit_counted_from_before_it_was_asked_for():
    now, asked = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 11, 59, tzinfo=UTC)
    known = {
        symbol: Price(symbol, Decimal(1), Decimal(1), now - timedelta(seconds=age))
        for symbol, age in (("BTC-USD", 4), ("ETH-USD", 2), ("XAU-USD", 60))
    }
    some = [Instrument(symbol=symbol, price_age_limit_seconds=10) for symbol in (*known, "EUR-USD")]

    reading = PriceReading(Prices(now, known), asked)

    assert reading.good_until(some) == asked + timedelta(seconds=6)
    assert reading.good_until(some[1:]) == asked + timedelta(seconds=8)
    assert reading.good_until(some[2:]) is None  # nothing is judged by a price that is too old, or by none
    assert PriceReading(None, asked).good_until(some) is None


# --- a process that stands still -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "when"),
    [
        ("after the prices were read", lambda sql: "FOR NO KEY UPDATE OF t SKIP LOCKED" in sql),
        ("before the moment was set", lambda sql: sql.startswith("UPDATE trades_trade") or "SET state = " in sql),
        ("before COMMIT", lambda sql: "must_commit_by" in sql),
    ],
)
def test_a_set_that_stood_still_is_judged_by_the_price_of_after(alice, where, when):
    """Guard: `must_commit_by` at the end of `_advance`, and the next try's own reading."""
    trades, market = some_stored(alice, 3), Market()

    with standing_still(market, when, LIMIT_SECONDS + 0.5) as stops:
        moved = advance([trade.pk for trade in trades], prices=market.latest)

    assert (len(stops), moved.failed, moved.left) == (1, 3, ()), where
    assert failures(*trades) == {"market_volatility"}
    assert what_the_audit_finds() == []


def test_the_reading_counts_from_before_it_was_asked_for(alice):
    """Guard: the order in `reading.read`. The process stands still with Redis' answer in its hands."""
    (trade,), market = some_stored(alice), Market()
    asked = []

    def slowly() -> Prices:
        found = market.latest()
        if not asked:
            time.sleep(LIMIT_SECONDS + 0.5)
            market.bid = "50_000.00"
        asked.append(found)
        return found

    advance([trade.pk], prices=slowly)

    assert (len(asked), failures(trade)) == (2, {"market_volatility"})


@contextmanager
def a_server_that_stands_still_at_the_first_commit(seconds: float) -> Iterator[None]:
    """A deferred trigger sleeps in COMMIT; a sequence, which no rollback takes back, lets it do so once."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE commits")
        cursor.execute("GRANT USAGE ON SEQUENCE commits TO PUBLIC")
        cursor.execute(
            "CREATE FUNCTION sleep_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF nextval('commits') = 1 THEN PERFORM pg_sleep({seconds}); END IF; RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER sleeps AFTER INSERT ON trades_tradeevent DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW WHEN (NEW.became <> 'storing') EXECUTE FUNCTION sleep_once()"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER sleeps ON trades_tradeevent")
            cursor.execute("DROP FUNCTION sleep_once")
            cursor.execute("DROP SEQUENCE commits")


def test_a_server_that_stands_still_in_commit_commits_nothing_by_an_old_price(alice):
    """Guard: `transaction_timeout`, which PostgreSQL counts itself (from version 17 on)."""
    if connection.pg_version < 170000:
        pytest.skip("PostgreSQL 15 and 16 know no transaction_timeout")
    (trade,) = some_stored(alice)
    with a_server_that_stands_still_at_the_first_commit(LIMIT_SECONDS + 2):
        btc_at("40_000.00")

        advance([trade.pk], prices=prices.latest)

    assert states(trade) == ["storing"]  # the price is too old by now to judge by
    assert TradeEvent.objects.filter(trade=trade).count() == 1
    advance([trade.pk], prices=Market().latest)
    assert states(trade) == ["settling"]
    assert what_the_audit_finds() == []


# --- the sweep -------------------------------------------------------------------------------------


def test_a_sweep_reads_the_prices_for_each_set(alice):
    """Guard: `read` in `_in_time`. With one reading the second set would be judged by the price before."""
    trades = some_stored(alice, 3)
    told = iter(["40_000.00", "40_100.00", "50_000.00"])

    def moving() -> Prices:
        btc_at(next(told))
        return prices.latest()

    sweep(low_water=None, prices=moving, at_once=1)

    found = {t.pk: t.failure_code for t in Trade.objects.filter(pk__in=[t.pk for t in trades])}
    assert [found[t.pk] for t in trades] == [None, None, "market_volatility"]


def test_a_sweep_whose_session_is_ended_goes_on_and_moves_everything(alice):
    """Guard: the sweep looks again. Its cursor on the server died with the session."""
    trades, market = some_stored(alice, 5), Market()

    def when(sql: str) -> bool:
        return "must_commit_by" in sql

    with standing_still(market, when, LIMIT_SECONDS + 0.5) as stops:
        mark = sweep(low_water=None, prices=market.latest, at_once=2)

    assert len(stops) == 1
    assert failures(*trades) == {"market_volatility"}
    assert mark < trades[0].pk


def test_a_set_that_is_too_late_every_time_stays_in_storing_and_holds_up_no_other(alice, caplog, monkeypatch):
    """Guard: `_left` in the sweep, and that it doesn't come back to what it left."""
    first, second = some_stored(alice, 2)
    monkeypatch.setattr(storing, "TRIES", 1)
    asked = []

    def too_old_for_the_first() -> Prices:
        asked.append(1)
        found = Market().latest()
        if len(asked) == 1:
            time.sleep(LIMIT_SECONDS + 0.2)
        return found

    mark = sweep(low_water=None, prices=too_old_for_the_first, at_once=1)

    assert states(first, second) == ["storing", "settling"]
    assert mark <= first.pk
    assert "1 trades stay in storing for now" in caplog.text


def test_a_task_that_is_tried_again_reads_the_prices_and_the_clock_anew(alice):
    """A lock that somebody holds too long ends the first try; the message carries nothing but ids."""
    (trade,) = some_stored(alice)
    btc_at("40_000.00")

    def holds() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT FROM accounts_ledgeraccount WHERE customer_id = %s FOR UPDATE", [alice.pk])
            time.sleep(LIMIT_SECONDS + 0.8)
            price_at("BTC-USD", "50_000.00")

    def moves() -> None:
        time.sleep(0.3)
        tasks.advance([trade.pk.hex])

    assert together([holds, moves]) == [None, None]

    assert failures(trade) == {"market_volatility"}
    assert not set(tasks.advance.run.__code__.co_varnames) & {"at", "prices"}


def test_what_is_written_has_the_databases_time_of_when_the_locks_were_taken(alice):
    (trade,) = some_stored(alice)
    before = clock.now()

    market = Market()

    with standing_still(market, lambda sql: "FOR NO KEY UPDATE OF t SKIP LOCKED" in sql, 0.5):
        advance([trade.pk], prices=market.latest)

    trade.refresh_from_db()
    assert before + timedelta(seconds=0.5) <= trade.updated_at <= clock.now()
    assert TradeEvent.objects.get(trade=trade, became="settling").at == trade.updated_at
