"""POSTs to an endpoint that isn't trusted: each in ten seconds all in all, to an address that was judged.

h11 writes the request and reads the answer; the connection is made here. It follows no redirect, reads no proxy from
the environment, keeps no cookie, and says the name of the URL in TLS and in `Host` whatever address it is connected to.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11

from accounts.webhooks import addresses

SECONDS: Final = 10.0
MOST_READ: Final = 1024
KEPT_SECONDS: Final = 5.0  # a connection that nothing was sent on for so long isn't used again
_MOST_ON_THE_WIRE: Final = 64 * 1024  # of one answer, headers included
_AT_ONCE: Final = 16 * 1024  # bytes read
_TOLD_OF_A_NAME: Final = "the name in the url has no address that webhooks are sent to"


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


_TLS: Final = _context()


class TooSlow(Exception):
    """The call took all its time."""


class TooLong(Exception):
    """The answer has more bytes than are read."""


class Closed(Exception):
    """The endpoint closed the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. Without a `status` there was no answer: `error` says why to operators, `told` to clients."""

    status: int | None
    response: str
    error: str
    told: str
    address: str
    milliseconds: int


class Line:
    """Calls of one URL, one after the other, over one connection while it lasts. For one thread at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._name = parts.netloc, parts.hostname or ""
        self._is_tls = parts.scheme == "https"
        self._port = parts.port or (443 if self._is_tls else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._address = ""
        self._wire: socket.socket | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._until = self._used_at = 0.0
        self._bytes_left = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection for another call."""
        return self._wire is not None

    @property
    def is_stale(self) -> bool:
        return time.monotonic() - self._used_at > KEPT_SECONDS

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it, and read the beginning of the answer. Never raises for what the endpoint does."""
        began = time.monotonic()
        self._until, self._bytes_left = began + SECONDS, _MOST_ON_THE_WIRE
        status, response, error, told = None, b"", "", ""
        try:
            status, response = self._call(headers, body)
        except addresses.NoAddress as refused:
            error, told = str(refused), _TOLD_OF_A_NAME
        except Exception as failure:  # whatever the other side makes TLS and HTTP say, it is an attempt that failed
            error = told = f"{type(failure).__name__}: {failure}"
        if status is None:
            self.close()
        self._used_at = time.monotonic()
        return Answer(
            status,
            response[:MOST_READ].decode(errors="replace").replace("\x00", "�"),
            error[:200].replace("\x00", "�"),
            told[:200].replace("\x00", "�"),
            self._address,
            int((self._used_at - began) * 1000),
        )

    def _call(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """A kept connection that the endpoint has closed meanwhile is made anew, once."""
        if self._wire is not None and not self.is_stale and not _says_something(self._wire):
            try:
                return self._exchange(self._wire, headers, body)
            except TimeoutError:
                raise
            except (OSError, h11.RemoteProtocolError, Closed):
                pass
        self.close()
        self._connect()
        assert self._wire is not None
        return self._exchange(self._wire, headers, body)

    # --- the connection ----------------------------------------------------------------------------

    def _connect(self) -> None:
        """To an address that was judged just now. Raises NoAddress, OSError, TooSlow."""
        self._address = ""
        failure: Exception = OSError(f"{self._name} has no address")
        for address in addresses.addresses_of(self._name, self._port, self._seconds_left()):
            if not self._is_tls and not addresses.is_allowed(address):
                raise addresses.AddressRefused(f"{self._name} is at {address}, and http is only for allowed networks")
            self._address = str(address)
            try:
                wire = socket.create_connection((self._address, self._port), self._seconds_left())
            except OSError as refused:
                failure = refused
                continue
            if _is_this_machine(wire) and not addresses.is_allowed(address):
                wire.close()
                raise addresses.AddressRefused(f"{self._name} is at {address}, which is this machine's own")
            self._wire = self._secured(wire)
            self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_ON_THE_WIRE)
            return
        raise failure

    def _secured(self, wire: socket.socket) -> socket.socket:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._is_tls:
            return wire
        try:
            wire.settimeout(self._seconds_left())
            return _TLS.wrap_socket(wire, server_hostname=self._name)
        except BaseException:
            wire.close()
            raise

    def _seconds_left(self) -> float:
        """Of this call. Raises TooSlow where none are."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TooSlow(f"no whole answer within {SECONDS:g} seconds")
        return left

    # --- a request and its answer ------------------------------------------------------------------

    def _exchange(self, wire: socket.socket, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The answer's status, and the beginning of its body; what breaks off after the status takes nothing back."""
        said = [("host", self._host), *headers.items(), ("content-length", str(len(body)))]
        request = h11.Request(method="POST", target=self._target, headers=said)
        parts = (self._http.send(request), self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage()))
        wire.settimeout(self._seconds_left())
        wire.sendall(b"".join(part or b"" for part in parts))
        status, response, is_whole = self._status(wire), bytearray(), False
        with suppress(OSError, h11.RemoteProtocolError, Closed, TooSlow, TooLong):
            is_whole = self._read_body(wire, response)
        if is_whole and self._http.our_state is self._http.their_state is h11.DONE and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
        else:
            self.close()
        return status, bytes(response)

    def _status(self, wire: socket.socket) -> int:
        while True:
            event = self._next_event(wire)
            if isinstance(event, h11.Response):
                return event.status_code

    def _read_body(self, wire: socket.socket, response: bytearray) -> bool:
        """Its beginning; whether that is all."""
        while len(response) < MOST_READ:
            event = self._next_event(wire)
            if isinstance(event, h11.Data):
                response += event.data
            else:
                return isinstance(event, h11.EndOfMessage)
        return False

    def _next_event(self, wire: socket.socket) -> object:
        """Raises RemoteProtocolError, OSError, Closed, TooSlow, TooLong."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._bytes_left <= 0:
                raise TooLong("the answer is too long")
            wire.settimeout(self._seconds_left())
            some = wire.recv(min(_AT_ONCE, self._bytes_left))
            if not some and self._http.their_state is h11.SEND_RESPONSE:
                raise Closed("the endpoint closed the connection without an answer")
            self._bytes_left -= len(some)
            self._http.receive_data(some)
        return event


def _is_this_machine(wire: socket.socket) -> bool:
    """Whether both ends are at the same address: what listens there isn't meant for the internet, firewall or not."""
    here, there = (ipaddress.ip_address(name[0]) for name in (wire.getsockname(), wire.getpeername()))
    return here == there


def _says_something(wire: socket.socket) -> bool:
    """Before it was asked anything: that it is closed, or what is no answer."""
    poll = select.poll()
    poll.register(wire, select.POLLIN)
    return bool(poll.poll(0))
