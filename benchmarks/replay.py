"""A recorded list of requests, played to two commits: are the answers, and the rows behind them, the same?

    cp benchmarks/replay* ../before/benchmarks/
    .venv/bin/python -m benchmarks.replay play before.json        # there
    .venv/bin/python -m benchmarks.replay play after.json         # here
    .venv/bin/python -m benchmarks.replay compare before.json after.json

A step of `replayed.json.gz` is a request, a price, a deposit, an API client, or a wait; `<<name>>` stands for what an
earlier answer held. What each run makes anew (ids, order codes, tokens, times) is replaced by the place where it came
first. A time in an answer, cut off to the millisecond, only has to be that of its row.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import reduce
from http.client import HTTPConnection, HTTPException
from io import StringIO
from operator import getitem
from pathlib import Path
from typing import Any

from redis import RedisError

from benchmarks import system
from benchmarks.replayed import TABLES, Names, Row, Times

STEPS = Path(__file__).with_name("replayed.json.gz")
NIGHT_MINUTES = 8  # from the start until positions are held overnight; the list takes half of it
NOBODYS_ORDER = "ord_" + "f" * 16
BOOKED = """SELECT (SELECT count(*) FROM trades_orderevent), (SELECT count(*) FROM accounts_transfer) AS transfers,
    (SELECT string_agg(state, '' ORDER BY id) FROM trades_trade) AS trades,
    (SELECT string_agg(state, '' ORDER BY id) FROM trades_settlementbatch) AS batches"""
NIGHTS_DONE = "SELECT count(*) FROM trades_swaprun WHERE cutoff >= %s AND done_at IS NOT NULL"
NIGHTS = 16  # one of each of the partitions that never change
Compared = list[Any]


class Player:
    """Plays the steps to one system, one after the other, at prices that only the steps move."""

    def __init__(self, port: int, night: datetime) -> None:
        client = json.loads((Path(os.environ["BROKERAGE_DATA_DIR"]) / "seed.json").read_text())["client"]
        self._held: dict[str, str] = {name: client[name] for name in ("client_id", "client_secret")}
        self._web = HTTPConnection("127.0.0.1", port, timeout=30)
        self._night = night
        self._prices: dict[str, str] = {}
        self._names, self._times = Names(), Times()
        threading.Thread(target=self._keep_fresh, daemon=True).start()

    def play(self, steps: list[Any]) -> Iterator[Compared]:
        """What became of each step, and then each row."""
        from accounts import streams

        for number, step in enumerate(steps):
            self._names.at(f"{number}")
            yield [f"step {number}", *(self._asked(step) if isinstance(step, dict) else self._done(*step))]
        self._done("quiet")
        yield ["dead letters", sum(streams.client().xlen(key) for key in streams.client().keys("*:dead"))]
        for table, query in TABLES.items():
            for number, row in enumerate(_rows(query)):
                self._names.at(f"{table} {number}")
                yield [f"{table} {number}", self._names.row(row)]
        yield ["times that aren't their rows'", list(self._times.wrong(_rows(TABLES["order"])))]

    def _asked(self, step: dict[str, Any]) -> Compared:
        headers = {name: self._filled(value) for name, value in step.get("headers", {}).items()}
        if step.get("as"):
            headers["Authorization"] = f"Bearer {self._held.get(step['as'], 'nobody')}"
        body = self._filled(step["body"]).encode("latin-1") if "body" in step else None
        lost: list[str] = []
        while True:
            try:
                self._web.request(step["method"], self._filled(step["path"]), body, headers)
                answer = self._web.getresponse()
                said = answer.read().decode("utf-8", "backslashreplace")
                break
            except (HTTPException, OSError):  # it was closed after the answer before
                self._web.close()
                lost.append("connection lost")
                if len(lost) == 3:
                    raise
        self._keep(step.get("keep", {}), said)
        self._times.note(said)
        told = [[name.lower(), self._names.plain(text)] for name, text in answer.getheaders() if name.lower() != "date"]
        return [step, answer.status, sorted(told), self._names.plain(said), *lost]

    def _filled(self, text: str) -> str:
        return re.sub(r"<<(\w+)>>", lambda match: self._held.get(match[1], NOBODYS_ORDER), text)

    def _keep(self, wanted: dict[str, list[Any]], said: str) -> None:
        for name, path in wanted.items():
            with suppress(ValueError, LookupError, TypeError):
                self._held[name] = str(reduce(getitem, path, json.loads(said)))

    def _done(self, kind: str, *words: str) -> list[str]:
        from django.core.management import call_command

        from accounts import streams

        if kind == "old price":  # stale: it only says that the market has a price, for which the night waits
            streams.client().hset("prices", words[0], f"{words[1]}|{words[2]}|{int(time.time() - 3600) * 1000}")
        elif kind in ("price", "first price"):
            self._prices[words[0]] = "|".join(words[1:])
            self._publish()
        elif kind == "deposit":
            call_command("deposit", *words, stdout=StringIO())
        elif kind == "client":
            told = StringIO()
            call_command("create_api_client", *words, "--json", stdout=told)
            made = json.loads(told.getvalue())
            self._held |= {f"{words[0]}_id": made["client_id"], f"{words[0]}_secret": made["client_secret"]}
        elif kind == "night":
            self._wait_for_the_night()
        if kind in ("price", "quiet", "night"):
            self._wait_until_quiet()
        return [kind, *words]

    def _publish(self) -> None:
        from accounts import streams

        now = int(streams.client().time()[0]) * 1000
        for symbol, sides in dict(self._prices).items():
            streams.client().hset("prices", symbol, f"{sides}|{now}")

    def _keep_fresh(self) -> None:
        while True:
            with suppress(RedisError):
                self._publish()
            time.sleep(0.2)

    def _wait_until_quiet(self) -> None:
        same, last = 0, None
        while same < 5:
            time.sleep(0.2)
            now = _rows(BOOKED)
            same, last = (same + 1 if now == last else 0), now

    def _wait_for_the_night(self) -> None:
        if datetime.now(UTC) >= self._night:
            raise RuntimeError("the night was over before the list came to it: raise NIGHT_MINUTES")
        while _rows(NIGHTS_DONE, self._night) != [{"count": NIGHTS}]:
            time.sleep(0.5)
        self._web.close()  # the server did so meanwhile


def _rows(query: str, *values: Any) -> list[Row]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def play() -> list[Compared]:
    night = (datetime.now(UTC) + timedelta(minutes=NIGHT_MINUTES)).replace(second=0, microsecond=0)
    system.START_SECONDS = 600  # two systems start beside whatever else the machine does
    with system.running("beat,feed", SWAP_TIME=f"{night:%H:%M}", SWAP_ZONE="UTC", WEB_THREADS="16") as started:
        import django

        django.setup()
        return list(Player(started.port, night).play(json.loads(gzip.decompress(STEPS.read_bytes()))))


def differences(before: list[Compared], after: list[Compared]) -> Iterator[Compared]:
    one, two = {row[0]: row[1:] for row in before}, {row[0]: row[1:] for row in after}
    for name in dict.fromkeys([*one, *two]):
        if one.get(name) != two.get(name):
            yield [name, one.get(name), two.get(name)]


if __name__ == "__main__":
    if sys.argv[1] == "play":
        Path(sys.argv[2]).write_text(json.dumps(play(), indent=0))
    else:
        for name, *both in differences(*(json.loads(Path(path).read_text()) for path in sys.argv[2:4])):
            print(name, *map(json.dumps, both), sep="\n  ")
