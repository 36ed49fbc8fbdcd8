"""Ticks that were recorded are played again: exactly, in order, at a pace, with their sources and their delays."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.clock import uptime
from quotes.feeds.recorder import Recorder
from quotes.feeds.simulator import SimulatorTerms
from quotes.feeds.sources import Asked, made
from quotes.feeds.tick_files import Unreadable, recorded
from quotes.feeds.venue import VenueTick

BTC = SimulatorTerms(Decimal(42350), Decimal(2), Decimal(5), 2)
TICKS = """came,source,symbol,bid,ask,at
1764493736000,coinbase,BTC-USD,42350.10,42350.90,1764493735900
1764493736500,kraken,BTC-USD,42350.20,42351.00,
1764493737000,coinbase,BTC-USD,42350.30,42351.10,1764493736900
1764493738000,coinbase,DOGE-USD,1,2,
"""


def played(settings, path: Path, speed: int = 0) -> tuple[list[VenueTick], list[float]]:
    """All ticks, and how long it paused."""
    settings.REPLAY_FILE, settings.REPLAY_SPEED = str(path), speed
    venue = made(Asked("replay", lambda kinds: [], lambda: {"BTC-USD": BTC}, 1, 0.25))
    ticks: list[VenueTick] = []
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return not venue.health.is_connected

    for batch in venue.batches(pause):
        ticks.extend(batch)
    return ticks, pauses


def file_of(tmp_path: Path, text: str, name: str = "ticks.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_as_fast_as_possible_every_tick_comes_in_order_with_its_source(settings, tmp_path, caplog):
    with caplog.at_level("INFO", "feed"):
        ticks, _ = played(settings, file_of(tmp_path, TICKS))

    assert [(tick.source, str(tick.bid), str(tick.ask)) for tick in ticks] == [
        ("coinbase", "42350.10", "42350.90"),
        ("kraken", "42350.20", "42351.00"),
        ("coinbase", "42350.30", "42351.10"),
    ]
    assert "replay: has played all, 3 ticks, to 2025-11-30 09:08:58 UTC" in caplog.text


def test_at_its_own_pace_the_pauses_are_those_of_then_and_each_tick_is_as_late_as_it_was(settings, tmp_path):
    ticks, pauses = played(settings, file_of(tmp_path, TICKS))
    assert max(pauses) == 1  # the silence at the end

    now = uptime()
    ticks, pauses = played(settings, file_of(tmp_path, TICKS), speed=2)

    assert [round(pause, 1) for pause in pauses[:3]] == [0.2, 0.5, 1.0]  # from the beginning: nobody really slept
    assert -0.06 < ticks[0].came - now < 0.05
    assert ticks[0].came < ticks[1].came


def test_what_the_recorder_wrote_is_what_is_played(settings, tmp_path):
    path = tmp_path / "day.csv"
    came = uptime()
    said = [
        VenueTick("BTC-USD", Decimal("42350.10"), Decimal("1E+5"), came, "coinbase", 1764493735900),
        VenueTick("BTC-USD", Decimal("0.000000000000000001"), Decimal("42350.90"), came + 1, "kraken"),
    ]
    for tick in said:  # as after a restart: it goes on where it was
        recorder = Recorder(path)
        recorder.write([tick])
        recorder.close()

    found = list(recorded(path))
    assert [(one.source, one.symbol, one.bid, one.ask, one.at) for one in found] == [
        (tick.source, tick.symbol, tick.bid, tick.ask, tick.at) for tick in said
    ]
    assert found[1].came - found[0].came in range(990, 1011)
    assert found[1].done == 1
    assert [str(tick.ask) for tick in played(settings, path)[0]] == ["100000", "42350.90"]


def test_a_candle_is_four_ticks_with_the_instruments_spread(settings, tmp_path):
    text = "time,symbol,open,high,low,close\n2025-11-30T09:08:00Z,BTC-USD,100,110,90,105\n"
    text += "2025-11-30T09:09:00+00:00,BTC-USD,105,106,80,81\n"

    found = list(recorded(file_of(tmp_path, text)))

    assert [str(one.bid) for one in found] == ["100", "90", "110", "105", "105", "106", "80", "81"]
    assert [one.came - found[0].came for one in found] == [0, 15_000, 30_000, 45_000, 60_000, 75_000, 90_000, 105_000]
    ticks, _ = played(settings, file_of(tmp_path, text))
    assert (str(ticks[0].bid), str(ticks[0].ask)) == ("99.97", "100.03")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no rows"),
        ("came,symbol,bid,ask\n", "has no rows"),
        ("came,symbol,bid,ask\n1,BTC-USD,1\n", "a line of 3 values where 4 have names"),
        ("came,symbol,bid,ask\n1,BTC-USD,one,2\n", "line 2: 'one' is not a number"),
        ("came,symbol,bid,ask\n1,BTC-USD,1,2\nyesterday,BTC-USD,1,2\n", "line 3: 'yesterday' is not a time"),
        ("came,symbol,bid,ask\n,BTC-USD,1,2\n", "line 2"),
        ("came,symbol,bid,ask\n1e400,BTC-USD,1,2\n", "line 2"),
        ("came,source,symbol,bid,ask\n1,A~B,BTC-USD,1,2\n", "no name of a source"),
        ("time,symbol,open,high,low,close\n1,BTC-USD,1,NaN,1,1\n", "line 2: 'NaN' is not a number"),
    ],
)
def test_a_file_that_can_not_be_read_says_where_and_the_feed_goes_on_without(settings, tmp_path, caplog, text, why):
    path = file_of(tmp_path, text)
    with pytest.raises(Unreadable, match=why):
        list(recorded(path))

    played(settings, path)

    assert why in caplog.text


def test_a_file_that_is_not_there_is_said(settings, tmp_path, caplog):
    played(settings, tmp_path / "none.csv")

    assert "none.csv" in caplog.text


def test_parquet_is_read_with_pyarrow_and_without_it_says_what_is_missing(tmp_path, monkeypatch):
    path = tmp_path / "ticks.parquet"
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        path.write_bytes(b"PAR1")
        with pytest.raises(Unreadable, match="pyarrow"):
            list(recorded(path))
        return
    table = pa.table({"came": [1], "symbol": ["BTC-USD"], "bid": [Decimal("1.10")], "ask": [Decimal("1.20")]})
    parquet.write_table(table, path)
    assert [(one.came, str(one.bid)) for one in recorded(path)] == [(1, "1.10")]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unreadable, match="pyarrow"):
        list(recorded(path))


def test_without_a_file_there_is_no_such_source(settings):
    settings.REPLAY_FILE = ""

    with pytest.raises(ImproperlyConfigured, match="REPLAY_FILE"):
        made(Asked("replay", lambda kinds: [], dict, 1, 0.25))
