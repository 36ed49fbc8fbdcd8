"""A request that is answered before its body was read leaves its connection usable, or says that it closes it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.given import a_customer, token_of
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

TIMES = 40


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("DELETE", "/api/v1/trade/orders/ord_0123456789abcdef", {}, 404),
        ("POST", "/api/v1/trade/close", {"Authorization": "Bearer nobody"}, 401),
        ("POST", "/api/v1/trade/close", {"Content-Type": "text/plain"}, 415),
        ("POST", "/api/v1/nowhere", {}, 404),
        ("PUT", "/api/v1/trade/close", {}, 405),
        ("POST", "/api/quotes", {"Authorization": "Bearer nobody"}, 401),
        ("GET", "/livez", {}, 200),
    ],
)
def test_the_next_request_on_the_connection_is_answered(
    live: Live, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """Guard: `_read_the_rest` in `ArrivalMiddleware`. The server closed the connection without a word, and every second
    or third request that came next on it failed."""
    token = token_of(a_customer())
    body = b'{"padding": "' + b"x" * 2000 + b'"}'
    with live.client(token) as client:
        for _ in range(TIMES):
            answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"} | headers)
            assert answer.status_code == status
            assert client.get("/api/v1/account").status_code == 200


def test_a_body_that_is_too_large_to_be_read_closes_the_connection_and_says_so(live: Live) -> None:
    with live.client(token_of(a_customer())) as client:
        for _ in range(TIMES // 4):
            answer = refused(client, b" " * 1_500_000)
            assert (answer.status_code, answer.headers.get("Connection")) == (413, "close")
            assert client.get("/api/v1/account").status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/trade/close", "/api/v1/nowhere", "/api/quotes", "/oauth/token"])
def test_a_body_in_chunks_leaves_the_connection_usable_too(live: Live, path: str) -> None:
    """Guard: what `_read_the_rest` says of a body without a length, which Django takes for none."""
    with live.client(token_of(a_customer())) as client:
        for _ in range(TIMES):
            answer = client.post(path, content=iter([b'{"a": ', b"1}"]), headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500
            assert client.get("/api/v1/account").status_code == 200


def refused(client: httpx.Client, body: bytes) -> Any:
    return client.post("/api/v1/trade/close", content=body, headers={"Content-Type": "application/json"})
