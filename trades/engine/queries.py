"""What a tick reads, one set-based statement each. All are asked at once and answered when they are read.

Lock order of a tick: the lease, then orders by id, then (in the ledger) accounts by id, then, where something may open
against a limit of the firm, the turn to open (`risk_limits.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from accounts.arrays import array
from accounts.db.pipeline import Known, Pending, Pipeline, Rows, ask
from quotes.prices import Price
from trades.cash import CASH
from trades.margin.commands import Command
from trades.margin.pricing import NOTHING
from trades.margin.rows import COLUMNS, ClientRow, CustomerRow, Loss, OrderedRow, OrderRow, Stored
from trades.spendable import LOSSES, columns
from trades.states import OrderType

BY_INDEX = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
_CARRIED = {"realized", "swap_accrued"}  # zero, as nearly always, is sent as NULL, which costs next to nothing
_SELECTED = ", ".join(f"nullif(o.{name}, 0)" if name in _CARRIED else f"o.{name}" for name in COLUMNS)
_SELECT = f"SELECT {_SELECTED} FROM trades_order o "  # noqa: S608 - our own names


def by_index() -> None:
    """From now on, find rows by their indexes on this connection, whatever the statistics say. With a pooler each
    transaction says so itself: ticks as they hold the lease, others by `by_index_within`.

    A tick names its rows, some hundred at most. With statistics from a time when the tables were small the planner
    would read all live orders, or all accounts, to join a tick's: milliseconds that grow with the business. And it
    would plan a short tick's statements anew each time: arrays of one look cheaper than those of unknown length.
    """
    if not settings.DB_POOLER:
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f"SET {name} = {its}" for name, its in BY_INDEX.items()))


def by_index_in_sql() -> Sequence[str]:
    """Expressions of SQL that say it for the transaction at hand."""
    return [f"set_config('{name}', '{its}', true)" for name, its in BY_INDEX.items()] if settings.DB_POOLER else []


@contextmanager
def by_index_within() -> Iterator[None]:
    """What an engine reads outside of its ticks."""
    if not settings.DB_POOLER:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(by_index_in_sql())}")
        yield


LIVE_ORDERS = _SELECT + "WHERE o.customer_id = ANY(%s::uuid[]) AND o.status IN ('OPEN', 'PENDING') ORDER BY o.id"
_CASH_OF = CASH.format(whose="r.customer_id = ANY(%s::uuid[])")
_TYPES = {type_.value: type_ for type_ in OrderType}


def orders(rows: Rows) -> list[OrderRow]:
    """Rows of `COLUMNS` as the engine works on them."""
    found = []
    for row in rows:
        order = OrderRow(*row)
        order.type = _TYPES[order.type]
        order.margin, order.swap, order.fee = int(order.margin), int(order.swap), int(order.fee)
        if order.profit is not None:
            order.profit = int(order.profit)
        if order.realized is None:
            order.realized = NOTHING
        if order.swap_accrued is None:
            order.swap_accrued = NOTHING
        found.append(order)
    return found


def lock_orders(p: Pipeline, names: Collection[tuple[UUID, str]]) -> Pending[list[OrderRow]]:
    """Lock these orders, by (customer, orderId), in primary-key order. Foreign and unknown ones are missing."""
    if not names:
        return Known([])
    return p.send(
        _SELECT + "JOIN unnest(%s::uuid[], %s::text[]) AS w(customer, code)"
        " ON o.customer_id = w.customer AND o.code = w.code ORDER BY o.id FOR NO KEY UPDATE OF o",
        [array(customer for customer, _ in names), array(code for _, code in names)],
        orders,
    )


def lock_live_orders(p: Pipeline, customers: Collection[UUID]) -> Pending[list[OrderRow]]:
    """Lock all open and pending orders of these customers, in primary-key order."""
    if not customers:
        return Known([])
    return p.send(
        LIVE_ORDERS + " FOR NO KEY UPDATE OF o",
        [array(customers)],
        orders,
    )


def orders_made_by(p: Pipeline, commands: Collection[Command]) -> Pending[list[OrderRow]]:
    """The orders, or closed parts, that these commands have made already: a replay finds its own."""
    if not commands:
        return Known([])
    return p.send(
        _SELECT + "JOIN unnest(%s::uuid[], %s::uuid[]) AS w(customer, command)"
        " ON o.customer_id = w.customer AND o.command_id = w.command",
        [array(command.customer_id for command in commands), array(command.id for command in commands)],
        orders,
    )


def codes_by_client_order_id(p: Pipeline, names: Collection[tuple[UUID, str]]) -> Pending[dict[tuple[UUID, str], str]]:
    """The orderIds that already carry these clientOrderIds, by (customer, clientOrderId)."""
    if not names:
        return Known({})
    return p.send(
        "SELECT o.customer_id, o.client_order_id, o.code FROM trades_order o"
        " JOIN unnest(%s::uuid[], %s::text[]) AS w(customer, name)"
        " ON o.customer_id = w.customer AND o.client_order_id = w.name",
        [array(customer for customer, _ in names), array(name for _, name in names)],
        lambda rows: {(customer, name): code for customer, name, code in rows},
    )


def losses(p: Pipeline, customers: Collection[UUID], prices: Mapping[str, Price]) -> Pending[dict[UUID, Loss]]:
    """What the open positions of these customers have lost at these prices; without positions they are missing."""
    if not customers:
        return Known({})
    return p.send(
        LOSSES,
        [*columns(prices), array(customers)],
        lambda rows: {customer: Loss(*its) for customer, *its in rows},
    )


def exposures(p: Pipeline, wanted: Collection[tuple[UUID, str]]) -> Pending[dict[tuple[UUID, str], int]]:
    """What the open positions of these customers in these symbols come to, margin x leverage; without any: missing."""
    if not wanted:
        return Known({})
    return p.send(
        "SELECT o.customer_id, o.instrument_id, sum(o.margin * o.leverage) FROM trades_order o"
        " JOIN unnest(%s::uuid[], %s::text[]) AS w(customer, symbol)"
        " ON o.customer_id = w.customer AND o.instrument_id = w.symbol"
        " WHERE o.status = 'OPEN' GROUP BY o.customer_id, o.instrument_id",
        [array(customer for customer, _ in wanted), array(symbol for _, symbol in wanted)],
        lambda rows: {(customer, symbol): int(exposure) for customer, symbol, exposure in rows},
    )


def closing_commands(p: Pipeline, order_ids: Sequence[UUID]) -> Pending[dict[UUID, UUID | None]]:
    """Which command closed each of these orders, by order id."""
    if not order_ids:
        return Known({})
    return p.send(
        "SELECT order_id, command_id FROM trades_deal WHERE kind = 'close' AND order_id = ANY(%s::uuid[])",
        [array(order_ids)],
        dict,
    )


def customer_rows(
    p: Pipeline, customers: Collection[UUID], sessions: Collection[UUID] = ()
) -> Pending[dict[UUID, CustomerRow]]:
    """The customers' right to trade, read in the tick itself: a disabled user, and an ended session, stop at once.

    `sessions`: those in which somebody asks; looked up once, however many others have ended.
    """
    return p.send(
        "SELECT c.id, c.user_id, coalesce(u.is_active, true), c.state, m.called_at, coalesce(m.drawn, 0),"
        " coalesce(m.owed, 0), m.owed_at, nullif(m.swap_carried, 0), coalesce(m.hedged, 0),"
        " coalesce(u.generation, 0),"
        " c.client_class, ARRAY(SELECT id FROM accounts_endedsession WHERE id = ANY(%s::uuid[])),"
        " (SELECT version FROM trades_limitversion WHERE id = 1)"
        " FROM accounts_customer c LEFT JOIN accounts_user u ON u.id = c.user_id"
        " LEFT JOIN trades_marginaccount m ON m.customer_id = c.id WHERE c.id = ANY(%s::uuid[])",
        [array(sessions), array(customers)],
        _customers,
    )


def _customers(rows: Rows) -> dict[UUID, CustomerRow]:
    return {
        customer: CustomerRow(
            user,
            active,
            active and state == "verified",
            called_at,
            int(drawn),
            int(owed),
            owed_at,
            carried or NOTHING,
            int(hedged),
            generation,
            client_class,
            ended,
            limits,
        )
        for (
            *(customer, user, active, state, called_at, drawn, owed, owed_at, carried, hedged, generation),
            client_class,
            ended,
            limits,
        ) in rows
    }


def client_rows(p: Pipeline, clients: Collection[UUID]) -> Pending[dict[UUID, ClientRow]]:
    """The API clients' right to ask, read in the tick itself; of most ticks there are none, and no query."""
    if not clients:
        return Known({})
    return p.send(
        "SELECT id, is_active, generation, scopes FROM accounts_apiclient WHERE id = ANY(%s::uuid[])",
        [array(clients)],
        lambda rows: {row[0]: ClientRow(*row[1:]) for row in rows},
    )


def ordered_actions(p: Pipeline, actions: Collection[UUID]) -> Pending[dict[UUID, OrderedRow]]:
    """Dealers' actions that were ordered; the stream only names them. Of most ticks there are none, and no query."""
    if not actions:
        return Known({})
    return p.send(
        "SELECT id, made_by_id, kind, customer_id, instrument_id, order_code, made_at, decided_at"
        " FROM trades_dealersaction WHERE id = ANY(%s::uuid[]) AND state = 'ordered'",
        [array(actions)],
        lambda rows: {row[0]: OrderedRow(*row[1:]) for row in rows},
    )


def stored_answers(p: Pipeline, keys: Collection[tuple[UUID, str]]) -> Pending[dict[tuple[UUID, str], Stored]]:
    """What was answered under these (customer, key)."""
    if not keys:
        return Known({})
    return p.send(
        "SELECT a.customer_id, a.key, a.request_sha256, a.command_id, a.status, a.body"
        " FROM trades_idempotentanswer a JOIN unnest(%s::uuid[], %s::text[]) AS w(customer, key)"
        " ON a.customer_id = w.customer AND a.key = w.key",
        [array(customer for customer, _ in keys), array(key for _, key in keys)],
        lambda rows: {(row[0], row[1]): Stored(*row[2:]) for row in rows},
    )


def open_at(
    p: Pipeline, partitions: Collection[int], cutoff: datetime, after: tuple[UUID, UUID] | None, most: int
) -> Pending[list[OrderRow]]:
    """Lock the next orders of these partitions, by (customer, id), that were open at `cutoff` and still are.

    By customer, because that is how the index of live orders goes: what was closed long ago is not looked at.
    """
    customer, order = after or (UUID(int=0), UUID(int=0))
    return p.send(
        _SELECT + "JOIN accounts_customer c ON c.id = o.customer_id AND c.partition = ANY(%s::int[])"
        " WHERE o.status = 'OPEN' AND o.opened_at <= %s"
        " AND (o.customer_id, o.id) > (%s, %s)"
        " ORDER BY o.customer_id, o.id LIMIT %s FOR NO KEY UPDATE OF o",
        [array(partitions), cutoff, customer, order, most],
        orders,
    )


def cash_of(customers: Iterable[UUID]) -> dict[UUID, int]:
    """The cash of these customers (`trades/cash.py`); who has no margin account is left out."""
    return ask(_CASH_OF, [array(customers)], lambda rows: {customer: int(cash) for customer, cash in rows})


def whose_cash_moved(since: UUID) -> list[UUID]:
    """Customers with movements, other than the engine's own, since the transfer id `since`."""
    return ask(
        "SELECT DISTINCT customer_id FROM accounts_transfer WHERE id >= %s AND customer_id IS NOT NULL"
        " AND kind NOT LIKE 'order!_%%' ESCAPE '!'",
        [since],
        lambda rows: [row[0] for row in rows],
    )
