"""Kraken, by its WebSocket API v2: the channel `book`, ten levels deep, which needs no key.

Documentation: docs.kraken.com, WebSocket v2: Book, Heartbeat, Status, the guide Book checksum (WebSocket v2). Each
message has a checksum over the best ten levels of both sides: a book that is another was built wrongly, and is asked
for anew.
Every change is said, so what was not changed stands as long as anything comes; heartbeats come where nothing else does.
The channel `status`, which nobody asks for, says at the beginning and with each change whether orders are matched.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from django.conf import settings

from quotes.feeds.live import Gap, Halted, LiveVenue, Nonsense, Refused, by_venue_name, web_socket
from quotes.feeds.reading import json_object, milliseconds, number, objects, text
from quotes.feeds.sources import CRYPTO, Asked
from quotes.feeds.venue import Venue, VenueTick, no_price

DEPTH: Final = 10  # the least that may be asked for, and what the checksum covers

ONLINE: Final = "online"

Levels = dict[Decimal, Decimal]


def made(asked: Asked) -> Venue:
    return LiveVenue(
        asked.name,
        lambda: asked.symbols(CRYPTO),
        lambda symbols: Kraken(asked.name, symbols),
        web_socket(settings.KRAKEN_URL),
        unchanged_is_current=True,
    )


class Kraken:
    def __init__(self, name: str, symbols: Sequence[str]) -> None:
        self._name = name
        self._symbols = by_venue_name(symbols, "/")
        self._books: dict[str, Book] = {}

    def subscriptions(self) -> list[str]:
        """One for all: each symbol is answered by itself."""
        params = {"channel": "book", "symbol": list(self._symbols), "depth": DEPTH, "snapshot": True}
        return [json.dumps({"method": "subscribe", "params": params})]

    def read(self, message: str | bytes, came: float) -> list[VenueTick]:
        said = json_object(message)
        if said.get("success") is False:
            raise Refused(text(said.get("error")))
        if said.get("channel") == "status":
            _check_is_online(said)
        if said.get("channel") != "book":
            return []  # heartbeat, status, and answers to what was asked
        is_whole = said.get("type") == "snapshot"
        ticks = (self._book(one, is_whole, came) for one in objects(said.get("data")))
        return [tick for tick in ticks if tick is not None]

    def _book(self, said: dict[str, Any], is_whole: bool, came: float) -> VenueTick | None:
        name = text(said.get("symbol"))
        if name not in self._symbols:
            return None
        if is_whole:
            self._books[name] = Book()
        book = self._books.get(name)
        if book is None:
            raise Gap(f"a change of {name}, whose book was never sent")
        try:
            book.change(objects(said.get("bids", [])), objects(said.get("asks", [])))
        except Nonsense as error:
            raise Gap(f"a change of {name} can't be read: {error}") from error
        expected = said.get("checksum")
        if expected != book.checksum():
            raise Gap(f"{name} has checksum {book.checksum()}, and {str(expected)[:20]} by the venue")
        best = book.best()
        if best is None:
            return no_price(self._symbols[name], came, self._name)
        at = said.get("timestamp")
        return VenueTick(self._symbols[name], *best, came, self._name, None if at is None else milliseconds(at))


def _check_is_online(said: dict[str, Any]) -> None:
    """Raises Halted in maintenance, cancel_only and post_only: nothing is matched then, whatever the book says."""
    for one in objects(said.get("data")):
        system = text(one.get("system"))
        if system != ONLINE:
            raise Halted(f"the venue is {system[:20]}")


class Book:
    """Sizes by price, both with every digit that the venue wrote: the checksum is of these digits."""

    def __init__(self) -> None:
        self._bids: Levels = {}
        self._asks: Levels = {}

    def change(self, bids: Sequence[dict[str, Any]], asks: Sequence[dict[str, Any]]) -> None:
        """Raises Nonsense; then this is no book any more."""
        self._bids = _changed(self._bids, bids, best_is_highest=True)
        self._asks = _changed(self._asks, asks, best_is_highest=False)

    def best(self) -> tuple[Decimal, Decimal] | None:
        return (next(iter(self._bids)), next(iter(self._asks))) if self._bids and self._asks else None

    def checksum(self) -> int:
        """CRC-32 of the asks from the lowest and then the bids from the highest, points and leading zeros left out."""
        levels = (*self._asks.items(), *self._bids.items())
        return zlib.crc32("".join(_digits(price) + _digits(size) for price, size in levels).encode())


def _changed(levels: Levels, changes: Sequence[dict[str, Any]], *, best_is_highest: bool) -> Levels:
    """The best first, and no more than were asked for: what falls out of these is not said to be gone."""
    if not changes:
        return levels
    by_price = dict(levels)
    for one in changes:
        price, size = number(one.get("price")), number(one.get("qty"))
        by_price.pop(price, None)  # its digits may be others now
        if size:
            by_price[price] = size
    best = sorted(by_price, reverse=best_is_highest)[:DEPTH]
    return {price: by_price[price] for price in best}


def _digits(value: Decimal) -> str:
    return f"{value:f}".replace(".", "").lstrip("0")
