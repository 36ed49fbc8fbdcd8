"""The document's examples are those of the contracts' pages, and each is what its own schema says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from accounts import json_codec
from tests.document import document

PAGE_ORDER = ("orderId", "status", "closePrice", "profit")  # what the page shows of a closed order; ours shows more
CLOSED = (
    b'{"message":"Order closed successfully","order":'
    b'{"orderId":"ord_1234567890abcdef","status":"CLOSED","closePrice":42350.75,"profit":125.50}}'
)
ERRORS = (
    b'{"error":"Missing required parameters: orderId"}',
    b'{"error":"Order not found or already closed","message":"Order not found or already closed"}',
    b'{"error":"Order ID mismatch"}',
)
EXIT_QUOTE = (
    *("created_at", "updated_at", "guid", "product_type", "customer_guid", "symbol", "side", "receive_amount"),
    *("deliver_amount", "fee", "issued_at", "expires_at"),
)
EXIT_TRADE = (
    *("created_at", "updated_at", "guid", "trade_type", "customer_guid", "quote_guid", "symbol", "side", "state"),
    *("failure_code", "receive_amount", "deliver_amount", "fee", "reference_trade_guid", "labels"),
)


def operation(path: str) -> Any:
    return document().said["paths"][path]["post"]


def asked(path: str) -> list[Any]:
    return values(operation(path)["requestBody"]["content"]["application/json"])


def told(path: str, status: str) -> list[Any]:
    return values(operation(path)["responses"][status]["content"]["application/json"])


def values(content: Any) -> list[Any]:
    return [one["value"] for one in content.get("examples", {}).values()]


def test_closing_an_order_is_told_in_the_pages_bytes() -> None:
    assert json_codec.dumps(asked("/api/v1/trade/close")[0]) == b'{"orderId":"ord_1234567890abcdef"}'
    [closed] = told("/api/v1/trade/close", "200")
    assert tuple(closed["order"])[:4] == PAGE_ORDER
    of_the_page = closed | {"order": {name: closed["order"][name] for name in PAGE_ORDER}}
    assert json_codec.dumps(of_the_page) == CLOSED
    said = [json_codec.dumps(one) for one in told("/api/v1/trade/close", "400")]
    assert set(ERRORS) <= set(said)


def test_an_exit_is_told_as_on_its_page() -> None:
    quote_in = next(one for one in asked("/api/quotes") if one["product_type"] == "trading_exit")
    assert list(quote_in) == ["product_type", "customer_guid", "reference_trade_guid"]
    [quote] = told("/api/quotes", "201")
    assert tuple(quote)[: len(EXIT_QUOTE)] == EXIT_QUOTE
    assert quote["product_type"] == "trading_exit"

    [trade_in] = asked("/api/trades")
    assert trade_in == {"trade_type": "exit", "quote_guid": quote["guid"]}
    assert list(trade_in) == ["trade_type", "quote_guid"]
    [trade] = told("/api/trades", "201")
    assert tuple(trade) == EXIT_TRADE
    assert (trade["trade_type"], trade["state"]) == ("exit", "storing")
    assert (trade["failure_code"], trade["labels"]) == (None, None)
    assert trade["reference_trade_guid"] == quote_in["reference_trade_guid"]


def contents() -> Iterator[tuple[str, Any]]:
    """Every body of the document, asked and told, with where it stands."""
    for path, operations in document().said["paths"].items():
        for method, one in operations.items():
            for type_, content in one.get("requestBody", {}).get("content", {}).items():
                yield f"{method} {path} {type_}", content
            for status, answer in one["responses"].items():
                for type_, content in document().whole(answer).get("content", {}).items():
                    yield f"{method} {path} {status} {type_}", content


@pytest.mark.parametrize(("where", "content"), [pair for pair in contents() if "examples" in pair[1]])
def test_an_example_is_what_its_schema_says(where: str, content: Any) -> None:
    validator = document().compiled(content["schema"])
    for value in values(content):
        assert [one.message for one in validator.iter_errors(value)] == []
