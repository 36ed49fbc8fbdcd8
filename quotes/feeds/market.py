"""What each source said last of each symbol, and the prices that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import localcontext
from typing import NamedTuple

from accounts.money import EXACT, parse_decimal
from quotes.feeds.composite import CompositeTerms, Quoted, compose
from quotes.feeds.venue import VenueTick, is_overtaken
from quotes.judging import Fault, is_sound
from quotes.made_of import written
from quotes.price_scripts import AHEAD
from quotes.prices import PriceTick

TimeOf = Callable[[float], int]
"""When something came, by `uptime`, in milliseconds of Redis' clock."""

_AHEAD_MILLISECONDS = int(AHEAD.total_seconds() * 1000)


class Told(NamedTuple):
    """Prices to publish; by symbol why there is none; by symbol and source why a source was left out."""

    ticks: list[PriceTick]
    faults: dict[str, Fault]
    left_out: dict[tuple[str, str], Fault]


class Market:
    """`weights` are by source; one that isn't named counts 1. `own` are by symbol and source, and go before them; one
    that counts 0 is as if it said nothing of that symbol: no price is made of it, and no median."""

    def __init__(
        self, weights: Mapping[str, int] | None = None, own: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        self._weights = weights or {}
        self._own = own or {}
        self._ticks: dict[str, dict[str, VenueTick]] = {}
        self._last: dict[str, int] = {}

    def take(self, ticks: Iterable[VenueTick], time_of: TimeOf, now: int) -> dict[tuple[str, str], Fault]:
        """Keep the newest of each source; gives those that count for nothing, by symbol and source.

        One that its venue dates more than a second after it came is from the future: kept, it would pass for newer
        than all that follows. What is no price leaves the source without any.
        """
        faults: dict[tuple[str, str], Fault] = {}
        for tick in ticks:
            if not self._weight(tick.symbol, tick.source):
                continue
            known = self._ticks.setdefault(tick.symbol, {})
            before = known.get(tick.source)
            if before is not None and is_overtaken(tick, before):
                faults[tick.symbol, tick.source] = Fault.LATE
            elif not is_sound(parse_decimal(tick.bid), parse_decimal(tick.ask)):
                known.pop(tick.source, None)
                faults[tick.symbol, tick.source] = Fault.UNSOUND
            elif self._is_ahead(tick, time_of(tick.came), now):
                faults[tick.symbol, tick.source] = Fault.FUTURE
            else:
                known[tick.source] = tick
        return faults

    def _is_ahead(self, tick: VenueTick, came: int, now: int) -> bool:
        return (came if tick.at is None else tick.at) - min(came, now) > _AHEAD_MILLISECONDS

    def told(self, symbols: Iterable[str], terms: Mapping[str, CompositeTerms], time_of: TimeOf, now: int) -> Told:
        """The prices of these symbols as of `now`, milliseconds of Redis' clock."""
        told = Told([], {}, {})
        with localcontext(EXACT):
            for symbol in symbols:
                self._tell(symbol, terms.get(symbol, CompositeTerms()), time_of, now, told)
        return told

    def _tell(self, symbol: str, terms: CompositeTerms, time_of: TimeOf, now: int, told: Told) -> None:
        quotes = [self._quoted(tick, time_of) for tick in self._ticks.get(symbol, {}).values()]
        made = compose(quotes, terms, now, self._last.get(symbol, 0))
        for source, fault in made.left_out.items():
            told.left_out[symbol, source] = fault
        if made.fault is not None:
            told.faults[symbol] = made.fault
        if made.price is None:
            return
        self._last[symbol] = made.price.at
        tick = PriceTick(symbol, made.price.bid, made.price.ask, made.price.at, written(made.price.made_of))
        told.ticks.append(tick)

    def _quoted(self, tick: VenueTick, time_of: TimeOf) -> Quoted:
        """As old as the later of its two delays: on the way from the venue, and here."""
        came = time_of(tick.came)
        at = came if tick.at is None else min(tick.at, came)
        return Quoted(tick.source, tick.bid, tick.ask, at, self._weight(tick.symbol, tick.source))

    def _weight(self, symbol: str, source: str) -> int:
        own = self._own.get((symbol, source))
        return self._weights.get(source, 1) if own is None else own
