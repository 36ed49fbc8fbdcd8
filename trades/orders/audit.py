"""What must be true of every margin order and its money. Set-based; one finding per row that is wrong."""

from __future__ import annotations

from accounts.audit import Check, Looked, count_of, found_by, register

_DEALS = """
SELECT o.id, o.code, o.status, coalesce(d.opened, 0), coalesce(d.closed, 0)
FROM trades_order o
FULL JOIN (
    SELECT order_id, count(*) FILTER (WHERE kind = 'open') AS opened, count(*) FILTER (WHERE kind = 'close') AS closed
    FROM trades_deal GROUP BY order_id
) d ON d.order_id = o.id
WHERE o.id IS NULL
   OR coalesce(d.opened, 0) <> (o.status IN ('OPEN', 'CLOSED'))::int
   OR coalesce(d.closed, 0) <> (o.status = 'CLOSED')::int
ORDER BY o.id
"""

_MONEY = """
SELECT o.id, o.code, o.status, o.margin, o.profit, coalesce(t.reserved, 0), coalesce(t.released, 0),
       coalesce(t.result, 0)
FROM trades_order o
LEFT JOIN (
    SELECT subject,
        sum(amount) FILTER (WHERE kind = 'order_margin') AS reserved,
        sum(amount) FILTER (WHERE kind = 'order_margin_release') AS released,
        coalesce(sum(amount) FILTER (WHERE kind = 'order_profit'), 0)
            - coalesce(sum(amount) FILTER (WHERE kind = 'order_loss'), 0) AS result
    FROM accounts_transfer WHERE kind LIKE 'order!_%' ESCAPE '!' GROUP BY subject
) t ON t.subject = o.id
WHERE coalesce(t.reserved, 0) <> CASE WHEN o.status IN ('OPEN', 'CLOSED') THEN o.margin ELSE 0 END
   OR coalesce(t.released, 0) > CASE WHEN o.status = 'CLOSED' THEN o.margin ELSE 0 END
   OR coalesce(t.result, 0) <> coalesce(o.profit, 0)
ORDER BY o.id
"""

# A customer whose loss drew on the margin of other orders holds less than they reserved; everybody else exactly that.
_RESERVED = """
SELECT a.id, a.credits - a.debits, coalesce(o.margin, 0)
FROM accounts_ledgeraccount a
LEFT JOIN (
    SELECT customer_id, sum(margin) AS margin FROM trades_order WHERE status = 'OPEN' GROUP BY customer_id
) o ON o.customer_id = a.customer_id
WHERE a.type = 'margin' AND (
    a.credits - a.debits > coalesce(o.margin, 0)
    OR a.credits - a.debits < coalesce(o.margin, 0) AND NOT EXISTS (
        SELECT FROM accounts_transfer t WHERE t.customer_id = a.customer_id AND t.kind = 'order_margin_drawn'
    )
)
ORDER BY a.id
"""


def _check(name: str, table: str, sql: str, sentence: str) -> Check:
    return lambda: Looked(count_of(table), found_by(name, sql, sentence))


def register_checks() -> None:
    """Add these checks to the recount of the books."""
    for name, table, sql, sentence in (
        (
            "order deals",
            "trades_order",
            _DEALS,
            "Order {1} is {2} with {3} opening and {4} closing deals.",
        ),
        (
            "order money",
            "trades_order",
            _MONEY,
            "Order {1} is {2} with margin {3} and profit {4}; its transfers reserved {5}, released {6}, brought {7}.",
        ),
        (
            "order margin",
            "accounts_ledgeraccount",
            _RESERVED,
            "Margin account {0} holds {1}; the customer's open orders reserve {2}.",
        ),
    ):
        register(name, _check(name, table, sql, sentence))
