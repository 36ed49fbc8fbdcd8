"""The ledger's way of posting without a wait of its own: its statements travel with a caller's.

Part of the ledger, with the rules of `ledger.post` but one: a key that was posted before is no repetition here
but a contradiction, refused by the table. For the order engine, whose ticks are short and many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from accounts import ledger
from accounts.arrays import array, codes, numbers, uuids
from accounts.errors import InsufficientFunds
from accounts.ids import uuid7_hex
from accounts.ledger import Account, Balances, Locked
from accounts.ledger_copy import Posting
from accounts.pipeline import Part, ask

_LOCK = """
SELECT id, debits, credits, customer_id, bucket, asset_id, type FROM accounts_ledgeraccount
WHERE id = ANY(ARRAY(
    SELECT a.id FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS w(customer, asset, type)
    JOIN accounts_ledgeraccount a ON a.customer_id = w.customer AND a.asset_id = w.asset AND a.type = w.type
    UNION ALL
    SELECT a.id FROM unnest(%s::int[], %s::text[], %s::text[]) AS w(bucket, asset, type)
    JOIN accounts_ledgeraccount a
        ON a.customer_id IS NULL AND a.bucket = w.bucket AND a.asset_id = w.asset AND a.type = w.type
))
ORDER BY id FOR NO KEY UPDATE
"""

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


def ask_to_lock(accounts: Collection[Account]) -> Callable[[], Balances]:
    """Lock these accounts like `ledger.lock`, which is asked for those that are missing; call what this gives."""
    customers = [account for account in accounts if account.customer_id is not None]
    house = [account for account in accounts if account.customer_id is None]
    asked = ask(
        _LOCK,
        [
            uuids([account[0] for account in customers]),  # type: ignore[misc]
            codes([account.asset for account in customers]),
            codes([account.type for account in customers]),
            array(account.bucket for account in house),
            array(account.asset for account in house),
            array(account.type for account in house),
        ],
    )

    def read() -> Balances:
        found = {
            account: Locked(id_, account, int(debits), int(credits))
            for id_, debits, credits, *names in asked.rows()
            for account in (Account._make(names),)
        }
        if len(found) < len(accounts):
            found |= ledger.lock(account for account in accounts if account not in found)
        return found

    return read


def posting(postings: Sequence[Posting], *, at: datetime) -> list[Part]:
    """Movements, all or none, between accounts that this transaction has locked, as parts to be written.

    Totals in `Locked` follow at once. Raises InsufficientFunds when a customer's account would fall below zero;
    writing the parts raises IntegrityError when a key was posted before.
    """
    if not postings:
        return []
    sums: dict[int, tuple[Locked, list[int]]] = {}
    for p in postings:
        if p.amount <= 0 or p.credit.account.asset != p.debit.account.asset:
            raise ValueError(f"not a movement: {p}")
        sums.setdefault(id(p.debit), (p.debit, [0, 0]))[1][0] += p.amount
        sums.setdefault(id(p.credit), (p.credit, [0, 0]))[1][1] += p.amount
    for locked, (debits, credits) in sums.values():
        locked.debits += debits
        locked.credits += credits
        if locked.account.customer_id is not None and locked.balance < 0:
            raise InsufficientFunds(f"The {locked.account.type} balance of {locked.account.asset} does not cover this.")
    debited, credited, amounts, kinds, keys, customers, subjects = zip(*postings, strict=True)
    transfers = Part(
        _INSERT,
        [
            at,
            "{" + ",".join([uuid7_hex() for _ in postings]) + "}",
            uuids([locked.id for locked in debited]),
            uuids([locked.id for locked in credited]),
            codes([locked.account.asset for locked in debited]),
            numbers(amounts),
            codes(kinds),
            codes(keys),
            uuids(customers),
            uuids(subjects),
        ],
    )
    balances = Part(
        _ADD,
        [
            at,
            uuids([locked.id for locked, _ in sums.values()]),
            numbers([totals[0] for _, totals in sums.values()]),
            numbers([totals[1] for _, totals in sums.values()]),
        ],
        expected=len(sums),
    )
    return [transfers, balances]
