"""The ledger's way of posting very many movements at once: what a SELECT gives, and nothing passes through Python.

Part of the ledger, with the rules of `ledger.post`: accounts locked in primary-key order, a key posted before changes
nothing, all or none. What differs is that the accounts must exist, and that the table's own floor is what refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts.errors import KeyReused

# A type belongs to customers or to the house, so of each two one can match. Each account is looked up by its name: as a
# join, where statistics are old, it would go through all accounts for every slice of a batch.
_NAMED = """coalesce(
        (SELECT id FROM accounts_ledgeraccount a
         WHERE (a.customer_id, a.asset_id, a.type) = (w.customer_id, w.asset_id, {type})),
        (SELECT id FROM accounts_ledgeraccount a
         WHERE a.customer_id IS NULL AND (a.bucket, a.asset_id, a.type) = (w.bucket, w.asset_id, {type}))
    )"""
_SELECTED = f"""
WITH selected AS MATERIALIZED (
    SELECT w.customer_id, w.asset_id, w.amount, w.key,
        {_NAMED.format(type="w.debited")} AS debit,
        {_NAMED.format(type="w.credited")} AS credit
    FROM ({{select}}) w
)
"""  # noqa: S608 - our own text

# Each part needs the one before it, so all accounts are locked, by id, before the first of them is changed. What
# somebody changed since the statement began is not lost: READ COMMITTED adds to the row as it was when it was locked.
_POST = """
{selected},
unknown AS MATERIALIZED (
    SELECT count(*) AS accounts FROM selected WHERE debit IS NULL OR credit IS NULL
),
locked AS MATERIALIZED (
    SELECT id FROM accounts_ledgeraccount
    WHERE id = ANY(ARRAY(SELECT debit FROM selected UNION SELECT credit FROM selected))
    ORDER BY id FOR NO KEY UPDATE
),
written AS (
    INSERT INTO accounts_transfer
        (id, debit_account_id, credit_account_id, asset_id, amount, kind, key, customer_id, subject, at)
    SELECT new_uuid7(), debit, credit, asset_id, amount, %(kind)s, key, customer_id, %(subject)s, %(at)s FROM selected
    WHERE (SELECT accounts FROM unknown) = 0 AND (SELECT count(*) FROM locked) > 0
    ON CONFLICT (customer_id, key) DO NOTHING
    RETURNING debit_account_id, credit_account_id, amount
),
added AS (
    UPDATE accounts_ledgeraccount a
    SET debits = a.debits + w.debits, credits = a.credits + w.credits, updated_at = %(at)s
    FROM (
        SELECT account, sum(debits) AS debits, sum(credits) AS credits
        FROM (
            SELECT debit_account_id AS account, amount AS debits, 0 AS credits FROM written
            UNION ALL SELECT credit_account_id, 0, amount FROM written
        ) both_sides GROUP BY account
    ) w
    WHERE a.id = w.account
)
SELECT (SELECT accounts FROM unknown), (SELECT count(*) FROM selected), (SELECT count(*) FROM written)
"""

_CONTRADICTED = """
{selected}
SELECT t.key FROM selected s
JOIN accounts_transfer t ON t.key = s.key AND t.customer_id = s.customer_id
WHERE (t.debit_account_id, t.credit_account_id, t.amount, t.kind) <> (s.debit, s.credit, s.amount, %(kind)s)
LIMIT 1
"""


@transaction.atomic
def post_selected(select: str, params: Mapping[str, Any], *, kind: str, subject: UUID | None, at: datetime) -> int:
    """Post what a SELECT gives, between accounts that exist; `post` for very many.

    `select` is our own SQL and yields customer_id, asset_id, amount (base units, > 0), key, the types of the accounts
    `debited` and `credited`, and `bucket`, where one of them is the house's. The caller holds locks on what it reads.

    Returns how many movements were new. Raises KeyReused when a key names a movement that said something else,
    IntegrityError when an account would fall below zero, RuntimeError when one isn't there.
    """
    given = dict(params, kind=kind, subject=subject, at=at)
    selected = _SELECTED.format(select=select)
    with connection.cursor() as cursor:
        cursor.execute(_POST.format(selected=selected), given)
        unknown, found, written = cursor.fetchone()
        if unknown:
            raise RuntimeError("A movement names an account that nobody opened: nothing is posted.")
        if written != found:
            cursor.execute(_CONTRADICTED.format(selected=selected), given)
            if contradicted := cursor.fetchone():
                raise KeyReused(f"The key {contradicted[0]} names another movement.")
    return int(written)
