"""Candles of the past out of a file: whole or nothing, once, and never instead of live ones unless asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from quotes import backfill, references
from quotes.backfill import Filled, WrongRows, fill
from quotes.candles import Gatherer
from quotes.judging import Range
from quotes.markets_selectors import bars
from quotes.models import Backfill, Candle
from quotes.prices import Price
from tests.given import what_the_audit_finds

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NOW = NOON + timedelta(hours=2)
HEADER = "time,symbol,open,high,low,close,volume,trade_count"
ROWS = (
    "2026-03-02T12:00:00Z,BTC-USD,100,105,99.5,101,3.25,7",
    "2026-03-02T12:00:00Z,ETH-USD,10,10,10,10,,",
    f"{int(NOON.timestamp() * 1000) + 60_000},BTC-USD,101,101,100,100.5,0,2",
)


def a_file(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "past.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def brought(path: Path, **wanted: Any) -> Filled:
    return fill(path, **{"replace": False, "by_id": None, "at": NOW} | wanted)


def live(mid: str, at: datetime, symbol: str = "BTC-USD") -> None:
    gatherer = Gatherer()
    gatherer.add([Price(symbol, Decimal(mid), Decimal(mid), at)])
    gatherer.write()


def the_candle(minute: datetime = NOON, symbol: str = "BTC-USD") -> tuple[str, ...]:
    one = Candle.objects.get(instrument_id=symbol, minute=minute)
    figures = (one.open, one.high, one.low, one.close, one.volume)
    return (*(f"{value:.2f}" for value in figures), str(one.trade_count))


def test_a_file_is_brought_in_once_however_often(tmp_path: Path) -> None:
    path = a_file(tmp_path, *ROWS)
    assert brought(path) == Filled(rows=3, added=3)
    assert the_candle() == ("100.00", "105.00", "99.50", "101.00", "3.25", "7")
    assert the_candle(symbol="ETH-USD") == ("10.00", "10.00", "10.00", "10.00", "0.00", "0")
    live("200", NOW)
    live("20", NOW, "ETH-USD")

    assert brought(path) == Filled(rows=3, same=3)
    row = Backfill.objects.get()
    assert (row.name, row.rows_count, row.added_count, row.replaced_count) == ("past.csv", 3, 3, 0)
    assert set(Candle.objects.filter(minute__lt=NOW).values_list("backfill_id", flat=True)) == {row.pk}
    (hour,) = bars("BTC-USD", "1h", since=NOON, until=NOON + timedelta(hours=1), limit=9)
    assert (hour.open, hour.high, hour.low, hour.close, hour.volume, hour.updates) == (
        *(Decimal(100), Decimal(105), Decimal("99.5"), Decimal("100.5"), Decimal("3.25")),
        9,
    )
    assert what_the_audit_finds() == []


def test_a_live_candle_stays_unless_replacing_is_asked_for(tmp_path: Path) -> None:
    """Guard: `_KEEP`."""
    live("500", NOON)
    live("501", NOW)
    live("20", NOW, "ETH-USD")
    path = a_file(tmp_path, *ROWS)

    assert brought(path, is_trial=True) == Filled(rows=3, added=2, kept=1)
    assert Candle.objects.count() == 3
    assert brought(path) == Filled(rows=3, added=2, kept=1)
    assert the_candle() == ("500.00", "500.00", "500.00", "500.00", "0.00", "1")
    assert brought(path, replace=True, is_trial=True) == Filled(rows=3, replaced=1, same=2)
    assert brought(path, replace=True) == Filled(rows=3, replaced=1, same=2)
    assert the_candle() == ("100.00", "105.00", "99.50", "101.00", "3.25", "7")
    assert brought(path, replace=True) == Filled(rows=3, same=3)
    assert list(Backfill.objects.order_by("id").values_list("added_count", "replaced_count", "kept_count")) == [
        (2, 0, 1),
        (0, 1, 0),
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2026-03-02T12:02:00Z,BTC-USD,100,99,98,99,,", "line 4: low and high aren't about open and close"),
        ("2026-03-02T12:02:00Z,BTC-USD,100,101,100.5,100,,", "line 4: low and high"),
        ("2026-03-02T12:02:00Z,BTC-USD,0,101,0,100,,", "line 4: open '0' is no number above zero"),
        ("2026-03-02T12:02:00Z,BTC-USD,NaN,101,1,100,,", "line 4: open 'NaN' is no number above zero"),
        ("2026-03-02T12:02:00Z,BTC-USD,1e400,101,1,100,,", "line 4: open '1e400' is no number"),
        ("2026-03-02T12:02:00Z,BTC-USD,1.0000000000000000001,2,1,2,,", "line 4: open"),
        ("2026-03-02T12:02:00Z,BTC-USD,1,2,1,2,-1,", "line 4: volume '-1' is no number from zero on"),
        ("2026-03-02T12:02:00Z,BTC-USD,1,2,1,2,,1.5", "line 4: trade_count is no count"),
        ("2026-03-02T12:02:00Z,BTC-USD,1,2,1,2,,3000000000", "line 4: trade_count is no count"),
        ("2026-03-02T12:02:00Z,NO-SUCH,1,2,1,2,,", "line 4: 'NO-SUCH' is no instrument"),
        ("2026-03-02T12:02:30Z,BTC-USD,1,2,1,2,,", "line 4: time '2026-03-02T12:02:30Z' doesn't begin a minute"),
        ("2026-03-02T12:02:00,BTC-USD,1,2,1,2,,", "line 4: '2026-03-02T12:02:00' is not a time"),
        ("soon,BTC-USD,1,2,1,2,,", "line 4: 'soon' is not a time"),
        ("1989-03-02T12:02:00Z,BTC-USD,1,2,1,2,,", "line 4: 1989-03-02 12:02 isn't a minute that is over for good"),
        ("2026-03-02T13:55:00Z,BTC-USD,1,2,1,2,,", "line 4: 2026-03-02 13:55 isn't a minute that is over for good"),
        ("2026-03-02T12:00:00Z,BTC-USD,1,2,1,2,,", "line 4: 2026-03-02 12:00 of BTC-USD doesn't come after the one"),
        ("2026-03-02T12:02:00Z,BTC-USD,1", "line 4: past.csv: a line of 3 values where 8 have names"),
    ],
)
def test_a_file_with_a_wrong_row_changes_nothing_and_names_its_line(tmp_path: Path, row: str, why: str) -> None:
    """Guard: each rule of `_given` and `_Limits.judge`."""
    path = a_file(tmp_path, ROWS[0], ROWS[1], row, "2026-03-02T12:03:00Z,BTC-USD,1,2,1,2,,")
    with pytest.raises(WrongRows) as refused:
        brought(path)
    assert why in refused.value.text
    assert refused.value.text.startswith("past.csv, nothing was changed: ")
    assert not Candle.objects.exists()
    assert not Backfill.objects.exists()


def test_several_wrong_lines_are_told_at_once_and_not_without_end(tmp_path: Path) -> None:
    path = a_file(tmp_path, *["x,BTC-USD,1,2,1,2,,"] * 100)
    with pytest.raises(WrongRows) as refused:
        brought(path)
    assert refused.value.text.count("line ") == backfill.MOST_TOLD


@pytest.mark.parametrize("header", ["time,symbol,open,high,low,close", HEADER])
def test_an_empty_file_and_one_without_the_names_are_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(WrongRows, match="it has no rows"):
        brought(a_file(tmp_path, header=header))
    with pytest.raises(WrongRows, match="it must have close, high, low, open, symbol, time"):
        brought(a_file(tmp_path, "1,2", header="time,symbol"))
    with pytest.raises(WrongRows, match="can't be read"):
        brought(tmp_path / "none.csv")


@pytest.mark.parametrize("replace", [False, True])
def test_what_prices_are_judged_by_is_moved_by_no_file(tmp_path: Path, replace: bool) -> None:
    """Guard: `row.minute >= last`."""
    live("200", NOON)
    references.forget()
    seen = references.known()["BTC-USD"].seen
    for minute in ("12:00", "12:01"):
        with pytest.raises(WrongRows, match=f"2026-03-02 {minute} isn't before the last live candle of BTC-USD"):
            brought(a_file(tmp_path, f"2026-03-02T{minute}:00Z,BTC-USD,9,9,9,9,,"), replace=replace)
    brought(a_file(tmp_path, "2026-03-02T11:59:00Z,BTC-USD,9,9,9,9,,"), replace=replace)
    references.forget()
    assert references.known()["BTC-USD"].seen == seen


def test_a_file_of_an_instrument_without_a_live_candle_decides_nothing_either(tmp_path: Path) -> None:
    """Guard: `backfill_id IS NULL` in IS_SEEN."""
    brought(a_file(tmp_path, *ROWS))
    references.forget()
    assert references.known()["BTC-USD"].seen is None

    live("200", NOON + timedelta(hours=1))
    references.forget()
    assert references.known()["BTC-USD"].seen == Range(Decimal(200), Decimal(200))


def test_a_live_candle_of_a_time_to_come_lets_no_file_replace_the_last_one(tmp_path: Path) -> None:
    """Guard: IS_SEEN in `_last_minutes`."""
    live("200", NOON)
    live("200", datetime(2190, 1, 1, tzinfo=UTC))
    with pytest.raises(WrongRows, match="isn't before the last live candle of BTC-USD"):
        brought(a_file(tmp_path, "2026-03-02T12:00:00Z,BTC-USD,9,9,9,9,,"), replace=True)


def test_the_last_live_candle_is_found_by_an_index_of_those_alone() -> None:
    """Guard: `quotes_candle_live`, in months that are made later, too. Without it all that files brought is gone
    through, once a second in each process."""
    live("200", datetime(2031, 7, 1, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_inherits t WHERE inhparent = 'quotes_candle'::regclass AND NOT EXISTS ("
            " SELECT FROM pg_index i JOIN pg_inherits p ON p.inhrelid = i.indexrelid"
            " WHERE i.indrelid = t.inhrelid AND p.inhparent = 'quotes_candle_live'::regclass)"
        )
        assert cursor.fetchone() == (0,)


def test_more_rows_than_fit_a_statement(tmp_path: Path) -> None:
    start = NOON - timedelta(days=10)
    rows = [
        f"{start + timedelta(minutes=n):%Y-%m-%dT%H:%M:00Z},BTC-USD,1,3,1,2,,1" for n in range(backfill.AT_ONCE + 3)
    ]
    assert brought(a_file(tmp_path, *rows)) == Filled(rows=len(rows), added=len(rows))
    assert Candle.objects.count() == len(rows)


def test_parquet_is_read_where_its_package_is_there(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = ("time", "symbol", "open", "high", "low", "close")
    values = (NOON, "BTC-USD", *map(Decimal, ("100.5", "101.5", "100.5", "101.0")))
    parquet.write_table(
        pyarrow.table({name: [value] for name, value in zip(names, values, strict=True)}), tmp_path / "past.parquet"
    )
    assert brought(tmp_path / "past.parquet") == Filled(rows=1, added=1)
    assert the_candle() == ("100.50", "101.50", "100.50", "101.00", "0.00", "0")


def test_without_its_package_parquet_is_refused_with_a_sentence(tmp_path: Path) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        (tmp_path / "past.parquet").write_bytes(b"PAR1")
        with pytest.raises(WrongRows, match="Parquet needs the package pyarrow"):
            brought(tmp_path / "past.parquet")


def test_the_command_says_what_it_did(tmp_path: Path, capsys: Any) -> None:
    path = str(a_file(tmp_path, *ROWS))
    call_command("backfill_candles", path, "--dry-run")
    assert capsys.readouterr().out == (
        "3 rows: 3 would be added, 0 would be replaced, 0 there already, 0 there and another, which stay\n"
    )
    call_command("backfill_candles", path, "--json")
    told = {"rows": 3, "added": 3, "replaced": 0, "same": 0, "kept": 0, "dry_run": False}
    assert json.loads(capsys.readouterr().out) == told
    call_command("backfill_candles", path, "--json")
    assert json.loads(capsys.readouterr().out) == told | {"added": 0, "same": 3, "nothing": True}
