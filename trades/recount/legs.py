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

# Reports that moved something, since the leg was last reopened, come to what really moved, each with a movement of its
# own; the last report of all says what the leg is. Of a leg that was settled by a version that moved no money for it,
# there is no movement.
_BECAME = """CASE WHEN r.last IN ('settled', 'failed') THEN r.last
    WHEN r.last = 'part' OR r.last = 'retried' AND r.amount IS NOT NULL THEN 'partially_settled' END"""
_LEG_REPORTS = wrong(
    "coalesce(l.id, r.leg_id)",
    [
        differs("leg", "l.id", "r.leg_id", where="l.id IS NULL"),
        differs("actual", "l.actual", "r.amount", where="l.id IS NOT NULL"),
        differs("status", "l.status", f"coalesce({_BECAME}, 'pending')", where="l.id IS NOT NULL"),
        differs("attempts", "l.attempts", "r.number", where="l.id IS NOT NULL AND r.number IS NOT NULL"),
        differs("movements", "r.moved", "r.told", where="l.status <> 'settled' OR l.settled_at IS NOT NULL"),
    ],
    """FROM trades_settlementleg l
    FULL JOIN (
        SELECT r.leg_id, max(r.number) AS number,
            sum(r.amount) FILTER (WHERE r.reversals = last.reversals) AS amount,
            max(last.kind) AS last,
            count(*) FILTER (WHERE r.amount > 0) AS told,
            count(*) FILTER (WHERE r.amount > 0 AND t.amount = r.amount) AS moved
        FROM trades_legreport r
        JOIN (SELECT DISTINCT ON (leg_id) leg_id, kind, reversals
              FROM trades_legreport ORDER BY leg_id, id DESC) last ON last.leg_id = r.leg_id
        LEFT JOIN accounts_transfer t ON r.amount > 0 AND t.customer_id IS NULL
            AND t.key = 'leg:' || replace(r.leg_id::text, '-', '') || ':' || r.number || ':settled'
        GROUP BY r.leg_id
    ) r ON r.leg_id = l.id""",
)
# A reference belongs to the one leg that its reports are about.
_REFERENCES = wrong(
    "coalesce(k.key, r.key)",
    [differs("leg", "k.leg_id", "r.leg_id")],
    """FROM trades_legreference k
    FULL JOIN (SELECT DISTINCT upper(replace(reference, ' ', '')) AS key, leg_id FROM trades_legreport
               WHERE reference <> '') r ON r.key = k.key""",
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

_CUT_OFFS = """
SELECT t.id, b.id, to_char(b.cut_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')
FROM trades_trade t JOIN trades_settlementbatch b ON b.id = t.batch_id
WHERE b.has_cut_off AND t.created_at >= b.cut_at ORDER BY 1
"""

_FACTS_OF_LEGS = facts("""
SELECT subject, id FROM accounts_transfer
WHERE subject = ANY(%(rows)s::uuid[]) AND kind IN ('leg_settled', 'leg_difference')
""")
_FACTS_OF_BATCHES = facts("SELECT batch_id, id FROM trades_batchevent WHERE batch_id = ANY(%(rows)s::uuid[])")

CHECKS: Final = (
    statement(
        "cut-offs", "trades_trade", _CUT_OFFS, "Trade {0} is in batch {1}, whose cut time, {2} UTC, is no later."
    ),
    statement("batch legs", "trades_settlementleg", _LEGS, "The leg {0} of {2} in batch {1}, by its trades: {3}."),
    statement("leg times", "trades_settlementleg", _LEG_TIMES, "Leg {0}, by its transfers: {1}.", _FACTS_OF_LEGS),
    statement("leg reports", "trades_settlementleg", _LEG_REPORTS, "Leg {0}, by its reports: {1}."),
    statement("leg references", "trades_legreference", _REFERENCES, "Reference {0}, by the legs' reports: {1}."),
    statement(
        "batch times",
        "trades_settlementbatch",
        _BATCHES,
        "Batch {0} is not what its events made it: {1}.",
        _FACTS_OF_BATCHES,
    ),
)
