"""One price of what several sources say. Pure: exact decimals, and times in milliseconds of one clock.

A source is *live* while its price is younger than half the instrument's age limit, so that one that falls silent is
left out well before its price would be too old (failover). Of the live ones those further from their median than the
instrument's outlier limit are rejected; of the rest, if they are enough, bid and ask are the weighted means. The firm's
mark-up widens it, half to each side, and both sides are rounded outward to the instrument's decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from accounts.money import DOWN, UP, exact, rounded
from quotes.judging import WIDENED, Fault
from quotes.models import Instrument

RETURNS_MILLISECONDS: Final = 1000
"""How much older than the price that was made last a returning source may be. Prices never go back in time, so the
price is dated later than its oldest source by as much at the most."""

_BPS: Final = Decimal(10_000)


class CompositeTerms(NamedTuple):
    """An instrument's. The defaults are for a symbol that comes without."""

    price_decimals: int = 18
    age_limit_seconds: int = 10
    least_sources: int = 1
    outlier_percent: Decimal = Decimal(1)
    markup_bps: Decimal = Decimal(0)


def composite_terms_of(row: Instrument) -> CompositeTerms:
    return CompositeTerms(
        row.price_decimals, row.price_age_limit_seconds, row.least_sources, row.outlier_percent, row.markup_bps
    )


class Quoted(NamedTuple):
    """What a source says, as of `at`."""

    source: str
    bid: Decimal
    ask: Decimal
    at: int
    weight: int = 1


class Composite(NamedTuple):
    """A price, as of its oldest source; `made_of` are the sources it was made of, as they said it."""

    bid: Decimal
    ask: Decimal
    at: int
    made_of: tuple[Quoted, ...]


class Made(NamedTuple):
    """What became of the sources: a price, or why there is none; and by source why it was left out."""

    price: Composite | None
    fault: Fault | None
    left_out: dict[str, Fault]


@exact
def compose(quotes: Sequence[Quoted], terms: CompositeTerms, now: int, last: int = 0) -> Made:
    """The price of these sound quotes, one of each source at the most; `last` is the time of the price made before.

    Where none is live the youngest alone is told, if one source is enough: as old as it is, so it grows too old by
    itself. No price where fewer than the least number agree (Fault.FEW), or all are older than what was told before
    (Fault.LATE). A last time that is still to come is of before Redis' clock was set back.
    """
    left_out: dict[str, Fault] = {}
    live = [one for one in quotes if _is_live(one, terms, now)]
    if not live and quotes and terms.least_sources == 1:
        live = [max(quotes, key=lambda one: one.at)]
    if last > now:
        last = 0
    used = [one for one in live if one.at >= last - RETURNS_MILLISECONDS]
    left_out |= {one.source: Fault.LATE for one in quotes if one not in used}
    agreed = _agreed(used, terms)
    left_out |= {one.source: Fault.OUTLIER for one in used if one not in agreed}
    if len(agreed) < terms.least_sources or not agreed:
        return Made(None, _why(quotes, used, terms), left_out)
    bid, ask = marked_up(*_mean(agreed), terms)
    at = max(last, min(one.at for one in agreed))
    return Made(Composite(bid, ask, at, tuple(agreed)), None, left_out)


def _why(quotes: Sequence[Quoted], used: Sequence[Quoted], terms: CompositeTerms) -> Fault | None:
    if not quotes:
        return None
    return Fault.LATE if not used and terms.least_sources == 1 else Fault.FEW


def _is_live(one: Quoted, terms: CompositeTerms, now: int) -> bool:
    return (now - one.at) * 2 < terms.age_limit_seconds * 1000


def _agreed(live: Sequence[Quoted], terms: CompositeTerms) -> list[Quoted]:
    """Those within the outlier limit of the median of the middles. Of two that differ by more than twice, none."""
    if len(live) < 2:
        return list(live)
    twice = sorted(one.bid + one.ask for one in live)
    half = len(twice) // 2
    fourfold = twice[half] * 2 if len(twice) % 2 else twice[half - 1] + twice[half]
    room = fourfold * terms.outlier_percent * WIDENED
    return [one for one in live if abs((one.bid + one.ask) * 2 - fourfold) * 100 <= room]


def _mean(agreed: Sequence[Quoted]) -> tuple[Decimal, Decimal]:
    if len(agreed) == 1:
        return agreed[0].bid, agreed[0].ask
    weight = sum(one.weight for one in agreed)
    bid = sum((one.bid * one.weight for one in agreed), Decimal(0)) / weight
    ask = sum((one.ask * one.weight for one in agreed), Decimal(0)) / weight
    return bid, ask


@exact
def marked_up(bid: Decimal, ask: Decimal, terms: CompositeTerms) -> tuple[Decimal, Decimal]:
    """Half of the mark-up off the bid and half onto the ask, each rounded away from the middle.

    A bid that would be rounded to nothing is none: it is refused as unsound.
    """
    if terms.markup_bps:
        half = terms.markup_bps / _BPS / 2
        bid, ask = bid * (1 - half), ask * (1 + half)
    return rounded(bid, terms.price_decimals, DOWN), rounded(ask, terms.price_decimals, UP)
