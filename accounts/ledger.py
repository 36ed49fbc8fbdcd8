"""Transfers and balances are written here, and in three modules that post as the ledger does, and nowhere else.

The three are `ledger_select.py`, `ledger_copy.py` and `ledger_pipeline.py`; each says in what it differs from `post`.

A movement debits one account and credits another of the same asset, so the books balance by
construction. The rules:

* Lock order: accounts are locked in primary-key order, after any orders or trades the caller locked.
* A movement's `key` is unique per customer: posting it again changes nothing.
* A customer's account never falls below zero: refused here, impossible by constraint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from accounts.arrays import array
from accounts.errors import InsufficientFunds, KeyReused
from accounts.ids import FIRM, partition_of, uuid7

AVAILABLE: Final = "available"
SETTLING: Final = "settling"
MARGIN: Final = "margin"
LEAVING: Final = "leaving"
LIQUIDITY: Final = "liquidity"
FEES: Final = "fees"
PROFIT: Final = "profit"
SWAP: Final = "swap"
PROTECTION: Final = "protection"
ADVANCES: Final = "advances"
EXTERNAL: Final = "external"
BETWEEN: Final = "between"
DIFFERENCES: Final = "differences"
ADJUSTMENTS: Final = "adjustments"
CAPITAL: Final = "capital"


class Account(NamedTuple):
    """Which account, by meaning: exactly one of customer and bucket is given."""

    customer_id: UUID | None
    bucket: int | None
    asset: str
    type: str


def customers(customer_id: UUID, asset: str, type: str) -> Account:  # noqa: A002 - the ledger's own word
    return Account(customer_id, None, asset, type)


def house(customer_id: UUID, asset: str, type: str) -> Account:  # noqa: A002
    """The house account that this customer's movements go through: the one of its partition."""
    return Account(None, partition_of(customer_id), asset, type)


def firm(asset: str, type: str) -> Account:  # noqa: A002
    """The house account of movements that belong to no customer: legs, differences, breaks."""
    return Account(None, FIRM, asset, type)


@dataclass(frozen=True, slots=True)
class Movement:
    """`amount` base units (> 0) from the debited to the credited account.

    `key` is the event's own name, e.g. `order:ord_…:open:margin`; `customer_id` scopes it.
    """

    debit: Account
    credit: Account
    amount: int
    kind: str
    key: str
    customer_id: UUID | None
    subject: UUID | None
    at: datetime


@dataclass(slots=True, eq=False)
class Locked:
    """An account's row, locked until the transaction ends, with its totals as of the lock."""

    id: UUID
    account: Account
    debits: int
    credits: int

    @property
    def balance(self) -> int:
        return self.credits - self.debits


Balances = dict[Account, Locked]
Sums = dict[Locked, list[Any]]  # by account: debited, credited, when

# The ids are an array, found before any row is locked. As a joined subquery they would be looked up again for a
# row that another transaction changed while this one waited for it, not be found, and the account be missing.
LOCK = """
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
LOOK: Final = LOCK.replace("FOR NO KEY UPDATE", "")

OPEN: Final = """
INSERT INTO accounts_ledgeraccount
    (id, customer_id, bucket, asset_id, type, name, debits, credits, created_at, updated_at)
SELECT id, customer, bucket, asset, type, '', 0, 0, now(), now()
FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::text[]) AS w(id, customer, bucket, asset, type)
ON CONFLICT DO NOTHING
"""

_INSERT = """
INSERT INTO accounts_transfer
    (id, debit_account_id, credit_account_id, asset_id, amount, kind, key, customer_id, subject, at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::numeric[], %s::text[], %s::text[],
                     %s::uuid[], %s::uuid[], %s::timestamptz[])
ON CONFLICT (customer_id, key) DO NOTHING
RETURNING id
"""

_SAID = """
SELECT t.customer_id, t.key, t.debit_account_id, t.credit_account_id, t.amount, t.kind
FROM accounts_transfer t
JOIN unnest(%s::uuid[], %s::text[]) AS w(customer, key)
    ON t.key = w.key AND t.customer_id IS NOT DISTINCT FROM w.customer
"""

_ADD = """
UPDATE accounts_ledgeraccount a
SET debits = a.debits + w.debit, credits = a.credits + w.credit, updated_at = w.at
FROM unnest(%s::uuid[], %s::numeric[], %s::numeric[], %s::timestamptz[]) AS w(id, debit, credit, at)
WHERE a.id = w.id
"""


def lock(accounts: Iterable[Account]) -> Balances:
    """Lock these accounts in primary-key order and read their balances; missing ones are opened.

    Must run inside a transaction. One statement when all exist.
    """
    wanted = list(dict.fromkeys(accounts))
    found = _locked(wanted)
    if missing := [account for account in wanted if account not in found]:
        with connection.cursor() as cursor:
            cursor.execute(OPEN, opening(missing))
        # Ids made just now sort after all the ones locked above, so this keeps the lock order.
        found |= _locked(missing)
    return found


def opening(accounts: Iterable[Account]) -> list[str]:
    """Accounts as `OPEN`'s parameters. For the ledger's own modules.

    Sorted: two transactions that open the same accounts wait for each other's rows in the same order.
    """
    new = sorted(accounts, key=str)
    return [
        array(uuid7() for _ in new),
        array(account.customer_id for account in new),
        array(account.bucket for account in new),
        array(account.asset for account in new),
        array(account.type for account in new),
    ]


def as_they_stand(accounts: Iterable[Account]) -> Balances:
    """These accounts without a lock, to reckon with and never to post to; one that is missing is empty."""
    wanted = list(dict.fromkeys(accounts))
    with connection.cursor() as cursor:
        cursor.execute(LOOK, named(wanted))
        found = read_locked(cursor.fetchall())
    return {account: found.get(account) or Locked(UUID(int=0), account, 0, 0) for account in wanted}


def _locked(accounts: Collection[Account]) -> Balances:
    with connection.cursor() as cursor:
        cursor.execute(LOCK, named(accounts))
        return read_locked(cursor.fetchall())


def named(accounts: Collection[Account]) -> list[str]:
    """Accounts as `LOCK`'s parameters. For the ledger's own modules."""
    of_customers = [account for account in accounts if account.customer_id is not None]
    of_house = [account for account in accounts if account.customer_id is None]
    return [
        array([account.customer_id for account in of_customers]),
        array([account.asset for account in of_customers]),
        array([account.type for account in of_customers]),
        array([account.bucket for account in of_house]),
        array([account.asset for account in of_house]),
        array([account.type for account in of_house]),
    ]


def read_locked(rows: Iterable[tuple[Any, ...]]) -> Balances:
    """What `LOCK` gives. For the ledger's own modules."""
    found = [(id_, Account._make(names), debits, credits) for id_, debits, credits, *names in rows]
    return {account: Locked(id_, account, int(debits), int(credits)) for id_, account, debits, credits in found}


def post(
    movements: Sequence[Movement], *, balances: Mapping[Account, Locked] | None = None, savepoint: bool = True
) -> int:
    """Post movements, all or none; a movement whose key was posted before changes nothing.

    Balances are locked in primary-key order, so opposite postings queue instead of deadlocking. A
    caller that has locked every account already passes what `lock` gave; its totals are brought up to date.
    A caller that gives up its whole transaction on a refusal may go without the savepoint.

    Returns how many movements were new. Raises InsufficientFunds when a customer's account would fall
    below zero, KeyReused when a key names a movement that said something else.
    """
    if not movements:
        return 0
    for movement in movements:
        if movement.amount <= 0 or movement.debit.asset != movement.credit.asset:
            raise ValueError(f"not a movement: {movement}")
    with transaction.atomic(savepoint=savepoint):
        if balances is None:
            balances = lock(account for m in movements for account in (m.debit, m.credit))
        new = _insert(movements, balances)
        _add(new, balances)
    return len(new)


def _insert(movements: Sequence[Movement], balances: Mapping[Account, Locked]) -> list[Movement]:
    """Write the transfers; give back those that weren't there before."""
    ids = [uuid7() for _ in movements]
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                array(ids),
                array(balances[m.debit].id for m in movements),
                array(balances[m.credit].id for m in movements),
                array(m.debit.asset for m in movements),
                array(m.amount for m in movements),
                array(m.kind for m in movements),
                array(m.key for m in movements),
                array(m.customer_id for m in movements),
                array(m.subject for m in movements),
                array(m.at for m in movements),
            ],
        )
        if cursor.rowcount == len(movements):
            return list(movements)
        written = {row[0] for row in cursor.fetchall()}
        repeated = [m for id_, m in zip(ids, movements, strict=True) if id_ not in written]
        cursor.execute(_SAID, [array(m.customer_id for m in repeated), array(m.key for m in repeated)])
        said = {(row[0], row[1]): row[2:] for row in cursor.fetchall()}
    for m in repeated:
        debit, credit, amount, kind = said[m.customer_id, m.key]
        if (debit, credit, int(amount), kind) != (balances[m.debit].id, balances[m.credit].id, m.amount, m.kind):
            raise KeyReused(f"The key {m.key} names another movement.")
    return [m for id_, m in zip(ids, movements, strict=True) if id_ in written]


def _add(movements: Sequence[Movement], balances: Mapping[Account, Locked]) -> None:
    sums: Sums = {}
    for m in movements:
        sums.setdefault(balances[m.debit], [0, 0, m.at])[0] += m.amount
        sums.setdefault(balances[m.credit], [0, 0, m.at])[1] += m.amount
    add(sums)


def refuse_overdrawn(sums: Sums) -> None:
    """Raise InsufficientFunds when a customer's account would fall below zero. For the ledger's own modules."""
    for locked, (debits, credits, _) in sums.items():
        name = locked.account
        if name.customer_id is not None and locked.credits + credits < locked.debits + debits:
            raise InsufficientFunds(f"The {name.type} balance of {name.asset} does not cover this.")


def follow(sums: Sums) -> None:
    """Bring the totals in `Locked` up to date with what is written of them. For the ledger's own modules."""
    for locked, (debits, credits, _) in sums.items():
        locked.debits += debits
        locked.credits += credits


def add(sums: Sums) -> None:
    """Bring the accounts' totals up to date, in the rows and in `Locked`. For the ledger's own modules."""
    refuse_overdrawn(sums)
    if not sums:
        return
    debited, credited, at = zip(*sums.values(), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [array(locked.id for locked in sums), array(debited), array(credited), array(at)])
    follow(sums)
