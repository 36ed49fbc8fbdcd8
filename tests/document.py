"""Every answer of the API that a test gets is held against `openapi.yaml`, by the client that the test asks with.

`watch` wraps Django's test client and httpx, so that no test can forget it. An answer is found by its method and path
(both slash forms), and must be as the document says: its status, content type, headers and body; and a body that was
taken must be one that the document allows. What is no operation is 404, or 405 with `Allow`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
from django.http import HttpResponse
from django.test import Client
from django.test.client import FakePayload

from brokerage.http import number_texts
from brokerage.openapi.views import loads

ROOT = Path(__file__).resolve().parents[1]
PREFIXES = ("/api/", "/oauth/")
PAGES = ("/api/schema", "/api/docs")
ORDERS = "/api/v1/"


class NotAsDocumented(AssertionError):
    """An answer, or a body that was taken, of which the document knows nothing."""


@dataclass(frozen=True)
class Exchange:
    """A request and its answer. `body` is None where it can't be read, as of a stream."""

    method: str
    path: str
    sent: bytes
    sent_type: str
    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Document:
    """What the document says of every operation; each schema is compiled when it is first needed."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said
        self._compiled: dict[tuple[str, ...], Any] = {}

    @cached_property
    def _routes(self) -> list[tuple[re.Pattern[str], str]]:
        literal_first = sorted(self.said["paths"], key=lambda path: (path.count("{"), path))
        return [(re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "/?"), path) for path in literal_first]

    def path_of(self, path: str) -> str | None:
        """The path of the document that this one is."""
        return next((known for regex, known in self._routes if regex.fullmatch(path)), None)

    def check(self, exchange: Exchange) -> None:
        """Raises NotAsDocumented."""
        path = self.path_of(exchange.path)
        if path is None:
            self._need(exchange, exchange.status in (400, 404, 429, 503), "there is no such path")
            return
        operations = self.said["paths"][path]
        method = exchange.method.lower()
        if method == "options":
            told = exchange.status == 204 and "Allow" in exchange.headers  # 200: a page asks (CORS)
            self._need(exchange, told or exchange.status in (200, 503), "OPTIONS tells Allow")
        elif method == "head" and "get" in operations:
            self._check_answer(exchange, operations["get"], (path, "get"), has_body=False)
        elif method in operations:
            self._check_answer(exchange, operations[method], (path, method), has_body=True)
        else:
            is_told = exchange.status == 405 and "Allow" in exchange.headers
            self._need(exchange, is_told or exchange.status in (401, 404, 503), "there is no such method")

    def _check_answer(self, exchange: Exchange, operation: Any, where: tuple[str, str], *, has_body: bool) -> None:
        if exchange.status in (502, 504) or "Sandbox-Fault" in exchange.headers:
            # HAProxy's own, where the web process has gone, or what a client has forced: no viewset tells it.
            return
        status = str(exchange.status)
        said = operation["responses"].get(status)
        self._need(exchange, said is not None, f"{status} is not documented")
        said = self.whole(said)
        for name, header in said.get("headers", {}).items():
            self._check_header(exchange, name, self.whole(header), (*where, "responses", status, "headers", name))
        self._check_body(exchange, said.get("content", {}), (*where, "responses", status), has_body=has_body)
        if exchange.status < 300 and "requestBody" in operation:
            self._check_taken(exchange, operation["requestBody"], where)

    def _check_header(self, exchange: Exchange, name: str, header: Any, where: tuple[str, ...]) -> None:
        given = exchange.headers.get(name)
        self._need(exchange, given is not None or not header.get("required"), f"the header {name} is missing")
        if given is not None:
            is_whole = header["schema"].get("type") == "integer" and given.isdecimal()
            self._fit(exchange, int(given) if is_whole else given, where, header["schema"], f"the header {name}")

    def _check_body(self, exchange: Exchange, content: Any, where: tuple[str, ...], *, has_body: bool) -> None:
        if not content:
            self._need(exchange, not exchange.body, "no body is documented")
            return
        said = exchange.headers.get("Content-Type", "")
        if said == number_texts.CONTENT_TYPE:  # the same with every number as a text: tests/stack has those
            return
        type_ = said.partition(";")[0]
        self._need(exchange, type_ in content, f"the content type {type_!r} is not documented")
        if not has_body or exchange.body is None or type_ != "application/json":
            return
        self._fit(exchange, read(exchange.body), (*where, type_), content[type_]["schema"], "the answer")

    def _check_taken(self, exchange: Exchange, body: Any, where: tuple[str, str]) -> None:
        type_ = exchange.sent_type.partition(";")[0].strip().lower()
        if type_ != "application/json" or not exchange.sent:
            return
        schema = body["content"][type_]["schema"]
        self._fit(exchange, read(exchange.sent), (*where, "requestBody"), schema, "a body that was taken")

    def _fit(self, exchange: Exchange, value: Any, where: tuple[str, ...], schema: Any, what: str) -> None:
        validator = self._compiled.get(where)
        if validator is None:
            validator = self._compiled[where] = self.compiled(schema)
        if not validator.is_valid(value):
            wrong = next(iter(validator.iter_errors(value)))
            at = "/".join(map(str, wrong.instance_path))
            raise NotAsDocumented(f"{_shown(exchange)}: {what} at /{at}: {wrong.message}")

    def whole(self, said: Any) -> Any:
        """An answer or a header that several operations have is told once, and referred to."""
        if "$ref" not in said:
            return said
        _, _, kind, name = said["$ref"].split("/")
        return self.said["components"][kind][name]

    def compiled(self, schema: Any) -> Any:
        """A validator of one of the document's schemas."""
        whole = {**schema, "components": self.said["components"]}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)

    def _need(self, exchange: Exchange, is_so: bool, otherwise: str) -> None:
        if not is_so:
            raise NotAsDocumented(f"{_shown(exchange)}: {otherwise}")


def read(text: bytes) -> Any:
    """JSON with exact numbers."""
    return json.loads(text, parse_float=Decimal)


def _shown(exchange: Exchange) -> str:
    said = exchange.body[:300] if exchange.body is not None else b"(a stream)"
    return f"{exchange.method} {exchange.path} {exchange.sent[:200]!r} -> {exchange.status} {said!r}"


@cache
def document() -> Document:
    """The committed one."""
    return Document(loads((ROOT / "openapi.yaml").read_bytes()))


def is_documented(path: str) -> bool:
    return path.startswith(PREFIXES) and not path.startswith(PAGES)


def watch() -> None:
    """From now on every client of a test checks what it is answered."""
    Client.request = _watched_django(Client.request)  # type: ignore[method-assign]
    httpx.Client.send = _watched_httpx(httpx.Client.send)  # type: ignore[method-assign]


def _watched_django(ask: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    def request(self: Client, **environ: Any) -> HttpResponse:
        path = environ.get("PATH_INFO", "/")
        if not is_documented(path):
            return ask(self, **environ)
        sent = b""
        if isinstance(stream := environ.get("wsgi.input"), FakePayload):
            sent = stream.read()
            environ["wsgi.input"] = FakePayload(sent)
        answer = ask(self, **environ)
        document().check(
            Exchange(
                environ.get("REQUEST_METHOD", "GET"),
                path,
                sent,
                environ.get("CONTENT_TYPE", ""),
                answer.status_code,
                answer.headers,
                None if answer.streaming else answer.content,
            )
        )
        return answer

    return request


def _watched_httpx(ask: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    def send(self: httpx.Client, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        answer = ask(self, request, stream=stream, **options)
        if not is_documented(request.url.path):
            return answer
        document().check(
            Exchange(
                request.method,
                request.url.path,
                _sent(request),
                request.headers.get("Content-Type", ""),
                answer.status_code,
                answer.headers,
                None if stream else answer.content,
            )
        )
        return answer

    return send


def _sent(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:
        return b""
