"""A venue in a process of its own that says prices over and over: Coinbase's tickers or Kraken's books.

    python -m benchmarks.venues coinbase 500 6

The number of symbols, and how often a second each is said; 0 is as often as it is read. Prints its port.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import zlib
from contextlib import suppress
from datetime import UTC, datetime

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


def symbol(number: int) -> str:
    return f"B{number:04}-USD"


def main(kind: str, symbols: int, each_second: float) -> None:
    says = coinbase if kind == "coinbase" else kraken

    def play(connection: ServerConnection) -> None:
        threading.Thread(target=_read, args=(connection,), daemon=True).start()
        time.sleep(1)
        began, count = time.monotonic(), 0
        with suppress(ConnectionClosed):
            while True:
                connection.send(says(symbol(count % symbols), count, 10_000 + count % 7))
                count += 1
                if each_second and (ahead := began + count / (symbols * each_second) - time.monotonic()) > 0:
                    time.sleep(ahead)

    server = serve(play, "127.0.0.1", 0, compression=None)
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()


def _read(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        for _ in connection:
            pass


def coinbase(name: str, number: int, cents: int) -> str:
    ticker = {"type": "ticker", "product_id": name, "best_bid": _money(cents), "best_ask": _money(cents + 10)}
    events = [{"type": "update", "tickers": [ticker]}]
    return json.dumps({"channel": "ticker", "timestamp": _now(), "sequence_num": number, "events": events})


def kraken(name: str, number: int, cents: int) -> str:
    bids, asks = range(cents, cents - 10, -1), range(cents + 10, cents + 20)
    checksum = zlib.crc32("".join(f"{level}150000000" for level in (*asks, *bids)).encode())
    return (
        f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{name.replace("-", "/")}","bids":[{_levels(bids)}],'
        f'"asks":[{_levels(asks)}],"checksum":{checksum},"timestamp":"{_now()}"}}]}}'
    )


def _levels(cents: range) -> str:
    return ",".join(f'{{"price":{_money(level)},"qty":1.50000000}}' for level in cents)


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
