"""A real endpoint: an HTTP server in a process of its own, which keeps what it was sent and answers as it is told.

    python receiver.py PORT [CERTIFICATE]    0: any free port; it prints the one it took

PUT /rules tells it how to answer from then on, GET /got what it was sent and answers, /count how
often it was called. Everything else is a webhook.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen


@dataclass
class Rules:
    """`by_object`: another status for what is about these; `hold_from`: from that call on none is answered until
    further rules come; `drops_reused`: a second call on a connection isn't answered, and the connection is closed."""

    status: int = 200
    by_object: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    answer_bytes: int = 6
    seconds: float = 0.0
    hold_from: int | None = None
    drops_reused: bool = False


class Endpoint(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.turn = threading.Lock()  # what was answered by older rules is in `got` before newer ones are there
        self.forget()

    def forget(self) -> None:
        self.rules, self.got, self.connections = Rules(), [], 0
        self.released = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint
    disable_nagle_algorithm = True
    has_called = False

    def do_POST(self) -> None:
        server = self.server
        if self.has_called and server.rules.drops_reused:
            self.close_connection = True
            return
        server.connections += not self.has_called
        self.has_called = True
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): text for name, text in self.headers.items()}
        call = {"path": self.path, "headers": headers, "body": body.decode(), "at": time.time()}
        with server.turn:
            rules, released = server.rules, server.released
            status = rules.by_object.get(json.loads(body)["object_guid"], rules.status)
            server.got.append({**call, "status": status})
        time.sleep(rules.seconds)
        if rules.hold_from is not None and len(server.got) >= rules.hold_from:
            released.wait(60)
        with suppress(BrokenPipeError, ConnectionResetError):  # who reads a kilobyte and goes, and who was killed
            self.answer(status, b"x" * rules.answer_bytes, rules.headers)

    def do_PUT(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.released.set()
        with self.server.turn:
            if said is None:
                self.server.forget()
            else:
                self.server.released = threading.Event()
                self.server.rules = Rules(**said)
        self.answer(200, b"", {"connection": "close"})

    def do_GET(self) -> None:
        if self.path == "/got":
            said = {"got": self.server.got, "connections": self.server.connections}
            self.answer(200, json.dumps(said).encode(), {"connection": "close"})
        elif self.path == "/count":
            self.answer(200, str(len(self.server.got)).encode(), {"connection": "close"})
        else:  # where a redirect would have been followed
            self.server.got.append({"path": self.path, "headers": {}, "body": "", "at": time.time(), "status": 200})
            self.answer(200, b"", {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    status: int

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Receiver:
    """The process, as a test sees it."""

    def __init__(self, certificate: str = "") -> None:
        self._certificate = certificate
        self._context = ssl._create_unverified_context() if certificate else None
        self.port = 0
        self.start()

    def start(self) -> None:
        """Again on the port it had before."""
        command = [sys.executable, __file__, str(self.port), *filter(None, [self._certificate])]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def forget(self) -> None:
        """As if it had just been started."""
        self._put(None)

    def answers(self, **rules: Any) -> None:
        """From now on; what is held is let go."""
        self._put(asdict(Rules(**rules)))

    def _put(self, said: Any) -> None:
        request = Request(f"{self._root}/rules", json.dumps(said).encode(), method="PUT")
        urlopen(request, context=self._context).close()

    def _ask(self) -> dict[str, Any]:
        with urlopen(f"{self._root}/got", context=self._context) as answer:
            return dict(json.load(answer))

    @property
    def count(self) -> int:
        """How many calls it has got."""
        with urlopen(f"{self._root}/count", context=self._context) as answer:
            return int(answer.read())

    @property
    def got(self) -> list[Received]:
        return [Received(**one | {"body": one["body"].encode()}) for one in self._ask()["got"]]

    @property
    def connections(self) -> int:
        """How many were made by who sends webhooks."""
        return int(self._ask()["connections"])

    @property
    def ids(self) -> list[str]:
        return [one.headers["webhook-id"] for one in self.got]

    @property
    def _root(self) -> str:
        return f"http{'s' if self._certificate else ''}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self._root}/hook"


def until(receiver: Receiver, calls: int, seconds: float = 30) -> None:
    """Wait until it has got so many."""
    give_up = time.monotonic() + seconds
    while receiver.count < calls:
        assert time.monotonic() < give_up, f"only {receiver.count} calls came"
        time.sleep(0.02)


def serve(port: str, certificate: str = "") -> None:
    server = Endpoint(int(port))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever(0.02)


if __name__ == "__main__":
    serve(*sys.argv[1:])
