"""A payment is what its quote and its events say, and has moved what its state says; what leaves is held, to the unit.

Whole numbers throughout. A failed payment has held nothing, or has given all of it back.
"""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.recount.checks import differs, facts, wrong

_IS_HELD = "p.side = 'withdrawal'"

_EVENTS = wrong(
    "coalesce(p.id, e.payment_id)",
    [
        differs("events", "e.steps", "NULL::int", where="p.id IS NULL"),
        differs(
            "events (1 storing, 2 pending, 4 settling, 8 completed, 16 failed, 32 returned)",
            "coalesce(e.steps, 0)",
            # What has completed may have come back.
            # It may have failed in each of the three states that are under way.
            "CASE WHEN p.state = 'completed' AND p.type <> 'book' AND e.steps = 47 THEN 47"
            " WHEN p.type = 'book' THEN CASE p.state WHEN 'completed' THEN 9 WHEN 'failed' THEN 17 END"
            " ELSE CASE p.state WHEN 'storing' THEN 1 WHEN 'pending' THEN 3 WHEN 'settling' THEN 7"
            " WHEN 'completed' THEN 15 ELSE CASE WHEN e.steps IN (17, 19, 23) THEN e.steps ELSE 17 END END END",
            where="p.id IS NOT NULL",
        ),
        differs("customer", "p.customer_id::text", "e.customer", where="p.id IS NOT NULL AND e.steps > 0"),
        differs("created_at", "p.created_at", "e.created_at", where="p.id IS NOT NULL AND e.steps & 1 > 0"),
        differs("updated_at", "p.updated_at", "e.updated_at", where="p.id IS NOT NULL AND e.steps > 0"),
        differs(
            "failure_code", "coalesce(p.failure_code, '')", "e.failed", where="p.state = 'failed' AND e.steps & 16 > 0"
        ),
        differs("reference", "p.reference", "e.completed", where="p.state = 'completed' AND e.steps IN (9, 15, 47)"),
    ],
    """FROM trades_payment p
    FULL JOIN (
        SELECT payment_id,
            sum(CASE became WHEN 'storing' THEN 1 WHEN 'pending' THEN 2 WHEN 'settling' THEN 4
                WHEN 'completed' THEN 8 WHEN 'failed' THEN 16 ELSE 32 END)::int AS steps,
            max(customer_id::text) AS customer,
            min(at) FILTER (WHERE became = 'storing') AS created_at,
            max(at) AS updated_at,
            min(detail COLLATE "C") FILTER (WHERE became = 'failed') AS failed,
            min(detail COLLATE "C") FILTER (WHERE became = 'completed') AS completed
        FROM trades_paymentevent GROUP BY payment_id
    ) e ON e.payment_id = p.id""",
)

_QUOTES = wrong(
    "p.id",
    [
        differs("customer", "p.customer_id", "q.customer_id"),
        differs("type", "CASE p.type WHEN 'book' THEN 'book_transfer' ELSE p.type END", "q.product_type"),
        differs("side", "p.side", "q.side"),
        differs("asset", "p.asset_id", "q.asset_id"),
        differs("deliver_amount", "p.deliver_amount", "q.deliver_amount"),
        differs("receive_amount", "p.receive_amount", "q.receive_amount"),
        differs("fee", "p.fee", "q.fee"),
        differs(
            "created_at", "p.created_at", "q.expires_at", where="p.state <> 'failed' AND p.created_at >= q.expires_at"
        ),
        differs("state", "p.state", "p.expected_error", where="p.state = 'completed' AND p.expected_error <> ''"),
    ],
    "FROM trades_payment p JOIN quotes_quote q ON q.id = p.quote_id",
)

_MOVED = wrong(
    "coalesce(p.id, m.subject)",
    [
        differs("movements", "m.count", "NULL::bigint", where="p.id IS NULL"),
        differs(
            "held",
            "coalesce(m.held, 0)",
            f"CASE WHEN {_IS_HELD} THEN p.deliver_amount ELSE 0 END",
            where="p.state <> 'failed'",
        ),
        differs(
            "given back",
            "coalesce(m.given_back, 0)",
            "CASE p.state WHEN 'failed' THEN coalesce(m.held, 0) ELSE 0 END",
            where="p.id IS NOT NULL",
        ),
        differs("held", "m.held", "p.deliver_amount", where="p.state = 'failed' AND m.held IS NOT NULL"),
        differs(
            "came in",
            "coalesce(m.came_in, 0)",
            f"CASE WHEN p.state = 'completed' AND p.type <> 'book' AND NOT {_IS_HELD} THEN p.deliver_amount ELSE 0 END",
            where="p.id IS NOT NULL",
        ),
        differs(
            "went out",
            "coalesce(m.went_out, 0)",
            f"CASE WHEN p.state = 'completed' AND {_IS_HELD} THEN p.receive_amount ELSE 0 END",
            where="p.id IS NOT NULL",
        ),
        differs(
            "sent",
            "concat_ws(' by ', m.sent, m.sender)",
            "CASE WHEN p.state = 'completed' AND p.type = 'book' THEN p.receive_amount || ' by ' || p.customer_id"
            " ELSE '' END",
            where="p.id IS NOT NULL",
        ),
        differs(
            "received",
            "concat_ws(' by ', m.received, m.receiver)",
            "CASE WHEN p.state = 'completed' AND p.type = 'book' THEN p.receive_amount || ' by ' || p.destination_id"
            " ELSE '' END",
            where="p.id IS NOT NULL",
        ),
        differs(
            "fee", "coalesce(m.fee, 0)", "CASE p.state WHEN 'completed' THEN p.fee ELSE 0 END", where="p.id IS NOT NULL"
        ),
        differs("asset", "m.asset", "p.asset_id", where="p.id IS NOT NULL AND m.subject IS NOT NULL"),
    ],
    """FROM trades_payment p
    FULL JOIN (
        SELECT subject, count(*) AS count, max(asset_id) AS asset,
            sum(amount) FILTER (WHERE kind = 'payment_held') AS held,
            sum(amount) FILTER (WHERE kind = 'payment_given_back') AS given_back,
            sum(amount) FILTER (WHERE kind = 'payment_fee') AS fee,
            sum(amount) FILTER (WHERE kind = 'payment_sent') AS sent,
            max(customer_id::text) FILTER (WHERE kind = 'payment_sent') AS sender,
            sum(amount) FILTER (WHERE kind = 'payment_received') AS received,
            max(customer_id::text) FILTER (WHERE kind = 'payment_received') AS receiver,
            sum(amount) FILTER (WHERE kind = 'deposit') AS came_in,
            sum(amount) FILTER (WHERE kind = 'withdrawal') AS went_out
        FROM accounts_transfer t
        WHERE kind IN ('payment_held', 'payment_given_back', 'payment_fee', 'payment_sent', 'payment_received')
           OR kind IN ('deposit', 'withdrawal') AND subject IS NOT NULL
              AND NOT EXISTS (SELECT FROM trades_correction c WHERE c.id = t.subject)
        GROUP BY subject
    ) m ON m.subject = p.id""",
)

# What came back is one correction, which is about its payment, and one event that names it.
_RETURNED = """
SELECT coalesce(c.subject, e.payment_id), coalesce(c.amount::text, 'nothing'), coalesce(e.detail, 'no correction')
FROM (SELECT * FROM trades_correction WHERE kind = 'payment_returned' AND state = 'applied') c
FULL JOIN (SELECT * FROM trades_paymentevent WHERE became = 'returned') e ON e.payment_id = c.subject
LEFT JOIN trades_payment p ON p.id = c.subject
LEFT JOIN (
    SELECT subject, sum(amount) AS amount FROM accounts_transfer WHERE kind = 'payment_return_borne' GROUP BY subject
) b ON b.subject = c.id
WHERE c.id IS NULL OR e.id IS NULL OR e.detail <> replace(c.id::text, '-', '') OR p.id IS NULL
   OR p.state <> 'completed' OR p.type <> 'funding' OR p.customer_id <> c.customer_id OR p.asset_id <> c.asset_id
   OR c.amount > CASE p.side WHEN 'deposit' THEN p.deliver_amount ELSE p.receive_amount END
   OR c.direction <> CASE p.side WHEN 'deposit' THEN 'debit' ELSE 'credit' END
   OR b.amount > CASE WHEN c.needs_checker AND p.side = 'deposit' THEN c.amount ELSE 0 END
ORDER BY 1
"""

# What stands in `leaving` is what is held for payments under way.
_LEAVING = f"""
SELECT coalesce(a.id, p.customer_id), coalesce(a.asset_id, p.asset_id), coalesce(a.credits - a.debits, 0),
       coalesce(p.amount, 0)
FROM (SELECT * FROM accounts_ledgeraccount WHERE type = 'leaving') a
FULL JOIN (
    SELECT customer_id, asset_id, sum(deliver_amount) AS amount FROM trades_payment p
    WHERE state IN ('storing', 'pending', 'settling') AND {_IS_HELD} GROUP BY customer_id, asset_id
) p ON p.customer_id = a.customer_id AND p.asset_id = a.asset_id
WHERE coalesce(a.credits - a.debits, 0) <> coalesce(p.amount, 0)
ORDER BY 1
"""  # noqa: S608 - our own text

# What goes from one customer to another stays nowhere in between.
_BETWEEN = """
SELECT asset_id, sum(credits - debits) FROM accounts_ledgeraccount
WHERE type = 'between' GROUP BY asset_id HAVING sum(credits - debits) <> 0 ORDER BY 1
"""

# As for what is traded: one amount was given and kept. Either the fee is that of what is received, or that is the most
# which leaves room for it.
_FEE = "ceil(({received}) * fee_bps * 0.0001) + fee_fixed"
_OFFERED = f"""
SELECT id, receive_amount, deliver_amount, fee, fee_bps, fee_fixed FROM quotes_quote
WHERE product_type IN ('funding', 'book_transfer') AND NOT (fee = {_FEE.format(received="receive_amount")}
    OR fee > {_FEE.format(received="receive_amount")}
       AND receive_amount + 1 + {_FEE.format(received="receive_amount + 1")} > deliver_amount)
ORDER BY 1
"""  # noqa: S608 - our own text

# By a bank's files: an entry of a statement says what completed, and what came back; a payout is at its customer's own
# account, and of each file there are as many, and of as much, as it says.
_BY_FILE = wrong(
    "p.id",
    [
        differs(
            "entries",
            "coalesce(e.entries, 0)",
            "1",
            where="p.rail = 'bank_file' AND p.state = 'completed'",
        ),
        differs(
            "entries",
            "e.entries",
            "NULL::bigint",
            where="p.rail <> 'bank_file' OR p.state NOT IN ('settling', 'completed')",
        ),
        differs("came", "e.said", "p.said", where="p.rail = 'bank_file' AND e.entries = 1"),
        differs(
            "reference",
            "e.reference",
            "p.reference",
            where="p.rail = 'bank_file' AND p.state = 'completed' AND e.entries = 1",
        ),
        differs("returned", "e.returned", "coalesce(c.said, '')", where="e.returned <> ''"),
        differs("bank account", "p.account", "p.own", where="p.external_bank_account_id IS NOT NULL"),
    ],
    """FROM (
        SELECT p.*, concat_ws(' ', p.asset_id, CASE p.side WHEN 'deposit' THEN 'incoming' ELSE 'outgoing' END,
                CASE p.side WHEN 'deposit' THEN p.deliver_amount ELSE p.receive_amount END) AS said,
            concat_ws(' ', a.customer_id, a.asset_id) AS account, concat_ws(' ', p.customer_id, p.asset_id) AS own
        FROM trades_payment p LEFT JOIN accounts_externalbankaccount a ON a.id = p.external_bank_account_id
    ) p
    LEFT JOIN (
        SELECT payment_id, count(*) FILTER (WHERE reason = '') AS entries,
            max(concat_ws(' ', asset_id, direction, amount)) FILTER (WHERE reason = '') AS said,
            max(coalesce(nullif(bank_reference, ''), replace(id::text, '-', ''))) FILTER (WHERE reason = '')
                AS reference,
            coalesce(max(concat_ws(' ', coalesce(nullif(bank_reference, ''), replace(id::text, '-', '')), amount))
                FILTER (WHERE reason <> ''), '') AS returned
        FROM trades_statemententry WHERE state = 'matched' AND payment_id IS NOT NULL GROUP BY payment_id
    ) e ON e.payment_id = p.id
    LEFT JOIN (
        SELECT subject, concat_ws(' ', reference, amount) AS said FROM trades_correction
        WHERE kind = 'payment_returned' AND state = 'applied'
    ) c ON c.subject = p.id""",
)
# Who stands behind a deposit by file: whoever imported the statement that names it, or assigned the entry to it; above
# the limit, as it was when the deposit was booked, somebody else as well. Nobody's release stands at what was imported
# when one person alone booked it, whoever that was. The limit and the moment are those of the rows' own versions.
_BEHIND = """
SELECT p.id, p.deliver_amount, p.asset_id, found.why
FROM trades_payment p
LEFT JOIN trades_statemententry e ON e.payment_id = p.id AND e.state = 'matched' AND e.reason = ''
LEFT JOIN trades_statementfile f ON f.id = e.file_id
LEFT JOIN trades_statementrelease r ON r.file_id = f.id
CROSS JOIN LATERAL (SELECT CASE
    WHEN p.made_by_id IS NULL THEN CASE
        WHEN r.id IS NULL OR r.released_by_id IS NOT NULL OR e.decided_by_id IS NOT NULL THEN 'nobody' END
    WHEN p.made_by_id <> coalesce(e.decided_by_id, f.made_by_id, p.made_by_id)
        THEN 'somebody who neither imported nor assigned it'
    WHEN (NOT p.needs_checker OR p.checked_by_id IS NULL OR p.checked_by_id = p.made_by_id)
        AND p.deliver_amount > coalesce((
            SELECT (v.said ->> 'adjustment_limit')::numeric FROM accounts_rowversion v
            WHERE v.table_name = 'accounts_asset' AND v.row_key = p.asset_id AND v.at <= coalesce((
                SELECT min(b.at) FROM accounts_rowversion b
                WHERE b.table_name = 'trades_payment' AND b.row_key = p.id::text AND b.said ->> 'state' = 'completed'
            ), 'infinity')
            ORDER BY v.number DESC LIMIT 1
        ), (SELECT a.adjustment_limit FROM accounts_asset a WHERE a.code = p.asset_id))
        THEN 'one person alone, above the limit'
END AS why) found
WHERE p.rail = 'bank_file' AND p.side = 'deposit' AND p.state = 'completed' AND found.why IS NOT NULL ORDER BY 1
"""

_FILES = """
SELECT f.id, f.instructions_count, f.control_sums::text, count(*), sums.said::text
FROM trades_payment p JOIN trades_paymentfile f ON f.id = p.payment_file_id
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(asset_id, amount) AS said FROM (
        SELECT asset_id, sum(receive_amount)::text AS amount FROM trades_payment WHERE payment_file_id = f.id
        GROUP BY asset_id
    ) a
) sums
GROUP BY f.id, f.instructions_count, f.control_sums, sums.said
HAVING count(*) <> f.instructions_count OR sums.said <> f.control_sums ORDER BY 1
"""

_FACTS = facts("SELECT payment_id, id FROM trades_paymentevent WHERE payment_id = ANY(%(rows)s::uuid[])")
_QUOTE_OF = facts("SELECT id, quote_id FROM trades_payment WHERE id = ANY(%(rows)s::uuid[])")

CHECKS: Final = (
    statement("payment events", "trades_payment", _EVENTS, "Payment {0} is not what its events made it: {1}.", _FACTS),
    statement("payment quotes", "trades_payment", _QUOTES, "Payment {0} is not what its quote says: {1}.", _QUOTE_OF),
    statement("payment money", "trades_payment", _MOVED, "Payment {0} has not moved what its state says: {1}."),
    statement(
        "payment returns",
        "trades_payment",
        _RETURNED,
        "Payment {0} came back with {1}, by {2}: that isn't what its correction, its event and the payment itself say.",
    ),
    statement(
        "payments by file",
        "trades_payment",
        _BY_FILE,
        "Payment {0} is not what the bank's statements and its bank account say: {1}.",
    ),
    statement(
        "deposits by file",
        "trades_payment",
        _BEHIND,
        "Behind deposit {0}, {1} base units of {2}, stands the wrong person, or one too few: {3}.",
    ),
    statement(
        "payout files",
        "trades_paymentfile",
        _FILES,
        "File {0} says {1} payments of {2}; payouts say {3} of {4}.",
    ),
    statement(
        "leaving",
        "trades_payment",
        _LEAVING,
        "Account {0} holds {2} of {1} that is leaving; payments under way say {3}.",
    ),
    statement("between", "trades_payment", _BETWEEN, "Between customers {1} of {0} has stayed."),
    statement(
        "funding quotes",
        "quotes_quote",
        _OFFERED,
        "Quote {0} can't come to {1} received, {2} delivered and a fee of {3} ({4} bps and {5}).",
    ),
)
