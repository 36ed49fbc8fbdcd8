"""Whether a bid and an ask are a price: one rule, for what a feed says and again for what Redis says. Pure.

The script that publishes (`price_scripts.py`) has the same rule in Lua, in doubles. So both widen their limits by
a part in a billion: exactly the limit passes here and there, whatever rounding makes of it.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from accounts.money import exact

TOLERANCE: Final = Decimal("1e-9")
WIDENED: Final = 1 + TOLERANCE


class Fault(StrEnum):
    """Why a price is not the latest one."""

    UNSOUND = "unsound"  # not a number, not above zero, or crossed
    SPREAD = "spread"  # bid and ask are further apart than the instrument's greatest spread
    JUMP = "jump"  # a side is further from the one before than the instrument's limit
    LATE = "late"  # older than the one that stands: a shuffled feed
    FUTURE = "future"  # dated later than Redis' clock says it is
    HOLD = "hold"  # Redis says that an operator holds it there, and no row says so
    CLOSED = "closed"  # its market is closed, and PostgreSQL has no price of before
    OUTLIER = "outlier"  # a source's, too far from what the other sources say
    FEW = "few"  # fewer sources agree than the instrument wants


class PriceLimits(NamedTuple):
    """An instrument's, in percent: how far a side may jump of the one before, how wide the spread may be of the
    middle. The defaults are for a symbol that comes without: no price goes unjudged because somebody forgot one."""

    jump: Decimal = Decimal(50)
    spread: Decimal = Decimal(5)


class Range(NamedTuple):
    """Between which middles a market was last seen."""

    low: Decimal
    high: Decimal


def is_sound(bid: Decimal | None, ask: Decimal | None) -> bool:
    """Whether two numbers are a price at all: finite, above zero, not crossed."""
    return bid is not None and ask is not None and 0 < bid <= ask


@exact
def is_too_wide(bid: Decimal, ask: Decimal, limit: Decimal) -> bool:
    """Whether the spread is more than `limit` percent of the middle."""
    return (ask - bid) * 200 > (bid + ask) * limit * WIDENED


@exact
def is_far(bid: Decimal, ask: Decimal, seen: Range, limit: Decimal) -> bool:
    """Whether the middle is more than `limit` percent below, or above, all that was seen."""
    twice = bid + ask
    return twice * 100 < 2 * seen.low * (100 - limit * WIDENED) or twice * 100 > 2 * seen.high * (100 + limit * WIDENED)


def fault_of(bid: Decimal, ask: Decimal, limits: PriceLimits, seen: Range | None) -> Fault | None:
    """What is wrong with a price that stands in Redis, next to what PostgreSQL has last seen of its market.

    Where nothing was seen only the sides are judged, by each other. Candles know middles, so the middle is compared
    with them; how far the sides may be from it, the greatest spread says.
    """
    if not is_sound(bid, ask):
        return Fault.UNSOUND
    if is_too_wide(bid, ask, limits.spread):
        return Fault.SPREAD
    if seen is not None and is_far(bid, ask, seen, limits.jump):
        return Fault.JUMP
    return None
