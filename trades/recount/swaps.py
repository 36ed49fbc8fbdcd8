"""Swap, from the nights' own prices and rates: what an order has accrued is what its nights come to.

A position is held overnight that was open at the cut-off and still is when its run comes to it. So what closed, or was
reduced, while a run was under way may have been charged or not, for the whole or for the rest: there two figures bound
what is right, and everywhere else they are one. Opened and closed are the deals' times, not the order's. A run from
before it noted its rates went by the instrument's, and an order that it may have charged is left alone.
"""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.currency import ASSET, CONVERTS
from trades.rounding import converted

_OF_MIDDLES: Final = 19  # decimals: one more than the prices have that it is the middle of

# A partition's first run only notes that there was a night.
_NIGHTS = """
    SELECT id, partition, night, cutoff, started_at, coalesce(done_at, 'infinity') AS done_at, prices, rates,
        conversions, lag(night) OVER (PARTITION BY partition ORDER BY night) AS before
    FROM trades_swaprun
"""


def _number(json: str, digits: int = 20, decimals: int = 18) -> str:
    """SQL: a number out of JSON; NULL for what is none, so that a forged row can't end the recount.

    With an exponent, too: a night's price below a millionth was written so once.
    """
    written = f"^-?[0-9]{{1,{digits}}}([.][0-9]{{1,{decimals}}})?(E[+-]?[0-9]{{1,2}})?$"
    return f"CASE WHEN ({json}) ~ '{written}' THEN ({json})::numeric END"


def _rate(part: int) -> str:
    """SQL: a night's multiplier (0) or divisor (1) of what an order is counted in; without them it charges nothing."""
    return _number(f"n.conversions->i.counter_asset_id->>{part}", 40, 40)


# Nearly no order sees a night: those that do are found by where their times fall among all cut-offs. What was reduced
# since the run began may have been more by then, and what closed before it was done may not have been charged.
_HELD = f"""
    SELECT o.id, n.rates = '{{}}' AS unknown, coalesce(x.at <= n.done_at, false) OR n.done_at = 'infinity' AS perhaps,
        o.quantity + coalesce(sum(p.quantity) FILTER (WHERE y.at >= n.started_at), 0) AS most,
        o.quantity + coalesce(sum(p.quantity) FILTER (WHERE y.at > n.done_at), 0) AS least,
        coalesce({_number("n.prices->>o.instrument_id", decimals=_OF_MIDDLES)}, 0)
            * coalesce({_number("n.rates->o.instrument_id->>(CASE o.side WHEN 'buy' THEN 0 ELSE 1 END)")}, 0)
            * coalesce({_number("n.rates->o.instrument_id->>2")}, 0) * 10::numeric ^ a.decimals * 0.0001 AS rate,
        CASE WHEN {CONVERTS} THEN coalesce({_rate(0)}, 0) END AS multiplier,
        CASE WHEN {CONVERTS} THEN coalesce(nullif({_rate(1)}, 0), 1) END AS divisor
    FROM trades_order o
    CROSS JOIN (SELECT array_agg(cutoff ORDER BY cutoff) AS moments FROM (
        SELECT DISTINCT cutoff FROM trades_swaprun) c) k
    JOIN trades_deal d ON d.order_id = o.id AND d.kind = 'open'
    LEFT JOIN trades_deal x ON x.order_id = o.id AND x.kind = 'close'
    JOIN accounts_customer c ON c.id = o.customer_id
    JOIN ({_NIGHTS}) n ON n.partition = c.partition AND n.before IS NOT NULL AND n.cutoff >= d.at
        AND n.started_at <= coalesce(x.at, 'infinity')
    JOIN quotes_instrument i ON i.symbol = o.instrument_id
    {ASSET}
    LEFT JOIN trades_order p ON p.parent_id = o.id
    LEFT JOIN trades_deal y ON y.order_id = p.id AND y.kind = 'close'
    WHERE o.parent_id IS NULL AND o.swap_accrued IS NOT NULL AND o.status IN ('OPEN', 'CLOSED')
        AND width_bucket(d.at - interval '1 microsecond', k.moments)
            < width_bucket(coalesce(x.at, 'infinity'), k.moments)
    GROUP BY o.id, d.at, x.at, n.id, n.rates, n.prices, n.conversions, n.started_at, n.done_at, a.decimals,
        i.counter_asset_id
"""  # noqa: S608 - our own text

_ACCRUED = f"""
SELECT o.id, o.code, trim_scale(o.swap_accrued), trim_scale(coalesce(h.least, 0)), trim_scale(coalesce(h.most, 0))
FROM trades_order o
LEFT JOIN (
    SELECT id, bool_or(unknown) AS unknown,
        sum(least(for_most, CASE WHEN perhaps THEN 0 ELSE for_least END)) AS least,
        sum(greatest(for_most, CASE WHEN perhaps THEN 0 ELSE for_least END)) AS most
    FROM ({_HELD}) held
    CROSS JOIN LATERAL (
        SELECT {converted("rate * most", "multiplier", "divisor")} AS for_most,
            {converted("rate * least", "multiplier", "divisor")} AS for_least
    ) swaps GROUP BY id
) h ON h.id = o.id
WHERE o.parent_id IS NULL AND o.swap_accrued IS NOT NULL AND NOT coalesce(h.unknown, false)
    AND o.swap_accrued NOT BETWEEN coalesce(h.least, 0) AND coalesce(h.most, 0)
ORDER BY 1
"""  # noqa: S608

_GAPS = f"""
SELECT id, partition, night, before FROM ({_NIGHTS}) n WHERE night <> before + 1 OR started_at < cutoff ORDER BY 1
"""  # noqa: S608

# A movement names its night: there was one, that its order was held over, and it was under way then.
_MOVED = f"""
SELECT t.id, split_part(t.key, ':', 4), o.code
FROM accounts_transfer t
LEFT JOIN trades_order o ON o.id = t.subject
LEFT JOIN trades_deal d ON d.order_id = t.subject AND d.kind = 'open'
LEFT JOIN accounts_customer c ON c.id = t.customer_id
LEFT JOIN ({_NIGHTS}) n ON n.partition = c.partition AND n.night::text = split_part(t.key, ':', 4)
WHERE t.kind = 'order_swap' AND split_part(t.key, ':', 3) = 'swap'
    AND (n.before IS NULL OR t.at NOT BETWEEN n.started_at AND n.done_at OR d.at > n.cutoff)
ORDER BY 1
"""  # noqa: S608

_TOLD = """
SELECT coalesce(t.id, e.id), coalesce(t.night, e.night), coalesce(t.amount, 0), coalesce(e.amount, 'nothing')
FROM (
    SELECT t.id, t.subject, split_part(t.key, ':', 4) AS night,
        CASE WHEN c.customer_id IS NULL THEN -t.amount ELSE t.amount END AS amount
    FROM accounts_transfer t JOIN accounts_ledgeraccount c ON c.id = t.credit_account_id
    WHERE t.kind = 'order_swap' AND split_part(t.key, ':', 3) = 'swap'
) t
FULL JOIN (
    SELECT id, order_id, detail->>'night' AS night, detail->>'amount' AS amount
    FROM trades_orderevent WHERE kind = 'swapped'
) e ON e.order_id = t.subject AND e.night = t.night
WHERE t.amount::text IS DISTINCT FROM e.amount
ORDER BY 1
"""

CHECKS: Final = (
    statement(
        "order nights",
        "trades_order",
        _ACCRUED,
        "Order {1} has accrued {2} of swap; the nights it was held over come to between {3} and {4}.",
    ),
    statement(
        "swap nights", "trades_swaprun", _GAPS, "Before the night {2} of partition {1} came {3}; nights are missing."
    ),
    statement(
        "swap movements",
        "accounts_transfer",
        _MOVED,
        "Transfer {0} is for the night {1}, which order {2} was not held over, or which was not under way.",
    ),
    statement("swap events", "trades_orderevent", _TOLD, "{0}: the night {1} moved {2}; its event says {3}."),
)
