"""Ten million candles: what writing a minute, reading each interval and judging a price cost, before and after."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

from benchmarks.results import Row

YEARS_AGO = datetime(2022, 1, 1, tzinfo=UTC)
EACH = 2_000_000  # minutes of each of five instruments: almost four years
FILE_ROWS = 200_000
TURNS = 30
READS = (("1m", 1000), ("5m", 1000), ("1h", 1000), ("4h", 1000), ("1d", 365))
MEASURES = {interval: f"candles_read_{interval}_ms" for interval, _ in READS}

# As a feed would have left them. The price walks a little about the instrument's first one.
_FILL = """
INSERT INTO quotes_candle (id, instrument_id, minute, open, high, low, close, volume, trade_count)
SELECT gen_random_uuid(), i.symbol, m, p, p * 1.001, p * 0.999, p, 0, 240
FROM quotes_instrument i, generate_series(%s::timestamptz, %s::timestamptz, '1 minute') AS m,
     LATERAL (SELECT round(i.simulator_price * (1 + sin(extract(epoch FROM m)::int %% 86400)::numeric / 1000), 5)) w (p)
"""


def measure(*, small: bool = False) -> list[Row]:
    from django.db import connection

    each = EACH // 100 if small else EACH
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    before = _written_ms()
    reading = _look_ms()
    began = time.perf_counter()
    rows = _fill(each)
    seconds = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'quotes_candle'::regclass")
        (months,) = cursor.fetchone()
    found = [
        Row("candles_rows", rows, "rows"),
        Row("candles_months", months, "partitions"),
        Row("candles_filled_per_s", rows / seconds, "rows/s"),
        Row("candles_write_ms_none", before, "ms, a batch"),
        _beside("candles_write_ms_10m", _written_ms(), "ms, a batch", "candles_write_ms_none", before),
        Row("candles_judge_ms_none", reading, "ms"),
        _beside("candles_judge_ms_10m", _look_ms(), "ms", "candles_judge_ms_none", reading),
    ]
    minute = 0.0
    for interval, limit in READS:
        took = _read_ms(interval, limit)
        minute = minute or took
        found.append(_beside(MEASURES[interval], took, f"ms, {limit} candles", MEASURES["1m"], minute))
    found.append(Row("candles_backfilled_per_s", _backfilled(FILE_ROWS // (10 if small else 1)), "rows/s of a CSV"))
    return found


def _beside(measure: str, value: float, unit: str, yardstick: str, of: float) -> Row:
    return Row(measure, value, unit, yardstick, value / of)


def _median_ms(what: Callable[[], object]) -> float:
    taken = []
    for _ in range(TURNS):
        began = time.perf_counter()
        what()
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def _fill(each: int) -> int:
    """Month by month, as the application may."""
    from django.db import connection

    from quotes.candles import make_months

    total, at, until = 0, YEARS_AGO, YEARS_AGO + timedelta(minutes=each)
    while at < until:
        month_ends = (at.replace(day=1) + timedelta(days=32)).replace(day=1)
        ends = min(month_ends, until)
        make_months([at])
        with connection.cursor() as cursor:
            cursor.execute(_FILL, [at, ends - timedelta(minutes=1)])
            total += cursor.rowcount
        at = ends
    return total


def _written_ms() -> float:
    """What the feed does each second: a batch of each instrument's price, into the minute that runs."""
    from quotes.candles import Gatherer
    from quotes.prices import Price
    from quotes.symbols import instruments

    gatherer = Gatherer()

    def write() -> None:
        at = datetime.now(UTC)
        gatherer.add(
            Price(symbol, row.simulator_price, row.simulator_price, at) for symbol, row in instruments().items()
        )
        gatherer.write()

    return _median_ms(write)


def _look_ms() -> float:
    from django.db import connection

    from quotes.references import LAST

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute(LAST)
            cursor.fetchall()

    return _median_ms(look)


def _read_ms(interval: str, limit: int) -> float:
    """The last ones before random moments."""
    from quotes.markets_selectors import bars

    chance = random.Random(7)

    def read() -> None:
        until = YEARS_AGO + timedelta(minutes=chance.randrange(EACH // 2, EACH))
        bars("BTC-USD", interval, since=None, until=until, limit=limit)

    return _median_ms(read)


def _backfilled(rows: int) -> float:
    """A file of minutes that had none, of years before."""
    from quotes.backfill import fill

    began_at = YEARS_AGO - timedelta(minutes=rows)
    price = Decimal("100.5")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "past.csv"
        with path.open("w") as file:
            file.write("time,symbol,open,high,low,close\n")
            for number in range(rows):
                at = began_at + timedelta(minutes=number)
                file.write(f"{at:%Y-%m-%dT%H:%M:00Z},BTC-USD,{price},{price},{price},{price}\n")
        began = time.perf_counter()
        fill(path, replace=False, by_id=None, at=datetime.now(UTC))
        return rows / (time.perf_counter() - began)
