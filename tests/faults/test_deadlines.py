"""When the engine, Valkey or a slot is missing: every caller gets an honest answer in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from accounts import json_codec, streams
from tests.given import a_customer, btc_at, token_of
from tests.live import Live
from tests.trades.engine_steps import opens
from trades.margin.commands import stream_name

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

BUY = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.01", "leverage": "10"}


@pytest.fixture
def without_engine(django_db_setup: None) -> Iterator[Live]:
    """A web process alone, with eight places to wait."""
    streams.client().flushdb()
    running = Live(("web",), {"MAX_WAITING_REQUESTS": "8"})
    running.start()
    yield running
    running.stop()


def test_a_dead_engine_means_an_honest_timeout_and_the_order_stays_open_for_good(without_engine: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)

    with without_engine.client(token_of(alice)) as client, ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        close = pool.submit(client.post, "/api/v1/trade/close", json={"orderId": order.code})
        create = pool.submit(client.post, "/api/v1/trade/create", json=BUY)
        created, create_took = create.result(), time.monotonic() - started
        closed, close_took = close.result(), time.monotonic() - started

    timed_out = "Request timeout: Order creation took longer than 3 seconds"
    assert created.status_code == 408
    assert json_codec.loads(created.content) == {"error": timed_out, "message": timed_out, "timeout": True}
    assert 3.0 <= create_took < 5.0
    assert closed.status_code == 500
    said = json_codec.loads(closed.content)
    assert (said["error"], said["timeout"], said["orderId"]) == ("Failed to close order", True, order.code)
    assert "outcome unknown" in said["message"]
    assert 5.0 <= close_took < 7.0

    # The engine comes back: the commands' deadlines have passed, so it drops them.
    without_engine.start_one("engine")
    give_up = time.monotonic() + 10
    while streams.client().xlen(stream_name(0)) and time.monotonic() < give_up:
        time.sleep(0.05)
    order.refresh_from_db()
    assert order.status == "OPEN"
    assert alice.orders.count() == 1

    # Nothing is left behind but the stream itself.
    assert streams.client().keys("replies:*") == []


def test_a_keyed_retry_after_a_timeout_executes_now(without_engine: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    with without_engine.client(token_of(alice)) as client:
        first = client.post("/api/v1/trade/create", json=BUY, headers={"Idempotency-Key": "k"})
        without_engine.start_one("engine")
        give_up = time.monotonic() + 60
        while True:
            btc_at("42_000.00")
            again = client.post("/api/v1/trade/create", json=BUY, headers={"Idempotency-Key": "k"})
            if again.status_code != 408 or time.monotonic() > give_up:
                break

    assert first.status_code == 408
    assert again.status_code == 200
    assert alice.orders.count() == 1


def test_more_waiting_requests_than_places_are_told_at_once(without_engine: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")

    def create(_: int) -> tuple[int, float, str]:
        started = time.monotonic()
        answer = client.post("/api/v1/trade/create", json=BUY)
        return answer.status_code, time.monotonic() - started, answer.headers.get("Retry-After", "")

    with without_engine.client(token_of(alice)) as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))

    refused = [answer for answer in answers if answer[0] == 503]
    assert len(refused) == 8
    assert all(took < 2 and retry_after for _, took, retry_after in refused)
    assert sum(status == 408 for status, _, _ in answers) == 8


def test_valkey_away_is_503_within_the_deadline() -> None:
    live = Live(("web",), {"REDIS_URL": "redis://127.0.0.1:1/0"})
    live.start_one("web")
    try:
        alice = a_customer(with_usd="10_000.00")
        with live.client(token_of(alice)) as client:
            _until_up(client)
            started = time.monotonic()
            answer = client.post("/api/v1/trade/create", json=BUY)
            took = time.monotonic() - started
            orders = client.get("/api/v1/trade/orders")
        assert answer.status_code == 503
        assert list(answer.json()) == ["error"]
        assert took < 5
        assert orders.status_code == 200
    finally:
        live.stop()


def test_postgresql_away_is_503() -> None:
    live = Live(("web",), {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"})
    live.start_one("web")
    try:
        token = token_of(a_customer())
        with live.client(token) as client:
            _until_up(client)
            answer = client.get("/api/v1/balance")
        assert answer.status_code == 503
        assert list(answer.json()) == ["error"]
    finally:
        live.stop()


def _until_up(client: httpx.Client) -> None:
    give_up = time.monotonic() + 20
    while True:
        try:
            assert client.get("/livez").status_code == 200
            return
        except httpx.ConnectError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)
