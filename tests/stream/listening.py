"""The real stream process, and clients of both ways that read what it tells, one message after the other."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.live import Live
from tests.stack.running import free_port

SECONDS = 15.0


class Stream:
    """`manage.py run_stream` on the test's own database and Redis."""

    def __init__(self, extra: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self._live = Live(("stream",), {"STREAM_PORT": str(self.port), **(extra or {})})

    def start(self) -> None:
        self._live.start_one("stream")
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.log)

    def stop(self) -> None:
        self._live.stop()

    def signal(self, number: int) -> None:
        self._live.signal("stream", number)

    def ended(self) -> int:
        return self._live.ended("stream", 10)

    @property
    def pid(self) -> int:
        return self._live._running["stream"].pid

    @property
    def log(self) -> str:
        return Path(self._live.log).read_text()

    def sse(self, token: str, query: str = "", *, last: str = "", takes: int = 0, **headers: str) -> Sse:
        return Sse(self.port, token, query, last, takes, headers)

    def ws(self, token: str = "", query: str = "", **headers: str) -> Ws:
        return Ws(self.port, token, query, headers)

    def sends(self, data: bytes, seconds: float = SECONDS) -> tuple[int, dict[str, Any], bytes]:
        """The answer to these very bytes: status, body, and the head; the connection has to be closed after it."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as wire:
            wire.sendall(data)
            said = b""
            while piece := wire.recv(65_536):
                said += piece
        head, _, body = said.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body), head


class Reader:
    """Messages by their order. Those of prices and heartbeats aren't shown unless asked for."""

    def next(self, seconds: float = SECONDS) -> dict[str, Any]:
        raise NotImplementedError

    def until(self, is_it: Callable[[dict[str, Any]], bool], seconds: float = SECONDS) -> list[dict[str, Any]]:
        """All messages up to the one that is it."""
        found, give_up = [], time.monotonic() + seconds
        while True:
            found.append(self.next(max(0.01, give_up - time.monotonic())))
            if is_it(found[-1]):
                return found

    def first(self, type_: str, seconds: float = SECONDS) -> dict[str, Any]:
        return self.until(lambda one: one["type"] == type_, seconds)[-1]

    def first_price(self) -> dict[str, Any]:
        """The next message that has a price in it: before, there may be one that has none yet."""
        return self.until(lambda one: one["type"] == "prices" and bool(one["prices"]))[-1]

    def events(self, count: int, seconds: float = SECONDS) -> list[dict[str, Any]]:
        """The next so many events."""
        found: list[dict[str, Any]] = []
        give_up = time.monotonic() + seconds
        while len(found) < count:
            one = self.next(max(0.01, give_up - time.monotonic()))
            assert one["type"] != "error", one
            if one["type"] == "event":
                found.append(one)
        return found

    def is_quiet(self, seconds: float = 0.6) -> bool:
        """Whether no event comes for so long."""
        try:
            return not self.events(1, seconds)
        except TimeoutError:
            return True


class Sse(Reader):
    """`takes`: so many bytes that it hasn't read, and no more; 0: as many as the kernel likes."""

    def __init__(self, port: int, token: str, query: str, last: str, takes: int, headers: Mapping[str, str]) -> None:
        given = {
            "Host": "x",
            "Authorization": f"Bearer {token}",
            **headers,
            **({"Last-Event-ID": last} if last else {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.wire = socket.socket()
        self.wire.settimeout(SECONDS)
        if takes:
            self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
        self.wire.connect(("127.0.0.1", port))
        self.wire.sendall(f"GET /api/events/stream{query} HTTP/1.1\r\n{lines}\r\n".encode())
        self._read = b""
        self.id = last

    @cached_property
    def head(self) -> str:
        return self._to(b"\r\n\r\n", SECONDS).decode()

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    def next(self, seconds: float = SECONDS) -> dict[str, Any]:
        assert self.status == 200, self.head
        while True:
            block = self._to(b"\n\n", seconds).decode()
            fields = dict(re.findall(r"^(\w+): (.*)$", block, re.MULTILINE))
            if "data" in fields:
                self.id = fields.get("id", self.id)
                said: dict[str, Any] = json.loads(fields["data"])
                assert said["type"] == fields["event"]
                return said

    def close(self) -> None:
        self.wire.close()

    def rest(self) -> bytes:
        """All that follows, to the end of the connection."""
        while piece := self.wire.recv(65_536):
            self._read += piece
        return self._read

    def _to(self, end: bytes, seconds: float) -> bytes:
        give_up = time.monotonic() + seconds
        while end not in self._read:
            self.wire.settimeout(max(0.01, give_up - time.monotonic()))
            piece = self.wire.recv(65_536)
            if not piece:
                raise ConnectionError(f"closed after {self._read!r}")
            self._read += piece
        found, _, self._read = self._read.partition(end)
        return found


class Ws(Reader):
    def __init__(self, port: int, token: str, query: str, headers: Mapping[str, str]) -> None:
        given = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        self.wire: ClientConnection = connect(
            f"ws://127.0.0.1:{port}/api/stream{query}",
            additional_headers=given,
            open_timeout=SECONDS,
            compression=None,
            proxy=None,
            legacy=True,
        )

    def next(self, seconds: float = SECONDS) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.wire.recv(timeout=seconds))
        return said

    def say(self, **said: Any) -> None:
        self.wire.send(json.dumps(said))

    def close(self) -> None:
        self.wire.close()


def kinds(several: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["event_type"], one["object_guid"]) for one in several]
