"""What must be true of every spot trade, its money and its batch. Set-based; one finding per row that is wrong.

The numbers are those of the invariants: a completed trade has all its movements once and a failed one none (I5),
a batch's totals are its trades' (I6), every state was reached step by step (I7), an exit goes with its original (I8).
"""

from __future__ import annotations

from typing import Final

from accounts.audit import Check, Looked, count_of, found_by, register

_MONEY = """
SELECT coalesce(t.id, m.subject), t.state, coalesce(m.delivered, 0), coalesce(m.fee, 0), coalesce(m.received, 0)
FROM trades_trade t
FULL JOIN (
    SELECT subject,
        sum(amount) FILTER (WHERE kind = 'trade_deliver') AS delivered,
        sum(amount) FILTER (WHERE kind = 'trade_fee') AS fee,
        sum(amount) FILTER (WHERE kind = 'trade_receive') AS received
    FROM accounts_transfer WHERE kind IN ('trade_deliver', 'trade_fee', 'trade_receive') GROUP BY subject
) m ON m.subject = t.id
WHERE t.id IS NULL
   OR CASE WHEN t.state IN ('settling', 'completed')
      THEN coalesce(m.received, 0) <> t.receive_amount
           OR coalesce(m.fee, 0) <> t.fee
           OR coalesce(m.delivered, 0) <> t.deliver_amount - CASE WHEN t.side = 'buy' THEN t.fee ELSE 0 END
      ELSE m.subject IS NOT NULL END
ORDER BY 1
"""

# What the completed members of a batch left in settling, customer by customer, is what the batch paid out.
_PAYOUTS = """
SELECT coalesce(w.batch_id, p.subject), coalesce(w.customer_id, p.customer_id), coalesce(w.asset_id, p.asset_id),
       coalesce(w.amount, 0), coalesce(p.amount, 0)
FROM (
    SELECT batch_id, customer_id, asset_id, sum(amount) AS amount
    FROM (
        SELECT batch_id, customer_id, receive_asset_id AS asset_id, receive_amount AS amount
        FROM trades_trade WHERE state = 'completed'
        UNION ALL
        SELECT batch_id, customer_id, deliver_asset_id, -taken_from_settling
        FROM trades_trade WHERE state = 'completed' AND taken_from_settling > 0
    ) both_ways GROUP BY batch_id, customer_id, asset_id
) w
FULL JOIN (
    SELECT subject, customer_id, asset_id, sum(amount) AS amount
    FROM accounts_transfer WHERE kind = 'trade_settled' GROUP BY subject, customer_id, asset_id
) p ON p.subject = w.batch_id AND p.customer_id = w.customer_id AND p.asset_id = w.asset_id
WHERE coalesce(w.amount, 0) <> coalesce(p.amount, 0)
ORDER BY 1, 2, 3
"""

_SETTLING = """
SELECT coalesce(a.id, t.customer_id), coalesce(a.asset_id, t.asset_id), coalesce(a.credits - a.debits, 0),
       coalesce(t.amount, 0)
FROM (SELECT * FROM accounts_ledgeraccount WHERE type = 'settling') a
FULL JOIN (
    SELECT customer_id, asset_id, sum(amount) AS amount
    FROM (
        SELECT customer_id, receive_asset_id AS asset_id, receive_amount AS amount
        FROM trades_trade WHERE state = 'settling'
        UNION ALL
        SELECT customer_id, deliver_asset_id, -taken_from_settling
        FROM trades_trade WHERE state = 'settling' AND taken_from_settling > 0
    ) both_ways GROUP BY customer_id, asset_id
) t ON t.customer_id = a.customer_id AND t.asset_id = a.asset_id
WHERE coalesce(a.credits - a.debits, 0) <> coalesce(t.amount, 0)
ORDER BY 1
"""

_EVENTS = """
SELECT coalesce(t.id, e.trade_id), t.state, e.steps
FROM trades_trade t
FULL JOIN (
    SELECT trade_id, string_agg(became, ' ' ORDER BY array_position(
        ARRAY['storing', 'settling', 'completed', 'failed'], became::text)) AS steps
    FROM trades_tradeevent GROUP BY trade_id
) e ON e.trade_id = t.id
WHERE e.steps IS DISTINCT FROM CASE t.state
    WHEN 'storing' THEN 'storing'
    WHEN 'settling' THEN 'storing settling'
    WHEN 'completed' THEN 'storing settling completed'
    WHEN 'failed' THEN 'storing failed' END
ORDER BY 1
"""

_EXITS = """
SELECT e.id, o.id, e.state, o.state
FROM trades_trade e
JOIN trades_trade o ON o.id = e.exiting_trade_id
WHERE e.batch_id IS DISTINCT FROM o.batch_id OR e.state <> o.state OR e.customer_id <> o.customer_id
   OR o.trade_type <> 'platform' OR e.taken_from_settling > o.receive_amount
ORDER BY 1
"""

_BATCHES = """
SELECT coalesce(b.id, t.batch_id), b.state, b.trades_count, coalesce(t.members, 0), b.completed_count,
       coalesce(t.completed, 0)
FROM trades_settlementbatch b
FULL JOIN (
    SELECT batch_id, count(*) AS members, count(*) FILTER (WHERE state = 'completed') AS completed
    FROM trades_trade WHERE batch_id IS NOT NULL GROUP BY batch_id
) t ON t.batch_id = b.id
WHERE b.id IS NULL
   OR coalesce(t.members, 0) <> CASE WHEN b.state = 'cancelled' THEN 0 ELSE b.trades_count END
   OR coalesce(t.completed, 0) <> b.completed_count
   OR b.state = 'completed' AND b.completed_count <> b.trades_count
   OR b.state IN ('cut', 'confirmed', 'cancelled') AND b.completed_count <> 0
ORDER BY 1
"""

_LEGS = """
SELECT coalesce(l.batch_id, n.batch_id), coalesce(l.asset_id, n.asset), l.direction, l.expected, n.net
FROM (SELECT l.* FROM trades_settlementleg l JOIN trades_settlementbatch b ON b.id = l.batch_id
      WHERE b.state <> 'cancelled') l
FULL JOIN (
    SELECT batch_id, asset, sum(amount) AS net
    FROM (
        SELECT batch_id, receive_asset_id AS asset,
               receive_amount + CASE WHEN side = 'sell' THEN fee ELSE 0 END AS amount
        FROM trades_trade WHERE batch_id IS NOT NULL
        UNION ALL
        SELECT batch_id, deliver_asset_id, CASE WHEN side = 'buy' THEN fee ELSE 0 END - deliver_amount
        FROM trades_trade WHERE batch_id IS NOT NULL
    ) moved GROUP BY batch_id, asset
) n ON n.batch_id = l.batch_id AND n.asset = l.asset_id
WHERE l.id IS NULL OR n.asset IS NULL
   OR n.net <> CASE WHEN l.direction = 'incoming' THEN l.expected ELSE -l.expected END
   OR l.status = 'settled' AND l.actual IS DISTINCT FROM l.expected
ORDER BY 1, 2
"""

_TRADES: Final = "trades_trade"
_CHECKS: Final = (
    ("trade money", _TRADES, _MONEY, "Trade {0} is {1}; its transfers delivered {2}, took a fee of {3}, received {4}."),
    (
        "trade payouts",
        "trades_settlementbatch",
        _PAYOUTS,
        "Batch {0} owes customer {1} {3} of {2} for completed trades and paid {4}.",
    ),
    (
        "trade settling",
        "accounts_ledgeraccount",
        _SETTLING,
        "Settling account {0} holds {2} of {1}; the customer's settling trades say {3}.",
    ),
    ("trade events", _TRADES, _EVENTS, "Trade {0} is {1}; its events say: {2}."),
    ("trade exits", _TRADES, _EXITS, "Exit {0} ({2}) does not go with its original {1} ({3})."),
    (
        "batches",
        "trades_settlementbatch",
        _BATCHES,
        "Batch {0} is {1} with {2} trades, {4} of them completed; there are {3}, {5} of them completed.",
    ),
    ("batch legs", "trades_settlementleg", _LEGS, "The leg of {1} in batch {0} is {2} {3}; its trades net to {4}."),
)


def _check(name: str, table: str, sql: str, sentence: str) -> Check:
    return lambda: Looked(count_of(table), found_by(name, sql, sentence))


def register_checks() -> None:
    """Add these checks to the recount of the books."""
    for name, table, sql, sentence in _CHECKS:
        register(name, _check(name, table, sql, sentence))
