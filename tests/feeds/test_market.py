"""What is kept of each source's ticks, and where they are refused before anything is made of them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given, settings
from hypothesis import strategies as st

from brokerage.settings import _weights
from quotes.feeds.composite import CompositeTerms, Quoted
from quotes.feeds.inbox import Inbox
from quotes.feeds.market import Market
from quotes.feeds.venue import VenueTick, no_price
from quotes.judging import Fault
from quotes.made_of import read
from tests.feeds.test_composite import model

NOW = 1_764_493_736_000
BTC = "BTC-USD"


def time_of(came: float) -> int:
    """The process' uptime is 1000 s at NOW."""
    return NOW + int((came - 1000) * 1000)


def tick(source: str, bid: str, *, came: float = 1000.0, at: int | None = None) -> VenueTick:
    return VenueTick(BTC, Decimal(bid), Decimal(bid), came, source, at)


def take(market: Market, *ticks: VenueTick) -> dict[str, Fault]:
    return {source: fault for (_, source), fault in market.take(ticks, time_of, NOW).items()}


def stands(market: Market, now: int = NOW) -> tuple[str, int, str] | None:
    told = market.told([BTC], {BTC: CompositeTerms(price_decimals=1)}, time_of, now)
    return (str(told.ticks[0].bid), told.ticks[0].at, told.ticks[0].made_of) if told.ticks else None


def test_a_price_is_as_old_as_the_later_of_its_delays():
    """Guard: `Market._quoted`. A venue's old price that has just come is old."""
    market = Market()

    take(market, tick("a", "100", at=NOW - 4000))
    assert stands(market) == ("100.0", NOW - 4000, f"a,100,100,{NOW - 4000}")
    take(market, tick("a", "101", came=1000.0, at=NOW + 900))
    assert stands(market) == ("101.0", NOW, f"a,101,101,{NOW}")


def test_a_tick_from_the_future_is_none_and_locks_the_next_one_out_of_nothing():
    """Guard: `_is_ahead`. Kept, it would pass for newer than all that follows, for as long as it is ahead."""
    market = Market()
    take(market, tick("a", "100", at=NOW - 10))

    assert take(market, tick("a", "200", at=NOW + 1001)) == {"a": Fault.FUTURE}
    assert take(market, tick("a", "200", came=1001.1)) == {"a": Fault.FUTURE}
    assert stands(market)[0] == "100.0"
    assert take(market, tick("a", "101", at=NOW - 5)) == {}
    assert stands(market)[0] == "101.0"


def test_a_tick_that_was_overtaken_is_late_by_the_venues_clock_or_by_ours():
    """Guard: `is_overtaken`."""
    market = Market()
    take(market, tick("a", "100", came=1000.0, at=NOW - 100))

    assert take(market, tick("a", "99", came=1000.0, at=NOW - 101)) == {"a": Fault.LATE}
    assert take(market, tick("a", "99", came=999.0)) == {"a": Fault.LATE}
    assert take(market, tick("b", "99", came=999.0)) == {}


def test_what_is_no_price_leaves_the_source_without_any():
    market = Market()
    take(market, tick("a", "100"), tick("b", "102"))

    for wrong in (no_price(BTC, 1000.0, "a"), tick("a", "NaN"), tick("a", "-1"), tick("a", "Infinity")):
        assert take(market, wrong) == {"a": Fault.UNSOUND}
        assert stands(market)[0] == "102.0"


def test_weights_are_by_source():
    market = Market({"a": 3})
    take(market, tick("a", "100"), tick("b", "100.8"))

    assert stands(market)[0] == "100.2"


def test_a_symbols_own_weights_go_before_those_of_its_sources_and_with_none_a_source_says_nothing():
    """Guard: `_own` of `Market`; of a source that counts 0 no median is made either."""
    market = Market({"a": 3, "b": 3}, {(BTC, "a"): 1, ("ETH-USD", "b"): 0, (BTC, "c"): 0})
    take(market, tick("a", "100"), tick("b", "100.8"), tick("c", "150"))

    assert stands(market)[0] == "100.6"


@pytest.mark.parametrize(
    "wrong", ["BTC-USD/kraken=1", "BTC-USD=1", "/coinbase=1", "BTC-USD/coinbase=-1", "BTC-USD/coinbase=1001", "x"]
)
def test_weights_that_say_nothing_end_the_start_with_a_sentence(wrong):
    assert _weights(" BTC-USD/coinbase=0, ETH-USD/coinbase=1000", {"coinbase": 1}) == {
        (BTC, "coinbase"): 0,
        ("ETH-USD", "coinbase"): 1000,
    }
    with pytest.raises(ImproperlyConfigured, match="FEED_WEIGHTS"):
        _weights(wrong, {"coinbase": 1})
    with pytest.raises(ImproperlyConfigured, match="FEED_WEIGHTS"):
        _weights("BTC-USD/coinbase=1,BTC-USD/coinbase=1", {"coinbase": 1})


def test_an_inbox_keeps_the_newest_of_each_however_long_nobody_reads():
    inbox = Inbox()
    for number in range(10_000):
        inbox.put([tick("a", str(number), came=float(number)), tick("b", "7", came=1.0)])
    inbox.put([tick("a", "1", came=0.0)])

    assert {(one.source, str(one.bid)) for one in inbox.take(0)} == {("a", "9999"), ("b", "7")}
    assert inbox.take(0) == []


steps = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 3000),  # milliseconds after the step before
        st.none() | st.integers(-2500, 9000),  # how long it was under way by the venue's clock
        st.just(0) | st.integers(9_500, 10_500),  # the bid in cents; 0: the source has no price
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=250, deadline=None)
@given(steps, st.integers(1, 3), st.integers(2, 12))
def test_any_history_of_ticks_makes_the_prices_of_a_plain_model(history, least, age_limit):
    """Ticks that are late, from the future, out of order, missing: by whole milliseconds, to the last digit."""
    terms = CompositeTerms(price_decimals=2, age_limit_seconds=age_limit, least_sources=least)
    market = Market({"a": 3})
    kept: dict[str, tuple[int, int, int | None]] = {}  # by source: cents, when it came, the venue's time
    now, last = 0, 0
    for source, later, lag, cents in history:
        now += later
        said = None if lag is None else now - lag
        tick_ = VenueTick(
            BTC,
            Decimal(cents) / 100,
            Decimal(cents) / 100,
            1000 + now / 1000,
            source,
            None if said is None else NOW + said,
        )
        refused = market.take([tick_], lambda came: NOW + round((came - 1000) * 1000), NOW + now)
        told = market.told([BTC], {BTC: terms}, lambda came: NOW + round((came - 1000) * 1000), NOW + now)

        before = kept.get(source)
        if before is not None and said is not None and before[2] is not None and said < before[2]:
            expected = Fault.LATE
        elif not cents:
            kept.pop(source, None)
            expected = Fault.UNSOUND
        elif said is not None and said > now + 1000:
            expected = Fault.FUTURE
        else:
            kept[source] = (cents, now, said)
            expected = None
        assert refused.get((BTC, source)) == expected

        quotes = [
            Quoted(
                name,
                Decimal(price) / 100,
                Decimal(price) / 100,
                NOW + (came if venue is None else min(came, venue)),
                3 if name == "a" else 1,
            )
            for name, (price, came, venue) in kept.items()
        ]
        wanted = model(quotes, terms, last, NOW + now)
        if wanted is None:
            assert not told.ticks
            continue
        (made,) = told.ticks
        bid, ask, at, used = wanted
        assert (Fraction(made.bid), Fraction(made.ask), made.at) == (bid, ask, at)
        assert {one.source for one in read(made.made_of)} == used
        last = at
