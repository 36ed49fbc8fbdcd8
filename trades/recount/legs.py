"""A batch's legs are what its members come to, and it happened when its events say."""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.recount.checks import differs, facts, wrong

# Few groups come out of one pass over the members; each is two assets' sums. A buy's fee is inside what was delivered,
# a sell's was taken out of what was received.
_NETS = """
    SELECT m.batch_id, v.asset, sum(v.received) AS received, sum(v.delivered) AS delivered, sum(v.fees) AS fees
    FROM (
        SELECT batch_id, receive_asset_id, deliver_asset_id, side = 'buy' AS buys, sum(receive_amount) AS received,
            sum(deliver_amount) AS delivered, sum(fee) AS fees
        FROM trades_trade WHERE batch_id IS NOT NULL
        GROUP BY batch_id, receive_asset_id, deliver_asset_id, side
    ) m
    CROSS JOIN LATERAL (VALUES
        (m.receive_asset_id, m.received, 0, CASE WHEN m.buys THEN 0 ELSE m.fees END),
        (m.deliver_asset_id, 0, m.delivered, CASE WHEN m.buys THEN m.fees ELSE 0 END)
    ) AS v(asset, received, delivered, fees)
    GROUP BY m.batch_id, v.asset
"""
_NET = "n.received + n.fees - n.delivered"

_LEGS = wrong(
    "coalesce(l.id, n.batch_id), coalesce(l.batch_id, n.batch_id), coalesce(l.asset_id, n.asset)",
    [
        differs("leg", "l.id", "n.batch_id", where="l.id IS NULL"),
        *(
            differs(name, f"l.{name}", f"coalesce(n.{name}, 0)", where="l.id IS NOT NULL")
            for name in ("received", "delivered", "fees")
        ),
        differs("expected", "l.expected", f"coalesce(abs({_NET}), 0)", where="l.id IS NOT NULL"),
        differs("direction", "l.direction", "'outgoing'::text", where=f"l.id IS NOT NULL AND {_NET} < 0"),
        differs("direction", "l.direction", "'incoming'::text", where=f"l.id IS NOT NULL AND coalesce({_NET}, 0) >= 0"),
    ],
    f"""FROM (SELECT l.* FROM trades_settlementleg l JOIN trades_settlementbatch b ON b.id = l.batch_id
          WHERE b.state <> 'cancelled') l
    FULL JOIN ({_NETS}) n ON n.batch_id = l.batch_id AND n.asset = l.asset_id""",  # noqa: S608 - our own text
)

# A leg was settled when its money moved. One of zero moves nothing.
_LEG_TIMES = wrong(
    "l.id",
    [differs("settled_at", "l.settled_at", "t.at", where="t.at IS NOT NULL")],
    """FROM trades_settlementleg l
    JOIN (SELECT subject, max(at) AS at FROM accounts_transfer
          WHERE kind IN ('leg_settled', 'leg_difference') GROUP BY subject) t ON t.subject = l.id""",
    "l.status = 'settled' AND l.settled_at IS NOT NULL",
)

_SAID = ("window_id", "asset_kinds", "cut_at", "created_at", "confirmed_at", "trades_count", "members_sha256")
_WHO = ("made_by", "confirmed_by", "cancelled_by")

_BATCHES = wrong(
    "coalesce(b.id, e.batch_id)",
    [
        differs("events", "e.batch_id", "b.id", where="e.batch_id IS NULL OR b.id IS NULL"),
        differs("state", "b.state", "e.became", where="b.id IS NOT NULL AND e.batch_id IS NOT NULL"),
        *(
            differs(name, f"b.{name}", f"e.{name}", where="b.id IS NOT NULL AND e.batch_id IS NOT NULL")
            for name in _SAID
        ),
        *(
            differs(
                name,
                f"coalesce(b.{name}_id::text, b.{name}_client_id::text, '')",
                f"e.{name}",
                where="b.id IS NOT NULL AND e.batch_id IS NOT NULL",
            )
            for name in _WHO
        ),
    ],
    """FROM trades_settlementbatch b
    FULL JOIN (SELECT DISTINCT ON (batch_id) * FROM trades_batchevent ORDER BY batch_id, at DESC, id DESC) e
        ON e.batch_id = b.id""",
)

_FACTS_OF_LEGS = facts("""
SELECT subject, id FROM accounts_transfer
WHERE subject = ANY(%(rows)s::uuid[]) AND kind IN ('leg_settled', 'leg_difference')
""")
_FACTS_OF_BATCHES = facts("SELECT batch_id, id FROM trades_batchevent WHERE batch_id = ANY(%(rows)s::uuid[])")

CHECKS: Final = (
    statement("batch legs", "trades_settlementleg", _LEGS, "The leg {0} of {2} in batch {1}, by its trades: {3}."),
    statement("leg times", "trades_settlementleg", _LEG_TIMES, "Leg {0}, by its transfers: {1}.", _FACTS_OF_LEGS),
    statement(
        "batch times",
        "trades_settlementbatch",
        _BATCHES,
        "Batch {0} is not what its events made it: {1}.",
        _FACTS_OF_BATCHES,
    ),
)
