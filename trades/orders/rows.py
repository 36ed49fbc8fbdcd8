"""The engine's reads and writes, one set-based statement each. No rule of the business is in here.

Lock order of a tick: the lease, then orders by id, then (in `accounts.ledger`) accounts by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.arrays import array
from accounts.ids import uuid7
from trades.orders.commands import Answer, Command


@dataclass(slots=True)
class OrderRow:
    """An order's row as the engine works on it; `user_id` is its customer's."""

    id: UUID
    code: str
    customer_id: UUID
    client_order_id: str | None
    command_id: UUID | None
    instrument_id: str
    side: str
    type: str
    quantity: Decimal
    leverage: int
    margin: int
    price: Decimal | None
    open_price: Decimal | None
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trailing_stop: Decimal | None
    status: str
    created_at: datetime
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    close_price: Decimal | None = None
    profit: int | None = None
    swap: int = 0
    fee: int = 0
    close_reason: str = ""


@dataclass(frozen=True, slots=True)
class DealRow:
    customer_id: UUID
    order_id: UUID
    command_id: UUID | None
    kind: str
    price: Decimal
    quantity: Decimal
    profit: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Trader:
    """Whether a customer may trade right now, as of this tick."""

    user_id: UUID | None
    is_active: bool
    may_open: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that was given under an Idempotency-Key."""

    request_sha256: str
    command_id: UUID
    status: int
    body: str


_COLUMNS = [field.name for field in fields(OrderRow)]
_SELECT = "SELECT " + ", ".join(f"o.{name}" for name in _COLUMNS) + " FROM trades_order o "  # noqa: S608 - our own field names


def _orders(sql: str, parameters: Sequence[Any]) -> list[OrderRow]:
    with connection.cursor() as cursor:
        cursor.execute(_SELECT + sql, parameters)
        rows = cursor.fetchall()
    margin, profit = _COLUMNS.index("margin"), _COLUMNS.index("profit")
    orders = []
    for row in rows:
        order = OrderRow(*row)
        order.margin = int(row[margin])
        order.profit = None if row[profit] is None else int(row[profit])
        orders.append(order)
    return orders


def lock_orders(names: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], OrderRow]:
    """Lock these orders, by (customer, orderId), in primary-key order. Foreign and unknown ones are missing."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    orders = _orders(
        "JOIN unnest(%s::uuid[], %s::text[]) AS w(customer, code) ON o.customer_id = w.customer AND o.code = w.code"
        " ORDER BY o.id FOR NO KEY UPDATE OF o",
        [array(customer for customer, _ in wanted), array(code for _, code in wanted)],
    )
    return {(order.customer_id, order.code): order for order in orders}


def orders_made_by(commands: Sequence[Command]) -> dict[UUID, OrderRow]:
    """The orders that these create commands have made already, by command id: a replay finds its order."""
    if not commands:
        return {}
    orders = _orders(
        "JOIN unnest(%s::uuid[], %s::uuid[]) AS w(customer, command)"
        " ON o.customer_id = w.customer AND o.command_id = w.command",
        [array(command.customer_id for command in commands), array(command.id for command in commands)],
    )
    return {order.command_id: order for order in orders if order.command_id}


def codes_by_client_order_id(names: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], str]:
    """The orderIds that already carry these clientOrderIds, by (customer, clientOrderId)."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.customer_id, o.client_order_id, o.code FROM trades_order o"
            " JOIN unnest(%s::uuid[], %s::text[]) AS w(customer, name)"
            " ON o.customer_id = w.customer AND o.client_order_id = w.name",
            [array(customer for customer, _ in wanted), array(name for _, name in wanted)],
        )
        return {(customer, name): code for customer, name, code in cursor.fetchall()}


def closing_commands(order_ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """Which command closed each of these orders, by order id."""
    if not order_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT order_id, command_id FROM trades_deal WHERE kind = 'close' AND order_id = ANY(%s::uuid[])",
            [array(order_ids)],
        )
        return dict(cursor.fetchall())


def open_orders_with_triggers(partition: int, partitions: int) -> list[OrderRow]:
    """All open orders of a partition that a price may close: what the book is rebuilt from."""
    return _orders(
        "JOIN accounts_customer c ON c.id = o.customer_id"
        " WHERE o.status = 'OPEN' AND (o.stop_loss IS NOT NULL OR o.take_profit IS NOT NULL)"
        " AND c.partition %% %s = %s",
        [partitions, partition],
    )


def traders(customer_ids: Iterable[UUID]) -> dict[UUID, Trader]:
    """The customers' right to trade, read in the tick itself: a disabled user stops at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id, c.user_id, coalesce(u.is_active, false), c.state"
            " FROM accounts_customer c LEFT JOIN accounts_user u ON u.id = c.user_id WHERE c.id = ANY(%s::uuid[])",
            [array(set(customer_ids))],
        )
        return {
            customer: Trader(user, active, active and state == "verified")
            for customer, user, active, state in cursor.fetchall()
        }


def stored_answers(commands: Iterable[Command]) -> dict[tuple[UUID, str], Stored]:
    """What was answered under these commands' keys, by (customer, key)."""
    keyed = [(command.customer_id, command.key) for command in commands if command.key]
    if not keyed:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.customer_id, a.key, a.request_sha256, a.command_id, a.status, a.body"
            " FROM trades_idempotentanswer a JOIN unnest(%s::uuid[], %s::text[]) AS w(customer, key)"
            " ON a.customer_id = w.customer AND a.key = w.key",
            [array(customer for customer, _ in keyed), array(key for _, key in keyed)],
        )
        return {(row[0], row[1]): Stored(*row[2:]) for row in cursor.fetchall()}


def insert_orders(orders: Sequence[OrderRow]) -> None:
    if not orders:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO trades_order (id, code, customer_id, client_order_id, command_id, instrument_id, side, type,"
            " quantity, leverage, margin, price, open_price, take_profit, stop_loss, trailing_stop, status, created_at,"
            " opened_at, swap, fee, close_reason)"
            " SELECT w.*, 0, 0, '' FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::text[], %s::uuid[], %s::text[],"
            " %s::text[], %s::text[], %s::numeric[], %s::int[], %s::numeric[], %s::numeric[], %s::numeric[],"
            " %s::numeric[], %s::numeric[], %s::numeric[], %s::text[], %s::timestamptz[], %s::timestamptz[]) AS w",
            [array(getattr(order, name) for order in orders) for name in _COLUMNS[: _COLUMNS.index("opened_at") + 1]],
        )


def close_orders(orders: Sequence[OrderRow]) -> int:
    """Write closes down; only rows that are still open change, and how many did is returned."""
    if not orders:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE trades_order o SET status = 'CLOSED', close_price = w.price, profit = w.profit,"
            " close_reason = w.reason, closed_at = w.at"
            " FROM unnest(%s::uuid[], %s::numeric[], %s::numeric[], %s::text[], %s::timestamptz[])"
            " AS w(id, price, profit, reason, at)"
            " WHERE o.id = w.id AND o.status = 'OPEN'",
            [
                array(order.id for order in orders),
                array(order.close_price for order in orders),
                array(order.profit for order in orders),
                array(order.close_reason for order in orders),
                array(order.closed_at for order in orders),
            ],
        )
        return int(cursor.rowcount)


def insert_deals(deals: Sequence[DealRow]) -> None:
    if not deals:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO trades_deal"
            " (id, customer_id, order_id, command_id, kind, price, quantity, profit, reason, at)"
            " SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::numeric[],"
            " %s::numeric[], %s::numeric[], %s::text[], %s::timestamptz[])",
            [
                array(uuid7() for _ in deals),
                *(array(getattr(deal, field.name) for deal in deals) for field in fields(DealRow)),
            ],
        )


def insert_answers(answered: Sequence[tuple[Command, Answer]], at: datetime) -> None:
    """Keep the answers of keyed commands, in the transaction that they answer for."""
    if not answered:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO trades_idempotentanswer"
            " (id, customer_id, key, request_sha256, command_id, status, body, at)"
            " SELECT w.*, %s FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::int[],"
            " %s::text[]) AS w",
            [
                at,
                array(uuid7() for _ in answered),
                array(command.customer_id for command, _ in answered),
                array(command.key for command, _ in answered),
                array(command.request_sha256 for command, _ in answered),
                array(command.id for command, _ in answered),
                array(answer.status for _, answer in answered),
                array(answer.body for _, answer in answered),
            ],
        )
