"""Files of ticks and of candles: what the recorder writes, and replay reads. CSV with a line of names, plain or
gzipped, or Parquet.

Ticks: `came,source,symbol,bid,ask,at`; `came` is when it came to us, `at` the venue's own time or nothing, both
milliseconds since 1970. Of others' files `time` may stand for `came`, as RFC 3339 too; source and at may be missing.
Candles: `time,symbol,open,high,low,close`, each of so long as the next of its symbol is away, a minute for the last.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TextIO

from accounts.money import parse_decimal
from quotes.feeds.live import Nonsense
from quotes.feeds.reading import milliseconds, number
from quotes.made_of import NAME

COLUMNS: Final = ("came", "source", "symbol", "bid", "ask", "at")
CANDLE: Final = frozenset({"symbol", "open", "high", "low", "close"})
CANDLE_MILLISECONDS: Final = 60_000


class Unreadable(Exception):
    """The file isn't there, or isn't what it should be; says where."""


class Recorded(NamedTuple):
    """A tick of a file. `ask` is None of a candle's: then `bid` is its middle. `done` of the file's 1 were read."""

    came: int
    source: str
    symbol: str
    bid: Decimal
    ask: Decimal | None
    at: int | None
    done: float


def recorded(path: Path) -> Iterator[Recorded]:
    """The ticks of a file in its order, of any length. Raises Unreadable."""
    number_ = 1
    for number_, (row, done) in enumerate(rows_of(path), 2):
        try:
            yield from _candle(row, done) if row.keys() >= CANDLE else (_tick(row, done),)
        except Nonsense as error:
            raise Unreadable(f"{path.name}, line {number_}: {error}") from error
    if number_ == 1:
        raise Unreadable(f"{path.name} has no rows")


def rows_of(path: Path) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Each row by its names, and which part of the file was read by then. Raises Unreadable."""
    return _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path)


def _csv_rows(path: Path) -> Iterator[tuple[Mapping[str, Any], float]]:
    try:
        size = max(path.stat().st_size, 1)
        with path.open("rb") as raw, _unpacked(raw, path.suffix) as file:
            names = next(csv.reader([file.readline()]), [])
            for line in file:
                row = next(csv.reader([line]), [])
                if len(row) != len(names):
                    raise Unreadable(f"{path.name}: a line of {len(row)} values where {len(names)} have names")
                yield dict(zip(names, row, strict=True)), min(raw.tell() / size, 1.0)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(f"{path}: {error}") from error


def _unpacked(raw: IO[bytes], suffix: str) -> TextIO:
    return TextIOWrapper(gzip.open(raw) if suffix == ".gz" else raw, encoding="utf-8", newline="")


def _parquet_rows(path: Path) -> Iterator[tuple[Mapping[str, Any], float]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise Unreadable("Parquet needs the package pyarrow: pip install 'brokerage[parquet]'") from error
    try:
        file = parquet.ParquetFile(path)
        total, read = max(file.metadata.num_rows, 1), 0
        for batch in file.iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                read += 1
                yield {name: _plain(value) for name, value in row.items()}, read / total
    except (OSError, ArrowException) as error:
        raise Unreadable(f"{path}: {error}") from error


def _plain(value: Any) -> Any:
    """Times as RFC 3339, and floats by their shortest digits: exact numbers want a decimal or text column."""
    if isinstance(value, float):
        return Decimal(repr(value))
    return value.isoformat() if hasattr(value, "isoformat") else value


def _tick(row: Mapping[str, Any], done: float) -> Recorded:
    source, at = row.get("source") or "", row.get("at")
    if source and not (isinstance(source, str) and NAME.fullmatch(source)):
        raise Nonsense(f"{str(source)[:40]!r} is no name of a source")
    bid, ask = number(row.get("bid")), number(row.get("ask"))
    return Recorded(_time(row), source, _symbol(row), bid, ask, None if at in (None, "") else _moment(at), done)


def _candle(row: Mapping[str, Any], done: float) -> Iterator[Recorded]:
    """Four ticks: open, the nearer of low and high by the way it closed, the other, close."""
    began, symbol = _time(row), _symbol(row)
    first, high, low, last = (number(row[name]) for name in ("open", "high", "low", "close"))
    between = (low, high) if last >= first else (high, low)
    for quarter, middle in enumerate((first, *between, last)):
        yield Recorded(began + quarter * CANDLE_MILLISECONDS // 4, "", symbol, middle, None, None, done)


def _time(row: Mapping[str, Any]) -> int:
    return _moment(row.get("came") or row.get("time"))


def _moment(said: object) -> int:
    count = parse_decimal(said)
    if count is not None and count == int(count) and 0 < count < 10**14:
        return int(count)
    return milliseconds(said)


def _symbol(row: Mapping[str, Any]) -> str:
    said = row.get("symbol")
    if not isinstance(said, str) or not 3 <= len(said) <= 21:
        raise Nonsense(f"{str(said)[:40]!r} is no symbol")
    return said
