"""Which sources there are, and those that FEED_SOURCES turns on."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from quotes.feeds import venues
from quotes.feeds.simulator import SimulatorTerms
from quotes.feeds.venue import Venue

CRYPTO: Final = frozenset({"crypto"})
FOREX: Final = frozenset({"fiat", "metal"})
_NAMED: Final = frozenset({"ccxt"})  # what follows says which: ccxt_bitstamp


class Asked(NamedTuple):
    """What a source is made with. `symbols` gives those whose base asset is of these kinds, as they are now."""

    name: str
    symbols: Callable[[Collection[str]], Sequence[str]]
    simulated: Callable[[], Mapping[str, SimulatorTerms]]
    seed: int
    tick_seconds: float


class UnknownSource(Exception):
    """No module of `quotes/feeds/venues/` has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no source {name!r}; there are {', '.join(known())}.")


def known() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(venues.__path__))


def made(asked: Asked) -> Venue:
    """The source of this name; `simulator_2` is a second one of `simulator`. Raises UnknownSource."""
    kind, _, which = asked.name.partition("_")
    kind = kind if which.isdecimal() or kind in _NAMED else asked.name
    if kind not in known():
        raise UnknownSource(asked.name)
    source: Venue = importlib.import_module(f"{venues.__name__}.{kind}").made(asked)
    return source
