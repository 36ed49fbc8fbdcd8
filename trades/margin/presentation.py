"""Orders as the API shows them, and what became of a command as the contract's exact bytes.

The engine writes the body itself, because a stored answer must come back byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Protocol, assert_never
from uuid import UUID

from accounts import json_codec
from accounts.errors import Refusal
from accounts.money import at_scale, from_base_units, printed, printed_amount
from trades.margin.market import Market
from trades.margin.outcomes import Cancelled, Changed, Closed, ClosedAll, Created, Outcome
from trades.margin.rows import OrderRow
from trades.margin.terms import ENTRY_PRICES, STOPS, Term
from trades.states import OrderStatus, OrderType


class OrderLike(Protocol):
    """What an order is to a reader: the model's row, or the engine's own copy of it."""

    code: str
    client_order_id: str | None
    instrument_id: str
    side: str
    quantity: Decimal
    leverage: int
    margin: Any
    price: Decimal | None
    open_price: Decimal | None
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trailing_stop: Decimal | None
    status: str
    created_at: Any
    opened_at: Any
    closed_at: Any
    close_price: Decimal | None
    profit: Any
    swap: Any
    fee: Any
    close_reason: str

    @property
    def type(self) -> str: ...


def money(amount: int | Decimal | None, decimals: int) -> Decimal | None:
    """Base units as the API prints them: all decimals of the currency, e.g. 125.50."""
    return None if amount is None else from_base_units(amount, decimals)


def price(value: Decimal | None, decimals: int) -> Decimal | None:
    return None if value is None else at_scale(value, decimals)


def live_order(
    order: OrderLike,
    price_decimals: int,
    decimals: int,
    current_price: Decimal | None,
    profit: int | None,
    *,
    is_held: bool = False,
) -> dict[str, Any]:
    """An open, pending or cancelled order. `profit` is floating, null while there is no price to judge it by.

    `is_held`: the current price is one that an operator holds.
    """
    shown = {
        "orderId": order.code,
        "clientOrderId": order.client_order_id,
        "symbol": order.instrument_id,
        "type": order.side,
        "orderType": order.type,
        "quantity": at_scale(order.quantity),
        "leverage": order.leverage,
        "margin": money(order.margin, decimals),
        **_prices(order, ENTRY_PRICES, price_decimals),
        "openPrice": price(order.open_price, price_decimals),
        "currentPrice": price(current_price, price_decimals),
        "profit": money(profit, decimals),
        **_prices(order, STOPS, price_decimals),
        "openTime": order.opened_at,
        "swap": money(order.swap, decimals),
        "status": order.status,
    }
    if is_held:
        shown["currentPriceHeld"] = True
    if order.status == OrderStatus.CANCELLED:
        shown |= {"closeTime": order.closed_at, "closeReason": order.close_reason}
    return shown


def _prices(order: OrderLike, terms: Iterable[Term], decimals: int) -> dict[str, Decimal | None]:
    return {term.name: price(getattr(order, term.column), decimals) for term in terms}


def closed_order(
    order: OrderLike, user_id: UUID | None, price_decimals: int, decimals: int, parent_code: str | None = None
) -> dict[str, Any]:
    """A closed order of the history; `parent_code` is the orderId that a closed part was taken from."""
    return {
        "orderId": order.code,
        "clientOrderId": order.client_order_id,
        "userId": user_id,
        "symbol": order.instrument_id,
        "type": order.side,
        "quantity": at_scale(order.quantity),
        "leverage": order.leverage,
        "openPrice": price(order.open_price, price_decimals),
        "closePrice": price(order.close_price, price_decimals),
        "openTime": order.opened_at,
        "closeTime": order.closed_at,
        "profitLoss": money(order.profit, decimals),
        "profit": money(order.profit, decimals),
        "takeProfit": price(order.take_profit, price_decimals),
        "stopLoss": price(order.stop_loss, price_decimals),
        "closeReason": order.close_reason,
        "swap": money(order.swap, decimals),
        "fee": money(order.fee, decimals),
        "parentOrderId": parent_code,
        "status": order.status,
    }


def closed_body(
    order: OrderLike, user_id: UUID | None, price_decimals: int, decimals: int, parent_code: str | None = None
) -> str:
    """The answer to POST /trade/close: the seed page's four fields first, then the rest.

    Written by hand, because every close is answered by it: no text in it needs escaping.
    """
    profit = printed_amount(order.profit, decimals)
    return (
        f'{{"message":"Order closed successfully","order":{{"orderId":"{order.code}","status":"CLOSED",'
        f'"closePrice":{_number(order.close_price, price_decimals)},"profit":{profit},'
        f'"userId":{_hex(user_id)},"symbol":"{order.instrument_id}","type":"{order.side}",'
        f'"quantity":{printed(order.quantity)},"leverage":{order.leverage},'
        f'"openPrice":{_number(order.open_price, price_decimals)},"openTime":{_time(order.opened_at)},'
        f'"closeTime":{_time(order.closed_at)},"profitLoss":{profit},"closeReason":"{order.close_reason}",'
        f'"swap":{printed_amount(order.swap, decimals)},"fee":{printed_amount(order.fee, decimals)},'
        f'"parentOrderId":{_text(parent_code)}}}}}'
    )


def body_of(outcome: Outcome, market: Market) -> str:
    """The body that answers a command, as the orders stand right after it. Give it at once: later ones change them."""
    said: dict[str, Any]
    match outcome:
        case Closed(order, user_id, parent_code):
            instrument = market.instrument_of(order)
            return closed_body(order, user_id, instrument.price_decimals, market.decimals, parent_code)
        case Created(order) if order.type != OrderType.MARKET:
            return f'{{"message":"Order created successfully","orderId":"{order.code}"}}'
        case Created(order):
            said = {"message": "Order created successfully", "orderId": order.code, "order": _shown(order, market)}
        case Changed(order):
            said = {"message": "Order changed successfully", "order": _shown(order, market)}
        case Cancelled(order):
            said = {"message": "Order cancelled successfully", "order": _shown(order, market)}
        case ClosedAll(orders):
            results = [_closed_or_why_not(order, market) for order in orders]
            said = {"message": "Orders closed successfully", "results": results}
        case _:
            assert_never(outcome)
    return json_codec.dumps(said).decode()


def code_of(outcome: Outcome, named: str) -> str:
    """The orderId that an answer is about: the one that the command `named`, or the new order's."""
    return outcome.order.code if isinstance(outcome, Created) else named


def _shown(order: OrderRow, market: Market) -> dict[str, Any]:
    """An order as it is now; one that has opened beside a fresh price, if there is one."""
    current = floating = None
    is_held = False
    price = market.current(order)
    if price is not None and order.open_price is not None and market.latest_conversion(order) is not None:
        is_held = price.is_held
        current = price.exit(order.side)
        floating = market.result(order, current)
    decimals = market.instrument_of(order).price_decimals
    return live_order(order, decimals, market.decimals, current, floating, is_held=is_held)


def _closed_or_why_not(order: OrderRow, market: Market) -> dict[str, Any]:
    if order.status != OrderStatus.CLOSED:
        return {"orderId": order.code, "status": order.status, "error": market.why_not_priced(order).text}
    return {
        "orderId": order.code,
        "status": "CLOSED",
        "closePrice": price(order.close_price, market.instrument_of(order).price_decimals),
        "profit": money(order.profit, market.decimals),
    }


def _number(value: Decimal | None, decimals: int) -> str:
    return "null" if value is None else printed(value, decimals)


def _hex(value: UUID | None) -> str:
    return "null" if value is None else f'"{value.hex}"'


def _text(code: str | None) -> str:
    return "null" if code is None else f'"{code}"'


def _time(at: Any) -> str:
    return "null" if at is None else f'"{json_codec.timestamp(at)}"'


def refusal_body(refusal: Refusal) -> str:
    """A refusal in the orders' dialect, as its bytes."""
    return json_codec.dumps(refusal.order_body()).decode()
