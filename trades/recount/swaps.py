"""Swap, from the nights' own prices and rates: what an order has accrued is what its nights come to.

A position is held overnight that was open at the cut-off and still is when its run comes to it. So what closed, or was
reduced, while a run was under way may have been charged or not, for the whole or for the rest: there two figures bound
what is right, and everywhere else they are one. Opened and closed are the deals' times, not the order's. A run from
before it noted its rates went by the instrument's, and an order that it may have charged is left alone.
"""

from __future__ import annotations

from trades.recount.checks import FACTS_OF_ORDERS, add

# A partition's first run only notes that there was a night.
_NIGHTS = """
    SELECT partition, night, cutoff, started_at, coalesce(done_at, 'infinity') AS done_at, prices, rates,
        lag(night) OVER (PARTITION BY partition ORDER BY night) AS before
    FROM trades_swaprun
"""

# Nearly no order sees a night: those that do are found by where their times fall among all cut-offs.
_HELD = f"""
    WITH cutoffs AS (SELECT array_agg(cutoff ORDER BY cutoff) AS moments FROM (
        SELECT DISTINCT cutoff FROM trades_swaprun) c),
    nights AS MATERIALIZED ({_NIGHTS})
    SELECT o.id, o.code, o.customer_id, o.instrument_id, o.side, o.quantity, o.swap_accrued, n.night, n.started_at,
        n.done_at, n.prices->>o.instrument_id AS price, n.rates->o.instrument_id AS rate, n.rates = '{{}}' AS unknown
    FROM trades_order o
    CROSS JOIN cutoffs k
    JOIN trades_deal d ON d.order_id = o.id AND d.kind = 'open'
    LEFT JOIN trades_deal x ON x.order_id = o.id AND x.kind = 'close'
    JOIN accounts_customer c ON c.id = o.customer_id
    JOIN nights n ON n.partition = c.partition AND n.before IS NOT NULL AND n.cutoff >= d.at
        AND n.started_at <= coalesce(x.at, 'infinity') AND n.done_at < 'infinity'
    WHERE o.parent_id IS NULL AND o.swap_accrued IS NOT NULL AND o.status IN ('OPEN', 'CLOSED')
        AND k.moments IS NOT NULL
        AND width_bucket(d.at, k.moments) < width_bucket(coalesce(x.at, 'infinity'), k.moments)
"""  # noqa: S608 - our own text
