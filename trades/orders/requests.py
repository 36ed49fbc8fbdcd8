"""The body of an order request as the terms of a command, or the contract's refusal.

Terms travel in the stream and are what an Idempotency-Key stands for: always the same names, in the same order, with
numbers as exact decimal texts and None for what is absent. What depends on the instrument, its price or the
order is left to the engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from accounts.errors import Malformed
from accounts.money import parse_decimal, printed
from quotes.symbols import canonical
from trades.orders.errors import MissingParameters, OrderNotFound, OrderNotFoundOrClosed

LONGEST_NAME = 64
MARKET, LIMIT, STOP = "market", "limit", "stop"
ORDER_CODE = re.compile(r"ord_[0-9a-f]{16}", re.ASCII)

_REFUSED = {
    "quantity": "Quantity must be greater than 0",
    "takeProfit": "Take profit must be greater than 0",
    "stopLoss": "Stop loss must be greater than 0",
    "expectedPrice": "Expected price must be greater than 0",
    "price": "Price must be greater than 0",
    "trailingStop": "Trailing stop must be greater than 0",
}
_LEVERAGE = "Leverage must be a positive whole number"
_SLIPPAGE = "Slippage must be zero or a positive number"
_CHANGEABLE = ("takeProfit", "stopLoss", "trailingStop", "price")


def create_terms(body: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /trade/create asks for, checked in the contract's order. Raises MissingParameters, Malformed."""
    if any(_is_absent(body, name) for name in ("symbol", "type", "quantity", "leverage")):
        raise MissingParameters("symbol, type, quantity, leverage")
    side = body["type"].lower() if isinstance(body["type"], str) else None
    if side not in {"buy", "sell"}:
        raise Malformed("Type must be 'buy' or 'sell'")
    quantity = _positive(body, "quantity")
    leverage = _leverage(body)
    slippage = _slippage(body)
    take_profit, stop_loss = _positive(body, "takeProfit"), _positive(body, "stopLoss")
    expected = _positive(body, "expectedPrice")
    order_type = _order_type(body)
    price = _requested_price(body, order_type)
    trailing_stop = _positive(body, "trailingStop")
    if order_type != MARKET and (slippage is not None or expected is not None):
        raise Malformed("Slippage applies to market orders only")
    return {
        "symbol": _text(body, "symbol"),
        "side": side,
        "quantity": quantity,
        "leverage": leverage,
        "takeProfit": take_profit,
        "stopLoss": stop_loss,
        "slippage": slippage,
        "expectedPrice": expected,
        "clientOrderId": None if _is_absent(body, "clientOrderId") else _text(body, "clientOrderId"),
        "orderType": order_type,
        "price": price,
        "trailingStop": trailing_stop,
    }


def close_terms(body: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /trade/close asks for; without a quantity, all of it.

    Raises MissingParameters, OrderNotFoundOrClosed for what can't be an order's id, Malformed.
    """
    order_id = body.get("orderId")
    if order_id is None or order_id == "":
        raise MissingParameters("orderId")
    if not isinstance(order_id, str):
        raise Malformed("orderId must be a text")
    quantity = _positive(body, "quantity")
    if not ORDER_CODE.fullmatch(order_id):
        raise OrderNotFoundOrClosed
    return {"orderId": order_id, "quantity": quantity}


def change_terms(order_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What PATCH /trade/orders/{id} asks for: null or "" takes a stop away, a name that is left out stays as it is.

    Raises OrderNotFound for what can't be an order's id, Malformed.
    """
    named = _in_path(order_id)
    wanted = {name: _positive(body, name) for name in _CHANGEABLE if name in body}
    if not wanted:
        raise Malformed("Nothing to change: takeProfit, stopLoss, trailingStop or price")
    if "price" in wanted and wanted["price"] is None:  # a pending order waits for a price, always
        raise Malformed(_REFUSED["price"])
    return {"orderId": named, "set": wanted}


def cancel_terms(order_id: str) -> dict[str, Any]:
    """What DELETE /trade/orders/{id} asks for. Raises OrderNotFound for what can't be an order's id."""
    return {"orderId": _in_path(order_id)}


def close_all_terms(body: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /trade/close-all asks for: every open order, or those of one symbol. Raises Malformed.

    The symbol is made canonical here, so that an unknown one is refused before anything is closed.
    """
    if _is_absent(body, "symbol"):
        return {"symbol": None}
    return {"symbol": known_symbol(body["symbol"])}


def known_symbol(said: object) -> str:
    """The canonical symbol that a caller means. Raises Malformed where there is none."""
    symbol = canonical(said)
    if symbol is None:
        raise Malformed("symbol is unknown")
    return symbol


# --- one field -------------------------------------------------------------------------------------


def _in_path(order_id: str) -> str:
    if not ORDER_CODE.fullmatch(order_id):
        raise OrderNotFound
    return order_id


def _is_absent(body: Mapping[str, Any], name: str) -> bool:
    return body.get(name) in (None, "")


def _number(body: Mapping[str, Any], name: str, refusal: str) -> Decimal | None:
    if _is_absent(body, name):
        return None
    value = parse_decimal(body[name])
    if value is None:
        raise Malformed(refusal)
    return value


def _positive(body: Mapping[str, Any], name: str) -> str | None:
    """A number above zero as exact text, or None where it is absent."""
    value = _number(body, name, _REFUSED[name])
    if value is not None and value <= 0:
        raise Malformed(_REFUSED[name])
    return None if value is None else printed(value)


def _leverage(body: Mapping[str, Any]) -> int:
    value = _number(body, "leverage", _LEVERAGE)
    if value is None or value <= 0 or value != value.to_integral_value() or value >= 2**15:
        raise Malformed(_LEVERAGE)
    return int(value)


def _slippage(body: Mapping[str, Any]) -> str | None:
    value = _number(body, "slippage", _SLIPPAGE)
    if value is not None and value < 0:
        raise Malformed(_SLIPPAGE)
    return None if value is None else printed(value)


def _order_type(body: Mapping[str, Any]) -> str:
    if _is_absent(body, "orderType"):
        return MARKET
    given = body["orderType"]
    order_type = given.lower() if isinstance(given, str) else None
    if order_type not in {MARKET, LIMIT, STOP}:
        raise Malformed("Order type must be market, limit or stop")
    return str(order_type)


def _requested_price(body: Mapping[str, Any], order_type: str) -> str | None:
    """Whoever names a price means to wait for it: at the market the order would open at another one."""
    price = _positive(body, "price")
    if order_type == MARKET and price is not None:
        raise Malformed("Price applies to limit and stop orders only")
    if order_type != MARKET and price is None:
        raise Malformed(_REFUSED["price"])
    return price


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NAME or not value.isprintable():
        raise Malformed(f"{name} must be a text of 1 to {LONGEST_NAME} characters")
    return value
