"""What waits, since when, and whether that is too long: trades in storing, and settling ones of each kind of asset.

`oldest` is for people who look often: it begins at the low-water marks, and in batches under way. What stands below a
mark is found by no range; `findings` reads every trade, and is a check of the audit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from accounts.audit import Finding, Looked, count_of, found_by
from accounts.models import Asset
from trades.low_water import LOWEST, STORING, mark_of
from trades.models import SettlementWindow

WAITING: Final = "waiting trades"
WINDOWS: Final = "settlement windows"
KINDS: Final = tuple(sorted(Asset.Type.values))

_MARK = mark_of("'{what}'")

_OLDEST_STORING = f"""
(SELECT 'storing' AS what, id, created_at FROM trades_trade
 WHERE id >= {_MARK} AND state = 'storing' ORDER BY id LIMIT 1)
"""  # noqa: S608 - our own text

# A settling trade waits for a batch, or in one.
_OF_KIND = """
    SELECT i.symbol FROM quotes_instrument i JOIN accounts_asset a ON a.code = i.base_asset_id WHERE a.type = '{what}'
"""
_OLDEST_SETTLING = f"""
(SELECT '{{what}}', id, created_at FROM (
    (SELECT id, created_at FROM trades_trade
     WHERE id >= {_MARK} AND state = 'settling' AND batch_id IS NULL AND instrument_id IN ({_OF_KIND})
     ORDER BY id LIMIT 1)
    UNION ALL
    (SELECT member.id, member.created_at FROM trades_settlementbatch b CROSS JOIN LATERAL (
        SELECT id, created_at FROM trades_trade
        WHERE id BETWEEN b.first_trade_id AND b.last_trade_id AND batch_id = b.id AND state = 'settling'
          AND instrument_id IN ({_OF_KIND})
        ORDER BY id LIMIT 1) member
     WHERE b.state NOT IN ('completed', 'cancelled'))
 ) waiting ORDER BY id LIMIT 1)
"""  # noqa: S608 - our own text
_OLDEST = " UNION ALL ".join(
    [_OLDEST_STORING.format(what=STORING), *(_OLDEST_SETTLING.format(what=kind) for kind in KINDS)]
)

# Why no cut and no sweep will reach a trade, or for how long none has. One pass over the trades.
_FINDINGS = f"""
SELECT t.id, t.state, k.type, w.why
FROM trades_trade t
JOIN (
    SELECT i.symbol, a.type, coalesce(m.mark, '{LOWEST}') AS mark, late.limit_, o.is_taken, o.is_due
    FROM quotes_instrument i
    JOIN accounts_asset a ON a.code = i.base_asset_id
    JOIN (VALUES {{limits}}) late(kind, limit_) ON late.kind = a.type
    LEFT JOIN trades_lowwater m ON m.kind = a.type
    CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS is_taken,
               coalesce(bool_or(last_cut_at IS NULL OR last_cut_at <= (SELECT firm_clock())), false) AS is_due
        FROM trades_settlementwindow WHERE is_active AND asset_kind = a.type
    ) o
) k ON k.symbol = t.instrument_id
CROSS JOIN (SELECT {_MARK.format(what=STORING)} AS mark) s
CROSS JOIN LATERAL (SELECT CASE
    WHEN t.state = 'storing' AND t.id < s.mark THEN 'it is below the mark at which the sweep begins to look'
    WHEN t.batch_id IS NULL AND t.id < k.mark THEN 'it is below the mark at which cuts of its kind begin to look'
    WHEN t.batch_id IS NULL AND NOT k.is_taken THEN 'no active window takes its kind'
    WHEN t.batch_id IS NULL AND NOT k.is_due THEN 'every window of its kind remembers a cut that is still to come'
    WHEN t.created_at < (SELECT firm_clock()) - CASE t.state WHEN 'storing' THEN {{storing}} ELSE k.limit_ END
        THEN 'it has waited since ' || to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
END AS why) w
WHERE t.state IN ('storing', 'settling') AND w.why IS NOT NULL
ORDER BY t.id
"""  # noqa: S608 - our own text

_AHEAD = """
SELECT id, name, to_char(last_cut_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM trades_settlementwindow
WHERE last_cut_at > firm_clock() ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class Oldest:
    """What has waited longest in storing, or settling of one kind; no trade where nothing waits."""

    what: str  # "storing", or a kind of asset
    limit: timedelta
    trade_id: UUID | None = None
    since: datetime | None = None
    age: timedelta | None = None

    @property
    def is_late(self) -> bool:
        return self.age is not None and self.age > self.limit


def oldest(at: datetime) -> list[Oldest]:
    """Of storing first, then of each kind. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST)
        found = {what: (id_, since) for what, id_, since in cursor.fetchall()}
    return [_oldest(what, *found.get(what, (None, None)), at) for what in (STORING, *KINDS)]


def _oldest(what: str, trade_id: UUID | None, since: datetime | None, at: datetime) -> Oldest:
    return Oldest(what, limit_of(what), trade_id, since, at - since if since else None)


def limit_of(what: str) -> timedelta:
    """How long a trade may stand in storing, or settling of a kind, before somebody should look."""
    if what == STORING:
        return timedelta(seconds=settings.STORING_LATE_SECONDS)
    return timedelta(hours=settings.SETTLING_LATE_HOURS[what])


def windows_ahead(at: datetime) -> QuerySet[SettlementWindow]:
    """The windows that remember a cut which is still to come: until then they cut nothing."""
    return SettlementWindow.objects.filter(last_cut_at__gt=at).order_by("name")


def findings() -> Iterator[Finding]:
    """Every trade in storing or settling that no sweep or cut will reach, or that has waited longer than its limit."""
    limits = ", ".join(f"('{kind}', {_interval(kind)})" for kind in KINDS)
    query = _FINDINGS.format(limits=limits, storing=_interval(STORING))
    return found_by(WAITING, query, "Trade {0}, {1}, {2}, is waiting: {3}.")


def _interval(what: str) -> str:
    return f"interval '{int(limit_of(what).total_seconds())} seconds'"


def check_trades() -> Looked:
    return Looked(count_of("trades_trade"), findings())


def check_windows() -> Looked:
    sentence = "Window {1} remembers a cut of {2} UTC, which is still to come: until then it cuts nothing."
    return Looked(count_of("trades_settlementwindow"), found_by(WINDOWS, _AHEAD, sentence))
