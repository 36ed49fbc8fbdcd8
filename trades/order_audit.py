"""What must be true of every margin order and its money. Set-based; one finding per row that is wrong.

A part that was closed is an order of its own, opened with the order it was taken from. So some things are true of an
order and its parts together: its family, named by the order that opened.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings

from accounts.audit import Check, Looked, count_of, found_by, statement
from quotes import made_of
from trades.currency import ASSET, CONVERTS
from trades.rounding import converted, nearest


def _side(side: str) -> str:
    """SQL: whether a deal's currency was converted at this side of it: of a price that divides, at the other one."""
    other = "bid" if side == "ask" else "ask"
    named = f"CASE WHEN starts_with(d.rate_path, '1/') THEN '{other}' ELSE '{side}' END"
    return f"split_part(d.rate_path, ' ', 2) = {named}"


_AT = "(extract(epoch FROM d.priced_at) * 1000)::bigint"

# A part was opened by its parent's deal.
_DEALS = """
SELECT o.id, o.code, o.status, coalesce(d.opened, 0), coalesce(d.closed, 0)
FROM trades_order o
FULL JOIN (
    SELECT order_id, count(*) FILTER (WHERE kind = 'open') AS opened, count(*) FILTER (WHERE kind = 'close') AS closed
    FROM trades_deal GROUP BY order_id
) d ON d.order_id = o.id
WHERE o.id IS NULL
   OR coalesce(d.opened, 0) <> (o.status IN ('OPEN', 'CLOSED') AND o.parent_id IS NULL)::int
   OR coalesce(d.closed, 0) <> (o.status = 'CLOSED')::int
ORDER BY o.id
"""

_TERMS = """
SELECT d.id, d.kind, o.code, d.quantity, d.price, d.profit
FROM trades_deal d
JOIN trades_order o ON o.id = d.order_id
LEFT JOIN (
    SELECT parent_id, sum(quantity) AS quantity FROM trades_order WHERE parent_id IS NOT NULL GROUP BY parent_id
) parts ON parts.parent_id = o.id
WHERE d.customer_id <> o.customer_id OR CASE d.kind
    WHEN 'open' THEN (d.rate_multiplier, d.rate_divisor) IS DISTINCT FROM (o.open_multiplier, o.open_divisor)
        OR d.quantity <> o.quantity + coalesce(parts.quantity, 0)
        OR d.price IS DISTINCT FROM o.open_price OR d.profit <> 0
    ELSE d.quantity <> o.quantity OR d.price IS DISTINCT FROM o.close_price OR d.profit IS DISTINCT FROM o.profit
        OR d.reason <> o.close_reason
    END
ORDER BY d.id
"""

# Whoever buys pays the ask, whoever sells gets the bid. The price lies within what its sources said, widened by the
# mark-up, and was dated by the oldest of them, by a second more at the most; the engine had read it after all of them.
# A held one is that of the row of its hold.
# No deal since the first that says its price is without.
_PRICES = f"""
SELECT d.id, d.kind, o.code, d.price, CASE
    WHEN d.bid IS NULL THEN 'none'
    WHEN d.sources <> '' AND d.sources !~ '{made_of.FORM_IN_SQL}' THEN 'sources that no feed writes'
    ELSE concat_ws(' ', d.bid, d.ask, d.priced_at, d.price_age_ms, 'held by ' || d.hold, nullif(d.sources, '')) END
FROM trades_deal d
JOIN trades_order o ON o.id = d.order_id
LEFT JOIN LATERAL (
    SELECT max(split_part(one, ',', 2)::numeric) AS bid, min(split_part(one, ',', 3)::numeric) AS ask,
        min(split_part(one, ',', 4)::bigint) AS oldest, max(split_part(one, ',', 4)::bigint) AS newest
    FROM unnest(string_to_array(d.sources, ';')) AS one
    WHERE d.sources ~ '{made_of.FORM_IN_SQL}'
) s ON true
WHERE CASE WHEN d.bid IS NULL THEN d.id > (SELECT id FROM trades_deal WHERE bid IS NOT NULL ORDER BY id LIMIT 1)
    ELSE d.price <> CASE WHEN (o.side = 'buy') = (d.kind = 'open') THEN d.ask ELSE d.bid END
        OR d.price_age_ms < -1000
        OR d.hold IS NOT NULL AND (d.sources <> '' OR NOT EXISTS (
            SELECT FROM quotes_pricehold h
            WHERE (h.instrument_id, h.number, h.bid, h.ask) = (o.instrument_id, d.hold, d.bid, d.ask)))
        OR d.sources <> '' AND (s.oldest IS NULL OR d.bid > s.bid OR d.ask < s.ask
            OR {_AT} NOT BETWEEN s.oldest AND s.oldest + 1000 OR s.newest > {_AT} + d.price_age_ms + 1000)
    END
ORDER BY d.id
"""  # noqa: S608 - our own names

# Each feed writes what a price was made of, a simulator's and a replay's too, and an operator's hold has its number. So
# a price that names neither no feed has said. A sandbox's isn't judged: tools publish there as they like.
_ORIGINS = """
SELECT d.id, d.kind, o.code, d.price, d.priced_at
FROM trades_deal d
JOIN trades_order o ON o.id = d.order_id
WHERE d.hold IS NULL AND d.sources = ''
ORDER BY d.id
"""

_PARTS = """
SELECT o.id, o.code, coalesce(p.code, o.parent_id::text)
FROM trades_order o
LEFT JOIN trades_order p ON p.id = o.parent_id
WHERE o.parent_id IS NOT NULL AND (
    p.id IS NULL OR o.status <> 'CLOSED' OR p.status NOT IN ('OPEN', 'CLOSED') OR p.parent_id IS NOT NULL
    OR (o.customer_id, o.instrument_id, o.side, o.leverage, o.open_price, o.opened_at)
        IS DISTINCT FROM (p.customer_id, p.instrument_id, p.side, p.leverage, p.open_price, p.opened_at)
    OR (o.open_multiplier, o.open_divisor, o.nets_margin)
        IS DISTINCT FROM (p.open_multiplier, p.open_divisor, p.nets_margin)
)
ORDER BY o.id
"""

# Parts released what they held of the margin that the order had reserved.
_MONEY = """
SELECT o.id, o.code, o.status, o.margin, o.profit, coalesce(t.released, 0), coalesce(t.result, 0)
FROM trades_order o
LEFT JOIN (
    SELECT subject,
        sum(amount) FILTER (WHERE kind = 'order_margin_release') AS released,
        coalesce(sum(amount) FILTER (WHERE kind = 'order_profit'), 0)
            - coalesce(sum(amount) FILTER (WHERE kind = 'order_loss'), 0) AS result
    FROM accounts_transfer WHERE kind IN ('order_margin_release', 'order_profit', 'order_loss') GROUP BY subject
) t ON t.subject = o.id
WHERE coalesce(t.released, 0) > CASE WHEN o.status = 'CLOSED' THEN o.margin ELSE 0 END
   OR coalesce(t.result, 0) <> CASE WHEN o.status = 'CLOSED' THEN coalesce(o.profit, 0) ELSE 0 END
   OR o.status <> 'CLOSED' AND o.profit IS NOT NULL
ORDER BY o.id
"""

_FAMILIES = """
WITH families AS (
    SELECT coalesce(parent_id, id) AS id,
        sum(margin) FILTER (WHERE status IN ('OPEN', 'CLOSED')) AS margin, sum(swap) AS swap
    FROM trades_order GROUP BY coalesce(parent_id, id)
), moved AS (
    SELECT coalesce(o.parent_id, t.subject) AS id,
        sum(t.amount) FILTER (WHERE t.kind = 'order_margin') AS reserved,
        sum(CASE WHEN a.customer_id IS NULL THEN -t.amount ELSE t.amount END) FILTER (WHERE t.kind = 'order_swap')
            AS swapped
    FROM accounts_transfer t
    JOIN accounts_ledgeraccount a ON a.id = t.credit_account_id
    LEFT JOIN trades_order o ON o.id = t.subject
    WHERE t.kind IN ('order_margin', 'order_swap') GROUP BY coalesce(o.parent_id, t.subject)
)
SELECT coalesce(f.id, m.id), o.code, coalesce(f.margin, 0), coalesce(f.swap, 0),
       coalesce(m.reserved, 0), coalesce(m.swapped, 0)
FROM families f
FULL JOIN moved m ON m.id = f.id
LEFT JOIN trades_order o ON o.id = coalesce(f.id, m.id)
WHERE coalesce(m.reserved, 0) <> coalesce(f.margin, 0) OR coalesce(m.swapped, 0) <> coalesce(f.swap, 0)
ORDER BY 1
"""

# Closed orders and parts with what they brought exactly, in base units; none that ended before docs/decisions/0040.
_RESULTS = f"""
    SELECT o.id, o.code, o.parent_id, o.profit, o.realized,
        {converted("r.amount", "k.rate_multiplier", "k.rate_divisor")} AS result
    FROM trades_order o
    LEFT JOIN trades_deal k ON k.order_id = o.id AND k.kind = 'close'
    {ASSET}
    CROSS JOIN LATERAL (
        SELECT (CASE o.side WHEN 'buy' THEN o.close_price - o.open_price ELSE o.open_price - o.close_price END)
            * o.quantity * 10::numeric ^ a.decimals AS amount
    ) r
    WHERE o.status = 'CLOSED' AND o.realized IS NOT NULL
"""  # noqa: S608 - our own text

# What is counted in another currency was converted, by a rate whose path ends in a side; nothing else was.
_CONVERTED = f"""
SELECT d.id, d.kind, o.code, coalesce(nullif(d.rate_path, ''), 'nothing'), i.counter_asset_id
FROM trades_deal d
JOIN trades_order o ON o.id = d.order_id
JOIN quotes_instrument i ON i.symbol = o.instrument_id
WHERE (d.rate_divisor IS NOT NULL) <> ({CONVERTS})
    OR NOT CASE
        WHEN d.rate_divisor IS NULL THEN d.rate_path = ''
        WHEN d.kind = 'open' THEN {_side("ask")}
        WHEN CASE o.side WHEN 'buy' THEN o.close_price < o.open_price ELSE o.close_price > o.open_price END
            THEN {_side("ask")}
        ELSE {_side("bid")} END
ORDER BY d.id
"""  # noqa: S608

_ROUNDING = f"""
SELECT r.id, r.code, r.profit, r.realized, r.result
FROM ({_RESULTS}) r
WHERE r.profit <> {nearest("(r.realized + r.result)")} - {nearest("r.realized")}
ORDER BY r.id
"""  # noqa: S608 - our own names

_REALIZED = f"""
SELECT o.id, o.code, o.realized, coalesce(p.result, 0), coalesce(p.profit, 0)
FROM trades_order o
LEFT JOIN (
    SELECT r.parent_id, sum(r.result) AS result, sum(r.profit) AS profit FROM ({_RESULTS}) r
    WHERE r.parent_id IS NOT NULL GROUP BY r.parent_id
) p ON p.parent_id = o.id
WHERE o.parent_id IS NULL AND o.realized IS NOT NULL
    AND (o.realized <> coalesce(p.result, 0) OR coalesce(p.profit, 0) <> {nearest("o.realized")})
ORDER BY o.id
"""  # noqa: S608

# A closed order may have been booked the cent that its account's rests of swap had come to.
_ACCRUED = f"""
WITH families AS (
    SELECT coalesce(parent_id, id) AS id, sum(swap) AS swap FROM trades_order GROUP BY coalesce(parent_id, id)
)
SELECT o.id, o.code, o.swap_accrued, f.swap
FROM families f
JOIN trades_order o ON o.id = f.id
WHERE o.parent_id IS NULL AND o.swap_accrued IS NOT NULL
    AND abs(f.swap - {nearest("o.swap_accrued")}) > (o.status = 'CLOSED')::int
ORDER BY o.id
"""  # noqa: S608

_CARRIED = """
WITH families AS (
    SELECT coalesce(parent_id, id) AS id, sum(swap) AS swap FROM trades_order GROUP BY coalesce(parent_id, id)
), closed AS (
    SELECT o.customer_id, sum(o.swap_accrued - f.swap) AS carried
    FROM families f
    JOIN trades_order o ON o.id = f.id
    WHERE o.parent_id IS NULL AND o.status = 'CLOSED' AND o.swap_accrued IS NOT NULL
    GROUP BY o.customer_id
)
SELECT coalesce(m.customer_id, c.customer_id), coalesce(m.swap_carried, 0), coalesce(c.carried, 0)
FROM closed c
FULL JOIN trades_marginaccount m ON m.customer_id = c.customer_id
WHERE coalesce(m.swap_carried, 0) <> coalesce(c.carried, 0)
ORDER BY 1
"""

# An order that waits, or never opened, has moved nothing. What a movement is about is an order that there is.
_UNOPENED = """
SELECT t.id, t.kind, coalesce(o.code, t.subject::text), coalesce(o.status, 'missing')
FROM accounts_transfer t
LEFT JOIN trades_order o ON o.id = t.subject
WHERE t.kind LIKE 'order!_%' ESCAPE '!' AND (o.id IS NULL OR o.status IN ('PENDING', 'CANCELLED')
    OR o.customer_id IS DISTINCT FROM t.customer_id)
ORDER BY t.id
"""

_RESERVED = """
SELECT coalesce(a.id, o.customer_id, m.customer_id), coalesce(a.balance, 0), coalesce(o.margin, 0),
    coalesce(m.drawn, 0), coalesce(m.hedged, 0)
FROM (
    SELECT id, customer_id, credits - debits AS balance FROM accounts_ledgeraccount WHERE type = 'margin'
) a
FULL JOIN (
    SELECT customer_id, sum(margin) AS margin FROM trades_order WHERE status = 'OPEN' GROUP BY customer_id
) o ON o.customer_id = a.customer_id
FULL JOIN trades_marginaccount m ON m.customer_id = coalesce(a.customer_id, o.customer_id)
WHERE coalesce(a.balance, 0) <> coalesce(o.margin, 0) - coalesce(m.drawn, 0) - coalesce(m.hedged, 0)
ORDER BY 1
"""

# Of the positions of one customer in one symbol that hedge each other, the smaller side's margin.
_HEDGED = """
SELECT coalesce(m.customer_id, o.customer_id, t.customer_id), coalesce(m.hedged, 0), coalesce(o.hedged, 0),
    coalesce(t.hedged, 0)
FROM trades_marginaccount m
FULL JOIN (
    SELECT customer_id, sum(least(bought, sold)) AS hedged FROM (
        SELECT customer_id, coalesce(sum(margin) FILTER (WHERE side = 'buy'), 0) AS bought,
            coalesce(sum(margin) FILTER (WHERE side = 'sell'), 0) AS sold
        FROM trades_order WHERE status = 'OPEN' AND nets_margin GROUP BY customer_id, instrument_id
    ) sides GROUP BY customer_id
) o ON o.customer_id = m.customer_id
FULL JOIN (
    SELECT customer_id, sum(CASE kind WHEN 'order_margin_hedged' THEN amount ELSE -amount END) AS hedged
    FROM accounts_transfer WHERE kind IN ('order_margin_hedged', 'order_margin_unhedged') GROUP BY customer_id
) t ON t.customer_id = coalesce(m.customer_id, o.customer_id)
WHERE coalesce(m.hedged, 0) <> coalesce(o.hedged, 0) OR coalesce(m.hedged, 0) <> coalesce(t.hedged, 0)
ORDER BY 1
"""

# Who owes has a position that may still repay it: else the rest was waived.
_OWED = """
SELECT coalesce(m.customer_id, t.customer_id), coalesce(m.owed, 0), m.owed_at, coalesce(t.owed, 0)
FROM trades_marginaccount m
FULL JOIN (
    SELECT customer_id, sum(CASE kind WHEN 'order_advance' THEN amount ELSE -amount END) AS owed
    FROM accounts_transfer WHERE kind IN ('order_advance', 'order_advance_repaid', 'order_advance_waived')
    GROUP BY customer_id
) t ON t.customer_id = m.customer_id
WHERE coalesce(m.owed, 0) <> coalesce(t.owed, 0) OR m.owed > 0 AND NOT EXISTS (
    SELECT FROM trades_order o
    WHERE o.customer_id = m.customer_id AND o.status = 'OPEN' AND o.opened_at <= m.owed_at
)
ORDER BY 1
"""

# Counted only while there is a limit that goes by it.
_EXPOSED = """
WITH is_open AS (
    SELECT c.partition, o.instrument_id,
        coalesce(sum(o.margin * o.leverage) FILTER (WHERE o.side = 'buy'), 0) AS bought,
        coalesce(sum(o.margin * o.leverage) FILTER (WHERE o.side = 'sell'), 0) AS sold
    FROM trades_order o JOIN accounts_customer c ON c.id = o.customer_id
    WHERE o.status = 'OPEN' GROUP BY c.partition, o.instrument_id
)
SELECT coalesce(e.partition, i.partition), coalesce(e.instrument_id, i.instrument_id),
       coalesce(e.bought, 0), coalesce(e.sold, 0), coalesce(i.bought, 0), coalesce(i.sold, 0)
FROM trades_openexposure e
FULL JOIN is_open i ON (i.partition, i.instrument_id) = (e.partition, e.instrument_id)
WHERE (coalesce(e.bought, 0), coalesce(e.sold, 0)) <> (coalesce(i.bought, 0), coalesce(i.sold, 0)) AND EXISTS (
    SELECT FROM trades_risklimit
    WHERE amount IS NOT NULL AND kind IN ('symbol', 'firm', 'symbol_net', 'firm_net'))
ORDER BY 1, 2
"""


_UNKNOWN = """
SELECT count(*) FROM trades_risklimit
WHERE amount IS NOT NULL AND NOT EXISTS (SELECT FROM trades_limitversion) HAVING count(*) > 0
"""


def _origins() -> Looked:
    if settings.SANDBOX:
        return Looked(0, ())
    sentence = "The {1} deal of order {2} was executed at {3}, a price of {4} that names neither a hold nor a source."
    return Looked(count_of("trades_deal"), found_by("deal origins", _ORIGINS, sentence))


CHECKS: Final = (
    statement("order deals", "trades_order", _DEALS, "Order {1} is {2} with {3} opening and {4} closing deals."),
    statement(
        "deal terms",
        "trades_deal",
        _TERMS,
        "The {1} deal of order {2} says quantity {3}, price {4}, profit {5}; the order and its parts say otherwise.",
    ),
    statement(
        "deal prices",
        "trades_deal",
        _PRICES,
        "The {1} deal of order {2} was executed at {3}; the price that it names is another, or can't be: {4}.",
    ),
    Check("deal origins", _origins),
    statement("order parts", "trades_order", _PARTS, "Order {1} is no closed part of what order {2} opened."),
    statement(
        "order money",
        "trades_order",
        _MONEY,
        "Order {1} is {2} with margin {3} and profit {4}; its transfers released {5} and brought {6}.",
    ),
    statement(
        "order families",
        "trades_order",
        _FAMILIES,
        "Order {1} and its parts have margin {2} and swap {3}; their transfers reserved {4} and swapped {5}.",
    ),
    statement(
        "order profit",
        "trades_order",
        _ROUNDING,
        "Order {1} has profit {2}; its parts before brought exactly {3}, it itself {4}, which rounds otherwise.",
    ),
    statement(
        "deal rates",
        "trades_deal",
        _CONVERTED,
        "The {1} deal of order {2} was converted by {3}; the order is counted in {4}.",
    ),
    statement(
        "order results",
        "trades_order",
        _REALIZED,
        "Order {1} remembers {2} of its closed parts; they brought exactly {3}, of which {4} is booked.",
    ),
    statement(
        "order swap",
        "trades_order",
        _ACCRUED,
        "Order {1} has accrued exactly {2} of swap; with its parts it was booked {3}.",
    ),
    statement(
        "swap carried",
        "trades_marginaccount",
        _CARRIED,
        "Customer {0} carries {1} of swap on; closed orders accrued {2} more than they were booked.",
    ),
    statement(
        "order movements", "accounts_transfer", _UNOPENED, "Transfer {0} ({1}) moved money for order {2}, which is {3}."
    ),
    statement(
        "order margin",
        "accounts_ledgeraccount",
        _RESERVED,
        "Margin account {0} holds {1}; the customer's open orders reserve {2}, of which losses have drawn {3}"
        " and {4} are hedged.",
    ),
    statement(
        "order hedges",
        "trades_marginaccount",
        _HEDGED,
        "Customer {0} has {1} of margin hedged; by the positions against each other it is {2}, by the transfers {3}.",
    ),
    statement(
        "order advances",
        "trades_marginaccount",
        _OWED,
        "Customer {0} owes {1} since {2}, or no position from before is open; the transfers advanced {3} on balance.",
    ),
    statement(
        "open exposure",
        "trades_openexposure",
        _EXPOSED,
        "Partition {0} counts {2} bought and {3} sold in {1}; its open orders come to {4} and {5}.",
    ),
    statement("limits known", "trades_risklimit", _UNKNOWN, "Of {0} limits that are set engines know none."),
)
