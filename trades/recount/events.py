"""Every event of an order has its order, and every order the events that made it what it is."""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.recount.checks import FACTS_OF_ORDERS, differs, wrong

# A part that was closed has one event of its own; that it was taken out stands with the order it was taken from.
_EXPECTED = """CASE
    WHEN o.parent_id IS NOT NULL THEN '0 0 0 1'
    WHEN o.status = 'CANCELLED' THEN '1 0 1 0'
    ELSE concat_ws(' ', (o.type <> 'market')::int, (o.status IN ('OPEN', 'CLOSED'))::int, 0,
                   (o.status = 'CLOSED')::int) END"""

_HAPPENED = """
    SELECT order_id,
        concat_ws(' ', count(*) FILTER (WHERE kind = 'placed'), count(*) FILTER (WHERE kind = 'opened'),
            count(*) FILTER (WHERE kind = 'cancelled'), count(*) FILTER (WHERE kind = 'closed')) AS steps,
        count(*) FILTER (WHERE kind = 'reduced') AS parts,
        min(customer_id::text) AS customer, max(customer_id::text) AS and_customer,
        max(command_id::text) FILTER (WHERE kind IN ('placed', 'opened')) AS made_by,
        min(at) FILTER (WHERE kind IN ('placed', 'opened')) AS created_at,
        max(at) FILTER (WHERE kind = 'opened') AS opened_at,
        max(at) FILTER (WHERE kind IN ('closed', 'cancelled')) AS closed_at,
        max(detail->>'reason') FILTER (WHERE kind = 'cancelled') AS reason
    FROM trades_orderevent WHERE order_id IS NOT NULL GROUP BY order_id
"""
_EXISTS, _WHOLE = "o.id IS NOT NULL", "o.id IS NOT NULL AND o.parent_id IS NULL"

_HISTORY = wrong(
    "coalesce(o.id, h.order_id), coalesce(o.code, 'that is gone')",
    [
        differs("events (placed, opened, cancelled, closed)", "coalesce(h.steps, 'none')", _EXPECTED, where=_EXISTS),
        differs("events", "h.steps", "NULL::text", where="o.id IS NULL"),
        differs("parts", "coalesce(p.parts, 0)", "coalesce(h.parts, 0)", where=_WHOLE),
        differs("customer", "o.customer_id::text", "h.customer", where=f"{_EXISTS} AND h.order_id IS NOT NULL"),
        differs("customer of an event", "h.and_customer", "h.customer"),
        differs("command", "o.command_id::text", "h.made_by", where=f"{_WHOLE} AND h.order_id IS NOT NULL"),
        differs("created_at", "o.created_at", "h.created_at", where=f"{_WHOLE} AND h.order_id IS NOT NULL"),
        differs("opened_at", "o.opened_at", "h.opened_at", where=f"{_WHOLE} AND h.order_id IS NOT NULL"),
        differs("closed_at", "o.closed_at", "h.closed_at", where=f"{_EXISTS} AND h.order_id IS NOT NULL"),
        differs("close_reason", "o.close_reason", "coalesce(h.reason, '')", where="o.status <> 'CLOSED'"),
    ],
    f"""FROM trades_order o
    FULL JOIN ({_HAPPENED}) h ON h.order_id = o.id
    LEFT JOIN (
        SELECT parent_id, count(*) AS parts FROM trades_order WHERE parent_id IS NOT NULL GROUP BY parent_id
    ) p ON p.parent_id = o.id""",  # noqa: S608 - our own text
)

CHECKS: Final = (
    statement(
        "order history",
        "trades_order",
        _HISTORY,
        "Order {1} is not what its events made it: {2}.",
        FACTS_OF_ORDERS,
    ),
)
