"""What the export reads: accounts and transfers, page by page in the order of their ids."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

PAGE: Final = 5000  # rows in memory at a time


class ExportedAsset(NamedTuple):
    code: str
    decimals: int


class ExportedAccount(NamedTuple):
    """An account with its balance in base units, credits less debits; of a customer or of a bucket of the house."""

    id: UUID
    customer_id: UUID | None
    bucket: int | None
    asset: str
    type: str
    decimals: int
    balance: int


class AccountName(NamedTuple):
    """An account as a transfer names it."""

    customer_id: UUID | None
    bucket: int | None
    asset: str
    type: str


class ExportedTransfer(NamedTuple):
    """A movement of `amount` base units; `day` and `at` are UTC, `reference` is the outside's own, or empty."""

    id: UUID
    day: str
    at: str
    kind: str
    key: str
    reference: str
    customer_id: UUID | None
    subject: UUID | None
    asset: str
    decimals: int
    amount: int
    debit: AccountName
    credit: AccountName


class ExportedPrice(NamedTuple):
    """What a unit of one asset cost in another at the end of a day (UTC)."""

    day: date
    base: str
    counter: str
    price: Decimal


# A transfer whose account is gone is told all the same: that program finds as well what is wrong with it.
_TRANSFERS = """
SELECT t.id, to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
       to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), t.kind, t.key, coalesce(f.reference, ''),
       t.customer_id, t.subject, t.asset_id, coalesce(a.decimals, 0), t.amount,
       d.customer_id, d.bucket, coalesce(d.asset_id, t.asset_id), coalesce(d.type, 'nowhere'),
       c.customer_id, c.bucket, coalesce(c.asset_id, t.asset_id), coalesce(c.type, 'nowhere')
FROM (SELECT * FROM accounts_transfer WHERE id > %s ORDER BY id LIMIT %s) t
LEFT JOIN accounts_asset a ON a.code = t.asset_id
LEFT JOIN accounts_ledgeraccount d ON d.id = t.debit_account_id
LEFT JOIN accounts_ledgeraccount c ON c.id = t.credit_account_id
LEFT JOIN accounts_funding f ON f.transfer_id = t.id
ORDER BY t.id
"""
_ACCOUNTS = """
SELECT a.id, a.customer_id, a.bucket, a.asset_id, a.type, s.decimals, a.credits - a.debits
FROM accounts_ledgeraccount a JOIN accounts_asset s ON s.code = a.asset_id
WHERE a.id > %s ORDER BY a.id LIMIT %s
"""
_ASSETS = "SELECT code, decimals FROM accounts_asset ORDER BY code"
_FIRST_DAY = "SELECT to_char(min(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM accounts_transfer"


def assets() -> list[ExportedAsset]:
    return [ExportedAsset._make(row) for row in _rows(_ASSETS)]


def first_day() -> str:
    """The day of the earliest transfer, or one before any."""
    ((day,),) = _rows(_FIRST_DAY)
    return str(day) if day else "1970-01-01"


def accounts() -> Iterator[ExportedAccount]:
    for row in _paged(_ACCOUNTS):
        yield ExportedAccount._make((*row[:6], int(row[6])))


def transfers() -> Iterator[ExportedTransfer]:
    for row in _paged(_TRANSFERS):
        debit, credit = AccountName._make(row[11:15]), AccountName._make(row[15:19])
        yield ExportedTransfer._make((*row[:10], int(row[10]), debit, credit))


def _paged(query: str) -> Iterator[tuple[Any, ...]]:
    after = UUID(int=0)
    while page := _rows(query, after, PAGE):
        yield from page
        after = page[-1][0]


def _rows(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
