"""A market without a venue: a seeded random walk, the same walk for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.clock import uptime
from accounts.money import DOWN, NEAREST, UP, exact, rounded
from quotes.feeds.venue import Pause, VenueTick

_BPS = Decimal(10_000)
_GRAIN = 1_000_000  # a step is a whole number of so many parts of the largest step
# Each tick closes this part of the gap to the starting price: at four ticks a second and steps of 2 bps the
# price strays some 0.4 %, for minutes at a time, and never runs away.
_PULL = Decimal("0.0005")
_MID_DECIMALS = 18


@dataclass(frozen=True, slots=True)
class SimulatorTerms:
    """What the simulator must know of an instrument."""

    start: Decimal
    step_bps: Decimal
    spread_bps: Decimal
    decimals: int


class Simulator:
    """Walks every symbol's mid price by its own seeded dice, so a new symbol changes no other's walk.

    `terms` is asked before each batch: what operators change takes effect while it runs.
    """

    def __init__(self, terms: Callable[[], Mapping[str, SimulatorTerms]], seed: int, tick_seconds: float) -> None:
        self._terms = terms
        self._seed = seed
        self._tick_seconds = tick_seconds
        self._dice: dict[str, random.Random] = {}
        self._mids: dict[str, Decimal] = {}

    @property
    def name(self) -> str:
        return f"simulator, seed {self._seed}, a tick every {round(self._tick_seconds * 1000)} ms"

    def batches(self, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        while True:
            came = uptime()
            yield [self._tick(symbol, terms, came) for symbol, terms in self._terms().items()]
            if pause(self._tick_seconds):
                return

    def _tick(self, symbol: str, terms: SimulatorTerms, came: float) -> VenueTick:
        if symbol not in self._mids:
            self._mids[symbol] = terms.start
            self._dice[symbol] = random.Random(f"{self._seed}:{symbol}")  # noqa: S311 - a repeatable walk, no secret
        else:
            throw = Decimal(self._dice[symbol].randint(-_GRAIN, _GRAIN)) / _GRAIN
            self._mids[symbol] = step(self._mids[symbol], throw, terms)
        return VenueTick(symbol, *quoted(self._mids[symbol], terms), came)


@exact
def step(mid: Decimal, throw: Decimal, terms: SimulatorTerms) -> Decimal:
    """The next mid price; `throw` is between -1 and 1. It never leaves half to twice the starting price."""
    moved = mid + mid * throw * terms.step_bps / _BPS + (terms.start - mid) * _PULL
    return rounded(min(max(moved, terms.start / 2), terms.start * 2), _MID_DECIMALS, NEAREST)


@exact
def quoted(mid: Decimal, terms: SimulatorTerms) -> tuple[Decimal, Decimal]:
    """Bid and ask around a mid price, each rounded away from it, the bid never below the smallest price."""
    half = terms.spread_bps / _BPS / 2
    bid = rounded(mid * (1 - half), terms.decimals, DOWN)
    ask = rounded(mid * (1 + half), terms.decimals, UP)
    return max(bid, Decimal(1).scaleb(-terms.decimals)), ask
