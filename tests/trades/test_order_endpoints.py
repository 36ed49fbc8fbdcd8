"""The order paths as far as no engine is needed: methods, slashes, refusals, and the short way of the hot ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from accounts.errors import Refusal
from brokerage import errors
from tests.document import document
from tests.given import a_customer, token_of
from trades.margin.errors import (
    BEGINNINGS,
    BY_STATUS,
    AgainstTheRules,
    ClientOrderIdTaken,
    CreationTimedOut,
    InsufficientBalance,
    KeyUsedForAnother,
    LeverageTooHigh,
    OrderIdMismatch,
    OrderNotFound,
    OrderNotFoundOrClosed,
    OutcomeUnknown,
    PriceNotFound,
    StillRunning,
    StoppedOutAtOnce,
    code_of,
)
from trades.margin.presentation import refusal_body

pytestmark = pytest.mark.django_db

CODE = "ord_0123456789abcdef"
JSON = "application/json"


def trader() -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(a_customer())}"}, raise_request_exception=False)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("trade/create", {"OPTIONS", "POST"}),
        ("trade/close", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("trade/close-all", {"OPTIONS", "POST"}),
        (f"trade/orders/{CODE}", {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
    ],
)
def test_every_other_method_is_405_and_says_which_there_are(path: str, methods: set[str], slash: str) -> None:
    client = trader()
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
        answer = client.generic(method, f"/api/v1/{path}{slash}")
        assert (method, answer.status_code) == (method, 405)
        assert set(answer.headers["Allow"].replace(" ", "").split(",")) == methods
        assert answer.headers["Content-Type"] == JSON


@pytest.mark.parametrize(
    "path", ["trade/orders", "trade/open", "balance", "account", "statement", f"trade/orders/{CODE}"]
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_reading_needs_a_traders_token_with_or_without_a_slash(path: str, slash: str) -> None:
    assert Client().get(f"/api/v1/{path}{slash}").json() == {"error": "Unauthorized"}
    expected = 404 if CODE in path else 200
    assert trader().get(f"/api/v1/{path}{slash}").status_code == expected


@pytest.mark.parametrize("name", ["ord_1", "ord_0123456789ABCDEF", "x" * 64, "..%2f", "%F0%9F%98%80"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_can_be_no_orders_id_is_404_for_every_method(method: str, name: str) -> None:
    answer = trader().generic(method, f"/api/v1/trade/orders/{name}", b'{"stopLoss": 1}', content_type=JSON)
    assert (answer.status_code, answer.content) == (404, b'{"error":"Order not found"}')


@pytest.mark.parametrize(
    "body",
    [b" ", b"{", b"[]", b"null", b'{"stopLoss": NaN}', b'{"stopLoss": 1e400}', b'{"price": [1]}', b"{}", b"\xff"],
)
def test_a_bad_change_is_400(body: bytes) -> None:
    answer = trader().patch(f"/api/v1/trade/orders/{CODE}", body, content_type=JSON)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("body", [b" ", b"[]", b'{"symbol": "DOGE"}', b'{"symbol": ["BTC"]}', b'{"symbol": NaN}'])
def test_close_all_of_something_unclear_is_400_and_never_everything(body: bytes) -> None:
    answer = trader().post("/api/v1/trade/close-all", body, content_type=JSON)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("path", "method", "codes"),
    [
        ("close", "post", {"price_not_found", "market_closed", "market_halted"}),
        ("close-all", "post", {"price_not_found", "market_closed", "market_halted"}),
        ("orders/{order_id}", "patch", {"price_not_found", "market_closed", "market_halted", "market_close_only"}),
    ],
)
def test_what_a_market_refuses_is_declared(path: str, method: str, codes: set[str]) -> None:
    """Guard: `refusals` of `OrderViewSet`: of closing all what `refuse_if_uncovered` raises, of a change also what
    `refuse_opening` does."""
    said = document().said["paths"][f"/api/v1/trade/{path}"][method]["responses"]["400"]
    assert codes <= set(document().whole(said)["headers"]["Error-Code"]["schema"]["enum"])


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("create", "POST", b'{"symbol":"BTC-USD","type":"buy","quantity":1,"leverage":1,"quantity":2}'),
        ("close", "POST", b'{"orderId":"ord_0123456789abcdef","orderId":"ord_0123456789abcdee"}'),
        ("close-all", "POST", b'{"symbol":"BTC","symbol":null}'),
        (f"orders/{CODE}", "PATCH", b'{"stopLoss":1,"stopLoss":2}'),
    ],
)
def test_a_key_that_stands_twice_is_refused(path: str, method: str, body: bytes) -> None:
    answer = trader().generic(method, f"/api/v1/trade/{path}", body, content_type=JSON)
    assert (answer.status_code, answer.content) == (400, b'{"error":"A key appears twice in one object."}')


# Every case of the contract's section as it is answered: to the byte, and before an engine is asked.
ASKED_FOR = [
    ("create", {"slippage": 1}, "Slippage and expectedPrice go together"),
    ("create", {"expectedPrice": 42_000}, "Slippage and expectedPrice go together"),
    ("create", {"guaranteedStopLoss": 40_000}, "guaranteedStopLoss is not offered"),
    ("create", {"reduceOnly": True}, "reduceOnly is not offered"),
    ("create", {"timeInForce": "IOC"}, "timeInForce is not offered"),
    ("create", {"stop_loss": 40_000}, "Unknown field stop_loss; did you mean stopLoss?"),
    ("create", {"takeProfit": 10**30}, "Take profit must be less than 100000000000000000000"),
    ("create", {"quantity": 10**20}, "Quantity must be less than 100000000000000000000"),
    ("create", {"quantity": "\u0661"}, "Quantity must be greater than 0"),
    ("close", {"order_id": CODE}, "Unknown field order_id; did you mean orderId?"),
    ("close", {"closePosition": True}, "closePosition is not offered"),
    ("close", {"quantity": " 1"}, "Quantity must be greater than 0"),
    ("close-all", {"order_id": CODE}, "Unknown field order_id; did you mean orderId?"),
    ("close-all", {"orderId": CODE}, "orderId is not offered here"),
    (f"orders/{CODE}", {"sl": 40_000}, "Unknown field sl; did you mean stopLoss?"),
    (f"orders/{CODE}", {"expiresAt": "2026-12-01"}, "expiresAt is not offered"),
]


@pytest.mark.parametrize(("path", "wanted", "sentence"), ASKED_FOR)
def test_what_would_be_dropped_is_400_with_its_sentence_alone(path: str, wanted: dict[str, Any], sentence: str) -> None:
    usual: dict[str, Any] = {
        "create": {"symbol": "BTC-USD", "type": "buy", "quantity": 1, "leverage": 1},
        "close": {"orderId": CODE},
    }.get(path, {})
    client = trader()
    ask = client.patch if path.startswith("orders") else client.post
    answer = ask(f"/api/v1/trade/{path}", usual | wanted, content_type=JSON)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})


CODES = [
    ("create", b"{}", "missing_parameters"),
    ("create", b"{", "invalid_parameter"),
    ("close", b'{"order_id":"x"}', "unknown_field"),
    ("close", b'{"oco":1}', "not_offered"),
    ("close", b'{"orderId":"x"}', "order_not_found_or_closed"),
    ("close-all", b'{"symbol":"DOGE"}', "invalid_parameter"),
    ("close-all", b" " * 1_000_001, "payload_too_large"),
]


@pytest.mark.parametrize(("path", "body", "code"), CODES)
def test_an_error_says_its_code_in_a_header(path: str, body: bytes, code: str) -> None:
    answer = trader().post(f"/api/v1/trade/{path}", body, content_type=JSON)
    assert answer.headers["Error-Code"] == code
    assert Client().post(f"/api/v1/trade/{path}", b"{}", content_type=JSON).headers["Error-Code"] == "unauthorized"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (OrderNotFoundOrClosed(), "order_not_found_or_closed"),
        (OrderNotFound(), "order_not_found"),
        (PriceNotFound("X"), "price_not_found"),
        (InsufficientBalance("2.00", "1.00"), "insufficient_balance"),
        (AgainstTheRules("Price moved beyond the slippage of 1%."), "slippage"),
        (AgainstTheRules("Stop loss has more decimals than BTC-USD, which has 2"), "refused"),
        (LeverageTooHigh("Leverage must be at most 2 for BTC-USD for retail customers"), "leverage_too_high"),
        (StoppedOutAtOnce("2.19", "4136.90", 50), "stopped_out_at_once"),
        (ClientOrderIdTaken(CODE), "client_order_id_used"),
        (KeyUsedForAnother(), "idempotency_key_reused"),
        (StillRunning(), "in_flight"),
    ],
)
def test_the_engines_answers_have_a_code_by_their_bytes_alone(refusal: Refusal, code: str) -> None:
    assert code_of(refusal.status, refusal_body(refusal)) == code
    if code != "slippage":
        assert refusal.code == code


UNANSWERED = [
    (
        CreationTimedOut(),
        408,
        b'{"error":"Request timeout: Order creation took longer than 3 seconds",'
        b'"message":"Request timeout: Order creation took longer than 3 seconds","timeout":true}',
    ),
    (
        OutcomeUnknown("Failed to close order", "The order is now either closed or stays open; read it",
                       {"orderId": CODE}),
        500,
        b'{"error":"Failed to close order","message":"No answer within 5 seconds: outcome unknown. The order is now'
        b' either closed or stays open; read it to see which.","timeout":true,"orderId":"ord_0123456789abcdef"}',
    ),
    (OrderIdMismatch(), 400, b'{"error":"Order ID mismatch"}'),
]  # fmt: skip


@pytest.mark.parametrize(("refusal", "status", "body"), UNANSWERED)
def test_what_the_engine_has_not_answered_is_told_to_the_byte(refusal: Refusal, status: int, body: bytes) -> None:
    told = errors.told(refusal)
    assert told is not None
    answer = errors.answer(told, "/api/v1/trade/close")

    assert (answer.status_code, answer.content) == (status, body)
    assert dict(answer.headers) == {"Content-Type": JSON, "Error-Code": refusal.code}


def test_every_code_of_an_order_is_in_the_docs() -> None:
    page = (settings.BASE_DIR / "docs" / "orders.md").read_text()
    said = {code for _, _, code in CODES} | set(BEGINNINGS.values()) | set(BY_STATUS.values())
    said |= {refusal.code for refusal, _, _ in UNANSWERED}
    assert {code for code in said if f"`{code}`" not in page} == set()


# --- lists -----------------------------------------------------------------------------------------

LISTS = {
    "trade/orders": "limit, cursor, status, clientOrderId, symbol, customer_guid",
    "trade/open": "limit, cursor, status, clientOrderId, symbol, customer_guid",
    "trade/close": "limit, cursor, clientOrderId, symbol, from, to, customer_guid",
    "statement": "from, to, asset, format, limit, cursor, customer_guid",
}


@pytest.mark.parametrize("path", LISTS)
def test_a_list_names_its_parameters_where_one_is_unknown(path: str) -> None:
    client = trader()
    for unknown in ("type", "orderId", "Limit", "client_order_id", "page", "_"):
        answer = client.get(f"/api/v1/{path}", {unknown: "1"})
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": f"Unknown parameter {unknown}; there are {LISTS[path]}."},
        )


@pytest.mark.parametrize("name", ["status", "symbol", "limit", "cursor", "from", "to"])
def test_a_parameter_given_twice_is_400(name: str) -> None:
    value = {"status": "open", "symbol": "BTC", "limit": "1", "cursor": "0" * 32}.get(name, "2026-01-31")
    path = "orders" if name == "status" else "close"
    for said in ((value, value), (value, "x")):
        assert trader().get(f"/api/v1/trade/{path}", {name: list(said)}).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"status": "closed"},
        {"symbol": "DOGE"},
        {"symbol": "BTC,ETH"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "\u0661"},
        {"limit": " 1"},
        {"cursor": "x"},
        {"cursor": "\x00"},
        {"clientOrderId": "\x00"},
        {"clientOrderId": "x" * 65},
    ],
)
def test_a_parameter_that_nobody_could_mean_is_400(query: dict[str, str]) -> None:
    for path in ("trade/orders", "trade/close"):
        if path == "trade/close" and "status" in query:
            continue
        answer = trader().get(f"/api/v1/{path}", query)
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


BAD: dict[str, Callable[[Client, str], HttpResponse]] = {
    "no token": lambda _, path: Client().post(path, b"{}", content_type=JSON),
    "a bad token": lambda _, path: Client(headers={"Authorization": "Bearer x.y.z"}).post(
        path, b"{}", content_type=JSON
    ),
    "a foreign host": lambda client, path: client.post(
        path, b"{}", content_type=JSON, headers={"Host": "evil.example"}
    ),
    "no JSON by its type": lambda client, path: client.post(path, {"orderId": CODE}),
    "no JSON": lambda client, path: client.post(path, b"{", content_type=JSON),
    "nothing in it": lambda client, path: client.post(path, b"{}", content_type=JSON),
    "too much in it": lambda client, path: client.post(path, b" " * 1_000_001, content_type=JSON),
    "an empty key": lambda client, path: client.post(path, b"{}", content_type=JSON, headers={"Idempotency-Key": ""}),
    "another method": lambda client, path: client.put(path, b"{}", content_type=JSON),
}


@pytest.mark.parametrize("path", ["/api/v1/trade/create", "/api/v1/trade/close", "/api/v1/trade/close/"])
@pytest.mark.parametrize("what", BAD)
def test_a_bad_request_is_answered_whoever_else_is_logged_in(path: str, what: str) -> None:
    """Guard: `PagesOnly`. What a browser sends by itself, a session's cookie, says nothing to the API."""
    client = trader()
    client.cookies["sessionid"] = "x" * 32
    client.handler.enforce_csrf_checks = True
    answer = BAD[what](client, path)

    assert 400 <= answer.status_code < 500
    assert answer.headers["Content-Type"] == JSON
    assert not {"X-Frame-Options", "Set-Cookie"} & set(answer.headers)
    assert "Cookie" not in answer.headers.get("Vary", "")
