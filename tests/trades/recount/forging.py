"""What somebody with the owner's password can do to any row, and what verifying then says."""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts import audit
from tests.accounts.sealing import seal

_GUARDED = """
SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace AND c.relname !~ '^pg_'
"""


def forged(sql: str, *parameters: object) -> None:
    """Write around every trigger, once everything until now is sealed."""
    seal()
    unsealed_forged(sql, *parameters)


def unsealed_forged(sql: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(_GUARDED)
        tables = [name for (name,) in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql, parameters)
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def found() -> set[tuple[str, str]]:
    """What the recount finds, as (check, row), without what seals of quotes and nights and versions say of that row."""
    findings = audit.run(timezone.now(), verify=True).findings
    return {
        (finding["check"], finding["row"])
        for finding in findings
        if not finding["check"].startswith(("sealed quotes_quote", "sealed trades_swaprun", "versions of "))
    }


def told(check: str, row: UUID) -> list[str]:
    """What this check says of a row: a text for each thing that is wrong with it."""
    findings = audit.run(timezone.now()).findings
    sentences = [finding["sentence"] for finding in findings if (finding["check"], finding["row"]) == (check, row.hex)]
    return [one for sentence in sentences for one in sentence.partition(": ")[2].removesuffix(".").split("; ")]


def proven() -> set[tuple[str, str]]:
    """What the recount's own checks name as tampered with, as (check, row): whole sealed rows say otherwise."""
    findings = audit.run(timezone.now(), verify=True).findings
    return {
        (finding["check"], finding["row"])
        for finding in findings
        if finding["tampered"] and not finding["check"].startswith(("sealed ", "versions "))
    }


def named() -> set[str]:
    """The rows that verifying names as tampered with."""
    findings = audit.run(timezone.now(), verify=True).findings
    return {finding["row"] for finding in findings if finding["tampered"]}
