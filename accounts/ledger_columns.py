"""The ledger's way of posting very many movements at once: columns in, no row passes through Python.

Part of the ledger, with the rules of `ledger.post`: accounts locked in primary-key order, a key posted before
changes nothing, all or none, a customer's account never below zero. What differs is the form: the caller's own
SQL gives whole columns as array literals (`array_agg(…)::text`), which go back to PostgreSQL as they came.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from accounts.arrays import array
from accounts.errors import KeyReused
from accounts.ids import uuid7
from accounts.models import LedgerAccount


class Columns(NamedTuple):
    """Array literals of equal length: whose movement, of which asset, base units (> 0), under which key."""

    customers: str
    assets: str
    amounts: str
    keys: str


OF_CUSTOMERS: Final = frozenset({LedgerAccount.Type.AVAILABLE, LedgerAccount.Type.SETTLING, LedgerAccount.Type.MARGIN})

_WANTED = """
unnest(%(customers)s::uuid[], %(assets)s::text[], %(amounts)s::numeric[], %(keys)s::text[])
    AS w(customer, asset, amount, key)
"""
_OWN = "{side}.customer_id = w.customer AND {side}.asset_id = w.asset AND {side}.type = %({side}_type)s"
_HOUSE = (
    "{side}.customer_id IS NULL AND {side}.bucket = p.partition"
    " AND {side}.asset_id = w.asset AND {side}.type = %({side}_type)s"
)

# The ids first, as arrays: a locking join would look a row up again that changed while it was waited for.
_FIND = """
SELECT array_agg(d.id)::text, array_agg(c.id)::text, array_agg(w.customer)::text, array_agg(w.asset)::text,
       array_agg(w.amount)::text, array_agg(w.key)::text, count(*), count(d.id), count(c.id)
FROM {wanted}
JOIN accounts_customer p ON p.id = w.customer
LEFT JOIN accounts_ledgeraccount d ON {debit}
LEFT JOIN accounts_ledgeraccount c ON {credit}
"""

_MISSING = """
SELECT DISTINCT {owner}, w.asset FROM {wanted}
JOIN accounts_customer p ON p.id = w.customer
LEFT JOIN accounts_ledgeraccount d ON {side}
WHERE d.id IS NULL ORDER BY 1, 2
"""

_OPEN = """
INSERT INTO accounts_ledgeraccount
    (id, customer_id, bucket, asset_id, type, name, debits, credits, created_at, updated_at)
SELECT id, {customer}, {bucket}, asset, %s, '', 0, 0, %s, %s
FROM unnest(%s::uuid[], %s::{kind}[], %s::text[]) AS w(id, owner, asset)
ON CONFLICT DO NOTHING
"""

_LOCK = """
SELECT count(*) FROM (
    SELECT id FROM accounts_ledgeraccount WHERE id = ANY(%s::uuid[] || %s::uuid[]) ORDER BY id FOR NO KEY UPDATE
) locked
"""

_POST = """
WITH written AS (
    INSERT INTO accounts_transfer
        (id, debit_account_id, credit_account_id, asset_id, amount, kind, key, customer_id, subject, at)
    SELECT new_uuid7(), debit, credit, asset, amount, %(kind)s, key, customer, %(subject)s, %(at)s
    FROM unnest(%(debits)s::uuid[], %(credits)s::uuid[], %(assets)s::text[], %(amounts)s::numeric[],
                %(keys)s::text[], %(customers)s::uuid[]) AS w(debit, credit, asset, amount, key, customer)
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
SELECT count(*) FROM written
"""

_CONTRADICTED = """
SELECT t.key
FROM unnest(%(debits)s::uuid[], %(credits)s::uuid[], %(amounts)s::numeric[], %(keys)s::text[],
            %(customers)s::uuid[]) AS w(debit, credit, amount, key, customer)
JOIN accounts_transfer t ON t.key = w.key AND t.customer_id = w.customer
WHERE (t.debit_account_id, t.credit_account_id, t.amount, t.kind) <> (w.debit, w.credit, w.amount, %(kind)s)
LIMIT 1
"""


@transaction.atomic(savepoint=False)
def post_columns(
    columns: Columns, *, debit_type: str, credit_type: str, kind: str, subject: UUID | None, at: datetime
) -> int:
    """Post a movement per element, from each customer's `debit_type` account to its `credit_type` account.

    A house type means the house account of the customer's bucket. Accounts that are missing are opened.

    Returns how many movements were new. Raises KeyReused when a key names a movement that said something else,
    and IntegrityError (the table's own floor) when an account would fall below zero.
    """
    given: dict[str, Any] = {**columns._asdict(), "d_type": debit_type, "c_type": credit_type}
    with connection.cursor() as cursor:
        found = _found(cursor, given, debit_type, credit_type)
        if found is None:
            for type_ in (debit_type, credit_type):
                _open(cursor, given, type_, at)
            found = _found(cursor, given, debit_type, credit_type)
        if found is None:
            raise RuntimeError("accounts that were just opened are missing")
        if not found["wanted"]:
            return 0
        cursor.execute(_LOCK, [found["debits"], found["credits"]])
        posting = {**found, "kind": kind, "subject": subject, "at": at}
        cursor.execute(_POST, posting)
        written = int(cursor.fetchone()[0])
        if written != found["wanted"]:
            cursor.execute(_CONTRADICTED, posting)
            if row := cursor.fetchone():
                raise KeyReused(f"The key {row[0]} names another movement.")
    return written


def _join(side: str, type_: str) -> str:
    return (_OWN if type_ in OF_CUSTOMERS else _HOUSE).format(side=side)


def _found(cursor: CursorWrapper, given: dict[str, Any], debit_type: str, credit_type: str) -> dict[str, Any] | None:
    """The columns with both accounts' ids beside them; None where an account is missing."""
    statement = _FIND.format(wanted=_WANTED, debit=_join("d", debit_type), credit=_join("c", credit_type))
    cursor.execute(statement, given)
    debits, credits, customers, assets, amounts, keys, wanted, has_debit, has_credit = cursor.fetchone()
    if has_debit != wanted or has_credit != wanted:
        return None
    return {
        "debits": debits,
        "credits": credits,
        "customers": customers,
        "assets": assets,
        "amounts": amounts,
        "keys": keys,
        "wanted": wanted,
    }


def _open(cursor: CursorWrapper, given: dict[str, Any], type_: str, at: datetime) -> None:
    """Open the accounts of a type that are missing, in one order everywhere; new ids sort after all others."""
    is_own = type_ in OF_CUSTOMERS
    missing = _MISSING.format(owner="w.customer" if is_own else "p.partition", wanted=_WANTED, side=_join("d", type_))
    cursor.execute(missing, {**given, "d_type": type_})
    rows = cursor.fetchall()
    if not rows:
        return
    statement = (
        _OPEN.format(customer="owner", bucket="NULL", kind="uuid")
        if is_own
        else _OPEN.format(customer="NULL", bucket="owner", kind="int")
    )
    ids = array(uuid7() for _ in rows)
    owners, assets = array(row[0] for row in rows), array(row[1] for row in rows)
    cursor.execute(statement, [type_, at, at, ids, owners, assets])
