"""What HAProxy answers by itself, before a web process of a few lines: JSON that nobody stores."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokerage.stack import haproxy
from brokerage.stack.processes import children
from tests.stack.running import eventually
from tests.stack.wire import Said, ask, connected, get

JSON = "Content-Type: application/json"
BEGUN = get("/api/quotes", JSON, "Content-Length: 9", method="POST") + b"{"
SILENT = None


class Web:
    """Listens at a socket, and says these bytes to whatever it is asked; SILENT: nothing, and it doesn't hang up."""

    def __init__(self, path: Path, says: bytes | None) -> None:
        self._says = says
        self._wires: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                wire = self._listener.accept()[0]
            except OSError:
                return
            self._wires.append(wire)
            wire.recv(65536)
            if self._says is not SILENT:
                wire.sendall(self._says)
                wire.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._wires):
            one.close()


class Front:
    """HAProxy with the product's configuration, every wait of which is a second."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self._running: list[subprocess.Popen[bytes] | Web] = []

    def asked(self, request: bytes, *, web: bytes | None = b"", listens: bool = True, requests: int = 400) -> Said:
        """The answer, where the web process says this."""
        path = self.home / "web.sock"
        if listens:
            self._running.append(Web(path, web))
        quick = self.home / "haproxy.cfg"
        text = haproxy.CONFIGURATION.read_text()
        for seconds in (" 10s", " 65s"):
            assert seconds in text
            text = text.replace(seconds, " 1s")
        quick.write_text(text)
        proxy = children("127.0.0.1", self.port, {}, socket=path)[0]
        told = {**proxy.environ, "PROXY_REQUESTS": str(requests)}
        self._running.append(subprocess.Popen([*proxy.command[:-1], str(quick)], env=told))
        assert eventually(self._listens)
        return ask(self.port, request)

    def _listens(self) -> bool:
        try:
            connected(self.port).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        for one in self._running:
            if isinstance(one, Web):
                one.close()
            else:
                one.kill()
                one.wait()


@pytest.fixture
def front(data: Path, port: int) -> Iterator[Front]:
    running = Front(data, port)
    yield running
    running.close()


def its_version() -> tuple[int, ...]:
    said = subprocess.run([haproxy.binary() or "haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split()[2].partition("-")[0].split("."))


def bare(status: int) -> bytes:
    return f"HTTP/1.1 {status} Whatever\r\nServer: granian\r\nContent-Length: 0\r\n\r\n".encode()


def says_so(said: Said, status: int, code: str, *, closes: bool = True) -> bool:
    """Whether it is the product's error, in both dialects, and nothing else is in it."""
    body = json.loads(said.body)
    assert set(body) == {"error", "status", "error_message", "message_code"}
    assert body["error"] == body["error_message"]
    assert (body["status"], body["message_code"]) == (status, code)
    assert (said.headers.get("connection") == "close") == closes
    return is_private_json(said, status, code)


def is_private_json(said: Said, status: int, code: str) -> bool:
    assert (said.status, said.headers["error-code"]) == (status, code)
    assert said.headers["content-type"] == "application/json"
    assert said.headers["cache-control"] == "no-store"
    return "server" not in said.headers


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "invalid_parameter"),
        (BEGUN, 408, "request_timeout"),
        (get("/api/quotes", *[f"X-{n}: " + "x" * 9_000 for n in range(4)]), 431, "headers_too_large"),
        *(
            (get("/livez").replace(b"HTTP/1.1", b"HTTP/" + version), 505, "http_version_not_supported")
            for version in (b"0.9", b"2.0", b"3.0", b"3.7", b"9.9")
        ),
    ],
)
def test_what_it_refuses_is_told_in_json(front: Front, request_: bytes, status: int, code: str) -> None:
    """Guards: errorfile 400 and 408, and the lines of haproxy.cfg with 431 and 505. HTTP/3.7 was answered 200."""
    assert says_so(front.asked(request_, web=bare(200)), status, code)


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2"])
def test_every_version_of_http_1_is_served(front: Front, version: bytes) -> None:
    """Another minor version is understood all the same (RFC 9110, 2.5)."""
    assert front.asked(get("/livez").replace(b"HTTP/1.1", b"HTTP/" + version), web=bare(200)).status == 200


@pytest.mark.parametrize(
    ("web", "listens", "status", "code"),
    [
        (b"", True, 502, "outcome_unknown"),
        (b"nonsense\r\n\r\n", True, 502, "outcome_unknown"),
        (SILENT, True, 504, "outcome_unknown"),
        (b"", False, 503, "unavailable"),
        (bare(400), True, 400, "invalid_parameter"),
        (bare(414), True, 414, "invalid_parameter"),
        (bare(431), True, 431, "headers_too_large"),
        (bare(500), True, 500, "internal_server_error"),
    ],
)
def test_a_web_process_that_gives_no_answer_of_ours_is_told_in_json(
    front: Front, web: bytes | None, listens: bool, status: int, code: str
) -> None:
    """Guards: errorfile 502, 503 and 504, and each `http-response return` of haproxy.cfg."""
    said = front.asked(get("/api/quotes"), web=web, listens=listens)
    assert says_so(said, status, code)
    assert said.headers.get("retry-after") == ("1" if status == 503 else None)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/api/v1/account", {"error"}),
        ("/api/quotes", {"status", "error_message", "message_code"}),
    ],
)
def test_a_request_too_many_is_told_in_its_dialect_and_keeps_its_connection(
    front: Front, path: str, keys: set[str]
) -> None:
    said = front.asked(get(path), web=bare(200), requests=0)
    assert set(json.loads(said.body)) == keys
    assert is_private_json(said, 503, "unavailable")
    assert (said.headers["retry-after"], said.headers.get("connection")) == ("1", None)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (get("/api/quotes").replace(b"HTTP/1.1", b"HTTQ"), 400, "invalid_parameter"),
        (get("/api/quotes?label=\xe9"), 400, "invalid_parameter"),
        (b"GET /api/quotes HTTP/1.1\r\nHost: localhost\r\nX: ", 408, "request_timeout"),
        (
            get("/api/quotes", "Transfer-Encoding: chunked").replace(b"1.1", b"1.0") + b"0\r\n\r\n",
            413,
            "payload_too_large",
        ),
    ],
)
def test_what_is_refused_before_there_is_a_path_has_haproxys_page_or_our_answer(
    front: Front, request_: bytes, status: int, code: str
) -> None:
    """HAProxy takes error files here, too, from 3.2.4 on (its issue 3032); before, its own page can't be changed."""
    said = front.asked(request_)
    if its_version() >= (3, 2, 4):
        assert says_so(said, status, code)
    else:
        assert (said.status, said.headers["content-type"]) == (status, "text/html")
        assert (said.headers["cache-control"], "server" in said.headers) == ("no-cache", False)


@pytest.mark.parametrize("path", sorted(haproxy.ERRORS.iterdir()), ids=lambda path: path.name)
def test_each_of_its_answers_is_whole(path: Path) -> None:
    """Also those that no test of the others asks for."""
    head, _, body = path.read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert first.startswith(f"HTTP/1.1 {path.name[:3]} ")
    assert headers["Content-Length"] == str(len(body))
    assert (headers["Content-Type"], headers["Cache-Control"]) == ("application/json", "no-store")
    assert json.loads(body).get("message_code", headers["Error-Code"]) == headers["Error-Code"]
    assert ("Connection" in headers) == ("busy" not in path.name)
