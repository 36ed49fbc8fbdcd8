"""What a partner or a trader hears without asking: the event stream, and webhooks at a receiver on this machine."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from brokerage.demo.client import DemoClient, UnexpectedAnswer
from brokerage.stack.where import stream_url

READ_SECONDS = 40  # longer than between two heartbeats


class Heard:
    """Events in the order in which they came."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.is_ready = threading.Event()

    def kinds(self) -> list[str]:
        return [str(one["event_type"]) for one in self.events]


@contextmanager
def stream(demo: DemoClient, token: str) -> Iterator[Heard]:
    """The events that this token may see, from now on, as server-sent events."""
    if not (base := stream_url()):
        raise UnexpectedAnswer("The system runs without its event stream.")
    url = f"{base}/api/events/stream"
    heard = Heard()
    with httpx.Client(timeout=READ_SECONDS) as http:
        request = http.build_request("GET", url, headers={"Authorization": f"Bearer {token}"})
        answer = http.send(request, stream=True)
        demo.expect("the stream answers", answer.status_code, 200)
        listening = threading.Thread(target=_listen, args=(answer, heard), daemon=True)
        listening.start()
        try:
            demo.until("a stream that is ready", heard.is_ready.is_set, bool)
            yield heard
        finally:
            answer.close()


def _listen(answer: httpx.Response, heard: Heard) -> None:
    with suppress(httpx.HTTPError, httpx.StreamError, OSError, ValueError):  # it is closed from outside
        for line in answer.iter_lines():
            if not line.startswith("data: "):
                continue
            message = json.loads(line.removeprefix("data: "))
            if message["type"] == "ready":
                heard.is_ready.set()
            elif message["type"] == "event":
                heard.events.append(message)


class Receiver(ThreadingHTTPServer):
    """An endpoint that keeps what is signed by its key, and answers 401 to everything else."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Endpoint)
        self.signing_key = ""
        self.heard = Heard()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks"


@contextmanager
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Endpoint(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_ours = _is_ours(self.server.signing_key, self.headers, body)
        if is_ours:
            self.server.heard.events.append(json.loads(body))
        self.send_response(204 if is_ours else 401)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """The demo shows what came."""


def _is_ours(signing_key: str, headers: Any, body: bytes) -> bool:
    """As docs/webhooks.md has it."""
    key = base64.b64decode(signing_key.removeprefix("whsec_"))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mine = "v1," + base64.b64encode(hmac.digest(key, said, "sha256")).decode()
    return any(hmac.compare_digest(mine, one) for one in (headers["webhook-signature"] or "").split(" "))
