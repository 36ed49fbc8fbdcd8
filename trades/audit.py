"""What must be true of every spot trade, its money and its batch. Set-based; one finding per row that is wrong.

A settling or completed trade has all its movements once, any other has none; an exit goes with its original; a batch's
counts and payouts are its trades'; legs, corrections and money in or out moved what their rows say. Whether a trade is
what its events made it is judged in `trades/recount/spot.py`.
"""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from accounts.kinds import FUNDING

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

# A leg's movements are found by their keys: those that reopen it belong to a correction. They come to what really
# came from outside; through liquidity to the same, and once the leg is settled to what was expected. (A leg without
# settled_at was settled by a version that moved no money for it.)
_LEG_MONEY = """
SELECT coalesce(l.leg, m.leg), l.status, l.direction, l.expected, l.actual, l.asset_id, coalesce(m.liquidity, 0),
       coalesce(m.outside, 0)
FROM (
    SELECT replace(id::text, '-', '') AS leg, status, direction, expected, actual, asset_id,
           CASE WHEN status = 'settled' AND settled_at IS NULL THEN 0
                WHEN direction = 'incoming' THEN 1 ELSE -1 END AS sign
    FROM trades_settlementleg
) l
FULL JOIN (
    SELECT split_part(t.key, ':', 2) AS leg,
           sum(CASE 'liquidity' WHEN c.type THEN t.amount WHEN d.type THEN -t.amount ELSE 0 END) AS liquidity,
           sum(CASE 'external' WHEN d.type THEN t.amount WHEN c.type THEN -t.amount ELSE 0 END) AS outside
    FROM accounts_transfer t
    JOIN accounts_ledgeraccount d ON d.id = t.debit_account_id
    JOIN accounts_ledgeraccount c ON c.id = t.credit_account_id
    WHERE t.kind IN ('leg_settled', 'leg_difference', 'leg_reopened') GROUP BY 1
) m ON m.leg = l.leg
WHERE l.leg IS NULL
   OR coalesce(m.liquidity, 0) <>
      l.sign * CASE l.status WHEN 'settled' THEN l.expected ELSE coalesce(l.actual, 0) END
   OR coalesce(m.outside, 0) <> l.sign * coalesce(l.actual, 0)
ORDER BY 1
"""

_DIFFERENCES = """
SELECT coalesce(a.asset_id, b.asset_id), coalesce(a.balance, 0), coalesce(b.amount, 0)
FROM (SELECT asset_id, sum(credits - debits) AS balance FROM accounts_ledgeraccount
      WHERE type = 'differences' GROUP BY asset_id) a
FULL JOIN (SELECT asset_id, sum(amount) AS amount FROM accounts_break
           WHERE kind = 'leg_difference' AND state = 'open' GROUP BY asset_id) b ON b.asset_id = a.asset_id
WHERE coalesce(a.balance, 0) <> coalesce(b.amount, 0)
ORDER BY 1
"""

_CORRECTIONS = """
SELECT coalesce(c.id, m.subject), c.kind, c.state, c.movements_count, coalesce(m.count, 0)
FROM trades_correction c
FULL JOIN (
    SELECT subject, count(*) AS count FROM accounts_transfer
    WHERE kind IN ('reversal', 'adjustment', 'break_paid', 'break_written_off', 'leg_reopened',
                   'capital_in', 'profit_out', 'fees_out', 'payment_returned', 'payment_return_borne')
       OR kind IN ('deposit', 'withdrawal') AND subject IS NOT NULL
          AND NOT EXISTS (SELECT FROM trades_payment p WHERE p.id = subject) GROUP BY subject
) m ON m.subject = c.id
WHERE c.id IS NULL OR c.movements_count <> coalesce(m.count, 0) OR c.state IN ('proposed', 'rejected') AND m.count > 0
ORDER BY 1
"""

# An adjustment, money in or out and the end of a break are one movement each, of the same kind as the correction.
_ADJUSTED = """
SELECT c.id, c.kind, c.amount, c.asset_id, t.amount, t.asset_id, d.type, k.type
FROM trades_correction c
LEFT JOIN accounts_break b ON b.id = c.subject
LEFT JOIN accounts_transfer t ON t.subject = c.id AND t.kind = c.kind
LEFT JOIN accounts_ledgeraccount d ON d.id = t.debit_account_id
LEFT JOIN accounts_ledgeraccount k ON k.id = t.credit_account_id
WHERE c.state = 'applied' AND c.kind IN ('adjustment', 'break_paid', 'break_written_off', 'deposit',
                                             'withdrawal', 'capital_in', 'profit_out', 'fees_out',
                                             'payment_returned')
  AND (t.amount IS DISTINCT FROM c.amount OR t.asset_id <> c.asset_id OR t.customer_id IS DISTINCT FROM c.customer_id
       OR c.kind IN ('break_paid', 'break_written_off')
          AND (b.state IS DISTINCT FROM 'resolved' OR abs(b.amount) <> c.amount)
       OR d.type || ' ' || k.type <> CASE
           WHEN c.kind = 'payment_returned' AND c.direction = 'credit' THEN 'external available'
           WHEN c.kind = 'payment_returned' THEN 'available external'
           WHEN c.direction = 'credit' THEN 'adjustments available'
           WHEN c.direction = 'debit' THEN 'available adjustments'
           WHEN c.kind = 'deposit' THEN 'external available'
           WHEN c.kind = 'withdrawal' THEN 'available external'
           WHEN c.kind = 'capital_in' THEN 'external capital'
           WHEN c.kind = 'profit_out' THEN 'profit external'
           WHEN c.kind = 'fees_out' THEN 'fees external'
           WHEN c.kind = 'break_paid' AND b.amount > 0 THEN 'differences external'
           WHEN c.kind = 'break_paid' THEN 'external differences'
           WHEN b.amount > 0 THEN 'differences adjustments'
           ELSE 'adjustments differences' END)
ORDER BY 1
"""

# Each movement into or out of the firm has its row, and each row its movement. What was moved before there were such
# rows and shared its reference with another has it with its own id behind (accounts' migration 0031).
_FUNDINGS = f"""
SELECT coalesce(f.id, t.id), CASE WHEN f.id IS NULL THEN 'Transfer' ELSE 'Row' END, f.reference, t.kind, t.key
FROM accounts_funding f
FULL JOIN (SELECT id, kind, key FROM accounts_transfer WHERE kind IN ({", ".join(f"'{kind}'" for kind in FUNDING)})) t
    ON t.id = f.transfer_id
WHERE f.id IS NULL OR t.id IS NULL
   OR t.key <> t.kind || ':' || f.reference
      AND (f.made_from <> 'before it was noted' OR f.reference NOT LIKE '%/' || replace(t.id::text, '-', ''))
ORDER BY 1
"""  # noqa: S608 - our own words

# What a correction reversed must give back what the trades delivered, take what they received, and return the fees.
_REVERSALS = """
SELECT coalesce(w.correction, m.correction), coalesce(w.customer_id, m.customer_id), coalesce(w.asset_id, m.asset_id),
       coalesce(w.available, 0), coalesce(m.available, 0), coalesce(w.fees, 0), coalesce(m.fees, 0)
FROM (
    SELECT e.detail AS correction, t.customer_id, v.asset_id, sum(v.available) AS available, sum(v.fees) AS fees
    FROM trades_tradeevent e
    JOIN trades_trade t ON t.id = e.trade_id
    CROSS JOIN LATERAL (VALUES
        (t.deliver_asset_id, t.deliver_amount, CASE WHEN t.side = 'buy' THEN -t.fee ELSE 0 END),
        (t.receive_asset_id, -t.receive_amount, CASE WHEN t.side = 'sell' THEN -t.fee ELSE 0 END)
    ) AS v(asset_id, available, fees)
    WHERE e.became = 'reversed' GROUP BY 1, 2, 3
) w
FULL JOIN (
    SELECT replace(t.subject::text, '-', '') AS correction, t.customer_id, t.asset_id,
           sum(CASE 'available' WHEN c.type THEN t.amount WHEN d.type THEN -t.amount ELSE 0 END) AS available,
           sum(CASE 'fees' WHEN c.type THEN t.amount WHEN d.type THEN -t.amount ELSE 0 END) AS fees
    FROM accounts_transfer t
    JOIN accounts_ledgeraccount d ON d.id = t.debit_account_id
    JOIN accounts_ledgeraccount c ON c.id = t.credit_account_id
    WHERE t.kind = 'reversal' GROUP BY t.subject, 2, 3
) m ON m.correction = w.correction AND m.customer_id = w.customer_id AND m.asset_id = w.asset_id
WHERE coalesce(w.available, 0) <> coalesce(m.available, 0) OR coalesce(w.fees, 0) <> coalesce(m.fees, 0)
ORDER BY 1, 2, 3
"""

_REVERSED = """
SELECT coalesce(w.trade, e.trade_id), w.trade IS NOT NULL, e.trade_id IS NOT NULL
FROM (
    SELECT subject AS trade FROM trades_correction WHERE kind = 'reverse_trade' AND state = 'applied'
    UNION
    SELECT t.id FROM trades_trade t JOIN trades_correction c ON c.subject = t.exiting_trade_id
    WHERE c.kind = 'reverse_trade' AND c.state = 'applied'
    UNION
    SELECT t.id FROM trades_trade t JOIN trades_correction c ON c.subject = t.batch_id
    WHERE c.kind = 'reverse_batch' AND c.state = 'applied'
    UNION
    SELECT e.trade_id FROM trades_tradeevent e
    JOIN trades_correction c ON replace(c.id::text, '-', '') = e.detail
    JOIN trades_trade t ON t.id = e.trade_id AND t.batch_id = c.subject
    WHERE e.became = 'reversed' AND c.kind = 'reverse_batch' AND c.state = 'applying'
) w
FULL JOIN (SELECT trade_id FROM trades_tradeevent WHERE became = 'reversed') e ON e.trade_id = w.trade
WHERE w.trade IS NULL OR e.trade_id IS NULL
ORDER BY 1
"""

# How far a batch's reversal says that it came. (Those that were applied before they went by slices don't say.)
_REVERSING = """
SELECT c.id, c.state, c.trades_done, c.trades_count, coalesce(e.count, 0)
FROM trades_correction c
LEFT JOIN (SELECT detail, count(*) AS count FROM trades_tradeevent WHERE became = 'reversed' GROUP BY detail) e
    ON e.detail = replace(c.id::text, '-', '')
WHERE c.kind = 'reverse_batch' AND cardinality(c.slice_ends) > 0 AND c.trades_done <> coalesce(e.count, 0)
ORDER BY 1
"""

_TRADES: Final = "trades_trade"
CHECKS: Final = (
    statement(
        "trade money",
        _TRADES,
        _MONEY,
        "Trade {0} is {1}; its transfers delivered {2}, took a fee of {3}, received {4}.",
    ),
    statement(
        "trade payouts",
        "trades_settlementbatch",
        _PAYOUTS,
        "Batch {0} owes customer {1} {3} of {2} for completed trades and paid {4}.",
    ),
    statement(
        "trade settling",
        "accounts_ledgeraccount",
        _SETTLING,
        "Settling account {0} holds {2} of {1}; the customer's settling trades say {3}.",
    ),
    statement("trade exits", _TRADES, _EXITS, "Exit {0} ({2}) does not go with its original {1} ({3})."),
    statement(
        "batches",
        "trades_settlementbatch",
        _BATCHES,
        "Batch {0} is {1} with {2} trades, {4} of them completed; there are {3}, {5} of them completed.",
    ),
    statement(
        "leg money",
        "trades_settlementleg",
        _LEG_MONEY,
        "Leg {0} is {1}, {2} {3} of {5}, actual {4}; its transfers moved {6} of liquidity, {7} from outside.",
    ),
    statement(
        "differences",
        "accounts_break",
        _DIFFERENCES,
        "The accounts `differences` of {0} hold {1}; the open breaks of legs say {2}.",
    ),
    statement(
        "corrections",
        "trades_correction",
        _CORRECTIONS,
        "Correction {0} ({1}) is {2} with {3} movements; there are {4}.",
    ),
    statement(
        "adjustments",
        "trades_correction",
        _ADJUSTED,
        "Correction {0} ({1}) is about {2} of {3}; its transfer moved {4} of {5} from {6} to {7}.",
    ),
    statement(
        "fundings",
        "accounts_funding",
        _FUNDINGS,
        "{1} {0}: who moved money by a reference stands beside its transfer; here {2} beside {3} with the key {4}.",
    ),
    statement(
        "reversals",
        "trades_correction",
        _REVERSALS,
        "Correction {0} owes customer {1} {3} of {2} and {5} of its fees; its transfers moved {4} and {6}.",
    ),
    statement(
        "reversed trades",
        "trades_correction",
        _REVERSED,
        "Trade {0}: a reversal of it was applied: {1}; it has an event that says so: {2}.",
    ),
    statement(
        "reversals under way",
        "trades_correction",
        _REVERSING,
        "Correction {0} is {1} and says that it reversed {2} of {3} trades; {4} have an event that says so.",
    ),
)
