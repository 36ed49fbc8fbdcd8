"""What a tick writes: one part a table, all of them one statement (`accounts.db.writing`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from accounts.arrays import array, new_ids
from accounts.db.writing import Part
from trades.orders.commands import Answer, Command
from trades.orders.reads import COLUMNS
from trades.orders.rows import DealRow, EventRow, Noted, OrderRow
from trades.states import OrderStatus

OPEN = OrderStatus.OPEN.value
_NUMBERS = (
    "quantity",
    "margin",
    "price",
    "open_price",
    "take_profit",
    "stop_loss",
    "trailing_stop",
    "trail_peak",
    "close_price",
    "profit",
    "swap",
    "fee",
    "realized",
    "swap_accrued",
)
_TYPES = {
    **dict.fromkeys(_NUMBERS, "numeric"),
    **dict.fromkeys(("id", "customer_id", "command_id", "parent_id"), "uuid"),
    **dict.fromkeys(("trail_at", "created_at", "opened_at", "closed_at"), "timestamptz"),
    "leverage": "int",
}
# What may change about an order that has opened or waits; the plain close has a statement of its own.
_MUTABLE = [
    *_NUMBERS,
    "status",
    "opened_at",
    "trail_at",
    "closed_at",
    "close_reason",
]


def _unnested(names: Sequence[str]) -> str:
    return ", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in names)


_INSERT = f"INSERT INTO trades_order ({', '.join(COLUMNS)}) SELECT * FROM unnest({_unnested(COLUMNS)})"  # noqa: S608
_CHANGE = (
    f"UPDATE trades_order o SET {', '.join(f'{name} = w.{name}' for name in _MUTABLE)}"  # noqa: S608
    f" FROM unnest(%s::uuid[], %s::text[], {_unnested(_MUTABLE)}) AS w(id, was, {', '.join(_MUTABLE)})"
    " WHERE o.id = w.id AND o.status = w.was"
)


def insert_orders(orders: Sequence[OrderRow]) -> Part | None:
    if not orders:
        return None
    return Part(_INSERT, [array(getattr(order, name) for order in orders) for name in COLUMNS])


def close_orders(orders: Sequence[OrderRow], at: datetime) -> Part | None:
    """Write closes down; only rows that are still open change, and they must all be."""
    if not orders:
        return None
    return Part(
        "UPDATE trades_order o SET status = 'CLOSED', close_price = w.price, profit = w.profit,"
        " close_reason = w.reason, closed_at = %s"
        " FROM unnest(%s::uuid[], %s::text[], %s::numeric[], %s::numeric[], %s::text[])"
        " AS w(id, was, price, profit, reason)"
        " WHERE o.id = w.id AND o.status = w.was",  # a plain 'OPEN' lets the planner go through all live orders
        [
            at,
            array([order.id for order in orders]),
            array([OPEN] * len(orders)),
            array([order.close_price for order in orders]),
            array([order.profit for order in orders]),
            array([order.close_reason for order in orders]),
        ],
        expected=len(orders),
    )


def change_orders(changed: Sequence[tuple[OrderRow, str]]) -> Part | None:
    """Write down whatever else became of orders; only rows in the state that was read change."""
    if not changed:
        return None
    orders = [order for order, _ in changed]
    return Part(
        _CHANGE,
        [
            array(order.id for order in orders),
            array(was for _, was in changed),
            *(array(getattr(order, name) for order in orders) for name in _MUTABLE),
        ],
        expected=len(orders),
    )


def insert_deals(deals: Sequence[DealRow], at: datetime) -> Part | None:
    if not deals:
        return None
    customers, orders, commands, kinds, prices, quantities, profits, reasons = zip(*deals, strict=True)
    return Part(
        "INSERT INTO trades_deal (id, customer_id, order_id, command_id, kind, price, quantity, profit, reason, at)"
        " SELECT w.*, %s FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::numeric[],"
        " %s::numeric[], %s::numeric[], %s::text[]) AS w",
        [
            at,
            new_ids(len(deals)),
            array(customers),
            array(orders),
            array(commands),
            array(kinds),
            array(prices),
            array(quantities),
            array(profits),
            array(reasons),
        ],
    )


def insert_events(events: Sequence[EventRow], at: datetime) -> Part | None:
    if not events:
        return None
    customers, orders, kinds, commands, details = zip(*events, strict=True)
    return Part(
        "INSERT INTO trades_orderevent (id, customer_id, order_id, kind, command_id, detail, at)"
        " SELECT w.id, w.customer, w.order_, w.kind, w.command, w.detail::jsonb, %s FROM unnest(%s::uuid[],"
        " %s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::text[])"
        " AS w(id, customer, order_, kind, command, detail)",
        [
            at,
            new_ids(len(events)),
            array(customers),
            array(orders),
            array(kinds),
            array(commands),
            array(details),
        ],
    )


def insert_answers(answered: Sequence[tuple[Command, str, Answer]], at: datetime) -> Part | None:
    """Keep the answers of commands under their keys, in the transaction that they answer for."""
    if not answered:
        return None
    return Part(
        "INSERT INTO trades_idempotentanswer (id, customer_id, key, request_sha256, command_id, status, body, at)"
        " SELECT w.*, %s FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::int[],"
        " %s::text[]) AS w",
        [
            at,
            new_ids(len(answered)),
            array(command.customer_id for command, _, _ in answered),
            array(key for _, key, _ in answered),
            array(command.request_sha256 for command, _, _ in answered),
            array(command.id for command, _, _ in answered),
            array(answer.status for _, _, answer in answered),
            array(answer.body for _, _, answer in answered),
        ],
    )


def note_margin_accounts(notes: Sequence[tuple[object, *Noted]], at: datetime) -> Part | None:
    """What is noted about these customers' margin accounts as a whole."""
    if not notes:
        return None
    return Part(
        "INSERT INTO trades_marginaccount (customer_id, called_at, drawn, owed, owed_at, swap_carried, updated_at)"
        " SELECT w.*, %s FROM unnest(%s::uuid[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::timestamptz[],"
        " %s::numeric[]) AS w(customer, called, drawn, owed, owed_at, carried)"
        " ON CONFLICT (customer_id) DO UPDATE SET called_at = excluded.called_at, drawn = excluded.drawn,"
        " owed = excluded.owed, owed_at = excluded.owed_at, swap_carried = excluded.swap_carried,"
        " updated_at = excluded.updated_at",
        [at, *(array(column) for column in zip(*notes, strict=True))],
    )
