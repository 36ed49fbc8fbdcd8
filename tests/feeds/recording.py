"""Makes the recorded day that tests and the demo play (`brokerage/demo/recorded_day.md` says what it is).

    python -m tests.embedded python -m tests.feeds.recording brokerage/demo/recorded_day.csv.gz

The real feed records the simulator and two venues, which are servers on this machine that speak Coinbase's and
Kraken's documented messages. Their prices walk beside the simulator's.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from quotes.feeds.simulator import Simulator, SimulatorTerms
from tests.feeds.servers import VenueServer
from tests.feeds.test_coinbase import ticker
from tests.feeds.test_kraken import STATUS, Book, levels

MANAGE = str(Path(__file__).parents[2] / "manage.py")
SYMBOLS = ("BTC-USD", "ETH-USD")
# Seconds from when both venues speak: from when until before when.
SPIKE = (1.5, 3.0)  # coinbase says 30 % more
HALT = (4.0, 5.5)  # kraken is in maintenance
OUTAGE = 6.5  # from here on the simulator and kraken say nothing, and coinbase ten times its price
SILENCE = 13.0  # nobody says anything
TERMS = {
    "BTC-USD": SimulatorTerms(Decimal(42350), Decimal(2), Decimal(5), 2),
    "ETH-USD": SimulatorTerms(Decimal(2250), Decimal(2), Decimal(6), 2),
}


class Day:
    """How far the day is: one clock for both venues. Until it is begun it stays at its beginning."""

    def __init__(self) -> None:
        self._began: float | None = None

    def begin(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began


def walk(seed: int) -> Iterator[dict[str, tuple[Decimal, Decimal]]]:
    for batch in Simulator(lambda: TERMS, seed, 0.25).batches(lambda seconds: False):
        yield {tick.symbol: (tick.bid, tick.ask) for tick in batch}


def coinbase(day: Day, connection: ServerConnection) -> None:
    numbers = itertools.count()
    for prices in walk(2):
        now = day.seconds
        if now >= SILENCE:
            return
        factor = Decimal(10) if now >= OUTAGE else Decimal("1.3") if SPIKE[0] <= now < SPIKE[1] else Decimal(1)
        for symbol, (bid, ask) in prices.items():
            said = ticker(next(numbers), f"{bid * factor:.2f}", f"{ask * factor:.2f}", symbol)
            connection.send(json.dumps(said | {"timestamp": _now()}))
        time.sleep(0.25)


def kraken(day: Day, connection: ServerConnection) -> None:
    is_halted: bool | None = None  # who connects in a halt waits for its end
    for prices in walk(3):
        now = day.seconds
        wanted = HALT[0] <= now < HALT[1] or now >= OUTAGE
        if wanted and is_halted is False:
            connection.send(STATUS.replace("online", "maintenance"))
        is_halted = wanted
        for symbol, sides in () if is_halted else prices.items():
            bids, asks = (f'[{{"price":{side},"qty":1.0}}]' for side in sides)
            book = Book()
            book.change(levels(bids), levels(asks))
            connection.send(
                f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{symbol.replace("-", "/")}","bids":{bids},'
                f'"asks":{asks},"checksum":{book.checksum()},"timestamp":"{_now()}"}}]}}'
            )
        time.sleep(0.25)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def main(out: Path) -> None:
    day, venues = Day(), (VenueServer(), VenueServer())
    for server, part in zip(venues, (coinbase, kraken), strict=True):
        server.parts = [lambda connection, part=part: _played(part, day, connection)]
    subprocess.run([sys.executable, MANAGE, "migrate", "--verbosity", "0"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "day.csv")
        environ = os.environ | {
            "FEED_SOURCES": "simulator,coinbase,kraken",
            "FEED_SIMULATOR": f"burst_percent=10,outage_every=60,outage_seconds={59 - OUTAGE}",
            "COINBASE_URL": venues[0].url,
            "KRAKEN_URL": venues[1].url,
            "FEED_CANDLE_FILES": folder,
        }
        feed = subprocess.Popen([sys.executable, MANAGE, "run_feed", "--seed", "1", "--record", str(raw)], env=environ)
        while not all(server.asked for server in venues):
            time.sleep(0.05)
        day.begin()
        while day.seconds < SILENCE + 1:
            time.sleep(0.1)
        feed.terminate()
        feed.wait()
        _pack(raw, out)


def _played(part: object, day: Day, connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        part(day, connection)  # type: ignore[operator]


def _pack(raw: Path, out: Path) -> None:
    """The lines of two symbols, as they are. Without a name and a time in it the same lines make the same file."""
    with raw.open(newline="") as file:
        names, *rows = csv.reader(file)
    kept = [row for row in rows if row[names.index("symbol")] in SYMBOLS]
    text = "".join(",".join(row) + "\n" for row in [names, *kept])
    out.write_bytes(gzip.compress(text.encode("ascii"), 9, mtime=0))
    sys.stdout.write(f"{len(kept)} of {len(rows)} lines, {out.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
