"""Low-water marks: where to begin looking for trades that wait. The only code that writes them.

No index says which trades wait, so they are looked for in ranges of the time-ordered primary key, from a mark on. A
mark is a fact about a kind of asset, whoever cuts it, and one more about `storing`. It never passes the last ten
minutes by PostgreSQL's clock, in which slow transactions may still bring lower ids; a trigger says so too. A mark that
is too low costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from accounts.ids import ID_LAG, floor_of
from trades.models import LowWater, SettlementBatch

STORING: Final = LowWater.STORING
LOWEST: Final = UUID(int=0)

# Raised or left; and lowered where it lies in the future by now: the clock was wrong, or was set back.
_RAISE = """
INSERT INTO trades_lowwater (kind, mark)
SELECT kind, LEAST(%(mark)s, highest_low_water()) FROM unnest(%(kinds)s::text[]) kind
ON CONFLICT (kind) DO UPDATE
SET mark = LEAST(GREATEST(trades_lowwater.mark, excluded.mark), highest_low_water()), raised_at = clock_timestamp()
"""

_LOWER = "UPDATE trades_lowwater SET mark = LEAST(mark, %(mark)s) WHERE kind = ANY(%(kinds)s::text[])"


def low_water(kinds: Collection[str]) -> UUID:
    """No trade of these kinds with an id below this is storing, or settling without a batch.

    `[STORING]` gives the sweep's own: no trade of any kind below it is storing. Zero where nothing is known.
    """
    marks = marks_of()
    return min(marks.get(kind, LOWEST) for kind in kinds)


def marks_of() -> dict[str, UUID]:
    """All marks that there are, by kind."""
    return dict(LowWater.objects.values_list("kind", "mark"))


def mark_of(kind: str) -> str:
    """SQL: the mark of a kind, which is an SQL expression itself; the lowest where nothing is known."""
    return f"coalesce((SELECT mark FROM trades_lowwater WHERE kind = {kind}), '{LOWEST}')"  # noqa: S608 - our own text


def highest(at: datetime) -> UUID:
    """The highest mark that anybody may think of at this moment."""
    return floor_of(at - ID_LAG)


def raise_low_water(kinds: Collection[str], mark: UUID) -> None:
    """Nothing of these kinds waits below `mark`: begin there from now on, or at most ten minutes back."""
    with connection.cursor() as cursor:
        cursor.execute(_RAISE, {"mark": mark, "kinds": sorted(kinds)})


def lower_water(batch: SettlementBatch) -> None:
    """Members of this batch wait again: the marks of its kinds must not be past them. Under the membership lock."""
    if batch.first_trade_id is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(_LOWER, {"mark": batch.first_trade_id, "kinds": batch.asset_kinds.split(",")})


def forget() -> None:
    """Know nothing any more: the next sweep and the next cuts look at every trade. Always safe."""
    LowWater.objects.all().delete()
