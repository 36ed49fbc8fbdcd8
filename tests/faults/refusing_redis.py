"""A server that talks as Redis does and refuses whatever it is asked, in the words of a Redis that can't."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SPARED = frozenset({"CLIENT", "SELECT", "PING", "HELLO"})


class _Speaks(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while (head := self.rfile.readline()).startswith(b"*"):
            words = []
            for _ in range(int(head[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2])
            self.wfile.write(self.server.answer(words[0].decode().upper(), words[1:]))  # type: ignore[attr-defined]


class RefusingRedis(socketserver.ThreadingTCPServer):
    """`refusal` is what it says, as "MISCONF Redis is configured to …"; `spares`: what it does answer."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Speaks)
        self.refusal = ""
        self.spares = SPARED

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.server_address[1]}/0"

    def answer(self, command: str, arguments: list[bytes]) -> bytes:
        if command not in self.spares:
            return f"-{self.refusal}\r\n".encode()
        if command == "HELLO":
            return b"%1\r\n$5\r\nproto\r\n:3\r\n" if arguments[:1] == [b"3"] else b"*2\r\n$5\r\nproto\r\n:2\r\n"
        return b"+PONG\r\n" if command == "PING" else b"+OK\r\n"

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def refusing_redis() -> Iterator[RefusingRedis]:
    with RefusingRedis() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
