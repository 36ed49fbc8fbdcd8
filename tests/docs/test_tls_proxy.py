"""The TLS proxy of the containers, a real nginx with its own configuration, before servers that note what comes."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from brokerage.stack.where import CHECKOUT
from tests.stack.running import eventually, free_port

NGINX, OPENSSL = shutil.which("nginx") or shutil.which("/usr/sbin/nginx"), shutil.which("openssl")

pytestmark = pytest.mark.skipif(not (NGINX and OPENSSL), reason="nginx or openssl isn't installed")


_FOREGROUND = "daemon off;" + ("user root;" if os.getuid() == 0 else "")  # root's own files are its own alone


class Behind(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.server.came.append((self.command, self.path, dict(self.headers)))  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        if self.path.startswith("/api/events/stream"):
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.server.goes_on.wait(300)  # type: ignore[attr-defined]
        else:
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def server(host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    made = ThreadingHTTPServer((host, port), Behind)
    made.daemon_threads = True
    made.came, made.goes_on = [], threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


class Names:
    """A name server as Docker's own: `addresses` by name, good for an hour if one believed it."""

    def __init__(self) -> None:
        self.addresses = {"proxy": "127.0.0.1", "stream": "127.0.0.1"}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        """Of a question for an IPv4 address; nobody asks for anything else."""
        while True:
            asked, whose = self._socket.recvfrom(512)
            name = asked[13 : 13 + asked[12]].decode()
            head = asked[:2] + b"\x81\x80" + b"\0\1\0\1\0\0\0\0"
            found = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 3600, 4) + socket.inet_aton(self.addresses[name])
            self._socket.sendto(head + asked[12 : 12 + len(name) + 6] + found, whose)


class Proxied:
    def __init__(self, home: Path) -> None:
        self._home = home
        self.names = Names()
        self.api, self.stream = server(), server()
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
        subprocess.run(
            [OPENSSL, *made, "-keyout", home / "tls_key", "-out", home / "tls_certificate"],
            check=True,
            capture_output=True,
        )
        home.chmod(0o755)
        self.trusted = ssl.create_default_context(cafile=str(home / "tls_certificate"))
        for _ in range(5):  # somebody may take a port that was free a moment ago
            self.port, self.plain = free_port(), free_port()
            self.configure()
            if self._starts():
                return
        raise AssertionError(self.errors())

    def configure(self) -> None:
        home = self._home
        text = (CHECKOUT / "deploy" / "tls" / "nginx.conf").read_text()
        for there, here in {
            " /tmp/": f" {home}/",  # first: home may lie there
            "/run/secrets/": f"{home}/",
            "/dev/stderr": f"{home}/errors",
            "_timeout 10s": "_timeout 300s",  # a busy machine is slow, too
            "resolver 127.0.0.11 valid=5s": f"resolver 127.0.0.1:{self.names.port} valid=1s",
            "proxy:8000": f"proxy:{self.api.server_port}",
            "stream:8001": f"stream:{self.stream.server_port}",
            "listen 8443": f"listen 127.0.0.1:{self.port}",
            "listen 8080": f"listen 127.0.0.1:{self.plain}",
        }.items():
            assert there in text, there
            text = text.replace(there, here)
        (home / "nginx.conf").write_text(text)

    def _starts(self) -> bool:
        """False where it ended. Its own file says that it listens: at the port somebody else may."""
        home, pid = self._home, self._home / "nginx.pid"
        self.running = subprocess.Popen(
            [NGINX, "-p", str(home), "-c", str(home / "nginx.conf"), "-g", _FOREGROUND], stderr=subprocess.DEVNULL
        )
        assert eventually(lambda: pid.exists() or self.running.poll() is not None, 120), self.errors()
        return self.running.poll() is None

    def errors(self) -> str:
        said = self._home / "errors"
        return said.read_text() if said.exists() else ""

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
        asked = http.client.HTTPSConnection("localhost", self.port, context=self.trusted, timeout=60)
        asked.request(method, path, body or None, headers)
        return asked.getresponse()

    def stop(self) -> None:
        self.running.terminate()
        self.running.wait(30)
        for one in (self.api, self.stream):
            one.goes_on.set()  # type: ignore[attr-defined]
            one.shutdown()
            one.server_close()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    made = Proxied(tmp_path_factory.mktemp("tls"))
    yield made
    made.stop()


def test_whoever_asks_by_tls_is_told_so_behind_it_and_forges_no_address(proxied: Proxied) -> None:
    """A thief's: X-Forwarded-For of one's own comes before the address that nginx has seen, which counts."""
    assert proxied.ask("/api/prices", **{"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "http"}).status == 200

    method, path, headers = proxied.api.came[-1]  # type: ignore[attr-defined]
    assert (method, path) == ("GET", "/api/prices")
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Forwarded-For"] == "10.0.0.1, 127.0.0.1"
    assert headers["Host"] == f"localhost:{proxied.port}"


def test_a_request_is_held_until_it_is_whole(proxied: Proxied) -> None:
    """Guard: request buffering. Else each slow sender keeps a connection of HAProxy's."""
    raw = socket.create_connection(("localhost", proxied.port), timeout=60)
    with proxied.trusted.wrap_socket(raw, server_hostname="localhost") as slow:
        slow.sendall(b"POST /api/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
        assert proxied.ask("/api/meanwhile").status == 200  # what was asked for after it came before it
        assert [path for _, path, _ in proxied.api.came][-1] == "/api/meanwhile"  # type: ignore[attr-defined]
        slow.sendall(b"67890")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
    assert [path for _, path, _ in proxied.api.came][-1] == "/api/slow"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("path", "most"), [("/api/customers", 65_536), ("/admin/login/", 1_048_576)])
def test_a_body_that_nobody_would_take_is_refused_before_it_is_kept(proxied: Proxied, path: str, most: int) -> None:
    """A thief's, who needs no login: where bodies are kept there is little room. Guard: their size in nginx.conf."""
    assert proxied.ask(path, "POST", b"x" * most).status == 200
    with proxied.trusted.wrap_socket(
        socket.create_connection(("localhost", proxied.port), timeout=60), server_hostname="localhost"
    ) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {most + 1}\r\n\r\n".encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_container_that_was_made_anew_is_found_and_no_query_is_logged(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Guards: the variables in nginx.conf, of which the name is asked for again, and the level of its log."""
    proxied = Proxied(tmp_path_factory.mktemp("anew"))
    anew = server("127.0.0.2", proxied.api.server_port)
    try:
        assert proxied.ask("/api/prices").status == 200
        proxied.names.addresses["proxy"] = "127.0.0.3"  # where nobody is
        assert eventually(lambda: proxied.ask("/api/prices?token=secret").status == 502, 120)
        proxied.names.addresses["proxy"] = "127.0.0.2"
        assert eventually(lambda: proxied.ask("/api/prices").status == 200, 120)
        assert len(anew.came) == 1  # type: ignore[attr-defined]
        assert "secret" not in proxied.errors()
    finally:
        proxied.stop()
        anew.shutdown()
        anew.server_close()


def test_the_stream_is_passed_on_as_it_comes(proxied: Proxied) -> None:
    """Guard: no buffering there. With it the first event would wait for the answer's end."""
    answer = proxied.ask("/api/events/stream")
    assert answer.readline() == b"data: first\n"
    assert [path for _, path, _ in proxied.stream.came] == ["/api/events/stream"]  # type: ignore[attr-defined]
    answer.close()


def test_without_tls_pages_are_redirected_and_calls_get_no_answer(proxied: Proxied) -> None:
    def plainly(path: str) -> http.client.HTTPResponse:
        asked = http.client.HTTPConnection("localhost", proxied.plain, timeout=60)
        asked.request("GET", path)
        return asked.getresponse()

    page = plainly("/admin/?a=b")
    assert (page.status, page.headers["Location"]) == (308, "https://localhost:443/admin/?a=b")
    for path in ("/api/v1/auth/login", "/oauth/token"):
        with pytest.raises(http.client.RemoteDisconnected):
            plainly(path)
