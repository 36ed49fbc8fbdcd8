"""The clients of the tests find what openapi.yaml doesn't say. Guard: the comparisons in tests/document.py."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from django.test import Client

from tests.document import Exchange, NotAsDocumented, document

JSON = {"Content-Type": "application/json"}
GOOD = Exchange("POST", "/api/customer_tokens", b"{}", "application/json", 201, JSON, b'{"access_token":"a"}')
BODY = b'{"customer_guid":"' + b"0" * 32 + b'","scopes":["quotes:read"]}'


def test_an_answer_as_documented_passes_on_both_slash_forms() -> None:
    document().check(replace(GOOD, sent=BODY))
    document().check(replace(GOOD, sent=BODY, path="/api/customer_tokens/"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"status": 202}, "202 is not documented"),
        ({"headers": {"Content-Type": "text/html"}}, "content type"),
        ({"body": b'{"access_token":"a","secret":"b"}'}, "'secret' was unexpected"),
        ({"body": b"{}"}, "required property"),
        ({"body": b'{"access_token":null}'}, "is not of type"),
        ({"sent": b"{}"}, "a body that was taken"),
        ({"method": "GET", "status": 200}, "there is no such method"),
        ({"method": "OPTIONS", "status": 204}, "OPTIONS tells Allow"),
        ({"path": "/api/nowhere"}, "there is no such path"),
        ({"status": 503, "body": b'{"status":503,"error_message":"No.","message_code":"unavailable"}'}, "Retry-After"),
        ({"status": 404, "body": b'{"status":404,"error_message":"No.","message_code":"lost"}'}, "message_code"),
    ],
)
def test_what_is_not_documented_is_found(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(NotAsDocumented, match=said):
        document().check(replace(replace(GOOD, sent=BODY), **wrong))  # type: ignore[arg-type]


def test_an_orders_error_says_one_of_the_codes_that_are_told() -> None:
    body = b'{"error":"Order ID mismatch"}'
    asked = Exchange("POST", "/api/v1/trade/close", b"{}", "application/json", 400, JSON, body)
    for code in ({}, {"Error-Code": "invented"}):
        with pytest.raises(NotAsDocumented, match="Error-Code"):
            document().check(replace(asked, headers=JSON | code))
    document().check(replace(asked, headers=JSON | {"Error-Code": "order_id_mismatch"}))


def test_every_client_of_a_test_is_watched() -> None:
    """Guard: the call in tests/conftest.py, without which nothing is compared."""
    assert Client.request.__module__ == httpx.Client.send.__module__ == "tests.document"
