"""Connections to the event stream that come back at once when its process has ended: each from its last place.

Part of `benchmarks.listeners`. Who is refused tries again a second later, whom nobody listens to a tenth of a second.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import selectors
import socket
import time
from collections import Counter
from dataclasses import dataclass, field

ID = re.compile(rb"\nid: (\w{32})\n")
TOLD = {name: b'"type":"%s"' % name.encode() for name in ("ready", "event", "orders", "figures")}
AGAIN_SECONDS = 0.1
REFUSED_SECONDS = 1.0


@dataclass
class One:
    token: str
    place: str
    wire: socket.socket | None = None
    head: bytes = b""
    tail: bytes = b""
    told: dict[str, float] = field(default_factory=dict)


@dataclass
class Returned:
    """`unanswered`: connections that were taken in and closed without an answer."""

    listens_at: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0

    def report(self, everybody: list[One]) -> str:
        last = {name: max(one.told[name] for one in everybody) - self.listens_at for name in TOLD}
        return json.dumps({"last": last, "refused": dict(self.refused), "unanswered": self.unanswered})


def last_place(pieces: list[tuple[float, bytes]]) -> str:
    """The id of the last message that a connection was sent."""
    return ID.findall(b"".join(piece for _, piece in pieces))[-1].decode()


def come_back(port: int, query: str, everybody: list[One], seconds: float = 120) -> str:
    """Until each has been told what it waits for. Raises TimeoutError."""
    selector, found = selectors.DefaultSelector(), Returned()
    waiting = [(0.0, one) for one in everybody]
    missing, give_up = len(everybody), time.time() + seconds
    while missing:
        if time.time() > give_up:
            told = Counter(name for one in everybody for name in one.told)
            raise TimeoutError(f"told: {told}; refused: {found.refused}; unanswered: {found.unanswered}")
        now = time.time()
        due = [one for at, one in waiting if at <= now]
        waiting = [(at, one) for at, one in waiting if at > now]
        waiting += [(now + AGAIN_SECONDS, one) for one in due if not _begin(one, port, selector)]
        for key, mask in selector.select(0.02):
            one = key.data
            if mask & selectors.EVENT_WRITE:
                pause = _ask(one, port, query, selector, found)
            else:
                before = len(one.told)
                pause = _read(one, selector, found)
                missing -= len(one.told) == len(TOLD) > before
            if pause is not None:
                waiting.append((time.time() + pause, one))
    return found.report(everybody)


def _begin(one: One, port: int, selector: selectors.BaseSelector) -> bool:
    """Whether somebody may listen there."""
    one.wire, one.head, one.tail = socket.socket(), b"", b""
    one.wire.setblocking(False)
    if one.wire.connect_ex(("127.0.0.1", port)) not in (0, errno.EINPROGRESS):
        one.wire.close()
        return False
    selector.register(one.wire, selectors.EVENT_WRITE, one)
    return True


def _ask(one: One, port: int, query: str, selector: selectors.BaseSelector, found: Returned) -> float | None:
    assert one.wire is not None
    failed = one.wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        _close(one, selector)
        found.refused[errno.errorcode[failed]] += found.listens_at > 0  # until then nobody listens
        return AGAIN_SECONDS
    found.listens_at = found.listens_at or time.time()
    selector.modify(one.wire, selectors.EVENT_READ, one)
    head = f"Host: x\r\nAuthorization: Bearer {one.token}\r\nLast-Event-ID: {one.place}\r\n"
    with contextlib.suppress(OSError):  # it is seen when it is read
        one.wire.send(f"GET /api/events/stream{query} HTTP/1.1\r\n{head}\r\n".encode())
    return None


def _read(one: One, selector: selectors.BaseSelector, found: Returned) -> float | None:
    assert one.wire is not None
    try:
        piece = one.wire.recv(262_144)
    except OSError:
        piece = b""
    one.head = (one.head + piece)[:12]
    if not piece or (len(one.head) == 12 and not one.head.endswith(b"200")):
        _close(one, selector)
        if len(one.head) < 12:
            found.unanswered += 1
        else:
            found.refused[one.head[9:].decode()] += 1
        return REFUSED_SECONDS
    seen, at = one.tail + piece, time.time()
    for name, mark in TOLD.items():
        if name not in one.told and mark in seen:
            one.told[name] = at
    one.tail = seen[-20:]
    return None


def _close(one: One, selector: selectors.BaseSelector) -> None:
    assert one.wire is not None
    selector.unregister(one.wire)
    one.wire.close()
    one.wire = None
