"""Venues on this machine: real servers, which say what a test tells them to, and what was asked of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from quotes.feeds.venue import Venue, VenueTick

Part = Callable[[ServerConnection], None]
"""What the server does with a connection once it has been asked for something."""


class VenueServer:
    """A WebSocket server that plays a part for each connection, the last one for all further ones."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.asked: list[list[dict]] = []  # by connection, what the client sent
        self._server = serve(self._play, "127.0.0.1", 0)
        self.port = self._server.socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _play(self, connection: ServerConnection) -> None:
        number = len(self.asked)
        said: list[dict] = []
        self.asked.append(said)
        part = self.parts[min(number, len(self.parts) - 1)]
        with suppress(ConnectionClosed):
            said.append(json.loads(connection.recv(timeout=5)))
            threading.Thread(target=self._listen, args=(connection, said), daemon=True).start()
            time.sleep(0.05)  # the rest of what is asked for
            part(connection)

    def _listen(self, connection: ServerConnection, said: list[dict]) -> None:
        with suppress(ConnectionClosed):
            for message in connection:
                said.append(json.loads(message))

    def stop(self) -> None:
        self._server.shutdown()


def says(*messages: object, then: Part | None = None) -> Part:
    """Sends these and then stays: objects as JSON, texts and bytes as they are, lists as fragments of one message."""

    def part(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(json.dumps(message) if isinstance(message, dict) else message)
        (then or stays)(connection)

    return part


def stays(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            connection.ping()
            time.sleep(0.2)


def closes(connection: ServerConnection) -> None:
    connection.close(1001, "going away")


def drops(connection: ServerConnection) -> None:
    """As if the cable was pulled: no closing handshake."""
    connection.socket.close()


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


class HttpServer:
    """An HTTP server on this machine, until it is stopped."""

    def __init__(self, handler: type[Quiet]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class HttpStream(HttpServer):
    """An HTTP server whose answer is written piece by piece, each connection's by its own list."""

    def __init__(self, *streams: Sequence[bytes], status: int = 200, lists: Mapping[str, bytes] | None = None) -> None:
        """`lists`: other answers, by how their paths end."""
        self.asked: list[tuple[str, str]] = []  # path and Authorization
        self.listed: list[tuple[str, str]] = []
        outer, others = self, dict(lists or {})

        class Handler(Quiet):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                found = [answer for path, answer in others.items() if self.path.endswith(path)]
                if found:
                    outer.listed.append((self.path, self.headers["Authorization"]))
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(found[0])))
                    self.end_headers()
                    self.wfile.write(found[0])
                    return
                stream = streams[min(len(outer.asked), len(streams) - 1)]
                outer.asked.append((self.path, self.headers["Authorization"]))
                self.send_response(status)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                with suppress(OSError):
                    for piece in stream:
                        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                        time.sleep(0.05)
                    self.wfile.write(b"0\r\n\r\n")

        super().__init__(Handler)


class Listener:
    """A venue in a thread, as the feed has it, and all that it said."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.ticks: list[VenueTick] = []
        self.failed: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        try:
            for batch in self.venue.batches(self._stop.wait):
                self.ticks.extend(batch)
        except BaseException as error:
            self.failed = error

    def until(self, wanted: Callable[[], object], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not wanted():
            assert self.failed is None, self.failed
            assert time.monotonic() < deadline, (self.ticks, self.venue.health)
            time.sleep(0.01)

    def prices(self) -> list[tuple[str, str]]:
        return [(str(tick.bid), str(tick.ask)) for tick in self.ticks]


@contextmanager
def listening(venue: Venue) -> Iterator[Listener]:
    listener = Listener(venue)
    listener._thread.start()
    try:
        yield listener
    finally:
        listener._stop.set()
        listener._thread.join(5)
        assert not listener._thread.is_alive(), "it doesn't stop"
    assert listener.failed is None, listener.failed


class JsonServer(HttpServer):
    """An HTTP server with an answer for each path: an object, or a status and a text; `asked` are the paths."""

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        outer = self

        class Handler(Quiet):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answer = outer.answers.get(self.path, (404, "no such page"))
                status, body = answer if isinstance(answer, tuple) else (200, json.dumps(answer))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(body.encode())

        super().__init__(Handler)
