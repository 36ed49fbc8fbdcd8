"""A market without a venue: a seeded random walk, the same walk for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.clock import uptime
from accounts.money import DOWN, NEAREST, UP, exact, parse_decimal, rounded
from quotes.feeds.venue import Health, Pause, VenueTick

_BPS = Decimal(10_000)
_GRAIN = 1_000_000  # a step is a whole number of so many parts of the largest step
# Each tick closes this part of the gap to the starting price: at four ticks a second and steps of 2 bps the
# price strays some 0.4 %, for minutes at a time, and never runs away.
_PULL = Decimal("0.0005")
_MID_DECIMALS = 18
BURST_TICKS = 20
GAP_STEPS = 50


@dataclass(frozen=True, slots=True)
class SimulatorTerms:
    """What the simulator must know of an instrument."""

    start: Decimal
    step_bps: Decimal
    spread_bps: Decimal
    decimals: int


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What a market may do beside walking; all of it is off unless it is asked for, and the same for the same seed.

    `correlation`: this part (0 to 1) of each step is the whole market's and not the symbol's own. `burst_percent`: so
    many of a hundred turns bring BURST_TICKS ticks at once. `gap_percent`: of a hundred ticks so many step GAP_STEPS
    as far. `outage_every` and `outage_seconds`: it says nothing for so long, once in so long.
    """

    correlation: Decimal = Decimal(0)
    burst_percent: Decimal = Decimal(0)
    gap_percent: Decimal = Decimal(0)
    outage_every: Decimal = Decimal(0)
    outage_seconds: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not (0 <= self.correlation <= 1 and 0 <= self.burst_percent <= 100 and 0 <= self.gap_percent <= 100):
            raise ValueError("a correlation is from 0 to 1, percents are from 0 to 100")
        if not 0 <= self.outage_seconds <= self.outage_every:
            raise ValueError("an outage is no longer than from one to the next")

    @classmethod
    def read(cls, text: str) -> SimulatorOptions:
        """From `correlation=0.6,gap_percent=1`. Raises ValueError."""
        parts = [part.strip().split("=") for part in text.split(",") if part.strip()]
        said = {part[0]: parse_decimal(part[1]) if len(part) == 2 else None for part in parts}
        if len(said) != len(parts) or None in said.values() or said.keys() - set(cls.__slots__):
            raise ValueError(f"it takes {', '.join(cls.__slots__)}, once each, with a number")
        return cls(**{name: value for name, value in said.items() if value is not None})


class Simulator:
    """Walks every symbol's mid price by its own seeded dice, so a new symbol changes no other's walk.

    `terms` is asked before each batch: what operators change takes effect while it runs. What the options throw for
    has dice of its own, so that the walk without them stays what it is.
    """

    waits = True

    def __init__(
        self,
        terms: Callable[[], Mapping[str, SimulatorTerms]],
        seed: int,
        tick_seconds: float,
        options: SimulatorOptions | None = None,
        *,
        name: str = "simulator",
    ) -> None:
        self.health = Health(is_connected=True, connections=1)
        self._terms = terms
        self._seed = seed
        self._tick_seconds = tick_seconds
        self._options = options or SimulatorOptions()
        self._source = name
        self._market = random.Random(f"{seed}:")  # noqa: S311 - a repeatable walk, no secret
        self._events = random.Random(f"{seed}:events")  # noqa: S311 - the same
        self._dice: dict[str, random.Random] = {}
        self._mids: dict[str, Decimal] = {}

    @property
    def name(self) -> str:
        return f"{self._source}, seed {self._seed}, a tick every {round(self._tick_seconds * 1000)} ms"

    def batches(self, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        turn = 0
        while True:
            is_away = self._is_away(turn)
            self.health.is_connected = not is_away
            for _ in range(BURST_TICKS if self._happens(self._options.burst_percent) else 1):
                came = uptime()
                shared = self._throw(self._market) if self._options.correlation else Decimal(0)
                ticks = [self._tick(symbol, terms, came, shared) for symbol, terms in self._terms().items()]
                if not is_away:
                    self.health.messages += 1
                    self.health.last_message = came
                yield [] if is_away else ticks
            turn += 1
            if pause(self._tick_seconds):
                return

    def _is_away(self, turn: int) -> bool:
        every, seconds = self._options.outage_every, self._options.outage_seconds
        if not seconds:
            return False
        return Decimal(turn) * Decimal(str(self._tick_seconds)) % every >= every - seconds

    def _happens(self, percent: Decimal) -> bool:
        return bool(percent) and self._events.randrange(_GRAIN) * 100 < percent * _GRAIN

    def _throw(self, dice: random.Random) -> Decimal:
        return Decimal(dice.randint(-_GRAIN, _GRAIN)) / _GRAIN

    def _tick(self, symbol: str, terms: SimulatorTerms, came: float, shared: Decimal) -> VenueTick:
        if symbol not in self._mids:
            self._mids[symbol] = terms.start
            self._dice[symbol] = random.Random(f"{self._seed}:{symbol}")  # noqa: S311 - a repeatable walk, no secret
        else:
            part = self._options.correlation
            throw = self._throw(self._dice[symbol]) * (1 - part) + shared * part
            if self._happens(self._options.gap_percent):
                throw *= GAP_STEPS
            self._mids[symbol] = step(self._mids[symbol], throw, terms)
        return VenueTick(symbol, *quoted(self._mids[symbol], terms), came, self._source)


@exact
def step(mid: Decimal, throw: Decimal, terms: SimulatorTerms) -> Decimal:
    """The next mid price; `throw` is between -1 and 1, of a gap beyond. Never beyond half or twice the start."""
    moved = mid + mid * throw * terms.step_bps / _BPS + (terms.start - mid) * _PULL
    return rounded(min(max(moved, terms.start / 2), terms.start * 2), _MID_DECIMALS, NEAREST)


@exact
def quoted(mid: Decimal, terms: SimulatorTerms) -> tuple[Decimal, Decimal]:
    """Bid and ask around a mid price, each rounded away from it, the bid never below the smallest price."""
    half = terms.spread_bps / _BPS / 2
    bid = rounded(mid * (1 - half), terms.decimals, DOWN)
    ask = rounded(mid * (1 + half), terms.decimals, UP)
    return max(bid, Decimal(1).scaleb(-terms.decimals)), ask
