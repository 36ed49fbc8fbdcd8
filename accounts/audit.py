"""The recount of the books: every balance from its transfers, and whatever else is handed in to be checked.

Settings name the list of all checks (`AUDIT_CHECKS`), since most are about other apps' tables. Each is one set-based
question to PostgreSQL, so memory stays flat however long the history is. All of them look at one snapshot: postings
that go on meanwhile are no findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from accounts import kinds, seals, snapshot
from accounts.models import LedgerAudit

MOST_FINDINGS: Final = 1000  # per check: more would say no more


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which check says so, the row's id (or asset), and a sentence for a person.

    `tampered`: this very row was changed, added or removed by somebody who went around the system. Where it is
    false the row no longer adds up, perhaps only because another one was tampered with; only verifying can tell.
    """

    check: str
    row: str
    sentence: str
    tampered: bool = False


class Looked(NamedTuple):
    """What a check did: how many rows it looked at, and what it found (read lazily, at most MOST_FINDINGS)."""

    counted: int
    findings: Iterable[Finding]


Look = Callable[[], Looked]
Proof = Callable[[Collection[UUID]], Mapping[UUID, Collection[UUID]]]
"""Of rows that a check found wrong: the ids of the sealed rows that it compared each of them with."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the books. It looks in one read-only snapshot with the others, and must not write.

    `only_verifying`: it looks for tampering row by row, and runs only where that was asked for.
    `proof`: it compares rows that may change with sealed ones. Where those are all as they were sealed, the row that
    differs from them was itself changed.
    """

    name: str
    look: Look
    only_verifying: bool = False
    proof: Proof | None = None


def statement(name: str, table: str, sql: str, sentence: str, proof: Proof | None = None) -> Check:
    """A check that is one statement: of the rows of `table`, those that are wrong (see `found_by`)."""
    return Check(name, lambda: Looked(count_of(table), found_by(name, sql, sentence)), proof=proof)


def all_checks() -> tuple[Check, ...]:
    """The checks that settings name."""
    checks: tuple[Check, ...] = import_string(settings.AUDIT_CHECKS)
    return checks


def run(at: datetime, *, verify: bool = False, noted: str = "", checks: Sequence[Check] | None = None) -> LedgerAudit:
    """Run every check, keep the result as a row, and give it back. `checks`: these instead of all.

    `verify`: compare sealed history with its blocks, too, and tell the rows that were tampered with from those that
    no longer add up in consequence. `noted` is a head of the chain that was kept elsewhere.

    Raises:
        ValueError: two checks have one name.
    """
    counted, findings = _recount(all_checks() if checks is None else checks, verify, noted)
    return LedgerAudit.objects.create(
        at=at, ok=not findings, counted=counted, findings=[asdict(finding) for finding in findings]
    )


def _recount(checks: Sequence[Check], verify: bool, noted: str) -> tuple[dict[str, int], list[Finding]]:
    if twice := [name for name, count in Counter(it.name for it in checks).items() if count > 1]:
        raise ValueError(f"There are two checks named {twice[0]}.")
    always = [it for it in checks if not it.only_verifying]
    verifying = [it for it in checks if it.only_verifying and verify]
    jobs: list[Callable[[], Any]] = [partial(_look, it) for it in (*always, *verifying)]
    if verify:
        jobs.insert(0, lambda: seals.verify(noted))  # the longest first: the others then share what is left
    results = snapshot.ask(jobs)
    verified: seals.Verified | None = results.pop(0) if verify else None
    looked: dict[str, Looked] = dict(zip((it.name for it in (*always, *verifying)), results, strict=True))
    counted = {it.name: looked[it.name].counted for it in always}
    findings = [finding for it in always for finding in looked[it.name].findings]
    if verified is None:
        return counted, findings
    counted |= {f"sealed {table}": count for table, count in verified.rows.items()} | {"seals": verified.blocks}
    counted |= {it.name: looked[it.name].counted for it in verifying}
    named = [Finding(f"sealed {it.table}", it.row, it.sentence, tampered=True) for it in verified.tampered]
    named += [finding for it in verifying for finding in looked[it.name].findings]
    changed = _changed_themselves(findings, checks, verified)
    return counted, named + [replace(it, tampered=True) if it in changed else it for it in findings]


def _look(check: Check) -> Looked:
    counted, findings = check.look()
    return Looked(counted, list(islice(findings, MOST_FINDINGS)))


def _changed_themselves(findings: list[Finding], checks: Sequence[Check], verified: seals.Verified) -> set[Finding]:
    """Which findings name a row that was itself changed, because sealed history that is whole says otherwise.

    A balance differs from its transfers, none of which is named; a row differs from the sealed rows of its proof, all
    of which are sealed and as they were. Where a row was removed, nobody knows which row it would have spoken of.
    """
    if verified.is_blind:
        return set()
    changed = {it for it in findings if it.check == "balances" and not verified.touches(UUID(it.row))}
    if verified.lacks_rows:
        return changed
    for check in checks:
        accused = {UUID(it.row): it for it in findings if it.check == check.name} if check.proof else {}
        if not check.proof or not accused:
            continue
        facts = check.proof(accused.keys())
        genuine = verified.genuine({fact for spoken in facts.values() for fact in spoken})
        changed |= {it for row, it in accused.items() if (spoken := facts.get(row)) and genuine.issuperset(spoken)}
    return changed


def found_by(check: str, sql: str, sentence: str) -> Iterator[Finding]:
    """Findings from a query whose first column is the row's id; `sentence` is formatted with all columns.

    Apart from the LIMIT, lest it be planned as if the first rows were likely to be wrong.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"WITH wrong AS MATERIALIZED ({sql}) SELECT * FROM wrong LIMIT {MOST_FINDINGS}")  # noqa: S608
        rows = cursor.fetchall()
    for row in rows:
        shown = [_shown(value) for value in row]
        yield Finding(check, shown[0], sentence.format(*shown))


def count_of(table: str) -> int:
    """How many rows a table has in this snapshot."""
    return snapshot.once(table, partial(_count, table))


def _count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - names come from the checks alone
        return int(cursor.fetchone()[0])


def _shown(value: Any) -> str:
    return value.hex if isinstance(value, UUID) else str(value)


def _quoted(*words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in chain(*words))


# --- the ledger's own checks -----------------------------------------------------------------------

_ASSETS = """
SELECT asset_id, sum(credits) - sum(debits) FROM accounts_ledgeraccount
GROUP BY asset_id HAVING sum(credits) <> sum(debits) ORDER BY asset_id
"""

_BALANCES = """
SELECT coalesce(a.id, moved.account), a.debits, a.credits, coalesce(moved.debits, 0), coalesce(moved.credits, 0)
FROM accounts_ledgeraccount a
FULL JOIN (
    SELECT account, sum(debit) AS debits, sum(credit) AS credits FROM (
        SELECT debit_account_id AS account, amount AS debit, 0 AS credit FROM accounts_transfer
        UNION ALL
        SELECT credit_account_id, 0, amount FROM accounts_transfer
    ) sides GROUP BY account
) moved ON moved.account = a.id
WHERE a.id IS NULL OR a.debits <> coalesce(moved.debits, 0) OR a.credits <> coalesce(moved.credits, 0)
ORDER BY 1
"""

_FLOORS = """
SELECT id, credits - debits FROM accounts_ledgeraccount WHERE customer_id IS NOT NULL AND credits < debits ORDER BY id
"""

# What a transfer has to do with its two accounts, in one pass: what they hold, whose they are, and whether its kind
# moves money between such (accounts/kinds.py). Of one without an account the kind itself is judged.
# Apart from the LIMIT, lest it be planned as if the first rows were likely to be wrong.
_OF_ACCOUNTS = f"""
WITH wrong AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT t.id, t.kind, coalesce(d.type, 'nothing') AS debited, coalesce(c.type, 'nothing') AS credited,
               (d.asset_id = t.asset_id AND c.asset_id = t.asset_id) IS NOT TRUE AS another_asset,
               coalesce(d.customer_id <> t.customer_id, d.customer_id IS NOT NULL)
                   OR coalesce(c.customer_id <> t.customer_id, c.customer_id IS NOT NULL) AS another_owner,
               coalesce(t.kind || d.debited || c.credited, t.kind)
                   <> ALL (ARRAY[{_quoted(kinds.allowed(), kinds.KINDS)}]) AS another_kind
        FROM accounts_transfer t
        LEFT JOIN (SELECT *, ':' || type AS debited FROM accounts_ledgeraccount) d ON d.id = t.debit_account_id
        LEFT JOIN (SELECT *, '>' || type AS credited FROM accounts_ledgeraccount) c ON c.id = t.credit_account_id
    ) judged
    WHERE another_asset OR another_owner OR another_kind
)
SELECT id, another_asset, another_owner, another_kind, kind, debited, credited FROM wrong
ORDER BY id LIMIT {3 * MOST_FINDINGS}
"""  # noqa: S608 - our own words

_SENTENCES = (
    ("sides", "Transfer {} moves another asset than its two accounts hold."),
    ("owners", "Transfer {} touches an account of another customer than its own."),
    ("kinds", "Transfer {} is a {} from {} to {}: no such kind moves money between these."),
)

_ACCOUNTS, _TRANSFERS = "accounts_ledgeraccount", "accounts_transfer"


def _of_accounts() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(_OF_ACCOUNTS)
        rows = cursor.fetchall()
    for turn, (check, sentence) in enumerate(_SENTENCES, start=1):
        for row in [row for row in rows if row[turn]][:MOST_FINDINGS]:
            yield Finding(check, row[0].hex, sentence.format(row[0].hex, *row[4:]))


CHECKS: Final = (
    statement("assets", _ACCOUNTS, _ASSETS, "All balances of {0} together are {1} instead of 0."),
    statement(
        "balances",
        _ACCOUNTS,
        _BALANCES,
        "Account {0} says debits {1}, credits {2}; its transfers say debits {3}, credits {4}.",
    ),
    statement("floors", _ACCOUNTS, _FLOORS, "Account {0} of a customer is at {1}."),
    Check("sides", lambda: Looked(count_of(_TRANSFERS), _of_accounts())),
    Check("owners", lambda: Looked(count_of(_TRANSFERS), ())),  # found by the same pass as the sides
    Check("kinds", lambda: Looked(count_of(_TRANSFERS), ())),  # so are these
)
