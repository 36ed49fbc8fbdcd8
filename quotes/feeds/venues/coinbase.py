"""Coinbase, by its Advanced Trade WebSocket: the channels `ticker` and `heartbeats`, which need no key.

Documentation: docs.cdp.coinbase.com, Advanced Trade API, WebSocket: Overview, Ticker, Heartbeats. Messages of a
connection are numbered (`sequence_num`), whatever their channel, so one that is missing is found with the next. Tickers
come with trades: a market without any says nothing, and its price grows old. Each says bid and ask as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.conf import settings

from quotes.feeds.live import Gap, LiveVenue, Nonsense, Refused, Repeated, by_venue_name, web_socket
from quotes.feeds.reading import json_object, milliseconds, number, objects, text
from quotes.feeds.sources import CRYPTO, Asked
from quotes.feeds.venue import Venue, VenueTick, no_price


def made(asked: Asked) -> Venue:
    return LiveVenue(
        asked.name,
        lambda: asked.symbols(CRYPTO),
        lambda symbols: Coinbase(asked.name, symbols),
        web_socket(settings.COINBASE_URL),
        messages_a_second=8,
    )


class Coinbase:
    def __init__(self, name: str, symbols: Sequence[str]) -> None:
        self._name = name
        self._symbols = by_venue_name(symbols, "-")
        self._number: int | None = None

    def subscriptions(self) -> list[str]:
        """A message a product: of several in one, a product that isn't traded there would have all refused."""
        tickers = [{"type": "subscribe", "channel": "ticker", "product_ids": [name]} for name in self._symbols]
        return [json.dumps(one) for one in ({"type": "subscribe", "channel": "heartbeats"}, *tickers)]

    def read(self, message: str | bytes, came: float) -> list[VenueTick]:
        said = json_object(message)
        if said.get("type") == "error":
            raise Refused(text(said.get("message")))
        self._count(said.get("sequence_num"))
        if said.get("channel") != "ticker":
            return []  # heartbeats, subscriptions, and what may be added
        at = milliseconds(said.get("timestamp"))
        tickers = [one for event in objects(said.get("events")) for one in objects(event.get("tickers"))]
        return [tick for one in tickers if (tick := self._tick(one, came, at)) is not None]

    def _count(self, said: object) -> None:
        if not isinstance(said, int) or isinstance(said, bool):
            raise Nonsense(f"sequence_num is {str(said)[:40]!r}")
        before = self._number
        if before is not None and said <= before:
            raise Repeated
        self._number = said
        if before is not None and said > before + 1:
            raise Gap(f"messages {before + 1} to {said - 1} are missing")

    def _tick(self, said: dict[str, object], came: float, at: int) -> VenueTick | None:
        """None of a product that was not asked for."""
        symbol = self._symbols.get(text(said.get("product_id")))
        if symbol is None:
            return None
        bid, ask = said.get("best_bid"), said.get("best_ask")
        if not bid or not ask:  # a side of the book is empty
            return no_price(symbol, came, self._name)
        return VenueTick(symbol, number(bid), number(ask), came, self._name, at)
