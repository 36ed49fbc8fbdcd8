"""The body of an order request as the terms of a command, or the contract's refusal."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from accounts.errors import Malformed
from accounts.money import parse_decimal, printed
from trades.orders.errors import MissingParameters, OrderNotFoundOrClosed

LONGEST_NAME = 64


def close_terms(body: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /trade/close asks for. Raises MissingParameters, OrderNotFoundOrClosed, Malformed."""
    order_id = body.get("orderId")
    if order_id is None or order_id == "":
        raise MissingParameters("orderId")
    if not isinstance(order_id, str):
        raise Malformed("orderId must be a text")
    if body.get("quantity") not in (None, ""):
        raise Malformed("Closing a part of an order is not offered yet; leave out quantity to close it all")
    if len(order_id) > LONGEST_NAME:
        raise OrderNotFoundOrClosed
    return {"orderId": order_id}


def create_terms(body: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /trade/create asks for, checked in the contract's order. Raises MissingParameters, Malformed.

    What depends on the instrument or its price is left to the engine.
    """
    if any(body.get(name) in (None, "") for name in ("symbol", "type", "quantity", "leverage")):
        raise MissingParameters("symbol, type, quantity, leverage")
    side = body["type"].lower() if isinstance(body["type"], str) else None
    if side not in {"buy", "sell"}:
        raise Malformed("Type must be 'buy' or 'sell'")
    quantity = _positive(body, "quantity", "Quantity must be greater than 0")
    leverage = _positive(body, "leverage", "Leverage must be a positive whole number")
    if leverage != leverage.to_integral_value() or leverage >= 2**15:
        raise Malformed("Leverage must be a positive whole number")
    slippage = _number(body, "slippage", "Slippage must be zero or a positive number")
    if slippage is not None and slippage < 0:
        raise Malformed("Slippage must be zero or a positive number")
    take_profit = _optional(body, "takeProfit", "Take profit must be greater than 0")
    stop_loss = _optional(body, "stopLoss", "Stop loss must be greater than 0")
    expected = _optional(body, "expectedPrice", "Expected price must be greater than 0")
    _refuse_what_is_not_offered(body)
    return {
        "symbol": _text(body, "symbol"),
        "side": side,
        "quantity": printed(quantity),
        "leverage": int(leverage),
        "takeProfit": _printed(take_profit),
        "stopLoss": _printed(stop_loss),
        "slippage": _printed(slippage),
        "expectedPrice": _printed(expected),
        "clientOrderId": _text(body, "clientOrderId") if body.get("clientOrderId") not in (None, "") else None,
    }


def _refuse_what_is_not_offered(body: Mapping[str, Any]) -> None:
    """Better no order than one without the protection that was asked for."""
    order_type = body.get("orderType")
    if order_type not in (None, "") and not (isinstance(order_type, str) and order_type.lower() == "market"):
        known = isinstance(order_type, str) and order_type.lower() in {"limit", "stop"}
        raise Malformed(
            "Limit and stop orders are not offered yet" if known else "Order type must be market, limit or stop"
        )
    if body.get("trailingStop") not in (None, ""):
        raise Malformed("Trailing stops are not offered yet")


def _number(body: Mapping[str, Any], name: str, refusal: str) -> Decimal | None:
    if body.get(name) in (None, ""):
        return None
    value = parse_decimal(body[name])
    if value is None:
        raise Malformed(refusal)
    return value


def _optional(body: Mapping[str, Any], name: str, refusal: str) -> Decimal | None:
    value = _number(body, name, refusal)
    if value is not None and value <= 0:
        raise Malformed(refusal)
    return value


def _positive(body: Mapping[str, Any], name: str, refusal: str) -> Decimal:
    value = _optional(body, name, refusal)
    if value is None:
        raise Malformed(refusal)
    return value


def _printed(value: Decimal | None) -> str | None:
    """Terms travel as text: exact, and small in the stream."""
    return None if value is None else printed(value)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NAME or not value.isprintable():
        raise Malformed(f"{name} must be a text of 1 to {LONGEST_NAME} characters")
    return value
