"""An order opened and closed when, at what, and for what its deals say; a margin call stands since its event."""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.recount.checks import FACTS_OF_ORDERS, differs, facts, number, wrong

_IS_CLOSED = "o.status = 'CLOSED' AND c.id IS NOT NULL"

_DEALS = wrong(
    "o.id, o.code",
    [
        differs("opened_at", "o.opened_at", "d.at", where="d.id IS NOT NULL"),
        differs("open_price", number("o.open_price"), number("d.price"), where="d.id IS NOT NULL"),
        differs("closed_at", "o.closed_at", "c.at", where=_IS_CLOSED),
        differs("close_price", number("o.close_price"), number("c.price"), where=_IS_CLOSED),
        differs("quantity", number("o.quantity"), number("c.quantity"), where=_IS_CLOSED),
        differs("profit", "o.profit", "c.profit", where=_IS_CLOSED),
        differs("close_reason", "o.close_reason", "c.reason", where=_IS_CLOSED),
    ],
    """FROM trades_order o
    LEFT JOIN trades_deal d ON d.order_id = coalesce(o.parent_id, o.id) AND d.kind = 'open'
    LEFT JOIN trades_deal c ON c.order_id = o.id AND c.kind = 'close'""",
    "o.status IN ('OPEN', 'CLOSED')",
)

# A part is as old as the order it was taken from, whose first event says since when that is.
_PARTS = wrong(
    "o.id, o.code",
    [differs("created_at", "o.created_at", "e.at")],
    """FROM trades_order o
    JOIN (
        SELECT order_id, min(at) AS at FROM trades_orderevent WHERE kind IN ('placed', 'opened') GROUP BY order_id
    ) e ON e.order_id = o.parent_id""",
)

_MARKS = wrong(
    "m.customer_id",
    [
        differs("called_at", "m.called_at", "CASE e.kind WHEN 'margin_call' THEN e.at END"),
        differs("owed_at", "m.owed_at", "CASE WHEN m.owed > 0 THEN t.at END"),
    ],
    """FROM trades_marginaccount m
    LEFT JOIN (
        SELECT DISTINCT ON (customer_id) customer_id, kind, at FROM trades_orderevent
        WHERE kind IN ('margin_call', 'margin_call_over') ORDER BY customer_id, at DESC, id DESC
    ) e ON e.customer_id = m.customer_id
    LEFT JOIN (
        SELECT customer_id, max(at) AS at FROM accounts_transfer WHERE kind = 'order_advance' GROUP BY customer_id
    ) t ON t.customer_id = m.customer_id""",
)

_FACTS_OF_ACCOUNTS = facts("""
SELECT customer_id, id FROM trades_orderevent WHERE customer_id = ANY(%(rows)s::uuid[]) AND order_id IS NULL
UNION ALL
SELECT customer_id, id FROM accounts_transfer WHERE customer_id = ANY(%(rows)s::uuid[]) AND kind = 'order_advance'
""")

CHECKS: Final = (
    statement("order times", "trades_order", _DEALS, "Order {1} is not what its deals say: {2}.", FACTS_OF_ORDERS),
    statement(
        "part times", "trades_order", _PARTS, "Part {1} is not of the order it was taken from: {2}.", FACTS_OF_ORDERS
    ),
    statement(
        "margin account marks",
        "trades_marginaccount",
        _MARKS,
        "The margin account of customer {0} is not what its events say: {1}.",
        _FACTS_OF_ACCOUNTS,
    ),
)
