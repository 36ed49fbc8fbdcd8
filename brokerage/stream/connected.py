"""One connection: what it sends is read here, and how it is answered, as server-sent events or as WebSocket.

The `websockets` library reads the request's head for both, and the frames. Nothing here waits or asks a server; what
has to be asked goes through the hub.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import socket
from collections.abc import Callable, Mapping
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rest_framework.exceptions import APIException
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.server import ServerProtocol

from accounts import clock, events, json_codec, tokens
from accounts.errors import Refusal
from accounts.identity import Caller
from brokerage import errors
from brokerage.errors import Told
from brokerage.stream import asking, messages, reasons
from brokerage.stream.messages import Message

if TYPE_CHECKING:
    from brokerage.stream.hub import Hub

MOST_HEAD_BYTES: Final = 16_384
MOST_MESSAGE_BYTES: Final = 8_192
SLICE_BYTES: Final = 4_096  # of frames between two looks at how many came: a full one of empty pings costs milliseconds
MOST_FRAMES: Final = 40  # at once; FRAMES_PER_SECOND after them
FRAMES_PER_SECOND: Final = 4
HIGH_WATER_BYTES: Final = 65_536  # unsent: from here on a reader is waited for, and told nothing
LOW_WATER_BYTES: Final = 8_192
KERNEL_BYTES: Final = 65_536  # that the kernel holds for a reader; it doubles this
UNANSWERED_MILLISECONDS: Final = 30_000  # a host that acknowledges nothing for so long is gone
GOODBYE_SECONDS: Final = 2.0  # to take the last words, before the connection is cut off

_T = TypeVar("_T")
# The library writes whole heads, tokens included, where its logger's level is DEBUG: this one's never is.
_QUIET: Final = logging.getLogger("brokerage.stream.websockets")
_QUIET.setLevel(logging.ERROR)
_BAD_HEADS: Final[Mapping[type[Exception], Told]] = {
    RequestLineTooLong: reasons.LONG_LINE,
    HeaderLineTooLong: reasons.LARGE_HEAD,
    TooManyHeaders: reasons.LARGE_HEAD,
}
_CORS_PREFLIGHT: Final = "Authorization, Last-Event-ID"


class Phase(Enum):
    HEAD = auto()  # its request isn't whole
    ASKED = auto()  # its token is being looked at
    SILENT = auto()  # a WebSocket that has yet to say its token
    OPEN = auto()
    ENDED = auto()


class Connection(asyncio.Protocol):
    """`place`: up to where its events were told; of one that follows the hub, the hub's place where that is later."""

    __slots__ = (
        "_frames",
        "_head_bytes",
        "_is_answered",
        "_origin",
        "_parts",
        "_protocol",
        "_response",
        "_transport",
        "arrived_at",
        "asked",
        "caller",
        "claims",
        "expires_at",
        "follows",
        "held_since",
        "hub",
        "is_queued",
        "is_socket",
        "needs_figures",
        "needs_prices",
        "number",
        "phase",
        "place",
        "unread_heartbeats",
        "wanted",
    )

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.phase = Phase.HEAD
        self.is_socket = self.follows = self.is_queued = self.needs_prices = self.needs_figures = False
        self._is_answered = False
        self.asked = asking.Asked()
        self.arrived_at = clock.uptime()
        self.claims: tokens.Claims | None = None
        self.caller: Caller | None = None
        self.wanted: asking.Wanted | None = None
        self.expires_at = 0
        self.place: events.Place = events.FIRST
        self.held_since: float | None = None  # when its buffer filled; None while it takes what it is sent
        self.unread_heartbeats = 0
        self.number = 0  # counted by the hub
        self._protocol: Protocol | None = None
        self._response: Any = None
        self._head_bytes = self._frames = 0
        self._parts: list[bytes] = []
        self._origin: str | None = None
        self._transport: asyncio.Transport | None = None

    # --- what asyncio calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=LOW_WATER_BYTES)
        _tune(transport.get_extra_info("socket"))
        self._protocol = ServerProtocol(max_size=MOST_MESSAGE_BYTES, logger=_QUIET)
        self.hub.arrived(self)

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.HEAD:
            self._read_head(data)
        elif self.is_socket and self._is_answered:
            self._read_frames(data)
        elif self.phase is not Phase.ENDED:
            self.end(reasons.NO_BODY)

    def pause_writing(self) -> None:
        self.held_since = clock.uptime()
        if self._transport is not None and self.phase is not Phase.ENDED:
            self._transport.pause_reading()  # else its pings would go on filling the buffer

    def resume_writing(self) -> None:
        self.held_since = None
        if self._transport is not None and self.phase is not Phase.ENDED:
            self._transport.resume_reading()
            self.hub.reads_again(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.phase = Phase.ENDED
        self.hub.left(self)
        self.hub.gone(self)
        self._transport = self._protocol = self._response = None

    # --- the head ----------------------------------------------------------------------------------

    def _read_head(self, data: bytes) -> None:
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self.end(reasons.LARGE_HEAD)
            return
        protocol = self._protocol
        assert isinstance(protocol, ServerProtocol)
        protocol.receive_data(data)
        found = protocol.events_received()
        if protocol.handshake_exc is not None:
            self.end(_BAD_HEADS.get(type(protocol.handshake_exc), reasons.NOT_HTTP))
        elif found:
            # The library goes on reading frames: what came with the head is in one of these by now.
            is_alone = len(found) == 1 and not protocol.reader.buffer and not protocol.parser_exc and data[-1:] == b"\n"
            self._take(protocol, found[0], is_alone=is_alone)

    def _take(self, protocol: ServerProtocol, request: Any, *, is_alone: bool) -> None:
        assert isinstance(request, Request)
        self._origin = asking.allowed_origin(request.headers)
        if request.method == "OPTIONS" and self._origin is not None:
            self._answer(HTTPStatus.NO_CONTENT, b"", self._preflight())
            return
        said = self._tried(lambda: asking.read(request))
        if said is None:
            return
        if not is_alone:
            self.end(reasons.NO_BODY)
            return
        self.is_socket, self.asked = said.is_socket, said.asked
        if self.is_socket:
            self._response = protocol.accept(request)
            if self._response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
                self.end(reasons.NO_UPGRADE)
                return
            if said.authorization is None:
                self._begin()
                self.phase = Phase.SILENT
                return
        self._show(said.authorization)

    def _show(self, authorization: str | None) -> None:
        """Have a token looked at: its signature here, whether its bearer may still act by the hub."""
        found = self._tried(lambda: tokens.verify_until(authorization))
        if found is not None:
            self.claims, self.expires_at = found
            self.phase = Phase.ASKED
            self.hub.asks(self, self.asked)

    def _tried(self, judge: Callable[[], _T]) -> _T | None:
        try:
            return judge()
        except asking.Refused as refused:
            self.end(refused.told)
        except (Refusal, APIException) as refusal:
            self.end(errors.told(refusal) or errors.BUG)
        return None

    # --- frames ------------------------------------------------------------------------------------

    def _read_frames(self, data: bytes) -> None:
        for begin in range(0, len(data), SLICE_BYTES):
            if self._protocol is None or self.phase is Phase.ENDED:
                return
            self._protocol.receive_data(data[begin : begin + SLICE_BYTES])
            found = self._protocol.events_received()
            self._frames += len(found)
            if self._frames > MOST_FRAMES:
                self.end(reasons.TOO_FAST)
                return
            for frame in found:
                self._read_frame(frame)
            self._flush()

    def a_second_passed(self) -> None:
        self._frames = max(0, self._frames - FRAMES_PER_SECOND)

    def _read_frame(self, frame: object) -> None:
        if not isinstance(frame, Frame) or self.phase is Phase.ENDED:
            return
        if frame.opcode is Opcode.BINARY:
            self.end(reasons.NOT_TEXT, reasons.NO_TEXT)
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                body, self._parts = b"".join(self._parts), []
                self._tried(lambda: self._obey(body))

    def _obey(self, body: bytes) -> None:
        """Raises Refused, Refusal, APIException."""
        try:
            said = json_codec.loads(body)
        except json_codec.NotJSON:
            said = None
        type_ = said.pop("type", None) if isinstance(said, dict) else None
        if type_ == "authenticate" and self.phase is Phase.SILENT and isinstance(said.get("token"), str):
            token = said.pop("token")
            asked = asking.wishes(said) if said else self.asked
            self.asked = asking.Asked(asked.after or self.asked.after, asked.types, asked.names)
            self._show(f"Bearer {token}")
        elif type_ == "subscribe" and self.phase is Phase.OPEN and "after" not in said:
            self.hub.asks(self, asking.wishes(said))
        else:
            raise asking.Refused(reasons.UNKNOWN_MESSAGE)

    def _flush(self) -> None:
        """Send what the library answers by itself: pongs, the answer to a close, why a frame was none."""
        if self._protocol is None or self._transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
        if self._protocol.state is not OPEN:
            self._leave()

    # --- what it is told ---------------------------------------------------------------------------

    def welcome(self) -> None:
        """The answer to a request whose token is good; nothing where it was given before."""
        if not self._is_answered:
            self._begin()
        self.phase = Phase.OPEN

    def _begin(self) -> None:
        assert self._transport is not None
        self._is_answered = True
        if self.is_socket:
            self._transport.write(self._response.serialize())
            # The library's first reader holds the request, and so the token, for as long as it lives.
            self._protocol = Protocol(SERVER, state=OPEN, max_size=MOST_MESSAGE_BYTES, logger=_QUIET)
        else:
            self._protocol = None
            kind = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            self._transport.write(self._head(HTTPStatus.OK, kind) + b"retry: 2000\n\n")
        self._response = None

    def send(self, message: Message) -> None:
        if self._transport is not None and self.phase is not Phase.ENDED:
            self._transport.write(message.frame if self.is_socket else message.text)

    def cut_off(self) -> None:
        """Close without a word."""
        self.phase = Phase.ENDED
        self.hub.left(self)
        if self._transport is not None:
            self._transport.abort()

    @property
    def has_unsent(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    # --- the end -----------------------------------------------------------------------------------

    def end(self, told: Told, code: int = reasons.POLICY) -> None:
        """Say why, and close. What the reader hasn't taken GOODBYE_SECONDS later is thrown away."""
        if self.phase is Phase.ENDED or self._transport is None:
            return
        if not self._is_answered:
            said = told.headers(messages.PATH) | ({"Allow": "GET"} if told.status == 405 else {})
            self._answer(told.status, json_codec.dumps(told.body(messages.PATH)), said)
            self.hub.ended(self, told)
            return
        last = messages.error(told)
        self._transport.write(last.frame if self.is_socket else last.text)
        if self.is_socket and self._protocol is not None and self._protocol.state is OPEN:
            self._protocol.data_to_send()
            self._protocol.send_close(code, last_word(told))
            self._transport.writelines(self._protocol.data_to_send())
        self._leave()
        self.hub.ended(self, told)

    def _answer(self, status: int, body: bytes, said: dict[str, str]) -> None:
        assert self._transport is not None
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **said}
        self._transport.write(self._head(status, headers) + body)
        self._leave()

    def _head(self, status: int, said: dict[str, str]) -> bytes:
        headers = {
            "Date": email.utils.formatdate(usegmt=True),
            "Connection": "close",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **said,
            **({"Access-Control-Allow-Origin": self._origin, "Vary": "Origin"} if self._origin else {}),
        }
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {headers[name]}" for name in headers)]
        return "\r\n".join([*lines, "\r\n"]).encode("latin-1")

    def _preflight(self) -> dict[str, str]:
        return {"Access-Control-Allow-Methods": "GET", "Access-Control-Allow-Headers": _CORS_PREFLIGHT}

    def _leave(self) -> None:
        """Nothing more is told or read; the connection goes when its last bytes have, or is cut off."""
        if self.phase is Phase.ENDED or self._transport is None:
            return
        self.phase = Phase.ENDED
        self.hub.left(self)
        self._transport.resume_reading()  # to see the other side close
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self._transport.abort)


def last_word(told: Told) -> str:
    """A reason in the 123 bytes that a WebSocket's close has."""
    return str(told.body(messages.PATH)["message_code"])[:100]


def _tune(wire: socket.socket | None) -> None:
    """Small buffers, so that who doesn't read is seen; nothing waits to be sent; hosts that are gone are found."""
    if wire is None or wire.family not in (socket.AF_INET, socket.AF_INET6):
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MILLISECONDS)
