"""Orders as the API shows them, and the engine's answers as exact bytes.

The engine writes the body itself, because a stored answer must come back byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from accounts import exact
from accounts.errors import Refusal
from accounts.money import at_scale, from_base_units, printed, printed_amount
from trades.states import OrderStatus


class OrderLike(Protocol):
    """What an order is to a reader: the model's row, or the engine's own copy of it."""

    code: str
    client_order_id: str | None
    instrument_id: str
    side: str
    type: str
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
        "price": price(order.price, price_decimals),
        "openPrice": price(order.open_price, price_decimals),
        "currentPrice": price(current_price, price_decimals),
        "profit": money(profit, decimals),
        "takeProfit": price(order.take_profit, price_decimals),
        "stopLoss": price(order.stop_loss, price_decimals),
        "trailingStop": price(order.trailing_stop, price_decimals),
        "openTime": order.opened_at,
        "swap": money(order.swap, decimals),
        "status": order.status,
    }
    if is_held:
        shown["currentPriceHeld"] = True
    if order.status == OrderStatus.CANCELLED:
        shown |= {"closeTime": order.closed_at, "closeReason": order.close_reason}
    return shown


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What close-all did with one order: closed it, or why it did not."""

    order: OrderLike
    price_decimals: int
    decimals: int
    error: str


def closed_all_body(outcomes: Sequence[Outcome]) -> str:
    """The answer to POST /trade/close-all, oldest order first."""
    return exact.dumps(
        {
            "message": "Orders closed successfully",
            "results": [
                {"orderId": one.order.code, "status": one.order.status, "error": one.error}
                if one.error
                else {
                    "orderId": one.order.code,
                    "status": "CLOSED",
                    "closePrice": price(one.order.close_price, one.price_decimals),
                    "profit": money(one.order.profit, one.decimals),
                }
                for one in outcomes
            ],
        }
    ).decode()


def placed_body(order: OrderLike) -> str:
    """The answer to POST /trade/create of a limit or stop order."""
    return f'{{"message":"Order created successfully","orderId":"{order.code}"}}'


def order_body(
    message: str,
    order: OrderLike,
    price_decimals: int,
    decimals: int,
    current_price: Decimal | None,
    profit: int | None,
    *,
    is_held: bool = False,
) -> str:
    """The answer to PATCH and DELETE: the order as it is now."""
    shown = live_order(order, price_decimals, decimals, current_price, profit, is_held=is_held)
    return exact.dumps({"message": message, "order": shown}).decode()


def created_body(
    order: OrderLike,
    price_decimals: int,
    decimals: int,
    current_price: Decimal | None,
    profit: int | None,
    *,
    is_held: bool = False,
) -> str:
    """The answer to POST /trade/create of a market order."""
    return exact.dumps(
        {
            "message": "Order created successfully",
            "orderId": order.code,
            "order": live_order(order, price_decimals, decimals, current_price, profit, is_held=is_held),
        }
    ).decode()


def _number(value: Decimal | None, decimals: int) -> str:
    return "null" if value is None else printed(value, decimals)


def _hex(value: UUID | None) -> str:
    return "null" if value is None else f'"{value.hex}"'


def _text(code: str | None) -> str:
    return "null" if code is None else f'"{code}"'


def _time(at: Any) -> str:
    return "null" if at is None else f'"{exact.timestamp(at)}"'


def refusal_body(refusal: Refusal) -> str:
    """A refusal in the orders' dialect, as its bytes."""
    return exact.dumps(refusal.order_body()).decode()
