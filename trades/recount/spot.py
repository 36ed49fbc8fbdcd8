"""A quote's amounts follow from its price and the terms of its fee; a trade says what its quote says, since its event.

Of a quote's two amounts one was given and kept. What was computed is rounded against the customer, so of the two that
the price allows for, the recount takes either: the worth of the base asset, rounded, or the most base units that
cost and fee leave room for. Whole numbers throughout, so nothing is cut off.
"""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.recount.checks import differs, facts, wrong

# `gap`, in counter base units times 10 ^ decimals of the base asset, is what the customer pays beyond the worth of the
# base asset, or gets too little for it: never less than nothing, and less than a counter base unit or than one base
# unit is worth. OFFSET 0 has it computed once.
_PRICED = """
    SELECT q.id, q.price, q.receive_amount, q.deliver_amount, q.fee, q.fee_bps, q.fee_fixed, q.side = 'buy' AS buys,
        greatest(q.price * i.counter_unit, i.base_unit) AS room, CASE q.side
        WHEN 'buy' THEN (q.deliver_amount - q.fee) * i.base_unit - q.receive_amount * q.price * i.counter_unit
        ELSE q.deliver_amount * q.price * i.counter_unit - (q.receive_amount + q.fee) * i.base_unit END AS gap,
        CASE q.side WHEN 'buy' THEN q.deliver_amount - q.fee ELSE q.receive_amount + q.fee END AS cost
    FROM quotes_quote q
    JOIN (
        SELECT i.symbol, rpad('1', b.decimals + 1, '0')::numeric AS base_unit,
            rpad('1', c.decimals + 1, '0')::numeric AS counter_unit
        FROM quotes_instrument i
        JOIN accounts_asset b ON b.code = i.base_asset_id
        JOIN accounts_asset c ON c.code = i.counter_asset_id
        OFFSET 0
    ) i ON i.symbol = q.instrument_id
    OFFSET 0
"""


def _fee_on(cost: str) -> str:
    return f"ceil(({cost}) * fee_bps * 0.0001) + fee_fixed"


# The fee on what the base asset costs; where deliver (of a buy) or receive (of a sell) was given, what is left beside
# the most, or the least, that it can have cost.
_FEE = f"""(fee_bps IS NULL OR fee = {_fee_on("cost")} OR fee > {_fee_on("cost")} AND CASE WHEN buys
    THEN cost + 1 + {_fee_on("cost + 1")} > deliver_amount
    ELSE cost - 1 - ({_fee_on("cost - 1")}) < receive_amount END)"""

_QUOTES = f"""
SELECT id, trim_scale(price), receive_amount, deliver_amount, fee, fee_bps, fee_fixed FROM ({_PRICED}) p
WHERE gap < 0 OR gap >= room OR NOT {_FEE} ORDER BY 1
"""  # noqa: S608 - our own text

_OF_TWO = "CASE t.side WHEN 'buy' THEN i.{}_asset_id ELSE i.{}_asset_id END"

_TRADES = wrong(
    "t.id",
    [
        differs("quote", "t.quote_id", "NULL::uuid", where="q.id IS NULL"),
        differs("customer", "t.customer_id", "q.customer_id"),
        differs("type", "t.trade_type", "CASE q.product_type WHEN 'trading' THEN 'platform' ELSE 'exit' END"),
        differs("symbol", "t.instrument_id", "q.instrument_id"),
        differs("side", "t.side", "q.side"),
        differs("receive_amount", "t.receive_amount", "q.receive_amount"),
        differs("deliver_amount", "t.deliver_amount", "q.deliver_amount"),
        differs("fee", "t.fee", "q.fee"),
        differs("reference trade", "t.reference_trade_id", "q.reference_trade_id"),
        differs("asset received", "t.receive_asset_id", _OF_TWO.format("base", "counter")),
        differs("asset delivered", "t.deliver_asset_id", _OF_TWO.format("counter", "base")),
        differs("created_at", "t.created_at", "q.expires_at",
                where="t.state IN ('settling', 'completed') AND t.created_at >= q.expires_at"),
        differs("state", "t.state", "t.expected_error",
                where="t.expected_error <> '' AND t.state IN ('settling', 'completed')"),
    ],
    """FROM trades_trade t
    LEFT JOIN quotes_quote q ON q.id = t.quote_id
    LEFT JOIN quotes_instrument i ON i.symbol = t.instrument_id""",
)  # fmt: skip

# Each step is an event once, so their bits add up to how far a trade came; a reversed one stays completed.
_STEPS = wrong(
    "coalesce(t.id, e.trade_id)",
    [
        differs("events", "e.steps", "NULL::int", where="t.id IS NULL"),
        differs(
            "events (1 storing, 2 settling, 4 completed, 8 failed)",
            "coalesce(e.steps, 0) & 15",
            "CASE t.state WHEN 'storing' THEN 1 WHEN 'settling' THEN 3 WHEN 'completed' THEN 7 ELSE 9 END",
            where="t.id IS NOT NULL",
        ),
        differs("events", "'reversed'::text", "t.state", where="e.steps & 16 > 0 AND e.steps <> 23"),
        differs("created_at", "t.created_at", "e.created_at", where="t.id IS NOT NULL AND e.steps & 1 > 0"),
        differs("updated_at", "t.updated_at", "e.reversed_at", where="t.updated_at < e.reversed_at"),
        differs("failure_code", "coalesce(t.failure_code, '')", "e.said", where="t.state = 'failed' AND e.steps = 9"),
        differs(
            "batch", "replace(t.batch_id::text, '-', '')", "e.said", where="t.state = 'completed' AND e.steps & 7 = 7"
        ),
    ],
    """FROM trades_trade t
    FULL JOIN (
        SELECT trade_id,
            sum(CASE became WHEN 'storing' THEN 1 WHEN 'settling' THEN 2 WHEN 'completed' THEN 4
                WHEN 'failed' THEN 8 ELSE 16 END)::int AS steps,
            min(at) FILTER (WHERE became = 'storing') AS created_at,
            min(at) FILTER (WHERE became = 'reversed') AS reversed_at,
            min(detail COLLATE "C") FILTER (WHERE became IN ('failed', 'completed')) AS said
        FROM trades_tradeevent GROUP BY trade_id
    ) e ON e.trade_id = t.id""",
)

# An exit takes from settling what its original left there, as far as it delivers so much.
_TAKEN = wrong(
    "e.id",
    [
        differs("taken_from_settling", "e.taken_from_settling", "least(e.deliver_amount, o.receive_amount)"),
        differs("reference trade", "e.exiting_trade_id", "e.reference_trade_id"),
    ],
    """FROM trades_trade e JOIN trades_trade o ON o.id = e.exiting_trade_id""",
    "e.exiting_trade_id IS NOT NULL",
)

_FACTS = facts("SELECT trade_id, id FROM trades_tradeevent WHERE trade_id = ANY(%(rows)s::uuid[])")


_QUOTE_OF = facts("SELECT id, quote_id FROM trades_trade WHERE id = ANY(%(rows)s::uuid[]) AND quote_id IS NOT NULL")

CHECKS: Final = (
    statement("trade events", "trades_trade", _STEPS, "Trade {0} is not what its events made it: {1}.", _FACTS),
    statement("exit amounts", "trades_trade", _TAKEN, "Exit {0}: {1}."),
    statement(
        "quotes",
        "quotes_quote",
        _QUOTES,
        "Quote {0} at the price {1} can't come to {2} received, {3} delivered and a fee of {4} ({5} bps and {6}).",
    ),
    statement("trade quotes", "trades_trade", _TRADES, "Trade {0} is not what its quote says: {1}.", _QUOTE_OF),
)
