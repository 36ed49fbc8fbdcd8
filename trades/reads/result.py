"""The firm's result of a day, a week or a month: by how much the house's own accounts have changed.

It is made of the ledger's transfers alone, by their time (the firm's), so it is what the accounts say, and its parts
add up to the change of their balances. What comes from the owners, or is paid to them, is told by itself: it is no
result. What customers' open positions would bring is no transfer yet, so it is told as of now only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from django.db import connection

from accounts import clock
from accounts.arrays import array
from accounts.errors import Malformed
from accounts.ids import ID_LAG, floor_of
from trades.reads.best_execution import FIRST, LAST


class Span(StrEnum):
    DAY = "day"
    WEEK = "week"  # from Monday on
    MONTH = "month"


# House accounts whose change is the firm's result, and what the column is called.
PARTS: Final = {
    "profit": "Realised",
    "swap": "Swap",
    "fees": "Fees",
    "protection": "Protection",
    "advances": "Advances",
    "differences": "Differences",
    "adjustments": "Adjustments",
}
_CAPITAL: Final = "capital"  # what the owners put in, and no part of a result
OWNERS: Final = ("capital_in", "profit_out", "fees_out")

# A house account's change is what it was credited less what it was debited. A movement between two of them is in both.
_CHANGES: Final = """
WITH house AS (
    SELECT id, asset_id, type FROM accounts_ledgeraccount WHERE customer_id IS NULL AND type = ANY(%(types)s::text[])
)
SELECT h.asset_id, h.type, t.kind = ANY(%(owners)s::text[]),
    sum(CASE WHEN t.credit_account_id = h.id THEN t.amount ELSE -t.amount END)
FROM accounts_transfer t JOIN house h ON h.id = t.credit_account_id OR h.id = t.debit_account_id
WHERE t.id >= %(first)s AND t.id < %(last)s AND t.at >= %(since)s AND t.at < %(until)s
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one asset, base units: by part (`PARTS`), and what the firm's owners put in (above zero) or took out."""

    asset: str
    parts: dict[str, int]
    owners: int

    @property
    def total(self) -> int:
        """All parts together, without what the owners moved."""
        return sum(self.parts.values())


def period(day: date, span: Span) -> tuple[datetime, datetime]:
    """The span that a day lies in: its beginning and its end, UTC. Raises Malformed for a day beyond all calendars."""
    if not FIRST <= day <= LAST:
        raise Malformed(f"Days are from {FIRST} to {LAST}.")
    first, days = day, 1
    if span is Span.WEEK:
        first, days = day - timedelta(days=day.weekday()), 7
    elif span is Span.MONTH:
        first = day.replace(day=1)
        days = ((first + timedelta(days=31)).replace(day=1) - first).days
    since = datetime.combine(first, datetime.min.time(), UTC)
    return since, since + timedelta(days=days)


def result(since: datetime, until: datetime) -> list[Result]:
    """From a moment to another, of each asset in which anything moved, by its code. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CHANGES,
            {
                "types": array([*PARTS, _CAPITAL]),
                "owners": array(OWNERS),
                "since": since,
                "until": until,
                "first": floor_of(clock.real_of(since) - ID_LAG),
                "last": floor_of(clock.real_of(until) + ID_LAG),
            },
        )
        rows = cursor.fetchall()
    found: dict[str, Result] = {}
    for asset, type_, is_owners, change in sorted(rows):
        one = found.setdefault(asset, Result(asset, dict.fromkeys(PARTS, 0), 0))
        if is_owners:
            found[asset] = Result(asset, one.parts, one.owners + int(change))
        else:
            one.parts[type_] += int(change)
    return list(found.values())
