"""A process stands still between two of its lines: what it had read is old, and what it does then is refused.

The pauses are played where they hurt, one by one; `test_standing_still.py` stops everything at random.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import InternalError, OperationalError, connection, transaction

from accounts import clock
from accounts.db.locks import TICK
from quotes import symbols
from quotes.models import Instrument, Quote
from tests.caller import Api
from tests.faults.engine_alone import an_engine, answers, send
from tests.faults.own_redis import OwnRedis, own_redis
from tests.given import a_customer, a_quote, btc, btc_at, executes, price_at, stores, token_of
from tests.live import Live
from tests.trades.engine_steps import closing, now, opens, places
from trades.engine import queries, store
from trades.engine.process import Engine
from trades.models import Deal, EngineLease, Order, Trade
from trades.reads import in_doubt
from trades.reads.in_doubt import decided

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

BUY = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.01", "leverage": "10"}


def pauses_after(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, pause: Callable[[], object]) -> None:
    """Let the process stand still, once, right after this call has returned."""
    real, done = getattr(owner, name), threading.Event()

    def then_pause(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if not done.is_set():
            done.set()
            pause()
        return result

    monkeypatch.setattr(owner, name, then_pause)


@pytest.fixture
def apart(settings: Any, django_db_setup: None) -> Iterator[tuple[Live, OwnRedis]]:
    """Web and engine on a Redis of their own, which can be frozen."""
    with own_redis(settings) as server:
        running = Live(("web", "engine"), {"REDIS_URL": server.url})
        running.start()
        try:
            yield running, server
        finally:
            server.thaw()
            running.stop()


# --- the engine ------------------------------------------------------------------------------------


def test_an_engine_stopped_at_idle_executes_nothing_that_was_told_as_unknown(apart: tuple[Live, OwnRedis]) -> None:
    """Guard: `Reading` counts from before it was asked for. The blocking read has its answer, prices and clock
    included, from before the stop; judged by when it is looked at, all of them were executed afterwards."""
    live, _ = apart
    alice = a_customer(with_usd="100_000.00")
    btc_at("42_000.00")
    closes, part, changed, waiting = opens(alice), opens(alice), opens(alice), places(alice, "buy limit", "41000")
    wanted = [
        ("POST", "/api/v1/trade/create", BUY | {"clientOrderId": "late"}),
        ("POST", "/api/v1/trade/close", {"orderId": closes.code}),
        ("POST", "/api/v1/trade/close", {"orderId": part.code, "quantity": "0.05"}),
        ("PATCH", f"/api/v1/trade/orders/{changed.code}", {"stopLoss": "40000"}),
        ("DELETE", f"/api/v1/trade/orders/{waiting.code}", None),
    ]
    time.sleep(0.3)  # the engine is idle, in its blocking read

    with live.client(token_of(alice)) as client, ThreadPoolExecutor(6) as pool:
        live.signal("engine", signal.SIGSTOP)
        try:
            asked = [pool.submit(client.request, method, path, json=body) for method, path, body in wanted]
            told = [one.result().status_code for one in asked]
            read = client.get("/api/v1/trade/orders").json()["message"]
            time.sleep(0.3)
            btc_at("41_500.00")
        finally:
            live.signal("engine", signal.SIGCONT)
        again = client.post("/api/v1/trade/create", json=BUY | {"clientOrderId": "after"})

    assert told == [408, 500, 500, 500, 500]
    assert len(read) == 3
    assert again.status_code == 200, again.text  # so the engine has come round
    assert sorted(Order.objects.filter(customer=alice).values_list("status", flat=True)) == ["OPEN"] * 4 + ["PENDING"]
    assert now(part).quantity == part.quantity
    assert now(changed).stop_loss is None
    assert not Order.objects.filter(client_order_id="late").exists()


def test_an_engine_that_stood_still_after_its_reading_executes_at_the_price_of_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guard: `Engine._fresh`. The price before was 42,000."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        send(closing(alice, order.code))
        pauses_after(monkeypatch, engine.stream, "read", lambda: (btc_at("43_000.00"), time.sleep(0.4)))

        engine.turn()

        assert [answer.status for answer in answers()] == [200]
        assert now(order).close_price == 43_000


def is_dropped_after(engine: Engine, order: Order) -> None:
    """The engine's turn ends without the close, told or not, and the order stays open for good."""
    with contextlib.suppress(InternalError, OperationalError):  # as in the engine's loop, which connects again
        engine.turn()
    connection.close()
    assert engine._start()
    for _ in range(3):
        engine.turn()
    assert answers() == []
    assert (now(order).status, Deal.objects.filter(order=order, kind="close").count()) == ("OPEN", 0)


def test_a_tick_paused_before_its_commit_is_refused_by_the_server_once_the_deadline_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guard: `must_commit_by` in the tick's write. Without it the order is closed after it was told as unknown."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        pauses_after(monkeypatch, store, "store", lambda: time.sleep(0.8))
        send(closing(alice, order.code), ttl_ms=500)

        is_dropped_after(engine, order)


def test_a_tick_whose_server_process_stood_still_is_refused_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: the same, evaluated by the server with the write that it receives late; COMMIT comes in one packet."""

    def stop_the_backend() -> None:
        pid = connection.connection.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(1.0, os.kill, (pid, signal.SIGCONT)).start()

    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        pauses_after(monkeypatch, store, "store", stop_the_backend)
        send(closing(alice, order.code), ttl_ms=500)

        is_dropped_after(engine, order)


def test_a_tick_paused_before_its_commit_is_refused_once_its_price_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `Market._use` notes when the prices used run out. The command itself had time enough."""
    Instrument.objects.filter(symbol="BTC-USD").update(price_age_limit_seconds=1)
    symbols.forget()
    try:
        with an_engine() as engine:
            alice = a_customer(with_usd="10_000.00")
            btc_at("42_000.00")
            order = opens(alice)
            price_at("BTC-USD", "42_000.00", at=clock.now() - timedelta(seconds=0.6))
            pauses_after(monkeypatch, store, "store", lambda: time.sleep(0.6))
            send(closing(alice, order.code))

            engine.turn()

            assert [answer.body for answer in answers()] == [
                '{"error":"Price data not found for symbol: BTC-USD",'
                '"message":"Price data not found for symbol: BTC-USD"}'
            ]
            assert now(order).status == "OPEN"
    finally:
        Instrument.objects.filter(symbol="BTC-USD").update(price_age_limit_seconds=10)
        symbols.forget()


def test_a_tick_that_was_slow_before_its_write_is_done_again_and_keeps_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guard: `is_too_late` in `Engine._tick`: the write's refusal is a reason to try again, not a poisonous command."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        pauses_after(monkeypatch, queries, "customer_rows", lambda: time.sleep(1.2))
        send(closing(alice, order.code))

        engine.turn()

        (answer,) = answers()
        assert answer.status == 200
        closed = now(order)
        assert closed.closed_at is not None
        assert clock.now() - closed.closed_at < timedelta(seconds=1)


# --- the web side ----------------------------------------------------------------------------------


def test_a_command_that_lay_in_the_connection_while_redis_stood_still_is_told_as_it_was_done(
    apart: tuple[Live, OwnRedis],
) -> None:
    """Guard: `streams.Unanswered` in `Gateway.send`. "Try again" was told after a second, and the order opened when
    Redis woke."""
    live, redis_ = apart
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    with live.client(token_of(alice)) as client, ThreadPoolExecutor(1) as pool:
        assert client.post("/api/v1/trade/create", json=BUY).status_code == 200
        redis_.freeze()
        asked = pool.submit(client.post, "/api/v1/trade/create", json=BUY | {"clientOrderId": "frozen"})
        time.sleep(1.6)
        redis_.thaw()
        told = asked.result()
        time.sleep(0.3)

    assert told.status_code == 200, told.text
    assert Order.objects.filter(customer=alice).count() == 2


def test_what_was_told_to_try_again_while_redis_stood_still_is_not_done_afterwards(
    apart: tuple[Live, OwnRedis],
) -> None:
    """Guard: `Command.until_ms`, judged by the clock of a Redis that took the command in long after it was sent."""
    live, redis_ = apart
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    with live.client(token_of(alice)) as client, ThreadPoolExecutor(2) as pool:
        assert client.post("/api/v1/trade/create", json=BUY).status_code == 200
        redis_.freeze()
        began = time.monotonic()
        opening = pool.submit(client.post, "/api/v1/trade/create", json=BUY | {"clientOrderId": "frozen"})
        closing_ = pool.submit(client.post, "/api/v1/trade/close", json={"orderId": order.code})
        told = [opening.result().status_code, closing_.result().status_code]
        took = time.monotonic() - began
        redis_.thaw()
        time.sleep(1)
        btc_at("42_000.00")
        again = client.post("/api/v1/trade/close", json={"orderId": order.code})

    assert told == [503, 503]
    assert took < 5
    assert Order.objects.filter(customer=alice).exclude(pk=order.pk).count() == 1
    assert again.status_code == 200, again.text


def test_a_key_whose_request_gave_up_is_free_as_soon_as_redis_is_back(apart: tuple[Live, OwnRedis]) -> None:
    """Guards: the mark's script sets nothing after its time, and `Gateway.leave_later` takes away what it had set. It
    had answered 409 for five seconds."""
    live, redis_ = apart
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    key = {"Idempotency-Key": "k"}
    with live.client(token_of(alice)) as client:
        assert client.post("/api/v1/trade/create", json=BUY).status_code == 200
        redis_.freeze()
        gave_up = client.post("/api/v1/trade/create", json=BUY, headers=key)
        redis_.thaw()
        time.sleep(0.2)
        btc_at("42_000.00")
        again = client.post("/api/v1/trade/create", json=BUY, headers=key)

    assert gave_up.status_code == 503
    assert again.status_code == 200, again.text
    assert Order.objects.filter(customer=alice).count() == 2


# --- reads -----------------------------------------------------------------------------------------


def test_a_read_waits_for_a_tick_whose_commit_can_not_be_seen_yet() -> None:
    """Guard: `in_doubt.decided`. A backend that stands still in the middle of its COMMIT has closed the order, and
    nobody can see it: read as open, it would have been contradicted. Played by a transaction that is committed late."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    EngineLease.objects.update(renewed_at=None)  # else an engine of the test before may have come round just now
    in_doubt._untold_until.clear()
    committing, go_on = threading.Event(), threading.Event()

    def tick() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", [TICK])
                Order.objects.filter(pk=order.pk).update(
                    status="CLOSED", close_price=1, profit=0, closed_at=clock.now(), close_reason="manual"
                )
                committing.set()
                go_on.wait(10)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(tick)
        assert committing.wait(10)
        threading.Timer(0.5, go_on.set).start()
        status, body = Api(token_of(alice)).get(f"/api/v1/trade/orders/{order.code}")
        late.result()

    assert (status, body["status"]) == (200, "CLOSED")


def test_a_read_asks_for_no_tick_while_the_engine_comes_round(django_assert_num_queries: Any) -> None:
    """Guard: the moment until which nothing told can be in doubt, remembered by the process."""
    alice = a_customer()
    with an_engine() as engine:
        engine.lease.renew()
        in_doubt._untold_until.clear()
        with django_assert_num_queries(1):
            decided(alice.pk, list)
        with django_assert_num_queries(0):
            decided(alice.pk, list)


# --- quotes and spot trades ------------------------------------------------------------------------


def test_a_trade_is_accepted_at_the_time_of_its_row_and_not_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `created_at` is said in the INSERT. By the clock of the request, the quote was still good."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    quote = a_quote(alice, receive=btc("0.01"), at=clock.now() - timedelta(seconds=29.5))
    from trades.spot import execute as spot

    pauses_after(monkeypatch, spot, "quote_of", lambda: time.sleep(0.7))
    status, body = Api(token_of(alice)).post("/api/trades", {"quote_guid": quote.pk.hex})
    trade = Trade.objects.get()
    stores(trade)

    assert (status, body["state"]) == (201, "storing")
    assert trade.created_at > Quote.objects.get().expires_at
    assert (trade.state, trade.failure_code) == ("failed", "expired_quote")


def test_a_trade_that_could_not_be_committed_in_time_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `must_commit_by` in `execute`. An id made long before its row is seen could lie below a mark."""
    from trades.spot import execute as spot

    monkeypatch.setattr(spot, "LONGEST", timedelta(seconds=0.3))
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    quote = a_quote(alice, receive=btc("0.01"))
    pauses_after(monkeypatch, spot.TradeEvent.objects, "create", lambda: time.sleep(0.5))

    began = clock.now()
    trade = executes(quote)

    assert Trade.objects.get() == trade
    assert trade.created_at - began > timedelta(seconds=-1)
    assert clock.now() - began > timedelta(seconds=0.5)
    assert abs(spot.time_of(trade.pk) - clock.now()) < timedelta(seconds=0.3)


def test_a_later_try_gets_a_later_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `conflicts._later`. A service that begins anew had been told the time of its first try."""
    from accounts import conflicts

    told = []

    @conflicts.atomic
    def service(*, at: Any) -> None:
        told.append(at)
        if len(told) == 1:
            time.sleep(0.3)
            clock.must_commit_by(clock.now())

    at = clock.now()
    service(at=at)

    assert told[0] == at
    assert timedelta(seconds=0.3) <= told[1] - at < timedelta(seconds=2)
