"""The ledger's way of posting movements that are certainly new: streamed with COPY, the fastest way into a table.

Part of the ledger, with the rules of `ledger.post` but one: a key that was posted before is no repetition here
but a contradiction, refused by the table. PostgreSQL inserts while the caller still makes the movements.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from accounts import ledger
from accounts.ids import uuid7_stream
from accounts.ledger import Locked, Sums


class Posting(NamedTuple):
    """A movement between two accounts that `ledger.lock` has locked in this transaction; else like `Movement`."""

    debit: Locked
    credit: Locked
    amount: int
    kind: str
    key: str
    customer_id: UUID
    subject: UUID


_COPY = """
COPY accounts_transfer
    (id, debit_account_id, credit_account_id, asset_id, amount, kind, key, customer_id, subject, at)
FROM STDIN
"""


@transaction.atomic(savepoint=False)
def post_new(postings: Iterable[Posting], *, at: datetime) -> None:
    """Post movements, all or none, for a caller that has just moved, under its lock, the row that their keys name.

    Without a savepoint: a refusal gives up the whole transaction. Raises InsufficientFunds when a customer's
    account would fall below zero, IntegrityError when a key was posted before.
    """
    sums: Sums = {}
    said_at = at.isoformat()
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for id_, (debit, credit, amount, kind, key, customer, subject) in zip(uuid7_stream(), postings, strict=False):
            asset = debit.account.asset
            if amount <= 0 or credit.account.asset != asset:
                raise ValueError(f"not a movement: {amount} from {debit.account} to {credit.account}")
            sums.setdefault(debit, [0, 0, at])[0] += amount
            sums.setdefault(credit, [0, 0, at])[1] += amount
            copy.write_row((id_, debit.id, credit.id, asset, amount, kind, key, customer, subject, said_at))
    ledger.add(sums)
