"""A Redis that takes connections and answers nothing, as behind a firewall or on a machine that swaps."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.given import a_customer, token_of
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

BUY = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.01", "leverage": "10"}


@pytest.fixture
def with_a_redis_that_hangs(django_db_setup: None) -> Iterator[Live]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        running = Live(("web",), {"STREAM_URL": f"redis://127.0.0.1:{server.getsockname()[1]}/0"})
        running.start_one("web")
        yield running
        running.stop()


def until_up(client: httpx.Client) -> None:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        try:
            assert client.get("/livez").status_code == 200
            return
        except httpx.ConnectError:
            time.sleep(0.2)
    pytest.fail("the web process did not get up")


def test_every_answer_comes_in_time_and_reads_go_on_without_prices(with_a_redis_that_hangs: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    with with_a_redis_that_hangs.client(token_of(alice)) as client:
        until_up(client)
        calls = [
            ("POST", "/api/v1/trade/create", BUY, 503),
            ("POST", "/api/v1/trade/close", {"orderId": "ord_0123456789abcdef"}, 503),
            ("POST", "/api/v1/trade/close-all", {}, 503),
            ("PATCH", "/api/v1/trade/orders/ord_0123456789abcdef", {"stopLoss": 1}, 503),
            ("DELETE", "/api/v1/trade/orders/ord_0123456789abcdef", {}, 503),
            ("GET", "/api/v1/account", None, 200),
            ("GET", "/api/v1/trade/orders", None, 200),
            ("GET", "/api/v1/statement", None, 200),
        ]
        for method, path, body, status in calls:
            started = time.monotonic()
            answer = client.request(method, path, json=body, headers={"Idempotency-Key": "k"})
            took = time.monotonic() - started
            assert (path, answer.status_code) == (path, status)
            assert took < 5, path
            if status == 503:
                assert list(answer.json()) == ["error"]
                assert answer.headers["Retry-After"]
