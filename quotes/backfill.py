"""Candles of the past out of a file: a whole file or nothing, and the same file twice changes nothing.

A candle that is there stays, unless replacing was asked for. Only minutes before the symbol's last live candle are
taken, and none that a price may still come to: by the last live candle prices are judged, and who brings a file doesn't
move that. The months of a file are made before all else, for who makes one holds up the feed's until it commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from accounts.errors import Malformed
from accounts.ids import uuid7
from accounts.money import parse_decimal
from accounts.timestamps import from_milliseconds
from quotes import references, symbols
from quotes.candles import LATEST, make_months, month_of
from quotes.feeds.live import Nonsense
from quotes.feeds.reading import milliseconds
from quotes.feeds.tick_files import CANDLE, Unreadable, rows_of
from quotes.models import Backfill

AT_ONCE: Final = 5_000  # rows in a statement
MOST_TOLD: Final = 20  # wrong lines
MOST_UPDATES: Final = 2**31 - 1
FIRST: Final = datetime.fromisoformat("1990-01-01T00:00:00+00:00")
MINUTE: Final = timedelta(minutes=1)

_VALUES = "open, high, low, close, volume, trade_count"
_GIVEN = f"""
WITH given AS (
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[],
        %s::numeric[], %s::numeric[], %s::int[]) AS w(id, symbol, minute, {_VALUES})
)
"""  # noqa: S608 - our own names, here and below
_LOOK = f"""{_GIVEN}
SELECT count(*), count(*) FILTER (WHERE (c.open, c.high, c.low, c.close, c.volume, c.trade_count)
    IS DISTINCT FROM (w.open, w.high, w.low, w.close, w.volume, w.trade_count))
FROM given w JOIN quotes_candle c ON (c.instrument_id, c.minute) = (w.symbol, w.minute)
    AND c.minute BETWEEN %s AND %s
"""  # noqa: S608
_ADD = f"""{_GIVEN}
INSERT INTO quotes_candle AS c (id, instrument_id, minute, {_VALUES}, backfill_id)
SELECT w.id, w.symbol, w.minute, w.open, w.high, w.low, w.close, w.volume, w.trade_count, %s
FROM given w ORDER BY w.symbol, w.minute
ON CONFLICT (instrument_id, minute) DO"""  # noqa: S608
_KEEP = f"{_ADD} NOTHING"
_REPLACE = f"""{_ADD} UPDATE SET ({_VALUES}, open_at, close_at, backfill_id) = (EXCLUDED.open, EXCLUDED.high,
    EXCLUDED.low, EXCLUDED.close, EXCLUDED.volume, EXCLUDED.trade_count, NULL, NULL, EXCLUDED.backfill_id)
WHERE (c.open, c.high, c.low, c.close, c.volume, c.trade_count) IS DISTINCT FROM
    (EXCLUDED.open, EXCLUDED.high, EXCLUDED.low, EXCLUDED.close, EXCLUDED.volume, EXCLUDED.trade_count)
"""
_LAST = f"SELECT i.symbol, c.minute FROM quotes_instrument i CROSS JOIN LATERAL ({references.last_seen('minute')}) c"  # noqa: S608


class Given(NamedTuple):
    """A row of a file."""

    symbol: str
    minute: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    updates: int


@dataclass(slots=True)
class Filled:
    """What a file's rows were: `added` where no candle was, the `same` as there, `replaced` or `kept` if another."""

    rows: int = 0
    added: int = 0
    replaced: int = 0
    same: int = 0
    kept: int = 0

    @property
    def has_changed(self) -> bool:
        return bool(self.added or self.replaced)


class WrongRows(Malformed):
    code = "wrong_rows"


def fill(path: Path, *, replace: bool, by_id: UUID | None, at: datetime, is_trial: bool = False) -> Filled:
    """Bring a file in as of `at`, PostgreSQL's clock; `is_trial`: only tell. Raises WrongRows, with line numbers."""
    digest = _digest(path)
    if not is_trial:
        for month in sorted({month_of(row.minute) for row in _read(path, at)}):
            with transaction.atomic():
                make_months([month])
    return _filled(path, digest, replace=replace, by_id=by_id, at=at, is_trial=is_trial)


@transaction.atomic
def _filled(path: Path, digest: str, *, replace: bool, by_id: UUID | None, at: datetime, is_trial: bool) -> Filled:
    filled, id_ = Filled(), uuid7()
    for rows in _chunks(_read(path, at)):
        filled.rows += len(rows)
        _fill(rows, filled, id_, replace=replace, is_trial=is_trial)
    if filled.has_changed and not is_trial:
        Backfill.objects.create(
            id=id_,
            name=path.name[:200],
            sha256=digest,
            rows_count=filled.rows,
            added_count=filled.added,
            replaced_count=filled.replaced,
            kept_count=filled.kept,
            made_by_id=by_id,
            made_at=at,
        )
    return filled


def _fill(rows: Sequence[Given], filled: Filled, id_: UUID, *, replace: bool, is_trial: bool) -> None:
    columns: list[list[object]] = [[uuid7() for _ in rows], *(list(column) for column in zip(*rows, strict=True))]
    with connection.cursor() as cursor:
        minutes = [row.minute for row in rows]
        cursor.execute(_LOOK, [*columns, min(minutes), max(minutes)])  # the months of these rows alone
        there, differ = cursor.fetchone()
        filled.added += len(rows) - there
        filled.same += there - differ
        if replace:
            filled.replaced += differ
        else:
            filled.kept += differ
        if not is_trial and (there < len(rows) or (replace and differ)):
            make_months(minutes)  # they are there, unless the file has changed since
            cursor.execute(_REPLACE if replace else _KEEP, [*columns, id_])


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WrongRows(f"{path} can't be read: {error.strerror}.") from None


def _chunks(rows: Iterator[Given]) -> Iterator[list[Given]]:
    chunk = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


# --- reading ---------------------------------------------------------------------------------------


def _read(path: Path, at: datetime) -> Iterator[Given]:
    """The rows, while all are good; of a file with others all are looked at. Raises WrongRows."""
    wrong: list[str] = []
    limits = _Limits(at)
    number = 1
    try:
        for number, (row, _) in enumerate(rows_of(path), 2):
            try:
                given = _given(row)
                limits.judge(given)
            except Nonsense as error:
                wrong.append(f"line {number}: {error}")
                if len(wrong) == MOST_TOLD:
                    break
            else:
                if not wrong:
                    yield given
    except Unreadable as error:
        wrong.append(f"line {number + 1}: {error}" if "a line of" in str(error) else str(error))
    if number == 1 and not wrong:
        wrong.append("it has no rows")
    if wrong:
        raise WrongRows(f"{path.name}, nothing was changed: {'; '.join(wrong)}.")


class _Limits:
    """What is true of each row beside the others and the candles that are there."""

    def __init__(self, at: datetime) -> None:
        self._ends = at - LATEST
        self._known = symbols.instruments()
        self._last_of = _last_minutes()
        self._before: dict[str, datetime] = {}

    def judge(self, row: Given) -> None:
        """Raises Nonsense."""
        if row.symbol not in self._known:
            raise Nonsense(f"{row.symbol!r} is no instrument")
        if row.minute < FIRST or row.minute + MINUTE > self._ends:
            raise Nonsense(f"{row.minute:%Y-%m-%d %H:%M} isn't a minute that is over for good")
        last = self._last_of.get(row.symbol)
        if last is not None and row.minute >= last:
            raise Nonsense(f"{row.minute:%Y-%m-%d %H:%M} isn't before the last live candle of {row.symbol}")
        before = self._before.get(row.symbol)
        if before is not None and row.minute <= before:
            raise Nonsense(f"{row.minute:%Y-%m-%d %H:%M} of {row.symbol} doesn't come after the one before")
        self._before[row.symbol] = row.minute


def _last_minutes() -> dict[str, datetime]:
    """The feed's, by symbol."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST)
        return dict(cursor.fetchall())


def _given(row: Mapping[str, Any]) -> Given:
    """Raises Nonsense."""
    if not row.keys() >= CANDLE:
        raise Nonsense(f"it must have {', '.join(sorted({*CANDLE, 'time'}))}")
    symbol = row["symbol"]
    if not isinstance(symbol, str):
        raise Nonsense(f"{str(symbol)[:40]!r} is no symbol")
    first, high, low, last = (_number(row, name) for name in ("open", "high", "low", "close"))
    if not low <= min(first, last) <= max(first, last) <= high:
        raise Nonsense("low and high aren't about open and close")
    volume, updates = _number(row, "volume", least=0), _number(row, "trade_count", least=0)
    if updates != int(updates) or updates > MOST_UPDATES:
        raise Nonsense("trade_count is no count")
    return Given(symbol, _minute(row.get("time")), first, high, low, last, volume, int(updates))


def _number(row: Mapping[str, Any], name: str, least: int = 1) -> Decimal:
    """Above zero; zero, too, and where there is none, of what may be (`least` 0)."""
    said = row.get(name)
    if least == 0 and said in (None, ""):
        return Decimal(0)
    value = parse_decimal(said)
    if value is None or value < 0 or (least and not value):
        raise Nonsense(f"{name} {str(said)[:40]!r} is no number {'above zero' if least else 'from zero on'}")
    return value


def _minute(said: object) -> datetime:
    count = parse_decimal(said)
    stamp = int(count) if count is not None and count == int(count) and 0 < count < 10**14 else milliseconds(said)
    if stamp % 60_000:
        raise Nonsense(f"time {str(said)[:40]!r} doesn't begin a minute")
    return from_milliseconds(stamp)
