"""Clients that ask one thing after another over kept-alive connections, as cheaply as Python can.

The load shares the machine with what it measures, so it spends as little as possible: raw asyncio protocols,
requests prepared as bytes, answers judged by their status line and length alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Load:
    """What came back: seconds of each answer, how many of each status, and how long it all took."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    took: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.took

    def percentile_ms(self, percent: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class _Client(asyncio.Protocol):
    """Sends the next request when the last answer is complete."""

    def __init__(self, requests: Iterator[bytes], load: Load, done: asyncio.Future[None]) -> None:
        self.requests, self.load, self.done = requests, load, done
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._next()

    def _next(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.done.set_result(None)
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self.buffer = body[length:]
        self.load.seconds.append(time.perf_counter() - self.sent)
        self.load.statuses[int(head[9:12])] += 1
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))


def post(path: str, token: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(path: str) -> bytes:
    """A request without a body, as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def run(port: int, clients: int, requests: Iterable[bytes]) -> Load:
    """Let `clients` connections share the requests; returns when the last answer is in."""

    async def everybody() -> Load:
        load, shared = Load(), iter(requests)
        loop = asyncio.get_running_loop()
        waits: list[asyncio.Future[None]] = []
        started = time.perf_counter()
        for _ in range(clients):
            done: asyncio.Future[None] = loop.create_future()
            waits.append(done)
            await loop.create_connection(lambda d=done: _Client(shared, load, d), "127.0.0.1", port)
        await asyncio.gather(*waits)
        load.took = time.perf_counter() - started
        return load

    return asyncio.run(everybody())
