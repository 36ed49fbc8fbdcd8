"""OANDA, or who speaks as it does: the pricing stream of the v20 REST API, for currencies and metals. Needs a token.

Documentation: developer.oanda.com, REST-v20: Pricing Endpoints (`/v3/accounts/{accountID}/pricing/stream`) and Pricing
Definitions (ClientPrice, PricingHeartbeat), Streaming. One JSON object a line: PRICE where a price has changed, and
HEARTBEAT every five seconds, so that what was not changed stands. A price that can't be traded is none.

One instrument that the account doesn't have, and the whole stream is refused. So what the account has is asked first:
Account Endpoints, `/v3/accounts/{accountID}/instruments`, which is at another host than the stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import httpx
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from quotes.feeds.live import (
    LONGEST_MESSAGE,
    OPEN_SECONDS,
    SILENT_SECONDS,
    LiveVenue,
    Lost,
    Nonsense,
    by_venue_name,
)
from quotes.feeds.reading import json_object, milliseconds, number, objects, text
from quotes.feeds.sources import FOREX, Asked
from quotes.feeds.venue import Venue, VenueTick, no_price

FORMAT: Final = "RFC3339"

log = logging.getLogger("feed")


def made(asked: Asked) -> Venue:
    """Raises ImproperlyConfigured where the account or its token isn't set."""
    if not (settings.OANDA_TOKEN and settings.OANDA_ACCOUNT):
        raise ImproperlyConfigured("The source oanda needs OANDA_TOKEN and OANDA_ACCOUNT.")
    streams = Streams(asked.name, lambda: list(by_venue_name(asked.symbols(FOREX), "_")))
    return LiveVenue(
        asked.name,
        lambda: asked.symbols(FOREX),
        lambda symbols: Oanda(asked.name, symbols),
        streams.opened,
        HttpLine,
        unchanged_is_current=True,
    )


class Streams:
    """Opens the stream of those instruments that the account has. The others are told once, as long as they are the
    same. Where no list comes the newest one counts, and before the first one the stream is asked for all."""

    def __init__(self, name: str, wanted: Callable[[], Sequence[str]]) -> None:
        self._name, self._wanted = name, wanted
        self._has: Collection[str] | None = None
        self._missing: Sequence[str] = ()

    @contextmanager
    def opened(self) -> Iterator[httpx.Response]:
        """The answer, whose body doesn't end. Raises Lost where it is refused or nothing can be asked for,
        httpx.HTTPError."""
        names = self._those_it_has(self._wanted())
        with httpx.stream(
            "GET",
            _url(settings.OANDA_URL, "pricing/stream"),
            params={"instruments": ",".join(names)},
            headers=_headers(),
            timeout=httpx.Timeout(OPEN_SECONDS, read=SILENT_SECONDS),
        ) as response:
            if response.status_code != httpx.codes.OK:
                raise Lost(f"the stream answers {response.status_code}")
            yield response

    def _those_it_has(self, wanted: Sequence[str]) -> Sequence[str]:
        """Raises Lost where it has none of them."""
        try:
            self._has = _instruments()
        except (httpx.HTTPError, Lost, Nonsense) as error:
            log.warning("%s: the list of instruments can't be had: %s", self._name, str(error)[:200])
        if self._has is None:
            return wanted
        missing = [one for one in wanted if one not in self._has]
        if missing and missing != self._missing:
            log.warning("%s: the account has no %s; the others go on", self._name, ", ".join(missing)[:200])
        self._missing = missing
        if len(missing) == len(wanted):
            raise Lost("the account has none of the instruments")
        return [one for one in wanted if one in self._has]


def _instruments() -> frozenset[str]:
    """The names of what the account may trade. Raises Lost, Nonsense, httpx.HTTPError."""
    answer = httpx.get(_url(settings.OANDA_API_URL, "instruments"), headers=_headers(), timeout=OPEN_SECONDS)
    if answer.status_code != httpx.codes.OK:
        raise Lost(f"it answers {answer.status_code}")
    return frozenset(text(one.get("name")) for one in objects(json_object(answer.content).get("instruments")))


def _url(host: str, of_the_account: str) -> str:
    return f"{host.rstrip('/')}/v3/accounts/{settings.OANDA_ACCOUNT}/{of_the_account}"


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.OANDA_TOKEN}", "Accept-Datetime-Format": FORMAT}


class HttpLine:
    """Lines of a body as it comes; a wait for one ends when the venue is taken for dead, and no sooner."""

    def __init__(self, response: httpx.Response) -> None:
        self._pieces = response.iter_bytes()
        self._whole: list[bytes] = []
        self._rest = b""

    def send(self, message: str) -> None:
        raise Lost("nothing can be sent here")

    def receive(self, seconds: float) -> bytes | None:
        if not self._whole and seconds > 0:
            self._wait()
        return self._whole.pop(0) if self._whole else None

    def _wait(self) -> None:
        try:
            piece = next(self._pieces, None)
        except httpx.HTTPError as error:
            raise Lost(f"{type(error).__name__}: {error}") from error
        if piece is None:
            raise Lost("the stream has ended")
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LONGEST_MESSAGE:
            raise Lost("a line without end")
        self._whole = [line for line in whole if line.strip()]


class Oanda:
    def __init__(self, name: str, symbols: Sequence[str]) -> None:
        self._name = name
        self._symbols = by_venue_name(symbols, "_")

    def subscriptions(self) -> list[str]:
        """They are in the request."""
        return []

    def read(self, message: str | bytes, came: float) -> list[VenueTick]:
        said = json_object(message)
        if said.get("type") != "PRICE":
            return []
        symbol = self._symbols.get(text(said.get("instrument")))
        if symbol is None:
            return []
        bids, asks = objects(said.get("bids", [])), objects(said.get("asks", []))
        if said.get("tradeable") is False or not bids or not asks:
            return [no_price(symbol, came, self._name)]
        at = milliseconds(said.get("time"))
        return [VenueTick(symbol, _price(bids[0]), _price(asks[0]), came, self._name, at)]


def _price(bucket: dict[str, Any]) -> Decimal:
    return number(bucket.get("price"))
