"""A market that is made of sources, as a feed would have told it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from accounts import streams
from quotes import prices
from quotes.prices import PriceTick
from tests.given import ANYWHERE

OLDEST = 500  # milliseconds before now: what kraken_2 says


def now_ms() -> int:
    """Redis' clock."""
    seconds, microseconds = streams.client().time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def made_of_two(bid: str, ask: str, *, symbol: str = "BTC-USD", age_ms: int = OLDEST) -> str:
    """Two sources say these, one a unit lower and one a unit higher: the price is as old as the older one."""
    at = now_ms() - age_ms
    low, high = Decimal(bid) - 1, Decimal(ask) + 1
    made_of = f"coinbase,{Decimal(bid) + 1:f},{high:f},{at + 300};kraken_2,{low:f},{Decimal(ask) - 1:f},{at}"
    prices.forget(symbol)
    tick = PriceTick(symbol, Decimal(bid), Decimal(ask), at, made_of)
    assert not prices.publish_ticks([tick], {symbol: ANYWHERE}).faults
    return made_of


def of_price(deal: Any) -> tuple[Any, ...]:
    return (deal.bid, deal.ask, deal.hold, deal.sources)
