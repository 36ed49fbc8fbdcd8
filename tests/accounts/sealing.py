"""Sealed history in tests: sealing it at once, tampering with it, and what verifying names."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts import audit, seals, versions

TABLES = (
    "accounts_transfer",
    "accounts_ledgeraudit",
    "accounts_funding",
    "accounts_rowversion",
    "quotes_marketswitch",
    "quotes_pricehold",
    "quotes_quote",
    "trades_batchevent",
    "trades_deal",
    "trades_legreport",
    "trades_orderevent",
    "trades_swaprun",
    "trades_tradeevent",
)


def seal() -> seals.Sealed:
    """Seal everything there is, as if ten minutes had passed."""
    return seals.seal(in_ten_minutes())


def in_ten_minutes() -> datetime:
    """When all that was written until this very millisecond may be sealed."""
    time.sleep(0.002)
    return datetime.now(UTC) + seals.ID_LAG


def tampered(sql: str, *parameters: object) -> None:
    """What somebody with the owner's password can do: around every trigger and constraint check."""
    versioned = [one.table for one in versions.kept()]
    tables = (*TABLES, *versioned, "accounts_ledgeraccount", "accounts_sealblock", "accounts_journalentry")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql, parameters)
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def named(noted: str = "") -> set[tuple[str, str]]:
    """What verifying names as tampered with, as (check, row)."""
    findings = audit.run(timezone.now(), verify=True, noted=noted).findings
    return {(finding["check"], finding["row"]) for finding in findings if finding["tampered"]}


def in_consequence() -> set[tuple[str, str]]:
    findings = audit.run(timezone.now(), verify=True).findings
    return {(finding["check"], finding["row"]) for finding in findings if not finding["tampered"]}


def any_row(table: str) -> UUID:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table} ORDER BY id DESC LIMIT 1")
        return cursor.fetchone()[0]
