"""Feeds as real processes, each told by its walk: whoever reads the prices knows which feed said them, and when."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import redis

from accounts import streams
from brokerage.stack.processes import MANAGE
from quotes import prices, symbols
from quotes.feeds.simulator import Simulator
from quotes.management.commands.run_feed import simulated_terms
from quotes.models import FeedLease
from tests.live import environment

TICK_MILLISECONDS: Final = 50
_BATCHES: Final = 3000  # of a walk: more than a test lasts

Said = tuple[tuple[str, str], ...]  # bid and ask of each symbol, in the order of the symbols


class Seen(NamedTuple):
    """What stood in Redis at `now` of its clock: the feed's seed, which of its batches it was, as of when."""

    seed: int
    batch: int
    at: datetime
    now: datetime


class Feed:
    """A `manage.py run_feed` on this test's database and Redis."""

    def __init__(self, seed: int, extra: Mapping[str, str] | None = None) -> None:
        self.seed = seed
        self.log = Path(tempfile.mkstemp(prefix="feed-", suffix=".log")[1])
        self.process = subprocess.Popen(
            [*MANAGE, "run_feed", "--seed", str(seed), "--tick-ms", str(TICK_MILLISECONDS)],
            env=environment() | {"FEED_CANDLE_FILES": f"{self.log}.candles"} | dict(extra or {}),
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines())

    def ends(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.unlink()


@contextmanager
def feeds(*seeds: int) -> Iterator[list[Feed]]:
    """One after the other, so that the first publishes and the others stand by."""
    FeedLease.objects.update(renewed_at=None, holder="")
    symbols.forget()
    started: list[Feed] = []
    try:
        for seed in seeds:
            feed = Feed(seed)
            started.append(feed)
            soon(lambda feed=feed: feed.says("running: ") or feed.says("standby: "), 30)
        yield started
    finally:
        for feed in started:
            feed.ends()


class Watch:
    """Knows the walks of these seeds, and so what stands in Redis."""

    def __init__(self, *seeds: int) -> None:
        terms = simulated_terms()
        self._symbols = sorted(terms)
        self._known: dict[Said, tuple[int, int]] = {}
        for seed in seeds:
            walk = Simulator(lambda: terms, seed, TICK_MILLISECONDS / 1000).batches(lambda seconds: False)
            for number, batch in enumerate(islice(walk, _BATCHES)):
                said = {tick.symbol: (f"{tick.bid:f}", f"{tick.ask:f}") for tick in batch}
                self._known[tuple(said[symbol] for symbol in self._symbols)] = (seed, number)

    def look(self) -> Seen:
        """What stands now. A KeyError where it is no feed's whole batch: two have mixed."""
        latest = prices.latest()
        stands = [latest.by_symbol[symbol] for symbol in self._symbols]
        seed, batch = self._known[tuple((f"{price.bid:f}", f"{price.ask:f}") for price in stands)]
        return Seen(seed, batch, min(price.at for price in stands), latest.now)

    def look_for(self, seconds: float) -> list[Seen]:
        """All that is seen in a while."""
        seen, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            seen.append(self.look())
            time.sleep(0.01)
        return seen


def soon(wanted: Callable[[], object], seconds: float = 10) -> float:
    """Wait until it is so; how many seconds that took. A Redis that is away is waited for."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if wanted():
                return time.monotonic() - began
        except (redis.RedisError, KeyError):
            pass
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


def epoch_in_redis() -> int:
    return int(streams.client().get("prices:epoch") or 0)  # type: ignore[arg-type]
