"""One-minute candles of the mid price: gathered in memory and in a file, added to their rows once.

A minute adds up to the same in whatever order its prices come: each candle knows when its open and its close were said.
With the close stands its spread: so a closed market's price is known to PostgreSQL with both sides.
What is gathered is written in batches; PostgreSQL keeps a batch's id with what it adds, so a batch that is written
again (an answer that was lost, a process that was killed) adds nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Final, NamedTuple
from uuid import UUID

from django.db import DataError, Error, IntegrityError, connection, transaction

from accounts import clock
from accounts.ids import uuid7
from accounts.money import NEAREST, exact, rounded
from quotes.candle_files import CandleFile, CandleFiles, Said
from quotes.price_scripts import AHEAD
from quotes.prices import Price

MOST_GATHERED = 10_000  # while PostgreSQL is away: over a day of the first instruments
LATEST: Final = timedelta(minutes=5)  # a price that comes later than this after its time is in no candle

log = logging.getLogger("feed")

_MONTHS = "SELECT make_candle_month(month) FROM unnest(%s::timestamptz[]) AS month"
_BATCH = """
WITH gone AS (DELETE FROM quotes_candlebatch WHERE id = ANY(%s::uuid[]))
INSERT INTO quotes_candlebatch (id) VALUES (%s) ON CONFLICT (id) DO NOTHING
"""
# The rows are locked in one order, so that two feeds (an old one still stopping) can't deadlock.
_ADD = """
INSERT INTO quotes_candle AS c
    (id, instrument_id, minute, open, high, low, close, close_spread, volume, trade_count, open_at, close_at)
SELECT w.id, w.symbol, w.minute, w.open, w.high, w.low, w.close, w.close_spread, 0, w.updates, w.open_at, w.close_at
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
            %s::numeric[], %s::int[], %s::timestamptz[], %s::timestamptz[])
    AS w(id, symbol, minute, open, high, low, close, close_spread, updates, open_at, close_at)
JOIN quotes_instrument i ON i.symbol = w.symbol
ORDER BY w.symbol, w.minute
ON CONFLICT (instrument_id, minute) DO UPDATE SET
    open = CASE WHEN EXCLUDED.open_at < c.open_at THEN EXCLUDED.open ELSE c.open END,
    high = GREATEST(c.high, EXCLUDED.high),
    low = LEAST(c.low, EXCLUDED.low),
    close = CASE WHEN EXCLUDED.close_at < c.close_at THEN c.close ELSE EXCLUDED.close END,
    close_spread = CASE WHEN EXCLUDED.close_at < c.close_at THEN c.close_spread ELSE EXCLUDED.close_spread END,
    trade_count = c.trade_count + EXCLUDED.trade_count,
    open_at = CASE WHEN EXCLUDED.open_at < c.open_at THEN EXCLUDED.open_at ELSE c.open_at END,
    close_at = GREATEST(c.close_at, EXCLUDED.close_at)
"""


@dataclass(slots=True)
class Gathered:
    """What a minute's row doesn't hold yet. `updates` counts prices, not trades: no venue here reports those."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    updates: int
    open_at: datetime
    close_at: datetime
    close_spread: Decimal | None = None


Minute = tuple[str, datetime]


class Batch(NamedTuple):
    """What is written at once, once; `file` has the same prices until it is."""

    id: UUID
    minutes: dict[Minute, Gathered]
    file: CandleFile | None


class Gatherer:
    """Prices on their way into candles. One thread adds, another writes."""

    def __init__(self, files: CandleFiles | None = None) -> None:
        """With `files` what is gathered survives this process."""
        self.late = 0  # prices that came too late for their candle
        self.early = 0  # prices of a time to come
        self._files = files
        self._file: CandleFile | None = None
        self._minutes: dict[Minute, Gathered] = {}
        self._pending: Batch | None = None
        self._written: list[UUID] = []  # batches whose files are gone
        self._lock = Lock()

    def add(self, prices: Iterable[Price], now: datetime | None = None) -> None:
        """Take up prices as of `now`; those whose time is over by more than LATEST, or to come by more than AHEAD, are
        counted, and nothing else: prices are judged by the last candle, so none may be the last for good."""
        with self._lock:
            said = []
            for price in prices:
                if now is not None and now - price.at > LATEST:
                    self.late += 1
                    continue
                if now is not None and is_ahead(price.at, now):
                    self.early += 1
                    continue
                said.append(_said(price))
            if not said:
                return
            if self._files is not None:
                self._file = self._files.append(self._file, said)
            for one in said:
                _gather(self._minutes, one)
            while len(self._minutes) > MOST_GATHERED:
                del self._minutes[next(iter(self._minutes))]

    def write(self) -> int:
        """Add everything gathered so far to the rows. What may not have been written is written again as it was, for
        its id says whether it was; what came since follows.

        Returns how many candles were touched. Raises django.db.Error.
        """
        written = self._write_pending()
        with self._lock:
            if self._minutes:
                self._pending = Batch(uuid7() if self._file is None else self._file.id, self._minutes, self._file)
                self._minutes, self._file = {}, None
        return written + self._write_pending()

    def _write_pending(self) -> int:
        batch = self._pending
        if batch is None:
            return 0
        record(batch.minutes, batch.id, gone=self._written)
        if batch.file is not None:
            batch.file.remove()
        self._pending, self._written = None, [batch.id]
        return len(batch.minutes)


def is_ahead(at: datetime, now: datetime) -> bool:
    """Whether a price of this time is none yet: a venue's clock may run ahead by AHEAD."""
    return at - now > AHEAD


def note(price: Price) -> None:
    """Add one price to its minute at once, unless its time is still to come."""
    if is_ahead(price.at, clock.now()):
        log.error("no candle for a price of %s: it is of %s", price.symbol, price.at)
        return
    minutes: dict[Minute, Gathered] = {}
    _gather(minutes, _said(price))
    record(minutes)


class Recovered(NamedTuple):
    """How many batches were written, and how many files are still there because they couldn't be."""

    batches: int
    failed: int


def recover(files: CandleFiles) -> Recovered:
    """Write what processes have left that aren't there any more. What fails is said, let go and can be tried again.

    Raises OSError where the folder can't be read.
    """
    batches = failed = 0
    now = clock.now()
    for left in files.left():
        try:
            batches += _recover(left, now)
        except (Error, OSError) as error:
            failed += 1
            log.error("%s can't be recovered now: %s", left.path.name, _first_line(error))
    return Recovered(batches, failed)


def _recover(left: CandleFile, now: datetime) -> bool:
    """Whether there was anything in it. It is gone afterwards, or else free. Raises django.db.Error, OSError."""
    minutes: dict[Minute, Gathered] = {}
    try:
        for said in left.read():
            if not is_ahead(said.at, now):
                _gather(minutes, said)
        record(minutes, left.id)
    except BaseException:
        left.close()
        raise
    left.remove()
    return bool(minutes)


@transaction.atomic
def record(minutes: Mapping[Minute, Gathered], batch: UUID | None = None, gone: Sequence[UUID] = ()) -> bool:
    """Add to the candles' rows; a minute begun before a restart goes on where it was. Unknown symbols are left out,
    and what no row can hold, which the log says: tried again and again it would hold up all that comes after it.

    False where this `batch` was added before: then nothing is. `gone` are batches that nobody can write again.
    """
    if not minutes:
        return False
    if batch is not None:
        with connection.cursor() as cursor:
            cursor.execute(_BATCH, [list(gone), batch])
            if not cursor.rowcount:
                return False
    _add(list(minutes.items()))
    return True


def _add(minutes: Sequence[tuple[Minute, Gathered]]) -> None:
    """All of them, or, where a row can't be, those of each half that can."""
    try:
        with transaction.atomic():
            _add_all(minutes)
    except (DataError, IntegrityError) as error:
        if len(minutes) == 1:
            (((symbol, minute), _),) = minutes
            log.error("a candle of %s at %s can't be kept: %s", symbol, minute, _first_line(error))
            return
        half = len(minutes) // 2
        _add(minutes[:half])
        _add(minutes[half:])


def _add_all(minutes: Sequence[tuple[Minute, Gathered]]) -> None:
    candles = [candle for _, candle in minutes]
    columns: Sequence[list[object]] = [
        [uuid7() for _ in minutes],
        [symbol for (symbol, _), _ in minutes],
        [minute for (_, minute), _ in minutes],
        [candle.open for candle in candles],
        [candle.high for candle in candles],
        [candle.low for candle in candles],
        [candle.close for candle in candles],
        [candle.close_spread for candle in candles],
        [candle.updates for candle in candles],
        [candle.open_at for candle in candles],
        [candle.close_at for candle in candles],
    ]
    make_months(minute for (_, minute), _ in minutes)
    with connection.cursor() as cursor:
        cursor.execute(_ADD, columns)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def minute_of(at: datetime) -> datetime:
    """When the minute of a time began."""
    return at.replace(second=0, microsecond=0)


def month_of(at: datetime) -> datetime:
    """When the month of a time in UTC began."""
    return minute_of(at).replace(day=1, hour=0, minute=0)


def make_months(moments: Iterable[datetime]) -> None:
    """See to it that there are partitions for these."""
    months = {month_of(at) for at in moments}
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS, [sorted(months)])


@exact
def _said(price: Price) -> Said:
    return Said(price.symbol, price.at, rounded((price.bid + price.ask) / 2, 18, NEAREST), price.ask - price.bid)


def _gather(minutes: dict[Minute, Gathered], said: Said) -> None:
    minute = (said.symbol, minute_of(said.at))
    candle = minutes.get(minute)
    mid = said.mid
    if candle is None:
        minutes[minute] = Gathered(mid, mid, mid, mid, 1, said.at, said.at, said.spread)
        return
    candle.high, candle.low = max(candle.high, mid), min(candle.low, mid)
    if said.at < candle.open_at:
        candle.open, candle.open_at = mid, said.at
    if said.at >= candle.close_at:
        candle.close, candle.close_at, candle.close_spread = mid, said.at, said.spread
    candle.updates += 1
