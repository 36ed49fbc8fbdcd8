"""What a connection asks for: the request's head, judged without any query, and what it wants to be told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from websockets.datastructures import Headers, MultipleValuesError
from websockets.http11 import Request

from accounts import events
from accounts.api.events import NOW, After, SomeOf
from accounts.errors import Malformed
from accounts.identity import READ_ORDERS, Caller
from accounts.rest import fields
from accounts.rest.queries import Query
from brokerage.errors import Told
from brokerage.http.request_bytes import NOT_SECURE
from brokerage.stream import reasons
from brokerage.stream.messages import PATH
from quotes import symbols
from quotes.errors import UnknownSymbol

SOCKET_PATH: Final = "/api/stream"
PRICES, ORDERS, FIGURES = "prices", "orders", "figures"
EVERYTHING: Final = (*events.EVERY_KIND, PRICES, ORDERS, FIGURES)
MOST_SYMBOLS: Final = 100
NOWHERE: Final = (-1, 0)


class Refused(Exception):
    """The request goes no further."""

    def __init__(self, told: Told) -> None:
        super().__init__(told.text)
        self.told = told


class _From(After):
    """As of the list; `now` is NOWHERE, for here nobody may wait for a query."""

    def to_internal_value(self, data: Any) -> events.Place:
        return NOWHERE if data == NOW else super().to_internal_value(data)


class Wishes(Query):
    """The parameters, in the query or in a message."""

    after = _From()
    event_type = SomeOf(EVERYTHING)
    symbol = fields.Text(longest=40 * MOST_SYMBOLS)


@dataclass(frozen=True, slots=True)
class Asked:
    """`after` None: from now on. `types`, `names` empty: all that the token may see."""

    after: events.Place | None = None
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a connection is told: events of these kinds, the prices of these symbols (None: none), its account's live
    orders and figures."""

    kinds: frozenset[str]
    symbols: frozenset[str] | None
    orders: bool
    figures: bool


@dataclass(frozen=True, slots=True)
class Head:
    """`authorization` None: the token comes as the first message."""

    is_socket: bool
    authorization: str | None
    asked: Asked
    origin: str | None


def read(request: Request) -> Head:
    """What a request asks for. Raises Refused, Refusal, APIException."""
    try:
        return _read(request)
    except (MultipleValuesError, SuspiciousOperation):  # of a header, and of a query with a thousand parameters
        raise Refused(reasons.NOT_HTTP) from None


def _read(request: Request) -> Head:
    path, _, asked_for = request.path.partition("?")
    path = path.rstrip("/")
    if path not in {PATH, SOCKET_PATH}:
        raise Refused(reasons.NOT_FOUND)
    if request.method != "GET":
        raise Refused(reasons.NO_METHOD)
    if settings.HTTPS and request.headers.get("X-Forwarded-Proto") != "https":
        raise Refused(NOT_SECURE)
    is_socket, origin = path == SOCKET_PATH, request.headers.get("Origin")
    if is_socket and origin is not None and origin not in settings.CORS_ALLOWED_ORIGINS:
        raise Refused(reasons.NOT_ALLOWED)
    query = QueryDict(asked_for)
    asked = _asked(Wishes.read(query)) if query else Asked()
    if last := request.headers.get("Last-Event-ID"):
        asked = Asked(wishes({"after": last}).after, asked.types, asked.names)
    return Head(is_socket, request.headers.get("Authorization"), asked, origin)


def wishes(said: Mapping[str, Any]) -> Asked:
    """The same of a message's keys: lists are of texts. Raises Malformed, ValidationError."""
    given = QueryDict(mutable=True)
    for name, value in said.items():
        several = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in several):
            raise Malformed(f"{name[:64]} must be text.")
        given.setlist(name, several)
    return _asked(Wishes.read(given))


def _asked(found: Mapping[str, Any]) -> Asked:
    names = tuple(name.strip() for name in found.get("symbol", "").split(",") if name.strip())
    if len(names) > MOST_SYMBOLS:
        raise Malformed(f"symbol names {MOST_SYMBOLS} at most.")
    after = found.get("after")
    return Asked(None if after == NOWHERE else after, tuple(found.get("event_type", ())), names)


def wanted(caller: Caller, asked: Asked) -> Wanted:
    """What of it the caller is told. A query now and then. Raises UnknownSymbol; Refused where it is nothing."""
    found = _symbols(asked.names) if caller.may("prices:read") and (not asked.types or PRICES in asked.types) else None
    kinds = _kinds(caller.scopes, asked.types) if caller.may("trades:read") else frozenset()
    has_account = caller.customer_id is not None and caller.may(READ_ORDERS)
    orders, figures = (has_account and (not asked.types or word in asked.types) for word in (ORDERS, FIGURES))
    if not (kinds or found or orders or figures):
        raise Refused(reasons.NOTHING)
    return Wanted(kinds, found, orders, figures)


@lru_cache(maxsize=1024)
def _kinds(scopes: frozenset[str], types: tuple[str, ...]) -> frozenset[str]:
    """One set for all connections that see the same."""
    return frozenset(kind for kind in events.kinds_seen_by(Caller(scopes)) if not types or kind in types)


def _symbols(names: tuple[str, ...]) -> frozenset[str]:
    known = symbols.instruments()
    if not names:
        return _same(frozenset(known))
    found = {name: symbols.canonical(name) for name in names}
    if None in found.values():
        raise UnknownSymbol
    return _same(frozenset(symbol for symbol in found.values() if symbol is not None))


@lru_cache(maxsize=1024)
def _same(symbols: frozenset[str]) -> frozenset[str]:
    """One set for all that are equal."""
    return symbols


def allowed_origin(headers: Headers) -> str | None:
    """The origin of a page that may read the answer, if one asks."""
    return next((one for one in headers.get_all("Origin") if one in settings.CORS_ALLOWED_ORIGINS), None)
