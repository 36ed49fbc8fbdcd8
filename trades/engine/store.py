"""A session is stored: what is new or different, a part a table, all in one statement (`accounts.db.writing`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import connection

from accounts import ledger_pipeline
from accounts.arrays import array, new_ids
from accounts.clock import is_outermost
from accounts.db.pipeline import Pipeline
from accounts.db.writing import Part, write
from trades.engine import price_extremes, risk_limits
from trades.engine.bounds import Bound
from trades.engine.price_extremes import ExtremeRow
from trades.margin.commands import Answer, Command
from trades.margin.rows import COLUMNS, DealRow, EventRow, Noted, OrderRow
from trades.margin.session import Changed, Session
from trades.models import Order
from trades.states import OrderStatus

# What a plain close changes, which is most of the work. It has a statement of its own that says once what all closes of
# a tick have in common, state and time.
CLOSED: Final = ("status", "close_price", "profit", "close_reason", "closed_at")
_CLOSES: Final = frozenset(CLOSED)
MUTABLE: Final = [name for name in COLUMNS if name != "id" and name not in Order.fixed]
_MUTABLE: Final = frozenset(MUTABLE)


def store(
    p: Pipeline,
    session: Session,
    kept: Sequence[tuple[Command, str, Answer]],
    extremes: Sequence[ExtremeRow] = (),
    bound: Bound | None = None,
) -> list[Changed]:
    """Send everything to be written down: it fails where a row is not as it was read. Rows of `kept` are answers.

    The extremes go first, so that the tick's time is bound by its last statement. Raises ValueError where a rule has
    changed what never changes about an order. Gives the orders that were different.
    """
    price_extremes.write(p, extremes, session.at)
    changes = list(session.changed())
    closed: list[Changed] = []
    others: list[Changed] = []
    for change in changes:
        (closed if _is_plain_close(change, session.at) else others).append(change)
    write(
        p,
        [
            insert_orders(list(session.new.values())),
            close_orders(closed, session.at),
            update_orders(others),
            insert_deals(session.deals, session.at),
            insert_events(session.events, session.at),
            *ledger_pipeline.posting(session.postings, at=session.at),
            insert_answers(kept, session.at),
            note_margin_accounts(_notes(session), session.at),
            risk_limits.count(session),
        ],
        bound.commit_by(session.market.until) if bound is not None and is_outermost() else None,
    )
    return changes


def _notes(session: Session) -> list[tuple[object, *Noted]]:
    accounts = session.accounts.values()
    return [(account.customer_id, *account.noted) for account in accounts if account.noted != account.customer.noted]


def _unnested(names: Sequence[str]) -> str:
    return ", ".join(f"%s::{_type_of(name)}[]" for name in names)


def _type_of(column: str) -> str:
    """An order's column as PostgreSQL has it, without the length or scale that a cast would cut it to."""
    return str(Order._meta.get_field(column).db_type(connection)).partition("(")[0]


_INSERT = f"INSERT INTO trades_order ({', '.join(COLUMNS)}) SELECT * FROM unnest({_unnested(COLUMNS)})"  # noqa: S608
# Only rows in the state that was read change. A literal state would let the planner go through all live orders.
_UPDATE = (
    f"UPDATE trades_order o SET {', '.join(f'{name} = w.{name}' for name in MUTABLE)}"  # noqa: S608
    f" FROM unnest(%s::uuid[], %s::text[], {_unnested(MUTABLE)}) AS w(id, was, {', '.join(MUTABLE)})"
    " WHERE o.id = w.id AND o.status = w.was"
)
_CLOSE = (
    "UPDATE trades_order o SET status = 'CLOSED', close_price = w.price, profit = w.profit, close_reason = w.reason,"
    " closed_at = %s"
    " FROM unnest(%s::uuid[], %s::text[], %s::numeric[], %s::numeric[], %s::text[])"
    " AS w(id, was, price, profit, reason)"
    " WHERE o.id = w.id AND o.status = w.was"
)


def _is_plain_close(change: Changed, at: datetime) -> bool:
    order = change.order
    return order.status == OrderStatus.CLOSED and order.closed_at == at and change.columns <= _CLOSES


def insert_orders(orders: Sequence[OrderRow]) -> Part | None:
    if not orders:
        return None
    return Part(_INSERT, [array(getattr(order, name) for order in orders) for name in COLUMNS])


def close_orders(closed: Sequence[Changed], at: datetime) -> Part | None:
    """Write down orders of which nothing but `CLOSED` changed, all of them closed at `at`."""
    if not closed:
        return None
    orders = [change.order for change in closed]
    return Part(
        _CLOSE,
        [
            at,
            array([order.id for order in orders]),
            array([change.was for change in closed]),
            array([order.close_price for order in orders]),
            array([order.profit for order in orders]),
            array([order.close_reason for order in orders]),
        ],
        expected=len(orders),
    )


def update_orders(changes: Sequence[Changed]) -> Part | None:
    """Write down whatever else became of orders that were read; all of the rows must be in the state that they had."""
    if not changes:
        return None
    for change in changes:
        if fixed := change.columns - _MUTABLE:
            raise ValueError(f"{change.order.code}: {sorted(fixed)} never change")
    orders = [change.order for change in changes]
    return Part(
        _UPDATE,
        [
            array([order.id for order in orders]),
            array([change.was for change in changes]),
            *(array([getattr(order, name) for order in orders]) for name in MUTABLE),
        ],
        expected=len(orders),
    )


def insert_deals(deals: Sequence[DealRow], at: datetime) -> Part | None:
    if not deals:
        return None
    *columns, rates = zip(*deals, strict=True)
    return Part(
        "INSERT INTO trades_deal (id, customer_id, order_id, command_id, kind, price, quantity, profit, reason,"
        " bid, ask, priced_at, price_age_ms, hold, sources, rate_multiplier, rate_divisor, rate_path, rate_at, at)"
        " SELECT w.*, %s FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::numeric[],"
        " %s::numeric[], %s::numeric[], %s::text[], %s::numeric[], %s::numeric[], %s::timestamptz[], %s::int[],"
        " %s::bigint[], %s::text[], %s::numeric[], %s::numeric[], %s::text[], %s::timestamptz[]) AS w",
        [
            at,
            new_ids(len(deals)),
            *(array(column) for column in columns),
            array(None if rate.is_one else rate.multiplier for rate in rates),
            array(None if rate.is_one else rate.divisor for rate in rates),
            array(rate.path for rate in rates),
            array(rate.at for rate in rates),
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
        "INSERT INTO trades_marginaccount (customer_id, called_at, drawn, owed, owed_at, swap_carried, hedged,"
        " updated_at)"
        " SELECT w.*, %s FROM unnest(%s::uuid[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::timestamptz[],"
        " %s::numeric[], %s::numeric[]) AS w(customer, called, drawn, owed, owed_at, carried, hedged)"
        " ON CONFLICT (customer_id) DO UPDATE SET called_at = excluded.called_at, drawn = excluded.drawn,"
        " owed = excluded.owed, owed_at = excluded.owed_at, swap_carried = excluded.swap_carried,"
        " hedged = excluded.hedged, updated_at = excluded.updated_at",
        [at, *(array(column) for column in zip(*notes, strict=True))],
    )
