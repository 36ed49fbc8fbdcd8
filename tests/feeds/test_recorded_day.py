"""The recorded day, through the feed's own parts and through the feed itself: what the price was at each moment.

`brokerage/demo/recorded_day.md` says what is in it, and that no venue said any of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

import psycopg
import pytest

from accounts.timestamps import from_milliseconds
from brokerage.demo.recorded import DAY, HIGHEST, LOWEST
from quotes import prices
from quotes.feeds.composite import composite_terms_of
from quotes.feeds.market import Market
from quotes.feeds.tick_files import recorded
from quotes.feeds.venue import VenueTick
from quotes.judging import Fault
from quotes.models import Instrument
from quotes.prices import Price
from quotes.services import limits_of
from tests.feeds.test_process import run, venues  # noqa: F401 - fixtures
from tests.quotes.test_feeds import markets_database, soon, valkey  # noqa: F401 - fixtures

ETH = "ETH-USD"
ALL = ["coinbase", "kraken", "simulator"]


class Moment(NamedTuple):
    """What stands so many milliseconds after the first tick, how old it is, and why what was said last is no price."""

    bid: str
    ask: str
    sources: list[str]
    age: int
    fault: Fault | None
    left_out: list[str]


def moments() -> Iterator[tuple[int, Moment]]:
    """Through the composite and through the script in Redis, tick by tick, as old as each was: nobody waits."""
    row = Instrument.objects.get(pk=ETH)
    terms, limits = {ETH: composite_terms_of(row)}, {ETH: limits_of(row)}
    ticks = [one for one in recorded(DAY) if one.symbol == ETH]
    first, ahead = ticks[0].came, prices.clock() - ticks[-1].came - 1000
    market = Market()

    def time_of(came: float) -> int:
        return int(came)

    for one in ticks:
        now = one.came + ahead
        at = None if one.at is None else one.at + ahead
        tick = VenueTick(ETH, one.bid, one.ask or one.bid, now, one.source, at)
        market.take([tick], time_of, now)
        told = market.told([ETH], terms, time_of, now)
        faults = {**told.faults, **prices.publish_ticks(told.ticks, limits).faults}
        stands = prices.latest().by_symbol.get(ETH)
        assert isinstance(stands, Price)
        yield (
            one.came - first,
            Moment(
                f"{stands.bid}",
                f"{stands.ask}",
                sorted(said.source for said in stands.sources),
                now - (stands.at - from_milliseconds(0)) // timedelta(milliseconds=1),
                faults.get(ETH),
                sorted(source for _, source in told.left_out),
            ),
        )


KNOWN = {
    0.5: Moment("2249.39", "2250.75", ALL, 56, None, []),
    2.5: Moment("2249.10", "2250.47", ["kraken", "simulator"], 56, None, ["coinbase"]),  # + 30 %
    3.5: Moment("2248.62", "2249.99", ALL, 58, None, []),
    4.8: Moment("2248.48", "2249.85", ["coinbase", "simulator"], 191, None, []),  # kraken's maintenance
    6.4: Moment("2248.19", "2249.55", ALL, 111, None, []),
    7.0: Moment("2248.23", "2249.59", ["kraken", "simulator"], 454, Fault.FEW, ["coinbase", "simulator"]),  # x 10
    11.0: Moment("2248.23", "2249.59", ["kraken", "simulator"], 4464, Fault.FEW, ["coinbase", "simulator"]),
    12.5: Moment("2248.23", "2249.59", ["kraken", "simulator"], 5970, Fault.JUMP, ["simulator"]),  # alone
}


@pytest.mark.django_db
def test_what_the_price_was_at_known_moments_of_the_day():
    """Guards: `_agreed` in the composite, and `jumps` in PUBLISH. Without the first the spike of one source is in the
    price; without the second what a source alone says of ten times as much is the price."""
    found = dict(moments())

    def at(second: float) -> Moment:
        return found[max(when for when in found if when <= second * 1000)]

    for second, wanted in KNOWN.items():
        assert at(second) == wanted, second
    assert all(LOWEST <= Decimal(one.bid) <= Decimal(one.ask) <= HIGHEST for one in found.values())
    assert {one.fault for when, one in found.items() if when > 12_000} == {Fault.JUMP}
    assert max(one.age for one in found.values()) > 6_000
    assert prices.refused()[ETH].bid == Decimal("22459.90")


def test_a_feed_on_standby_loses_none_of_it_and_publishes_none_of_its_spikes(run, markets_database):  # noqa: F811
    """Guard: in `Feed.run`, a source that waits is asked for nothing before the lease is there."""
    before = run("simulator")
    soon(lambda: before.price())
    feed = run("replay", REPLAY_FILE=str(DAY), REPLAY_SPEED="0")
    soon(lambda: feed.says("standby: .* publishes"), 20)

    before.process.terminate()

    soon(lambda: feed.says("has played all, 320 ticks"), 20)
    price = feed.price()
    assert price is not None
    assert {said.source for said in price.sources} <= set(ALL)
    assert feed.says("ETH-USD of coinbase: .* is too far from what the other sources say")
    feed.process.terminate()
    feed.process.wait()
    with psycopg.connect(markets_database) as database:
        low, high = database.execute(
            "SELECT min(low), max(high) FROM quotes_candle WHERE instrument_id = 'ETH-USD'"
        ).fetchone()
    assert LOWEST <= low <= high <= HIGHEST
