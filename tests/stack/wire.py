"""HTTP as bytes over a socket, for what no client library would send."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass, field


@dataclass
class Said:
    """An answer; status 0: the server hung up without one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def connected(port: int, seconds: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), seconds)


def ask(port: int, request: bytes, *, method: str = "GET", seconds: float = 15) -> Said:
    """Send these bytes on a connection of their own; the answer to them."""
    with connected(port, seconds) as wire:
        wire.sendall(request)
        return answer(wire, method)


def answer(wire: socket.socket, method: str = "GET") -> Said:
    """Read one answer. Raises TimeoutError when none comes."""
    response = http.client.HTTPResponse(wire, method=method)
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ConnectionError):
        return Said(0)
    return Said(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def get(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request's bytes; `path` and headers go out as they are, in Latin-1."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
