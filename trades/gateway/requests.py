"""The body of an order request as the terms of a command, or the contract's refusal.

Terms travel in the stream and are what an Idempotency-Key stands for: always the same names, in the same order, with
numbers as exact decimal texts and None for what is absent. What depends on the instrument, its price or the
order is left to the engine. Names are looked at before values (fields.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from accounts.errors import Malformed
from accounts.money import parse_decimal, printed, why_not_kept
from quotes.symbols import canonical
from trades.gateway import fields
from trades.margin.errors import MissingParameters, OrderNotFound, OrderNotFoundOrClosed
from trades.margin.terms import CHANGEABLE, ENTRY_PRICES, LONGEST_NAME, MOST_LEVERAGE, ORDER_CODE, TERMS
from trades.margin.triggers import WAITS_FOR
from trades.states import OrderType

_CALLED = {term.name: term.called for term in TERMS}
_POSITIVE = "must be greater than 0"
_LEVERAGE = "must be a positive whole number"
_SLIPPAGE = "must be zero or a positive number"


def create_terms(body: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /trade/create asks for, checked in the contract's order. Raises MissingParameters, Malformed."""
    fields.check_names(body, fields.CREATE)
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
    prices = _requested_prices(body, order_type)
    trailing_stop = _positive(body, "trailingStop")
    if order_type != OrderType.MARKET and (slippage is not None or expected is not None):
        raise Malformed("Slippage applies to market orders only")
    if (slippage is None) != (expected is None):
        raise Malformed("Slippage and expectedPrice go together")
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
        "orderType": order_type.value,
        **prices,
        "trailingStop": trailing_stop,
    }


def close_terms(body: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /trade/close asks for; without a quantity, all of it.

    Raises MissingParameters, OrderNotFoundOrClosed for what can't be an order's id, Malformed.
    """
    fields.check_names(body, fields.CLOSE)
    order_id = body.get("orderId")
    if order_id is None or order_id == "":
        raise MissingParameters("orderId")
    if not isinstance(order_id, str):
        raise Malformed("orderId must be a string")
    quantity = _positive(body, "quantity")
    if not ORDER_CODE.fullmatch(order_id):
        raise OrderNotFoundOrClosed
    return {"orderId": order_id, "quantity": quantity}


def change_terms(order_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What PATCH /trade/orders/{id} asks for: null or "" takes a stop away, a name that is left out stays as it is.

    Raises OrderNotFound for what can't be an order's id, Malformed.
    """
    named = _in_path(order_id)
    fields.check_names(body, fields.CHANGE)
    wanted = {term.name: _positive(body, term.name) for term in CHANGEABLE if term.name in body}
    if not wanted:
        raise Malformed(f"Nothing to change: {_either([term.name for term in CHANGEABLE])}")
    for term in ENTRY_PRICES:
        if term.name in wanted and wanted[term.name] is None:  # a pending order waits for a price, always
            raise _refusal(term.name, None, _POSITIVE)
    return {"orderId": named, "set": wanted}


def cancel_terms(order_id: str) -> dict[str, Any]:
    """What DELETE /trade/orders/{id} asks for. Raises OrderNotFound for what can't be an order's id."""
    return {"orderId": _in_path(order_id)}


def close_all_terms(body: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /trade/close-all asks for: every open order, or those of one symbol. Raises Malformed.

    The symbol is made canonical here, so that an unknown one is refused before anything is closed.
    """
    fields.check_names(body, fields.CLOSE_ALL)
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


def _number(body: Mapping[str, Any], name: str, needed: str) -> Decimal | None:
    if _is_absent(body, name):
        return None
    value = parse_decimal(body[name])
    if value is None:
        raise _refusal(name, body[name], needed)
    return value


def _refusal(name: str, given: object, needed: str) -> Malformed:
    """What is true of a value: that it is too large or too fine to be kept, or that it isn't what is needed."""
    why = why_not_kept(given)
    return Malformed(f"{_CALLED[name]} {needed if not why or str(given).startswith('-') else why}")


def _positive(body: Mapping[str, Any], name: str) -> str | None:
    """A number above zero as exact text, or None where it is absent."""
    value = _number(body, name, _POSITIVE)
    if value is not None and value <= 0:
        raise _refusal(name, value, _POSITIVE)
    return None if value is None else printed(value)


def _leverage(body: Mapping[str, Any]) -> int:
    value = _number(body, "leverage", _LEVERAGE)
    if value is None or value <= 0 or value != value.to_integral_value():
        raise _refusal("leverage", value, _LEVERAGE)
    if value > MOST_LEVERAGE:
        raise Malformed(f"Leverage must be at most {MOST_LEVERAGE}")
    return int(value)


def _slippage(body: Mapping[str, Any]) -> str | None:
    value = _number(body, "slippage", _SLIPPAGE)
    if value is not None and value < 0:
        raise _refusal("slippage", value, _SLIPPAGE)
    return None if value is None else printed(value)


def _order_type(body: Mapping[str, Any]) -> OrderType:
    if _is_absent(body, "orderType"):
        return OrderType.MARKET
    given = body["orderType"]
    order_type = given.lower() if isinstance(given, str) else None
    if order_type not in OrderType.values:
        raise Malformed(f"Order type must be {_either(OrderType.values)}")
    return OrderType(order_type)


def _requested_prices(body: Mapping[str, Any], order_type: OrderType) -> dict[str, str | None]:
    """Whoever names a price means to wait for it: at the market the order would open at another one."""
    prices = {}
    for term in ENTRY_PRICES:
        price = prices[term.name] = _positive(body, term.name)
        is_needed = term.column in WAITS_FOR[order_type]
        if price is not None and not is_needed:
            waiting = [type_.value for type_, columns in WAITS_FOR.items() if term.column in columns]
            raise Malformed(f"{term.called} applies to {' and '.join(waiting)} orders only")
        if price is None and is_needed:
            raise _refusal(term.name, None, _POSITIVE)
    return prices


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NAME or not value.isprintable():
        raise Malformed(f"{name} must be a string of 1 to {LONGEST_NAME} characters")
    return value
