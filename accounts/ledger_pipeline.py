"""The ledger's way of posting without a wait of its own: its statements travel with a caller's.

Part of the ledger, with the rules of `ledger.post` but one: a key that was posted before is no repetition here
but a contradiction, refused by the table. For the order engine, whose ticks are short and many.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from accounts import ledger
from accounts.arrays import array, new_ids
from accounts.db.pipeline import Pending, Pipeline, Rows
from accounts.db.writing import Part
from accounts.ledger import Account, Balances, Sums
from accounts.ledger_copy import Posting

_INSERT = """
INSERT INTO accounts_transfer
    (id, debit_account_id, credit_account_id, asset_id, amount, kind, key, customer_id, subject, at)
SELECT w.*, %s FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::numeric[], %s::text[], %s::text[],
                           %s::uuid[], %s::uuid[]) AS w
"""

_ADD = """
UPDATE accounts_ledgeraccount a
SET debits = a.debits + w.debit, credits = a.credits + w.credit, updated_at = %s
FROM unnest(%s::uuid[], %s::numeric[], %s::numeric[]) AS w(id, debit, credit)
WHERE a.id = w.id
"""


def lock(p: Pipeline, accounts: Collection[Account]) -> Pending[Balances]:
    """Lock these accounts like `ledger.lock`; none of them twice."""

    def read(rows: Rows) -> Balances:
        found = ledger.read_locked(rows)
        if len(found) < len(accounts):
            missing = [account for account in accounts if account not in found]
            p.send(ledger.OPEN, ledger.opening(missing))
            found |= p.send(ledger.LOCK, ledger.named(missing), ledger.read_locked).result()
        return found

    return p.send(ledger.LOCK, ledger.named(accounts), read)


def posting(postings: Sequence[Posting], *, at: datetime) -> list[Part]:
    """Movements, all or none, between accounts that this transaction has locked, as parts to be written.

    Totals in `Locked` follow at once. Raises InsufficientFunds when a customer's account would fall below zero;
    writing the parts raises IntegrityError when a key was posted before.
    """
    if not postings:
        return []
    sums: Sums = {}
    for p in postings:
        if p.amount <= 0 or p.credit.account.asset != p.debit.account.asset:
            raise ValueError(f"not a movement: {p}")
        sums.setdefault(p.debit, [0, 0, at])[0] += p.amount
        sums.setdefault(p.credit, [0, 0, at])[1] += p.amount
    ledger.refuse_overdrawn(sums)
    ledger.follow(sums)
    debited, credited, amounts, kinds, keys, customers, subjects = zip(*postings, strict=True)
    transfers = Part(
        _INSERT,
        [
            at,
            new_ids(len(postings)),
            array([locked.id for locked in debited]),
            array([locked.id for locked in credited]),
            array([locked.account.asset for locked in debited]),
            array(amounts),
            array(kinds),
            array(keys),
            array(customers),
            array(subjects),
        ],
    )
    balances = Part(
        _ADD,
        [
            at,
            array([locked.id for locked in sums]),
            array([totals[0] for totals in sums.values()]),
            array([totals[1] for totals in sums.values()]),
        ],
        expected=len(sums),
    )
    return [transfers, balances]
