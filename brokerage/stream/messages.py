"""What is told, encoded once: the same bytes go to every connection of a kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from websockets.frames import Frame, Opcode

from accounts import json_codec
from accounts.api.events import EventOut
from accounts.events import Place, guid_of
from accounts.models import Event
from brokerage.errors import Told

PATH: Final = "/api/events/stream"  # whose dialect errors are told in


class Message:
    """One JSON object with its `type`. `place`: what a reader has seen once it has this; None where it says nothing
    of that."""

    __slots__ = ("_frame", "_text", "body", "place", "type")

    def __init__(self, type_: str, body: bytes, place: Place | None = None) -> None:
        self.type, self.body, self.place = type_, body, place
        self._frame: bytes | None = None
        self._text: bytes | None = None

    @property
    def frame(self) -> bytes:
        """As a WebSocket frame of text, whole and unmasked."""
        if self._frame is None:
            self._frame = Frame(Opcode.TEXT, self.body).serialize(mask=False)
        return self._frame

    @property
    def text(self) -> bytes:
        """As a server-sent event. JSON holds no line break, whatever a customer's or a bank's words were."""
        if self._text is None:
            name = b"" if self.place is None else b"id: %s\n" % guid_of(self.place).hex.encode()
            self._text = b"%sevent: %s\ndata: %s\n\n" % (name, self.type.encode(), self.body)
        return self._text


def _message(type_: str, said: dict[str, Any], place: Place | None = None) -> Message:
    return Message(type_, json_codec.dumps({"type": type_, **said}), place)


def event(row: Event) -> Message:
    """An event with the keys that `GET /api/events` gives it."""
    return _message("event", dict(EventOut(row).data), (row.transaction, row.number))


def ready(place: Place, kinds: Collection[str], symbols: Collection[str] | None) -> Message:
    """The first of a connection: from which place its events follow, and what of everything it is told.

    `symbols`: None where it is told no prices.
    """
    said = {
        "next": guid_of(place),
        "event_type": sorted(kinds),
        "symbol": None if symbols is None else sorted(symbols),
        "heartbeat_seconds": HEARTBEAT_SECONDS,
    }
    return _message("ready", said, place)


def heartbeat(place: Place, *, events: bool, prices: bool) -> Message:
    """That the connection lives, up to which place everything was told, and whether both servers are being read."""
    return _message("heartbeat", {"next": guid_of(place), "events": events, "prices": prices}, place)


def price(row: dict[str, Any]) -> bytes:
    """One price as it stands in `prices`, with the keys that `GET /api/prices` gives it."""
    return json_codec.dumps(row)


def prices(rows: Sequence[bytes], gone: Collection[str]) -> Message:
    """The newest of each symbol that has changed; `gone`: those that have none that is fresh now."""
    names = json_codec.dumps(sorted(gone))
    return Message("prices", b'{"type":"prices","prices":[%s],"gone":%s}' % (b",".join(rows), names))


def orders(customer_id: UUID, place: Place, rows: Sequence[dict[str, Any]], *, has_more: bool) -> Message:
    """A margin account's live orders, with the keys that `GET /api/v1/trade/orders` gives them, and each one's guid.

    Every event up to `place` is in them.
    """
    said = {"customer_guid": customer_id, "as_of": guid_of(place), "orders": rows, "has_more": has_more}
    return _message("orders", said)


def figures(customer_id: UUID, said: dict[str, Any]) -> Message:
    """A margin account's figures, with the keys that `GET /api/v1/account` gives them."""
    return _message("figures", {"customer_guid": customer_id, **said})


def error(told: Told) -> Message:
    """Why the connection is closed; the last of it."""
    return _message("error", dict(told.body(PATH)))


HEARTBEAT_SECONDS: Final = 15
