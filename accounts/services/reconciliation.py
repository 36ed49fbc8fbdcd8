"""The books beside a statement from outside: what the ledger says is outside, what the bank and the providers say.

What is outside by the books is the negative of all `external` accounts. A run and its lines are kept as rows. An asset
that drifts has one open break, which a later run without that drift resolves; a drift that changed is another break.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from accounts import clock, conflicts
from accounts.db import locks
from accounts.errors import BadStatement, Malformed
from accounts.identity import SYSTEM, Actor
from accounts.ids import ID_LAG, floor_of
from accounts.models import Asset, Break, ReconciliationLine, ReconciliationRun
from accounts.money import exact, parse_decimal, why_not_kept
from accounts.services import breaks

log = logging.getLogger(__name__)

HEADER: Final = ["asset", "balance"]
LONGEST_STATEMENT: Final = 1_000_000  # bytes
LONGEST_SOURCE: Final = 200
_MOST: Final = 10**37  # base units: its difference to whatever the books hold still fits NUMERIC(38,0)

# One statement, so one snapshot: balances and the transfers since are of the same moment.
_OUTSIDE = """
SELECT asset_id, sum(amount) FROM (
    SELECT asset_id, debits - credits AS amount FROM accounts_ledgeraccount WHERE type = 'external'
    UNION ALL
    SELECT t.asset_id, -t.amount
    FROM accounts_transfer t JOIN accounts_ledgeraccount a ON a.id = t.debit_account_id AND a.type = 'external'
    WHERE t.id >= %(since)s AND t.at > %(as_of)s
    UNION ALL
    SELECT t.asset_id, t.amount
    FROM accounts_transfer t JOIN accounts_ledgeraccount a ON a.id = t.credit_account_id AND a.type = 'external'
    WHERE t.id >= %(since)s AND t.at > %(as_of)s
) m GROUP BY asset_id
"""


def ledger_outside(as_of: datetime) -> dict[str, int]:
    """What is outside by the books as of a moment, per asset in base units: today's less what moved since."""
    since = floor_of(clock.real_of(as_of) - ID_LAG)
    with connection.cursor() as cursor:
        cursor.execute(_OUTSIDE, {"since": since, "as_of": as_of})
        return {asset: int(amount) for asset, amount in cursor.fetchall()}


def reconcile(statement: bytes, *, source: str, as_of: datetime, at: datetime, by: Actor = SYSTEM) -> ReconciliationRun:
    """Compare the books with a statement (CSV: asset,balance in units of the asset) and keep the result.

    An asset that the books hold and the statement leaves out counts as zero there. Breaks are opened and resolved by
    the run of the latest moment only: what an older statement says is history. Raises BadStatement, Malformed.
    """
    if as_of > at:
        raise Malformed("A statement's time can't lie in the future.")
    said = dict(_read(statement))
    run = _compared(statement, said, source, as_of, at, by)
    log.info("reconciliation %s as of %s by %s: ok %s", run.pk.hex, as_of, by, run.ok)
    return run


@conflicts.atomic
def _compared(
    statement: bytes, said: Mapping[str, int], source: str, as_of: datetime, at: datetime, by: Actor
) -> ReconciliationRun:
    locks.hold(locks.RECONCILIATION)
    booked = ledger_outside(as_of)
    assets = sorted(said.keys() | {asset for asset, amount in booked.items() if amount})
    drifts = {asset: said.get(asset, 0) - booked.get(asset, 0) for asset in assets}
    is_latest = not ReconciliationRun.objects.filter(as_of__gt=as_of).exists()
    run = ReconciliationRun.objects.create(
        as_of=as_of,
        at=at,
        made_by_id=by.user_id,
        source=source[-LONGEST_SOURCE:],
        source_sha256=hashlib.sha256(statement).hexdigest(),
        ok=not any(drifts.values()),
    )
    ReconciliationLine.objects.bulk_create(
        ReconciliationLine(run=run, asset_id=asset, ledger=booked.get(asset, 0), statement=said.get(asset, 0))
        for asset in assets
    )
    if is_latest:
        _update_breaks(run, drifts)
    return run


def _update_breaks(run: ReconciliationRun, drifts: Mapping[str, int]) -> None:
    """Resolve the breaks whose drift is gone or another one, and open one for each drift that has none."""
    kept = set()
    of_runs = Break.objects.select_for_update(no_key=True).filter(
        kind=Break.Kind.RECONCILIATION, state=Break.State.OPEN
    )
    for found in of_runs.order_by("pk"):
        drift = drifts.get(found.asset_id, 0)
        if drift == int(found.amount):
            kept.add(found.asset_id)
            continue
        what = "The drift changed with" if drift else "No drift any more in"
        breaks.resolve(found, f"{what} run {run.pk.hex} as of {run.as_of.isoformat()}.", run.at)
    Break.objects.bulk_create(
        Break(
            kind=Break.Kind.RECONCILIATION,
            asset_id=asset,
            amount=drift,
            note=run.source,
            opened_at=run.at,
        )
        for asset, drift in drifts.items()
        if drift and asset not in kept
    )


# --- the statement ---------------------------------------------------------------------------------


def _read(statement: bytes) -> Iterator[tuple[str, int]]:
    """Asset and balance in base units, line by line. Raises BadStatement, which names the line."""
    rows = csv.reader(io.StringIO(_text(statement), newline=""), strict=True)
    decimals = dict(Asset.objects.values_list("code", "decimals"))
    seen: set[str] = set()
    header: list[str] | None = None
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            cells = [cell.strip() for cell in row]
            if header is None:
                header = [cell.lower() for cell in cells]
                if header != HEADER:
                    raise BadStatement(f"Line {rows.line_num}: the first line must be asset,balance.")
                continue
            yield _line(cells, rows.line_num, decimals, seen)
    except csv.Error as error:
        raise BadStatement(f"Line {rows.line_num}: {error}.") from None
    if header is None:
        raise BadStatement("The statement is empty; its first line must be asset,balance.")


def _text(statement: bytes) -> str:
    if len(statement) > LONGEST_STATEMENT:
        raise BadStatement(f"The statement is longer than {LONGEST_STATEMENT:,} bytes.")
    try:
        return statement.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = statement[: error.start].count(b"\n") + 1
        raise BadStatement(f"Line {line}: this is not UTF-8 text.") from None


@exact
def _line(cells: list[str], line: int, decimals: Mapping[str, int], seen: set[str]) -> tuple[str, int]:
    if len(cells) != len(HEADER):
        raise BadStatement(f"Line {line}: {len(cells)} fields instead of asset,balance.")
    code, text = cells[0].upper(), cells[1]
    if code not in decimals:
        raise BadStatement(f"Line {line}: there is no asset {cells[0][:20]!r}.")
    if code in seen:
        raise BadStatement(f"Line {line}: {code} appears twice.")
    seen.add(code)
    value = parse_decimal(text)
    if value is None:
        why = why_not_kept(text)
        raise BadStatement(f"Line {line}: {text[:40]!r} is not a balance{why and f': it {why}'}.")
    units, rest = divmod(value.scaleb(decimals[code]), 1)
    if rest:
        raise BadStatement(f"Line {line}: {text[:40]} has more decimals than {code}, which has {decimals[code]}.")
    if abs(units) > _MOST:
        raise BadStatement(f"Line {line}: {text[:40]} {code} is more than there can be.")
    return code, int(units)


def lines_of(run_id: UUID) -> list[ReconciliationLine]:
    """A run's lines in the order of the assets' codes."""
    return list(ReconciliationLine.objects.filter(run_id=run_id).select_related("asset").order_by("asset_id"))
