"""One-minute candles: what they record, how they merge, how they add up to longer intervals."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from django.db import DataError, ProgrammingError, connection, transaction

from accounts.ids import uuid7
from quotes.candle_files import CandleFiles
from quotes.candles import Gatherer, Recovered, make_months, note, record, recover
from quotes.management.commands.run_feed import Feed
from quotes.markets_selectors import bars
from quotes.models import Candle, CandleBatch
from quotes.price_scripts import AHEAD
from quotes.prices import Price

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def price(mid: str, at: datetime, symbol: str = "BTC-USD") -> Price:
    return Price(symbol, Decimal(mid) - 1, Decimal(mid) + 1, at)


def recorded(*prices: Price) -> None:
    gatherer = Gatherer()
    gatherer.add(prices)
    gatherer.write()


@transaction.atomic
def write_without_the_table(gatherer: Gatherer) -> None:
    """The rename is rolled back with the failure it causes."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE quotes_candle RENAME TO quotes_candle_away")
    gatherer.write()


def died(gatherer: Gatherer) -> None:
    """The operating system takes a dead process' locks away."""
    assert gatherer._file is not None
    os.close(gatherer._file._handle)


def the_candle() -> tuple[str, str, str, str, int]:
    candle = Candle.objects.get()
    return (f"{candle.open:.1f}", f"{candle.high:.1f}", f"{candle.low:.1f}", f"{candle.close:.1f}", candle.trade_count)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def test_a_candle_has_the_first_highest_lowest_and_last_mid_price_of_its_minute():
    recorded(
        price("100", NOON),
        price("103", NOON + seconds(10)),
        price("98", NOON + seconds(20)),
        price("99.5", NOON + seconds(59.999)),
        price("500", NOON + seconds(60)),
    )

    Candle.objects.get(minute=NOON + minutes(1)).delete()
    assert the_candle() == ("100.0", "103.0", "98.0", "99.5", 4)


def test_a_minute_begun_before_a_restart_goes_on_where_it_was():
    recorded(price("100", NOON), price("103", NOON + seconds(10)))
    recorded(price("101", NOON + seconds(30)), price("97", NOON + seconds(40)), price("99", NOON + seconds(50)))

    assert the_candle() == ("100.0", "103.0", "97.0", "99.0", 5)


def test_writing_twice_counts_each_price_once():
    gatherer = Gatherer()
    gatherer.add([price("100", NOON)])
    assert gatherer.write() == 1
    assert gatherer.write() == 0

    gatherer.add([price("101", NOON + seconds(1))])
    gatherer.write()

    assert the_candle() == ("100.0", "101.0", "100.0", "101.0", 2)


def test_what_could_not_be_written_is_written_later_with_what_came_since():
    gatherer = Gatherer()
    gatherer.add([price("100", NOON), price("90", NOON + seconds(1))])
    with pytest.raises(ProgrammingError, match="quotes_candle"):
        write_without_the_table(gatherer)
    gatherer.add([price("95", NOON + seconds(2)), price("96", NOON + minutes(1))])

    assert gatherer.write() == 3  # the first batch as it was, then the next

    Candle.objects.get(minute=NOON + minutes(1)).delete()
    assert the_candle() == ("100.0", "100.0", "90.0", "95.0", 3)


def test_a_price_of_an_instrument_that_is_gone_records_nothing():
    recorded(price("100", NOON, "GONE-USD"), price("100", NOON))

    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)


# --- longer intervals ------------------------------------------------------------------------------


@pytest.fixture
def nine_minutes() -> None:
    """12:00 to 12:08, open 100, 101 … 108, each closing half a unit above its open; 12:03 has no price."""
    for minute in (0, 1, 2, 4, 5, 6, 7, 8):
        at = NOON + minutes(minute)
        recorded(price(str(100 + minute), at), price(f"{100 + minute}.5", at + seconds(30)))


def read(interval: str, since: datetime | None, until: datetime, limit: int = 1000) -> list[tuple[str, ...]]:
    found = bars("BTC-USD", interval, since=since, until=until, limit=limit)
    return [(f"{b.time:%H:%M}", f"{b.open:.1f}", f"{b.high:.1f}", f"{b.low:.1f}", f"{b.close:.1f}") for b in found]


@pytest.mark.usefixtures("nine_minutes")
def test_five_minutes_are_the_first_open_the_highest_the_lowest_and_the_last_close():
    assert read("5m", None, NOON + minutes(60)) == [
        ("12:00", "100.0", "104.5", "100.0", "104.5"),
        ("12:05", "105.0", "108.5", "105.0", "108.5"),
    ]
    (first, second) = bars("BTC-USD", "5m", since=None, until=NOON + minutes(60), limit=10)
    assert (first.updates, second.updates) == (8, 8)


@pytest.mark.usefixtures("nine_minutes")
def test_from_is_inclusive_and_to_is_exclusive():
    assert [bar[0] for bar in read("1m", NOON + minutes(1), NOON + minutes(5))] == ["12:01", "12:02", "12:04"]
    assert read("1m", NOON + minutes(1), NOON + minutes(1)) == []


@pytest.mark.usefixtures("nine_minutes")
def test_a_candle_is_whole_wherever_the_range_ends():
    assert read("5m", NOON + minutes(2), NOON + minutes(6)) == [("12:05", "105.0", "108.5", "105.0", "108.5")]


@pytest.mark.usefixtures("nine_minutes")
def test_a_limit_takes_the_first_candles_after_from_and_without_from_the_last():
    assert [bar[0] for bar in read("1m", NOON, NOON + minutes(60), 2)] == ["12:00", "12:01"]
    assert [bar[0] for bar in read("1m", None, NOON + minutes(60), 2)] == ["12:07", "12:08"]
    assert read("5m", None, NOON + minutes(60), 1) == [("12:05", "105.0", "108.5", "105.0", "108.5")]
    assert read("5m", NOON, NOON + minutes(60), 1) == [("12:00", "100.0", "104.5", "100.0", "104.5")]


@pytest.mark.usefixtures("nine_minutes")
def test_days_and_hours_begin_at_utc_midnight():
    assert [bar[0] for bar in read("4h", None, NOON + minutes(60))] == ["12:00"]
    assert [bar[0] for bar in read("1d", None, NOON + minutes(60))] == ["00:00"]


@pytest.mark.usefixtures("nine_minutes")
@pytest.mark.parametrize("interval", ["5m", "15m", "30m", "1h", "4h", "1d"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_every_limit_shows_the_same_candles_as_all_of_them(interval, limit):
    everything = read(interval, None, NOON + minutes(600))

    assert read(interval, None, NOON + minutes(600), limit) == everything[-limit:]
    assert read(interval, NOON - minutes(1440), NOON + minutes(600), limit) == everything[:limit]


# --- once, whatever dies ---------------------------------------------------------------------------


def test_a_batch_whose_commit_was_not_heard_of_is_not_added_again():
    """Guard: `if not cursor.rowcount` in `record`."""
    gatherer = Gatherer()
    gatherer.add([price("100", NOON), price("90", NOON + seconds(1))])
    with pytest.raises(ProgrammingError, match="quotes_candle"):
        write_without_the_table(gatherer)
    batch = gatherer._pending
    assert batch is not None
    assert record(batch.minutes, batch.id)  # it was committed, and the answer was lost

    gatherer.add([price("95", NOON + seconds(2))])
    assert gatherer.write() == 2
    assert the_candle() == ("100.0", "100.0", "90.0", "95.0", 3)
    gatherer.add([price("95", NOON + seconds(3))])
    gatherer.write()
    assert CandleBatch.objects.count() == 1  # only of the last one somebody may ask


def test_what_a_killed_process_gathered_is_added_once_by_the_next(tmp_path):
    """Guard: `self._files.append` in `Gatherer.add`."""
    killed = Gatherer(CandleFiles(tmp_path))
    killed.add([price("100", NOON), price("103", NOON + seconds(1))])
    killed.write()
    killed.add([price("98", NOON + seconds(2)), price("99", NOON + seconds(3), "ETH-USD")])
    killed.add([price("97.5", NOON + seconds(4))])
    assert recover(CandleFiles(tmp_path)) == Recovered(0, 0)  # it lives: it holds the lock
    died(killed)

    assert recover(CandleFiles(tmp_path)) == Recovered(1, 0)
    assert recover(CandleFiles(tmp_path)) == Recovered(0, 0)
    Candle.objects.get(instrument_id="ETH-USD", close=99, trade_count=1).delete()
    assert the_candle() == ("100.0", "103.0", "97.5", "97.5", 4)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_between_writing_and_forgetting_has_written(tmp_path):
    """Guard: the id of a batch is its file's."""
    killed = Gatherer(CandleFiles(tmp_path))
    killed.add([price("100", NOON)])
    (file,) = tmp_path.iterdir()
    text = file.read_bytes()
    killed.write()
    file.write_bytes(text)

    assert recover(CandleFiles(tmp_path)) == Recovered(1, 0)
    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)
    assert list(tmp_path.iterdir()) == []


def test_of_a_torn_file_what_is_whole_counts_and_nothing_else(tmp_path):
    at = int(NOON.timestamp()) * 1_000_000
    rubbish = f"BTC-USD,{at},-1\nBTC-USD,x,100\nBTC-USD\n\nGONE-USD,{at},5\n"
    lines = f"BTC-USD,{at},100\n{rubbish}BTC-USD,{at + 1},101\nBTC-USD,{at},7"
    (tmp_path / f"{uuid7().hex}.candles").write_text(lines)
    (tmp_path / "notes.candles").write_text("not ours")

    assert recover(CandleFiles(tmp_path)) == Recovered(1, 0)
    assert the_candle() == ("100.0", "101.0", "100.0", "101.0", 2)


def test_a_folder_that_cannot_be_written_stops_no_candle(tmp_path, caplog):
    (tmp_path / "feed").write_text("a file")
    gatherer = Gatherer(CandleFiles(tmp_path / "feed"))
    gatherer.add([price("100", NOON)])
    gatherer.add([price("101", NOON + seconds(1))])
    gatherer.write()

    assert the_candle() == ("100.0", "101.0", "100.0", "101.0", 2)
    assert [line.getMessage()[:36] for line in caplog.records] == ["candles are kept in memory alone: [E"]


@pytest.mark.parametrize("seed", range(8))
def test_in_whatever_order_and_batches_they_come_a_minute_is_the_same(seed):
    """Guard: `open_at` and `close_at`, in memory and in the row."""
    random = Random(seed)
    said = [
        price(str(random.randint(50, 150)), NOON + timedelta(milliseconds=at))
        for at in random.sample(range(60_000), 30)
    ]
    in_time = sorted(said, key=lambda one: one.at)
    mids = [one.mid for one in in_time]
    while said:
        count = random.randint(1, 9)
        recorded(*said[:count])
        said = said[count:]

    candle = Candle.objects.get()
    assert (candle.open, candle.high, candle.low, candle.close) == (mids[0], max(mids), min(mids), mids[-1])
    assert (candle.trade_count, candle.open_at, candle.close_at) == (30, in_time[0].at, in_time[-1].at)


def test_a_price_that_comes_five_minutes_late_counts_and_a_later_one_does_not():
    """Guard: LATEST."""
    gatherer = Gatherer()
    gatherer.add([price("100", NOON)], NOON + minutes(5))
    gatherer.add([price("200", NOON)], NOON + minutes(5) + timedelta(milliseconds=1))
    gatherer.write()

    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)
    assert gatherer.late == 1


# --- what nobody can write -------------------------------------------------------------------------


def test_a_price_of_a_time_to_come_is_in_no_candle():
    """Guard: `is_ahead` in `Gatherer.add` and in `note`: the last candle of all would be the last for good."""
    gatherer = Gatherer()
    gatherer.add([price("100", NOON + AHEAD)], NOON)
    gatherer.add([price("200", NOON + AHEAD + timedelta(milliseconds=1))], NOON)
    gatherer.write()
    note(price("200", datetime(2190, 1, 1, tzinfo=UTC)))

    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)
    assert (gatherer.early, gatherer.late) == (1, 0)


def test_nor_is_one_that_a_file_has(tmp_path):
    """Guard: `is_ahead` in `_recover`."""
    to_come = int(datetime(2190, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    a_file_that_was_left(tmp_path, f"BTC-USD,{to_come},200\nBTC-USD,{int(NOON.timestamp()) * 1_000_000},100\n")

    assert recover(CandleFiles(tmp_path)) == Recovered(1, 0)
    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)


def test_what_no_row_can_hold_is_said_and_left_out_and_holds_up_nothing(caplog):
    """Guard: `except` in `_add`. Without it this batch is written again for as long as the feed runs."""
    recorded(price("100", NOON, "ETH-USD"))
    Candle.objects.update(trade_count=2**31 - 1)
    gatherer = Gatherer()
    gatherer.add([price("100", NOON), price("7", datetime(1971, 1, 1, tzinfo=UTC)), price("7", NOON, "ETH-USD")])
    gatherer.add([price("101", NOON + minutes(1)), price("7", datetime(2200, 6, 1, tzinfo=UTC))])

    assert gatherer.write() == 5
    assert gatherer.write() == 0

    Candle.objects.get(instrument="ETH-USD", close=100).delete()
    Candle.objects.get(minute=NOON + minutes(1)).delete()
    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)
    assert [line.getMessage().partition(" can't be kept: ")[0] for line in caplog.records] == [
        "a candle of BTC-USD at 1971-01-01 00:00:00+00:00",
        "a candle of ETH-USD at 2026-03-02 12:00:00+00:00",
        "a candle of BTC-USD at 2200-06-01 00:00:00+00:00",
    ]


def test_a_file_with_such_a_price_is_recovered_without_it_and_gone(tmp_path):
    a_file_that_was_left(tmp_path, f"BTC-USD,1000,7\nBTC-USD,{int(NOON.timestamp()) * 1_000_000},100\n")

    assert recover(CandleFiles(tmp_path)) == Recovered(1, 0)
    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)
    assert list(tmp_path.iterdir()) == []


# --- what fails once -------------------------------------------------------------------------------


def a_file_that_was_left(folder: Path, lines: str = "") -> UUID:
    id_ = uuid7()
    (folder / f"{id_.hex}.candles").write_text(lines or f"BTC-USD,{int(NOON.timestamp()) * 1_000_000},100\n")
    return id_


@contextmanager
def postgresql_refuses(batch: UUID) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse_batch() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'not this one'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON quotes_candlebatch FOR EACH ROW"
            f" WHEN (NEW.id = '{batch}') EXECUTE FUNCTION refuse_batch()"
        )
        yield
        cursor.execute("DROP FUNCTION refuse_batch() CASCADE")


def test_a_file_that_cannot_be_recovered_now_holds_up_no_other_and_is_tried_again(tmp_path, caplog):
    """Guard: `except` in `recover`, and `left.close` in `_recover`: this process' own lock would hold it for good."""
    refused, other = a_file_that_was_left(tmp_path), a_file_that_was_left(tmp_path)

    with postgresql_refuses(refused):
        assert recover(CandleFiles(tmp_path)) == Recovered(1, 1)
        assert [path.stem for path in tmp_path.iterdir()] == [refused.hex]
        assert recover(CandleFiles(tmp_path)) == Recovered(0, 1)
    assert caplog.records[0].getMessage() == f"{refused.hex}.candles can't be recovered now: not this one"

    assert recover(CandleFiles(tmp_path)) == Recovered(1, 0)
    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 2)
    assert {refused, other} == set(CandleBatch.objects.values_list("id", flat=True))


def test_a_feed_tries_again_later_until_nothing_is_left(tmp_path, settings):
    """Guard: `if not recovered.failed` in `_recover_candles`."""
    settings.FEED_CANDLE_FILES = tmp_path
    feed = Feed(1, 0.25, threading.Event())
    with postgresql_refuses(a_file_that_was_left(tmp_path)):
        feed._recover_candles()
    feed._recover_candles()  # not yet
    assert not Candle.objects.exists()
    assert feed._recovers_at is not None

    feed._recovers_at = 0.0
    feed._recover_candles()

    assert the_candle() == ("100.0", "100.0", "100.0", "100.0", 1)
    assert feed._recovers_at is None


def test_a_minute_without_a_price_has_no_candle_at_any_interval():
    recorded(price("100", NOON), price("101", NOON + minutes(3)))
    assert [bar[0] for bar in read("1m", None, NOON + minutes(9))] == ["12:00", "12:03"]
    recorded(price("102", NOON + minutes(40)))
    assert [bar[0] for bar in read("15m", None, NOON + minutes(90))] == ["12:00", "12:30"]


# --- months ----------------------------------------------------------------------------------------


def months() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'quotes_candle'::regclass")
        return {name.removeprefix("quotes_candle_") for (name,) in cursor.fetchall()}


def test_each_month_of_utc_is_a_partition_that_is_made_when_it_is_needed():
    last = datetime(2031, 12, 31, 23, 59, tzinfo=UTC)
    recorded(price("100", last), price("101", last + minutes(1)))
    assert {"203112", "203201"} <= months()
    assert [
        (f"{b.time:%Y-%m-%d}", b.updates)
        for b in bars("BTC-USD", "1d", since=last - minutes(1440), until=last + minutes(9), limit=9)
    ] == [
        ("2031-12-31", 1),
        ("2032-01-01", 1),
    ]


@pytest.mark.parametrize("year", [1989, 2200])
def test_there_is_no_month_that_no_candle_is_of(year):
    """Guard: the bounds in `make_candle_month`: the application can't fill the catalogue with tables."""
    with pytest.raises(DataError, match="no candle is of"), transaction.atomic():
        make_months([datetime(year, 6, 1, tzinfo=UTC)])


def test_a_range_of_one_month_looks_into_that_month_alone():
    recorded(price("100", NOON), price("100", NOON + timedelta(days=60)))
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN SELECT * FROM quotes_candle WHERE instrument_id = 'BTC-USD' AND minute >= %s AND minute < %s",
            [NOON, NOON + minutes(60)],
        )
        plan = "\n".join(row for (row,) in cursor.fetchall())
    assert "quotes_candle_202603" in plan
    assert "quotes_candle_202605" not in plan
