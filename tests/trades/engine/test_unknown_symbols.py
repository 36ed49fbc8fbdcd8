"""A price in Redis under a name that is no instrument's stops nobody: no engine, nobody who spends, and no night."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accounts import streams
from quotes import prices
from tests.given import a_customer, btc_at
from tests.trades.engine.rollovers import RolloverEngine
from tests.trades.engine.rollovers import at as at_night
from tests.trades.engine.test_engine import answers, engine, send
from tests.trades.engine_steps import opening, opens
from trades.engine.process import Engine
from trades.models import Order, SwapRun
from trades.spendable import held_by_positions

__all__ = ["engine"]
pytestmark = pytest.mark.django_db

FORGED = ["A\0B", "x" * 70_000, "", "btc-usd"]


@pytest.fixture(autouse=True)
def _forged() -> None:
    """Whoever can write there writes one well-formed price under each; PostgreSQL takes no text with a NUL."""
    btc_at("42_000.00")
    for symbol in FORGED:
        streams.client().hset("prices", symbol, f"1|1|{prices.clock()}")


def test_an_engine_opens_orders_all_the_same(engine: Engine) -> None:
    """Guard: `reference is None` in `prices._judged`. Without it the command goes to the dead letters."""
    send(opening(a_customer(with_usd="10_000.00")))
    engine.turn()
    assert [answer.status for answer in answers()] == [200]
    assert Order.objects.get().status == "OPEN"


def test_what_positions_keep_from_being_spent_is_known(engine: Engine) -> None:
    alice = a_customer(with_usd="10_000.00")
    opens(alice)
    btc_at("41_000.00")
    assert held_by_positions([alice.pk], prices.latest().by_symbol)[alice.pk].unpriced is None


def test_a_night_begins() -> None:
    """The prices of a night are written into its row."""
    alice = a_customer(with_usd="10_000.00")
    nights = RolloverEngine("2026-11-18 12:00")
    opens(alice)
    market = at_night("2026-11-18 22:00")
    read = prices.latest()
    others = {symbol: price for symbol, price in read.by_symbol.items() if symbol not in market.by_symbol}
    nights.runs_and_raises(replace(market, by_symbol={**market.by_symbol, **others}))
    assert "BTC-USD" in SwapRun.objects.latest("night").prices
