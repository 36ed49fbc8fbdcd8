"""Any exchange that the library ccxt knows, asked again and again: `ccxt_bitstamp` is Bitstamp. An extra package.

Documentation: docs.ccxt.com, Manual: Unified API (fetchTickers, fetchOrderBook, the ticker's and the order book's
structure, markets), Overriding Exchange Properties (`number`, `urls`), Error Handling (BaseError). Tickers are read as
texts; an order book the library reads as floats, of which the shortest digits count. A price is as old as the question
that it answered, or as the exchange says, if that is older. What the exchange doesn't list, or says isn't traded, is
left out, and looked at again within the hour.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.clock import uptime
from quotes.feeds.live import Nonsense, by_venue_name, first_line, is_away, is_back
from quotes.feeds.reading import number
from quotes.feeds.sources import CRYPTO, Asked
from quotes.feeds.venue import Health, Pause, Venue, VenueTick, no_price

log = logging.getLogger("feed")

TIMEOUT_SECONDS: Final = 5
MARKETS_SECONDS: Final = 3600.0  # so often what the exchange lists is read anew
LONGEST_PAUSE_SECONDS: Final = 60.0
BOOK_LEVELS: Final = 5
# What the library raises of an answer that isn't what it expects, besides its own errors.
_NONSENSE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, Nonsense)


def made(asked: Asked) -> Venue:
    """Raises ImproperlyConfigured without the package, and where it doesn't know the exchange."""
    try:
        library = importlib.import_module("ccxt")
    except ImportError as error:
        raise ImproperlyConfigured("The source ccxt needs its package: pip install 'brokerage[ccxt]'.") from error
    name = asked.name.removeprefix("ccxt_")
    if name not in library.exchanges:
        raise ImproperlyConfigured(f"ccxt doesn't know the exchange {name!r}; name one as in ccxt_bitstamp.")
    exchange = getattr(library, name)({"number": str, "timeout": TIMEOUT_SECONDS * 1000, "enableRateLimit": True})
    if settings.CCXT_URL:
        exchange.urls["api"] = _at(settings.CCXT_URL, exchange.urls["api"])
    return Polled(asked, exchange, (library.BaseError, *_NONSENSE))


def _at(address: str, urls: Any) -> Any:
    """The same paths at another host."""
    if isinstance(urls, dict):
        return {name: _at(address, url) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    there, here = urlsplit(address), urlsplit(urls)
    return urlunsplit((there.scheme, there.netloc, there.path.rstrip("/") + here.path, here.query, ""))


class Polled:
    waits = False

    def __init__(self, asked: Asked, exchange: Any, troubles: tuple[type[Exception], ...]) -> None:
        self.name = asked.name
        self.health = Health()
        self._asked = asked
        self._exchange = exchange
        self._troubles = troubles
        self._listed_at: float | None = None
        self._is_listed = True
        self._left_out: frozenset[str] = frozenset()

    def batches(self, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        waits = float(settings.CCXT_SECONDS)
        while not pause(waits):
            try:
                yield self._asked_once()
                waits = float(settings.CCXT_SECONDS)
                self.health.connections += is_back(self.name, self.health)
            except self._troubles as error:
                waits = min(waits * 2, LONGEST_PAUSE_SECONDS)
                is_away(self.name, self.health, first_line(error))

    def _asked_once(self) -> list[VenueTick]:
        """What each symbol costs there now."""
        before = self._left_out
        names = self._names()
        asked_at = uptime()
        told = self._tickers(list(names)) if names else {}
        ticks = [self._tick(symbol, name, told.get(name), asked_at) for name, symbol in names.items()]
        self.health.messages += 1
        self.health.last_message = uptime()
        gone = (name.replace("/", "-") for name in self._left_out - before)
        return [*ticks, *(no_price(symbol, asked_at, self.name) for symbol in gone)]

    def _names(self) -> Mapping[str, str]:
        """What the exchange calls those of our symbols that can be traded there."""
        now = uptime()
        if self._listed_at is None or now - self._listed_at >= MARKETS_SECONDS:
            self._list_anew()
            self._listed_at = now
        ours = by_venue_name(self._asked.symbols(CRYPTO), "/")
        listed = {name: symbol for name, symbol in ours.items() if self._is_traded(name)}
        left_out = frozenset(ours) - frozenset(listed)
        if left_out - self._left_out:
            log.warning("%s: doesn't trade %s", self.name, ", ".join(sorted(left_out - self._left_out)))
        self._left_out = left_out
        return listed

    def _list_anew(self) -> None:
        """Where it can't be read what was listed before counts, until the next time. A first list there must be."""
        try:
            self._exchange.load_markets(True)
        except self._troubles as error:
            if self._listed_at is None:
                raise
            if self._is_listed:
                log.warning(
                    "%s: what it lists can't be read, what it did before counts: %s", self.name, first_line(error)[:200]
                )
            self._is_listed = False
        else:
            self._is_listed = True

    def _is_traded(self, name: str) -> bool:
        market = self._exchange.markets.get(name)
        return bool(market) and market.get("active") is not False

    def _tickers(self, names: list[str]) -> Mapping[str, Any]:
        if self._exchange.has.get("fetchTickers"):
            found = self._exchange.fetch_tickers(names)
        else:
            found = self._each_ticker(names)
        if not isinstance(found, dict):
            raise Nonsense("tickers that are none")
        return found

    def _each_ticker(self, names: list[str]) -> dict[str, Any]:
        """One after the other; raises what the last one did where none came: then it is the exchange that is away."""
        found: dict[str, Any] = {}
        troubles: list[Exception] = []
        for name in names:
            try:
                found[name] = self._exchange.fetch_ticker(name)
            except self._troubles as error:
                troubles.append(error)
        if troubles and not found:
            raise troubles[-1]
        for trouble in troubles:
            self._noted(trouble)
        return found

    def _tick(self, symbol: str, name: str, told: Any, asked_at: float) -> VenueTick:
        """No price where the exchange has none, or one that can't be read or asked for: the others keep theirs."""
        try:
            return self._read(symbol, name, told, asked_at)
        except self._troubles as error:
            self._noted(error)
            return no_price(symbol, asked_at, self.name)

    def _read(self, symbol: str, name: str, told: Any, asked_at: float) -> VenueTick:
        if told is None:
            return no_price(symbol, asked_at, self.name)
        bid, ask, at = told.get("bid"), told.get("ask"), _time(told.get("timestamp"))
        if not bid or not ask:  # tickers of some exchanges say neither
            book = self._exchange.fetch_order_book(name, BOOK_LEVELS)
            bid, ask = ((side[0][0] if side else None) for side in (book["bids"], book["asks"]))
            at = _time(book.get("timestamp"))
        if not bid or not ask:
            return no_price(symbol, asked_at, self.name)
        came = asked_at if at is None else uptime()
        return VenueTick(symbol, _price(bid), _price(ask), came, self.name, at)

    def _noted(self, error: Exception) -> None:
        """Of one symbol."""
        self.health.garbage += 1
        self.health.trouble = first_line(error)[:200]


def _price(said: Any) -> Decimal:
    return number(format(Decimal(repr(said)), "f") if isinstance(said, float) else said)


def _time(said: Any) -> int | None:
    """Milliseconds since 1970, as the library says it; None where it says nothing, or no such number."""
    return said if isinstance(said, int) and said > 0 else None
